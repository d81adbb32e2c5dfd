//! The whole of `pig train`: from a data folder to a run directory with every network of the method.

use crate::{
    Config, Error, Result, added,
    checkpoint::Store,
    config::require,
    gradient::samples_at_once,
    imported::frozen::{self, FrozenModelY},
    init::{self, check_split, preconditioning},
    legs,
    logged::Logged,
    matching, memory,
    methods::{
        objective::{Context, Objective, ObjectiveTask},
        teachers::Teachers,
        with_objective,
    },
    metrics_log, model_card,
    observer::{Observer, Outcome, Quiet, note, warn, warn_of_precision},
    preview::Previews,
    ranks::Ranks,
    role::Role,
    run_data::{Found, RunData},
    run_dir::{Provenance, RunDir, UnlabelledImages, remember_data, remember_unlabelled},
    sets::Sets,
    strength,
    trainer::Trainer,
    unlabelled::{self, Folders},
    watch::can_judge,
};
use burn::tensor::Device;
use pig_data::{PreparedSet, Splits, unlabelled::HeldOut};
use pig_diffusion::schedule::Schedule;
use pig_nn::ops::is_cpu;
use std::path::Path;

/// Starts a new run on pairs. Returns whether it finished.
pub fn train(config: &Config, data: &Path, out: &Path, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    start(config, Folders::pairs(data), None, out, device, observer)
}

/// Starts a new run on pairs and images without masks.
pub fn train_with(
    config: &Config,
    folders: Folders<'_>,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    start(config, folders, None, out, device, observer)
}

/// Starts a new run with the split `splits`, such as that of a fold. The test set is not read.
pub fn train_on(
    config: &Config,
    data: &Path,
    splits: &Splits,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    start(config, Folders::pairs(data), Some(splits), out, device, observer)
}

fn start(
    config: &Config,
    folders: Folders<'_>,
    splits: Option<&Splits>,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let ranks = observer.ranks();
    check_ranks(ranks, config, device)?;
    if ranks.is_first() {
        RunDir::check_new(out)?;
    }
    let Ready { config, frozen_model_y, run_data, further } = ready(config, folders, splits, device, observer)?;
    let config = &config;
    let text = config.to_toml();
    let described = |set: &PreparedSet| Ok::<_, Error>(UnlabelledImages { images: set.len(), sha256: set.sha256()? });
    let provenance = Provenance {
        added: further.added.as_ref().map(PreparedSet::len),
        added_sha256: further.added.as_ref().map(PreparedSet::sha256).transpose()?,
        unlabelled: further.unlabelled.as_ref().map(described).transpose()?,
        ..run_data.provenance(&text, run_data.set.sha256()?, device)
    };
    agree(ranks, &provenance, &further)?;
    if !ranks.is_first() {
        // The first rank writes the run.
        ranks.wait()?;
        let run = RunDir::open(out)?;
        return train_networks(&run, config, (&run_data, &further), device, observer);
    }
    let run = RunDir::create(out, &text, &run_data.splits, &run_data.preparation, &provenance)?;
    let _lock = run.lock(observer)?;
    remember_data(&run, folders.data)?;
    if let Some(images) = folders.unlabelled {
        remember_unlabelled(&run, images)?;
    }
    if further.added.is_some() {
        added::remember(&run, folders.added)?;
    }
    if let Some(model) = frozen_model_y {
        model.install(run.path())?;
    }
    ranks.wait()?;
    train_networks(&run, config, (&run_data, &further), device, observer)
}

fn check_ranks(ranks: Ranks<'_>, config: &Config, device: &Device) -> Result<()> {
    let (train, is_on_host) = (&config.train, is_cpu(device));
    let at_once = samples_at_once(is_on_host, Some(train.micro_batch_size), train.batch_size);
    ranks.check(train.images_in_step(), at_once, is_on_host)?;
    ranks.agree("the kinds of devices", if is_on_host { "processors" } else { "GPUs" })
}

/// Refuses ranks that would not do the same: another program, configuration, split or data.
fn agree(ranks: Ranks<'_>, provenance: &Provenance, further: &Further) -> Result<()> {
    let sha256 = |set: &Option<PreparedSet>| set.as_ref().map(PreparedSet::sha256).transpose();
    let further = [sha256(&further.unlabelled)?, sha256(&further.added)?].map(Option::unwrap_or_default).concat();
    ranks.agree("the programs", &provenance.program)?;
    ranks.agree("the configurations", &provenance.config_sha256)?;
    ranks.agree("the splits", &provenance.splits_sha256)?;
    ranks.agree("the data", &(provenance.data_sha256.clone() + &further))
}

/// What a new training begins with.
#[derive(Debug)]
pub struct Ready {
    /// The configuration with what a frozen model_y and the data decide.
    pub config: Config,
    /// The frozen model_y, if there is one.
    pub frozen_model_y: Option<FrozenModelY>,
    /// The pairs.
    pub run_data: RunData,
    /// What is trained on beside them.
    pub further: Further,
}

