//! The pieces of a cross-validation: what can be done by itself, and what lies in its folder when it is done.

use crate::crossval::{
    config::CrossvalFile,
    variant::{Variant, variants},
};
use pig_metrics::bootstrap::Estimate;
use pig_train::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

/// Something that can be done by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PieceKind {
    /// The generator of an arm is trained, and makes as many pairs as the arm's greatest count.
    Generator {
        /// Number of the arm.
        arm: usize,
    },
    /// A segmenter is trained and measured on the test patients.
    Segmenter {
        /// What it trains on.
        variant: Variant,
        /// Its seed.
        seed: u64,
    },
    /// The segmenter of real pairs finds the lesions of generated pairs: pair agreement.
    Agreement {
        /// Number of the arm.
        arm: usize,
        /// The segmenter's seed.
        seed: u64,
    },
}

/// A piece of one fold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// The fold, from 0.
    pub fold: usize,
    /// What is to be done.
    pub kind: PieceKind,
}

/// All pieces of a fold, each behind those that it needs.
pub fn pieces(file: &CrossvalFile, fold: usize) -> Vec<Piece> {
    let seeds = &file.crossval.segmenter_seeds;
    let of = |variant| seeds.iter().map(move |&seed| PieceKind::Segmenter { variant, seed });
    let mut kinds: Vec<PieceKind> = of(Variant::Real).collect();
    for arm in 0..file.crossval.arms.len() {
        kinds.push(PieceKind::Generator { arm });
        kinds.extend(seeds.iter().map(|&seed| PieceKind::Agreement { arm, seed }));
        kinds.extend(variants(file).into_iter().filter(|variant| variant.arm() == Some(arm)).flat_map(of));
    }
    kinds.into_iter().map(|kind| Piece { fold, kind }).collect()
}

impl Piece {
    /// The arm as `--arm` names it: a generator's, agreement's and segmenter's are told apart.
    pub fn label(self, file: &CrossvalFile) -> String {
        let name = |arm: usize| &file.crossval.arms[arm].name;
        match self.kind {
            PieceKind::Generator { arm } => format!("{}-generator", name(arm)),
            PieceKind::Agreement { arm, .. } => format!("{}-agreement", name(arm)),
            PieceKind::Segmenter { variant, .. } => variant.label(file),
        }
    }

    /// Whether `--arm` means it: by its own label, or by the name of its arm.
    pub fn is_of(self, file: &CrossvalFile, wanted: &str) -> bool {
        let arm = match self.kind {
            PieceKind::Generator { arm } | PieceKind::Agreement { arm, .. } => Some(arm),
            PieceKind::Segmenter { variant, .. } => variant.arm(),
        };
        self.label(file) == wanted || arm.is_some_and(|arm| file.crossval.arms[arm].name == wanted)
    }

    /// The seed of its segmenter.
    pub fn seed(self) -> Option<u64> {
        match self.kind {
            PieceKind::Generator { .. } => None,
            PieceKind::Segmenter { seed, .. } | PieceKind::Agreement { seed, .. } => Some(seed),
        }
    }

    /// Its folder.
    pub fn folder(self, file: &CrossvalFile, out: &Path) -> PathBuf {
        let fold = fold_folder(out, self.fold);
        let name = |arm: usize| &file.crossval.arms[arm].name;
        match self.kind {
            PieceKind::Generator { arm } => fold.join("generators").join(name(arm)),
            PieceKind::Agreement { arm, seed } => fold.join("agreement").join(name(arm)).join(format!("seed-{seed}")),
            PieceKind::Segmenter { variant, seed } => {
                fold.join("segmenters").join(variant.label(file)).join(format!("seed-{seed}"))
            }
        }
    }
}

/// The folder of a fold.
pub fn fold_folder(out: &Path, fold: usize) -> PathBuf {
    out.join(format!("fold-{fold}"))
}

