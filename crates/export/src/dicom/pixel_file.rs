//! Files whose pixel data are written frame by frame.

use std::io::Write;

use pig_data::classes::Coding;

use crate::error::{ExportError, Result};
use crate::request::SegmentationType;
use crate::staging::StagedFile;

/// A file whose pixel data are being written.
pub(super) struct PixelFile {
    file: StagedFile,
    odd: bool,
}

impl PixelFile {
    /// Writes the head of the element Pixel Data (7FE0,0010), which is the last of its object.
    pub(super) fn begin(mut file: StagedFile, length: usize, vr: &str) -> Result<Self> {
        let odd = length % 2 == 1;
        let even = (length + usize::from(odd)) as u32;
        file.put(&[0xe0, 0x7f, 0x10, 0x00])?;
        file.put(vr.as_bytes())?;
        file.put(&[0, 0])?;
        file.put(&even.to_le_bytes())?;
        Ok(Self { file, odd })
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.file.path().to_path_buf();
        self.file.write_all(bytes).map_err(ExportError::io(&path, "write"))
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if self.odd {
            self.put(&[0])?;
        }
        self.file.finish()
    }
}

/// The file of a segmentation that is being written.
pub(super) enum MaskFile {
    /// A frame of bits for each class.
    Binary(BitFile),
    /// A frame of labels.
    Labelmap(PixelFile),
}

impl MaskFile {
    /// Begins pixel data of so many pixels in all frames together.
    pub(super) fn begin(file: StagedFile, kind: SegmentationType, pixels: usize) -> Result<Self> {
        Ok(match kind {
            SegmentationType::Binary => {
                Self::Binary(BitFile { file: PixelFile::begin(file, pixels.div_ceil(8), "OB")?, byte: 0, filled: 0 })
            }
            SegmentationType::Labelmap => Self::Labelmap(PixelFile::begin(file, pixels, "OB")?),
        })
    }

    /// Writes the frames of a label map.
    pub(super) fn put(&mut self, labels: &[u8], coding: Coding) -> Result<()> {
        match self {
            Self::Binary(file) => (0..coding.classes).try_for_each(|class| file.put(&coding.mask(labels, class))),
            Self::Labelmap(file) => file.put(labels),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Binary(file) => file.finish(),
            Self::Labelmap(file) => file.finish(),
        }
    }
}

/// Bits that are being written: the first pixel is the lowest bit, and frames follow without a gap.
pub(super) struct BitFile {
    file: PixelFile,
    byte: u8,
    filled: u32,
}

impl BitFile {
    fn put(&mut self, mask: &[bool]) -> Result<()> {
        let mut bytes = Vec::with_capacity(mask.len() / 8 + 1);
        for &inside in mask {
            self.byte |= u8::from(inside) << self.filled;
            self.filled += 1;
            if self.filled == 8 {
                bytes.push(self.byte);
                (self.byte, self.filled) = (0, 0);
            }
        }
        self.file.put(&bytes)
    }

    fn finish(mut self) -> Result<()> {
        if self.filled > 0 {
            self.file.put(&[self.byte])?;
        }
        self.file.finish()
    }
}
