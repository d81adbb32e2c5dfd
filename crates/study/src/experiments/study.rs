//! An experiment on its data, in its folder.

use crate::{
    crossval::{Crossval, CrossvalFile},
    experiments::config::{Budget, ExperimentFile, Loaded},
};
use pig_data::{Dataset, Splits, crossval_folds};
use pig_train::{
    Error, Result,
    observer::Observer,
    run_dir::{DATA_PATH, program},
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Which experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Experiment {
    /// FID and KID of images alone.
    Table1,
    /// Segmenters with and without generated pairs.
    Table2,
    /// From noise to pair.
    Fig3,
    /// Segmenters of few patients, with and without generated pairs.
    LowData,
}

impl Experiment {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Table1 => "table1",
            Self::Table2 => "table2",
            Self::Fig3 => "fig3",
            Self::LowData => "low-data",
        }
    }

    /// What is asked, in a sentence.
    pub fn question(self) -> &'static str {
        match self {
            Self::Table1 => "How far are generated images from real ones? (the paper's Table 1)",
            Self::Table2 => "Do generated pairs help a segmenter? (the paper's Table 2)",
            Self::Fig3 => "Does the shape of the lesion come before the texture? (the paper's Fig. 3)",
            Self::LowData => "What do generated pairs give to a segmenter when patients are few?",
        }
    }
}

/// What is asked of `pig experiment`.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which experiment.
    pub experiment: Experiment,
    /// How much is spent.
    pub budget: Budget,
    /// Another file in the place of the budget's.
    pub config: Option<PathBuf>,
    /// Keys over it.
    pub sets: Vec<String>,
    /// The folder of real pairs.
    pub data: PathBuf,
    /// The experiment's folder.
    pub out: PathBuf,
    /// Another experiment's folder, whose finished generators of the same split and configuration are used.
    pub reuse: Option<PathBuf>,
}

/// What `experiment.toml` says of its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Which experiment.
    pub experiment: Experiment,
    /// How much is spent.
    pub budget: Budget,
    /// The program that began it.
    pub program: String,
    /// What every table says.
    pub notes: Vec<String>,
    /// The resolved configuration.
    pub settings: ExperimentFile,
}

/// The identity of an experiment's folder.
const IDENTITY: &str = "experiment.toml";

impl Identity {
    /// Reads a folder's identity, none where it is no experiment's.
    pub fn read(out: &Path) -> Result<Option<Self>> {
        let path = out.join(IDENTITY);
        let text = match std::fs::read_to_string(&path) {
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

/// An experiment on its data, in its folder.
#[derive(Debug)]
pub struct Study {
    /// What is asked.
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

    /// Makes the experiment's folder, or checks that it is this experiment's.
    pub fn begin(&self) -> Result<()> {
        let Request { experiment, budget, out, data, .. } = &self.request;
        let identity = Identity {
            experiment: *experiment,
            budget: *budget,
            program: program(),
            notes: self.loaded.file.experiment.notes.clone(),
            settings: self.loaded.file.clone(),
        };
        match Identity::read(out)? {
            Some(found) if (found.experiment, &found.settings) != (*experiment, &identity.settings) => {
                let describe = |of: &Identity| format!("{} at {}", of.experiment.word(), of.budget.word());
                return Err(Error::BadFile {
                    path: out.clone(),
                    problem: format!(
                        "holds {}, other settings than those of {}",
                        describe(&found),
                        describe(&identity)
                    ),
                    advice: "choose another --out, or go back to the settings that it was begun with",
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

    /// Optimiser steps of a generator, where the experiment counts epochs: those of the first fold's training pairs, so that all folds are
    /// trained alike.
    pub(super) fn steps(&self, name: &str, folds: &[Splits]) -> Result<Option<usize>> {
        let Some(epochs) = self.loaded.file.experiment.epochs else { return Ok(None) };
        let config = self.loaded.config(name, &self.request.out, None)?;
        let batch = config.train.batch_size * config.train.gradient_accumulation_steps;
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

/// What every table of a budget says.
pub fn notes(budget: Budget, notes: &[String]) -> String {
    if notes.is_empty() {
        return format!("Budget {}.", budget.word());
    }
    format!("Budget {}: {}.", budget.word(), notes.join("; "))
}
