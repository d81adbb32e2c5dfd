//! What can go wrong, each case naming the file, what was found, what was expected and what to do. No message holds a
//! header's value.

use std::path::{Path, PathBuf};

use pig_data::DataError;
use pig_report::ReportError;

/// The result of everything in this crate that can fail.
pub type Result<T, E = PrepareError> = std::result::Result<T, E>;

/// Everything that finding, reading, preparing and inspecting can refuse.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A picture, table or manifest, or an operation of the system.
    #[error(transparent)]
    Data(#[from] DataError),

    /// A file could not be written.
    #[error(transparent)]
    File(#[from] pig_files::FileError),

    /// A DICOM file.
    #[error(transparent)]
    Dicom(#[from] pig_dicom::Error),

    /// A page or picture of the report.
    #[error(transparent)]
    Report(#[from] ReportError),

    /// A NIfTI file.
    #[error("{}: not a NIfTI file that can be read: {problem}; expected {expected}; convert the file or leave it out",
            path.display())]
    Nifti {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What is read.
        expected: &'static str,
    },

    /// A setting that cannot be used.
    #[error("prepare.{key} = {found}; expected {expected}")]
    Config {
        /// The key within `[prepare]`.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it may be.
        expected: &'static str,
    },

    /// Nothing that could be prepared.
    #[error("{}: no images found for the layout {layout}; expected {expected}; point at the folder that holds the \
             release, or force another layout with --layout", path.display())]
    NothingFound {
        /// The source folder.
        path: PathBuf,
        /// The layout that was looked for.
        layout: &'static str,
        /// What it consists of.
        expected: &'static str,
    },

    /// An image without a mask.
    #[error("{}: no mask found; expected {expected}; add the mask, or set prepare.missing_mask to \"skip\" or \"empty\"",
            path.display())]
    MissingMask {
        /// The image.
        path: PathBuf,
        /// Where it was looked for.
        expected: String,
    },

    /// An image and its mask do not lie on the same grid.
    #[error("{}: the mask {} differs in {what}: {found}, expected {expected}; export the mask again on the image's grid",
            image.display(), mask.display())]
    Mismatch {
        /// The image.
        image: PathBuf,
        /// The mask.
        mask: PathBuf,
        /// Size, slices or geometry.
        what: &'static str,
        /// The mask's.
        found: String,
        /// The image's.
        expected: String,
    },

    /// An annotation file that cannot be understood.
    #[error("{}: {problem}; expected {expected}; correct the file or take it away", path.display())]
    Annotation {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What is expected.
        expected: &'static str,
    },

    /// A window that this source cannot have.
    #[error("{}: prepare.window = {rule:?} cannot be used: {problem}; set prepare.window to {instead}", path.display())]
    Window {
        /// The file.
        path: PathBuf,
        /// The setting.
        rule: &'static str,
        /// Why.
        problem: &'static str,
        /// What would do.
        instead: &'static str,
    },

    /// A file that would take more memory than allowed.
    #[error("{}: {what} would take {needed} bytes; the limit is {limit}; raise --memory or leave the file out",
            path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What takes it.
        what: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },

    /// The source names patients and no key was given.
    #[error("{}: the source names patients in {cases} image(s); expected a key to hash their names with; give --key FILE, \
             or --new-key FILE to make one (keep it outside the prepared folder)", path.display())]
    NoKey {
        /// The source.
        path: PathBuf,
        /// How many images have a patient.
        cases: usize,
    },

    /// A key file that is no key, or lies where it must not.
    #[error("{}: {problem}; expected {expected}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
        /// What is expected.
        expected: &'static str,
    },

    /// The output folder belongs to something else.
    #[error("{}: {problem}; choose another folder, so that nothing is overwritten", path.display())]
    Foreign {
        /// The folder or file.
        path: PathBuf,
        /// What differs.
        problem: String,
    },

    /// A prepared folder that cannot be read back.
    #[error("{}: {problem}; prepare the set again", path.display())]
    Prepared {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },

    /// A prepared set without a single pair.
    #[error("{}: no pair was made: {why}; see errors.csv, and check prepare.empty_share and prepare.mask_values",
            path.display())]
    NoPairs {
        /// The output folder.
        path: PathBuf,
        /// What became of the source.
        why: String,
    },
}

impl PrepareError {
    /// Wraps an error of the operating system with the path and the verb that failed.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let wrap = DataError::io(path, action);
        move |error| Self::Data(wrap(error))
    }
}
