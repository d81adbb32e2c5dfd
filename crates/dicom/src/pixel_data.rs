//! Where the pixel data lies: one run of bytes, or fragments that belong to frames.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::dataset::Dataset;
use crate::header::{self, Encoding, RawElement, invalid, truncated};
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
    /// Whether the element is made of 16-bit words (OW), which decides how big-endian bytes lie.
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

/// Finds the extent of a pixel data element whose header was just read. One run of bytes is not read: in a deflated stream it
/// is found missing when a frame is.
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
    let what = header::name(element.tag);
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
                "fragments under a transfer syntax without compression".into(),
                "one run of bytes, or the right transfer syntax",
            ));
        }
        (false, true) => {
            return Err(invalid(
                source,
                what,
                "one run of bytes under a compressed transfer syntax".into(),
                "fragments, or the right transfer syntax",
            ));
        }
    };
    Ok(PixelData { numbers, layout, big_endian, words })
}

/// Reads the headers of all fragments. A missing delimiter at the end of the file is accepted, a cut fragment is not.
fn fragments(source: &mut Source, limits: &Limits) -> Result<Layout> {
    let mut table = None;
    let mut fragments = Vec::new();
    let most = u64::from(limits.max_frames);
    while let Some(item) = header::read_element(source, Encoding::ExplicitLittle)? {
        match item.tag {
            Tag(0xFFFE, 0xE0DD) => break,
            Tag(0xFFFE, 0xE000) => {}
            other => {
                return Err(invalid(
                    source,
                    "encapsulated pixel data".into(),
                    header::name(other),
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

/// Which fragments make up each frame: `starts[i]..starts[i + 1]` of the fragments are frame `i`.
pub(crate) fn frame_starts(
    source: &mut Source,
    root: &Dataset<'_>,
    table: &[u32],
    fragments: &[Span],
    frames: u32,
) -> Result<Vec<u32>> {
    let frames = frames as usize;
    let count = fragments.len();
    let found = format!("{count} fragments");
    let wrong = |expected: String| {
        Err(Error::Invalid {
            path: root.path().to_path_buf(),
            what: "encapsulated pixel data".into(),
            found: found.clone(),
            expected,
        })
    };
    if count < frames {
        return wrong(format!("at least one for each of {frames} frames (Number of Frames)"));
    }
    let ends = |mut starts: Vec<u32>| {
        starts.push(count as u32);
        starts
    };
    if frames == 1 {
        return Ok(ends(vec![0]));
    }
    if count == frames {
        return Ok((0..=count as u32).collect());
    }
    let extended: Vec<u64> = root
        .get(tags::EXTENDED_OFFSET_TABLE)
        .map(|element| element.bytes().as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry)).collect())
        .unwrap_or_default();
    let offsets = if extended.is_empty() { table.iter().map(|&entry| u64::from(entry)).collect() } else { extended };
    if offsets.len() >= frames
        && let Some(starts) = starts_of(fragments, &offsets[..frames])
    {
        return Ok(ends(starts));
    }
    // No usable table: a frame begins where a codestream does.
    let mut starts = Vec::with_capacity(frames);
    for (index, fragment) in fragments.iter().enumerate() {
        let mut mark = [0; 4];
        source.seek(fragment.offset)?;
        let read = source.read_up_to(&mut mark[..fragment.length.min(4) as usize])?;
        if read >= 3 && (mark[..3] == [0xFF, 0xD8, 0xFF] || mark == [0xFF, 0x4F, 0xFF, 0x51]) {
            starts.push(index as u32);
        }
    }
    if starts.len() == frames && starts.first() == Some(&0) {
        return Ok(ends(starts));
    }
    wrong(format!("an offset table that maps them to {frames} frames, or {frames} beginnings of a codestream"))
}

/// The fragment at each offset (counted from the first fragment's item header); `None` unless all are found, in order.
fn starts_of(fragments: &[Span], offsets: &[u64]) -> Option<Vec<u32>> {
    let base = fragments.first()?.offset;
    let starts: Vec<u32> = offsets
        .iter()
        .map(|offset| fragments.binary_search_by_key(&offset.checked_add(base)?, |f| f.offset).ok().map(|i| i as u32))
        .collect::<Option<_>>()?;
    (starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b)).then_some(starts)
}
