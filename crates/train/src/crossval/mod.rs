//! The whole of `pig crossval`: folds by patient, a generator and segmenters in each, and nobody sees a test patient before the end.
//!
//! Everything is a [`Piece`] with a folder of its own, and a piece that is done is kept: stopped anywhere, the same call goes on. Pieces
//! may be done on several machines; the results are read from whatever pieces are there.
//!
//! ```text
//! OUT/crossval.toml                                  the configuration
//! OUT/fold-0/splits.json                             who trains, validates and tests
//! OUT/fold-0/generators/pig/{run/, pairs/, done.json}
//! OUT/fold-0/segmenters/pig-add-0.29/seed-0/{run/, cases.csv, done.json}
//! OUT/fold-0/agreement/pig/seed-0/{cases.csv, done.json}
//! OUT/{cases.csv, results.json, table.md}            of all that is done
//! ```

pub mod config;
mod fold;
mod generator;
mod jobs;
pub mod piece;
pub mod results;
mod segmenter;
pub mod text;

pub use config::{ArmConfig, Count, CrossvalConfig, CrossvalFile, Use};
pub use generator::check_unseen;
pub(crate) use generator::train_generator;
pub use jobs::{Estimated, Job, Progress};
pub use piece::{Done, Found, Piece, PieceKind, Variant};

use crate::{
    Error, Result,
    checkpoint::sha256,
    config::Layers,
    observer::{Observer, note},
    train::discover,
    trainer::Outcome,
};
use burn::tensor::Device;
use fold::FoldData;
use piece::fold_folder;
use pig_data::{Dataset, Splits, crossval_folds};
use std::path::{Path, PathBuf};

/// A cross-validation on its data, in its folder.
#[derive(Debug)]
pub struct Crossval {
    /// Its configuration.
    pub file: CrossvalFile,
    /// Who trains, validates and tests, fold by fold.
    pub folds: Vec<Splits>,
    /// The folder that paths in the configuration are relative to.
    base: PathBuf,
    data: PathBuf,
    out: PathBuf,
    dataset: Dataset,
}

/// Which pieces are meant; all where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A fold, from 0.
    pub fold: Option<usize>,
    /// The name of an arm (all its pieces), or the label of one, such as `real`, `pig-generator` or `pig-add-0.29`.
    pub arm: Option<String>,
    /// The seed of a segmenter.
    pub seed: Option<u64>,
}

impl Crossval {
    /// Reads the configuration and the data's listing, and makes `out` with the folds, or checks that they are those that `out` has.
    pub fn open(layers: &Layers, data: &Path, out: &Path, observer: &dyn Observer) -> Result<Self> {
        let file: CrossvalFile = layers.load_as()?;
        let base = layers.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        Self::new(file, base, data, out, observer)
    }

    /// The same of a configuration that was read; paths in it are relative to `base`.
    pub fn new(file: CrossvalFile, base: PathBuf, data: &Path, out: &Path, observer: &dyn Observer) -> Result<Self> {
        file.check()?;
        for arm in file.crossval.arms.iter().filter(|arm| arm.runs.is_none()) {
            file.generator(arm, &base)?;
        }
        let dataset = discover(data, &file.data, observer)?;
        let mut folds =
            crossval_folds(&dataset, file.crossval.folds, file.data.validation_fraction, file.crossval.seed)?;
        if file.crossval.patients < 1.0 {
            folds = folds.iter().map(|fold| fold.limited_to(&dataset, file.crossval.patients)).collect();
        }
        for (number, fold) in folds.iter().enumerate() {
            keep_fold(out, number, fold)?;
        }
        pig_data::atomic::write(&out.join("crossval.toml"), file.to_toml().as_bytes())?;
        Ok(Self { file, folds, base, data: data.to_owned(), out: out.to_owned(), dataset })
    }

    /// All pieces that `selection` means, fold by fold, each behind those that it needs.
    pub fn pieces(&self, selection: &Selection) -> Result<Vec<Piece>> {
        let file = &self.file;
        let all = (0..self.folds.len()).flat_map(|fold| piece::pieces(file, fold));
        let wanted: Vec<Piece> = all
            .filter(|piece| selection.fold.is_none_or(|fold| piece.fold == fold))
            .filter(|piece| selection.arm.as_deref().is_none_or(|arm| piece.is_of(file, arm)))
            .filter(|piece| selection.seed.is_none_or(|seed| piece.seed().is_none_or(|own| own == seed)))
            .collect();
        if !wanted.is_empty() {
            return Ok(wanted);
        }
        let mut labels: Vec<String> = piece::pieces(file, 0).into_iter().map(|piece| piece.label(file)).collect();
        labels.dedup();
        Err(Error::Setting {
            key: "--fold, --arm, --seed".to_owned(),
            found: format!("{selection:?}"),
            expected: format!("folds 0 to {} and an arm of: {}", self.folds.len() - 1, labels.join(", ")),
        })
    }

