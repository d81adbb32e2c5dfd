//! An OsiriX XML file beside an image of INbreast.
#![no_main]

use std::sync::Once;

use pig_prepare::Layout;
use pig_prepare_fuzz::{dicom, exercise, folder, put};

static SOURCE: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    SOURCE.call_once(|| dicom("inbreast/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm", 1));
    put("inbreast/20586908.xml", data);
    exercise(&folder().join("inbreast"), Layout::Inbreast);
});