/// What is trained on beside the pairs of the data folder.
#[derive(Debug, Default)]
pub struct Further {
    /// Images without masks, if there are any.
    pub unlabelled: Option<PreparedSet>,
    /// Pairs of further folders, if there are any.
    pub added: Option<PreparedSet>,
}

/// Checks the configuration and the machine before any pictures are read, adopts the settings of a frozen model_y, and prepares the pairs.
///
/// # Errors
/// When settings cannot be used, the machine has too little memory for them, or the data cannot be used.
pub fn ready(
    config: &Config,
    folders: Folders<'_>,
    splits: Option<&Splits>,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Ready> {
    let (mut config, frozen_model_y) = frozen::resolve(config)?;
    init::check_there(&config)?;
    let found = Found::new(folders.data, &config, splits, observer)?;
    memory::check(&config, found.pairs(), observer.cache().is_some(), device)?;
    let (dataset, splits) = found.dataset();
    let held_out = HeldOut::of(dataset, splits);
    let images = unlabelled::find(&config, folders, (dataset, splits), &held_out, observer)?;
    let added = added::find(folders.added, &config, dataset, &held_out, observer)?;
    let run_data = found.load(&config.data, observer)?;
    // The run stores what the data decided.
    config.data.channels = run_data.preparation.config.channels;
    config.data.classes.clone_from(&run_data.preparation.config.classes);
    config.data.classes_overlap = run_data.preparation.config.classes_overlap;
    let several = config.data.has_several_classes();
    let expected = "false: the masks do not tell several classes apart";
    require(several || !config.train.balance_classes, "train.balance_classes", true, expected)?;
    let known = several || config.sample.class_thresholds.is_empty();
    require(known, "sample.class_thresholds", "set", "nothing: the masks do not tell several classes apart")?;
    if several {
        // What fits one class need not fit several.
        config.check()?;
    }
    // Before the classes were known, a model that reads several channels could not be held against them.
    frozen_model_y.as_ref().map_or(Ok(()), |model| model.fits(&config))?;
    run_data.check_training()?;
    check_split(&config, &run_data.splits, observer)?;
    config.preconditioning = preconditioning(&config, observer)?;
    if config.preconditioning.is_to_be_measured() {
        let [training, _] = run_data.parts();
        config.preconditioning = strength::measured(&config, &training)?;
    }
    check_init(&config, device)?;
    let further = Further {
        unlabelled: unlabelled::load(images, &run_data, observer)?,
        added: added::load(&added, &run_data, observer)?,
    };
    Ok(Ready { config, frozen_model_y, run_data, further })
}

/// Refuses a `train.init` that cannot start one of the networks, so that this is known before the first one is trained.
fn check_init(config: &Config, device: &Device) -> Result<()> {
    if config.train.init.is_none() {
        return Ok(());
    }
    let (schedule, timesteps, teachers) = (Schedule::new(&config.schedule)?, config.timesteps()?, Teachers::default());
    let context = Context { config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers };
    config.trained_roles().try_for_each(|role| with_objective(role, context, CheckInit(device)))
}

/// Builds a network and holds `train.init` against it.
struct CheckInit<'a>(&'a Device);

impl ObjectiveTask for CheckInit<'_> {
    type Output = Result<()>;

    fn run<O: Objective>(self, objective: &O) -> Result<()> {
        init::check(&objective.build(self.0)?, objective.context().config, objective.role())
    }
}

/// What a run is continued with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resume<'a> {
    /// The folder of pairs; the one that the run was started with if it is `None`.
    pub data: Option<&'a Path>,
    /// The folder of images without masks; likewise.
    pub unlabelled: Option<&'a Path>,
    /// `train.steps` of a finished run that is to be trained longer.
    pub steps: Option<usize>,
}

/// Continues a run. Without `data`, the data folder is the one that the run was started with.
pub fn resume(run: &Path, data: Option<&Path>, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    resume_with(run, Resume { data, ..Resume::default() }, device, observer)
}

/// Continues a run, or trains a finished one longer.
pub fn resume_with(run: &Path, with: Resume<'_>, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    let run = RunDir::open(run)?;
    run.verify()?;
    let config = run.config()?;
    config.check()?;
    let first = config.roles()[0].name();
    if !Store::new(run.path(), first).exists()? {
        return Err(Error::NoCheckpoint {
            path: run.path().join("checkpoints").join(first),
            network: first,
            reason: None,
        });
    }
    continued(&run, with, device, observer)
}

/// Continues a run from its present state, even before its first checkpoint.
pub fn go_on(run: &RunDir, data: &Path, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    run.verify()?;
    continued(run, Resume { data: Some(data), ..Resume::default() }, device, observer)
}

