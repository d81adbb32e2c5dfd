//! `pig fid`.

use super::{
    data_keys::DataKeys,
    part::{HeldOutName, PartArgs},
};
use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use pig_metrics::inception_preprocess::Preprocess;
use pig_quality::inception::{InceptionSettings, Layer};
use std::path::PathBuf;

/// `pig fid`.
#[derive(Debug, Subcommand)]
pub(crate) enum Fid {
    /// Measure distances between two folders of images: FID, KID, precision, recall, density, coverage, and the distance between real
    /// images as a floor; also how similar images are to each other, and whether masks are like real ones.
    #[command(before_long_help = "Examples:\n\
         \x20 pig fid calc DATA PAIRS --features radiomics\n\
         \x20 pig fid calc DATA PAIRS --features inception --weights INCEPTION")]
    Calc(Calc),
    /// Write a folder's Inception features and their statistics to a file that calc, pytorch-fid and NumPy can read.
    #[command(before_long_help = "Example:\n  pig fid ref DATA --weights INCEPTION --out ref.npz")]
    Ref(Reference),
    /// Look for copies of training images and masks among generated ones.
    #[command(before_long_help = "Example:\n\
         \x20 pig fid copies --train DATA --splits RUN/splits.json --generated PAIRS --page copies.html")]
    Copies(Copies),
}

/// The Inception network and its preprocessing.
#[derive(Debug, clap::Args)]
pub(crate) struct InceptionArgs {
    /// inception: the model that `pig weights import --kind inception` wrote.
    #[arg(long, value_name = "MODEL")]
    pub(crate) weights: Option<PathBuf>,
    /// inception: which features to use.
    #[arg(long, value_enum, default_value = "2048")]
    pub(crate) layer: LayerName,
    /// inception: how images are resized and scaled for the network; numbers from different ways must not be compared.
    #[arg(long, value_enum, default_value = "torch-fidelity")]
    pub(crate) preprocess: PreprocessName,
}

impl InceptionArgs {
    /// The settings of the network; none without `--weights`.
    pub(crate) fn settings(&self) -> Option<InceptionSettings> {
        let weights = self.weights.clone()?;
        Some(InceptionSettings { weights, preprocess: self.preprocess.into(), layer: self.layer.into() })
    }
}

/// `pig fid calc`.
#[derive(Debug, clap::Args)]
pub(crate) struct Calc {
    /// The reference: a folder of real images, or of pairs; or a file from `pig fid ref` or pytorch-fid (.npz).
    #[arg(value_name = "REAL")]
    pub(crate) reference: PathBuf,
    /// The images to judge: a folder of generated images, or of pairs.
    #[arg(value_name = "GENERATED")]
    pub(crate) other: PathBuf,
    /// The features by which images are compared.
    #[arg(long, value_enum)]
    pub(crate) features: FeatureName,
    /// The network.
    #[command(flatten)]
    pub(crate) inception: InceptionArgs,
    /// Only one part of the reference.
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// A table for the reference with the columns id and patient or group; its manifest.csv if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Resize all images to the size that most images of the reference have. Without this, images of more than one size are refused,
    /// because texture and sharpness depend on the size.
    #[arg(long)]
    pub(crate) resize: bool,
    /// Compute KID as the mean over this many random subsets; over all images at once if not given.
    #[arg(long, value_name = "N", requires = "kid_subset_size")]
    pub(crate) kid_subsets: Option<usize>,
    /// Number of images of each set in a subset.
    #[arg(long, value_name = "N", requires = "kid_subsets")]
    pub(crate) kid_subset_size: Option<usize>,
    /// Number of random pairs of images of each set whose similarity (MS-SSIM) is averaged; 0 leaves this out.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) diversity_pairs: usize,
    /// Seed of subsets, splits and pairs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How masks and patients are read.
    #[command(flatten)]
    pub(crate) keys: DataKeys,
}

