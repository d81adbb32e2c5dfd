//! The result of searching for one layout.

use std::collections::HashSet;
use std::path::PathBuf;

use super::case::Case;
use super::pairing::Paired;
use super::walk::Entry;
use crate::error::PrepareError;

/// Cases and notes of one layout.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) cases: Vec<Case>,
    pub(super) notes: Vec<String>,
    pub(super) unreadable: Vec<(PathBuf, PrepareError)>,
    /// Pictures and volumes that no case reads, but which a note counts.
    pub(super) explained: HashSet<PathBuf>,
}

/// Adds a note with a count, unless the count is 0.
pub(super) fn note(notes: &mut Vec<String>, count: usize, text: &str) {
    if count > 0 {
        notes.push(format!("{count} {text}"));
    }
}

impl Listing {
    /// Notes what a pairing left over, apart from the pairs.
    pub(super) fn rest(&mut self, paired: Paired<'_>) {
        self.unreadable.extend(paired.ambiguous.into_iter().map(|(entry, error)| (entry.path.clone(), error)));
        self.left(&paired.ambiguous_masks, None);
        self.left(
            &paired.previews,
            Some("picture(s) are previews of a DICOM or NIfTI file of the same name and were left out, such as"),
        );
        self.alone(&paired.alone);
    }

    /// Notes masks without an image.
    pub(super) fn alone(&mut self, masks: &[&Entry]) {
        self.left(masks, Some("mask(s) have no image, such as"));
    }

    /// Remembers files that no case reads, with a note that names the first of them.
    pub(super) fn left(&mut self, files: &[&Entry], text: Option<&str>) {
        self.explained.extend(files.iter().map(|entry| entry.path.clone()));
        if let (Some(text), Some(first)) = (text, files.first()) {
            note(&mut self.notes, files.len(), &format!("{text} {}.", first.place));
        }
    }
}
