//! The result of searching for one layout.

use std::path::PathBuf;

use super::case::Case;
use crate::error::PrepareError;

/// Cases and notes of one layout.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) cases: Vec<Case>,
    pub(super) notes: Vec<String>,
    pub(super) unreadable: Vec<(PathBuf, PrepareError)>,
}

/// Adds a note with a count, unless the count is 0.
pub(super) fn note(notes: &mut Vec<String>, count: usize, text: &str) {
    if count > 0 {
        notes.push(format!("{count} {text}"));
    }
}