/// `pig fid ref`.
#[derive(Debug, clap::Args)]
pub(crate) struct Reference {
    /// The folder of real images, or of pairs.
    #[arg(value_name = "REAL")]
    pub(crate) folder: PathBuf,
    /// The file to write (.npz).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The network.
    #[command(flatten)]
    pub(crate) inception: InceptionArgs,
    /// A table with the columns id and patient or group; the folder's manifest.csv if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Leave out the features of single images; only the FID can then be computed from the file.
    #[arg(long)]
    pub(crate) statistics_only: bool,
    /// A key of the section data that says how images and patients are read: data.group_column, or data.class_column.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// `pig fid copies`.
#[derive(Debug, clap::Args)]
pub(crate) struct Copies {
    /// The folder that the generator was trained on: images, or pairs.
    #[arg(long, value_name = "DIR")]
    pub(crate) train: PathBuf,
    /// Real images of other patients; they show how close images that are not copies are to training images. With --splits, the folder
    /// of --train if not given.
    #[arg(long, value_name = "DIR", required_unless_present = "splits")]
    pub(crate) held_out: Option<PathBuf>,
    /// Limit both folders to parts of this split, the splits.json of a run: --train to its training part, --held-out to --part.
    #[arg(long, value_name = "FILE")]
    pub(crate) splits: Option<PathBuf>,
    /// The part of the held-out images; validation and test together if not given.
    #[arg(long, value_enum, requires = "splits")]
    pub(crate) part: Option<HeldOutName>,
    /// The generated images, or pairs.
    #[arg(long, value_name = "DIR")]
    pub(crate) generated: PathBuf,
    /// The network; with --weights, copies are also searched for by its features.
    #[command(flatten)]
    pub(crate) inception: InceptionArgs,
    /// Longest side in pixels at which pixels and masks are compared; larger pictures are made smaller.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=1024))]
    pub(crate) side: u32,
    /// Do not look for mirrored copies.
    #[arg(long)]
    pub(crate) no_flips: bool,
    /// Also write a page with the ten closest pairs of each kind.
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
    /// Also write a table with the nearest training image of every generated image.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// How masks and patients are read.
    #[command(flatten)]
    pub(crate) keys: DataKeys,
}

/// Features to compare by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FeatureName {
    /// The FID's Inception-v3, which needs --weights.
    Inception,
    /// IBSI features of intensity and texture of the whole image, scaled by the reference; need no weights.
    Radiomics,
    /// The same features of the lesion, and its shape, for pairs with masks; pairs with empty masks are left out and counted.
    LesionRadiomics,
}

/// Features of the Inception, by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayerName {
    /// After the first pooling.
    #[value(name = "64")]
    F64,
    /// After the second pooling.
    #[value(name = "192")]
    F192,
    /// Before the auxiliary classifier.
    #[value(name = "768")]
    F768,
    /// At the end of the network, as for the FID.
    #[value(name = "2048")]
    F2048,
}

impl From<LayerName> for Layer {
    fn from(name: LayerName) -> Self {
        match name {
            LayerName::F64 => Self::F64,
            LayerName::F192 => Self::F192,
            LayerName::F768 => Self::F768,
            LayerName::F2048 => Self::F2048,
        }
    }
}

/// How images are preprocessed for the Inception network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PreprocessName {
    /// TensorFlow 1's bilinear resize, as in the original FID.
    TorchFidelity,
    /// Bilinear resize with aligned pixel centres, as in pytorch-fid.
    PytorchFid,
    /// Bicubic resize with antialiasing.
    Antialiased,
}

impl From<PreprocessName> for Preprocess {
    fn from(name: PreprocessName) -> Self {
        match name {
            PreprocessName::TorchFidelity => Self::TorchFidelity,
            PreprocessName::PytorchFid => Self::PytorchFid,
            PreprocessName::Antialiased => Self::Antialiased,
        }
    }
}
