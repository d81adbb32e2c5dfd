//! The arguments of `pig boost`.

use super::factor::factor;
use std::path::PathBuf;

/// `pig boost`.
#[derive(Debug, clap::Args)]
pub(crate) struct Boost {
    /// The folder of images and masks, with patients in its manifest.csv.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// The hours that everything may take on this machine.
    #[arg(long, value_name = "H", value_parser = factor, required_unless_present = "plan")]
    pub(crate) hours: Option<f64>,
    /// Height and width of the pictures, instead of those that suit the data and the hours.
    #[arg(long, value_name = "N", conflicts_with = "plan")]
    pub(crate) size: Option<usize>,
    /// Follow the plan in the folder `plan` of another boost, instead of measuring this machine; its files may be edited.
    #[arg(long, value_name = "DIR", conflicts_with = "hours")]
    pub(crate) plan: Option<PathBuf>,
    /// The folder to write. What is finished in it is kept: after a stop or a kill, the same command goes on.
    #[arg(long, value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// Look at the data, measure the machine, and print the time that each part would take and the gain that the comparison could detect; write
    /// nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
