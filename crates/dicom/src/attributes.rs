//! Reads the attributes of an object into [`ImageInfo`].

use dicom_dictionary_std::{tags, uids};

use crate::dataset::Dataset;
use crate::frames::Parts;
use crate::shape::Shape;
use crate::{Identifier, ImageInfo, Laterality, ObjectKind};

/// Reads the attributes that hold for every frame. `shape` must come from the same data set; `left_over` is the number of frames
/// that the pixel data hold beyond it.
pub(crate) fn image_info(file: &Parts, root: &Dataset<'_>, shape: &Shape, left_over: u32) -> ImageInfo {
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
        patient_id: root.free_text(tags::PATIENT_ID).map(Identifier),
        rows: shape.rows,
        columns: shape.columns,
        frames: shape.frames,
        frames_left_over: left_over,
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

/// Whether text has the form of a code: at most 16 capital letters, digits and underscores. Other text could be a person's name.
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

/// Pixel Padding Value and Range Limit, read as signed numbers if the pixels are signed.
fn padding(root: &Dataset<'_>, shape: &Shape) -> Option<(i64, i64)> {
    let value = |tag| {
        let numbers = root.get(tag)?.numbers(shape.signed).ok()?;
        numbers.first().map(|&number| number as i64)
    };
    let first = value(tags::PIXEL_PADDING_VALUE)?;
    let second = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first);
    Some((first.min(second), first.max(second)))
}

/// The defined terms of View Position for projection radiography (PS3.3 C.8.1.2 and C.8.11.5) and for mammography, with the
/// acronyms of CID 4014. Any other value is ignored, because it could be free text, even a name.
const VIEWS: [&str; 28] = [
    "AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "CC", "MLO", "ML", "LM", "LMO", "FB", "SIO", "ISO", "XCC",
    "XCCL", "XCCM", "AT", "CV", "RM", "RI", "RS", "TAN", "SPECIMEN", "MAG", "CCID",
];

/// View Position, else the acronym of the CID 4014 code in the View Code Sequence (SNOMED CT, or SNOMED RT before 2019).
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
