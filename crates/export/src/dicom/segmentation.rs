//! The mask: a binary Segmentation (PS3.3 A.51) of a segment for lesion or for each class, with a frame of each segment for each frame of
//! the image, even if it is empty. The label of a segment is the name of the class, and its code that of the class, or of a lesion.
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

/// The object up to its pixel data, with segments of these classes, which may overlap.
pub(crate) fn object(about: &About, classes: &[ClassConfig], overlap: bool) -> InMemDicomObject {
    let segments = classes.len() as u16;
    let segment = |(index, class): (usize, &ClassConfig)| segment(about, index as u16 + 1, class);
    let frames = (1..=about.frames as u32).flat_map(|number| (1..=segments).map(move |segment| (number, segment)));
    about
        .object(uids::SEGMENTATION_STORAGE, Series::Segmentations, about.frames * classes.len())
        .text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY")
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "pig export")
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, "none")
        .text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00")
        .short(tags::BITS_ALLOCATED, 1)
        .short(tags::BITS_STORED, 1)
        .short(tags::HIGH_BIT, 0)
        .text(tags::CONTENT_LABEL, VR::CS, "LESION")
        .text(tags::CONTENT_DESCRIPTION, VR::LO, "Lesion mask")
        .text(tags::CONTENT_CREATOR_NAME, VR::PN, "Export^pig")
        .text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY")
        .text(tags::SEGMENTS_OVERLAP, VR::CS, if overlap { "YES" } else { "NO" })
        .items(tags::SEGMENT_SEQUENCE, classes.iter().enumerate().map(segment).collect())
        .items(tags::REFERENCED_SERIES_SEQUENCE, vec![referenced_series(about)])
        .items(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            vec![Object::default().text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &about.dimension_uid)],
        )
        .items(tags::DIMENSION_INDEX_SEQUENCE, dimensions(about))
        .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![Object::default()])
        .items(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            frames.map(|(number, segment)| frame(about, number, segment)).collect(),
        )
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

fn segment(about: &About, number: u16, class: &ClassConfig) -> Object {
    let own = class.code.as_ref().map(|own| code(&own.value, &own.scheme, &own.meaning));
    // LO holds 64 characters.
    let label: String = class.name.chars().filter(|&letter| letter != '\\').take(64).collect();
    let segment = Object::default()
        .short(tags::SEGMENT_NUMBER, number)
        .text(tags::SEGMENT_LABEL, VR::LO, &label)
        .items(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            vec![code("49755003", "SCT", "Morphologically Altered Structure")],
        )
        .items(
            tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
            vec![own.unwrap_or_else(|| code("52988006", "SCT", "Lesion"))],
        );
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

/// Frames are indexed by segment and by position in the stack.
fn dimensions(about: &About) -> Vec<Object> {
    let dimension = |pointer, group, label| {
        Object::default()
            .text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &about.dimension_uid)
            .tag(tags::DIMENSION_INDEX_POINTER, pointer)
            .tag(tags::FUNCTIONAL_GROUP_POINTER, group)
            .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label)
    };
    vec![
        dimension(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment Number"),
        dimension(tags::IN_STACK_POSITION_NUMBER, tags::FRAME_CONTENT_SEQUENCE, "In-Stack Position Number"),
    ]
}

/// The functional groups of a frame: its position, its segment and its frame of the image.
fn frame(about: &About, number: u32, segment: u16) -> Object {
    let source = Object::default()
        .text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, about.image_class)
        .text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, &about.image_uid)
        .text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &number.to_string())
        .text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES")
        .items(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            vec![code("121322", "DCM", "Source image for image processing operation")],
        );
    Object::default()
        .items(
            tags::FRAME_CONTENT_SEQUENCE,
            vec![
                Object::default()
                    .text(tags::STACK_ID, VR::SH, "1")
                    .long(tags::IN_STACK_POSITION_NUMBER, &[number])
                    .long(tags::DIMENSION_INDEX_VALUES, &[segment.into(), number]),
            ],
        )
        .items(
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            vec![Object::default().short(tags::REFERENCED_SEGMENT_NUMBER, segment)],
        )
        .items(
            tags::DERIVATION_IMAGE_SEQUENCE,
            vec![
                Object::default()
                    .items(tags::DERIVATION_CODE_SEQUENCE, vec![code("113076", "DCM", "Segmentation")])
                    .items(tags::SOURCE_IMAGE_SEQUENCE, vec![source]),
            ],
        )
}
