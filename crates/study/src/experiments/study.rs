//! An experiment with its data and its folder.

use crate::{
    crossval::{Crossval, CrossvalFile},
    experiments::config::{Budget, ExperimentFile, Loaded},
};
use pig_data::{Channels, Dataset, Splits, crossval_folds};
use pig_train::{
    Error, Result,
    observer::Observer,
    run_dir::{DATA_PATH, program},
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Kind of experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Experiment {
    /// FID and KID of images, without masks.
    Table1,
    /// Segmenters with and without generated pairs.
    Table2,
    /// Sampling from noise to a pair.
    Fig3,
    /// Segmenters that are trained on few patients, with and without generated pairs.
    LowData,
}

impl Experiment {
    /// The name of the experiment on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Table1 => "table1",
            Self::Table2 => "table2",
            Self::Fig3 => "fig3",
            Self::LowData => "low-data",
        }
    }

    /// The question that the experiment answers.
    pub fn question(self) -> &'static str {
        match self {
            Self::Table1 => "How far are generated images from real ones? (the paper's Table 1)",
            Self::Table2 => "Do generated pairs help a segmenter? (the paper's Table 2)",
            Self::Fig3 => "Does the shape of the lesion come before the texture? (the paper's Fig. 3)",
            Self::LowData => "How much do generated pairs help a segmenter when there are few patients?",
        }
    }
}

/// The arguments of `pig experiment`.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which experiment.
    pub experiment: Experiment,
    /// The budget.
    pub budget: Budget,
    /// A configuration file that replaces that of the budget.
    pub config: Option<PathBuf>,
    /// Keys that override it.
    pub sets: Vec<String>,
    /// The folder of real pairs.
    pub data: PathBuf,
    /// The experiment's folder.
    pub out: PathBuf,
    /// Folder of another experiment. Its finished generators are used if their split and configuration are the same.
    pub reuse: Option<PathBuf>,
}

/// The content of `experiment.toml`, which identifies the folder of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Which experiment.
    pub experiment: Experiment,
    /// The budget.
    pub budget: Budget,
    /// The program that started it.
    pub program: String,
    /// Notes that are printed with every table.
    pub notes: Vec<String>,
    /// The resolved configuration.
    pub settings: ExperimentFile,
}

/// The file that holds the identity of an experiment's folder.
const IDENTITY: &str = "experiment.toml";

impl Identity {
    /// Reads the identity of a folder; none if it is not the folder of an experiment.
    pub fn read(out: &Path) -> Result<Option<Self>> {
        let path = out.join(IDENTITY);
        let text = match pig_files::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path, "read")(error)),
        };
        toml::from_str(&text).map(Some).map_err(|error| Error::BadFile {
            path,
            problem: error.to_string(),
            advice: "the experiment's folder was changed by hand; restore the file",
        })
    }
}

/// An experiment with its data and its folder.
#[derive(Debug)]
pub struct Study {
    /// The request.
    pub request: Request,
    /// Its configuration.
    pub loaded: Loaded,
}

impl Study {
    /// Reads the configuration; writes nothing.
    pub fn read(request: &Request) -> Result<Self> {
        let loaded = Loaded::read(request.budget, request.config.as_deref(), &request.sets)?;
        Ok(Self { request: request.clone(), loaded })
    }

    /// Creates the experiment's folder, or checks that an existing folder belongs to this experiment.
    pub fn begin(&self) -> Result<()> {
        let Request { experiment, budget, out, data, .. } = &self.request;
        let mut identity = Identity {
            experiment: *experiment,
            budget: *budget,
            program: program(),
            notes: self.loaded.file.experiment.notes.clone(),
            settings: self.loaded.file.clone(),
        };
        let found = Identity::read(out)?;
        // What is left to the data here may be a number there.
        if let Some(found) = found.as_ref().filter(|_| identity.settings.data.channels == Channels::Auto) {
            identity.settings.data.channels = found.settings.data.channels;
        }
        match found {
            Some(found) if (found.experiment, &found.settings) != (*experiment, &identity.settings) => {
                let describe = |of: &Identity| format!("{} at {}", of.experiment.word(), of.budget.word());
                return Err(Error::BadFile {
                    path: out.clone(),
                    problem: format!(
                        "holds the experiment {}, whose settings differ from those of {}",
                        describe(&found),
                        describe(&identity)
                    ),
                    advice: "choose another --out, or go back to the settings with which it was started",
                });
            }
            Some(_) => self.loaded.check_written(out)?,
            None => {
                self.loaded.write(out)?;
                let text = toml::to_string_pretty(&identity).unwrap_or_default();
                pig_files::write(&out.join(IDENTITY), text.as_bytes())?;
            }
        }
        let absolute = std::path::absolute(data).unwrap_or_else(|_| data.clone());
        Ok(pig_files::write(&out.join(DATA_PATH), absolute.to_string_lossy().as_bytes())?)
    }

    /// The folds of the patients.
    pub(super) fn folds(&self) -> Result<Vec<Splits>> {
        let file = &self.loaded.file;
        let dataset = Dataset::discover(&self.request.data, &file.data)?;
        Ok(crossval_folds(&dataset, file.crossval.folds, file.data.validation_fraction, file.crossval.seed)?)
    }

    /// Number of optimiser steps of a generator, if the experiment counts epochs. Epochs are counted over the first fold's training pairs,
    /// so that all folds are trained for the same number of steps.
    pub(super) fn steps(&self, name: &str, folds: &[Splits]) -> Result<Option<usize>> {
        let Some(epochs) = self.loaded.file.experiment.epochs else { return Ok(None) };
        let config = self.loaded.config(name, &self.request.out, None)?;
        let batch = config.train.images_in_step();
        let pairs = folds.first().map_or(0, |fold| fold.training.len());
        Ok(Some((epochs * pairs).div_ceil(batch.max(1))))
    }

    /// A cross-validation of this experiment in `out`.
    pub(super) fn open(&self, file: CrossvalFile, out: &Path, observer: &dyn Observer) -> Result<Crossval> {
        Crossval::new(file, self.request.out.clone(), &self.request.data, out, observer)
    }

    /// The sentence under each of the experiment's tables that says at what budget it was made.
    pub fn notes(&self) -> String {
        notes(self.request.budget, &self.loaded.file.experiment.notes)
    }
}

/// The notes that are printed with every table of a budget.
pub fn notes(budget: Budget, notes: &[String]) -> String {
    if notes.is_empty() {
        return format!("Budget {}.", budget.word());
    }
    format!("Budget {}: {}.", budget.word(), notes.join("; "))
}
