//! All of `pig segment train`: from a data folder and generated pairs to a run directory with a segmenter.

use crate::{
    SEGMENTER,
    config::SegmentFile,
    origin,
    pairs::{self, Mixture, SegmentData},
    trainer::SegmentTrainer,
};
use burn::tensor::Device;
use pig_data::{Dataset, Part, Splits, split_by_group, unlabelled::HeldOut};
use pig_report::{Chart, Scale, Series, write_curves};
use pig_train::{
    Error, Result, added,
    checkpoint::Store,
    logged::Logged,
    metrics_log::{self, Line},
    observer::{Observer, Outcome, Silent, note, warn, warn_of_precision},
    run_data::RunData,
    run_dir::{CONFIG, Provenance, RunDir, remember_data},
};
use std::path::{Path, PathBuf};

/// The arguments of [`train`].
#[derive(Clone, Debug)]
pub struct SegmentRequest {
    /// The folder of real pairs.
    pub data: PathBuf,
    /// Folders of generated or other pairs, which are added to the real training pairs. Pictures of validating or testing patients are refused.
    pub added: Vec<PathBuf>,
    /// The split of the generator's run, so that the segmenter validates on patients that the generator did not see. Without it a new
    /// split is made.
    pub splits: Option<PathBuf>,
    /// The run directory to create.
    pub out: PathBuf,
}

/// Trains a new segmenter. Returns whether the training finished.
pub fn train(
    file: &SegmentFile,
    request: &SegmentRequest,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    RunDir::check_new(&request.out)?;
    let real = real(file, request, observer)?;
    // The run stores what the data decided.
    let mut file = file.clone();
    file.data.channels = real.preparation.config.channels;
    file.data.classes.clone_from(&real.preparation.config.classes);
    file.data.classes_overlap = real.preparation.config.classes_overlap;
    let file = &file;
    tell_origin(request, &real, device, observer)?;
    let data = with_added(&real, &found_added(request, &real, observer)?, observer)?;
    check_added(&data, file)?;
    let run = begin(file, &data, &request.out, device)?;
    let _lock = run.lock(observer)?;
    remember_data(&run, &request.data)?;
    added::remember(&run, &request.added)?;
    let outcome = fit(file, &data, &run, device, observer)?;
    ended(&run, outcome, observer);
    Ok(outcome)
}

/// What a training would do, without starting it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentPlan {
    /// The numbers of training pairs.
    pub mixture: Mixture,
    /// How many of the generated pairs the training draws at least once.
    pub drawn: usize,
    /// The number of validation pairs.
    pub validation: usize,
    /// The numbers of training groups and of validation groups of real pairs.
    pub groups: [usize; 2],
    /// The number of optimiser steps.
    pub steps: usize,
    /// The number of seconds of one step, measured on this machine.
    pub seconds_a_step: f64,
}

/// Checks everything that [`train`] would check, reads the data, and measures a few steps. Writes nothing.
pub fn plan(
    file: &SegmentFile,
    request: &SegmentRequest,
    device: &Device,
    observer: &dyn Observer,
) -> Result<SegmentPlan> {
    let real = real(file, request, observer)?;
    real.check_training()?;
    let mut file = file.clone();
    file.data.channels = real.preparation.config.channels;
    file.data.classes.clone_from(&real.preparation.config.classes);
    file.data.classes_overlap = real.preparation.config.classes_overlap;
    let file = &file;
    tell_origin(request, &real, device, observer)?;
    let data = with_added(&real, &found_added(request, &real, observer)?, observer)?;
    check_added(&data, file)?;
    let (mixture, train) = (data.mixture(), &file.segment.train);
    let steps = mixture.steps(train);
    Ok(SegmentPlan {
        mixture,
        drawn: mixture.drawn(train, steps),
        validation: real.splits.validation.len(),
        groups: [real.splits.training_groups, real.splits.validation_groups],
        steps,
        seconds_a_step: seconds_a_step(file, &data, &request.out, device)?,
    })
}

/// The real pairs of a new training, after checking the request.
fn real(file: &SegmentFile, request: &SegmentRequest, observer: &dyn Observer) -> Result<RunData> {
    file.check()?;
    RunDir::check_free(&request.out)?;
    let Some(path) = &request.splits else {
        if !request.added.is_empty() {
            let text = "the patients on which the generator was trained are not known; give the splits.json of its run with \
                        --splits, or the validation results may be too good";
            warn(observer, text);
        }
        let split = |dataset: &Dataset| split_by_group(dataset, file.data.validation_fraction, file.segment.train.seed);
        return RunData::split(&request.data, &file.data, split, observer);
    };
    let splits = Splits::load(path)?;
    let count = |part: Part| splits.part(part).len();
    note(
        observer,
        format!(
            "the split is that of {}: {} pairs for training, {} for validation, {} for the test",
            path.display(),
            count(Part::Training),
            count(Part::Validation),
            count(Part::Test)
        ),
    );
    RunData::with_splits(&request.data, &file.data, splits, observer)
}

