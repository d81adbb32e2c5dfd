//! What a file holds, told by its content; its name decides only where the content says nothing.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use pig_data::content::is_picture;
use pig_data::names::PICTURE_ENDINGS;

use crate::sources::nifti_header::is_header;

/// The kind of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Picture,
    Nifti,
    Dicom,
    Other,
}

/// How many bytes of a file are looked at: enough for a NIfTI-2 header, which has 540 bytes, behind the header of a gzip file.
const HEAD_BYTES: usize = 1024;

/// Endings that are not part of a file's stem, beside those of pictures.
const DICOM: [&str; 3] = ["dcm", "dicom", "ima"];
const TABLES: [&str; 3] = ["csv", "xml", "json"];

/// The kind of a file. A file whose content is unknown, but whose ending promises a picture or volume, counts as what its ending
/// says: it is damaged, and reading it gives the error.
///
/// # Errors
/// When the file cannot be read and its ending promises nothing.
pub(crate) fn kind_of(path: &Path, name: &str) -> std::io::Result<Kind> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let read = pig_files::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
    if let Err(error) = read {
        return match by_ending(name) {
            Kind::Other => Err(error),
            kind => Ok(kind),
        };
    }
    Ok(by_content(&head).unwrap_or_else(|| match by_ending(name) {
        // Without a mark at byte 128, DICOM is recognised by the first elements of its data set.
        Kind::Other if pig_dicom::is_dicom(path) => Kind::Dicom,
        kind => kind,
    }))
}

fn by_content(head: &[u8]) -> Option<Kind> {
    // Before pictures, since the preamble of a DICOM file may begin with the mark of TIFF (PS3.10 7.1).
    if head.starts_with(b"DICM") || head.get(128..132) == Some(b"DICM") {
        return Some(Kind::Dicom);
    }
    if is_picture(head) {
        return Some(Kind::Picture);
    }
    if is_header(head) {
        return Some(Kind::Nifti);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::with_capacity(HEAD_BYTES);
        // The packed head is cut, so that unpacking it ends with an error; what comes before counts.
        let _ = GzDecoder::new(head).take(HEAD_BYTES as u64).read_to_end(&mut unpacked);
        return is_header(&unpacked).then_some(Kind::Nifti);
    }
    None
}

fn by_ending(name: &str) -> Kind {
    let lower = name.to_lowercase();
    let ending = lower.rsplit_once('.').map_or("", |(_, ending)| ending);
    if PICTURE_ENDINGS.contains(&ending) {
        Kind::Picture
    } else if ending == "nii" || lower.ends_with(".nii.gz") {
        Kind::Nifti
    } else if DICOM.contains(&ending) {
        Kind::Dicom
    } else {
        Kind::Other
    }
}

/// A name without its ending, if it is one that pig knows; `.nii.gz` and `.hdr.gz` count as one. UIDs (`1.2.840.10008`) and names such as
/// `I.001` stay whole.
pub(crate) fn stem(name: &str) -> &str {
    let lower = name.to_lowercase();
    let packed = [".nii.gz", ".hdr.gz"].into_iter().find(|ending| lower.ends_with(ending));
    if let Some(ending) = packed.filter(|ending| name.len() > ending.len()) {
        return &name[..name.len() - ending.len()];
    }
    let known = |ending: &str| {
        let ending = ending.to_lowercase();
        matches!(ending.as_str(), "nii" | "hdr")
            || [&PICTURE_ENDINGS[..], &DICOM, &TABLES].iter().any(|list| list.contains(&ending.as_str()))
    };
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && known(ending) => stem,
        _ => name,
    }
}

/// A name without any ending, such as `I` of `I.001`; the whole name if it has none.
pub(crate) fn bare_stem(name: &str) -> &str {
    let stem = stem(name);
    match name.rsplit_once('.') {
        Some((bare, _)) if stem == name && !bare.is_empty() => bare,
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_endings_are_taken_off() {
        for (name, expected, bare) in [
            ("a.png", "a", "a"),
            ("a.b.TIF", "a.b", "a.b"),
            ("a.nii.gz", "a", "a"),
            ("a_mask.hdr", "a_mask", "a_mask"),
            ("a.HDR.gz", "a", "a"),
            ("1.2.840.6347", "1.2.840.6347", "1.2.840"),
            ("I.001", "I.001", "I"),
            ("a.dcm.1", "a.dcm.1", "a.dcm"),
            (".png", ".png", ".png"),
            ("IM0001", "IM0001", "IM0001"),
        ] {
            assert_eq!((stem(name), bare_stem(name)), (expected, bare), "{name}");
        }
    }

    #[test]
    fn marks_tell_the_kind_and_words_that_look_like_them_do_not() {
        let mut nifti = vec![0; 352];
        nifti[..4].copy_from_slice(&348_i32.to_be_bytes());
        nifti[344..348].copy_from_slice(b"n+1\0");
        assert_eq!(by_content(&nifti), Some(Kind::Nifti));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &nifti).unwrap();
        let mut packed = packed.finish().unwrap();
        assert_eq!(by_content(&packed), Some(Kind::Nifti));
        packed.truncate(packed.len() - 9);
        assert_eq!(by_content(&packed), Some(Kind::Nifti), "the head of a file is cut");
        let mut bmp = b"BM\x9a\x02\0\0\0\0\0\0\x36\0\0\0".to_vec();
        bmp.extend(40_u32.to_le_bytes());
        assert_eq!(by_content(&bmp), Some(Kind::Picture));
        let mut dual = b"II*\0\x08\0\0\0".to_vec();
        dual.resize(128, 0);
        dual.extend(b"DICM");
        assert_eq!(by_content(&dual), Some(Kind::Dicom), "the preamble is that of TIFF");
        assert_eq!(by_content(&dual[..128]), Some(Kind::Picture));
        assert_eq!(by_content(b"BMI,age,patient\n21.5,40,p1\n"), None);
        assert_eq!(by_content(b"\x1f\x8bnot gzip"), None);
        assert_eq!(by_content(b""), None);
    }
}
