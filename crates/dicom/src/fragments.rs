//! Which fragments of encapsulated pixel data belong to which frame.

use dicom_dictionary_std::tags;

use crate::dataset::Dataset;
use crate::pixel_data::Span;
use crate::source::Source;
use crate::{Error, Result};

/// Finds the fragments of each frame: frame `i` consists of the fragments `starts[i]..starts[i + 1]`, where `starts` is returned.
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
    let offsets = offsets(root, table);
    if offsets.len() >= frames
        && let Some(starts) = starts_of(fragments, &offsets[..frames])
    {
        return Ok(ends(starts));
    }
    // Without a usable table, a frame begins with each fragment that begins a codestream.
    let starts = codestreams(source, fragments)?;
    if starts.len() == frames && starts.first() == Some(&0) {
        return Ok(ends(starts));
    }
    wrong(format!("an offset table that maps them to {frames} frames, or {frames} fragments that begin a codestream"))
}

/// How many frames encapsulated pixel data hold beyond the stated `frames`, as far as an offset table or the beginnings of
/// codestreams tell.
pub(crate) fn left_over(
    source: &mut Source,
    root: &Dataset<'_>,
    table: &[u32],
    fragments: &[Span],
    frames: u32,
) -> Result<u32> {
    let frames = frames as usize;
    let mut count = offsets(root, table).len();
    if count == 0 && fragments.len() > frames {
        count = codestreams(source, fragments)?.len();
    }
    Ok(u32::try_from(count.saturating_sub(frames)).unwrap_or(u32::MAX))
}

/// The offsets of frames that the file states: those of the Extended Offset Table, else those of the Basic Offset Table.
fn offsets(root: &Dataset<'_>, table: &[u32]) -> Vec<u64> {
    let extended: Vec<u64> = root
        .get(tags::EXTENDED_OFFSET_TABLE)
        .map(|element| element.bytes().as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry)).collect())
        .unwrap_or_default();
    if extended.is_empty() { table.iter().map(|&entry| u64::from(entry)).collect() } else { extended }
}

/// The fragments that begin a codestream of JPEG, JPEG-LS or JPEG 2000.
fn codestreams(source: &mut Source, fragments: &[Span]) -> Result<Vec<u32>> {
    let mut starts = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let mut mark = [0; 4];
        source.seek(fragment.offset)?;
        let read = source.read_up_to(&mut mark[..fragment.length.min(4) as usize])?;
        if read >= 3 && (mark[..3] == [0xFF, 0xD8, 0xFF] || mark == [0xFF, 0x4F, 0xFF, 0x51]) {
            starts.push(index as u32);
        }
    }
    Ok(starts)
}

/// The index of the fragment at each offset (counted from the first fragment's item header); `None` unless every offset is the
/// start of a fragment and the offsets are in order.
fn starts_of(fragments: &[Span], offsets: &[u64]) -> Option<Vec<u32>> {
    let base = fragments.first()?.offset;
    let starts: Vec<u32> = offsets
        .iter()
        .map(|offset| fragments.binary_search_by_key(&offset.checked_add(base)?, |f| f.offset).ok().map(|i| i as u32))
        .collect::<Option<_>>()?;
    (starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b)).then_some(starts)
}