/// Says whether the generator of the given split made the added pairs. Without a split, [`real`] has said that nothing is known.
fn tell_origin(request: &SegmentRequest, real: &RunData, device: &Device, observer: &dyn Observer) -> Result<()> {
    let Some(path) = &request.splits else { return Ok(()) };
    origin::tell(&request.added, (path, &real.splits), device, observer)
}

/// Refuses generated pairs that the training would never draw.
fn check_added(data: &SegmentData<'_>, file: &SegmentFile) -> Result<()> {
    data.mixture().check_drawn(&file.segment.train, "--add")
}

/// Continues the training of a segmenter with the folders with which it was started. `data` gives a new path of the real pairs, if
/// they were moved.
pub fn resume(run: &Path, data: Option<&Path>, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    let run = RunDir::open(run)?;
    run.verify()?;
    let file = SegmentFile::of_run(&run)?;
    let added = added::remembered(&run)?;
    if !Store::new(run.path(), SEGMENTER).exists()? {
        let path = run.path().join("checkpoints").join(SEGMENTER);
        return Err(Error::NoCheckpoint { path, network: SEGMENTER, reason: None });
    }
    let _lock = run.lock(observer)?;
    let real = RunData::found(data, &run, observer)?;
    // Patients were checked when the run began.
    let data = with_added(&real, &discovered(&added, &real, observer)?, observer)?;
    let outcome = fit(&file, &data, &begin(&file, &data, run.path(), device)?, device, observer)?;
    ended(&run, outcome, observer);
    Ok(outcome)
}

/// Finds the pairs of further folders of a new training, and refuses pictures of validating or testing patients among them.
fn found_added(request: &SegmentRequest, real: &RunData, observer: &dyn Observer) -> Result<Vec<Dataset>> {
    let found = discovered(&request.added, real, observer)?;
    if found.is_empty() {
        return Ok(found);
    }
    // The pairs of `real` lack those of testing patients.
    let all = Dataset::discover(&request.data, &real.preparation.config)?;
    let held_out = HeldOut::of(&all, &real.splits);
    for dataset in &found {
        if added::are_generated(dataset) {
            // They show no patients. What is known of their generator was said before.
            held_out.check(dataset)?;
        } else {
            added::check(dataset, &held_out, observer)?;
        }
    }
    Ok(found)
}

/// The pairs of further folders.
fn discovered(folders: &[PathBuf], real: &RunData, observer: &dyn Observer) -> Result<Vec<Dataset>> {
    folders.iter().map(|folder| pairs::found(folder, real, observer)).collect()
}

fn with_added<'a>(real: &'a RunData, found: &[Dataset], observer: &dyn Observer) -> Result<SegmentData<'a>> {
    let (mut added, mut generated) = (pairs::none(&real.set), 0);
    for (index, dataset) in found.iter().enumerate() {
        let set = pairs::all_of(dataset, &format!("added-{index}"), real, observer)?;
        generated += if added::are_generated(dataset) { set.len() } else { 0 };
        added.append(&set);
    }
    if !found.is_empty() {
        let others = match added.len() - generated {
            0 => String::new(),
            count => format!(", {count} pairs that no manifest.csv calls generated, which are read as the real ones,"),
        };
        let real = real.splits.training.len();
        note(observer, format!("training with {generated} generated pairs{others} and {real} real pairs"));
    }
    Ok(SegmentData::with(real, &added))
}

fn ended(run: &RunDir, outcome: Outcome, observer: &dyn Observer) {
    let best = best_dice(&metrics_log::read(run.path()).unwrap_or_default());
    let best = best.map_or(String::new(), |(step, dice)| {
        format!("; best mean Dice on validation pairs {:.2} % at step {step}", 100.0 * dice)
    });
    let run = run.path().display();
    note(
        observer,
        match outcome {
            Outcome::Interrupted => format!("stopped; continue with: pig segment train --resume {run}"),
            Outcome::Finished => {
                format!("finished{best}; predict with: pig segment predict --run {run} --data DIR --out MASKS")
            }
        },
    );
}

