//! The arguments of `pig plan`.

use super::factor::factor;
use std::path::PathBuf;

/// `pig plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// The folder of images and masks.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// The hours that the training may take on this machine.
    #[arg(long, value_name = "H", value_parser = factor)]
    pub(crate) hours: f64,
    /// Height and width of the pictures, instead of those that suit the data and the time.
    #[arg(long, value_name = "N")]
    pub(crate) size: Option<usize>,
    /// A folder of images without masks, for `pig train --unlabelled`.
    #[arg(long, value_name = "DIR")]
    pub(crate) unlabelled: Option<PathBuf>,
    /// The configuration to write; printed if not given. A file that exists is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
