//! Writes files and folders whole or not at all, and computes the hashes that name content.
//!
//! pig writes everything to a temporary name beside its target, syncs it and renames it. A reader finds the old content or the
//! new content, never a part, even after a crash. [`write()`] does this for a file, [`create_folder`] for a folder.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod folder;
mod hash;
mod write;

pub use folder::create_folder;
pub use hash::{hex, sha256};
pub use write::{write, write_json};

use std::path::{Path, PathBuf};

/// A file or folder that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {action}: {source}; check that the folder exists, that you may write there and that there is space", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// The operation that failed, such as "write".
    pub action: &'static str,
    /// The system's error.
    pub source: std::io::Error,
}

impl FileError {
    /// For `map_err` on a file operation.
    fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, action, source }
    }
}
