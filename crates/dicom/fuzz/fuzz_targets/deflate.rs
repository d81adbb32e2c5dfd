//! A deflated data set: the input is used once as the compressed stream and once as the inflated content.
#![no_main]

use std::io::Write;

use pig_dicom_fuzz::{element, exercise_object, limits, meta, name, pixels};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let syntax = "1.2.840.10008.1.2.1.99";
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    let tail = element((0x7FE0, 0x0010), "OW", &[0x34; 96]);
    let set = [pixels(4, 6, "2", 1, 12, 0), data.to_vec(), tail].concat();
    let deflated = encoder.write_all(&set).and_then(|()| encoder.finish()).unwrap_or_default();
    for stream in [data.to_vec(), deflated] {
        let file = [meta(syntax), stream].concat();
        if let Ok(object) = pig_dicom::open_bytes(file.clone(), name(), &limits()) {
            exercise_object(&object);
        }
        let _ = pig_dicom::privacy_bytes(file, name(), &limits());
    }
});
