//! `pig completions` and `pig man`.

use clap_complete::Shell;
use std::path::PathBuf;

/// `pig completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `pig man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The folder to write, such as a folder man1 in a folder of MANPATH; pages in it are replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
