//! A walk over the chunks of a PNG: whether its end is there, and its orientation tag, which decoders look for before the pixels only.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{DataError, Result};

/// Where a PNG says its colour type, and the types of gray without alpha and of a palette.
pub(crate) const COLOUR_TYPE_AT: usize = 25;
const GRAY: u8 = 0;
pub(crate) const INDEXED: u8 = 3;

/// The longest EXIF chunk that is read: JPEG's limit, which cameras keep to in PNG as well.
const MAX_EXIF_BYTES: u32 = 1 << 16;

/// The checksum of the end chunk, which is empty.
const END_CHECKSUM: [u8; 4] = [0xae, 0x42, 0x60, 0x82];

/// Reads the EXIF chunk of a PNG, if it has one.
///
/// # Errors
/// When the file cannot be read, or ends before its end chunk does.
pub(crate) fn exif_of_whole(path: &Path) -> Result<Option<Vec<u8>>> {
    let cut =
        || DataError::Unreadable { path: path.to_path_buf(), problem: "the PNG is cut off: its end is missing".into() };
    let read = |error| DataError::io(path, "read")(error);
    match walk(&mut BufReader::new(pig_files::open(path).map_err(read)?)) {
        Ok(found) => found.map_err(|()| cut()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(cut()),
        Err(error) => Err(read(error)),
    }
}

/// The bits of a PNG of gray with these first bytes that has fewer than 8; else 8.
pub(crate) fn gray_bits(head: &[u8]) -> u8 {
    // The byte before the colour type holds the bits of a sample.
    let bits = head.get(COLOUR_TYPE_AT - 1).copied().filter(|bits| matches!(bits, 1 | 2 | 4));
    bits.filter(|_| head.get(COLOUR_TYPE_AT) == Some(&GRAY)).unwrap_or(8)
}

/// The EXIF chunk of a whole PNG; an inner error for a damaged end.
fn walk<R: Read + Seek>(file: &mut BufReader<R>) -> std::io::Result<std::result::Result<Option<Vec<u8>>, ()>> {
    // The signature was checked when the format was recognised.
    file.seek(SeekFrom::Start(8))?;
    let mut exif = None;
    loop {
        let (mut head, mut checksum) = ([0; 8], [0; 4]);
        file.read_exact(&mut head)?;
        let (length, kind) = head.split_at(4);
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        match kind {
            b"IEND" => {
                file.read_exact(&mut checksum)?;
                return Ok(if checksum == END_CHECKSUM { Ok(exif) } else { Err(()) });
            }
            b"eXIf" if length <= MAX_EXIF_BYTES => {
                let mut bytes = vec![0; length as usize];
                file.read_exact(&mut bytes)?;
                exif = Some(bytes);
            }
            _ => file.seek_relative(i64::from(length))?,
        }
        file.read_exact(&mut checksum)?;
    }
}
