//! Images: frames read from where they lie, decoded one at a time.

use std::path::Path;

use crate::{FrameInfo, ImageInfo, Limits, Result, Voi};

/// An open image. Its header is in memory, its pixel data stays in the file. Frames can be read from several threads.
#[derive(Debug)]
pub struct Image {}

impl Image {
    /// Opens an image; reads its header only.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        todo!()
    }

    /// Opens an image that lies in memory; `name` stands for the path in errors.
    pub fn from_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Result<Self> {
        todo!()
    }

    /// What holds for every frame.
    pub fn info(&self) -> &ImageInfo {
        todo!()
    }

    /// Geometry, laterality and value transformations of a frame, counted from 0.
    pub fn frame_info(&self, index: u32) -> Result<FrameInfo> {
        todo!()
    }

    /// Reads and decodes a frame, counted from 0.
    pub fn frame(&self, index: u32) -> Result<Frame> {
        todo!()
    }
}

/// Stored values, row by row; the samples of a pixel stand together. One variant for each width that DICOM has.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Unsigned, up to 8 bits (also 1-bit data, one value a pixel).
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
        todo!()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`; every stored value is exact in f64. 0 beyond the end.
    pub fn get(&self, index: usize) -> f64 {
        todo!()
    }

    /// Every value in turn, as f64.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Windowed values with the range that they can take.
#[derive(Debug, Clone, PartialEq)]
pub struct Windowed {
    /// rows * columns values.
    pub values: Vec<f64>,
    /// The value of the darkest end of the range.
    pub low: f64,
    /// The value of its other end.
    pub high: f64,
}

/// One decoded frame, with what turns its values into other stages.
#[derive(Debug, Clone)]
pub struct Frame {}

impl Frame {
    /// Place in the object, counted from 0.
    pub fn index(&self) -> u32 {
        todo!()
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        todo!()
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        todo!()
    }

    /// Samples a pixel: 1 (gray, or an index into a palette) or 3.
    pub fn samples_per_pixel(&self) -> usize {
        todo!()
    }

    /// Stored values: rows * columns * samples a pixel.
    pub fn stored(&self) -> &Samples {
        todo!()
    }

    /// Modality values of a gray frame: rescale slope and intercept, or the modality LUT. rows * columns.
    /// Colour is [`crate::Error::Unsupported`]: see [`Frame::to_gray`].
    pub fn modality(&self) -> Result<Vec<f64>> {
        todo!()
    }

    /// Windowed values of a gray frame, as pydicom's `apply_modality_lut` then `apply_voi_lut` give them (MONOCHROME1 is not
    /// inverted). rows * columns, with the range of the output.
    pub fn windowed(&self, voi: &Voi) -> Result<Windowed> {
        todo!()
    }

    /// What a screen shows of a gray frame: windowed, scaled to 0 (black) to 1 (white), MONOCHROME1 inverted. rows * columns.
    pub fn display(&self, voi: &Voi) -> Result<Vec<f32>> {
        todo!()
    }

    /// Red, green and blue of a colour or palette frame, interleaved: rows * columns * 3.
    pub fn to_rgb(&self) -> Result<Frame> {
        todo!()
    }

    /// A gray frame from a colour one: palette looked up, YBR made RGB, then luma (ITU-R BT.601: 0.299, 0.587, 0.114)
    /// rounded to the width of the samples. A gray frame comes back as it is.
    pub fn to_gray(self) -> Result<Frame> {
        todo!()
    }
}
