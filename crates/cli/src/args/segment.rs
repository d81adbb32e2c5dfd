//! `pig segment`.

use super::{
    data_keys::{DataKeys, TruthSets},
    export::{Spacing, spacing},
    part::PartArgs,
};
use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use std::path::PathBuf;

/// `pig segment`.
#[derive(Debug, Subcommand)]
pub(crate) enum Segment {
    /// Train a segmenter on real pairs, and on generated pairs if any are given.
    #[command(before_long_help = "Example:\n\
         \x20 pig segment train --like RUN --data DATA --add PAIRS --splits RUN/splits.json --out SEGMENTER")]
    Train(SegmentTrain),
    /// Predict masks for a folder of pictures.
    #[command(before_long_help = "Example:\n  pig segment predict --run SEGMENTER --data IMAGES --out MASKS")]
    Predict(SegmentPredict),
    /// Measure predicted masks against true ones: overlap, boundaries, lesions found.
    #[command(before_long_help = "Example:\n  pig segment evaluate --pred MASKS --truth DATA --csv cases.csv")]
    Evaluate(Evaluate),
}

/// `pig segment train`.
#[derive(Debug, clap::Args)]
pub(crate) struct SegmentTrain {
    /// The configuration, a TOML file with the sections data and segment; the defaults if not given.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) config: Option<PathBuf>,
    /// Take the section data from this run of a generator, as far as it says how images are read: size, channels, group column,
    /// intensity, crop. A file of --config and --set go before it.
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    pub(crate) like: Option<PathBuf>,
    /// The folder of real images and masks.
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    pub(crate) data: Option<PathBuf>,
    /// A further folder of pairs to train on, which are never used for validation: generated pairs, whose manifest.csv states their model, or
    /// others, which are read as those of --data, with masks of two values or its classes; may be repeated. Real images of validating and
    /// testing patients are refused.
    #[arg(long, value_name = "PAIRS", conflicts_with = "resume")]
    pub(crate) add: Vec<PathBuf>,
    /// The splits.json of the run that trained the generators: the segmenter then validates on patients that the generators did not see.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) splits: Option<PathBuf>,
    /// The run directory to create.
    #[arg(long, value_name = "RUN", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) out: Option<PathBuf>,
    /// Continue this run from its last checkpoint.
    #[arg(long, value_name = "RUN")]
    pub(crate) resume: Option<PathBuf>,
    /// Short for --set segment.train.equal_epochs=true: with more pairs, training takes more steps.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) equal_epochs: bool,
    /// A configuration key, such as segment.train.steps=500; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "resume", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
    /// Check everything, measure a few steps, and print what the training would do and take; write nothing.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
}

/// `pig segment predict`.
#[derive(Debug, clap::Args)]
pub(crate) struct SegmentPredict {
    /// The segmenter's run.
    #[arg(long, value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// A folder of pictures, or of pairs; the masks of pairs are then shown beside the predicted ones.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Only one part of the folder.
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// The folder to write: masks/ and overlays/, in each picture's own size.
    #[arg(long, value_name = "MASKS")]
    pub(crate) out: PathBuf,
    /// Also write probabilities/ as 16-bit pictures, in which 65535 means 1.
    #[arg(long)]
    pub(crate) probabilities: bool,
    /// How true masks are read.
    #[command(flatten)]
    pub(crate) keys: TruthSets,
}

/// `pig segment evaluate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Evaluate {
    /// The folder of predicted masks, or of pairs with masks.
    #[arg(long, value_name = "DIR")]
    pub(crate) pred: PathBuf,
    /// The folder of true masks, or of pairs with masks, with the same stems.
    #[arg(long, value_name = "DIR")]
    pub(crate) truth: PathBuf,
    /// Only one part of both folders.
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// A table with the columns id and patient or group; the manifest.csv of the truth if not given. Intervals are by patient if patients
    /// are known.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Also write the numbers of every case to this table; of several classes, to a table for each, NAME-CLASS.csv.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// How cases count in which both masks are empty: left out of the means, or 1 in every measure.
    #[arg(long, value_enum, default_value = "skip")]
    pub(crate) both_empty: BothEmptyName,
    /// Millimetres between columns and between rows; if not given, distances are in pixels.
    #[arg(long, value_name = "X,Y", value_parser = spacing)]
    pub(crate) spacing: Option<Spacing>,
    /// Distance up to which a boundary counts as correct in surface Dice, in pixels or millimetres; 2 if not given.
    #[arg(long, value_name = "DISTANCE", allow_negative_numbers = true)]
    pub(crate) tolerance: Option<f64>,
    /// Smallest IoU at which a predicted component counts as finding a lesion; 0.1 if not given.
    #[arg(long, value_name = "IOU")]
    pub(crate) min_iou: Option<f64>,
    /// Seed of the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How masks and patients are read.
    #[command(flatten)]
    pub(crate) keys: DataKeys,
}

/// The score of a case in which both masks are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BothEmptyName {
    /// None; such cases are left out and counted.
    Skip,
    /// 1 in every measure.
    One,
}
