//! The one error type of this crate.

use std::path::PathBuf;

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file was refused. Every message names the file, what was found, what was expected and what to do next. No message
/// contains a header value, except sizes and the names and UIDs that the standard defines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened or read.
    #[error("{}: {source}; check that the file exists and can be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has neither the "DICM" mark nor a data set that can be read without it.
    #[error("{}: not a DICOM file: found {found}, expected \"DICM\" at byte 128 or a data set that begins with group 0002 or 0008; leave the file out", path.display())]
    NotDicom {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The file, or the element that contains a value, ends before the value does.
    #[error("{}: truncated: {what} needs {needed} bytes, found {found}; fetch the file again from its source", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Which element or part.
        what: String,
        /// Bytes that it should have.
        needed: u64,
        /// Bytes that are present.
        found: u64,
    },
    /// A bound of [`crate::Limits`] would be exceeded.
    #[error("{}: {what} is {found}, the limit is {limit}; {}", path.display(), remedy(setting))]
    Limit {
        /// The file.
        path: PathBuf,
        /// What is too large.
        what: String,
        /// Its size, as far as it was measured.
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
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The file is valid, but uses something that this crate does not support.
    #[error("{}: {what} {found} is not supported, expected {expected}; convert the file first", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which attribute or part.
        what: String,
        /// Its value (a UID, a size, or a term of the standard).
        found: String,
        /// What is supported.
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
        /// The decoder's message.
        reason: String,
    },
    /// The caller asked for a frame, window or segment that the object does not have.
    #[error("{}: asked for {what} {asked}, counted from 0, but the object has only {count}; ask for a smaller number", path.display())]
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

/// What to do about a file that exceeds a bound: the command line sets one of them alone.
fn remedy(setting: &str) -> &'static str {
    if setting == "max_bytes" {
        "raise --memory, or leave the file out"
    } else {
        "fetch it again from its source, or leave it out"
    }
}
