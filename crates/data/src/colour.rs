//! Whether pictures are in colour, and how many channels a set of them needs.
//!
//! A picture is in colour if a pixel of it is: many gray pictures are stored as red, green and blue of equal value.

use std::path::Path;

use rayon::prelude::*;

use crate::channels::Channels;
use crate::config::DataConfig;
use crate::discover::Dataset;
use crate::error::Result;
use crate::read::{read_header, read_image};

/// How many of some pictures are in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colours {
    /// Pictures in colour.
    pub coloured: usize,
    /// All pictures.
    pub total: usize,
}

impl Colours {
    /// Counts the pictures in colour. Only files with colour channels are decoded.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of<'a>(files: impl Iterator<Item = &'a Path>) -> Result<Self> {
        let files: Vec<&Path> = files.collect();
        let coloured: Vec<bool> = files.par_iter().map(|path| is_coloured(path)).collect::<Result<_>>()?;
        Ok(Self { coloured: coloured.iter().filter(|&&is| is).count(), total: files.len() })
    }

    /// Whether most of the pictures are in colour. The majority decides, so that a few coloured marks in a gray set, or a few gray
    /// pictures in a set in colour, do not change what the set is.
    pub fn are_most(&self) -> bool {
        2 * self.coloured > self.total
    }

    /// The number of channels of a set of these pictures, if nothing else is wanted: 3 if most are in colour, else 1.
    pub fn channels(&self) -> usize {
        if self.are_most() { 3 } else { 1 }
    }

    /// Whether some pictures are in colour and others are not.
    pub fn are_mixed(&self) -> bool {
        self.coloured > 0 && self.coloured < self.total
    }

    /// The number of channels for which nothing that the pictures show is lost.
    pub fn lossless_channels(&self) -> usize {
        if self.coloured > 0 { 3 } else { 1 }
    }
}

/// Whether a pixel of the picture is in colour.
fn is_coloured(path: &Path) -> Result<bool> {
    Ok(read_header(path)?.colour && read_image(path, 3)?.coloured)
}

/// The configuration with a number of channels: `auto` becomes 3 if most images of the data are in colour, else 1; then the second value
/// says how many are. A number stays, and nothing is read.
///
/// # Errors
/// When an image cannot be read.
pub fn resolve(dataset: &Dataset, config: &DataConfig) -> Result<(DataConfig, Option<Colours>)> {
    if config.channels != Channels::Auto {
        return Ok((config.clone(), None));
    }
    let colours = Colours::of(dataset.pairs.iter().map(|pair| pair.image.as_path()))?;
    let channels = Channels::Count(colours.channels());
    Ok((DataConfig { channels, ..config.clone() }, Some(colours)))
}
