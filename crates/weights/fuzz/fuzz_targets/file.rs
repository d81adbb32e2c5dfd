//! A whole file of any format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for entry in [None, Some("state_dict")] {
        let _ = pig_weights::file::decode(std::io::Cursor::new(data), entry);
    }
});
