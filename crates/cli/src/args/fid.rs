//! `pig fid`.

use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use std::path::PathBuf;

/// `pig fid`.
#[derive(Debug, Subcommand)]
pub(crate) enum Fid {
    /// Distances between two folders of images: FID, KID, precision, recall, density, coverage, and the floor of real images
    /// against real ones.
    Calc(Calc),
}

/// `pig fid calc`.
#[derive(Debug, clap::Args)]
pub(crate) struct Calc {
    /// The reference: a folder of real images, or of pairs.
    #[arg(value_name = "REAL")]
    pub(crate) reference: PathBuf,
    /// The images to judge: a folder of generated images, or of pairs.
    #[arg(value_name = "GENERATED")]
    pub(crate) other: PathBuf,
    /// What images are compared by.
    #[arg(long, value_enum)]
    pub(crate) features: FeatureName,
    /// inception: the model that `pig weights import --kind inception` wrote.
    #[arg(long, value_name = "MODEL")]
    pub(crate) weights: Option<PathBuf>,
    /// inception: which features.
    #[arg(long, value_enum, default_value = "2048")]
    pub(crate) layer: Layer,
    /// inception: how images come to the network's size and scale; numbers of different ways must not be compared.
    #[arg(long, value_enum, default_value = "torch-fidelity")]
    pub(crate) preprocess: PreprocessName,
    /// A table of the reference with the columns id and patient or group; its manifest.csv without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// KID as the mean over this many random subsets; over all images at once without it.
    #[arg(long, value_name = "N", requires = "kid_subset_size")]
    pub(crate) kid_subsets: Option<usize>,
    /// Images of each set in a subset.
    #[arg(long, value_name = "N", requires = "kid_subsets")]
    pub(crate) kid_subset_size: Option<usize>,
    /// Seed of subsets and splits.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// A key of the section data that says how masks and patients are read: data.mask_values or data.group_column.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// Features to compare by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FeatureName {
    /// The FID's Inception-v3, which needs --weights.
    Inception,
    /// IBSI's intensity and texture of the whole image, scaled by the reference: needs no weights.
    Radiomics,
    /// The same of the lesion, and its shape, in pairs with masks; pairs with empty masks are left out and counted.
    LesionRadiomics,
}

/// Features of the Inception, by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layer {
    /// After the first pooling.
    #[value(name = "64")]
    F64,
    /// After the second pooling.
    #[value(name = "192")]
    F192,
    /// Before the auxiliary classifier.
    #[value(name = "768")]
    F768,
    /// At the end: the FID's own.
    #[value(name = "2048")]
    F2048,
}

impl Layer {
    /// Values of a feature vector.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::F64 => 64,
            Self::F192 => 192,
            Self::F768 => 768,
            Self::F2048 => 2048,
        }
    }
}

/// How images come to the Inception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PreprocessName {
    /// TensorFlow 1's bilinear resize, as in the original FID.
    TorchFidelity,
    /// Bilinear resize with pixels' centres aligned, as in pytorch-fid.
    PytorchFid,
    /// Bicubic resize with antialiasing.
    Antialiased,
}
