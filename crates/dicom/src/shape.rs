//! Reads the shape of the pixel data; contradictions are refused.

use dicom_dictionary_std::tags;

use crate::dataset::Dataset;
use crate::pixel_data::{Numbers, Span};
use crate::{Error, Limits, Photometric, Result};

/// The numbers that decide how pixel data is divided into samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) frames: u32,
    pub(crate) samples: u16,
    pub(crate) bits_allocated: u16,
    pub(crate) bits_stored: u16,
    pub(crate) high_bit: u16,
    pub(crate) signed: bool,
    /// Planar Configuration 1: all reds, then all greens, then all blues.
    pub(crate) planar: bool,
    pub(crate) photometric: Photometric,
}

impl Shape {
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Samples of one decoded frame.
    pub(crate) fn values(&self) -> u64 {
        self.pixels() * u64::from(self.samples)
    }

    /// Bits of one frame as stored in native pixel data.
    pub(crate) fn native_bits(&self) -> u64 {
        let samples = if self.photometric == Photometric::YbrFull422 { 2 } else { u64::from(self.samples) };
        self.pixels() * samples * u64::from(self.bits_allocated)
    }

    /// The same frame with the samples of each pixel side by side.
    pub(crate) fn interleaved(&self) -> Self {
        Self { planar: false, ..*self }
    }

    /// Reads the image pixel module and checks its attributes against each other and against the limits.
    pub(crate) fn read(root: &Dataset<'_>, numbers: Numbers, limits: &Limits) -> Result<Self> {
        let rows = size(root, tags::ROWS)?;
        let columns = size(root, tags::COLUMNS)?;
        let samples = root.required::<u16>(tags::SAMPLES_PER_PIXEL)?;
        if samples != 1 && samples != 3 {
            return Err(root.invalid(tags::SAMPLES_PER_PIXEL, samples.to_string(), "1 or 3"));
        }
        let photometric = photometric(root)?;
        let gray = matches!(photometric, Photometric::Monochrome1 | Photometric::Monochrome2 | Photometric::Palette);
        if gray != (samples == 1) {
            let expected =
                if gray { "1 for this Photometric Interpretation" } else { "3 for this Photometric Interpretation" };
            return Err(root.invalid(tags::SAMPLES_PER_PIXEL, samples.to_string(), expected));
        }
        let (bits_allocated, bits_stored, high_bit, signed) = bits(root, numbers)?;
        let frames = match root.unsigned(tags::NUMBER_OF_FRAMES)?.unwrap_or(1) {
            // The standard forbids 0; pydicom reads it as 1 too.
            0 => 1,
            frames => frames,
        };
        if frames > u64::from(limits.max_frames) {
            return Err(limit(root, "the number of frames", frames, u64::from(limits.max_frames), "max_frames"));
        }
        let planar = samples > 1 && root.unsigned(tags::PLANAR_CONFIGURATION)? == Some(1);
        let frames = frames as u32;
        let shape =
            Self { rows, columns, frames, samples, bits_allocated, bits_stored, high_bit, signed, planar, photometric };
        if shape.pixels() > limits.max_frame_pixels {
            return Err(limit(
                root,
                "the number of pixels of a frame",
                shape.pixels(),
                limits.max_frame_pixels,
                "max_frame_pixels",
            ));
        }
        // Compressed bytes, decoded bytes and one float per sample may be in memory at the same time.
        let memory = shape.values().saturating_mul(8);
        if memory > limits.max_bytes {
            return Err(limit(root, "the memory in bytes for decoding a frame", memory, limits.max_bytes, "max_bytes"));
        }
        Ok(shape)
    }

