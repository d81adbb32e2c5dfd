//! The pickle of an archive that also has a storage; one byte before it selects whether the archive is TorchScript.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, pickle)) = data.split_first() else { return };
    let archive = common::archive(pickle, choice % 2 == 1);
    let _ = pig_weights::file::decode(std::io::Cursor::new(archive), None);
});
