//! `pig compare`.

use std::path::PathBuf;

/// `pig compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// A table of cases, as `pig segment evaluate --csv` or `pig crossval` writes it: columns id, the measure, and group if patients are
    /// known. Columns fold (or draw), generator_seed and seed tell trainings apart, which then count as random beside the patients.
    /// Folds test different patients, or all of them the same.
    /// A column lesion (or true_positive and false_negative) says which cases have a lesion; measures of overlap are compared on these.
    #[arg(value_name = "FIRST")]
    pub(crate) first: PathBuf,
    /// A table of the same cases with other measurements.
    #[arg(value_name = "SECOND")]
    pub(crate) second: PathBuf,
    /// Use only the rows of FIRST with this value in the column arm. Needed if it has several.
    #[arg(long, value_name = "ARM")]
    pub(crate) first_arm: Option<String>,
    /// Use only the rows of SECOND with this value in the column arm. Needed if it has several.
    #[arg(long, value_name = "ARM")]
    pub(crate) second_arm: Option<String>,
    /// Use only the rows of both tables with this value in this column, such as share=0.25 in the table of low-data; may be repeated. Numbers are
    /// compared as numbers.
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = column_value)]
    pub(crate) rows: Vec<(String, String)>,
    /// The column of the measure.
    #[arg(long, value_name = "NAME", default_value = "dice")]
    pub(crate) column: String,
    /// Number of random arrangements in the permutation test by patient. Up to 20 patients, all arrangements are used instead.
    #[arg(long, value_name = "N", default_value_t = 9999, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) permutations: u64,
    /// Seed of the bootstrap and of random arrangements.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// COLUMN=VALUE; the value may be empty.
fn column_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, value)) if !column.is_empty() => Ok((column.to_owned(), value.to_owned())),
        _ => Err("expected COLUMN=VALUE, such as share=0.25".to_owned()),
    }
}
