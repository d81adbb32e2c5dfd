//! Elements between a valid pixel module and valid pixel data: functional groups, windows, look-up tables, geometry.
#![no_main]

use pig_dicom_fuzz::{element, exercise, limits, meta, name, pixels};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let tail = element((0x7FE0, 0x0010), "OW", &[0x12; 96]);
    let file = [meta("1.2.840.10008.1.2.1"), pixels(4, 6, "2", 1, 12, 1), data.to_vec(), tail].concat();
    if let Ok(image) = pig_dicom::Image::from_bytes(file, name(), &limits()) {
        exercise(&image);
    }
});
