//! Archives around crafted pickles, for tests and for fuzzing.
#![allow(dead_code, reason = "each test binary uses a different part")]

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

/// An archive as torch.save writes it, with this pickle and one storage of six floats.
pub(crate) fn archive(pickle: &[u8], script: bool) -> Vec<u8> {
    let mut files =
        vec![("archive/data.pkl", pickle), ("archive/byteorder", b"little"), ("archive/data/0", &[0; 24][..])];
    if script {
        files.push(("archive/constants.pkl", b"\x80\x02)."));
    }
    zip(&files)
}

/// A zip of one deflated file whose directory states this checksum and this size, whether they are true or not.
pub(crate) fn deflated(name: &str, stream: &[u8], checksum: u32, size: u64) -> Vec<u8> {
    let [name_length, stream_length] = [name.len() as u32, stream.len() as u32].map(u32::to_le_bytes);
    // Method 8, no time; the size is in an extra field of the directory, and the file's own header is not compared with it.
    let common =
        [&[45, 0, 0, 0, 8, 0, 0, 0, 0x21, 0][..], &checksum.to_le_bytes(), &stream_length, &[0xff; 4]].concat();
    let local = [b"PK\x03\x04", &common[..], &name_length[..2], &[0; 2], name.as_bytes(), stream].concat();
    let extra = [&[1, 0, 8, 0][..], &size.to_le_bytes()].concat();
    let directory =
        [b"PK\x01\x02\x2d\x00", &common[..], &name_length[..2], &[12, 0], &[0; 14], name.as_bytes(), &extra].concat();
    let places = [directory.len() as u32, local.len() as u32].map(u32::to_le_bytes).concat();
    [&local[..], &directory, b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00", &places, &[0; 2]].concat()
}
