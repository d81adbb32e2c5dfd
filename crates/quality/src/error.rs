//! Errors that a user can cause when sets of images are measured.

use pig_metrics::{features::FeatureError, nearest::NearestError};
use std::path::PathBuf;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Each message names the file, what was found, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A problem with images, masks or tables.
    #[error(transparent)]
    Data(#[from] pig_data::DataError),
    /// A file that could not be written.
    #[error(transparent)]
    File(#[from] pig_files::FileError),
    /// Features that cannot be compared.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// Pictures that cannot be compared.
    #[error(transparent)]
    Nearest(#[from] NearestError),
    /// An archive that cannot be read.
    #[error(transparent)]
    Weights(#[from] pig_weights::Error),
    /// A picture or page that cannot be made.
    #[error(transparent)]
    Report(#[from] pig_report::ReportError),
    /// A network that cannot be opened.
    #[error(transparent)]
    Train(#[from] pig_train::Error),
    /// A folder with too few images to compare.
    #[error("{}: {found} image(s), expected at least 2; give more images", path.display())]
    TooFewImages {
        /// The folder.
        path: PathBuf,
        /// Number of images in it.
        found: usize,
    },
    /// A folder with too few images that have features.
    #[error("{}: {found} of {total} image(s) have features, expected at least 2; give more images", path.display())]
    TooFewWithFeatures {
        /// The folder.
        path: PathBuf,
        /// Number of images with features.
        found: usize,
        /// Number of all images.
        total: usize,
    },
    /// Pictures of different sizes.
    #[error(
        "{} holds {reference_sizes}, and {} holds {other_sizes}; expected one size, because features of texture and sharpness depend on \
         it; prepare both alike, or give --resize to bring all pictures to {} x {} pixels",
        reference.display(), other.display(), target[1], target[0]
    )]
    Sizes {
        /// The folder of real pictures, or the file of their features.
        reference: PathBuf,
        /// Its sizes, in words.
        reference_sizes: String,
        /// The other folder.
        other: PathBuf,
        /// Its sizes, in words.
        other_sizes: String,
        /// Height and width to which they can be resized.
        target: [usize; 2],
    },
    /// A reference of features that gives no size to resize pictures to.
    #[error("{}: {problem}; expected one size; give the folder of pictures instead of the file, with --resize", path.display())]
    ReferenceSizes {
        /// The file.
        path: PathBuf,
        /// What it says about sizes.
        problem: String,
    },
    /// A reference whose array `about` cannot be read.
    #[error("{}: its array `about` is not as pig fid ref writes it; make the file again: {source}", path.display())]
    ReferenceAbout {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A reference whose images were preprocessed differently.
    #[error(
        "{}: its images were preprocessed by {found}, but --preprocess is {expected}; \
         numbers are comparable only with the same preprocessing",
        path.display()
    )]
    ReferencePreprocess {
        /// The file.
        path: PathBuf,
        /// The preprocessing of the file.
        found: String,
        /// The requested preprocessing.
        expected: String,
    },
    /// A reference that was made with another network.
    #[error(
        "{}: its features were made by weights with sha256 {found}, but --weights has {expected}; make the file again with these weights",
        path.display()
    )]
    ReferenceWeights {
        /// The file.
        path: PathBuf,
        /// SHA-256 of the file's weights.
        found: String,
        /// SHA-256 of the requested weights.
        expected: String,
    },
    /// A reference that was made with another layer.
    #[error("{}: features have {found} values, but --layer is {expected}; use --layer {found}", path.display())]
    ReferenceWidth {
        /// The file.
        path: PathBuf,
        /// Length of a vector in the file.
        found: usize,
        /// Length of a vector of the requested layer.
        expected: usize,
    },
    /// A reference whose features are not vectors.
    #[error("{}: the array features has the shape {found:?}, expected (images, values)", path.display())]
    ReferenceShape {
        /// The file.
        path: PathBuf,
        /// Sizes of the array.
        found: Vec<usize>,
    },
    /// A reference that does not have one group per image.
    #[error("{}: the array group has {found} values, expected {expected} of type int64", path.display())]
    ReferenceGroups {
        /// The file.
        path: PathBuf,
        /// Number of values in the array.
        found: usize,
        /// Number of images.
        expected: usize,
    },
    /// A reference without a required array.
    #[error("{}: no array {name} of floats; expected mu and sigma, as pytorch-fid writes them", path.display())]
    ReferenceArray {
        /// The file.
        path: PathBuf,
        /// The name of the array.
        name: &'static str,
    },
    /// A reference with features or statistics that cannot be used.
    #[error("{}: {source}", path.display())]
    ReferenceFeatures {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: FeatureError,
    },
    /// Held-out images of training patients.
    #[error(
        "{} and {} share {count} patient(s) or group(s), such as {first:?}; hold out patients that the generator did not see",
        training.display(), held_out.display()
    )]
    SharedPatients {
        /// The folder that the generator was trained on.
        training: PathBuf,
        /// The folder of held-out images.
        held_out: PathBuf,
        /// Number of patients or groups in both folders.
        count: usize,
        /// One of these.
        first: String,
    },
    /// There is no generated or no held-out picture to compare with the training pictures.
    #[error("{space}: no generated or no held-out picture to compare; give folders with more pictures")]
    NothingToSearch {
        /// What is compared: pixels, features or masks.
        space: &'static str,
    },
}
