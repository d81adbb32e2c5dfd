//! Writes files and folders whole or not at all, locks folders, and computes the hashes that name content.
//!
//! pig writes everything to a temporary name beside its target, syncs it and renames it. A reader finds the old content or the
//! new content, never a part, even after a crash. [`write()`] and [`write_by`] do this for a file, [`create_folder`] for a folder.
//!
//! [`open()`], [`read()`] and [`append()`] take regular files alone, since a pipe could block for ever; [`Positions`]
//! reads one at positions. [`lock()`] keeps other processes out of a folder.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod folder;
mod hash;
mod lock;
mod open;
mod positions;
mod temporary;
mod write;

pub use folder::{check_creatable, create_folder};
pub use hash::{hex, sha256};
pub use lock::{Lock, Locked, Owner, STALE, holder, lock};
pub use open::{append, open, read, read_to_string};
pub use positions::Positions;
pub use temporary::{Temporary, sweep, sweep_beside};
pub use write::{check_writable, write, write_by, write_json};

use std::{
    io,
    path::{Path, PathBuf},
};

/// A file or folder that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {action}: {}", path.display(), explained(source, "check that the folder exists and that you may write there"))]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// The operation that failed, such as "write".
    pub action: &'static str,
    /// The system's error.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err` on a file operation.
    fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, action, source }
    }
}

/// Whether an operation failed because the disk, or the user's share of it, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What to say about a full disk.
pub const FULL: &str = "the disk is full; free some space and run the same command again";

/// The system's error, and what to do about it: `otherwise`, unless the disk is full.
pub fn explained(error: &io::Error, otherwise: &str) -> String {
    // An error that pig made itself has no text of the system, and would be called "entity not found".
    let is_absent =
        error.kind() == io::ErrorKind::NotFound && error.raw_os_error().is_none() && error.get_ref().is_none();
    match (is_full(error), is_absent) {
        (true, _) => FULL.to_owned(),
        (_, true) => format!("there is no such file; {otherwise}"),
        _ => format!("{error}; {otherwise}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let said = |kind: io::ErrorKind| FileError::io(Path::new("out/a.png"), "write")(kind.into()).to_string();
        let full = "out/a.png: cannot write: the disk is full; free some space and run the same command again";
        assert_eq!(said(io::ErrorKind::StorageFull), full);
        assert_eq!(said(io::ErrorKind::QuotaExceeded), full);
        let other = said(io::ErrorKind::PermissionDenied);
        assert!(other.contains("permission denied") && other.contains("you may write there"), "{other}");
        let absent = said(io::ErrorKind::NotFound);
        assert!(absent.contains("cannot write: there is no such file; check"), "{absent}");
    }
}
