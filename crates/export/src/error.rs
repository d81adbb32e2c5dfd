//! The errors of an export. Each message names the file, what was found, what was expected and what to do.

use std::path::{Path, PathBuf};

use pig_data::DataError;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, ExportError>;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The pairs cannot be found or read.
    #[error(transparent)]
    Data(#[from] DataError),

    /// The operating system refused an operation on a file or folder.
    #[error("{path}: cannot {action}: {}",
            pig_files::explained(source, &format!("check that the path is right and that you may {action} there")),
            path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The verb that failed, such as "write".
        action: &'static str,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },

    /// The output exists and holds something, or is a file.
    #[error("{path}: {found}; expected a new name or an empty folder; choose another --out, \
             so that nothing is overwritten", path = path.display())]
    OutputTaken {
        /// The output folder.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },

    /// A setting that cannot be used.
    #[error("{setting} = {found}; expected {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// The value found.
        found: String,
        /// What it may be.
        expected: &'static str,
    },

    /// The column `curated` of the manifest leaves out every pair.
    #[error("{path}: the column curated of its manifest leaves out all {count} pair(s); expected at least one to export; \
             change decisions with `pig serve` or in the manifest", path = path.display())]
    AllLeftOut {
        /// The folder of pairs.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },

    /// Fewer generated pairs than were requested.
    #[error("{path}: {found} generated pair(s); expected at least {needed} for {asked}; \
             make more with `pig sample`, or request fewer", path = path.display())]
    TooFewGenerated {
        /// The folder of pairs.
        path: PathBuf,
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
        /// The words of the request, such as "--share 0.5 with 40 real pair(s)".
        asked: String,
    },

    /// The folder of generated pairs contains pairs that are not marked as generated.
    #[error("{image}: this pair is not marked as generated ({count} such pair(s)); expected the PNG text chunk \
             synthetic = yes, which `pig sample` writes, because --real names the real pairs; \
             give the folder that `pig sample` wrote", image = image.display())]
    NotGenerated {
        /// The first such image.
        image: PathBuf,
        /// How many there are.
        count: usize,
    },

    /// The folder of real pairs contains pairs that a model made.
    #[error("{image}: made by the model {model} ({count} such pair(s)); expected real pairs in --real, because they \
             may be used for validation; remove the generated pairs", image = image.display())]
    GeneratedAsReal {
        /// The first such image.
        image: PathBuf,
        /// The beginning of the model's hash.
        model: String,
        /// How many there are.
        count: usize,
    },

    /// Images of 8 and 16 bit in one export.
    #[error("{first} has {first_bits} bits and {second} has {second_bits}; expected one bit depth, because the same \
             value means a different brightness in each; convert them, for instance with `pig prepare`",
            first = first.display(), second = second.display())]
    MixedBitDepth {
        /// A file of one depth.
        first: PathBuf,
        /// Its bits.
        first_bits: u8,
        /// A file of the other depth.
        second: PathBuf,
        /// Its bits.
        second_bits: u8,
    },

    /// A value in the manifest that cannot be used.
    #[error("{path}: the column {column:?} holds {found:?} for the id {id:?}; expected {expected}; \
             correct the manifest", path = path.display())]
    BadValue {
        /// The manifest.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The pair's id.
        id: String,
        /// The value found.
        found: String,
        /// What it may be.
        expected: &'static str,
    },

    /// More pixels than the format can hold in one file.
    #[error("{path}: {found}; {format} holds at most {limit}; \
             reduce the images with `pig prepare` or choose another --format", path = path.display())]
    TooLarge {
        /// The first image of the file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// What was found.
        found: String,
        /// The limit.
        limit: &'static str,
    },

    /// A file could not be encoded.
    #[error("{path}: cannot be encoded: {problem}", path = path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The encoder's message.
        problem: String,
    },

    /// The caller asked to stop; nothing was kept.
    #[error("stopped; nothing was written to {path}; run the same command again", path = path.display())]
    Interrupted {
        /// The output folder.
        path: PathBuf,
    },
}

impl ExportError {
    /// Wraps an error of the operating system with the path and the verb that failed.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }

    /// Wraps an encoder's message with the file.
    pub(crate) fn encode(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> Self + use<> {
        let path = path.to_path_buf();
        move |problem| Self::Encode { path: path.clone(), problem: problem.to_string() }
    }
}
