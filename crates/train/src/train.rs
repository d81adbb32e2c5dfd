//! The whole of `pig train`: from a data folder to a run directory with every network of the method.

use crate::{
    Config, Error, Result,
    checkpoint::{State, Store},
    imported::frozen::{self, FrozenModelY},
    methods::{Context, Frozen, Objective, ObjectiveTask, build_unet, ldm, role_name, with_objective},
    model_card,
    observer::{Event, Observer, note, warn, warn_of_precision},
    preview::Previews,
    run_dir::{Provenance, RunDir, config_sha256, now, program},
    trainer::{Outcome, Sets, Trainer},
};
use burn::{module::Module, tensor::Device};
use pig_data::{DataConfig, Dataset, Preparation, PreparedSet, Splits, split_by_group};
use pig_diffusion::schedule::Schedule;
use pig_nn::{network::Role, parameters, unet::UNet};
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Where this machine keeps a run's data; not part of what a run says about itself.
pub(crate) const DATA_PATH: &str = "data-path.txt";

/// Pairs prepared for a run.
#[derive(Debug)]
pub struct RunData {
    /// The folder as found.
    pub dataset: Dataset,
    /// Who trains and who validates.
    pub splits: Splits,
    /// How files become numbers.
    pub preparation: Preparation,
    /// All pairs as numbers.
    pub set: PreparedSet,
}

impl RunData {
    /// Reads a data folder for a new run: finds the pairs, splits by group, measures intensities on the training
    /// groups alone, and loads.
    pub fn new(data: &Path, config: &Config, observer: &dyn Observer) -> Result<Self> {
        let split = |dataset: &Dataset| split_by_group(dataset, config.data.validation_fraction, config.train.seed);
        Self::split(data, &config.data, split, observer)
    }

    /// The same with another way to split. Pairs that test or are left out are not loaded.
    pub fn split(
        data: &Path,
        config: &DataConfig,
        split: impl FnOnce(&Dataset) -> pig_data::Result<Splits>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let dataset = discover(data, config, observer)?;
        let splits = split(&dataset)?;
        splits.check(&dataset)?;
        let preparation = Preparation::fit(&dataset, &splits.training, config)?;
        Self::load(dataset, splits, preparation, observer)
    }

    /// Reads a data folder as an existing run did.
    pub fn of_run(data: &Path, run: &RunDir, observer: &dyn Observer) -> Result<Self> {
        let preparation = run.preparation()?;
        let dataset = discover(data, &preparation.config, observer)?;
        let splits = run.splits()?;
        splits.check(&dataset)?;
        Self::load(dataset, splits, preparation, observer)
    }

    fn load(mut dataset: Dataset, splits: Splits, preparation: Preparation, observer: &dyn Observer) -> Result<Self> {
        dataset.pairs.retain(|pair| !splits.hides(&pair.id));
        let set = prepared(&dataset, &preparation, observer)?;
        Ok(Self { dataset, splits, preparation, set })
    }

    /// Refuses a split without training pairs.
    pub(crate) fn check_training(&self) -> Result<()> {
        if !self.splits.training.is_empty() {
            return Ok(());
        }
        Err(Error::TooLittle {
            found: "no pair is left to train on".to_owned(),
            expected: "at least one group that trains; lower data.validation_fraction",
        })
    }

    /// Where a new run of the configuration `config` (as TOML) on these data comes from.
    pub(crate) fn provenance(&self, config: &str, data_sha256: String, device: &Device) -> Provenance {
        Provenance {
            program: program(),
            started: now(),
            config_sha256: config_sha256(config),
            data_sha256,
            splits_sha256: self.splits.sha256.clone(),
            layout: self.dataset.layout.to_string(),
            split_by: self.splits.by.to_string(),
            pairs: [self.splits.training.len(), self.splits.validation.len()],
            groups: [self.splits.training_groups, self.splits.validation_groups],
            device: format!("{device:?}"),
            threads: rayon::current_num_threads(),
            added: None,
        }
    }

