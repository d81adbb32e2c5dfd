//! Builds DICOM files byte by byte, so that they can be wrong in any way.
#![allow(dead_code, reason = "each test binary uses a different part")]

use std::path::Path;

use pig_dicom::{Frame, Image, Limits, Result};

pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub(crate) const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub(crate) const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
pub(crate) const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
pub(crate) const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
pub(crate) const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5";

/// Length that means "until the delimiter".
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// An element with the stated length `length`, explicit little endian.
pub(crate) fn raw(tag: (u16, u16), vr: &str, length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW" | "OF" | "SQ" | "UN" | "UT") {
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
    } else {
        bytes.extend((length as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

/// An element, padded to an even length.
pub(crate) fn element(tag: (u16, u16), vr: &str, value: &[u8]) -> Vec<u8> {
    let mut padded = value.to_vec();
    if padded.len() % 2 == 1 {
        padded.push(if vr == "UI" || vr.starts_with('O') { 0 } else { b' ' });
    }
    raw(tag, vr, padded.len() as u32, &padded)
}

pub(crate) fn text(tag: (u16, u16), vr: &str, value: &str) -> Vec<u8> {
    element(tag, vr, value.as_bytes())
}

pub(crate) fn short(tag: (u16, u16), value: u16) -> Vec<u8> {
    element(tag, "US", &value.to_le_bytes())
}

/// An item of a sequence or of encapsulated pixel data.
pub(crate) fn item(value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xFE, 0xFF, 0x00, 0xE0];
    bytes.extend((value.len() as u32).to_le_bytes());
    bytes.extend(value);
    bytes
}

pub(crate) fn sequence(tag: (u16, u16), items: &[Vec<u8>]) -> Vec<u8> {
    let value: Vec<u8> = items.iter().flat_map(|value| item(value)).collect();
    raw(tag, "SQ", value.len() as u32, &value)
}

pub(crate) const SEQUENCE_END: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];

/// Encapsulated pixel data with an empty offset table.
pub(crate) fn encapsulated(fragments: &[&[u8]]) -> Vec<u8> {
    let mut value = item(&[]);
    for fragment in fragments {
        let mut padded = fragment.to_vec();
        padded.resize(fragment.len().next_multiple_of(2), 0);
        value.extend(item(&padded));
    }
    value.extend(SEQUENCE_END);
    raw((0x7FE0, 0x0010), "OB", UNDEFINED, &value)
}

/// Preamble and meta group.
pub(crate) fn meta(syntax: &str) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(text((0x0002, 0x0010), "UI", syntax));
    bytes
}

pub(crate) fn file(syntax: &str, elements: &[Vec<u8>]) -> Vec<u8> {
    [meta(syntax), elements.concat()].concat()
}

/// The image pixel module; a test changes the fields that it is about.
#[derive(Debug, Clone)]
pub(crate) struct Pixels {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) frames: String,
    pub(crate) samples: u16,
    pub(crate) photometric: &'static str,
    pub(crate) allocated: u16,
    pub(crate) stored: u16,
    pub(crate) high: u16,
    pub(crate) signed: u16,
}

impl Default for Pixels {
    fn default() -> Self {
        Self {
            rows: 4,
            columns: 6,
            frames: "1".into(),
            samples: 1,
            photometric: "MONOCHROME2",
            allocated: 16,
            stored: 12,
            high: 11,
            signed: 0,
        }
    }
}

impl Pixels {
    pub(crate) fn elements(&self) -> Vec<Vec<u8>> {
        vec![
            text((0x0008, 0x0016), "UI", "1.2.840.10008.5.1.4.1.1.7"),
            text((0x0008, 0x0018), "UI", "1.2.3"),
            text((0x0010, 0x0010), "PN", "SECRET^NAME"),
            text((0x0010, 0x0020), "LO", "SECRETID"),
            short((0x0028, 0x0002), self.samples),
            text((0x0028, 0x0004), "CS", self.photometric),
            text((0x0028, 0x0008), "IS", &self.frames),
            short((0x0028, 0x0010), self.rows),
            short((0x0028, 0x0011), self.columns),
            short((0x0028, 0x0100), self.allocated),
            short((0x0028, 0x0101), self.stored),
            short((0x0028, 0x0102), self.high),
            short((0x0028, 0x0103), self.signed),
        ]
    }

    /// A file of these attributes and native pixel data.
    pub(crate) fn native(&self, data: &[u8]) -> Vec<u8> {
        let mut elements = self.elements();
        elements.push(element((0x7FE0, 0x0010), "OW", data));
        file(EXPLICIT, &elements)
    }

    /// A file of these attributes and one compressed frame.
    pub(crate) fn compressed(&self, syntax: &str, frame: &[u8]) -> Vec<u8> {
        let mut elements = self.elements();
        elements.push(encapsulated(&[frame]));
        file(syntax, &elements)
    }
}

pub(crate) fn open(bytes: Vec<u8>) -> Result<Image> {
    Image::from_bytes(bytes, Path::new("made.dcm"), &Limits::default())
}

/// Opens a file and decodes every frame (ten at most).
pub(crate) fn decode(bytes: Vec<u8>) -> Result<Vec<Frame>> {
    let image = open(bytes)?;
    (0..image.info().frames.min(10)).map(|index| image.frame(index)).collect()
}

/// The words of a small 12-bit image, and its bytes.
pub(crate) fn ramp(count: u16) -> (Vec<u16>, Vec<u8>) {
    let words: Vec<u16> = (0..count).map(|index| index * 37 % 4096).collect();
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    (words, bytes)
}

/// RLE of a frame of 16-bit words: two segments of literal runs.
pub(crate) fn rle(words: &[u16]) -> Vec<u8> {
    let literal = |bytes: Vec<u8>| -> Vec<u8> {
        let mut packed: Vec<u8> =
            bytes.chunks(128).flat_map(|chunk| [&[chunk.len() as u8 - 1], chunk].concat()).collect();
        packed.resize(packed.len().next_multiple_of(2), 0x80);
        packed
    };
    let high = literal(words.iter().map(|word| (word >> 8) as u8).collect());
    let low = literal(words.iter().map(|word| *word as u8).collect());
    let mut frame: Vec<u8> = [2, 64, 64 + high.len() as u32].iter().flat_map(|entry| entry.to_le_bytes()).collect();
    frame.resize(64, 0);
    [frame, high, low].concat()
}
