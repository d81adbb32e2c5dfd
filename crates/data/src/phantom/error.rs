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
        /// What can be used.
        expected: &'static str,
    },
    /// A patient beyond those of the set was asked for.
    #[error("phantom patient {patient} was asked for, but the set has patients 0 to {last}; raise `patients`")]
    NoSuchPatient {
        /// The patient asked for.
        patient: usize,
        /// The last one.
        last: usize,
    },
    /// The folder to write into holds something.
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
