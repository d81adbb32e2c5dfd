//! A whole file of any format, and the names of its arrays.
#![no_main]

use pig_weights::{
    file,
    layouts::{self, AutoencoderShape, ConditionShape, UNetShape},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for entry in [None, Some("state_dict")] {
        let Ok(arrays) = file::decode(std::io::Cursor::new(data), entry) else { continue };
        let Ok(named) = layouts::rename(arrays) else { continue };
        let _ = (UNetShape::of(&named.arrays), AutoencoderShape::of(&named.arrays), ConditionShape::of(&named.arrays));
    }
});
