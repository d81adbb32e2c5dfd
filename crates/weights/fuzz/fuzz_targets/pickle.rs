//! The pickle of an archive, behind one byte that chooses whether it is TorchScript, and beside a storage.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, pickle)) = data.split_first() else { return };
    let archive = common::archive(pickle, choice % 2 == 1);
    let _ = pig_weights::file::decode(std::io::Cursor::new(archive), None);
});
