//! Colour: palettes, YBR to RGB, RGB to gray. Only on request.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::Result;
use crate::header::Dataset;
use crate::samples::Samples;
use crate::voi::Lut;

/// The three tables of a PALETTE COLOR image.
#[derive(Debug)]
pub(crate) struct Palette {
    tables: [Lut; 3],
}

const TABLES: [(Tag, Tag); 3] = [
    (tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA),
    (tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA),
    (tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA),
];

impl Palette {
    /// Reads the palette of an image; segmented palettes are not read.
    pub(crate) fn read(root: &Dataset<'_>, signed: bool) -> Result<Self> {
        let [red, green, blue] = TABLES.map(|(descriptor, data)| Lut::read(root, descriptor, data, signed));
        Ok(Self { tables: [red?, green?, blue?] })
    }

    /// Bits of a colour.
    pub(crate) fn bits(&self) -> u16 {
        self.tables.iter().map(|table| table.bits).max().unwrap_or(16)
    }

    /// The colours of indices, interleaved.
    pub(crate) fn look_up(&self, indices: &Samples) -> Samples {
        let colours: Vec<u16> =
            indices.iter().flat_map(|v| self.tables.each_ref().map(|table| table.apply(v))).collect();
        if self.bits() <= 8 {
            return Samples::U8(colours.into_iter().map(|colour| colour as u8).collect());
        }
        Samples::U16(colours)
    }
}

/// Samples of the same width from values that fit in it.
fn like(samples: &Samples, values: impl Iterator<Item = f64>) -> Samples {
    match samples {
        Samples::U8(_) | Samples::I8(_) => Samples::U8(values.map(|value| value as u8).collect()),
        Samples::U16(_) | Samples::I16(_) => Samples::U16(values.map(|value| value as u16).collect()),
        _ => Samples::U32(values.map(|value| value as u32).collect()),
    }
}

/// RGB from YBR_FULL, PS3.3 C.7.6.3.1.2 (ITU-T T.871): rounded half up, clamped.
pub(crate) fn rgb_from_ybr(samples: &Samples, bits: u16) -> Samples {
    let half = f64::from(bits.clamp(1, 32) - 1).exp2();
    let top = 2.0 * half - 1.0;
    let pixels = samples.len() / 3;
    let values = (0..pixels).flat_map(|pixel| {
        let at = |sample: usize| samples.get(3 * pixel + sample);
        let (y, cb, cr) = (at(0), at(1) - half, at(2) - half);
        let red = y + 1.402 * cr;
        let green = y - 0.114 * 1.772 / 0.587 * cb - 0.299 * 1.402 / 0.587 * cr;
        let blue = y + 1.772 * cb;
        [red, green, blue].map(|value| (value + 0.5).floor().clamp(0.0, top))
    });
    like(samples, values)
}

/// Luma of interleaved RGB, ITU-R BT.601, rounded to the nearest value.
pub(crate) fn luma(samples: &Samples) -> Samples {
    let pixels = samples.len() / 3;
    let values = (0..pixels).map(|pixel| {
        let at = |sample: usize| samples.get(3 * pixel + sample);
        (0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2)).round()
    });
    like(samples, values)
}
