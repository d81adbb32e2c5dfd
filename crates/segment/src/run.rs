//! The whole of `pig segment train`: from a data folder and generated pairs to a run directory with a segmenter.

use crate::{
    SEGMENTER,
    config::SegmentFile,
    pairs::{self, SegmentData},
    trainer::SegmentTrainer,
};
use burn::tensor::Device;
use pig_data::{Splits, split_by_group};
use pig_report::{Chart, Scale, Series, write_curves};
use pig_train::{
    Error, Result,
    checkpoint::Store,
    logged::Logged,
    metrics_log::{self, Line},
    observer::{Observer, Outcome, Silent, note, warn, warn_of_precision},
    run_data::RunData,
    run_dir::{CONFIG, DATA_PATH, Provenance, RunDir, remember_data, remembered_data},
};
use std::path::{Path, PathBuf};

/// Where this machine keeps the generated pairs of a run; not part of what a run says about itself.
const ADDED_PATHS: &str = "added-paths.json";

/// What is asked of `pig segment train`.
#[derive(Clone, Debug)]
pub struct SegmentRequest {
    /// The folder of real pairs.
    pub data: PathBuf,
    /// Folders of generated pairs that train beside the real ones.
    pub added: Vec<PathBuf>,
    /// The split of the generators' run, so that the segmenter validates on patients that they did not see; a new split without it.
    pub splits: Option<PathBuf>,
    /// The run directory to make.
    pub out: PathBuf,
}

/// Starts a new segmenter. Returns whether it ran to its end.
pub fn train(
    file: &SegmentFile,
    request: &SegmentRequest,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    file.check()?;
    RunDir::check_free(&request.out)?;
    if !request.added.is_empty() && request.splits.is_none() {
        let text = "it is not known on which patients the generated pairs' models were trained; give their run's splits.json with \
                    --splits, or validation may look better than it is";
        warn(observer, text);
    }
    let given = request.splits.as_deref().map(Splits::load).transpose()?;
    let real = RunData::split(
        &request.data,
        &file.data,
        |dataset| match given {
            Some(splits) => Ok(splits),
            None => split_by_group(dataset, file.data.validation_fraction, file.segment.train.seed),
        },
        observer,
    )?;
    let data = with_added(&real, &request.added, observer)?;
    let run = begin(file, &data, &request.out, device)?;
    remember_data(&run, &request.data)?;
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let added: Vec<PathBuf> = request.added.iter().map(absolute).collect();
    let json = serde_json::to_vec(&added).unwrap_or_default();
    pig_files::write(&run.path().join(ADDED_PATHS), &json)?;
    let outcome = fit(file, &data, &run, device, observer)?;
    ended(&run, outcome, observer);
    Ok(outcome)
}

/// Continues a segmenter on the folders that it began with. Without `data` the real pairs are where they were then.
pub fn resume(run: &Path, data: Option<&Path>, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
    let run = RunDir::open(run)?;
    let file: SegmentFile = run.config_as()?;
    let missing = |missing| Error::NotARun { path: run.path().to_owned(), missing };
    let folder = data.map(Path::to_owned).or_else(|| remembered_data(&run)).ok_or_else(|| missing(DATA_PATH))?;
    let path = run.path().join(ADDED_PATHS);
    let added = std::fs::read(&path).map_err(|_| missing(ADDED_PATHS))?;
    let added: Vec<PathBuf> = serde_json::from_slice(&added).map_err(|_| missing(ADDED_PATHS))?;
    if !Store::new(run.path(), SEGMENTER).exists() {
        let path = run.path().join("checkpoints").join(SEGMENTER);
        return Err(Error::NoCheckpoint { path, network: SEGMENTER, reason: None });
    }
    let real = RunData::of_run(&folder, &run, observer)?;
    let outcome = train_on(&file, &with_added(&real, &added, observer)?, run.path(), device, observer)?;
    ended(&run, outcome, observer);
    Ok(outcome)
}

fn with_added<'a>(real: &'a RunData, folders: &[PathBuf], observer: &dyn Observer) -> Result<SegmentData<'a>> {
    let mut added = pairs::none(&real.set);
    for (index, path) in folders.iter().enumerate() {
        pairs::append(&mut added, &pairs::folder(path, &format!("added-{index}"), real, observer)?);
    }
    if !folders.is_empty() {
        note(
            observer,
            format!("{} generated pairs train beside {} real ones", added.len(), real.splits.training.len()),
        );
    }
    Ok(SegmentData::with(real, &added))
}

fn ended(run: &RunDir, outcome: Outcome, observer: &dyn Observer) {
    let run = run.path().display();
    note(
        observer,
        match outcome {
            Outcome::Interrupted => format!("stopped; continue with: pig segment train --resume {run}"),
            Outcome::Finished => {
                format!("finished; predict with: pig segment predict --run {run} --data DIR --out MASKS")
            }
        },
    );
}

/// Trains a segmenter on data that are there, in a new run directory, or goes on with the run in it, which must be of the same
/// configuration, split and data.
pub fn train_on(
    file: &SegmentFile,
    data: &SegmentData<'_>,
    out: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    fit(file, data, &begin(file, data, out, device)?, device, observer)
}

/// The run directory `out`, made where it is not there.
fn begin(file: &SegmentFile, data: &SegmentData<'_>, out: &Path, device: &Device) -> Result<RunDir> {
    file.check()?;
    data.real.check_training()?;
    if data.training.is_empty() {
        return Err(Error::TooLittle {
            found: "no pair is left to train the segmenter on".to_owned(),
            expected: "at least one pair",
        });
    }
    let text = file.to_toml();
    let provenance = Provenance { added: Some(data.added), ..data.real.provenance(&text, data.sha256(), device) };
    if out.join(CONFIG).is_file() {
        let run = RunDir::open(out)?;
        check_same(&run, file, &provenance)?;
        return Ok(run);
    }
    RunDir::create(out, &text, &data.real.splits, &data.real.preparation, &provenance)
}

/// Trains the segmenter of a run to its end.
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
        warn(&log, "nobody validates: the last weights are kept, whatever they are worth");
    }
    let outcome = SegmentTrainer::new(file, data, run.path(), device, &log)?.run()?;
    write_curves(&run.path().join("curves.svg"), &charts(&metrics_log::read(run.path())?))?;
    Ok(outcome)
}

/// Seconds of an optimiser step of the run that is, or would be, in `out`, measured without writing anything.
pub fn seconds_a_step(file: &SegmentFile, data: &SegmentData<'_>, out: &Path, device: &Device) -> Result<f64> {
    file.check()?;
    SegmentTrainer::new(file, data, out, device, &Silent)?.seconds_a_step()
}

/// A run goes on as it began, or not at all.
fn check_same(run: &RunDir, file: &SegmentFile, now: &Provenance) -> Result<()> {
    let then = run.provenance()?;
    let advice = "this run began otherwise; choose another folder, or go back to what it began with";
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

/// The charts of a segmenter's run.
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
