//! A whole NumPy archive; the arrays are written and read again.
#![no_main]

use pig_weights::npz;
use std::io::Cursor;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(arrays) = npz::decode(Cursor::new(data)) else { return };
    // Only shapes are compared, because NaN is not equal to itself.
    let written = npz::encode(arrays.iter().map(|(name, array)| (name.as_str(), array)));
    let again = npz::decode(Cursor::new(written)).expect("what was written can be read");
    assert!(arrays.iter().all(|(name, array)| again[name].shape == array.shape));
});
