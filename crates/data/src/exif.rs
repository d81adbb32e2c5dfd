//! The orientation in EXIF data, which are a small TIFF. The image library reads the tag as SHORT alone; Pillow and libtiff read LONG, too.

use image::metadata::Orientation;

/// The tag of the orientation, and the types of its value.
const ORIENTATION: u32 = 0x0112;
const SHORT: u32 = 3;
const LONG: u32 = 4;

/// Bytes of an entry: tag, type, count and value.
const ENTRY_BYTES: usize = 12;

/// How pixels are turned according to `exif`; not at all if it does not say, or is damaged.
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    stated(exif).and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

fn stated(exif: &[u8]) -> Option<u8> {
    let is_big_endian = match exif.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let number = |at: usize, count: usize| {
        let bytes = exif.get(at..at.checked_add(count)?)?.iter();
        let add = |sum: u32, &byte: &u8| sum << 8 | u32::from(byte);
        Some(if is_big_endian { bytes.fold(0, add) } else { bytes.rev().fold(0, add) })
    };
    let first = number(4, 4)? as usize;
    let entries = (0..number(first, 2)? as usize).map(|entry| first + 2 + ENTRY_BYTES * entry);
    for at in entries {
        if number(at, 2)? == ORIENTATION && number(at + 4, 4)? == 1 {
            let bytes = match number(at + 2, 2)? {
                SHORT => 2,
                LONG => 4,
                _ => continue,
            };
            return u8::try_from(number(at + 8, bytes)?).ok();
        }
    }
    None
}
