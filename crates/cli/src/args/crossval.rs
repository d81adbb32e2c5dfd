//! `pig crossval`.

use clap::builder::NonEmptyStringValueParser;
use pig_study::crossval::Selection;
use std::path::PathBuf;

/// `pig crossval`.
#[derive(Debug, clap::Args)]
pub(crate) struct Crossval {
    /// The configuration, a TOML file with the sections data, segment and crossval; if not given, only real pairs are used.
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

/// Which pieces are selected, and whether they are only listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Pieces {
    /// Only this fold; the first fold is 0.
    #[arg(long, value_name = "K")]
    pub(crate) fold: Option<usize>,
    /// Only this arm: the name of an arm for all its pieces, or the name of one piece as --jobs lists it, such as real, pig-generator or
    /// pig-add-0.29. The pieces that it needs are run too.
    #[arg(long, value_name = "NAME")]
    pub(crate) arm: Option<String>,
    /// Only segmenters with this seed, and the generators whose pairs belong to it.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// List the pieces with the time that they took, or will take on this machine; train nothing.
    #[arg(long)]
    pub(crate) jobs: bool,
    /// With --jobs: print a shell script that submits the pieces to Slurm, an array for each kind of piece.
    #[arg(long, requires = "jobs", conflicts_with = "json")]
    pub(crate) sbatch: bool,
}

impl Pieces {
    /// The selected pieces.
    pub(crate) fn selection(&self) -> Selection {
        Selection { fold: self.fold, arm: self.arm.clone(), seed: self.seed }
    }
}
