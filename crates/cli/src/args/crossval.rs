//! `pig crossval`.

use clap::builder::NonEmptyStringValueParser;
use pig_study::crossval::Selection;
use std::path::PathBuf;

/// `pig crossval`.
#[derive(Debug, clap::Args)]
pub(crate) struct Crossval {
    /// The cross-validation, a TOML file of the sections data, segment and crossval; real pairs alone without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of real images and masks, with patients in its manifest.csv.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The folder to write; finished pieces in it are kept.
    #[arg(long, value_name = "OUT")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) pieces: Pieces,
    /// A configuration key, such as segment.train.steps=500; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// Which pieces are meant, and whether they are listed alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Pieces {
    /// Only this fold, the first being 0.
    #[arg(long, value_name = "K")]
    pub(crate) fold: Option<usize>,
    /// Only this arm: its name for all of it, or one of its parts as --jobs lists them, such as real, pig-generator or
    /// pig-add-0.29. What it needs is done too.
    #[arg(long, value_name = "NAME")]
    pub(crate) arm: Option<String>,
    /// Only segmenters of this seed.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// List the pieces and what they take, or will take here; train nothing.
    #[arg(long)]
    pub(crate) jobs: bool,
}

impl Pieces {
    /// The pieces that are meant.
    pub(crate) fn selection(&self) -> Selection {
        Selection { fold: self.fold, arm: self.arm.clone(), seed: self.seed }
    }
}
