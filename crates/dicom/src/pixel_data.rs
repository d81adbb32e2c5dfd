//! Locates the pixel data: one run of bytes, or fragments.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::element::{self, Encoding, RawElement, invalid, truncated};
use crate::source::Source;
use crate::{Error, Limits, Result};

/// Which of the three pixel data elements was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    Integer,
    Float,
    Double,
}

/// The place of the pixel data.
#[derive(Debug)]
pub(crate) struct PixelData {
    pub(crate) numbers: Numbers,
    pub(crate) layout: Layout,
    /// Whether the bytes are in big-endian order.
    pub(crate) big_endian: bool,
    /// Whether the element is made of 16-bit words (OW), which decides the order of big-endian bytes.
    pub(crate) words: bool,
}

/// A run of bytes in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

#[derive(Debug)]
pub(crate) enum Layout {
    Native(Span),
    Encapsulated {
        /// Basic Offset Table.
        table: Vec<u32>,
        /// Fragments, without the table.
        fragments: Vec<Span>,
    },
}

pub(crate) fn is_pixel_data(tag: Tag) -> bool {
    matches!(tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA)
}

/// Finds the extent of a pixel data element whose header was just read. The bytes of one run are not read: in a deflated
/// stream, missing bytes are only noticed when a frame is read.
pub(crate) fn locate(
    source: &mut Source,
    element: RawElement,
    encapsulated: Option<bool>,
    big_endian: bool,
    limits: &Limits,
) -> Result<PixelData> {
    let numbers = match element.tag {
        tags::FLOAT_PIXEL_DATA => Numbers::Float,
        tags::DOUBLE_FLOAT_PIXEL_DATA => Numbers::Double,
        _ => Numbers::Integer,
    };
    let what = element::name(element.tag);
    let words = element.vr == dicom_core::VR::OW;
    let undefined = element.length == u32::MAX;
    let layout = match (undefined, encapsulated.unwrap_or(undefined)) {
        (true, true) => fragments(source, limits)?,
        (false, false) => {
            let span = Span { offset: source.position(), length: u64::from(element.length) };
            if let Some(length) = source.length()
                && span.offset + span.length > length
            {
                return Err(truncated(source, &what, span.length, length.saturating_sub(span.offset)));
            }
            Layout::Native(span)
        }
        (true, false) => {
            return Err(invalid(
                source,
                what,
                "fragments with an uncompressed transfer syntax".into(),
                "one run of bytes, or the right transfer syntax",
            ));
        }
        (false, true) => {
            return Err(invalid(
                source,
                what,
                "one run of bytes with a compressed transfer syntax".into(),
                "fragments, or the right transfer syntax",
            ));
        }
    };
    Ok(PixelData { numbers, layout, big_endian, words })
}

/// Reads the headers of all fragments. A missing delimiter at the end of the file is accepted, but not a truncated fragment.
fn fragments(source: &mut Source, limits: &Limits) -> Result<Layout> {
    let mut table = None;
    let mut fragments = Vec::new();
    let most = u64::from(limits.max_frames);
    while let Some(item) = element::read_element(source, Encoding::ExplicitLittle)? {
        match item.tag {
            Tag(0xFFFE, 0xE0DD) => break,
            Tag(0xFFFE, 0xE000) => {}
            other => {
                return Err(invalid(
                    source,
                    "encapsulated pixel data".into(),
                    element::name(other),
                    "an item (FFFE,E000) or a delimiter (FFFE,E0DD)",
                ));
            }
        }
        let span = Span { offset: source.position(), length: u64::from(item.length) };
        if let Some(length) = source.length()
            && span.offset + span.length > length
        {
            return Err(truncated(source, "a fragment of pixel data", span.length, length.saturating_sub(span.offset)));
        }
        let over = if table.is_none() { span.length / 4 } else { fragments.len() as u64 };
        if over > most || (table.is_some() && over == most) {
            return Err(Error::Limit {
                path: source.path().to_path_buf(),
                what: "the number of fragments".into(),
                found: over,
                limit: most,
                setting: "max_frames",
            });
        }
        if table.is_none() {
            let bytes = source.read_vec(item.length as usize, || "the basic offset table".into())?;
            table = Some(bytes.as_chunks::<4>().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect());
        } else {
            fragments.push(span);
            source.seek(span.offset + span.length)?;
        }
    }
    Ok(Layout::Encapsulated { table: table.unwrap_or_default(), fragments })
}