/// What stands in the folder of a finished piece; it is written last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// SHA-256 of the fold's split.
    pub splits_sha256: String,
    /// SHA-256 of what else decides the piece: configuration and data.
    pub settings_sha256: String,
    /// Seconds that it took, from its last start on.
    pub seconds: f64,
    /// Whether it was done without an interruption, so that `seconds` are all that it took.
    pub at_once: bool,
    /// What it found.
    pub found: Found,
}

/// What a piece found, beside the files in its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "piece")]
pub enum Found {
    /// Of a generator.
    Generator {
        /// SHA-256 over the weights of its networks; every pair carries it.
        model_hash: String,
        /// The pairs' seeds, in the order in which they are taken.
        seeds: Vec<u64>,
        /// Pairs without lesion.
        empty_masks: usize,
    },
    /// Of a segmenter.
    Segmenter {
        /// Step of the checkpoint that was measured.
        step: usize,
        /// Its mean Dice on the validating patients.
        validation_dice: Option<f64>,
        /// Generated pairs that it trained on.
        added: usize,
    },
    /// Of pair agreement: mean Dice of the real segmenter.
    Agreement {
        /// On generated pairs.
        generated: Option<Estimate>,
        /// On the same images with each other's masks.
        shuffled: Option<Estimate>,
        /// On the real pairs of the test patients.
        held_out: Option<Estimate>,
    },
}

const DONE: &str = "done.json";

/// The run of a generator or segmenter in its piece's folder.
pub(crate) const RUN: &str = "run";

/// The pairs of a generator in its piece's folder.
pub(crate) const PAIRS: &str = "pairs";

/// The per-case table of a segmenter, and of pair agreement.
pub(crate) const CASES: &str = "cases.csv";

/// The numbers of a cross-validation or an experiment, in its folder.
pub const RESULTS: &str = "results.json";

impl Done {
    /// What a folder says of its piece, none where it is not done.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        read_json(&folder.join(DONE))
    }

    /// Says that the piece is done.
    pub fn write(&self, folder: &Path) -> Result<()> {
        Ok(pig_files::write_json(&folder.join(DONE), self)?)
    }

    /// Refuses a finished piece of other settings or another split.
    pub fn check(&self, folder: &Path, splits_sha256: &str, settings_sha256: &str) -> Result<()> {
        let pairs = [
            (&self.splits_sha256, splits_sha256, "the split"),
            (&self.settings_sha256, settings_sha256, "the settings"),
        ];
        match pairs.into_iter().find(|(found, expected, _)| found != expected) {
            None => Ok(()),
            Some((found, expected, what)) => Err(Error::BadFile {
                path: folder.to_owned(),
                problem: format!("was finished with {what} of SHA-256 {found}, but now it is {expected}"),
                advice: "choose another --out, go back to what it was finished with, or remove the folder to do it anew",
            }),
        }
    }
}

/// What lies in the folder of a finished piece beside [`Done`]; refused where it did not come along.
pub(super) fn part(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    if path.is_dir() {
        return Ok(path);
    }
    Err(Error::BadFile {
        path: folder.to_owned(),
        problem: format!(
            "this piece is done, but {name}/ is not there any more, as in results that were copied without checkpoints and pictures"
        ),
        advice: "bring it back, or remove this folder, so that the piece is done anew",
    })
}

/// A JSON file, none where it is not there.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, "read")(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::BadFile {
        path: path.to_owned(),
        problem: error.to_string(),
        advice: "remove the file's folder, so that the piece is done anew",
    })
}

/// Makes a piece's folder and takes it for this process, until the result is dropped.
pub(super) fn take(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(Error::io(&path, "write"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        // Some network file systems know no locks.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, "lock")(error)),
        Err(TryLockError::WouldBlock) => Err(Error::BadFile {
            path: folder.to_owned(),
            problem: "another process is at work on this piece".to_owned(),
            advice: "wait for it, or take another --fold or --arm",
        }),
    }
}
