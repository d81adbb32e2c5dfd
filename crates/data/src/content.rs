//! What a file holds, told by its first bytes; names say nothing certain.

use std::io::Read;
use std::path::Path;

/// How many first bytes of a file tell what it holds: those of a BMP up to its kind of compression.
const HEAD_BYTES: usize = 34;

/// The marks of TIFF, and of BigTIFF, which has addresses of 64 bits.
const TIFF: [&[u8]; 2] = [b"II*\0", b"MM\0*"];
const BIG_TIFF: [&[u8]; 2] = [b"II+\0", b"MM\0+"];

/// Sizes that the second header of a BMP file can have.
const BMP_HEADERS: [u32; 7] = [12, 40, 52, 56, 64, 108, 124];

/// Whether a file with these first bytes is a picture that can be read: PNG, JPEG, TIFF or BMP.
pub fn is_picture(head: &[u8]) -> bool {
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let bmp = || number(14).is_some_and(|size| BMP_HEADERS.contains(&size)) && number(6) == Some(0);
    head.starts_with(b"\x89PNG\r\n\x1a\n")
        || head.starts_with(&[0xff, 0xd8, 0xff])
        || is_tiff(head)
        || (head.starts_with(b"BM") && bmp())
}

/// The format of a picture with these first bytes that is not read; none for a picture that is, and for other files.
pub fn unread_format(head: &[u8]) -> Option<&'static str> {
    let at = |from: usize, mark: &[u8]| head.get(from..from + mark.len()) == Some(mark);
    let is_brand = |brands: &[&[u8]]| at(4, b"ftyp") && brands.iter().any(|brand| at(8, brand));
    // A letter and a digit begin many texts, but no header of a picture goes on as a text does.
    let is_pnm = || {
        let [b'P', b'1'..=b'6', space, next, ..] = *head else { return false };
        space.is_ascii_whitespace() && (next.is_ascii_digit() || next == b'#')
    };
    let formats = [
        ("GIF", at(0, b"GIF87a") || at(0, b"GIF89a")),
        ("WebP", at(0, b"RIFF") && at(8, b"WEBP")),
        ("JPEG 2000", at(0, b"\0\0\0\x0cjP  ") || at(0, b"\xff\x4f\xff\x51")),
        ("JPEG XL", at(0, b"\0\0\0\x0cJXL ") || at(0, b"\xff\x0a")),
        ("AVIF", is_brand(&[b"avif", b"avis"])),
        ("HEIF", is_brand(&[b"heic", b"heix", b"mif1", b"msf1"])),
        ("Photoshop", at(0, b"8BPS")),
        ("OpenEXR", at(0, b"\x76\x2f\x31\x01")),
        ("NumPy", at(0, b"\x93NUMPY")),
        ("PNM", is_pnm()),
    ];
    formats.into_iter().find_map(|(format, is)| is.then_some(format))
}

/// As [`unread_format`], of a file. One that cannot be read has no format.
pub fn unread_format_of(path: &Path) -> Option<&'static str> {
    unread_format(&head_of(path).ok()?)
}

/// Whether a file with these first bytes is a TIFF, or a BigTIFF.
pub(crate) fn is_tiff(head: &[u8]) -> bool {
    TIFF.iter().chain(&BIG_TIFF).any(|mark| head.starts_with(mark))
}

/// Whether a file with these first bytes is a BigTIFF.
pub(crate) fn is_big_tiff(head: &[u8]) -> bool {
    BIG_TIFF.iter().any(|mark| head.starts_with(mark))
}

/// The first bytes of a file, as many as the functions of this module need.
pub(crate) fn head_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    pig_files::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_pictures_and_words_that_look_like_them_do_not() {
        let mut bmp = b"BM\x9a\x02\0\0\0\0\0\0\x36\0\0\0".to_vec();
        bmp.extend(40_u32.to_le_bytes());
        assert!(is_picture(&bmp) && is_picture(b"\xff\xd8\xff\xe0") && is_picture(b"MM\0*\0\0\0\x08"));
        for (head, format) in [
            (&b"GIF89a\x20\0\x18\0"[..], Some("GIF")),
            (&b"RIFF\x9a\0\0\0WEBPVP8L"[..], Some("WebP")),
            (&b"\0\0\0\x0cjP  \r\n\x87\n"[..], Some("JPEG 2000")),
            (&b"\0\0\0\x18ftypheic\0\0\0\0mif1"[..], Some("HEIF")),
            (&b"P5\n32 24\n255\n"[..], Some("PNM")),
            (&b"P5,left\n"[..], None),
            (&b"RIFF\x9a\0\0\0WAVE"[..], None),
            (&b""[..], None),
        ] {
            assert_eq!(unread_format(head), format, "{head:?}");
        }
        for head in [&b"BMI,age,patient\n21.5,40,p1\n"[..], b"II, III and IV", b"\x89PNG", b"GIF89a", b""] {
            assert!(!is_picture(head), "{head:?}");
        }
    }
}
