//! Compressed frames.

mod rle;

use std::io::Read;
use std::path::Path;

use crate::attributes::Shape;
use crate::samples::Samples;
use crate::{Error, Result};

/// One compressed frame and what it must become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) path: &'a Path,
    pub(crate) index: u32,
    pub(crate) shape: &'a Shape,
    pub(crate) bytes: &'a [u8],
}

impl Job<'_> {
    fn error(&self, codec: &'static str, reason: impl Into<String>) -> Error {
        Error::Codec { path: self.path.to_path_buf(), frame: self.index, codec, reason: reason.into() }
    }
}

/// Inflates a frame of raw deflate, no further than the frame's native size.
pub(crate) fn inflate(job: &Job<'_>) -> Result<Vec<u8>> {
    let needed = job.shape.native_bits().div_ceil(8);
    let mut bytes = Vec::new();
    let decoder = flate2::read::DeflateDecoder::new(job.bytes);
    decoder.take(needed).read_to_end(&mut bytes).map_err(|_| job.error("deflate", "the stream is corrupt"))?;
    Ok(bytes)
}

/// Decodes RLE to native little-endian bytes, interleaved by pixel.
pub(crate) fn rle(job: &Job<'_>) -> Result<Vec<u8>> {
    let width = usize::from(job.shape.bits_allocated.div_ceil(8));
    let size = rle::Size { pixels: job.shape.pixels() as usize, samples: usize::from(job.shape.samples), width };
    rle::decode(job.bytes, size).map_err(|reason| job.error("RLE", reason))
}

pub(crate) fn jpeg(job: &Job<'_>) -> Result<Samples> {
    Err(job.error("JPEG", "not yet"))
}
pub(crate) fn jpeg_ls(job: &Job<'_>) -> Result<Samples> {
    Err(job.error("JPEG-LS", "not yet"))
}
pub(crate) fn jpeg_2000(job: &Job<'_>) -> Result<Samples> {
    Err(job.error("JPEG 2000", "not yet"))
}
