//! An RLE frame, after one byte that selects the image.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pig_dicom_fuzz::exercise_codec("1.2.840.10008.1.2.5", data));
