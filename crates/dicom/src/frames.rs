//! Reads the frames of an open file from their places in it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::codec::{self, Decoded};
use crate::file::{Compression, File};
use crate::fragments;
use crate::header::Header;
use crate::pixel_data::{Layout, Numbers, Span};
use crate::samples::{self, Samples};
use crate::shape::Shape;
use crate::source::Source;
use crate::{Error, Limits, Result};

/// Reads frames; the source is locked only while bytes are copied from it.
#[derive(Debug)]
pub(crate) struct Frames {
    source: Mutex<Source>,
    path: std::path::PathBuf,
    pub(crate) shape: Shape,
    pub(crate) numbers: Numbers,
    /// Frames in the pixel data beyond the stated number.
    pub(crate) left_over: u32,
    compression: Compression,
    big_endian: bool,
    words: bool,
    place: Place,
    limits: Limits,
}

#[derive(Debug)]
enum Place {
    Native(Span),
    Fragments { fragments: Vec<Span>, starts: Vec<u32> },
}

impl Frames {
    /// Takes over the source of a file; returns its header and meta group.
    pub(crate) fn new(mut file: File, limits: &Limits) -> Result<(Self, Parts)> {
        let path = file.source.path().to_path_buf();
        let data = file
            .header
            .pixel_data
            .take()
            .ok_or_else(|| Error::Missing { path: path.clone(), what: "PixelData (7FE0,0010)".into() })?;
        let Some(compression) = file.syntax.compression else {
            return Err(Error::Unsupported {
                path,
                what: "the transfer syntax".into(),
                found: if is_standard(&file.syntax_uid) { file.syntax_uid } else { "with a private UID".into() },
                expected: "native, deflated, RLE, JPEG, JPEG-LS or JPEG 2000".into(),
            });
        };
        let root = file.header.root(&path);
        let mut shape = Shape::read(&root, data.numbers, limits)?;
        if compression != Compression::None && data.numbers != Numbers::Integer {
            return Err(Error::Invalid {
                path,
                what: "the transfer syntax".into(),
                found: "compressed floating-point pixel data".into(),
                expected: "a native transfer syntax".into(),
            });
        }
        let (place, left_over) = match data.layout {
            Layout::Native(span) => {
                shape.check_length(&root, span)?;
                (Place::Native(span), shape.left_over(span))
            }
            Layout::Encapsulated { table, fragments } => {
                let left_over = fragments::left_over(&mut file.source, &root, &table, &fragments, shape.frames)?;
                let starts = fragments::frame_starts(&mut file.source, &root, &table, &fragments, shape.frames)?;
                (Place::Fragments { fragments, starts }, left_over)
            }
        };
        // A decoder returns every pixel with all its samples, so the colour is no longer at half the resolution.
        let native = matches!(compression, Compression::None | Compression::Encapsulated | Compression::DeflatedFrames);
        if !native && shape.photometric == crate::Photometric::YbrFull422 {
            shape.photometric = crate::Photometric::YbrFull;
        }
        let frames = Self {
            source: Mutex::new(file.source),
            path,
            shape,
            numbers: data.numbers,
            left_over,
            compression,
            big_endian: data.big_endian,
            words: data.words,
            place,
            limits: limits.clone(),
        };
        Ok((
            frames,
            Parts { header: file.header, meta: file.meta, syntax_uid: file.syntax_uid, lossy: file.syntax.lossy },
        ))
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    pub(crate) fn check(&self, index: u32) -> Result<()> {
        if index >= self.shape.frames {
            return Err(Error::OutOfRange {
                path: self.path.clone(),
                what: "frame",
                asked: u64::from(index),
                count: u64::from(self.shape.frames),
            });
        }
        Ok(())
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        // Every reader seeks first, so a source is usable even after another thread panicked with it.
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stored values of one frame, with the colour space of the codestream if it contradicts the header.
    pub(crate) fn stored(&self, index: u32) -> Result<Decoded> {
        self.check(index)?;
        let plain = |samples| Decoded { samples, photometric: None };
        let bytes = match &self.place {
            Place::Native(span) => return self.native(*span, index, &self.shape).map(plain),
            Place::Fragments { fragments, starts } => self.compressed(fragments, starts, index)?,
        };
        let codec = codec::Job { path: &self.path, index, shape: &self.shape, bytes: &bytes, limits: &self.limits };
        match self.compression {
            Compression::None | Compression::Encapsulated => self.whole_frame(&bytes, &self.shape).map(plain),
            Compression::DeflatedFrames => self.whole_frame(&codec::inflate(&codec)?, &self.shape).map(plain),
            Compression::Rle => {
                let bytes = codec::rle(&codec)?;
                Ok(plain(samples::from_native(&bytes, &self.shape.interleaved(), self.numbers)))
            }
            Compression::Jpeg => codec::jpeg(&codec),
            Compression::JpegLs => codec::jpeg_ls(&codec),
            Compression::Jpeg2000 => codec::jpeg_2000(&codec),
        }
    }

    /// Whether a value of a frame has bits above Bits Stored that are not its sign. Only native frames of up to 16 bits can.
    pub(crate) fn has_higher_bits(&self, index: u32) -> Result<bool> {
        self.check(index)?;
        let Shape { bits_allocated, bits_stored, high_bit, .. } = self.shape;
        let unused = matches!(bits_allocated, 8 | 16) && bits_stored < bits_allocated && high_bit + 1 == bits_stored;
        let (Place::Native(span), true) = (&self.place, unused) else { return Ok(false) };
        let all = Shape { bits_stored: bits_allocated, high_bit: bits_allocated - 1, ..self.shape };
        let range = f64::from(1_u32 << bits_stored);
        // A negative number may have zeros in place of its sign, so that it looks like one beyond the positive ones.
        let lowest = if self.shape.signed { -range / 2.0 } else { 0.0 };
        Ok(self.native(*span, index, &all)?.iter().any(|value| !(lowest..range).contains(&value)))
    }

    /// Stored values of a frame from its native bytes.
    fn whole_frame(&self, bytes: &[u8], shape: &Shape) -> Result<Samples> {
        let needed = self.shape.native_bits().div_ceil(8);
        if (bytes.len() as u64) < needed {
            return Err(Error::Truncated {
                path: self.path.clone(),
                what: "a frame".into(),
                needed,
                found: bytes.len() as u64,
            });
        }
        Ok(samples::from_native(bytes, shape, self.numbers))
    }

    /// Reads a frame of native pixel data; the sizes give its position. `shape` says which bits count.
    fn native(&self, span: Span, index: u32, shape: &Shape) -> Result<Samples> {
        let bits = self.shape.native_bits();
        let first_bit = bits * u64::from(index);
        // 8-bit samples written as 16-bit words in big endian are in swapped pairs.
        let swapped = self.big_endian && self.words && self.shape.bits_allocated <= 8;
        let align = if swapped { 2 } else { 1 };
        let from = first_bit / 8 / align * align;
        let to = (first_bit + bits).div_ceil(8).next_multiple_of(align).min(span.length);
        let mut bytes = {
            let mut source = self.source();
            source.seek(span.offset + from)?;
            source.read_vec((to - from) as usize, || format!("frame {index}"))?
        };
        let width = usize::from(self.shape.bits_allocated / 8);
        if swapped {
            bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.reverse());
        } else if self.big_endian && width > 1 {
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        if self.shape.bits_allocated == 1 {
            let offset = (first_bit - from * 8) as usize;
            return Ok(Samples::U8(samples::bits(&bytes, offset, self.shape.values() as usize)));
        }
        self.whole_frame(&bytes[(first_bit / 8 - from) as usize..], shape)
    }

    /// Reads the fragments of a frame and joins them.
    fn compressed(&self, fragments: &[Span], starts: &[u32], index: u32) -> Result<Vec<u8>> {
        let at = |place: usize| starts.get(place).map_or(fragments.len(), |&start| start as usize);
        let spans = &fragments[at(index as usize)..at(index as usize + 1)];
        let total: u64 = spans.iter().map(|span| span.length).sum();
        if total > self.limits.max_bytes / 2 {
            return Err(Error::Limit {
                path: self.path.clone(),
                what: format!("the compressed size of frame {index}"),
                found: total,
                limit: self.limits.max_bytes / 2,
                setting: "max_bytes",
            });
        }
        let mut bytes = Vec::new();
        let mut source = self.source();
        for span in spans {
            source.seek(span.offset)?;
            bytes.extend(source.read_vec(span.length as usize, || format!("a fragment of frame {index}"))?);
        }
        Ok(bytes)
    }
}

/// Whether the standard defines a UID; other UIDs may reveal where a file comes from.
fn is_standard(uid: &str) -> bool {
    uid.starts_with("1.2.840.10008.")
}

/// The parts of a file that remain when its frames are taken out.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) header: Header,
    pub(crate) meta: Header,
    pub(crate) syntax_uid: String,
    pub(crate) lossy: bool,
}
