//! The pairs of a run: finding, splitting and preparing them.

use crate::{
    Config, Error, Result,
    observer::{Event, Observer, note, warn},
    run_dir::{DATA_PATH, Provenance, RunDir, config_sha256, now, program, remembered_data},
};
use burn::tensor::Device;
use pig_data::{
    DataConfig, Dataset, PairEntry, Part, Preparation, PreparedSet, Splits, class_source,
    colour::{self, Colours},
    loading::{Listener, Said},
    part::{Parts, SPLIT_COLUMN},
    split_by_group,
};
use std::path::Path;

/// Pairs prepared for a run.
#[derive(Debug)]
pub struct RunData {
    /// The pairs that were found in the folder.
    pub dataset: Dataset,
    /// Which pairs train and which validate.
    pub splits: Splits,
    /// How files become numbers.
    pub preparation: Preparation,
    /// All pairs as numbers.
    pub set: PreparedSet,
}

/// The pairs of a data folder with their split, before any picture is read.
#[derive(Debug)]
pub struct Found {
    dataset: Dataset,
    splits: Splits,
}

impl Found {
    /// Finds the pairs for a new run and splits them by group, or as `splits` says; then nothing is said about a split by the
    /// folder's table.
    pub fn new(data: &Path, config: &Config, splits: Option<&Splits>, observer: &dyn Observer) -> Result<Self> {
        if let Some(splits) = splits {
            return Ok(Self { dataset: discover_unsplit(data, &config.data, observer)?, splits: splits.clone() });
        }
        let split = |dataset: &Dataset| split_by_group(dataset, config.data.validation_fraction, config.train.seed);
        Self::split(data, &config.data, split, observer)
    }

    fn split(
        data: &Path,
        config: &DataConfig,
        split: impl FnOnce(&Dataset) -> pig_data::Result<Splits>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let dataset = discover(data, config, observer)?;
        let splits = split(&dataset)?;
        if let Some(parts) = &dataset.parts {
            note(observer, given_words(parts, &splits));
        }
        Ok(Self { dataset, splits })
    }

    /// All pairs of the folder, and their split.
    pub fn dataset(&self) -> (&Dataset, &Splits) {
        (&self.dataset, &self.splits)
    }

    /// How many pairs are read for a training: those that train and those that validate.
    pub fn pairs(&self) -> usize {
        self.splits.training.len() + self.splits.validation.len()
    }

    /// Measures intensities on the training groups alone, and prepares the pairs.
    pub fn load(self, config: &DataConfig, observer: &dyn Observer) -> Result<RunData> {
        let Self { dataset, splits } = self;
        splits.check(&dataset)?;
        let config = with_channels(&dataset, config, observer)?;
        let preparation = Preparation::fit(&dataset, &splits.training, &config)?;
        RunData::load(dataset, splits, preparation, observer)
    }
}

impl RunData {
    /// Reads a data folder for a new run: finds the pairs, splits by group, measures intensities on the training
    /// groups alone, and loads.
    pub fn new(data: &Path, config: &Config, observer: &dyn Observer) -> Result<Self> {
        Found::new(data, config, None, observer)?.load(&config.data, observer)
    }

    /// Like [`new`](Self::new), with another way to split. Pairs of the test set and pairs that are left out are not loaded.
    pub fn split(
        data: &Path,
        config: &DataConfig,
        split: impl FnOnce(&Dataset) -> pig_data::Result<Splits>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        Found::split(data, config, split, observer)?.load(config, observer)
    }

    /// Like [`new`](Self::new), with a split that was made before; nothing is said about a split by this folder's table.
    pub fn with_splits(data: &Path, config: &DataConfig, splits: Splits, observer: &dyn Observer) -> Result<Self> {
        Found { dataset: discover_unsplit(data, config, observer)?, splits }.load(config, observer)
    }

    /// Reads a data folder as an existing run did.
    pub fn of_run(data: &Path, run: &RunDir, observer: &dyn Observer) -> Result<Self> {
        let preparation = run.preparation()?;
        let dataset = discover_unsplit(data, &preparation.config, observer)?;
        let splits = run.splits()?;
        splits.check(&dataset)?;
        Self::load(dataset, splits, preparation, observer)
    }

    /// The same from `data`, or else from where the run had its data when it began.
    pub fn found(data: Option<&Path>, run: &RunDir, observer: &dyn Observer) -> Result<Self> {
        if let Some(data) = data {
            return Self::of_run(data, run, observer);
        }
        let folder = remembered_data(run)?;
        Self::of_run(&folder, run, observer).map_err(|source| Error::RememberedData {
            path: run.path().join(DATA_PATH),
            folder,
            source: Box::new(source),
        })
    }

