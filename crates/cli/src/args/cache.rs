//! `pig cache`.

/// `pig cache`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Cache {
    /// Print the folder of the cache.
    #[command(before_long_help = "Example:\n  pig cache dir")]
    Dir,
    /// List the prepared pairs: their size, when they were last used, the data folder that they are of, and where they are.
    #[command(before_long_help = "Example:\n  pig cache list")]
    List,
    /// Remove prepared pairs; they are made again when they are needed. Trainings that are running keep theirs.
    #[command(before_long_help = "Example:\n  pig cache clear --older-than 30")]
    Clear(Clear),
}

/// `pig cache clear`.
#[derive(Debug, clap::Args)]
pub(crate) struct Clear {
    /// Remove only what was not used for so many days.
    #[arg(long, value_name = "DAYS")]
    pub(crate) older_than: Option<u32>,
    /// Remove only the prepared pairs of this data folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<std::path::PathBuf>,
}
