//! `pig experiment` and `pig report`.

use super::{InceptionArgs, crossval::Pieces};
use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use pig_study::experiments;
use std::path::PathBuf;

/// `pig experiment`.
#[derive(Debug, Subcommand)]
pub(crate) enum Experiment {
    /// The paper's Table 1: distances of images of DDPM, DDIM and PIG from real images, in one fold, the first if --fold is not given;
    /// --arm is ddpm, ddim or pig.
    #[command(before_long_help = "Example:\n\
         \x20 pig experiment table1 --data DATA --out OUT1 --reuse OUT --weights INCEPTION")]
    Table1(Table1),
    /// The paper's Table 2: segmenters trained on real pairs, and on real pairs with generated pairs of each method, in folds by patient.
    #[command(before_long_help = "Examples:\n\
         \x20 pig experiment table2 --data DATA --out OUT --budget small --jobs\n\
         \x20 pig experiment table2 --data DATA --out OUT --budget small")]
    Table2(Study),
    /// The paper's Fig. 3: sampling from noise to a pair, as pictures and as a curve, in one fold, the first if --fold is not given.
    #[command(before_long_help = "Example:\n  pig experiment fig3 --data DATA --out OUT3 --reuse OUT")]
    Fig3(Study),
    /// Segmenters trained on few patients, with and without generated pairs.
    #[command(before_long_help = "Example:\n  pig experiment low-data --data DATA --out OUT4")]
    LowData(Study),
}

/// The arguments of every experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Study {
    /// The folder of real images and masks, with patients in its manifest.csv.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The folder to write; finished parts in it are kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How much computation the experiment may use.
    #[arg(long, value_enum, default_value = "small")]
    pub(crate) budget: Budget,
    /// A configuration file that replaces that of the budget, like the files in experiments/; paths of generators in it are relative to the
    /// file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pieces: Pieces,
    /// Print the resolved configuration and what would be done; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// table1 and fig3: the folder of another experiment, such as table2; its finished generators are used if their split and configuration
    /// are the same.
    #[arg(long, value_name = "DIR")]
    pub(crate) reuse: Option<PathBuf>,
    /// A configuration key, such as experiment.samples=100 or segment.train.steps=500; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// `pig experiment table1`.
#[derive(Debug, clap::Args)]
pub(crate) struct Table1 {
    /// The arguments of every experiment.
    #[command(flatten)]
    pub(crate) study: Study,
    /// The network of the FID. Without --weights, radiomic features are compared; their distance is not the FID.
    #[command(flatten)]
    pub(crate) inception: InceptionArgs,
}

/// How much computation an experiment may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Budget {
    /// Takes seconds, for continuous integration; its numbers mean nothing.
    Smoke,
    /// 64 x 64, for two cores.
    Small,
    /// 512 x 512, with the paper's numbers of pairs and epochs.
    Paper,
}

impl From<Budget> for experiments::Budget {
    fn from(budget: Budget) -> Self {
        match budget {
            Budget::Smoke => Self::Smoke,
            Budget::Small => Self::Small,
            Budget::Paper => Self::Paper,
        }
    }
}

/// `pig report`.
#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// A run, or the folder of a cross-validation or an experiment.
    #[arg(value_name = "RUN")]
    pub(crate) path: PathBuf,
    /// The page to write; report.html in the given folder if not set.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The folder of the real pairs; its recorded place if not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Number of generated pairs on the page of a generator; missing ones are made in the folder samples of its run. 0 for none.
    #[arg(long, value_name = "N", default_value_t = 48)]
    pub(crate) count: u64,
}