    /// The test pairs of an existing run, read from `data`, or else from where the run had its data when it began.
    pub fn found_test(data: Option<&Path>, run: &RunDir, observer: &dyn Observer) -> Result<PreparedSet> {
        let folder = data.map_or_else(|| remembered_data(run), |data| Ok(data.to_owned()))?;
        let own = Self::found(Some(&folder), run, observer)?;
        own.check_unchanged(run)?;
        own.test(&discover_unsplit(&folder, &own.preparation.config, observer)?, observer)
    }

    fn load(mut dataset: Dataset, splits: Splits, preparation: Preparation, observer: &dyn Observer) -> Result<Self> {
        let set = prepared(&dataset, &|pair| !splits.hides(&pair.id), &preparation, observer)?;
        dataset.pairs.retain(|pair| !splits.hides(&pair.id));
        Ok(Self { dataset, splits, preparation, set })
    }

    /// Warnings about the data, as they were found and as they were prepared.
    pub fn warnings(&self) -> Vec<String> {
        let Self { dataset, set, .. } = self;
        let split = dataset.split_warning();
        dataset.remarks().map(str::to_owned).chain(split).chain(set.warnings.iter().cloned()).collect()
    }

    /// Refuses a split without training pairs, and a class of which no training pair has a pixel.
    pub fn check_training(&self) -> Result<()> {
        if !self.splits.training.is_empty() {
            return self.check_classes();
        }
        Err(Error::TooLittle {
            found: "no pair is left to train on".to_owned(),
            expected: "at least one training group; lower data.validation_fraction",
        })
    }

    fn check_classes(&self) -> Result<()> {
        let classes = &self.preparation.config.classes;
        if classes.len() < 2 {
            return Ok(());
        }
        let [training, _] = self.parts();
        let lacking = training.pairs_by_class().iter().position(|&pairs| pairs == 0);
        let Some(name) = lacking.and_then(|class| classes.get(class)).map(|class| &class.name) else { return Ok(()) };
        Err(Error::TooLittle {
            found: format!(
                "{}: none of the {} training pairs has a pixel of the class {name:?}, as prepared",
                self.dataset.root.display(),
                training.len()
            ),
            expected: "training pairs of each class; add some, raise data.size if it is too small to be seen, or name in [[data.classes]] \
                       those that are there",
        })
    }

    /// The provenance of a new run on these data with the configuration `config` (as TOML).
    pub fn provenance(&self, config: &str, data_sha256: String, device: &Device) -> Provenance {
        Provenance {
            program: program(),
            started: now(),
            config_sha256: config_sha256(config),
            data_sha256,
            splits_sha256: self.splits.sha256.clone(),
            layout: self.dataset.layout.to_string(),
            split_by: match &self.dataset.parts {
                Some(_) => self.dataset.split_words(),
                None => self.splits.by.to_string(),
            },
            pairs: [self.splits.training.len(), self.splits.validation.len()],
            groups: [self.splits.training_groups, self.splits.validation_groups],
            device: format!("{device:?}"),
            threads: rayon::current_num_threads(),
            added: None,
            added_sha256: None,
            unlabelled: None,
            legs: Vec::new(),
            preparation_sha256: None,
            splits_file_sha256: None,
        }
    }

    /// Refuses data that differ from those that `run` was started with.
    pub fn check_unchanged(&self, run: &RunDir) -> Result<()> {
        let (found, expected) = (self.set.sha256()?, run.provenance()?.data_sha256);
        if found == expected {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the prepared data's SHA-256 in provenance.json",
            found,
            expected,
            advice: "images or masks have changed since the run was started; start a new run with another --out",
        })
    }

    /// The test pairs of `dataset` (the whole data folder), prepared in the same way.
    pub fn test(&self, dataset: &Dataset, observer: &dyn Observer) -> Result<PreparedSet> {
        let is_tested = |pair: &PairEntry| self.splits.test.binary_search(&pair.id).is_ok();
        prepared(dataset, &is_tested, &self.preparation, observer)
    }

    /// The training pairs and the validation pairs.
    pub fn parts(&self) -> [PreparedSet; 2] {
        [&self.splits.training, &self.splits.validation].map(|ids| self.set.subset(&self.set.indices_of(ids)))
    }
}

/// The `wanted` pairs of `dataset`, which has all pairs of its folder, as numbers; with progress and warnings.
pub fn prepared(
    dataset: &Dataset,
    wanted: &dyn Fn(&PairEntry) -> bool,
    preparation: &Preparation,
    observer: &dyn Observer,
) -> Result<PreparedSet> {
    let cache = observer.cache();
    let told = Told { observer, warned: cache.map_or(observer, |cache| cache.warned) };
    let set = preparation.load_from(dataset, wanted, cache.map(|cache| cache.folder), &told)?;
    for warning in &set.warnings {
        warn(observer, warning.clone());
    }
    Ok(set)
}

