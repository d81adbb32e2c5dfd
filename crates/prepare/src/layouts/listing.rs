//! What the search of one layout gathers.

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

/// A count with a note, where there is something to count.
pub(super) fn note(notes: &mut Vec<String>, count: usize, text: &str) {
    if count > 0 {
        notes.push(format!("{count} {text}"));
    }
}
