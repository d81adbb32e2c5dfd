//! Archives around crafted pickles, for tests and for fuzzing.

/// A zip of stored files, written here from the format's documentation.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let place = archive.len() as u32;
        let size = (bytes.len() as u32).to_le_bytes();
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc.sum().to_le_bytes(), &size, &size].concat();
        let lengths = [name.len() as u16, 0].map(u16::to_le_bytes).concat();
        archive.extend([b"PK\x03\x04", &common[..], &lengths, name.as_bytes(), bytes].concat());
        let rest = [&lengths[..], &[0; 10], &place.to_le_bytes(), name.as_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &rest].concat());
    }
    let (place, size, count) = (archive.len() as u32, directory.len() as u32, files.len() as u16);
    archive.extend(directory);
    let end = [count, count].map(u16::to_le_bytes).concat();
    let places = [size, place].map(u32::to_le_bytes).concat();
    archive.extend([b"PK\x05\x06\x00\x00\x00\x00", &end[..], &places, &[0; 2]].concat());
    archive
}

/// An archive as torch.save writes it, around this pickle and one storage of six floats.
pub(crate) fn archive(pickle: &[u8], script: bool) -> Vec<u8> {
    let mut files =
        vec![("archive/data.pkl", pickle), ("archive/byteorder", b"little"), ("archive/data/0", &[0; 24][..])];
    if script {
        files.push(("archive/constants.pkl", b"\x80\x02)."));
    }
    zip(&files)
}
