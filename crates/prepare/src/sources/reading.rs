//! How the colours of a source are read: kept, or reduced to one channel.

use pig_data::colour::Colours;

use crate::layouts::layout::Layout;
use crate::settings::Colour;

/// How the colours of a source are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As red, green and blue; gray is copied to all three.
    Rgb,
    /// As Rec. 601 luma.
    Luma,
    /// As this channel alone: 0 is red, 1 green and 2 blue.
    Channel(usize),
}

impl Reading {
    /// How a source is read as these settings say; `colours` says how many of its images are in colour.
    pub fn of(colour: Colour, layout: Layout, colours: Colours) -> Self {
        let keeps = match colour {
            Colour::Auto => layout != Layout::Lgg && colours.are_most(),
            Colour::Keep => colours.coloured > 0,
            Colour::Luma | Colour::Red | Colour::Green | Colour::Blue => false,
        };
        if keeps { Self::Rgb } else { Self::gray(colour, layout) }
    }

    /// How gray is made of colour: for a source whose colour is not kept, and for measurements on gray.
    pub fn gray(colour: Colour, layout: Layout) -> Self {
        match (colour, layout) {
            (Colour::Auto, Layout::Lgg) | (Colour::Green, _) => Self::Channel(1),
            (Colour::Auto | Colour::Keep | Colour::Luma, _) => Self::Luma,
            (Colour::Red, _) => Self::Channel(0),
            (Colour::Blue, _) => Self::Channel(2),
        }
    }

    /// How many channels are read.
    pub fn channels(self) -> usize {
        if self == Self::Rgb { 3 } else { 1 }
    }

    /// What becomes of colour, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Rgb => "kept",
            Self::Luma => "reduced to gray by Rec. 601 luma",
            Self::Channel(0) => "reduced to their red channel",
            Self::Channel(1) => "reduced to their green channel",
            Self::Channel(_) => "reduced to their blue channel",
        }
    }
}
