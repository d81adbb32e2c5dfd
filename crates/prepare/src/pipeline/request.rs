//! The request for a preparation, and how it reports.

use std::path::PathBuf;

use crate::layouts::Layout;
use crate::privacy::Key;
use crate::settings::PrepareConfig;
use crate::sources::Cost;

/// What to prepare, and where to write it.
#[derive(Debug)]
pub struct Request {
    /// The folder with the source's files.
    pub source: PathBuf,
    /// The output folder, which is created or continued.
    pub out: PathBuf,
    /// The source's layout; if it is `None`, the layout is recognised.
    pub layout: Option<Layout>,
    /// The settings.
    pub config: PrepareConfig,
    /// The key for hashing patients' identifiers; required if the source names patients.
    pub key: Option<Key>,
    /// Whether to stop at the first case that cannot be prepared.
    pub strict: bool,
    /// Bounds on the memory for reading.
    pub cost: Cost,
    /// Whether pairs of images that are no longer in the source are removed from the output folder.
    pub prune: bool,
    /// Where to write a table of prepared ids and source files; must be outside the prepared folder.
    pub links: Option<PathBuf>,
}

/// Receives progress and says when to stop. Called from several threads.
pub trait Progress: Sync {
    /// Preparation begins; `total` is the number of cases.
    fn begin(&self, _total: usize) {}

    /// `done` cases are done.
    fn done(&self, _done: usize) {}

    /// Whether the user asked to stop. Finished cases are kept, and the same call can continue later.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Reports nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
