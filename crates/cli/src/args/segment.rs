//! `pig segment`.

use super::export::{Spacing, spacing};
use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use std::path::PathBuf;

/// `pig segment`.
#[derive(Debug, Subcommand)]
pub(crate) enum Segment {
    /// Measure predicted masks against true ones: overlap, boundaries, lesions found.
    Evaluate(Evaluate),
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
    /// A table with the columns id and patient or group; the manifest.csv of the truth without it. Intervals are by patient
    /// where patients are known.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Also write every case's numbers to this table.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Cases in which both masks are empty: left out of the means, or 1 in every measure.
    #[arg(long, value_enum, default_value = "skip")]
    pub(crate) both_empty: BothEmptyName,
    /// Millimetres between columns and between rows; distances are in pixels without it.
    #[arg(long, value_name = "X,Y", value_parser = spacing)]
    pub(crate) spacing: Option<Spacing>,
    /// Distance up to which a boundary counts as right in surface Dice, in pixels or millimetres; 2 without it.
    #[arg(long, value_name = "DISTANCE", allow_negative_numbers = true)]
    pub(crate) tolerance: Option<f64>,
    /// Least IoU of a predicted component with a lesion that it finds; 0.1 without it.
    #[arg(long, value_name = "IOU")]
    pub(crate) min_iou: Option<f64>,
    /// Seed of the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// A key of the section data that says how masks and patients are read: data.mask_values or data.group_column.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// What a case scores in which both masks are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BothEmptyName {
    /// Nothing; such cases are counted.
    Skip,
    /// 1 in every measure.
    One,
}
