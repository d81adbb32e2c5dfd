//! The errors of this crate. Each names the file, what was found, what was expected and what to do. No message contains a
//! value from a header.

use std::path::{Path, PathBuf};

use pig_data::DataError;
use pig_report::ReportError;

/// The result type of this crate.
pub type Result<T, E = PrepareError> = std::result::Result<T, E>;

/// An error of finding, reading, preparing or inspecting sources.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A picture, table or manifest cannot be read, or the system refused an operation.
    #[error(transparent)]
    Data(#[from] DataError),

    /// A file could not be written.
    #[error(transparent)]
    File(#[from] pig_files::FileError),

    /// A DICOM file cannot be read.
    #[error(transparent)]
    Dicom(#[from] pig_dicom::Error),

    /// A page or picture of the report cannot be made.
    #[error(transparent)]
    Report(#[from] ReportError),

    /// A NIfTI file cannot be read.
    #[error("{}: cannot be read as a NIfTI file: {problem}; expected {expected}; convert the file or remove it",
            path.display())]
    Nifti {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What can be read.
        expected: &'static str,
    },

    /// A setting that cannot be used.
    #[error("prepare.{key} = {found}; expected {expected}")]
    Config {
        /// The key within `[prepare]`.
        key: &'static str,
        /// The value found.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },

    /// A channel of a source that is not chosen, or that is not there.
    #[error("{}: {problem}; expected {expected}", path.display())]
    Channel {
        /// The file, or the description that names its channels.
        path: PathBuf,
        /// What was found, with the channels that there are.
        problem: String,
        /// What is expected.
        expected: String,
    },

    /// There is nothing to prepare.
    #[error("{}: no images found for the layout {layout} (found {found}); expected {expected}; give the path of the folder that holds the \
             release, or choose another layout with --layout", path.display())]
    NothingFound {
        /// The source folder.
        path: PathBuf,
        /// The layout that was expected.
        layout: &'static str,
        /// What is in the folder instead, in words.
        found: String,
        /// The files that it consists of.
        expected: &'static str,
    },

    /// A folder of several data sets, or one above a data set.
    #[error("{}: the folder holds {count} data set(s) of nnU-Net or the Medical Segmentation Decathlon in folders of their own: {sets}; \
             expected one data set, whose dataset.json lies in the folder itself; give the path of one of them, such as {}, or read \
             every file with --layout generic", path.display(), path.join(first).display())]
    SeveralSets {
        /// The source folder.
        path: PathBuf,
        /// How many data sets there are.
        count: usize,
        /// The folders of the data sets in it.
        sets: String,
        /// The first of them.
        first: String,
    },

    /// An image without a mask.
    #[error("{}: no mask found; expected {expected}; add the mask, or list images and masks in a \
             manifest.csv with the columns image and mask, or set prepare.missing_mask to \"skip\" (or \"empty\" if there is no lesion)",
            path.display())]
    MissingMask {
        /// The image.
        path: PathBuf,
        /// Where the mask was expected.
        expected: String,
    },

    /// A file that is named as a mask, but belongs to no image, so that it would be read as an image.
    #[error("{}: it is named as a mask, or as a picture made of one, but belongs to no image by its name{hint}; expected NAME_mask beside \
             the image NAME, or a folder masks beside images with the same names; list images and masks in a manifest.csv with the \
             columns image and mask, or rename it or remove it", path.display())]
    NamedAsMask {
        /// The file.
        path: PathBuf,
        /// Which image of another folder has its name, in words with a space before them; empty if none has.
        hint: String,
    },

    /// A public release whose folder of masks holds something else than what its name says.
    #[error("{}: {problem}; {remedy}", path.display())]
    Release {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        problem: &'static str,
        /// What to do.
        remedy: &'static str,
    },

    /// Several images share a name, and nothing says to which of them a mask belongs.
    #[error("{}: {} has the same name, and nothing says to which of them the mask {} belongs; expected one image of a name; list \
             the pairs in a manifest.csv with the columns image and mask, or remove one of the images",
            path.display(), other.display(), mask.display())]
    SameName {
        /// The image.
        path: PathBuf,
        /// Another image of its name.
        other: PathBuf,
        /// The mask.
        mask: PathBuf,
    },

    /// An image and its mask do not have the same grid.
    #[error("{}: the mask {} differs in {what}: {found}, expected {expected}; export the mask again on the image's grid",
            image.display(), mask.display())]
    Mismatch {
        /// The image.
        image: PathBuf,
        /// The mask.
        mask: PathBuf,
        /// Size, slices, geometry or kind.
        what: &'static str,
        /// The mask's value.
        found: String,
        /// The expected value, mostly that of the image.
        expected: String,
    },

    /// A mask with values that are no labels, or labels that the data set does not declare.
    #[error("{}: {problem}; expected {expected}; {remedy}", path.display())]
    Labels {
        /// The mask.
        path: PathBuf,
        /// The values found, with how many pixels have each.
        problem: String,
        /// The values expected.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },

    /// An annotation file that cannot be read.
    #[error("{}: {problem}; expected {expected}; correct the file or remove it", path.display())]
    Annotation {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What is expected.
        expected: &'static str,
    },

    /// A window that cannot be used for this source.
    #[error("{}: prepare.window = {rule:?} cannot be used: {problem}; set prepare.window to {instead}", path.display())]
    Window {
        /// The file.
        path: PathBuf,
        /// The setting.
        rule: &'static str,
        /// Why it cannot be used.
        problem: &'static str,
        /// Settings that can be used.
        instead: &'static str,
    },

    /// A file that would take more memory than allowed.
    #[error("{}: {what} would take {needed} bytes; the limit is {limit}; raise --memory or remove the file",
            path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What would take the memory.
        what: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },

    /// The source names patients and no key was given.
    #[error("{}: the source names patients in {cases} image(s); expected a key to hash their names; use --key FILE, \
             or --new-key FILE to make a key (keep it outside the prepared folder)", path.display())]
    NoKey {
        /// The source.
        path: PathBuf,
        /// How many images have a patient.
        cases: usize,
    },

    /// A file that is not a key, or a key or links file that must not be at this path.
    #[error("{}: {problem}; expected {expected}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
        /// What is expected.
        expected: &'static str,
    },

    /// The output folder holds other files or another set.
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
    #[error("{}: no pair was made: {why}; {remedy}", path.display())]
    NoPairs {
        /// The output folder.
        path: PathBuf,
        /// How many cases failed and how many were left out, with the first reason.
        why: String,
        /// What to do, which depends on the cause.
        remedy: &'static str,
    },

    /// There is no space left.
    #[error("{}: cannot {action}: {}, which keeps what is finished", path.display(), pig_files::FULL)]
    Full {
        /// The file that could not be written.
        path: PathBuf,
        /// The verb that failed, such as "write".
        action: &'static str,
    },
}

