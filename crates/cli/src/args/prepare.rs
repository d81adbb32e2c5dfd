//! `pig prepare` and `pig inspect`.

use clap::{builder::NonEmptyStringValueParser, builder::PossibleValuesParser, builder::TypedValueParser};
use pig_prepare::Layout;
use std::path::PathBuf;

/// Bytes in a megabyte.
const MEGABYTE: u64 = 1_000_000;

/// `pig prepare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Prepare {
    /// The folder with DICOM, NIfTI or picture files and their masks. What a file is, is told by its content.
    #[arg(value_name = "SOURCE")]
    pub(crate) source: PathBuf,
    /// The folder to create for `pig train --data`; an interrupted preparation in it is continued.
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// How the source is read.
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The key with which the names of patients are hashed; needed if the source names patients.
    #[arg(long, value_name = "FILE", conflicts_with = "new_key")]
    pub(crate) key: Option<PathBuf>,
    /// Create a key, write it to FILE and use it. Keep the file, and keep it away from the prepared folder: with the same key, a patient
    /// always has the same pseudonym.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key: Option<PathBuf>,
    /// Write a table of prepared ids and source files to FILE, outside the prepared folder. It names source files, so keep it private.
    #[arg(long, value_name = "FILE")]
    pub(crate) links: Option<PathBuf>,
    /// Remove pairs of images that are no longer in SOURCE from OUT, instead of warning of them.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Stop at the first file that cannot be prepared, instead of listing it in errors.csv.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Search the source, and print what would be prepared and with which settings; write nothing.
    #[arg(long, conflicts_with_all = ["new_key", "links", "prune"])]
    pub(crate) dry_run: bool,
}

/// `pig inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The folder to look at: a source, or a prepared or generated folder.
    #[arg(value_name = "SOURCE")]
    pub(crate) source: PathBuf,
    /// How the source is read.
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Write a page with thumbnails and outlined masks to FILE. It shows the source's pictures: protect it like the source.
    #[arg(long, value_name = "FILE", conflicts_with = "privacy")]
    pub(crate) page: Option<PathBuf>,
    /// List the tags of the DICOM files that hold identity, instead: names of tags and counts, no values.
    #[arg(long)]
    pub(crate) privacy: bool,
    /// In how many of the 64 bits of the perceptual hash near-duplicates may differ.
    #[arg(long, value_name = "N", default_value_t = pig_prepare::inspect::NEAR_BITS, value_parser = clap::value_parser!(u32).range(0..=32))]
    pub(crate) near_bits: u32,
}

/// How a source is read.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    /// The layout of the source; recognised automatically if not given.
    #[arg(long, value_parser = layouts())]
    pub(crate) layout: Option<Layout>,
    /// A TOML file with the section `[prepare]`; the defaults if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A key of the section prepare, such as prepare.size=256; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sets: Vec<String>,
    /// Memory limit in megabytes: for all slices that are being processed together, and for any single file.
    #[arg(long, value_name = "MB", default_value_t = pig_prepare::sources::Cost::default().max_bytes / MEGABYTE, value_parser = clap::value_parser!(u64).range(64..=4_000_000))]
    memory: u64,
}

impl Reading {
    /// The limits for reading.
    pub(crate) fn cost(&self) -> pig_prepare::sources::Cost {
        pig_prepare::sources::Cost::of_bytes(self.memory * MEGABYTE)
    }
}

fn layouts() -> impl TypedValueParser<Value = Layout> {
    PossibleValuesParser::new(Layout::ALL.map(Layout::word))
        .map(|word| Layout::of_word(&word).unwrap_or(Layout::Generic))
}
