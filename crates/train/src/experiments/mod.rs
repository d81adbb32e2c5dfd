//! The whole of `pig experiment`: the paper's tables and Fig. 3, and what a reviewer asks beside them, on the user's own data.
//!
//! An experiment lies in a folder that says what it is (`experiment.toml`) and is never begun anew as another one. All of it can be
//! stopped anywhere; the same call goes on. Tables stand beside the per-case CSV that they can be computed from again.
//!
//! ```text
//! OUT/experiment.toml, configs/*.toml       what is done, and by which generators
//! OUT/fold-K/...                            table2: a cross-validation (see [`crate::crossval`]); table1 and fig3: generators of one fold
//! OUT/patients-025/fold-K/...               low-data: a cross-validation for each share of the patients
//! OUT/table.md, table.tex, results.json     the table; with cases.csv, what it is made of
//! ```

pub mod config;
pub mod fig3;
mod generators;
pub mod low_data;
pub mod table1;
pub mod table2;

pub use config::{Budget, ExperimentConfig, ExperimentFile, GeneratorConfig, Loaded};

use crate::{
    Error, Result,
    crossval::{Crossval, CrossvalFile},
    observer::Observer,
    run_dir::program,
};
use pig_data::{Dataset, Splits, crossval_folds};
use pig_report::Table;
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

/// Where this machine keeps the data; not part of what an experiment says about itself.
const DATA_PATH: &str = crate::train::DATA_PATH;

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
                pig_data::atomic::write(&out.join(IDENTITY), text.as_bytes())?;
            }
        }
        let absolute = std::path::absolute(data).unwrap_or_else(|_| data.clone());
        Ok(pig_data::atomic::write(&out.join(DATA_PATH), absolute.to_string_lossy().as_bytes())?)
    }

    /// The folds of the patients.
    fn folds(&self) -> Result<Vec<Splits>> {
        let file = &self.loaded.file;
        let dataset = Dataset::discover(&self.request.data, &file.data)?;
        Ok(crossval_folds(&dataset, file.crossval.folds, file.data.validation_fraction, file.crossval.seed)?)
    }

    /// Optimiser steps of a generator, where the experiment counts epochs: those of the first fold's training pairs, so that all folds are
    /// trained alike.
    fn steps(&self, name: &str, folds: &[Splits]) -> Result<Option<usize>> {
        let Some(epochs) = self.loaded.file.experiment.epochs else { return Ok(None) };
        let config = self.loaded.config(name, &self.request.out, None)?;
        let batch = config.train.batch_size * config.train.gradient_accumulation_steps;
        let pairs = folds.first().map_or(0, |fold| fold.training.len());
        Ok(Some((epochs * pairs).div_ceil(batch.max(1))))
    }

    /// A cross-validation of this experiment in `out`.
    fn open(&self, file: CrossvalFile, out: &Path, observer: &dyn Observer) -> Result<Crossval> {
        Crossval::new(file, self.request.out.clone(), &self.request.data, out, observer)
    }

    /// The cross-validations that the experiment consists of, each with its folder; none for those that are none.
    pub fn crossvals(&self, observer: &dyn Observer) -> Result<Vec<Crossval>> {
        match self.request.experiment {
            Experiment::Table2 => Ok(vec![table2::open(self, observer)?]),
            Experiment::LowData => low_data::open(self, observer),
            Experiment::Table1 | Experiment::Fig3 => Ok(Vec::new()),
        }
    }

    /// The arms of the experiment's cross-validations, without looking at data or folder; none for those that are none.
    pub fn arms(&self) -> Result<Option<CrossvalFile>> {
        let arms = match self.request.experiment {
            Experiment::Table2 => table2::arms(self, None)?,
            Experiment::LowData => low_data::arms(self, None)?,
            Experiment::Table1 | Experiment::Fig3 => return Ok(None),
        };
        Ok(Some(self.loaded.crossval(arms)))
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

/// Writes `table.tex` beside the other forms of a table.
fn write_latex(out: &Path, table: &Table, caption: &str, label: &str) -> Result<()> {
    let text = format!("% needs the packages booktabs and inputenc (utf8)\n{}", table.latex(caption, label));
    Ok(pig_data::atomic::write(&out.join("table.tex"), text.as_bytes())?)
}
