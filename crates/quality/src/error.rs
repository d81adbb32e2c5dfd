//! What a user can cause to go wrong when sets of images are measured.

use pig_metrics::{features::FeatureError, nearest::NearestError};
use std::path::PathBuf;

/// The result of everything here that can fail.
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
        /// Images in it.
        found: usize,
    },
    /// A folder with too few images that have features.
    #[error("{}: {found} of {total} image(s) have features, expected at least 2; give more images", path.display())]
    TooFewWithFeatures {
        /// The folder.
        path: PathBuf,
        /// Images with features.
        found: usize,
        /// All images.
        total: usize,
    },
    /// A reference that says about itself what cannot be understood.
    #[error("{}: its array about is not what pig fid ref writes; make it again: {source}", path.display())]
    ReferenceAbout {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A reference of images that were preprocessed in another way.
    #[error(
        "{}: its images were preprocessed by {found}, and --preprocess asks for {expected}; numbers of different ways must not be compared",
        path.display()
    )]
    ReferencePreprocess {
        /// The file.
        path: PathBuf,
        /// The file's way.
        found: String,
        /// The way that is asked for.
        expected: String,
    },
    /// A reference of another network.
    #[error(
        "{}: its features are of weights with sha256 {found}, and --weights has {expected}; make the file again with these weights",
        path.display()
    )]
    ReferenceWeights {
        /// The file.
        path: PathBuf,
        /// SHA-256 of the file's weights.
        found: String,
        /// SHA-256 of the weights that are asked for.
        expected: String,
    },
    /// A reference of another layer.
    #[error("{}: features of {found} values, and --layer asks for {expected}; give --layer {found}", path.display())]
    ReferenceWidth {
        /// The file.
        path: PathBuf,
        /// Values of a vector in the file.
        found: usize,
        /// Values of a vector of the layer that is asked for.
        expected: usize,
    },
    /// A reference whose features are not vectors.
    #[error("{}: features of shape {found:?}, expected (images, values)", path.display())]
    ReferenceShape {
        /// The file.
        path: PathBuf,
        /// Sizes of the array.
        found: Vec<usize>,
    },
    /// A reference whose patients are not one an image.
    #[error("{}: {found} groups, expected {expected} of int64", path.display())]
    ReferenceGroups {
        /// The file.
        path: PathBuf,
        /// Values of the array.
        found: usize,
        /// Images.
        expected: usize,
    },
    /// A reference without an array that it needs.
    #[error("{}: no array {name} of floats, expected mu and sigma as pytorch-fid writes them", path.display())]
    ReferenceArray {
        /// The file.
        path: PathBuf,
        /// The array.
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
        /// Patients or groups in both.
        count: usize,
        /// One of them.
        first: String,
    },
    /// No picture whose nearest training picture could be looked for.
    #[error("{space}: no generated or no held-out picture to look at; give folders with more")]
    NothingToSearch {
        /// What distances are taken of.
        space: &'static str,
    },
}
