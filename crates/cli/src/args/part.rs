//! Flags that limit a folder to one part of a split.

use clap::ValueEnum;
use pig_data::{Chosen, Part};
use std::path::PathBuf;

/// One part of a split.
#[derive(Debug, clap::Args)]
pub(crate) struct PartArgs {
    /// Use only the real images of one part of this split, the splits.json of a run; with --part.
    #[arg(long, value_name = "FILE", requires = "part")]
    pub(crate) splits: Option<PathBuf>,
    /// The part of the split.
    #[arg(long, value_enum, requires = "splits")]
    pub(crate) part: Option<PartName>,
}

impl PartArgs {
    /// The ids of the part; none without the flags.
    pub(crate) fn chosen(&self) -> pig_data::Result<Option<Chosen>> {
        let both = self.splits.as_ref().zip(self.part);
        both.map(|(path, part)| Chosen::read(path, part.into())).transpose()
    }
}

/// The parts of a split, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartName {
    /// The pairs that trained.
    Training,
    /// The pairs that chose the checkpoint.
    Validation,
    /// The pairs that no training and no choice saw.
    Test,
}

impl From<PartName> for Part {
    fn from(name: PartName) -> Self {
        match name {
            PartName::Training => Self::Training,
            PartName::Validation => Self::Validation,
            PartName::Test => Self::Test,
        }
    }
}

/// The parts of a split on which no network was trained, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeldOutName {
    /// The pairs that chose the checkpoint.
    Validation,
    /// The pairs that no training and no choice saw.
    Test,
}

impl From<HeldOutName> for Part {
    fn from(name: HeldOutName) -> Self {
        match name {
            HeldOutName::Validation => Self::Validation,
            HeldOutName::Test => Self::Test,
        }
    }
}