/// Passes on what loading tells; its warnings are about the cache.
struct Told<'a> {
    observer: &'a dyn Observer,
    warned: &'a dyn Observer,
}

impl Listener for Told<'_> {
    fn hear(&self, said: Said) {
        self.observer.event(match said {
            Said::Warning(text) => return warn(self.warned, text),
            Said::Note(text) => Event::Note(text),
            Said::Begin(total) => Event::Begin { stage: "prepare".to_owned(), total, done: 0 },
            Said::Done(done) => Event::Progress { done, message: String::new() },
            Said::End => Event::End,
        });
    }

    fn stop_requested(&self) -> bool {
        self.observer.stop_requested()
    }
}

/// The configuration with the number of channels that the data decide where it says `auto`, and with the classes that they name if it
/// says nothing about masks; `observer` is told which and why.
pub fn with_channels(dataset: &Dataset, config: &DataConfig, observer: &dyn Observer) -> Result<DataConfig> {
    let (config, decided) = colour::resolve(dataset, config)?;
    if let Some(Colours { coloured, total }) = decided {
        let channels = config.channels;
        note(observer, format!("data.channels = \"auto\" is {channels}: {coloured} of {total} images are in colour"));
    }
    let (config, found) = class_source::resolve(dataset, &config)?;
    if let Some(sentence) = found {
        note(observer, sentence);
    }
    if let Some(text) = class_source::differing(dataset, &config)? {
        warn(observer, text);
    }
    Ok(config)
}

/// Warns of pictures that do not fit the channels of the run that reads them.
pub fn warn_of_colours<'a>(
    files: impl Iterator<Item = &'a Path>,
    channels: usize,
    observer: &dyn Observer,
) -> Result<()> {
    let Colours { coloured, total } = Colours::of(files)?;
    let gray = total - coloured;
    if channels == 1 && coloured > 0 {
        warn(
            observer,
            format!(
                "{coloured} of {total} pictures are in colour, but this run has data.channels = 1: they are reduced to gray by Rec. 601 luma"
            ),
        );
    } else if channels == 3 && gray > 0 {
        warn(
            observer,
            format!(
                "{gray} of {total} pictures are gray, but this run has data.channels = 3: they are copied to three channels"
            ),
        );
    }
    Ok(())
}

/// The pairs of a data folder. `observer` receives a summary and the warnings.
pub fn discover(data: &Path, config: &DataConfig, observer: &dyn Observer) -> Result<Dataset> {
    let dataset = Dataset::discover(data, config)?;
    tell(&dataset, &format!("; the split is {}", dataset.split_words()), observer);
    dataset.split_warning().into_iter().for_each(|warning| warn(observer, warning));
    Ok(dataset)
}

/// The pairs of a data folder for splits by group that do not use its column `split`, such as folds; that is said.
pub fn discover_folds(data: &Path, config: &DataConfig, observer: &dyn Observer) -> Result<Dataset> {
    let mut dataset = Dataset::discover(data, config)?;
    if dataset.parts.take().is_some() {
        warn(observer, format!("the column {SPLIT_COLUMN:?} is not used: the folds are made by group"));
    }
    tell(&dataset, &format!("; the folds are {}", dataset.group_source), observer);
    dataset.split_warning().into_iter().for_each(|warning| warn(observer, warning));
    Ok(dataset)
}

/// The pairs of a data folder that are split by a given list, or not at all: nothing is said about a split by its table.
pub fn discover_unsplit(data: &Path, config: &DataConfig, observer: &dyn Observer) -> Result<Dataset> {
    let dataset = Dataset { parts: None, ..Dataset::discover(data, config)? };
    tell(&dataset, "", observer);
    Ok(dataset)
}

/// How a split that the manifest gives was taken over.
fn given_words(parts: &Parts, splits: &Splits) -> String {
    let count = |part| splits.part(part).len();
    let held_out = if parts.values().any(|&part| part == Part::Validation) || count(Part::Validation) == 0 {
        ""
    } else {
        "; it names no validation part, so data.validation_fraction was held out of training"
    };
    format!(
        "the column {SPLIT_COLUMN:?} gives {} pairs for training, {} for validation and {} for the test{held_out}",
        count(Part::Training),
        count(Part::Validation),
        count(Part::Test)
    )
}

fn tell(dataset: &Dataset, split: &str, observer: &dyn Observer) {
    note(
        observer,
        format!(
            "{}: {} pairs in {} groups; layout: {}{split}",
            dataset.root.display(),
            dataset.len(),
            dataset.group_count(),
            dataset.layout,
        ),
    );
    for warning in dataset.remarks() {
        warn(observer, warning.to_owned());
    }
}
