//! A cross-validation in its folder: its pieces, and which of them are finished.

use crate::crossval::{
    config::{ArmConfig, CrossvalFile},
    outside::check_outside,
    piece::{self, Done, Piece, PieceKind, fold_folder, seed_folder},
    settings::Settings,
    variant::ArmGenerator,
};
use pig_data::{Dataset, Splits, classes::names, crossval_folds};
use pig_train::{
    Error, Result,
    config::Layers,
    observer::Observer,
    run_data::{discover_folds, with_channels},
    run_dir::RunDir,
};
use std::path::{Path, PathBuf};

/// A cross-validation with its data and its folder.
#[derive(Debug)]
pub struct Crossval {
    /// Its configuration.
    pub file: CrossvalFile,
    /// The split of each fold into training, validation and test cases.
    pub folds: Vec<Splits>,
    /// The folder that paths in the configuration are relative to.
    pub(super) base: PathBuf,
    pub(super) data: PathBuf,
    pub(super) out: PathBuf,
    pub(super) dataset: Dataset,
}

/// A selection of pieces; an unset field selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A fold, from 0.
    pub fold: Option<usize>,
    /// The name of an arm (selects all its pieces), or the label of a piece, such as `real`, `pig-generator` or `pig-add-0.29`.
    pub arm: Option<String>,
    /// The seed of a segmenter.
    pub seed: Option<u64>,
}

