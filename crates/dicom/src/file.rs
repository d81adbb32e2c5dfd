//! The outer structure of a file: preamble, meta group, transfer syntax.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

use crate::element::{self, Encoding};
use crate::header::{self, Goal, Header};
use crate::source::Source;
use crate::{Error, Limits, Result};

/// How pixel data is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Native bytes in one run.
    None,
    /// Native bytes in fragments, one per frame.
    Encapsulated,
    /// Native bytes in fragments, one per frame, each deflated.
    DeflatedFrames,
    Rle,
    /// Baseline, extended or lossless: the codestream says which.
    Jpeg,
    JpegLs,
    Jpeg2000,
}

/// What a transfer syntax says about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) encoding: Encoding,
    pub(crate) deflated: bool,
    /// `None` if the header can be read, but not the pixel data.
    pub(crate) compression: Option<Compression>,
    pub(crate) lossy: bool,
}

/// A parsed file: header in memory, pixel data located.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) source: Source,
    pub(crate) header: Header,
    pub(crate) meta: Header,
    pub(crate) syntax: Syntax,
    /// Transfer Syntax UID that the file states, else the UID of the encoding found in the data set.
    pub(crate) syntax_uid: String,
}

/// The meaning of a transfer syntax UID. An unknown UID is treated as a compression that is not supported.
fn syntax_of(uid: &str) -> Syntax {
    use Compression::{DeflatedFrames, Encapsulated, Jpeg, Jpeg2000, JpegLs, Rle};
    let plain = |encoding| Syntax { encoding, deflated: false, compression: Some(Compression::None), lossy: false };
    let packed = |compression, lossy| Syntax {
        encoding: Encoding::ExplicitLittle,
        deflated: false,
        compression: Some(compression),
        lossy,
    };
    match uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => plain(Encoding::ImplicitLittle),
        uids::EXPLICIT_VR_LITTLE_ENDIAN => plain(Encoding::ExplicitLittle),
        #[allow(deprecated)]
        uids::EXPLICIT_VR_BIG_ENDIAN => plain(Encoding::ExplicitBig),
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => Syntax { deflated: true, ..plain(Encoding::ExplicitLittle) },
        uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN => packed(Encapsulated, false),
        uids::DEFLATED_IMAGE_FRAME_COMPRESSION => packed(DeflatedFrames, false),
        uids::RLE_LOSSLESS => packed(Rle, false),
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT => packed(Jpeg, true),
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => packed(Jpeg, false),
        uids::JPEGLS_LOSSLESS => packed(JpegLs, false),
        uids::JPEGLS_NEAR_LOSSLESS => packed(JpegLs, true),
        uids::JPEG2000_LOSSLESS => packed(Jpeg2000, false),
        uids::JPEG2000 => packed(Jpeg2000, true),
        _ => Syntax { encoding: Encoding::ExplicitLittle, deflated: false, compression: None, lossy: true },
    }
}

/// What the file begins with; `None` if it does not look like DICOM.
fn sniff(head: &[u8]) -> Option<Start> {
    if head.get(128..132) == Some(b"DICM") {
        return Some(Start::Meta(132));
    }
    if head.starts_with(b"DICM") {
        return Some(Start::Meta(4));
    }
    let first = head.first_chunk::<8>()?;
    let (group, element) = (u16::from_le_bytes([first[0], first[1]]), u16::from_le_bytes([first[2], first[3]]));
    // Without the mark, only groups that a file can begin with are accepted, and elements that could be the first of them.
    let little = matches!(group, 0x0002 | 0x0008) && element < 0x0100;
    let big = first[..2] == [0x00, 0x08] && first[2] == 0x00;
    match (little, big, group) {
        (true, _, 0x0002) => Some(Start::Meta(0)),
        (true, ..) => Some(Start::Dataset),
        (_, true, _) if guess(*first) == Some(Encoding::ExplicitBig) => Some(Start::Dataset),
        _ => None,
    }
}

/// What a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Meta(u64),
    Dataset,
}

/// Guesses the encoding of a data set from its first element header; `None` if it looks like none of the three.
fn guess(first: [u8; 8]) -> Option<Encoding> {
    let explicit = VR::from_binary([first[4], first[5]]).is_some();
    let big = first[0] == 0 && first[1] != 0;
    match (explicit, big) {
        (true, true) => Some(Encoding::ExplicitBig),
        (true, false) => Some(Encoding::ExplicitLittle),
        (false, false) => Some(Encoding::ImplicitLittle),
        (false, true) => None,
    }
}

/// How much of a file is looked at to tell whether it is DICOM.
const LOOKED_AT: usize = 512;

/// How many elements of a data set without a mark must fit each other.
const ELEMENTS: usize = 4;

/// Whether a file looks like DICOM, whatever its name: "DICM" at byte 128, or a data set that begins with group 0002 or 0008 and
/// whose first elements are in order and fit into the file. Reads 512 bytes.
pub fn is_dicom(path: &Path) -> bool {
    let mut head = [0; LOOKED_AT];
    Source::open(path, &Limits::default()).is_ok_and(|mut source| {
        let length = source.length().unwrap_or(u64::MAX);
        source.read_up_to(&mut head).is_ok_and(|read| looks_like_dicom(&head[..read], length))
    })
}

/// As [`is_dicom`], for the first bytes of a file of `length` bytes.
fn looks_like_dicom(head: &[u8], length: u64) -> bool {
    match sniff(head) {
        None => false,
        Some(Start::Meta(offset)) if offset > 0 => true,
        Some(_) => begins_a_data_set(head, length),
    }
}

