//! The pieces of a cross-validation: the units of work that can be done separately, and the record in the folder of a finished piece.

use crate::crossval::{
    config::CrossvalFile,
    variant::{ArmGenerator, Variant, variants},
};
use pig_files::Lock;
use pig_metrics::bootstrap::Estimate;
use pig_train::{Error, Result, locked::locked, observer::Observer};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// The kind of a piece of work that can be done separately.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PieceKind {
    /// Trains a generator of an arm and makes as many pairs as the arm's largest training set needs.
    Generator(ArmGenerator),
    /// Trains a segmenter and measures it on the test patients.
    Segmenter {
        /// The training set.
        variant: Variant,
        /// Seed of the segmenter.
        seed: u64,
    },
    /// Measures the pairs of a generator by the fold's segmenters of real pairs, to choose among them.
    Curation(ArmGenerator),
    /// Measures pair agreement: the segmenter of real pairs segments generated pairs.
    Agreement {
        /// Number of the arm.
        arm: usize,
        /// Seed of the segmenter.
        seed: u64,
    },
}

/// A piece of one fold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// The fold, from 0.
    pub fold: usize,
    /// The kind of work.
    pub kind: PieceKind,
}

/// All pieces of a fold; each piece follows the pieces that it needs.
pub fn pieces(file: &CrossvalFile, fold: usize) -> Vec<Piece> {
    let seeds = &file.crossval.segmenter_seeds;
    let of = |variant| seeds.iter().map(move |&seed| PieceKind::Segmenter { variant, seed });
    let mut kinds: Vec<PieceKind> = of(Variant::Real).collect();
    for arm in 0..file.crossval.arms.len() {
        let generators = || (0..file.crossval.generators()).map(|number| ArmGenerator { arm, number });
        kinds.extend(generators().map(PieceKind::Generator));
        if !file.crossval.arms[arm].curated.is_empty() {
            kinds.extend(generators().map(PieceKind::Curation));
        }
        kinds.extend(seeds.iter().map(|&seed| PieceKind::Agreement { arm, seed }));
        kinds.extend(variants(file).into_iter().filter(|variant| variant.arm() == Some(arm)).flat_map(of));
    }
    kinds.into_iter().map(|kind| Piece { fold, kind }).collect()
}

impl Piece {
    /// The label that `--arm` takes; it distinguishes the generators, the agreement and the segmenters of one arm.
    pub fn label(self, file: &CrossvalFile) -> String {
        let name = |arm: usize| &file.crossval.arms[arm].name;
        let of = |generator: ArmGenerator, what: &str| {
            let seed = generator.own_seed(file).map_or(String::new(), |seed| format!("-{seed}"));
            format!("{}-{what}{seed}", name(generator.arm))
        };
        match self.kind {
            PieceKind::Generator(generator) => of(generator, "generator"),
            PieceKind::Curation(generator) => of(generator, "curation"),
            PieceKind::Agreement { arm, .. } => format!("{}-agreement", name(arm)),
            PieceKind::Segmenter { variant, .. } => variant.label(file),
        }
    }

    /// Whether `wanted`, the value of `--arm`, selects this piece: by the label of the piece, or by the name of its arm.
    pub fn is_of(self, file: &CrossvalFile, wanted: &str) -> bool {
        let arm = match self.kind {
            PieceKind::Generator(generator) | PieceKind::Curation(generator) => Some(generator.arm),
            PieceKind::Agreement { arm, .. } => Some(arm),
            PieceKind::Segmenter { variant, .. } => variant.arm(),
        };
        self.label(file) == wanted || arm.is_some_and(|arm| file.crossval.arms[arm].name == wanted)
    }

    /// Whether the piece is that of a segmenter with this seed, or of the generator whose pairs belong to it.
    pub fn is_for(self, file: &CrossvalFile, seed: u64) -> bool {
        match self.kind {
            PieceKind::Generator(which) | PieceKind::Curation(which) => {
                let crossval = &file.crossval;
                crossval.segmenter_seeds.contains(&seed) && which.number == crossval.generator_of(seed)
            }
            PieceKind::Segmenter { seed: own, .. } | PieceKind::Agreement { seed: own, .. } => own == seed,
        }
    }

    /// The seed of the segmenter, if the piece has one.
    pub fn seed(self) -> Option<u64> {
        match self.kind {
            PieceKind::Generator(_) | PieceKind::Curation(_) => None,
            PieceKind::Segmenter { seed, .. } | PieceKind::Agreement { seed, .. } => Some(seed),
        }
    }

    /// The folder of the piece.
    pub fn folder(self, file: &CrossvalFile, out: &Path) -> PathBuf {
        let fold = fold_folder(out, self.fold);
        let name = |arm: usize| &file.crossval.arms[arm].name;
        let of = |generator: ArmGenerator, what: &str| {
            let folder = fold.join(what).join(name(generator.arm));
            generator.own_seed(file).map_or(folder.clone(), |seed| folder.join(seed_folder(seed)))
        };
        match self.kind {
            PieceKind::Generator(generator) => of(generator, GENERATORS),
            PieceKind::Curation(generator) => of(generator, "curation"),
            PieceKind::Agreement { arm, seed } => fold.join(AGREEMENT).join(name(arm)).join(seed_folder(seed)),
            PieceKind::Segmenter { variant, seed } => {
                fold.join("segmenters").join(variant.label(file)).join(seed_folder(seed))
            }
        }
    }
}

