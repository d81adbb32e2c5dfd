//! The mask: a Segmentation (PS3.3 A.51) of a segment for lesion or for each class. A binary one has a frame of each segment for each frame
//! of the image, even if it is empty; a label map has one frame of segment numbers for each frame of the image. The label of a segment is
//! the name of the class, and its code that of the class, or of a lesion.
//!
//! Every value of a label map must be described in the Segment Sequence (PS3.3 C.8.20.2.3.3), so its background is the segment 0, which
//! Pixel Padding Value marks as background.
//!
//! Each frame has the position of the image frame that Derivation Image names. Frames do not repeat the spacing, because Pixel
//! Measures would require a slice thickness, which nobody measured.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use pig_data::ClassConfig;

use super::common::{About, Series};
use super::element::Object;
use crate::job::MAKER;
use crate::request::SegmentationType;

/// The value of a label map where there is no lesion, and the number of the segment that describes it.
const BACKGROUND: u16 = 0;

/// The number of frames for so many frames of the image and so many classes.
pub(crate) fn frames(kind: SegmentationType, image_frames: usize, classes: usize) -> usize {
    match kind {
        SegmentationType::Binary => image_frames * classes,
        SegmentationType::Labelmap => image_frames,
    }
}

/// The object up to its pixel data, with segments of these classes. Those of a binary one may overlap.
pub(crate) fn object(
    about: &About,
    kind: SegmentationType,
    classes: &[ClassConfig],
    overlap: bool,
) -> InMemDicomObject {
    let described = classes.iter().enumerate().map(|(index, class)| class_segment(about, index as u16 + 1, class));
    let numbers = 1..=about.frames as u32;
    let (class, word, bits, segments, frames): (_, _, _, Vec<Object>, Vec<Object>) = match kind {
        SegmentationType::Binary => {
            let of = |number| (1..=classes.len() as u16).map(move |segment| frame(about, number, Some(segment)));
            (uids::SEGMENTATION_STORAGE, "BINARY", 1, described.collect(), numbers.flat_map(of).collect())
        }
        SegmentationType::Labelmap => (
            uids::LABEL_MAP_SEGMENTATION_STORAGE,
            "LABELMAP",
            8,
            std::iter::once(background_segment(about)).chain(described).collect(),
            numbers.map(|number| frame(about, number, None)).collect(),
        ),
    };
    let object = about.object(class, Series::Segmentations, frames.len());
    let object = match kind {
        SegmentationType::Binary => object,
        SegmentationType::Labelmap => object.short(tags::PIXEL_PADDING_VALUE, BACKGROUND),
    };
    object
        .text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY")
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "pig export")
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, "none")
        .text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00")
        .short(tags::BITS_ALLOCATED, bits)
        .short(tags::BITS_STORED, bits)
        .short(tags::HIGH_BIT, bits - 1)
        .text(tags::CONTENT_LABEL, VR::CS, "LESION")
        .text(tags::CONTENT_DESCRIPTION, VR::LO, "Lesion mask")
        .text(tags::CONTENT_CREATOR_NAME, VR::PN, "Export^pig")
        .text(tags::SEGMENTATION_TYPE, VR::CS, word)
        .text(tags::SEGMENTS_OVERLAP, VR::CS, if overlap { "YES" } else { "NO" })
        .items(tags::SEGMENT_SEQUENCE, segments)
        .items(tags::REFERENCED_SERIES_SEQUENCE, vec![referenced_series(about)])
        .items(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            vec![Object::default().text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &about.dimension_uid)],
        )
        .items(tags::DIMENSION_INDEX_SEQUENCE, dimensions(about, kind))
        .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![Object::default()])
        .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames)
        .into_inner()
}

/// A code of a published vocabulary.
fn code(value: &str, scheme: &str, meaning: &str) -> Object {
    Object::default().text(tags::CODE_VALUE, VR::SH, value).text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme).text(
        tags::CODE_MEANING,
        VR::LO,
        meaning,
    )
}