/// Trains a segmenter with loaded data in a new run directory. If `out` already is a run, its training continues; it must have the
/// same configuration, split and data.
pub fn train_on(
    file: &SegmentFile,
    data: &SegmentData<'_>,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let run = begin(file, data, out, device)?;
    let _lock = run.lock(observer)?;
    fit(file, data, &run, device, observer)
}

/// Opens the run directory `out`, or creates it if it does not exist.
fn begin(file: &SegmentFile, data: &SegmentData<'_>, out: &Path, device: &Device) -> Result<RunDir> {
    file.check()?;
    data.real.check_training()?;
    if data.training.is_empty() {
        return Err(Error::TooLittle {
            found: "there is no training pair for the segmenter".to_owned(),
            expected: "at least one pair",
        });
    }
    let text = file.to_toml();
    let provenance = Provenance { added: Some(data.added), ..data.real.provenance(&text, data.sha256()?, device) };
    if out.join(CONFIG).is_file() {
        let run = RunDir::open(out)?;
        run.verify()?;
        check_same(&run, file, &provenance)?;
        return Ok(run);
    }
    RunDir::create(out, &text, &data.real.splits, &data.real.preparation, &provenance)
}

/// Trains the segmenter of a run to the last step.
fn fit(
    file: &SegmentFile,
    data: &SegmentData<'_>,
    run: &RunDir,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let log = Logged::open(run.path(), observer)?;
    warn_of_precision(&log, "segment.train.precision", file.segment.train.precision, device);
    if data.real.splits.validation.is_empty() {
        warn(&log, "there are no validation pairs: the last weights are kept, even if they are not the best");
    }
    let outcome = SegmentTrainer::new(file, data, run.path(), device, &log)?.run()?;
    write_curves(&run.path().join("curves.svg"), &charts(&metrics_log::read(run.path())?))?;
    Ok(outcome)
}

/// The number of seconds per optimiser step of the existing or future run in `out`, measured without writing anything.
pub fn seconds_a_step(file: &SegmentFile, data: &SegmentData<'_>, out: &Path, device: &Device) -> Result<f64> {
    file.check()?;
    SegmentTrainer::new(file, data, out, device, &Silent)?.seconds_a_step()
}

/// Checks that a run has the same configuration, split and data as at its start.
fn check_same(run: &RunDir, file: &SegmentFile, now: &Provenance) -> Result<()> {
    let then = run.provenance()?;
    let advice = "this run was started with other settings or data; choose another folder, or use those of the start";
    let same = |what, found: &str, expected: &str| {
        if found == expected {
            return Ok(());
        }
        Err(Error::Mismatch { what, found: found.to_owned(), expected: expected.to_owned(), advice })
    };
    if run.config_as::<SegmentFile>()? != *file {
        same("the segmenter's configuration (SHA-256)", &then.config_sha256, &now.config_sha256)?;
    }
    same("the segmenter's split (SHA-256)", &run.splits()?.sha256, &now.splits_sha256)?;
    same("the segmenter's data (SHA-256)", &then.data_sha256, &now.data_sha256)
}

/// The greatest mean Dice on validation pairs, and its step.
pub fn best_dice(lines: &[Line]) -> Option<(usize, f64)> {
    let found = lines.iter().filter_map(|line| Some((line.step, line.dice?)));
    found.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// The charts of the run of a segmenter.
pub fn charts(lines: &[Line]) -> Vec<Chart> {
    let of = |value: fn(&Line) -> Option<f64>| -> Vec<(f64, f64)> {
        lines.iter().filter_map(|line| Some((line.step as f64, value(line)?))).collect()
    };
    let chart = |title: &str, y_label: &str, series| Chart {
        title: title.to_owned(),
        x_label: "optimiser step".to_owned(),
        y_label: y_label.to_owned(),
        y_scale: Scale::Linear,
        series,
        ..Chart::default()
    };
    let loss = of(|line| line.loss);
    let window = (loss.len() as f64 / 20.0).max(1.0);
    let dice = vec![Series::new("held out", of(|line| line.dice))];
    let rate = vec![Series::new("learning rate", of(|line| line.learning_rate))];
    vec![
        chart(
            "segmenter: loss",
            "loss (1 - soft Dice + cross-entropy)",
            Series::raw_and_smoothed("training", loss, window).to_vec(),
        ),
        chart("segmenter: validation", "mean Dice per slice", dice),
        chart("segmenter: learning rate", "learning rate", rate),
    ]
}