impl Selection {
    /// The flags that select, as they are written.
    fn words(&self) -> String {
        let fold = self.fold.map(|fold| format!("--fold {fold}"));
        let arm = self.arm.as_ref().map(|arm| format!("--arm {arm}"));
        let seed = self.seed.map(|seed| format!("--seed {seed}"));
        [fold, arm, seed].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl CrossvalFile {
    /// The split of each fold of these data.
    ///
    /// # Errors
    /// When the data have too few patients or groups for the folds.
    pub(crate) fn folds(&self, dataset: &Dataset) -> Result<Vec<Splits>> {
        let config = &self.crossval;
        let folds = crossval_folds(dataset, config.folds, self.data.validation_fraction, config.seed)?;
        if config.patients >= 1.0 {
            return Ok(folds);
        }
        let (share, least) = (config.patients, config.min_validation_patients);
        Ok(folds.iter().map(|fold| fold.limited_to(dataset, share, least)).collect())
    }
}

impl Crossval {
    /// Reads the configuration and lists the data. Then writes the folds to `out`, or checks that they are equal to the folds in `out`.
    pub fn open(layers: &Layers, data: &Path, out: &Path, observer: &dyn Observer) -> Result<Self> {
        let file: CrossvalFile = layers.load_as()?;
        let base = layers.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        Self::new(file, base, data, out, observer)
    }

    /// Like [`Self::open`], with a configuration that is already read; its paths are relative to `base`. `out` must not lie where it would be
    /// read as data.
    pub fn new(
        mut file: CrossvalFile,
        base: PathBuf,
        data: &Path,
        out: &Path,
        observer: &dyn Observer,
    ) -> Result<Self> {
        file.check()?;
        for arm in file.crossval.arms.iter().filter(|arm| arm.runs.is_none()) {
            file.generator(arm, &base)?;
        }
        check_outside(data, &file.data, out)?;
        let dataset = discover_folds(data, &file.data, observer)?;
        // All pieces have the number of channels that the whole data decide.
        file.data = with_channels(&dataset, &file.data, observer)?;
        let folds = file.folds(&dataset)?;
        file.check_drawn(&folds)?;
        for (number, fold) in folds.iter().enumerate() {
            keep_fold(out, number, fold)?;
        }
        pig_files::write(&out.join("crossval.toml"), file.to_toml().as_bytes())?;
        Ok(Self { file, folds, base, data: data.to_owned(), out: out.to_owned(), dataset })
    }

    /// All selected pieces, fold by fold; each piece follows the pieces that it needs.
    pub fn pieces(&self, selection: &Selection) -> Result<Vec<Piece>> {
        let file = &self.file;
        let all = (0..self.folds.len()).flat_map(|fold| piece::pieces(file, fold));
        let wanted: Vec<Piece> = all
            .filter(|piece| selection.fold.is_none_or(|fold| piece.fold == fold))
            .filter(|piece| selection.arm.as_deref().is_none_or(|arm| piece.is_of(file, arm)))
            .filter(|piece| selection.seed.is_none_or(|seed| piece.is_for(file, seed)))
            .collect();
        if !wanted.is_empty() {
            return Ok(wanted);
        }
        let mut labels: Vec<String> = piece::pieces(file, 0).into_iter().map(|piece| piece.label(file)).collect();
        labels.dedup();
        Err(Error::Setting {
            key: "the selected piece".to_owned(),
            found: selection.words(),
            expected: format!(
                "a fold from 0 to {}, a seed of crossval.segmenter_seeds, and one of these arms: {}",
                self.folds.len() - 1,
                labels.join(", ")
            ),
        })
    }

    /// The names of the classes that masks tell apart; none if lesions are one.
    pub(super) fn classes(&self) -> Vec<&str> {
        let data = &self.file.data;
        if data.has_several_classes() { names(&data.classes) } else { Vec::new() }
    }

    /// The folder of all pieces.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The folder of a piece.
    pub(super) fn folder(&self, fold: usize, kind: PieceKind) -> PathBuf {
        Piece { fold, kind }.folder(&self.file, &self.out)
    }

    /// The folder of the pairs by which agreement with a generator is measured in a fold, if they are not those that segmenters train on.
    pub(super) fn agreement_folder(&self, fold: usize, which: ArmGenerator) -> PathBuf {
        let name = &self.file.crossval.arms[which.arm].name;
        let folder = fold_folder(&self.out, fold).join(piece::AGREEMENT).join(name);
        // The folders seed-N beside it are those of segmenters.
        let own = |seed| folder.join(format!("generator-{}", seed_folder(seed)));
        which.own_seed(&self.file).map_or(folder.clone(), own)
    }

    /// The run of a generator in a fold.
    pub(super) fn generator_run(&self, fold: usize, which: ArmGenerator) -> PathBuf {
        match &self.file.crossval.arms[which.arm].runs {
            Some(runs) => self.base.join(self.file.crossval.run(runs, fold, which.number)),
            None => self.folder(fold, PieceKind::Generator(which)).join(piece::RUN),
        }
    }

    /// Whether a generator makes its pairs for masks that it is given.
    pub(super) fn needs_masks(&self, fold: usize, which: ArmGenerator) -> Result<bool> {
        let config = &self.file.crossval.arms[which.arm];
        let generator = match config.runs {
            Some(_) => RunDir::open(&self.generator_run(fold, which))?.config()?,
            None => self.file.generator(config, &self.base)?,
        };
        Ok(generator.method.needs_masks())
    }

    /// The record of a piece, if it is finished. Refuses a piece that was finished with another split or with other settings.
    pub(super) fn finished(&self, piece: Piece) -> Result<Option<Done>> {
        let folder = piece.folder(&self.file, &self.out);
        let Some(done) = Done::read(&folder)? else { return Ok(None) };
        done.check(&folder, &self.folds[piece.fold].sha256, &self.settings(piece)?)?;
        Ok(Some(done))
    }

    /// SHA-256 of the settings that determine a piece. The fold's split and the images themselves are not part of it.
    pub(super) fn settings(&self, piece: Piece) -> Result<String> {
        let file = &self.file;
        let mut settings = Settings::of(&piece.label(file));
        let generator = match piece.kind {
            PieceKind::Generator(which) => {
                let config = &file.crossval.arms[which.arm];
                settings.add("pairs", &self.pairs_of(piece.fold, config).to_string());
                match &config.runs {
                    Some(runs) => {
                        settings.add("runs", runs);
                        if let Some(seed) = which.seed(file) {
                            settings.add("seed", &seed.to_string());
                        }
                    }
                    None => settings.add_differences("generator", &file.seeded_generator(which, &self.base)?),
                }
                None
            }
            PieceKind::Segmenter { variant, seed } => {
                settings.add_differences("segmenter", &variant.segmenter(file, seed));
                let which = variant.generator(file, seed);
                if let Some(which) = which.filter(|_| variant.is_curated()) {
                    settings.add_differences("curate", &file.crossval.curate);
                    let kind = PieceKind::Curation(which);
                    settings.add("chosen by", &self.settings(Piece { fold: piece.fold, kind })?);
                }
                which
            }
            PieceKind::Curation(which) => {
                for &seed in &file.crossval.segmenter_seeds {
                    settings.add_differences(&format!("segmenter {seed}"), &file.segmenter(seed));
                }
                Some(which)
            }
            PieceKind::Agreement { arm, seed } => {
                settings.add_differences("segmenter", &file.segmenter(seed));
                Some(ArmGenerator { arm, number: file.crossval.generator_of(seed) })
            }
        };
        if let Some(which) = generator {
            settings.add("made by", &self.settings(Piece { fold: piece.fold, kind: PieceKind::Generator(which) })?);
        }
        Ok(settings.sha256())
    }

    /// How many pairs the generator of an arm makes in a fold.
    pub(super) fn pairs_of(&self, fold: usize, arm: &ArmConfig) -> usize {
        self.file.pairs_of(arm, self.folds[fold].training.len())
    }
}

/// Writes a fold's split, or checks that the existing file holds the same split.
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
        problem: format!(
            "holds a split with SHA-256 {}, but these data and settings give {}",
            found.sha256, fold.sha256
        ),
        advice: "the patients, crossval.folds, crossval.patients, crossval.min_validation_patients, crossval.seed or data.validation_fraction have changed: choose another --out",
    })
}
