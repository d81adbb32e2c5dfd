//! A JPEG 2000 codestream, after one byte that selects the image. The decoder is from another project: its panics are caught and
//! are not findings here; too much memory or time is.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pig_dicom_fuzz::exercise_codec("1.2.840.10008.1.2.4.90", data));
