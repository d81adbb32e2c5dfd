//! The configuration of experiments: one TOML a budget, whose generators are configurations of their own.

use crate::crossval::config::{ArmConfig, Count, CrossvalConfig, CrossvalFile};
use pig_data::DataConfig;
use pig_segment::config::SegmentConfig;
use pig_train::{
    Config, Error, Result,
    config::{ConfigError, Layers, require},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// How much is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Seconds, for continuous integration: its numbers say nothing.
    Smoke,
    /// 64 x 64, on two cores.
    Small,
    /// 512 x 512, the paper's numbers.
    Paper,
}

impl Budget {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Small => "small",
            Self::Paper => "paper",
        }
    }

    fn path(self) -> PathBuf {
        PathBuf::from(format!("experiments/{}.toml", self.word()))
    }
}

/// The configurations that the program brings along, by their path in its sources.
const BUILT_IN: [(&str, &str); 11] = [
    ("experiments/smoke.toml", include_str!("../../../../experiments/smoke.toml")),
    ("experiments/small.toml", include_str!("../../../../experiments/small.toml")),
    ("experiments/paper.toml", include_str!("../../../../experiments/paper.toml")),
    ("configs/smoke.toml", include_str!("../../../../configs/smoke.toml")),
    ("configs/paper.toml", include_str!("../../../../configs/paper.toml")),
    ("configs/compare/pig.toml", include_str!("../../../../configs/compare/pig.toml")),
    ("configs/compare/joint.toml", include_str!("../../../../configs/compare/joint.toml")),
    ("configs/compare/seg-guided.toml", include_str!("../../../../configs/compare/seg-guided.toml")),
    ("configs/compare/controlnet.toml", include_str!("../../../../configs/compare/controlnet.toml")),
    ("configs/compare/ldm.toml", include_str!("../../../../configs/compare/ldm.toml")),
    ("configs/compare/ddpm.toml", include_str!("../../../../configs/compare/ddpm.toml")),
];

const NOT_BROUGHT: &str = "is not brought along";

fn built_in(path: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// One TOML is all experiments at one budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExperimentFile {
    /// How files become numbers.
    pub data: DataConfig,
    /// The segmenter of every arm.
    pub segment: SegmentConfig,
    /// Folds and seeds; arms are made by the experiment.
    pub crossval: CrossvalConfig,
    /// What the experiments do.
    pub experiment: ExperimentConfig,
    /// The generators by name: ldm, seg-guided, controlnet, joint, pig and ddpm.
    pub generators: BTreeMap<String, GeneratorConfig>,
}

/// The `[experiment]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExperimentConfig {
    /// table1: images of each method, at most as many as the reference holds.
    pub samples: usize,
    /// fig3: pairs whose way from noise is measured.
    pub strips: usize,
    /// Epochs of the fold's training pairs that every network of a generator trains, in the place of its own steps; its steps without it.
    pub epochs: Option<usize>,
    /// table2: generated pairs beside all real ones, of every arm. A number with a point is a share of the fold's real training pairs.
    pub add: Vec<Count>,
    /// table2: pairs of pig in the place of real ones.
    pub only: Vec<Count>,
    /// table2: the same, each image with the mask of another pair.
    pub shuffled: Vec<Count>,
    /// table2: the generators in the order of the table; those that the file lacks are left out.
    pub arms: Vec<String>,
    /// low-data: shares of the patients that do not test.
    pub shares: Vec<f64>,
    /// low-data: pairs of pig beside the real ones.
    pub low_data_add: Vec<Count>,
    /// What every table says of this budget.
    pub notes: Vec<String>,
}

impl Default for ExperimentConfig {
    fn default() -> Self {
        Self {
            samples: 2048,
            strips: 64,
            epochs: None,
            add: vec![Count::Share(0.145), Count::Share(0.29), Count::Share(0.435)],
            only: vec![Count::Share(1.0)],
            shuffled: vec![Count::Share(1.0)],
            arms: ["ldm", "seg-guided", "controlnet", "joint", PIG].map(str::to_owned).to_vec(),
            shares: vec![0.05, 0.1, 0.25, 0.5, 1.0],
            low_data_add: vec![Count::Share(1.0)],
            notes: Vec::new(),
        }
    }
}

/// The paper's method among the generators.
pub const PIG: &str = "pig";

/// The method without masks among the generators, whose network makes the images of DDPM and of DDIM.
pub const DDPM: &str = "ddpm";

/// A `[generators.NAME]` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// Its experiment, a TOML file, relative to this one.
    pub config: PathBuf,
    /// Keys over it, as `--set` takes them.
    pub set: Vec<String>,
    /// ddpm: sampling steps of DDIM, by the same network.
    pub ddim_steps: Option<usize>,
}

/// An experiment's file with the texts of its generators.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The file.
    pub file: ExperimentFile,
    /// The text of each generator's configuration.
    pub texts: BTreeMap<String, String>,
}

