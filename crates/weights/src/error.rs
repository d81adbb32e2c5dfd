//! Errors about files of other frameworks.

use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Each message names the file, what was found, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("{}: cannot {action}: {source}; check the path and its permissions", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file that is damaged or has the wrong format.
    #[error("{}: {problem}; {advice}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
        /// What to do.
        advice: &'static str,
    },
}

impl Error {
    /// For `map_err` on a file operation.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}
