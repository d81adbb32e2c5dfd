//! The configuration of experiments: one TOML file for each budget; every generator has a configuration file of its own.

use crate::crossval::config::{ArmConfig, Count, CrossvalConfig, CrossvalFile};
use pig_data::DataConfig;
use pig_segment::config::SegmentConfig;
use pig_train::{
    Config, Error, Result,
    config::{ConfigError, Layers, MOST_AT_ONCE, Unlabelled, require, require_count},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// How much computation an experiment may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Takes seconds, for continuous integration; its numbers mean nothing.
    Smoke,
    /// 64 x 64, for two cores.
    Small,
    /// 512 x 512, with the paper's numbers of pairs and epochs.
    Paper,
}

impl Budget {
    /// The name of the budget on the command line.
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

/// The configurations that are built into the program, by their path in the source tree.
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

const NOT_BROUGHT: &str = "is not built into the program";

fn built_in(path: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// All experiments at one budget, in one TOML file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExperimentFile {
    /// How images and masks are prepared.
    pub data: DataConfig,
    /// The segmenter of every arm.
    pub segment: SegmentConfig,
    /// Folds and seeds; the experiment itself makes the arms.
    pub crossval: CrossvalConfig,
    /// Settings of the experiments.
    pub experiment: ExperimentConfig,
    /// The generators by name: ldm, seg-guided, controlnet, joint, pig and ddpm.
    pub generators: BTreeMap<String, GeneratorConfig>,
}

/// The `[experiment]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExperimentConfig {
    /// table1: number of images of each method, limited to the number of real lesion slices.
    pub samples: usize,
    /// fig3: number of pairs whose sampling from noise is measured.
    pub strips: usize,
    /// Number of epochs for the networks of every generator; it replaces `train.steps`. A network whose own key is set, such as
    /// `train.model_x_steps`, keeps that number of steps. An epoch is counted over the training pairs of the first fold. If it is not set,
    /// the generator's own steps are used.
    pub epochs: Option<usize>,
    /// table2: numbers of generated pairs that every arm uses in addition to all real pairs. A number with a decimal point is a share of
    /// the number of real training pairs in the fold.
    pub add: Vec<Count>,
    /// table2: numbers of pairs of pig to use instead of the real ones.
    pub only: Vec<Count>,
    /// table2: like `only`, but each image has the mask of another pair.
    pub shuffled: Vec<Count>,
    /// table2: the generators in the order of the table; a name without a `[generators.NAME]` section is left out.
    pub arms: Vec<String>,
    /// low-data: shares of the patients outside the test set.
    pub shares: Vec<f64>,
    /// low-data: numbers of pairs of pig to use in addition to the real ones.
    pub low_data_add: Vec<Count>,
    /// low-data: with "rest", generators also learn from the images, without their masks, of the patients beyond each share; test patients
    /// are never among them.
    pub unlabelled: Unlabelled,
    /// Notes on this budget, printed with every table.
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
            unlabelled: Unlabelled::None,
            notes: Vec::new(),
        }
    }
}

/// The name of the paper's method among the generators.
pub const PIG: &str = "pig";

/// The name of the method without masks among the generators; its network makes the images of DDPM and of DDIM.
pub const DDPM: &str = "ddpm";

/// A `[generators.NAME]` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// The generator's configuration: a TOML file, relative to this file.
    pub config: PathBuf,
    /// Keys that override it, written as for `--set`.
    pub set: Vec<String>,
    /// ddpm: number of sampling steps of DDIM, which uses the same network.
    pub ddim_steps: Option<usize>,
}

/// The configuration of an experiment, with the texts of its generators' configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration of the experiment.
    pub file: ExperimentFile,
    /// The text of each generator's configuration.
    pub texts: BTreeMap<String, String>,
}

impl Loaded {
    /// Reads the configuration of a budget, or the file `config` instead; `sets` override its keys.
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
                pig_files::read_to_string(&path).map_err(|source| ConfigError::Read { path, source }.into())
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
        let is_right = (2..=MOST_AT_ONCE).contains(samples);
        require(is_right, "experiment.samples", samples, &format!("2 to {MOST_AT_ONCE}"))?;
        require_count("experiment.strips", *strips, MOST_AT_ONCE)?;
        require_count("experiment.epochs", epochs.unwrap_or(1), MOST_AT_ONCE)?;
        let good = !shares.is_empty() && shares.iter().all(|share| *share > 0.0 && *share <= 1.0);
        require(good, "experiment.shares", format!("{shares:?}"), "numbers above 0 and at most 1")?;
        let is_folder = self.file.experiment.unlabelled == Unlabelled::Folder;
        require(!is_folder, "experiment.unlabelled", "\"folder\"", "\"none\" or \"rest\"")?;
        let own = &self.file.crossval.arms;
        require(
            own.is_empty(),
            "crossval.arms",
            own.len(),
            "none: the experiment makes its own arms; for other arms use pig crossval",
        )?;
        let known = arms.iter().any(|arm| self.file.generators.contains_key(arm));
        require(
            known,
            "experiment.arms",
            format!("{arms:?}"),
            "names of [generators.NAME] sections, at least one of which exists",
        )?;
        self.crossval(Vec::new()).check()
    }

    /// The arm of a generator in a cross-validation. Its configuration file is where [`Loaded::write`] puts it; `steps` overrides the
    /// number of optimiser steps, if the experiment counts epochs.
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

    /// The resolved configuration of a generator, read from the files in `out`.
    pub fn config(&self, name: &str, out: &Path, steps: Option<usize>) -> Result<Config> {
        let sets = self.sets(self.generator(name)?, steps);
        let config = Layers { file: Some(out.join(config_path(name))), sets }.load()?;
        config.check()?;
        Ok(config)
    }

    /// The configuration of a cross-validation with these arms.
    pub fn crossval(&self, arms: Vec<ArmConfig>) -> CrossvalFile {
        let ExperimentFile { data, segment, crossval, .. } = self.file.clone();
        CrossvalFile { data, segment, crossval: CrossvalConfig { arms, ..crossval } }
    }

    /// Writes the configurations of the generators to `out/configs`, where arms expect them.
    pub fn write(&self, out: &Path) -> Result<()> {
        let folder = out.join("configs");
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        for (name, text) in &self.texts {
            pig_files::write(&out.join(config_path(name)), text.as_bytes())?;
        }
        Ok(())
    }

    /// Refuses a folder that was started with other configurations of generators; otherwise the old ones would be used without notice.
    /// Comments and spaces may differ.
    pub fn check_written(&self, out: &Path) -> Result<()> {
        for (name, text) in &self.texts {
            let path = out.join(config_path(name));
            let written = pig_files::read_to_string(&path).map_err(Error::io(&path, "read"))?;
            let read = |text: &str| toml::from_str::<toml::Table>(text).map_err(|error| error.to_string());
            if read(&written) != read(text) {
                return Err(Error::BadFile {
                    path,
                    problem: format!(
                        "is the configuration with which {name} was started, and differs from {}",
                        self.file.generators[name].config.display()
                    ),
                    advice: "choose another --out, or replace this file by the new configuration and remove what was made with the old one",
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

/// The path of a generator's configuration in an experiment's folder.
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
