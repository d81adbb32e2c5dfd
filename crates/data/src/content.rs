//! What a file holds, told by its first bytes; names say nothing certain.

use std::io::Read;
use std::path::Path;

/// How many first bytes of a file [`is_picture`] needs.
pub const HEAD_BYTES: usize = 32;

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

/// Whether a file with these first bytes is a TIFF, or a BigTIFF.
pub(crate) fn is_tiff(head: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|mark| head.starts_with(*mark))
}

/// Whether a file is a picture by its content. One that cannot be read is none.
pub(crate) fn holds_picture(path: &Path) -> bool {
    is_picture(&head_of(path))
}

/// Whether a file is a BigTIFF, which has addresses of 64 bits.
pub(crate) fn is_big_tiff(path: &Path) -> bool {
    let head = head_of(path);
    head.starts_with(b"II+\0") || head.starts_with(b"MM\0+")
}

/// The first bytes of a file; none of one that cannot be read.
fn head_of(path: &Path) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let read = pig_files::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
    if read.is_ok() { head } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_pictures_and_words_that_look_like_them_do_not() {
        let mut bmp = b"BM\x9a\x02\0\0\0\0\0\0\x36\0\0\0".to_vec();
        bmp.extend(40_u32.to_le_bytes());
        assert!(is_picture(&bmp) && is_picture(b"\xff\xd8\xff\xe0") && is_picture(b"MM\0*\0\0\0\x08"));
        for head in [&b"BMI,age,patient\n21.5,40,p1\n"[..], b"II, III and IV", b"\x89PNG", b"GIF89a", b""] {
            assert!(!is_picture(head), "{head:?}");
        }
    }
}
