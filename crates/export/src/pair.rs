//! One pair of an export, and where it comes from.

use std::path::PathBuf;

use pig_data::CaseMask;

use crate::place::Place;

/// Where a pair comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made by a model, or drawn by a program.
    Generated,
    /// Found in the user's data.
    Real,
}

impl Origin {
    /// The word in manifests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Real => "real",
        }
    }
}

/// A pair that is exported.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// The name of its files, unique in the export even if upper and lower case are not distinguished.
    pub(crate) stem: String,
    /// Its id in the folder that it comes from.
    pub(crate) source_id: String,
    pub(crate) origin: Origin,
    /// Whether it is marked as not acquired from a patient; phantoms that stand for real pairs are marked too.
    pub(crate) synthetic: bool,
    /// The patient or group; the stem if none is known.
    pub(crate) group: String,
    pub(crate) image: PathBuf,
    pub(crate) mask: CaseMask,
    pub(crate) place: Place,
}
