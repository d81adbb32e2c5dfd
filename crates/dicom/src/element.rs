//! The header of one element as it is stored in the file, decoded by dicom-rs (dicom-encoding).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::Header as _;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_encoding::decode::Decode;
use dicom_encoding::decode::explicit_be::ExplicitVRBigEndianDecoder;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_encoding::decode::implicit_le::StandardImplicitVRLittleEndianDecoder;

use crate::source::Source;
use crate::{Error, Result};

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
}

/// An element header as it is stored in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawElement {
    pub(crate) tag: Tag,
    pub(crate) vr: VR,
    pub(crate) length: u32,
}

/// Group and element as the standard writes them, with the keyword if the dictionary has one.
pub(crate) fn name(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => format!("{} ({:04X},{:04X})", entry.alias(), tag.0, tag.1),
        None => format!("({:04X},{:04X})", tag.0, tag.1),
    }
}

/// Whether a VR has a 32-bit length in explicit encodings; an unknown one is read as UN, as dicom-rs does.
fn long_form(vr: [u8; 2]) -> bool {
    use VR::{AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, PN, SH, SL, SS, ST, TM, UI, UL, US};
    let vr = VR::from_binary(vr);
    !matches!(
        vr,
        Some(AE | AS | AT | CS | DA | DS | DT | FL | FD | IS | LO | LT | PN | SH | SL | SS | ST | TM | UI | UL | US)
    )
}

/// Reads an element header; `None` if the source ends before it.
pub(crate) fn read_element(source: &mut Source, encoding: Encoding) -> Result<Option<RawElement>> {
    let mut buffer = [0; 12];
    let found = source.read_up_to(&mut buffer[..8])?;
    if found == 0 {
        return Ok(None);
    }
    if found < 8 {
        return Err(truncated(source, "a data element header", 8, found as u64));
    }
    let big = encoding == Encoding::ExplicitBig;
    let group =
        if big { u16::from_be_bytes([buffer[0], buffer[1]]) } else { u16::from_le_bytes([buffer[0], buffer[1]]) };
    let long = encoding != Encoding::ImplicitLittle && group != 0xFFFE && long_form([buffer[4], buffer[5]]);
    if long {
        source.read_exact(&mut buffer[8..], || "a data element header".into())?;
    }
    let mut slice = &buffer[..if long { 12 } else { 8 }];
    let decoded = match encoding {
        Encoding::ImplicitLittle => StandardImplicitVRLittleEndianDecoder::new().decode_header(&mut slice),
        Encoding::ExplicitLittle => ExplicitVRLittleEndianDecoder::default().decode_header(&mut slice),
        Encoding::ExplicitBig => ExplicitVRBigEndianDecoder::default().decode_header(&mut slice),
    };
    let (header, _) = decoded.map_err(|_| truncated(source, "a data element header", 8, 0))?;
    Ok(Some(RawElement { tag: header.tag(), vr: header.vr, length: header.len.0 }))
}

pub(crate) fn truncated(source: &Source, what: &str, needed: u64, found: u64) -> Error {
    Error::Truncated { path: source.path().to_path_buf(), what: what.into(), needed, found }
}

pub(crate) fn invalid(source: &Source, what: String, found: String, expected: &str) -> Error {
    Error::Invalid { path: source.path().to_path_buf(), what, found, expected: expected.into() }
}
