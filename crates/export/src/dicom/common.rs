//! Attributes that the image and its segmentation share: patient, study and series, and maker.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

use super::element::{Object, decimal};
use super::uid::Uids;
use crate::error::Result;
use crate::job::{Job, MAKER};
use crate::pair::Origin;
use crate::pixels::Loaded;
use crate::stack::Stack;
use pig_data::write::keyword;

/// The facts from which both objects of a stack are made.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) frames: usize,
    /// Row and column spacing in millimetres, in the form of Pixel Spacing.
    pub(crate) pixel_spacing: Option<String>,
    pub(crate) slice_spacing: Option<f64>,
    pub(crate) synthetic: bool,
    /// How the pixels were made.
    pub(crate) derivation: String,
    pub(crate) image_class: &'static str,
    pub(crate) image_uid: String,
    pub(crate) image_series_uid: String,
    pub(crate) segmentation_uid: String,
    pub(crate) segmentation_series_uid: String,
    pub(crate) dimension_uid: String,
    study_uid: String,
    patient_id: String,
    date: String,
    time: String,
}

/// Which of the two series an object belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    Images,
    Segmentations,
}

impl About {
    /// `index` is the first pair of the stack, `loaded` its pixels.
    pub(crate) fn new(
        job: &Job<'_>,
        stack: &Stack,
        index: usize,
        loaded: &Loaded,
        [rows, columns]: [u16; 2],
    ) -> Result<Self> {
        let pair = job.pair(index);
        let created = humantime::format_rfc3339_micros(job.request.created).to_string();
        let seed = job.request.seed.to_le_bytes();
        let uids = Uids::new(&[MAKER.as_bytes(), &seed, created.as_bytes()]);
        let digest = stack.digest(job)?;
        let file: Vec<u8> = [stack.stem.as_bytes(), &digest].concat();
        // Images of a patient share a study; a generated pair has no patient, so it has its own study.
        let whose = if pair.origin == Origin::Real { pair.group.as_bytes() } else { &file };
        // 2026-11-22T17:20:00.000000Z
        let (date, time) = created.trim_end_matches('Z').split_once('T').unwrap_or_default();
        Ok(Self {
            rows,
            columns,
            frames: stack.members.len(),
            pixel_spacing: stack.spacing.map(|[x, y]| format!("{}\\{}", decimal(y), decimal(x))),
            slice_spacing: stack.slice_spacing,
            synthetic: pair.synthetic,
            derivation: derivation(pair.synthetic, loaded),
            image_class: match job.pairs.bit_depth {
                8 => uids::MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE,
                _ => uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE,
            },
            image_uid: uids.uid("image", &file),
            image_series_uid: uids.uid("image series", &file),
            segmentation_uid: uids.uid("segmentation", &file),
            segmentation_series_uid: uids.uid("segmentation series", &file),
            dimension_uid: uids.uid("dimensions", &file),
            study_uid: uids.uid("study", whose),
            patient_id: format!("PIG-{}", uids.word("patient", whose)),
            date: date.replace('-', ""),
            time: time.replace(':', ""),
        })
    }

    /// Patient, study, series, equipment and SOP common modules of an object with so many frames.
    pub(crate) fn object(&self, class: &str, series: Series, frames: usize) -> Object {
        let (modality, number, uid, series_uid) = match series {
            Series::Images => ("OT", "1", &self.image_uid, &self.image_series_uid),
            Series::Segmentations => ("SEG", "2", &self.segmentation_uid, &self.segmentation_series_uid),
        };
        Object::default()
            .text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")
            .text(tags::SOP_CLASS_UID, VR::UI, class)
            .text(tags::SOP_INSTANCE_UID, VR::UI, uid)
            .text(tags::SYNTHETIC_DATA, VR::CS, if self.synthetic { "YES" } else { "NO" })
            .text(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0000")
            .text(tags::CONTENT_DATE, VR::DA, &self.date)
            .text(tags::CONTENT_TIME, VR::TM, &self.time)
            .text(tags::PATIENT_NAME, VR::PN, if self.synthetic { "Synthetic^Pair" } else { "" })
            .text(tags::PATIENT_ID, VR::LO, &self.patient_id)
            .empty(tags::PATIENT_BIRTH_DATE, VR::DA)
            .empty(tags::PATIENT_SEX, VR::CS)
            .text(tags::STUDY_INSTANCE_UID, VR::UI, &self.study_uid)
            .empty(tags::STUDY_DATE, VR::DA)
            .empty(tags::STUDY_TIME, VR::TM)
            .empty(tags::REFERRING_PHYSICIAN_NAME, VR::PN)
            .text(tags::STUDY_ID, VR::SH, "1")
            .empty(tags::ACCESSION_NUMBER, VR::SH)
            .text(tags::MODALITY, VR::CS, modality)
            .text(tags::SERIES_INSTANCE_UID, VR::UI, series_uid)
            .text(tags::SERIES_NUMBER, VR::IS, number)
            .text(tags::SERIES_DESCRIPTION, VR::LO, if self.synthetic { "Synthetic, not acquired" } else { "Prepared" })
            .text(tags::MANUFACTURER, VR::LO, "pig")
            .text(tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"))
            .text(tags::INSTANCE_NUMBER, VR::IS, "1")
            .empty(tags::PATIENT_ORIENTATION, VR::CS)
            .text(tags::DERIVATION_DESCRIPTION, VR::ST, &self.derivation)
            .short(tags::SAMPLES_PER_PIXEL, 1)
            .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
            .text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string())
            .short(tags::ROWS, self.rows)
            .short(tags::COLUMNS, self.columns)
            .short(tags::PIXEL_REPRESENTATION, 0)
    }
}

/// A sentence on how the pixels were made.
fn derivation(synthetic: bool, loaded: &Loaded) -> String {
    if !synthetic {
        return "Pixels of a prepared image, which may have been cropped, resized or windowed; its source's headers were \
                not kept"
            .to_owned();
    }
    let said = [keyword::VERSION, "generator", keyword::MODEL_HASH, keyword::SETTINGS_HASH, keyword::SEED];
    let said = said.iter().filter_map(|key| loaded.text.get(*key).map(|value| format!("{key} {value}")));
    let said: Vec<String> = said.collect();
    let text = format!("Synthetic, not acquired from a patient; {}", said.join(", "));
    text.trim_end_matches("; ").chars().take(1024).collect()
}