    /// How many whole frames native pixel data hold beyond the stated number.
    pub(crate) fn left_over(&self, span: Span) -> u32 {
        let used = (self.native_bits() * u64::from(self.frames)).div_ceil(8).next_multiple_of(2);
        let left = span.length.saturating_sub(used).saturating_mul(8) / self.native_bits().max(1);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Checks the length of native pixel data against the stated number of frames.
    pub(crate) fn check_length(&self, root: &Dataset<'_>, span: Span) -> Result<()> {
        let needed = (self.native_bits() * u64::from(self.frames)).div_ceil(8);
        if span.length < needed {
            return Err(Error::Invalid {
                path: root.path().to_path_buf(),
                what: "the length of the pixel data".into(),
                found: format!("{} bytes", span.length),
                expected: format!(
                    "at least {needed} for {} frames of {} x {} pixels with {} samples of {} bits",
                    self.frames, self.columns, self.rows, self.samples, self.bits_allocated
                ),
            });
        }
        Ok(())
    }
}

fn limit(root: &Dataset<'_>, what: &str, found: u64, limit: u64, setting: &'static str) -> Error {
    Error::Limit { path: root.path().to_path_buf(), what: what.into(), found, limit, setting }
}

fn size(root: &Dataset<'_>, tag: dicom_core::Tag) -> Result<u32> {
    let size = root.required::<u16>(tag)?;
    if size == 0 {
        return Err(root.invalid(tag, "0", "1 to 65535"));
    }
    Ok(u32::from(size))
}

/// Bits Allocated, Bits Stored, High Bit and Pixel Representation.
fn bits(root: &Dataset<'_>, numbers: Numbers) -> Result<(u16, u16, u16, bool)> {
    let allocated = root.required::<u16>(tags::BITS_ALLOCATED)?;
    let expected: &[u16] = match numbers {
        Numbers::Integer => &[1, 8, 16, 32],
        Numbers::Float => &[32],
        Numbers::Double => &[64],
    };
    if !expected.contains(&allocated) {
        let expected = expected.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        return Err(root.invalid(tags::BITS_ALLOCATED, allocated.to_string(), expected));
    }
    if numbers != Numbers::Integer {
        return Ok((allocated, allocated, allocated - 1, true));
    }
    let stored = root.required::<u16>(tags::BITS_STORED)?;
    if stored == 0 || stored > allocated {
        return Err(root.invalid(tags::BITS_STORED, stored.to_string(), format!("1 to {allocated} (Bits Allocated)")));
    }
    let high = root.unsigned(tags::HIGH_BIT)?.unwrap_or(u64::from(stored) - 1);
    if high + 1 < u64::from(stored) || high >= u64::from(allocated) {
        let expected = format!("{} to {} (Bits Stored, Bits Allocated)", stored - 1, allocated - 1);
        return Err(root.invalid(tags::HIGH_BIT, high.to_string(), expected));
    }
    let signed = match root.required::<u16>(tags::PIXEL_REPRESENTATION)? {
        0 => false,
        1 => true,
        other => return Err(root.invalid(tags::PIXEL_REPRESENTATION, other.to_string(), "0 or 1")),
    };
    Ok((allocated, stored, high as u16, signed))
}

fn photometric(root: &Dataset<'_>) -> Result<Photometric> {
    let tag = tags::PHOTOMETRIC_INTERPRETATION;
    Ok(match root.text(tag).ok_or_else(|| root.missing(tag))? {
        "MONOCHROME1" => Photometric::Monochrome1,
        "MONOCHROME2" => Photometric::Monochrome2,
        "PALETTE COLOR" => Photometric::Palette,
        "RGB" => Photometric::Rgb,
        "YBR_FULL" => Photometric::YbrFull,
        "YBR_FULL_422" => Photometric::YbrFull422,
        "YBR_RCT" => Photometric::YbrRct,
        "YBR_ICT" => Photometric::YbrIct,
        _ => {
            let expected = "MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB, YBR_FULL, YBR_FULL_422, YBR_RCT or YBR_ICT";
            return Err(root.invalid(tag, "an unknown term", expected));
        }
    })
}
