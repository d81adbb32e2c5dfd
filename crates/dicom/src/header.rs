//! The header of a data set: every element outside the pixel data, in a flat list in memory, read once and without recursion.
//!
//! This crate reads the elements itself, because the object layer of dicom-rs reads values of any stated length and nests as
//! deeply as the file states.

use dicom_core::{Tag, VR};

use crate::element::{Encoding, RawElement, invalid, name, read_element, truncated};
use crate::pixel_data::{self, Layout, PixelData};
use crate::source::Source;
use crate::{Error, Limits, Result};

/// Values longer than this are skipped, not kept: nothing that this crate uses is larger (a palette has 128 KiB).
const KEEP: u64 = 1 << 20;
/// Length that means "until the delimiter".
const UNDEFINED: u32 = u32::MAX;
/// Memory that one node takes in addition to its value.
const NODE_BYTES: u64 = size_of::<Node>() as u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value that is kept.
    Value,
    /// A value that was too long to keep.
    Skipped,
    Sequence,
    Item,
}

/// One element, or one item of a sequence; children follow it directly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) tag: Tag,
    pub(crate) vr: VR,
    pub(crate) kind: Kind,
    /// Position and length of the value in `Header::bytes`; for a skipped value, only `length` is valid.
    pub(crate) start: u32,
    pub(crate) length: u32,
    /// Index of the first node after this one's children.
    pub(crate) end: u32,
    pub(crate) big_endian: bool,
}

/// All elements of a data set in the order of the file, and where its pixel data lies.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) bytes: Vec<u8>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pixel_data: Option<PixelData>,
}

/// A sequence or item that a walk is inside, and where it ends.
#[derive(Debug, Clone, Copy)]
struct Level {
    node: Option<usize>,
    /// Position of the end, in bytes; `None` if a delimiter marks the end.
    end: Option<u64>,
    encoding: Encoding,
    sequence: bool,
}

/// How to read a data set, and which part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) encoding: Encoding,
    /// Stops before the first top-level element of another group (for the file meta group).
    pub(crate) only_group: Option<u16>,
    /// Whether the transfer syntax encapsulates its pixel data, if that is known.
    pub(crate) encapsulated: Option<bool>,
    /// Reads on after the pixel data.
    pub(crate) to_the_end: bool,
}

/// Reads a data set from the source's position.
pub(crate) fn read(source: &mut Source, goal: Goal, limits: &Limits) -> Result<Header> {
    let root = Level { node: None, end: None, encoding: goal.encoding, sequence: false };
    let mut walk = Walk { source, goal, limits, header: Header::default(), levels: vec![root] };
    while walk.step()? {}
    Ok(walk.header)
}

struct Walk<'a> {
    source: &'a mut Source,
    goal: Goal,
    limits: &'a Limits,
    header: Header,
    levels: Vec<Level>,
}