impl Loaded {
    /// Reads the file of a budget, or another one, with `sets` over it.
    pub fn read(budget: Budget, config: Option<&Path>, sets: &[String]) -> Result<Self> {
        let layers = Layers { file: config.map(Path::to_owned), sets: sets.to_vec() };
        let file: ExperimentFile = if config.is_some() {
            layers.load_as()?
        } else {
            let path = budget.path();
            let text = built_in(&path.to_string_lossy()).ok_or_else(|| fault(&path, &NOT_BROUGHT))?;
            let base: ExperimentFile = toml::from_str(text).map_err(|error| fault(&path, &error))?;
            layers.over_settings(&base)?
        };
        let text = |generator: &GeneratorConfig| {
            if let Some(path) = config {
                let path = path.parent().unwrap_or(Path::new("")).join(&generator.config);
                std::fs::read_to_string(&path).map_err(|source| ConfigError::Read { path, source }.into())
            } else {
                let path = generator.config.to_string_lossy().replace("../", "");
                built_in(&path).map(str::to_owned).ok_or_else(|| fault(&generator.config, &NOT_BROUGHT))
            }
        };
        let texts: Result<BTreeMap<String, String>> =
            file.generators.iter().map(|(name, generator)| Ok((name.clone(), text(generator)?))).collect();
        let loaded = Self { file, texts: texts? };
        loaded.check()?;
        Ok(loaded)
    }

    fn check(&self) -> Result<()> {
        let ExperimentConfig { samples, strips, epochs, shares, arms, .. } = &self.file.experiment;
        require(*samples > 1, "experiment.samples", samples, "2 or more")?;
        require(*strips > 0, "experiment.strips", strips, "1 or more")?;
        require(*epochs != Some(0), "experiment.epochs", 0, "1 or more")?;
        let good = !shares.is_empty() && shares.iter().all(|share| *share > 0.0 && *share <= 1.0);
        require(good, "experiment.shares", format!("{shares:?}"), "numbers above 0 and at most 1")?;
        let own = &self.file.crossval.arms;
        require(own.is_empty(), "crossval.arms", own.len(), "none: the experiment makes them; or use pig crossval")?;
        let known = arms.iter().any(|arm| self.file.generators.contains_key(arm));
        require(known, "experiment.arms", format!("{arms:?}"), "names of [generators.NAME]")?;
        self.crossval(Vec::new()).check()
    }

    /// The arm of a generator in a cross-validation whose files lie where [`Loaded::write`] puts them; `steps` optimiser steps, where an
    /// experiment counts epochs.
    pub fn arm(&self, name: &str, steps: Option<usize>) -> Result<ArmConfig> {
        let generator = self.generator(name)?;
        Ok(ArmConfig {
            name: name.to_owned(),
            config: Some(config_path(name)),
            set: self.sets(generator, steps),
            add: Vec::new(),
            ..ArmConfig::default()
        })
    }

    fn generator(&self, name: &str) -> Result<&GeneratorConfig> {
        let names = || self.file.generators.keys().cloned().collect::<Vec<_>>().join(", ");
        self.file.generators.get(name).ok_or_else(|| Error::Setting {
            key: "generators".to_owned(),
            found: name.to_owned(),
            expected: format!("one of {}", names()),
        })
    }

    fn sets(&self, generator: &GeneratorConfig, steps: Option<usize>) -> Vec<String> {
        let column = self.file.data.group_column.as_ref().map(|column| format!("data.group_column=\"{column}\""));
        let steps = steps.map(|steps| format!("train.steps={steps}"));
        generator.set.iter().cloned().chain(column).chain(steps).collect()
    }

    /// The resolved configuration of a generator, from the files in `out`.
    pub fn config(&self, name: &str, out: &Path, steps: Option<usize>) -> Result<Config> {
        let sets = self.sets(self.generator(name)?, steps);
        let config = Layers { file: Some(out.join(config_path(name))), sets }.load()?;
        config.check()?;
        Ok(config)
    }

    /// The cross-validation of these arms.
    pub fn crossval(&self, arms: Vec<ArmConfig>) -> CrossvalFile {
        let ExperimentFile { data, segment, crossval, .. } = self.file.clone();
        CrossvalFile { data, segment, crossval: CrossvalConfig { arms, ..crossval } }
    }

    /// Writes the generators' configurations to `out/configs`, where arms look for them.
    pub fn write(&self, out: &Path) -> Result<()> {
        let folder = out.join("configs");
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        for (name, text) in &self.texts {
            pig_files::write(&out.join(config_path(name)), text.as_bytes())?;
        }
        Ok(())
    }

    /// Refuses a folder that was begun with other configurations of generators, which it would silently go on with; comments
    /// and spaces may differ.
    pub fn check_written(&self, out: &Path) -> Result<()> {
        for (name, text) in &self.texts {
            let path = out.join(config_path(name));
            let written = std::fs::read_to_string(&path).map_err(Error::io(&path, "read"))?;
            let read = |text: &str| toml::from_str::<toml::Table>(text).map_err(|error| error.to_string());
            if read(&written) != read(text) {
                return Err(Error::BadFile {
                    path,
                    problem: format!(
                        "is the configuration that {name} was begun with, and differs from {}",
                        self.file.generators[name].config.display()
                    ),
                    advice: "choose another --out, or put the new configuration into its place and remove what was made by the old one",
                });
            }
        }
        Ok(())
    }

    /// The resolved experiment as TOML.
    pub fn to_toml(&self) -> String {
        // Every field is a plain value, so this cannot fail.
        toml::to_string_pretty(&self.file).unwrap_or_default()
    }
}

/// Where a generator's configuration lies in an experiment's folder.
fn config_path(name: &str) -> PathBuf {
    PathBuf::from(format!("configs/{name}.toml"))
}

fn fault(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::BadFile {
        path: path.to_owned(),
        problem: problem.to_string(),
        advice: "this is a fault of pig; please report it",
    }
}
