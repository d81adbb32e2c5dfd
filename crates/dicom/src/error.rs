//! The one error type of this crate.

use std::path::PathBuf;

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file was refused. Every message names the file, what was found, what was expected and what to do next; no message
/// holds a header value other than sizes, and names and UIDs that the standard gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened or read.
    #[error("{}: {source}; check that the file exists and can be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither the "DICM" mark nor a readable data set without one.
    #[error("{}: not a DICOM file: {found}, expected \"DICM\" at byte 128 or a data set that begins with group 0002 or 0008; leave the file out", path.display())]
    NotDicom {
        /// The file.
        path: PathBuf,
        /// What stands there instead.
        found: String,
    },
    /// The file ends, or an element's parent ends, before a value does.
    #[error("{}: truncated: {what} needs {needed} bytes, found {found}; fetch the file again from its source", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Which element or part.
        what: String,
        /// Bytes that it says it has.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A bound of [`crate::Limits`] would be passed.
    #[error("{}: {what} is {found}, the limit is {limit}; raise `{setting}` if the file is to be trusted", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What is too large.
        what: String,
        /// Its size; 0 stands for a size that was not measured to its end.
        found: u64,
        /// The bound.
        limit: u64,
        /// The field of [`crate::Limits`] that sets it.
        setting: &'static str,
    },
    /// An attribute that this kind of object must have is absent or empty.
    #[error("{}: {what} is missing; the object cannot be read without it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The attribute's keyword and tag.
        what: String,
    },
    /// Attributes contradict each other, the pixel data, or the standard.
    #[error("{}: {what}: found {found}, expected {expected}; repair the file or leave it out", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which attribute or part.
        what: String,
        /// What stands there.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// Correct, but not something that this crate reads.
    #[error("{}: {what} {found} is not supported, expected {expected}; convert the file first", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which attribute or part.
        what: String,
        /// Its value (a UID, a size, or a term of the standard).
        found: String,
        /// What is read.
        expected: String,
    },
    /// A compressed frame could not be decoded.
    #[error("{}: frame {frame}: the {codec} data cannot be decoded: {reason}; fetch the file again from its source or leave it out", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// Frame, counted from 0.
        frame: u32,
        /// The compression.
        codec: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The caller asked for a frame, window or segment that the object does not have.
    #[error("{}: asked for {what} {asked}, the object has {count}; ask for a smaller one", path.display())]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        what: &'static str,
        /// Its number.
        asked: u64,
        /// How many there are.
        count: u64,
    },
}
