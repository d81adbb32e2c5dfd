//! Why a phantom could not be made or written.

use std::path::PathBuf;

/// An error of the phantom; each names what was found and what is expected.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A setting is out of range.
    #[error("phantom setting `{setting}` is {found}; expected {expected}")]
    Setting {
        /// Its name in [`PhantomConfig`](super::PhantomConfig).
        setting: &'static str,
        /// The value found.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The requested patient is not in the set.
    #[error("phantom patient {patient} was requested, but the set has patients 0 to {last}; raise `patients`")]
    NoSuchPatient {
        /// The patient requested.
        patient: usize,
        /// The number of the last patient.
        last: usize,
    },
    /// The output folder is not empty.
    #[error("{path} is not empty; name a new or empty folder for the phantom set")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("{path} could not be written; check that its folder exists, is writable and has room left")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system or the encoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<pig_files::FileError> for PhantomError {
    fn from(error: pig_files::FileError) -> Self {
        Self::Write { path: error.path, source: Box::new(error.source) }
    }
}
