//! From attributes to [`ImageInfo`] and to the shape of the pixel data, with contradictions refused.

use dicom_dictionary_std::{tags, uids};

use crate::dataset::Dataset;
use crate::frames::Parts;
use crate::pixel_data::{Numbers, Span};
use crate::{Error, Identifier, ImageInfo, Laterality, Limits, ObjectKind, Photometric, Result};

/// The numbers that decide how pixel data is cut into samples.
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

    /// Bits of one frame as it lies in native pixel data.
    pub(crate) fn native_bits(&self) -> u64 {
        let samples = if self.photometric == Photometric::YbrFull422 { 2 } else { u64::from(self.samples) };
        self.pixels() * samples * u64::from(self.bits_allocated)
    }

    /// The same frame with the samples of each pixel side by side.
    pub(crate) fn interleaved(&self) -> Self {
        Self { planar: false, ..*self }
    }

    /// Reads the image pixel module and holds its parts against each other and against the limits.
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
            // 0 is against the standard; pydicom reads it as 1 as well.
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
        // Compressed bytes, decoded bytes and one float a sample may stand beside each other.
        let memory = shape.values().saturating_mul(8);
        if memory > limits.max_bytes {
            return Err(limit(root, "the memory to decode a frame", memory, limits.max_bytes, "max_bytes"));
        }
        Ok(shape)
    }

    /// Holds the length of native pixel data against the stated number of frames.
    pub(crate) fn check_length(&self, root: &Dataset<'_>, span: Span) -> Result<()> {
        let needed = (self.native_bits() * u64::from(self.frames)).div_ceil(8);
        if span.length < needed {
            return Err(Error::Invalid {
                path: root.path().to_path_buf(),
                what: "the length of the pixel data".into(),
                found: format!("{} bytes", span.length),
                expected: format!(
                    "{needed} for {} frames of {} x {} pixels, {} samples of {} bits",
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
            return Err(root.invalid(tag, "another term", expected));
        }
    })
}

/// Reads what holds for every frame. `shape` must come from the same data set.
pub(crate) fn image_info(file: &Parts, root: &Dataset<'_>, shape: &Shape) -> ImageInfo {
    let owned = |tag| root.uid(tag).map(String::from);
    let meta = file.meta.root(root.path());
    let sop_class = owned(tags::SOP_CLASS_UID)
        .or_else(|| meta.uid(tags::MEDIA_STORAGE_SOP_CLASS_UID).map(String::from))
        .unwrap_or_default();
    let sop_instance = owned(tags::SOP_INSTANCE_UID)
        .or_else(|| meta.uid(tags::MEDIA_STORAGE_SOP_INSTANCE_UID).map(String::from))
        .unwrap_or_default();
    let yes = |tag| match root.text(tag) {
        Some("YES") => Some(true),
        Some("NO") => Some(false),
        _ => None,
    };
    let laterality =
        laterality(root, tags::IMAGE_LATERALITY).or_else(|| laterality(root, tags::LATERALITY)).or_else(|| {
            let shared = root.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)?;
            let anatomy = shared.item(tags::FRAME_ANATOMY_SEQUENCE)?;
            self::laterality(&anatomy, tags::FRAME_LATERALITY)
        });
    ImageInfo {
        kind: kind(&sop_class),
        sop_class,
        sop_instance,
        series: owned(tags::SERIES_INSTANCE_UID),
        study: owned(tags::STUDY_INSTANCE_UID),
        frame_of_reference: owned(tags::FRAME_OF_REFERENCE_UID),
        transfer_syntax: file.syntax_uid.clone(),
        modality: root.text(tags::MODALITY).filter(|text| is_code(text)).map(String::from),
        patient_id: root.text(tags::PATIENT_ID).map(|text| Identifier(text.into())),
        rows: shape.rows,
        columns: shape.columns,
        frames: shape.frames,
        samples_per_pixel: shape.samples,
        bits_allocated: shape.bits_allocated,
        bits_stored: shape.bits_stored,
        high_bit: shape.high_bit,
        signed: shape.signed,
        photometric: shape.photometric,
        padding: padding(root, shape),
        laterality,
        view: view(root),
        burned_in_annotation: yes(tags::BURNED_IN_ANNOTATION),
        synthetic: yes(dicom_core::Tag(0x0008, 0x001C)),
        lossy: file.lossy || root.text(tags::LOSSY_IMAGE_COMPRESSION) == Some("01"),
    }
}

/// A code string that is surely no name: up to 16 capitals, digits and underscores.
fn is_code(text: &str) -> bool {
    text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn kind(sop_class: &str) -> ObjectKind {
    match sop_class {
        uids::BREAST_TOMOSYNTHESIS_IMAGE_STORAGE => ObjectKind::BreastTomosynthesis,
        uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION => ObjectKind::MammographyForPresentation,
        uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING => ObjectKind::MammographyForProcessing,
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE
        | uids::MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE
        | uids::MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE
        | uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE
        | uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE => ObjectKind::SecondaryCapture,
        _ => ObjectKind::Other,
    }
}

pub(crate) fn laterality(dataset: &Dataset<'_>, tag: dicom_core::Tag) -> Option<Laterality> {
    match dataset.text(tag)? {
        "L" => Some(Laterality::Left),
        "R" => Some(Laterality::Right),
        "B" => Some(Laterality::Both),
        "U" => Some(Laterality::Unpaired),
        _ => None,
    }
}

/// Pixel Padding Value and Range Limit, read with the sign of the pixels.
fn padding(root: &Dataset<'_>, shape: &Shape) -> Option<(i64, i64)> {
    let value = |tag| {
        let numbers = root.get(tag)?.numbers(shape.signed).ok()?;
        numbers.first().map(|&number| number as i64)
    };
    let first = value(tags::PIXEL_PADDING_VALUE)?;
    let second = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first);
    Some((first.min(second), first.max(second)))
}

/// The defined terms of View Position: of projection radiography (PS3.3 C.8.1.2 and C.8.11.5) and of mammography, with the
/// acronyms of CID 4014. Whatever else stands there could be anything, a name too.
const VIEWS: [&str; 28] = [
    "AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "CC", "MLO", "ML", "LM", "LMO", "FB", "SIO", "ISO", "XCC",
    "XCCL", "XCCM", "AT", "CV", "RM", "RI", "RS", "TAN", "SPECIMEN", "MAG", "CCID",
];

/// View Position, else the acronym of CID 4014's code (SNOMED CT, or SNOMED RT before 2019).
fn view(root: &Dataset<'_>) -> Option<String> {
    let stated = root.text(tags::VIEW_POSITION).filter(|text| VIEWS.contains(text));
    stated.map(String::from).or_else(|| {
        let code = root.item(tags::VIEW_CODE_SEQUENCE)?;
        let acronym = match code.text(tags::CODE_VALUE)? {
            "399260004" | "R-10224" => "ML",
            "399368009" | "R-10226" => "MLO",
            "399352003" | "R-10228" => "LM",
            "399099002" | "R-10230" => "LMO",
            "399162004" | "R-10242" => "CC",
            "399196006" | "R-10244" => "FB",
            "399188001" | "R-102D0" => "SIO",
            "441555000" | "R-40AAA" => "ISO",
            "399192008" | "R-1024A" => "XCCL",
            "399101009" | "R-1024B" => "XCCM",
            _ => return None,
        };
        Some(acronym.into())
    })
}
