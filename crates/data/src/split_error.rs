//! Errors in the split of a user's data.

use std::path::PathBuf;

/// What is wrong with a split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// A split that does not belong to this data, or was changed by hand.
    #[error("{path}: the split does not fit: {problem}; \
             use the data that the run was started with, or start a new run", path = path.display())]
    Unfit {
        /// The splits file or the data folder.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },

    /// A column `split` of a manifest that cannot be used as it is.
    #[error("{path}: the column \"split\" cannot be used: {problem}; correct it, or rename the column, and the data are split by group",
            path = path.display())]
    Given {
        /// The manifest, or the data folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },

    /// A part of a split without pairs.
    #[error("{path}: there are no pairs in the {part}; the split has {counts}; choose another --part, or another split",
            path = path.display())]
    EmptyPart {
        /// The splits file.
        path: PathBuf,
        /// The part or parts, in words.
        part: String,
        /// How many pairs each part has, in words.
        counts: String,
    },

    /// A folder that lacks pictures of a part of a split.
    #[error("{path}: {count} of the {total} ids of the {part} of {splits} have no picture here, such as {some}; give the folder \
             of the data that were split", path = path.display(), splits = splits.display())]
    Missing {
        /// The folder.
        path: PathBuf,
        /// The splits file.
        splits: PathBuf,
        /// The part or parts, in words.
        part: Box<str>,
        /// How many ids are missing.
        count: usize,
        /// How many ids the part has.
        total: usize,
        /// A few of the missing ids.
        some: String,
    },
}
