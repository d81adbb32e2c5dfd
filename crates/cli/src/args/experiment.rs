//! `pig experiment` and `pig report`.

use super::{InceptionArgs, crossval::Pieces};
use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use pig_study::experiments;
use std::path::PathBuf;

/// `pig experiment`.
#[derive(Debug, Subcommand)]
pub(crate) enum Experiment {
    /// The paper's Table 1: how far images of DDPM, DDIM and PIG lie from real ones, in one fold, the first without --fold;
    /// --arm is ddpm, ddim or pig.
    Table1(Table1),
    /// The paper's Table 2: segmenters of real pairs, and of real pairs with generated ones of each method, in folds by patient.
    Table2(Study),
    /// The paper's Fig. 3: the way from noise to pair, as pictures and as a curve, in one fold, the first without --fold.
    Fig3(Study),
    /// Segmenters of few patients, with and without generated pairs.
    LowData(Study),
}

/// What every experiment is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Study {
    /// The folder of real images and masks, with patients in its manifest.csv.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The folder to write; what is finished in it is kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How much is spent.
    #[arg(long, value_enum, default_value = "small")]
    pub(crate) budget: Budget,
    /// Another file in the place of the budget's, as in experiments/; generators' paths in it are relative to it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pieces: Pieces,
    /// Print the resolved configuration and what would be done; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// table1 and fig3: another experiment's folder, such as table2's, whose finished generators of the same split and configuration are used.
    #[arg(long, value_name = "DIR")]
    pub(crate) reuse: Option<PathBuf>,
    /// A configuration key, such as experiment.samples=100 or segment.train.steps=500; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
}

/// `pig experiment table1`.
#[derive(Debug, clap::Args)]
pub(crate) struct Table1 {
    /// What every experiment is told.
    #[command(flatten)]
    pub(crate) study: Study,
    /// The network of the FID; without --weights radiomic features are compared, whose distance is not the FID.
    #[command(flatten)]
    pub(crate) inception: InceptionArgs,
}

/// How much is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Budget {
    /// Seconds, for continuous integration: its numbers say nothing.
    Smoke,
    /// 64 x 64, on two cores.
    Small,
    /// 512 x 512, the paper's numbers.
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
    /// The page to write; report.html in the folder without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The real pairs; where they were without it.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Generated pairs of a generator's run that are shown, made in its folder samples where they are not there; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 48)]
    pub(crate) count: u64,
}
