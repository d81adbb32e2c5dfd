//! `pig compare`.

use std::path::PathBuf;

/// `pig compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// A table of cases, as `pig segment evaluate --csv` writes it: columns id, the measure, and group if patients are known.
    #[arg(value_name = "FIRST")]
    pub(crate) first: PathBuf,
    /// A table of the same cases with other measurements.
    #[arg(value_name = "SECOND")]
    pub(crate) second: PathBuf,
    /// The column of the measure.
    #[arg(long, value_name = "NAME", default_value = "dice")]
    pub(crate) column: String,
    /// Largest number of arrangements in the permutation test.
    #[arg(long, value_name = "N", default_value_t = 9999, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) permutations: u64,
    /// Seed of the bootstrap and of random arrangements.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}
