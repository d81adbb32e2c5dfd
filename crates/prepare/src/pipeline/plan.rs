//! What a preparation would do, without doing it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::colours;
use super::place::{place_below, strip_source};
use super::request::{Progress, Request};
use crate::budget::Budget;
use crate::error::Result;
use crate::layouts::{ImageSource, Layout, MaskSource};
use crate::row_classes::found;

/// What a preparation would do.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// How the source is laid out.
    pub layout: Layout,
    /// Number of images and volumes.
    pub cases: usize,
    /// How many of them have no mask.
    pub without_mask: usize,
    /// Number of patients that the source names.
    pub patients: usize,
    /// Whether a key is missing, with which patients are hashed.
    pub needs_key: bool,
    /// Number of images in colour; 0 if the settings do not depend on it.
    pub coloured: usize,
    /// What becomes of colour, in words.
    pub colour_becomes: String,
    /// Channels of the prepared images.
    pub channels: usize,
    /// Notes about what was found.
    pub notes: Vec<String>,
    /// Pictures that need more memory than the limit, with the reason.
    pub too_large: Vec<String>,
    /// Files that cannot be read, with the reason.
    pub unreadable: Vec<String>,
}

/// Searches the source as a preparation does, and says what that would do. Writes nothing.
///
/// # Errors
/// When settings or source cannot be used.
pub fn plan(request: &Request, progress: &dyn Progress) -> Result<Plan> {
    request.config.check()?;
    let found = found(&request.source, request.layout, &request.config, &request.cost)?;
    let budget = Budget::of(&request.cost);
    let (reading, coloured) = colours::reading(&found.cases, found.layout, request, &budget, progress);
    let told = |path: &std::path::Path, error: &crate::error::PrepareError| {
        format!("{}: {}", place_below(&request.source, path), strip_source(&error.to_string(), &request.source))
    };
    let pictures = found.cases.iter().filter(|case| matches!(case.image, ImageSource::Picture(_)));
    let too_large = pictures.filter_map(|case| {
        let path = case.image.path();
        budget.picture(path, reading).err().map(|error| told(path, &error))
    });
    let patients: BTreeSet<_> = found.cases.iter().filter_map(|case| case.patient.as_ref()).collect();
    Ok(Plan {
        layout: found.layout,
        cases: found.cases.len(),
        without_mask: found.cases.iter().filter(|case| matches!(case.masks, MaskSource::Missing(_))).count(),
        patients: patients.len(),
        needs_key: !patients.is_empty() && request.key.is_none(),
        coloured,
        colour_becomes: format!("{} (prepare.colour = \"{}\")", reading.words(), request.config.colour.word()),
        channels: reading.channels(),
        notes: found.all_notes(),
        too_large: too_large.collect(),
        unreadable: found.unreadable.iter().map(|(path, error)| told(path, error)).collect(),
    })
}