    /// Refuses data that are not those that `run` began with.
    pub fn check_unchanged(&self, run: &RunDir) -> Result<()> {
        let (found, expected) = (self.set.sha256(), run.provenance()?.data_sha256);
        if found == expected {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the prepared data's SHA-256",
            found: expected,
            expected: found,
            advice: "images or masks have changed since the run began; start a new run with another --out",
        })
    }

    /// The pairs of `dataset`, the whole of the data folder, whose patients test, prepared alike.
    pub(crate) fn test(&self, dataset: &Dataset, observer: &dyn Observer) -> Result<PreparedSet> {
        let mut dataset = dataset.clone();
        dataset.pairs.retain(|pair| self.splits.test.binary_search(&pair.id).is_ok());
        prepared(&dataset, &self.preparation, observer)
    }

    /// The pairs that train, and those that validate.
    pub fn parts(&self) -> [PreparedSet; 2] {
        [&self.splits.training, &self.splits.validation].map(|ids| self.set.subset(&self.set.indices_of(ids)))
    }
}

/// All pairs of `dataset` as numbers, with progress and warnings.
pub(crate) fn prepared(dataset: &Dataset, preparation: &Preparation, observer: &dyn Observer) -> Result<PreparedSet> {
    observer.event(Event::Begin { stage: "prepare".to_owned(), total: dataset.len(), done: 0 });
    let set = preparation.load(dataset, &|done, _| {
        observer.event(Event::Progress { done, message: String::new() });
    })?;
    observer.event(Event::End);
    for warning in &set.warnings {
        warn(observer, warning.clone());
    }
    Ok(set)
}

/// The pairs of a data folder, with what the user should know of them.
pub(crate) fn discover(data: &Path, config: &DataConfig, observer: &dyn Observer) -> Result<Dataset> {
    let dataset = Dataset::discover(data, config)?;
    note(
        observer,
        format!(
            "{}: {} pairs in {} groups; layout: {}; the split goes {}",
            data.display(),
            dataset.len(),
            dataset.group_count(),
            dataset.layout,
            dataset.group_source
        ),
    );
    for warning in &dataset.warnings {
        warn(observer, warning.clone());
    }
    Ok(dataset)
}

/// Starts a new run. Returns whether it ran to its end.
pub fn train(config: &Config, data: &Path, out: &Path, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    start(config, data, None, out, device, observer)
}

/// Starts a new run on a split that is given, such as that of a fold, whose test set is not read.
pub fn train_on(
    config: &Config,
    data: &Path,
    splits: &Splits,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    start(config, data, Some(splits), out, device, observer)
}

fn start(
    config: &Config,
    data: &Path,
    splits: Option<&Splits>,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    RunDir::check_free(out)?;
    let (config, frozen_model_y) = frozen::resolve(config)?;
    let config = &config;
    let run_data = match splits {
        Some(splits) => RunData::split(data, &config.data, |_| Ok(splits.clone()), observer)?,
        None => RunData::new(data, config, observer)?,
    };
    run_data.check_training()?;
    let text = config.to_toml();
    let provenance = run_data.provenance(&text, run_data.set.sha256(), device);
    let run = RunDir::create(out, &text, &run_data.splits, &run_data.preparation, &provenance)?;
    remember_data(&run, data)?;
    if let Some(model) = frozen_model_y {
        model.install(run.path())?;
    }
    train_networks(&run, config, &run_data, device, observer)
}

/// Continues a run. Without `data` the folder is where it was when the run started.
pub fn resume(run: &Path, data: Option<&Path>, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    let run = RunDir::open(run)?;
    let config = run.config()?;
    config.check()?;
    let first = role_name(config.roles()[0]);
    if !Store::new(run.path(), first).exists() {
        return Err(Error::NoCheckpoint {
            path: run.path().join("checkpoints").join(first),
            network: first,
            reason: None,
        });
    }
    let data = match data {
        Some(data) => data.to_owned(),
        None => {
            remembered_data(&run).ok_or_else(|| Error::NotARun { path: run.path().to_owned(), missing: DATA_PATH })?
        }
    };
    go_on(&run, &data, device, observer)
}

/// Continues a run from wherever it stands, be it before its first checkpoint.
pub(crate) fn go_on(run: &RunDir, data: &Path, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    let config = run.config()?;
    let run_data = RunData::of_run(data, run, observer)?;
    run_data.check_unchanged(run)?;
    train_networks(run, &config, &run_data, device, observer)
}

pub(crate) fn remember_data(run: &RunDir, data: &Path) -> Result<()> {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    Ok(pig_data::atomic::write(&run.path().join(DATA_PATH), absolute.to_string_lossy().as_bytes())?)
}

/// The data folder of a run on this machine, where it is known and still there.
pub fn remembered_data(run: &RunDir) -> Option<PathBuf> {
    let path = std::fs::read_to_string(run.path().join(DATA_PATH)).ok()?;
    Some(PathBuf::from(path)).filter(|path| path.is_dir())
}

