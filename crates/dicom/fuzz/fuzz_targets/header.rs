//! A whole file: preamble, meta group, elements, pixel data, tags that identify a person.
#![no_main]

use pig_dicom_fuzz::{exercise_object, limits, name};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(object) = pig_dicom::open_bytes(data.to_vec(), name(), &limits()) {
        exercise_object(&object);
    }
    let _ = pig_dicom::privacy_bytes(data.to_vec(), name(), &limits());
});