impl PrepareError {
    /// The error as one of a full disk, if it is one.
    pub(crate) fn full(&self) -> Option<Self> {
        let (path, action, source) = match self {
            Self::File(error) | Self::Data(DataError::File(error)) => (&error.path, error.action, &error.source),
            Self::Data(DataError::Io { path, action, source }) => (path, *action, source),
            Self::Full { path, action } => return Some(Self::Full { path: path.clone(), action }),
            _ => return None,
        };
        pig_files::is_full(source).then(|| Self::Full { path: path.clone(), action })
    }

    /// Wraps an error of the operating system with the path and the verb that failed.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let wrap = DataError::io(path, action);
        move |error| Self::Data(wrap(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_errors() {
        let of = |kind: std::io::ErrorKind| PrepareError::io(Path::new("out/a.png"), "write")(kind.into());
        let full = of(std::io::ErrorKind::StorageFull).full().unwrap();
        assert!(full.to_string().starts_with("out/a.png: cannot write: the disk is full; free some space"), "{full}");
        let path = PathBuf::from("out/manifest.csv");
        let table = pig_files::FileError { path, action: "write", source: std::io::ErrorKind::StorageFull.into() };
        assert!(PrepareError::from(DataError::from(table)).full().is_some());
        assert!(full.full().is_some() && of(std::io::ErrorKind::QuotaExceeded).full().is_some());
        assert!(of(std::io::ErrorKind::PermissionDenied).full().is_none());
    }
}
