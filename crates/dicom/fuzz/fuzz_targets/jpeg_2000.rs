//! A JPEG 2000 codestream, behind one byte that chooses the image. The decoder is another project's: its panics are caught, and
//! are no finding here; memory and time are.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pig_dicom_fuzz::exercise_codec("1.2.840.10008.1.2.4.90", data));
