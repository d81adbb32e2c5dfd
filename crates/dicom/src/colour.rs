//! Colour conversions, done only on request: palettes, YBR to RGB, RGB to gray.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::Result;
use crate::dataset::{self, Dataset};
use crate::samples::Samples;
use crate::voi::{Descriptor, Lut};

/// The three tables of a PALETTE COLOR image.
#[derive(Debug)]
pub(crate) struct Palette {
    tables: [Lut; 3],
}

/// For each colour, the tags of its descriptor, data and segmented data.
const TABLES: [[Tag; 3]; 3] = [
    [
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ],
    [
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ],
    [
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ],
];

/// Reads one colour of a palette, stored as a table or as segments (PS3.3 C.7.9.2).
fn table(root: &Dataset<'_>, [descriptor, data, segmented]: [Tag; 3], signed: bool) -> Result<Lut> {
    let Some(element) = root.get(segmented).filter(|_| root.get(data).is_none()) else {
        return Lut::read(root, descriptor, data, signed);
    };
    let head = Descriptor::read(root, descriptor, signed)?;
    let words: Vec<u16> = if head.bits <= 8 {
        element.bytes().iter().map(|&byte| u16::from(byte)).collect()
    } else {
        dataset::words(element.bytes(), element.big_endian()).collect()
    };
    let entries = expand(&words, head.count, head.bits <= 8);
    let entries = entries.ok_or_else(|| root.invalid(segmented, "invalid segments", "segments of PS3.3 C.7.9.2"))?;
    if entries.len() < head.count {
        return Err(root.invalid(segmented, format!("{} entries", entries.len()), format!("{} entries", head.count)));
    }
    Ok(Lut { first: head.first, entries, bits: head.bits })
}

/// Entries of a segmented table, at most `count`; `None` if the segments are invalid.
fn expand(words: &[u16], count: usize, bytewise: bool) -> Option<Vec<u16>> {
    let mut entries = Vec::new();
    let mut at = 0;
    // A segment has at least two words; a single word is padding.
    while at + 1 < words.len() && entries.len() < count {
        if words[at] != 2 {
            at = segment(words, at, &mut entries)?;
            continue;
        }
        // An indirect segment repeats `length` segments that start at an offset: two words, low word first, that count bytes
        // (16-bit tables), or four bytes, lowest first (8-bit tables).
        let place = words.get(at + 2..at + if bytewise { 6 } else { 4 })?;
        let offset = match *place {
            [low, high] => (usize::from(high) << 16 | usize::from(low)) / 2,
            [b0, b1, b2, b3] => [b3, b2, b1, b0].iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)),
            _ => return None,
        };
        let mut from = offset;
        for _ in 0..words[at + 1] {
            // An indirect segment must not refer to another one.
            if entries.len() >= count || words.get(from)? == &2 {
                break;
            }
            from = segment(words, from, &mut entries)?;
        }
        at += 2 + place.len();
    }
    entries.truncate(count);
    Some(entries)
}

/// Expands a discrete or a linear segment; returns the position of the next one.
fn segment(words: &[u16], at: usize, entries: &mut Vec<u16>) -> Option<usize> {
    let length = usize::from(*words.get(at + 1)?);
    match words.get(at)? {
        0 => {
            entries.extend(words.get(at + 2..at + 2 + length)?);
            Some(at + 2 + length)
        }
        1 => {
            let from = f64::from(*entries.last()?);
            let to = f64::from(*words.get(at + 2)?);
            let step = (to - from) / length as f64;
            entries.extend((1..=length).map(|index| (from + step * index as f64).round_ties_even() as u16));
            Some(at + 3)
        }
        _ => None,
    }
}

impl Palette {
    /// Reads the palette of an image.
    pub(crate) fn read(root: &Dataset<'_>, signed: bool) -> Result<Self> {
        let [red, green, blue] = TABLES.map(|tags| table(root, tags, signed));
        Ok(Self { tables: [red?, green?, blue?] })
    }

    /// Bits per colour value.
    pub(crate) fn bits(&self) -> u16 {
        self.tables.iter().map(|table| table.bits).max().unwrap_or(16)
    }

    /// Looks up the colours of indices; the result is interleaved by pixel.
    pub(crate) fn look_up(&self, indices: &Samples) -> Samples {
        let colours: Vec<u16> =
            indices.iter().flat_map(|v| self.tables.each_ref().map(|table| table.apply(v))).collect();
        if self.bits() <= 8 {
            return Samples::U8(colours.into_iter().map(|colour| colour as u8).collect());
        }
        Samples::U16(colours)
    }
}

/// Unsigned samples as wide as `samples`, from values that fit in that width.
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
