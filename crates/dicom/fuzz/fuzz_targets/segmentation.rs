//! A whole segmentation. Begin from tests/data: `cargo +nightly fuzz run segmentation corpus/segmentation ../tests/data`.
#![no_main]

use pig_dicom_fuzz::{exercise_segmentation, limits, name};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(segmentation) = pig_dicom::Segmentation::from_bytes(data.to_vec(), name(), &limits()) {
        exercise_segmentation(&segmentation);
    }
});