/// The folder of what a seed made.
pub(crate) fn seed_folder(seed: u64) -> String {
    format!("seed-{seed}")
}

/// The folder of a fold.
pub fn fold_folder(out: &Path, fold: usize) -> PathBuf {
    out.join(format!("fold-{fold}"))
}

/// The record in the folder of a finished piece; it is written last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// SHA-256 of the fold's split.
    pub splits_sha256: String,
    /// SHA-256 of the settings that determine the piece, besides the split and the images.
    pub settings_sha256: String,
    /// Seconds that the piece took since its last start.
    pub seconds: f64,
    /// Whether the piece ran without interruption, so that `seconds` is its whole time.
    pub at_once: bool,
    /// The result.
    pub found: Found,
}

/// The result of a piece, besides the files in its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "piece")]
pub enum Found {
    /// Of a generator.
    Generator {
        /// SHA-256 over the weights of its networks; every pair stores it.
        model_hash: String,
        /// The seeds of the pairs, in the order in which the pairs are used.
        seeds: Vec<u64>,
        /// Number of pairs without a lesion.
        empty_masks: usize,
    },
    /// Of a segmenter.
    Segmenter {
        /// Training step of the checkpoint that was measured.
        step: usize,
        /// Mean Dice of this checkpoint on the validation patients.
        validation_dice: Option<f64>,
        /// Number of generated pairs in the training set.
        added: usize,
        /// How many of them the training had drawn at `step`; none if an earlier version trained the segmenter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drawn: Option<usize>,
    },
    /// Of a curation: what was measured is a table in the folder.
    Curation {
        /// Number of pairs that were measured.
        measured: usize,
    },
    /// Of pair agreement: mean Dice of the segmenter that was trained on real pairs.
    Agreement {
        /// On generated pairs.
        generated: Option<Estimate>,
        /// On the same images with the masks of other pairs.
        shuffled: Option<Estimate>,
        /// On the real pairs of the test patients.
        held_out: Option<Estimate>,
        /// Number of measured pairs with an empty mask. If it is missing, an earlier version measured the pairs that segmenters train
        /// on, also if they were made for training masks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        empty_masks: Option<usize>,
    },
}

const DONE: &str = "done.json";

/// The folder of a fold's generators.
pub(crate) const GENERATORS: &str = "generators";

/// The folder of a fold's agreement.
pub(super) const AGREEMENT: &str = "agreement";

/// The run of a generator or segmenter in its piece's folder.
pub(crate) const RUN: &str = "run";

/// The pairs of a generator in its piece's folder.
pub(crate) const PAIRS: &str = "pairs";

/// The per-case table of a segmenter, and of pair agreement.
pub(crate) const CASES: &str = "cases.csv";

/// The numbers of a cross-validation or an experiment, in its folder.
pub const RESULTS: &str = "results.json";

impl Done {
    /// Reads the record in a piece's folder; none if the piece is not finished.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        read_json(&folder.join(DONE))
    }

    /// Records that the piece is done.
    pub fn write(&self, folder: &Path) -> Result<()> {
        Ok(pig_files::write_json(&folder.join(DONE), self)?)
    }

    /// Refuses a piece that was finished with another split or with other settings.
    pub fn check(&self, folder: &Path, splits_sha256: &str, settings_sha256: &str) -> Result<()> {
        let pairs = [
            (&self.splits_sha256, splits_sha256, "the split"),
            (&self.settings_sha256, settings_sha256, "the settings"),
        ];
        match pairs.into_iter().find(|(found, expected, _)| found != expected) {
            None => Ok(()),
            Some((found, expected, what)) => Err(Error::BadFile {
                path: folder.to_owned(),
                problem: format!("was finished with {what} of SHA-256 {found}, but the present SHA-256 is {expected}"),
                advice: "choose another --out, go back to what it was finished with, or remove the folder to do the piece again",
            }),
        }
    }
}

/// The path of a subfolder of a finished piece; refused if the subfolder is missing, for example because it was not copied.
pub(super) fn part(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    if path.is_dir() {
        return Ok(path);
    }
    Err(Error::BadFile {
        path: folder.to_owned(),
        problem: format!(
            "this piece is done, but its folder {name}/ is missing, as in results that were copied without checkpoints and pictures"
        ),
        advice: "restore the missing folder, or remove the folder of the piece, so that the piece is done again",
    })
}

/// Reads a JSON file; none if the file does not exist.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match pig_files::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, "read")(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::BadFile {
        path: path.to_owned(),
        problem: error.to_string(),
        advice: "remove the file's folder, so that the piece is done again",
    })
}

/// Creates a piece's folder and locks it for this process until the returned lock is dropped.
pub(super) fn take(folder: &Path, observer: &dyn Observer) -> Result<Lock> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
    locked(folder, "is working on this piece", "wait for it, or choose another --fold, --arm or --seed", observer)
}
