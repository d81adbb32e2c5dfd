//! Lists the attributes of a file that may identify a person: tags and reasons, never values.

use std::collections::BTreeMap;
use std::path::Path;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::basic_profile::BASIC_PROFILE;
use crate::header::{Kind, Node};
use crate::source::Source;
use crate::{Limits, Result, file};

/// Why an attribute is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Listed in the basic profile of PS3.15 annex E, table E.1-1.
    BasicProfile,
    /// Private (odd group): only the manufacturer knows what it contains.
    Private,
    /// A person's name, according to its VR (PN).
    PersonName,
    /// Not in the data dictionary.
    Unknown,
}

/// One attribute that identifies, or may identify, a person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PrivateTag {
    /// Group and element: `(0010,0010)`.
    pub tag: String,
    /// Keyword of the standard's dictionary; empty for private and unknown tags.
    pub keyword: &'static str,
    /// Value representation.
    pub vr: String,
    /// Why it is listed.
    pub reason: Reason,
    /// How often it occurs in the file, including nested sequences.
    pub count: usize,
    /// How many of these occurrences have a value.
    pub filled: usize,
}

/// Lists the attributes of a file that may identify a person, sorted by tag. Elements after the pixel data are read too.
pub fn privacy(path: &Path, limits: &Limits) -> Result<Vec<PrivateTag>> {
    list(Source::open(path, limits)?, limits)
}

/// The same as [`privacy`], for a file held in memory; errors give `name` as its path.
pub fn privacy_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Result<Vec<PrivateTag>> {
    list(Source::from_bytes(bytes, name, limits), limits)
}

fn list(source: Source, limits: &Limits) -> Result<Vec<PrivateTag>> {
    let file = file::read(source, limits, true)?;
    let mut found: BTreeMap<Tag, PrivateTag> = BTreeMap::new();
    for node in file.meta.nodes.iter().chain(&file.header.nodes) {
        let Some(reason) = reason(node) else { continue };
        let entry = found.entry(node.tag).or_insert_with(|| PrivateTag {
            tag: format!("({:04X},{:04X})", node.tag.0, node.tag.1),
            keyword: StandardDataDictionary.by_tag(node.tag).map_or("", |entry| entry.alias()),
            vr: node.vr.to_string().into(),
            reason,
            count: 0,
            filled: 0,
        });
        entry.count += 1;
        entry.filled += usize::from(node.length > 0);
    }
    Ok(found.into_values().collect())
}

/// Why a node is listed; `None` if it is harmless.
fn reason(node: &Node) -> Option<Reason> {
    if node.kind == Kind::Item {
        return None;
    }
    let Tag(group, element) = node.tag;
    if group % 2 == 1 {
        return Some(Reason::Private);
    }
    let repeated = match group >> 8 {
        // Table E.1-1 lists all of the curves (50xx), and overlay data and comments (60xx,3000 and 60xx,4000).
        0x50 => true,
        0x60 => matches!(element, 0x3000 | 0x4000),
        _ => false,
    };
    if repeated || BASIC_PROFILE.binary_search(&(u32::from(group) << 16 | u32::from(element))).is_ok() {
        return Some(Reason::BasicProfile);
    }
    if node.vr == VR::PN {
        return Some(Reason::PersonName);
    }
    StandardDataDictionary.by_tag(node.tag).is_none().then_some(Reason::Unknown)
}
