//! Which attributes of a file hold identity: tags and reasons, never values.

use std::path::Path;

use crate::{Limits, Result};

/// Why an attribute is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Listed in the basic profile of PS3.15 annex E, table E.1-1.
    BasicProfile,
    /// Private (odd group): what it holds is the manufacturer's secret.
    Private,
    /// A person's name by its VR (PN).
    PersonName,
    /// Not in the data dictionary.
    Unknown,
}

/// One attribute that holds, or may hold, identity.
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
    /// How often it stands in the file, nested sequences counted.
    pub count: usize,
    /// How many of these have a value.
    pub filled: usize,
}

/// Lists the attributes of a file that hold identity, by tag. The whole header is read, behind the pixel data too.
pub fn privacy(path: &Path, limits: &Limits) -> Result<Vec<PrivateTag>> {
    todo!()
}
