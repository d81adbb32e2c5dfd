//! The pickle of an archive, behind one byte that chooses whether it is TorchScript, and beside two storages.
#![no_main]

use std::io::{Cursor, Write};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, pickle)) = data.split_first() else { return };
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut parts = vec![("a/data.pkl", pickle), ("a/data/0", &[0; 24][..]), ("a/data/1", &[1; 96][..])];
    if choice % 2 == 1 {
        parts.push(("a/constants.pkl", &[]));
    }
    for (name, bytes) in parts {
        writer.start_file(name, options).and_then(|()| Ok(writer.write_all(bytes)?)).expect("memory can be written");
    }
    let archive = writer.finish().expect("memory can be written");
    let _ = pig_weights::file::decode(archive, None);
});