    /// Does all pieces that `selection` means and that are not done; pieces that they need are done too. Writes the results of all that is
    /// there then.
    pub fn run(&self, selection: &Selection, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
        let mut data: Option<FoldData<'_>> = None;
        for piece in self.pieces(selection)? {
            if self.finished(piece)?.is_some() {
                continue;
            }
            if observer.stop_requested() {
                return Ok(Outcome::Interrupted);
            }
            let fold = match data.take().filter(|data| data.number == piece.fold) {
                Some(fold) => fold,
                None => FoldData::read(self, piece.fold, observer)?,
            };
            let fold = data.insert(fold);
            note(observer, format!("fold {}: {}{}", piece.fold, piece.label(&self.file), seed_words(piece)));
            let outcome = match piece.kind {
                PieceKind::Generator { arm } => fold.generator(arm, device, observer)?,
                PieceKind::Segmenter { variant, seed } => fold.segmenter(variant, seed, device, observer)?,
                PieceKind::Agreement { arm, seed } => fold.agreement(arm, seed, device, observer)?,
            };
            if outcome == Outcome::Interrupted {
                return Ok(outcome);
            }
        }
        self.results()?.write(&self.out)?;
        Ok(Outcome::Finished)
    }

    /// The folder of all pieces.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The folder of a piece.
    fn folder(&self, fold: usize, kind: PieceKind) -> PathBuf {
        Piece { fold, kind }.folder(&self.file, &self.out)
    }

    /// What a piece found, where it is done. One that was finished with another split or other settings is refused.
    fn finished(&self, piece: Piece) -> Result<Option<Done>> {
        let folder = piece.folder(&self.file, &self.out);
        let Some(done) = Done::read(&folder)? else { return Ok(None) };
        done.check(&folder, &self.folds[piece.fold].sha256, &self.settings(piece)?)?;
        Ok(Some(done))
    }

    /// SHA-256 of what decides a piece beside the fold's split and the pictures themselves.
    fn settings(&self, piece: Piece) -> Result<String> {
        let file = &self.file;
        let label = piece.label(file);
        let words = match piece.kind {
            PieceKind::Generator { arm } => {
                let config = &file.crossval.arms[arm];
                let generator = match &config.runs {
                    Some(runs) => runs.clone(),
                    None => file.generator(config, &self.base)?.to_toml(),
                };
                format!("{label} {} {generator}", self.pairs_of(piece.fold, config))
            }
            PieceKind::Segmenter { variant, seed } => {
                let segmenter = file.segmenter(seed).to_toml();
                match variant.arm() {
                    Some(arm) => format!("{label} {segmenter} {}", self.settings_of_generator(piece.fold, arm)?),
                    None => format!("{label} {segmenter}"),
                }
            }
            PieceKind::Agreement { arm, seed } => {
                let segmenter = file.segmenter(seed).to_toml();
                format!("{label} {segmenter} {}", self.settings_of_generator(piece.fold, arm)?)
            }
        };
        Ok(sha256(without_later_keys(&words).as_bytes()))
    }

    fn settings_of_generator(&self, fold: usize, arm: usize) -> Result<String> {
        self.settings(Piece { fold, kind: PieceKind::Generator { arm } })
    }

    /// How many pairs the generator of an arm makes in a fold.
    fn pairs_of(&self, fold: usize, arm: &ArmConfig) -> usize {
        let real = self.folds[fold].training.len();
        arm.training_sets().map(|(_, count)| count.of(real)).max().unwrap_or(0)
    }

    /// What all finished pieces found.
    pub fn results(&self) -> Result<results::Results> {
        results::Results::read(self)
    }
}

/// Keys that configurations have had since pieces were first finished, with the values under which nothing is other than before: pieces
/// that knew nothing of them are still found.
const LATER_KEYS: [&str; 5] = [
    "slices = 1",
    "frozen_top_region_index = []",
    "frozen_bottom_region_index = []",
    "frozen_spacing = []",
    "min_snr_members = \"pair\"",
];

/// A configuration's text as it was before [`LATER_KEYS`].
fn without_later_keys(words: &str) -> String {
    words.split_inclusive('\n').filter(|line| !LATER_KEYS.contains(&line.trim_end())).collect()
}

fn seed_words(piece: Piece) -> String {
    piece.seed().map(|seed| format!(", seed {seed}")).unwrap_or_default()
}

/// Writes a fold's split, or checks that the one that is there is the same.
pub(crate) fn keep_fold(out: &Path, number: usize, fold: &Splits) -> Result<()> {
    let folder = fold_folder(out, number);
    let path = folder.join("splits.json");
    if !path.is_file() {
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        return Ok(fold.save(&path)?);
    }
    let found = Splits::load(&path)?;
    if found.sha256 == fold.sha256 {
        return Ok(());
    }
    Err(Error::BadFile {
        path,
        problem: format!("holds a split of SHA-256 {}, but these data and settings give {}", found.sha256, fold.sha256),
        advice: "patients, crossval.folds, crossval.patients, crossval.seed or data.validation_fraction have changed: choose another --out",
    })
}
