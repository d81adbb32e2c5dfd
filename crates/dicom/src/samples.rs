//! Stored values: converts bytes or decoded words to numbers of the width that the header states.

use crate::pixel_data::Numbers;
use crate::shape::Shape;

/// Stored values, row by row; the samples of a pixel are adjacent. There is one variant for each type that DICOM has.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Unsigned, up to 8 bits (also 1-bit data, one value per pixel).
    U8(Vec<u8>),
    /// Signed, up to 8 bits.
    I8(Vec<i8>),
    /// Unsigned, 9 to 16 bits.
    U16(Vec<u16>),
    /// Signed, 9 to 16 bits.
    I16(Vec<i16>),
    /// Unsigned, 17 to 32 bits.
    U32(Vec<u32>),
    /// Signed, 17 to 32 bits.
    I32(Vec<i32>),
    /// Float Pixel Data.
    F32(Vec<f32>),
    /// Double Float Pixel Data.
    F64(Vec<f64>),
}

impl Samples {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`, or 0 beyond the end. Every stored value is exact in f64.
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::U8(values) => values.get(index).map_or(0.0, |&v| f64::from(v)),
            Self::I8(values) => values.get(index).map_or(0.0, |&v| f64::from(v)),
            Self::U16(values) => values.get(index).map_or(0.0, |&v| f64::from(v)),
            Self::I16(values) => values.get(index).map_or(0.0, |&v| f64::from(v)),
            Self::U32(values) => values.get(index).map_or(0.0, |&v| f64::from(v)),
            Self::I32(values) => values.get(index).map_or(0.0, |&v| f64::from(v)),
            Self::F32(values) => values.get(index).map_or(0.0, |&v| f64::from(v)),
            Self::F64(values) => values.get(index).copied().unwrap_or(0.0),
        }
    }

    /// All values in order, as f64.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Whether the values are floating-point numbers.
    pub(crate) fn is_float(&self) -> bool {
        matches!(self, Self::F32(_) | Self::F64(_))
    }

    /// Applies `map` to every value. The variant is matched once, not for each value.
    pub(crate) fn map<T>(&self, map: impl Fn(f64) -> T) -> Vec<T> {
        match self {
            Self::U8(values) => values.iter().map(|&v| map(f64::from(v))).collect(),
            Self::I8(values) => values.iter().map(|&v| map(f64::from(v))).collect(),
            Self::U16(values) => values.iter().map(|&v| map(f64::from(v))).collect(),
            Self::I16(values) => values.iter().map(|&v| map(f64::from(v))).collect(),
            Self::U32(values) => values.iter().map(|&v| map(f64::from(v))).collect(),
            Self::I32(values) => values.iter().map(|&v| map(f64::from(v))).collect(),
            Self::F32(values) => values.iter().map(|&v| map(f64::from(v))).collect(),
            Self::F64(values) => values.iter().map(|&v| map(v)).collect(),
        }
    }
}

/// The position of a sample's bits in its container.
#[derive(Debug, Clone, Copy)]
struct Field {
    shift: u32,
    bits: u32,
    signed: bool,
}

impl Field {
    /// The sample in a container of up to 32 bits, with its sign extended.
    fn cut(self, container: u32) -> i64 {
        let moved = container >> self.shift;
        let value = if self.bits >= 32 { moved } else { moved & ((1 << self.bits) - 1) };
        let sign = 1_i64 << (self.bits - 1);
        let value = i64::from(value);
        if self.signed && value & sign != 0 { value - (sign << 1) } else { value }
    }
}

/// Cuts samples from containers: `field` says which bits count, and `width` decides the type of the result.
fn narrow(containers: impl Iterator<Item = u32>, field: Field, width: u32) -> Samples {
    let cut = containers.map(move |container| field.cut(container));
    match (width, field.signed) {
        (..=8, false) => Samples::U8(cut.map(|v| v as u8).collect()),
        (..=8, true) => Samples::I8(cut.map(|v| v as i8).collect()),
        (9..=16, false) => Samples::U16(cut.map(|v| v as u16).collect()),
        (9..=16, true) => Samples::I16(cut.map(|v| v as i16).collect()),
        (_, false) => Samples::U32(cut.map(|v| v as u32).collect()),
        (_, true) => Samples::I32(cut.map(|v| v as i32).collect()),
    }
}

/// Samples of one frame from little-endian native bytes, interleaved by pixel (planar data is reordered). `bytes` must hold
/// the whole frame; bit-packed data begins at bit 0.
pub(crate) fn from_native(bytes: &[u8], shape: &Shape, numbers: Numbers) -> Samples {
    let values = shape.values() as usize;
    match numbers {
        Numbers::Float => {
            let floats = bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk));
            return Samples::F32(floats.take(values).collect());
        }
        Numbers::Double => {
            let floats = bytes.as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk));
            return Samples::F64(floats.take(values).collect());
        }
        Numbers::Integer => {}
    }
    if shape.bits_allocated == 1 {
        return Samples::U8(bits(bytes, 0, values));
    }
    let field = Field {
        shift: u32::from(shape.high_bit + 1 - shape.bits_stored),
        bits: u32::from(shape.bits_stored),
        signed: shape.signed,
    };
    let width = u32::from(shape.bits_allocated);
    let order = Order::of(shape);
    let container = |index: usize| -> u32 {
        let at = |place: usize| u32::from(bytes.get(place).copied().unwrap_or(0));
        match width {
            8 => at(index),
            16 => at(2 * index) | at(2 * index + 1) << 8,
            _ => (0..4).map(|byte| at(4 * index + byte) << (8 * byte)).sum(),
        }
    };
    narrow((0..values).map(|value| container(order.place(value))), field, width)
}

/// Samples of one frame from decoded words that are interleaved by pixel. `precision` is that of the codestream.
pub(crate) fn from_words(words: &[u16], shape: &Shape, precision: u8) -> Samples {
    let precision = u32::from(precision);
    // A codestream may be wider than Bits Stored (16 for 12): the sign is then the highest of the stored bits. If it is
    // narrower, the sign is its own highest bit.
    let bits = if shape.signed { precision.min(u32::from(shape.bits_stored)) } else { precision };
    let field = Field { shift: 0, bits: bits.max(1), signed: shape.signed };
    let width = precision.max(u32::from(shape.bits_stored));
    narrow(words.iter().map(|&word| u32::from(word)), field, width)
}

/// `count` bits from `bytes`, beginning at bit `first`, lowest bit of a byte first (PS3.5 8.1.1); 0 beyond the end.
pub(crate) fn bits(bytes: &[u8], first: usize, count: usize) -> Vec<u8> {
    (first..first + count).map(|bit| bytes.get(bit / 8).map_or(0, |byte| byte >> (bit % 8) & 1)).collect()
}

/// The order of the containers in the bytes, compared with pixel-interleaved values.
enum Order {
    Pixel,
    Plane {
        pixels: usize,
        samples: usize,
    },
    /// Y1 Y2 Cb Cr for each pair of pixels.
    HalfColour,
}

impl Order {
    fn of(shape: &Shape) -> Self {
        if shape.photometric == crate::Photometric::YbrFull422 {
            Self::HalfColour
        } else if shape.planar {
            Self::Plane { pixels: shape.pixels() as usize, samples: usize::from(shape.samples) }
        } else {
            Self::Pixel
        }
    }

    fn place(&self, value: usize) -> usize {
        match *self {
            Self::Pixel => value,
            Self::Plane { pixels, samples } => (value % samples) * pixels + value / samples,
            Self::HalfColour => {
                let (pixel, sample) = (value / 3, value % 3);
                let pair = pixel / 2 * 4;
                if sample == 0 { pair + pixel % 2 } else { pair + 1 + sample }
            }
        }
    }
}
