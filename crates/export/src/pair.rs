//! One pair of an export, and where it comes from.

use std::path::PathBuf;

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
    /// The name of its files, unique in the export also where upper and lower case are the same.
    pub(crate) stem: String,
    /// Its id in the folder that it comes from.
    pub(crate) source_id: String,
    pub(crate) origin: Origin,
    /// Whether the file says that it was not acquired from a patient; so do real pairs' stand-ins, the phantoms.
    pub(crate) synthetic: bool,
    /// The patient or group; the stem where none is known.
    pub(crate) group: String,
    pub(crate) image: PathBuf,
    pub(crate) mask: PathBuf,
    pub(crate) place: Place,
}