fn continued(run: &RunDir, with: Resume<'_>, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    let ranks = observer.ranks();
    let _lock = if ranks.is_first() { Some(run.lock(observer)?) } else { None };
    let config = run.config()?;
    check_ranks(ranks, &config, device)?;
    let run_data = RunData::found(with.data, run, observer)?;
    run_data.check_unchanged(run)?;
    let further = Further {
        unlabelled: unlabelled::of_run(&config, run, (with.data, with.unlabelled), &run_data, observer)?,
        added: added::of_run(&config, run, &run_data, observer)?,
    };
    agree(ranks, &run.provenance()?, &further)?;
    let config = match with.steps {
        Some(steps) => {
            if ranks.is_first()
                && let Some(words) = legs::begin(run, steps)?
            {
                note(observer, words);
            }
            ranks.wait()?;
            run.config()?
        }
        None => config,
    };
    train_networks(run, &config, (&run_data, &further), device, observer)
}

/// Trains every network of the method that is not finished yet.
fn train_networks(
    run: &RunDir,
    config: &Config,
    (run_data, further): (&RunData, &Further),
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let ranks = observer.ranks();
    let (log, quiet);
    let observer: &dyn Observer = if ranks.is_first() {
        log = Logged::open(run.path(), observer)?;
        &log
    } else {
        quiet = Quiet(observer);
        &quiet
    };
    warn_of_precision(observer, "train.precision", config.train.precision, device);
    let [mut training, validation] = run_data.parts();
    if let Some(added) = &further.added {
        training.append(added);
    }
    let sets = Sets { training: &training, unlabelled: further.unlabelled.as_ref(), validation: &validation };
    if config.train.stop_on_copies.is_some() && !can_judge(sets) {
        let few = "there are too few pairs to judge copies by (more than 50 training and 20 validating ones): it ends no training";
        warn(observer, format!("train.stop_on_copies: {few}"));
    }
    let (schedule, timesteps) = (Schedule::new(&config.schedule)?, config.timesteps()?);
    let mut teachers = Teachers::default();
    if config.is_frozen(Role::ModelY) {
        teachers.autoencoder = FrozenModelY::of_run(run.path())?.codec(config, device)?;
    }
    for role in config.trained_roles() {
        let context = Context { config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers };
        let outcome = with_objective(role, context, Training { run, sets, device, observer })?;
        if ranks.is_first() {
            model_card::write(run, config)?;
        }
        if outcome == Outcome::Interrupted {
            note(observer, format!("stopped; continue with: pig train --resume {}", run.path().display()));
            return Ok(outcome);
        }
        teachers.load(run.path(), config, role, device)?;
    }
    if config.sample.match_contrast
        && ranks.is_first()
        && matching::find(run, (&run_data.set, &training), device, observer)? == Outcome::Interrupted
    {
        note(observer, format!("stopped; continue with: pig train --resume {}", run.path().display()));
        return Ok(Outcome::Interrupted);
    }
    let masks = if config.method.needs_masks() { "--training-masks " } else { "" };
    let run = run.path().display();
    note(observer, format!("finished; sample with: pig sample --run {run} {masks}--count 64 --out PAIRS"));
    Ok(Outcome::Finished)
}

/// The training of one network of a run, from its present state to its end.
struct Training<'a> {
    run: &'a RunDir,
    sets: Sets<'a>,
    device: &'a Device,
    observer: &'a dyn Observer,
}

impl ObjectiveTask for Training<'_> {
    type Output = Result<Outcome>;

    fn run<O: Objective>(self, objective: &O) -> Result<Outcome> {
        let Self { run: run_dir, sets, device, observer } = self;
        let (config, role, run) = (objective.context().config, objective.role(), run_dir.path());
        let resume = Store::new(run, role.name()).exists()?;
        let starts = legs::starts(run_dir, role.name())?;
        let trainer = Trainer::new(objective, sets, device, run, observer, (resume, &starts))?;
        let previews = Previews::new(config, sets, run, device, observer);
        let outcome = trainer.run(&mut |step, shown| {
            let Some(averaged) = objective.networks(shown.averaged) else { return Ok(None) };
            // The picture is written before the line in metrics.jsonl.
            if previews.are_there(role, step) && (config.train.watch_samples == 0 || is_watched(run, role, step)?) {
                return Ok(None);
            }
            let others =
                [("before this training", shown.before), ("with the weights of the last step alone", shown.raw)];
            let others: Vec<_> = others
                .into_iter()
                .filter_map(|(words, network)| Some((words, objective.networks(network?)?)))
                .collect();
            previews.write(role, step, averaged.as_ref(), &others)
        })?;
        if outcome == Outcome::Finished
            && observer.ranks().is_first()
            && let Some(text) = objective.finish(run, sets, device)?
        {
            note(observer, text);
        }
        // The next network learns from what the first rank has written.
        observer.ranks().wait()?;
        Ok(outcome)
    }
}

/// Whether metrics.jsonl says what the preview of this step showed.
fn is_watched(run: &Path, role: Role, step: usize) -> Result<bool> {
    let lines = metrics_log::read(run)?;
    Ok(lines.iter().any(|line| line.network == role.name() && line.step == step && line.watched.is_some()))
}
