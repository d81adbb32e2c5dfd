//! Compressed frames.

mod jpeg;
mod jpeg_2000;
mod jpeg_ls;
mod markers;
mod rle;

use std::io::Read;
use std::path::Path;

use crate::samples::{self, Samples};
use crate::shape::Shape;
use crate::{Error, Limits, Photometric, Result};

/// One compressed frame, with the shape that it must decode to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) path: &'a Path,
    pub(crate) index: u32,
    pub(crate) shape: &'a Shape,
    pub(crate) bytes: &'a [u8],
    pub(crate) limits: &'a Limits,
}

impl Job<'_> {
    fn error(&self, codec: &'static str, reason: impl Into<String>) -> Error {
        Error::Codec { path: self.path.to_path_buf(), frame: self.index, codec, reason: reason.into() }
    }

    fn size(&self) -> (usize, usize, usize) {
        (self.shape.rows as usize, self.shape.columns as usize, usize::from(self.shape.samples))
    }

    /// Converts decoded words to samples; their precision must not exceed Bits Allocated.
    fn words(&self, codec: &'static str, words: &[u16], precision: u8) -> Result<Samples> {
        if u16::from(precision) > self.shape.bits_allocated {
            let allocated = self.shape.bits_allocated;
            return Err(self.error(
                codec,
                format!("found {precision} bits per sample, expected at most {allocated} (Bits Allocated)"),
            ));
        }
        Ok(samples::from_words(words, self.shape, precision))
    }
}

/// Inflates a frame of raw deflate data, but not beyond the frame's native size.
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

/// The result of decoding a frame.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) samples: Samples,
    /// The colour space of the codestream, if it contradicts the header.
    pub(crate) photometric: Option<Photometric>,
}

/// Decodes the JPEG processes that DICOM uses.
pub(crate) fn jpeg(job: &Job<'_>) -> Result<Decoded> {
    let (rows, columns, samples) = job.size();
    let decoded = jpeg::decode(job.bytes, rows, columns, samples).map_err(|reason| job.error("JPEG", reason))?;
    let photometric = match (decoded.colours, job.shape.photometric) {
        (jpeg::Colours::Rgb, _) => Some(Photometric::Rgb),
        (jpeg::Colours::Ycc, Photometric::Rgb) => Some(Photometric::YbrFull),
        _ => None,
    };
    Ok(Decoded { samples: job.words("JPEG", &decoded.values, decoded.precision)?, photometric })
}

/// Decodes JPEG-LS.
pub(crate) fn jpeg_ls(job: &Job<'_>) -> Result<Decoded> {
    let (rows, columns, samples) = job.size();
    let decoded = jpeg_ls::decode(job.bytes, rows, columns, samples).map_err(|reason| job.error("JPEG-LS", reason))?;
    Ok(Decoded { samples: job.words("JPEG-LS", &decoded.values, decoded.precision)?, photometric: None })
}

/// Decodes JPEG 2000 and undoes its colour transforms.
pub(crate) fn jpeg_2000(job: &Job<'_>) -> Result<Decoded> {
    let (rows, columns, samples) = job.size();
    let decoded = jpeg_2000::decode(job.bytes, rows, columns, samples, job.limits);
    let decoded = decoded.map_err(|failure| match failure {
        jpeg_2000::Failure::Codestream(reason) => job.error("JPEG 2000", reason),
        jpeg_2000::Failure::Limit { what, found, limit, setting } => {
            Error::Limit { path: job.path.to_path_buf(), what: what.into(), found, limit, setting }
        }
    })?;
    Ok(Decoded { samples: job.words("JPEG 2000", &decoded.values, decoded.precision)?, photometric: None })
}