/// Trains every network of the method that is not finished yet.
fn train_networks(
    run: &RunDir,
    config: &Config,
    run_data: &RunData,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let log = Logged::open(run.path(), observer)?;
    let observer: &dyn Observer = &log;
    warn_of_precision(observer, "train.precision", config.train.precision, device);
    let [training, validation] = run_data.parts();
    let sets = Sets { training: &training, validation: &validation };
    let (schedule, timesteps) = (Schedule::new(&config.schedule)?, config.timesteps()?);
    let mut frozen = Frozen::default();
    if config.is_frozen(Role::ModelY) {
        frozen.autoencoder = FrozenModelY::of_run(run.path())?.codec(config, device)?;
    }
    for role in config.trained_roles() {
        let context = Context { config, schedule: &schedule, timesteps: &timesteps, frozen: &frozen };
        let outcome = with_objective(role, context, Training { run: run.path(), sets, device, observer })?;
        model_card::write(run, config)?;
        if outcome == Outcome::Interrupted {
            note(observer, format!("stopped; continue with: pig train --resume {}", run.path().display()));
            return Ok(outcome);
        }
        if role == Role::Autoencoder {
            note(observer, ldm::measure(run.path(), config, sets, device)?.sentence());
            model_card::write(run, config)?;
        }
        frozen.load(run.path(), config, role, device)?;
    }
    let masks = if config.method.needs_masks() { "--training-masks " } else { "" };
    let run = run.path().display();
    note(observer, format!("finished; sample with: pig sample --run {run} {masks}--count 64 --out PAIRS"));
    Ok(Outcome::Finished)
}

/// The training of one network of a run, from where it stands to its end.
struct Training<'a> {
    run: &'a Path,
    sets: Sets<'a>,
    device: &'a Device,
    observer: &'a dyn Observer,
}

impl ObjectiveTask for Training<'_> {
    type Output = Result<Outcome>;

    fn run<O: Objective>(self, objective: &O) -> Result<Outcome> {
        let Self { run, sets, device, observer } = self;
        let (config, role) = (objective.context().config, objective.role());
        let resume = Store::new(run, role_name(role)).exists();
        let trainer = Trainer::new(objective, sets, device, run, observer, resume)?;
        let previews = Previews::new(config, sets.validation, run, device);
        trainer.run(&mut |step, averaged| match objective.models(averaged) {
            Some(models) => previews.write(role, step, &models),
            None => Ok(()),
        })
    }
}

/// A U-Net of a run with its averaged weights, in evaluation mode.
pub fn load_unet(run: &Path, config: &Config, role: Role, device: &Device) -> Result<(UNet, State)> {
    load_network(run, role, build_unet(config, role, device)?)
}

/// The averaged weights of `role` in a run, put into `network`, in evaluation mode.
pub(crate) fn load_network<M: Module>(run: &Path, role: Role, network: M) -> Result<(M, State)> {
    let (state, ema, path) = Store::new(run, role_name(role)).load_ema()?;
    let network = parameters::import(network, &ema).map_err(|source| Error::Architecture { path, source })?;
    Ok((network.valid(), state))
}

/// Passes events on, and appends notes and warnings to the run's log.txt.
pub(crate) struct Logged<'a> {
    inner: &'a dyn Observer,
    file: Mutex<std::fs::File>,
}

impl<'a> Logged<'a> {
    pub(crate) fn open(run: &Path, inner: &'a dyn Observer) -> Result<Self> {
        let path = run.join("log.txt");
        let file = std::fs::File::options().create(true).append(true).open(&path).map_err(Error::io(&path, "write"))?;
        Ok(Self { inner, file: Mutex::new(file) })
    }
}

impl Observer for Logged<'_> {
    fn event(&self, event: Event) {
        let line = match &event {
            Event::Note(text) => Some(text.clone()),
            Event::Warning(text) => Some(format!("warning: {text}")),
            Event::Begin { stage, total, done } => Some(format!("{stage}: from step {done} to {total}")),
            Event::Progress { .. } | Event::End => None,
        };
        if let (Some(line), Ok(mut file)) = (line, self.file.lock()) {
            // The log is a convenience: a full disk must not end a training that can still be checkpointed elsewhere.
            let _ = writeln!(file, "{} {line}", now());
        }
        self.inner.event(event);
    }

    fn stop_requested(&self) -> bool {
        self.inner.stop_requested()
    }
}