fn class_segment(about: &About, number: u16, class: &ClassConfig) -> Object {
    let own = class.code.as_ref().map(|own| code(&own.value, &own.scheme, &own.meaning));
    // LO holds 64 characters.
    let label: String = class.name.chars().filter(|&letter| letter != '\\').take(64).collect();
    let category = code("49755003", "SCT", "Morphologically Altered Structure");
    segment(about, number, &label, [category, own.unwrap_or_else(|| code("52988006", "SCT", "Lesion"))])
}

/// What the background of a label map is.
fn background_segment(about: &About) -> Object {
    let background = || code("125040", "DCM", "Background");
    segment(about, BACKGROUND, "Background", [background(), background()])
}

/// A segment with the codes of its category and its type.
fn segment(about: &About, number: u16, label: &str, [category, kind]: [Object; 2]) -> Object {
    let segment = Object::default()
        .short(tags::SEGMENT_NUMBER, number)
        .text(tags::SEGMENT_LABEL, VR::LO, label)
        .items(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, vec![category])
        .items(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![kind]);
    if about.synthetic {
        segment.text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC").text(
            tags::SEGMENT_ALGORITHM_NAME,
            VR::LO,
            MAKER,
        )
    } else {
        segment.text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "MANUAL").text(
            tags::SEGMENT_DESCRIPTION,
            VR::ST,
            "A mask of the source data; how it was drawn is not recorded",
        )
    }
}

fn referenced_series(about: &About) -> Object {
    Object::default().text(tags::SERIES_INSTANCE_UID, VR::UI, &about.image_series_uid).items(
        tags::REFERENCED_INSTANCE_SEQUENCE,
        vec![Object::default().text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, about.image_class).text(
            tags::REFERENCED_SOP_INSTANCE_UID,
            VR::UI,
            &about.image_uid,
        )],
    )
}

/// Frames are indexed by position in the stack, those of a binary segmentation by segment first.
fn dimensions(about: &About, kind: SegmentationType) -> Vec<Object> {
    let dimension = |pointer, group, label| {
        Object::default()
            .text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &about.dimension_uid)
            .tag(tags::DIMENSION_INDEX_POINTER, pointer)
            .tag(tags::FUNCTIONAL_GROUP_POINTER, group)
            .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label)
    };
    let position = dimension(tags::IN_STACK_POSITION_NUMBER, tags::FRAME_CONTENT_SEQUENCE, "In-Stack Position Number");
    match kind {
        SegmentationType::Binary => vec![
            dimension(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment Number"),
            position,
        ],
        SegmentationType::Labelmap => vec![position],
    }
}

/// The functional groups of a frame: its position, its frame of the image, and its segment, which a frame of a label map has not.
fn frame(about: &About, number: u32, segment: Option<u16>) -> Object {
    let source = Object::default()
        .text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, about.image_class)
        .text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, &about.image_uid)
        .text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &number.to_string())
        .text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES")
        .items(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            vec![code("121322", "DCM", "Source image for image processing operation")],
        );
    let indices: Vec<u32> = segment.map(u32::from).into_iter().chain([number]).collect();
    Object::default()
        .items(
            tags::FRAME_CONTENT_SEQUENCE,
            vec![
                Object::default()
                    .text(tags::STACK_ID, VR::SH, "1")
                    .long(tags::IN_STACK_POSITION_NUMBER, &[number])
                    .long(tags::DIMENSION_INDEX_VALUES, &indices),
            ],
        )
        .maybe(segment, |object, segment| {
            let number = Object::default().short(tags::REFERENCED_SEGMENT_NUMBER, segment);
            object.items(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![number])
        })
        .items(
            tags::DERIVATION_IMAGE_SEQUENCE,
            vec![
                Object::default()
                    .items(tags::DERIVATION_CODE_SEQUENCE, vec![code("113076", "DCM", "Segmentation")])
                    .items(tags::SOURCE_IMAGE_SEQUENCE, vec![source]),
            ],
        )
}