/// Whether the first elements have known value representations, lengths that fit into the file, and ascending tags.
fn begins_a_data_set(head: &[u8], length: u64) -> bool {
    let Some(encoding) = head.first_chunk::<8>().and_then(|first| guess(*first)) else { return false };
    let big = encoding == Encoding::ExplicitBig;
    let number = |at: usize, count: usize| {
        let bytes = head.get(at..at + count)?;
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        Some(if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    };
    let (mut at, mut previous) = (0_usize, None);
    for read in 0..ELEMENTS {
        let tag = number(at, 2).zip(number(at + 2, 2));
        let (Some(tag), Some(representation)) = (tag, head.get(at + 4..at + 6)) else {
            // The file ends between two elements, or goes on behind the bytes that were looked at.
            return read > 0 && (at as u64 == length || head.len() == LOOKED_AT);
        };
        if previous.is_some_and(|previous| tag <= previous) {
            return false;
        }
        // Behind the meta group, the data set may be encoded in another way.
        if previous.is_some_and(|(group, _)| group == 2) && tag.0 != 2 {
            return true;
        }
        let (value, size) = if encoding == Encoding::ImplicitLittle {
            (at + 8, number(at + 4, 4))
        } else {
            match VR::from_binary([representation[0], representation[1]]) {
                None => return false,
                Some(
                    VR::OB
                    | VR::OD
                    | VR::OF
                    | VR::OL
                    | VR::OV
                    | VR::OW
                    | VR::SQ
                    | VR::SV
                    | VR::UC
                    | VR::UN
                    | VR::UR
                    | VR::UT
                    | VR::UV,
                ) => (at + 12, number(at + 8, 4)),
                Some(_) => (at + 8, number(at + 6, 2)),
            }
        };
        let Some(size) = size else { return read > 0 };
        if size == u64::from(u32::MAX) {
            // A sequence of undefined length is not walked over.
            return read > 0;
        }
        if !size.is_multiple_of(2) || value as u64 + size > length {
            return false;
        }
        (at, previous) = (value + size as usize, Some(tag));
    }
    true
}

/// Reads a file's header, up to its pixel data or to its end.
pub(crate) fn read(mut source: Source, limits: &Limits, to_the_end: bool) -> Result<File> {
    let mut head = [0; 140];
    let read = source.read_up_to(&mut head)?;
    let start = sniff(&head[..read]).ok_or_else(|| Error::NotDicom {
        path: source.path().to_path_buf(),
        found: if read < 8 { format!("only {read} bytes") } else { "another beginning".into() },
    })?;
    let (meta, stated) = match start {
        Start::Dataset => {
            source.seek(0)?;
            (Header::default(), None)
        }
        Start::Meta(offset) => {
            source.seek(offset)?;
            let meta = read_meta(&mut source, limits)?;
            let uid = meta.root(source.path()).uid(tags::TRANSFER_SYNTAX_UID).map(String::from);
            (meta, uid)
        }
    };
    let start = source.position();
    let deflated = stated.as_deref().is_some_and(|uid| syntax_of(uid).deflated);
    if deflated {
        source = source.inflate_from(start)?;
    }
    let begin = source.position();
    let mut first = [0; 8];
    let read = source.read_up_to(&mut first)?;
    if read == 0 {
        return Err(element::truncated(&source, "the data set", 8, 0));
    }
    let seen = if read == 8 { guess(first) } else { None };
    source.seek(begin)?;
    let (syntax, syntax_uid) = settle(stated, seen);
    let goal = Goal {
        encoding: syntax.encoding,
        only_group: None,
        encapsulated: syntax.compression.map(|compression| compression != Compression::None),
        to_the_end,
    };
    let header = header::read(&mut source, goal, limits)?;
    Ok(File { source, header, meta, syntax, syntax_uid })
}

/// Reads the meta group, which is explicit little endian by the standard, but implicit in some old files.
fn read_meta(source: &mut Source, limits: &Limits) -> Result<Header> {
    let begin = source.position();
    let mut first = [0; 8];
    source.read_exact(&mut first, || "the file meta group".into())?;
    source.seek(begin)?;
    let encoding = match guess(first) {
        Some(Encoding::ImplicitLittle) => Encoding::ImplicitLittle,
        _ => Encoding::ExplicitLittle,
    };
    let goal = Goal { encoding, only_group: Some(0x0002), encapsulated: Some(false), to_the_end: true };
    header::read(source, goal, limits)
}

/// The transfer syntax as stated, but with the encoding of the first element if the two disagree (some writers label implicit
/// data as explicit or the reverse, and pydicom reads such files in the same way).
fn settle(stated: Option<String>, seen: Option<Encoding>) -> (Syntax, String) {
    let uid_of = |encoding| match encoding {
        Encoding::ImplicitLittle => uids::IMPLICIT_VR_LITTLE_ENDIAN,
        Encoding::ExplicitLittle => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        #[allow(deprecated)]
        Encoding::ExplicitBig => uids::EXPLICIT_VR_BIG_ENDIAN,
    };
    let Some(uid) = stated else {
        let uid = uid_of(seen.unwrap_or(Encoding::ImplicitLittle));
        return (syntax_of(uid), uid.into());
    };
    let mut syntax = syntax_of(&uid);
    if let Some(seen) = seen {
        syntax.encoding = seen;
    }
    (syntax, uid)
}
