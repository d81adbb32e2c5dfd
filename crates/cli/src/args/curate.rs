//! The arguments of `pig curate`.

use clap::ValueEnum;
use std::path::PathBuf;

/// `pig curate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Curate {
    /// The folder of generated pairs, as `pig sample` writes it. Nothing in it is changed.
    #[arg(value_name = "PAIRS")]
    pub(crate) pairs: PathBuf,
    /// The run of a segmenter that was trained on real pairs alone; may be repeated, and what they say is averaged. One that saw a test
    /// patient, or generated pairs, is refused.
    #[arg(long = "run", value_name = "SEGMENTER", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// The share of the pairs that is kept.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    pub(crate) keep: f64,
    /// Which pairs are kept first: those with the highest agreement, or, but for the quarter with the lowest, the hardest third.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) order: OrderName,
    /// The lesion areas of the kept pairs: whatever the pairs have, or as real training pairs have them.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) areas: AreasName,
    /// Also keep pairs that may be copies: whose image is nearer to a training image than 95 % of the validating images are.
    #[arg(long)]
    pub(crate) keep_copies: bool,
    /// The folder of the real pairs on which the segmenters were trained, if it has moved.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A splits.json of this folder, whose test patients no segmenter may have seen; those of the segmenters' own splits never may.
    #[arg(long, value_name = "FILE")]
    pub(crate) splits: Option<PathBuf>,
    /// A folder of test pairs, none of which a segmenter may have seen.
    #[arg(long, value_name = "DIR")]
    pub(crate) test: Option<PathBuf>,
    /// The folder to write: the chosen pairs, with a manifest; curation.csv, a row for each pair; curation.json.
    #[arg(long, value_name = "OUT")]
    pub(crate) out: PathBuf,
}

/// Which pairs are kept first.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum OrderName {
    /// Those with the highest agreement.
    #[default]
    Agreement,
    /// Without the quarter of the lowest agreement: the hardest third, then those with the highest agreement.
    Hard,
}

/// Which lesion areas the kept pairs have.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum AreasName {
    /// Whatever the pairs have.
    #[default]
    Any,
    /// As real training pairs have them.
    Real,
}
