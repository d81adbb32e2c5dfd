//! The image: Multi-frame Grayscale Byte or Word Secondary Capture (PS3.3 A.8.3, A.8.4).

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::common::{About, Series};
use super::element::decimal;

/// The object up to its pixel data.
pub(crate) fn object(about: &About, word: bool) -> InMemDicomObject {
    let bits = if word { 16 } else { 8 };
    let object = about
        .object(about.image_class, Series::Images, about.frames)
        .text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY")
        // The side is unknown: the attribute is present and empty.
        .empty(tags::LATERALITY, VR::CS)
        // SYN says that the image is synthetic, WSD that it was made on a workstation.
        .text(tags::CONVERSION_TYPE, VR::CS, if about.synthetic { "SYN" } else { "WSD" })
        .text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO")
        .short(tags::BITS_ALLOCATED, bits)
        .short(tags::BITS_STORED, bits)
        .short(tags::HIGH_BIT, bits - 1)
        .text(tags::PRESENTATION_LUT_SHAPE, VR::CS, "IDENTITY")
        .text(tags::RESCALE_INTERCEPT, VR::DS, "0")
        .text(tags::RESCALE_SLOPE, VR::DS, "1")
        .text(tags::RESCALE_TYPE, VR::LO, "US")
        .maybe(about.pixel_spacing.as_deref(), |object, spacing| object.text(tags::PIXEL_SPACING, VR::DS, spacing));
    // What changes from frame to frame: positions in millimetres if they are known, else page numbers.
    let object = match about.slice_spacing {
        _ if about.frames == 1 => object,
        Some(spacing) => object.tag(tags::FRAME_INCREMENT_POINTER, tags::SLICE_LOCATION_VECTOR).text(
            tags::SLICE_LOCATION_VECTOR,
            VR::DS,
            &joined(about.frames, |frame| decimal(frame as f64 * spacing)),
        ),
        None => object.tag(tags::FRAME_INCREMENT_POINTER, tags::PAGE_NUMBER_VECTOR).text(
            tags::PAGE_NUMBER_VECTOR,
            VR::IS,
            &joined(about.frames, |frame| (frame + 1).to_string()),
        ),
    };
    object.into_inner()
}

fn joined(frames: usize, value: impl Fn(usize) -> String) -> String {
    (0..frames).map(value).collect::<Vec<_>>().join("\\")
}
