//! What is to be prepared, and what every case needs to know of it.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::budget::Budget;
use crate::layouts::Layout;
use crate::prepared_folder::Folder;
use crate::privacy::Key;
use crate::settings::PrepareConfig;
use crate::sources::Cost;

/// What is to be prepared, and where to.
#[derive(Debug)]
pub struct Request {
    /// The folder with the source's files.
    pub source: PathBuf,
    /// The folder to make, or to go on with.
    pub out: PathBuf,
    /// The source's layout; recognised without it.
    pub layout: Option<Layout>,
    /// The settings.
    pub config: PrepareConfig,
    /// The key that patients are hashed with; needed where the source names patients.
    pub key: Option<Key>,
    /// Whether the first case that cannot be prepared ends the work.
    pub strict: bool,
    /// What reading may cost.
    pub cost: Cost,
    /// A table of prepared ids and source files to write, outside the prepared folder.
    pub links: Option<PathBuf>,
}

/// Receives progress and says when to stop. Called from several threads.
pub trait Progress: Sync {
    /// The work begins; `total` is the number of cases.
    fn begin(&self, _total: usize) {}

    /// So many cases are done.
    fn done(&self, _done: usize) {}

    /// Whether the user asked to stop: what is finished is kept, and the same call goes on later.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Says nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// What the preparation of every case shares.
pub(super) struct Work<'a> {
    pub(super) request: &'a Request,
    pub(super) layout: Layout,
    pub(super) folder: &'a Folder,
    pub(super) ids: &'a HashMap<&'a str, String>,
    pub(super) progress: &'a dyn Progress,
    pub(super) budget: Budget,
}