impl Walk<'_> {
    /// Reads one element or closes one level; `false` at the end.
    fn step(&mut self) -> Result<bool> {
        let here = self.source.position();
        let Some(&level) = self.levels.last() else { return Ok(false) };
        if let Some(end) = level.end {
            if here == end {
                self.close();
                return Ok(true);
            }
            if here > end {
                let found = format!("an element that ends {} bytes after it", here - end);
                return Err(invalid(self.source, "a sequence item".into(), found, "elements inside their item"));
            }
        }
        let root = self.levels.len() == 1;
        let element = match read_element(self.source, level.encoding) {
            Ok(Some(element)) => element,
            Ok(None) if root => return Ok(false),
            Ok(None) => return Err(truncated(self.source, "a sequence", 8, 0)),
            // Invalid bytes after the pixel data do not harm the image.
            Err(Error::Truncated { .. }) if root && self.header.pixel_data.is_some() => return Ok(false),
            Err(error) => return Err(error),
        };
        if root && self.goal.only_group.is_some_and(|group| group != element.tag.0) {
            self.source.seek(here)?;
            return Ok(false);
        }
        if element.tag.0 == 0xFFFE {
            return self.delimiter(element, level).map(|()| true);
        }
        if level.sequence {
            return Err(invalid(self.source, "a sequence".into(), name(element.tag), "an item (FFFE,E000)"));
        }
        if root && pixel_data::is_pixel_data(element.tag) {
            if self.header.pixel_data.is_some() {
                return Err(invalid(self.source, "pixel data".into(), "a second element".into(), "only one"));
            }
            let big_endian = level.encoding == Encoding::ExplicitBig;
            let data = pixel_data::locate(self.source, element, self.goal.encapsulated, big_endian, self.limits)?;
            if let (Layout::Native(span), true) = (&data.layout, self.goal.to_the_end) {
                self.source.seek(span.offset + span.length)?;
            }
            self.header.pixel_data = Some(data);
            return Ok(self.goal.to_the_end);
        }
        self.element(element, level).map(|()| true)
    }

    /// Handles the start of an item, or a delimiter that ends an item or a sequence.
    fn delimiter(&mut self, element: RawElement, level: Level) -> Result<()> {
        match element.tag.1 {
            0xE000 if level.sequence => {
                let end = self.end_of(element, level.end)?;
                let node = self.push(element, Kind::Item, level.encoding)?;
                self.enter(Level { node: Some(node), end, encoding: level.encoding, sequence: false })
            }
            0xE00D if !level.sequence && self.levels.len() > 1 && level.end.is_none() => {
                self.close();
                Ok(())
            }
            0xE0DD if level.sequence && level.end.is_none() => {
                self.close();
                Ok(())
            }
            // A delimiter after a sequence or item of stated length is harmless, and some writers add one.
            0xE00D | 0xE0DD if element.length == 0 && (level.sequence || self.levels.len() == 1) => Ok(()),
            _ => {
                let expected = "items inside sequences, each closed once";
                Err(invalid(self.source, "the nesting of sequences".into(), name(element.tag), expected))
            }
        }
    }

    fn element(&mut self, element: RawElement, level: Level) -> Result<()> {
        let undefined = element.length == UNDEFINED;
        let end = self.end_of(element, level.end)?;
        if element.vr == VR::SQ || undefined {
            // PS3.5 6.2.2: a sequence with the VR UN is written in implicit little endian.
            let encoding = if element.vr == VR::SQ { level.encoding } else { Encoding::ImplicitLittle };
            let node = self.push(element, Kind::Sequence, level.encoding)?;
            return self.enter(Level { node: Some(node), end, encoding, sequence: true });
        }
        if u64::from(element.length) > KEEP {
            self.push(element, Kind::Skipped, level.encoding)?;
            return self.source.seek(self.source.position() + u64::from(element.length));
        }
        let value = self.source.read_vec(element.length as usize, || name(element.tag))?;
        self.push(element, Kind::Value, level.encoding)?;
        self.header.bytes.extend_from_slice(&value);
        Ok(())
    }

    /// The end of an element or item, checked against the ends of its parent and of the file; `None` for an undefined length.
    fn end_of(&self, element: RawElement, parent: Option<u64>) -> Result<Option<u64>> {
        if element.length == UNDEFINED {
            return Ok(None);
        }
        let here = self.source.position();
        let end = here + u64::from(element.length);
        let bound = [parent, self.source.length()].into_iter().flatten().min();
        match bound {
            Some(bound) if end > bound => {
                Err(truncated(self.source, &name(element.tag), u64::from(element.length), bound.saturating_sub(here)))
            }
            _ => Ok(Some(end)),
        }
    }

    fn push(&mut self, element: RawElement, kind: Kind, encoding: Encoding) -> Result<usize> {
        let index = self.header.nodes.len();
        let limit = |what: &str, found: u64, limit: u64, setting| Error::Limit {
            path: self.source.path().to_path_buf(),
            what: what.into(),
            found,
            limit,
            setting,
        };
        if index >= self.limits.max_elements {
            let most = self.limits.max_elements as u64;
            return Err(limit("the number of data elements", index as u64 + 1, most, "max_elements"));
        }
        let kept = if kind == Kind::Value { u64::from(element.length) } else { 0 };
        let size = self.header.bytes.len() as u64 + kept + (index as u64 + 1) * NODE_BYTES;
        // Positions are 32-bit numbers, whatever the setting.
        let most = self.limits.max_header_bytes.min(u64::from(u32::MAX));
        if size > most {
            return Err(limit("the size of the header in bytes", size, most, "max_header_bytes"));
        }
        self.header.nodes.push(Node {
            tag: element.tag,
            vr: element.vr,
            kind,
            start: self.header.bytes.len() as u32,
            length: element.length,
            end: index as u32 + 1,
            big_endian: encoding == Encoding::ExplicitBig,
        });
        Ok(index)
    }

    fn enter(&mut self, level: Level) -> Result<()> {
        self.levels.push(level);
        // A sequence and its item count as one level of nesting.
        let depth = self.levels.len() / 2;
        if depth > self.limits.max_depth {
            return Err(Error::Limit {
                path: self.source.path().to_path_buf(),
                what: "the nesting depth of sequences".into(),
                found: depth as u64,
                limit: self.limits.max_depth as u64,
                setting: "max_depth",
            });
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(Level { node: Some(node), .. }) = self.levels.pop() {
            self.header.nodes[node].end = self.header.nodes.len() as u32;
        }
    }
}

impl Header {
    /// Bytes that the header takes in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.bytes.len() as u64 + self.nodes.len() as u64 * NODE_BYTES
    }
}
