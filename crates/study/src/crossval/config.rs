//! The `[crossval]` section: folds, segmenters, and the arms that are compared.

use pig_data::DataConfig;
use pig_quality::curate::CurateConfig;
use pig_segment::config::{SegmentConfig, SegmentFile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What stands for the number of the fold, and for the seed of the generator, in the path of runs that were trained elsewhere.
pub(super) const FOLD: &str = "{fold}";
pub(super) const SEED: &str = "{seed}";

/// The arm that is always there: real pairs alone.
pub const REAL: &str = "real";

/// A cross-validation in one TOML file: `[data]` and `[segment]` as for a segmenter, and `[crossval]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrossvalFile {
    /// How images and masks are prepared.
    pub data: DataConfig,
    /// The segmenter of every arm.
    pub segment: SegmentConfig,
    /// Folds and arms.
    pub crossval: CrossvalConfig,
}

/// The `[crossval]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrossvalConfig {
    /// Number of folds. The patients are divided into this many parts, and each part is the test set of one fold. Of the other patients,
    /// the share `data.validation_fraction` is used for validation and the rest for training, by generators and segmenters alike.
    pub folds: usize,
    /// Share of the training patients and of the validation patients that each fold uses, at least one training patient; the others are
    /// not used at all, unless a generator has `train.unlabelled = "rest"`: then it learns from their images without the masks. The test set stays complete, so that different shares can be compared.
    pub patients: f64,
    /// With a share of the patients: the least number of validation patients of each fold, if it has so many. The best checkpoint is chosen
    /// on them, and one or two patients choose by chance.
    pub min_validation_patients: usize,
    /// Seed of the folds, and of the order in which training masks are given to methods that need masks.
    pub seed: u64,
    /// Seeds of the segmenters: in each fold, every training set trains one segmenter for each seed. They replace `segment.train.seed`.
    pub segmenter_seeds: Vec<u64>,
    /// Seeds of the generators: in each fold, every arm trains one generator for each seed, and the segmenters of its pairs are divided among
    /// them, the first of `segmenter_seeds` to the first generator, and so on. They replace `train.seed` of the generators. If the list is
    /// empty, an arm has one generator in each fold, with the seed of its own configuration. With several, intervals of one or two folds
    /// cover generators, too.
    pub generator_seeds: Vec<u64>,
    /// Which pairs are taken for training sets of `curated` pairs.
    pub curate: CurateConfig,
    /// The arms, which are compared with real pairs alone. Real pairs alone are always included, as the arm `real`.
    pub arms: Vec<ArmConfig>,
}

impl Default for CrossvalConfig {
    fn default() -> Self {
        Self {
            folds: 5,
            patients: 1.0,
            min_validation_patients: 3,
            seed: 0,
            segmenter_seeds: vec![0, 1, 2],
            generator_seeds: Vec::new(),
            curate: CurateConfig::default(),
            arms: Vec::new(),
        }
    }
}

/// A `[[crossval.arms]]` entry: a generator, the numbers of its pairs that segmenters train on, and how the pairs are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArmConfig {
    /// Name of the arm in folders and tables.
    pub name: String,
    /// The generator's configuration: a TOML file, relative to this file. If it is not set, the defaults are used.
    pub config: Option<PathBuf>,
    /// Keys that override it, written as for `--set`, such as `"train.steps=500"`.
    pub set: Vec<String>,
    /// Runs that were trained elsewhere on the folds' splits, one for each fold: a path that contains `{fold}`, relative to this file. With
    /// `crossval.generator_seeds`, one for each fold and seed: a path that also contains `{seed}`. A run is refused if its split is not the
    /// fold's, or its seed another one.
    pub runs: Option<String>,
    /// Numbers of generated pairs to use in addition to all real training pairs; each entry is a training set of its own. A whole number is
    /// a number of pairs; a number with a decimal point is a share of the number of real training pairs in the fold.
    pub add: Vec<Count>,
    /// Like `add`, but the pairs are chosen by the fold's segmenters of real pairs, as `[crossval.curate]` says, from so many more
    /// pairs; fewer are used where the filters leave fewer.
    pub curated: Vec<Count>,
    /// Like `add`, but segmenters first train `segment.train.pretrain_steps` steps on the generated pairs alone, and then on the real ones
    /// alone.
    pub pretrained: Vec<Count>,
    /// Like `add`, but each image has the mask of another pair. A gain that this placebo shows, too, comes from more images or longer training,
    /// and not from the pairing.
    pub placebo: Vec<Count>,
    /// Numbers of generated pairs to use instead of the real ones.
    pub only: Vec<Count>,
    /// Like `only`, but each image has the mask of another pair. This measures what remains when images and masks do not belong together.
    pub shuffled: Vec<Count>,
}

impl Default for ArmConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            config: None,
            set: Vec::new(),
            runs: None,
            add: vec![Count::Share(0.29)],
            curated: Vec::new(),
            pretrained: Vec::new(),
            placebo: Vec::new(),
            only: Vec::new(),
            shuffled: Vec::new(),
        }
    }
}

impl ArmConfig {
    /// All training sets: how the pairs are used, and how many.
    pub fn training_sets(&self) -> impl Iterator<Item = (Use, Count)> {
        let lists = [
            (Use::Add, &self.add),
            (Use::Curated, &self.curated),
            (Use::Pretrained, &self.pretrained),
            (Use::Placebo, &self.placebo),
            (Use::Only, &self.only),
            (Use::Shuffled, &self.shuffled),
        ];
        lists.into_iter().flat_map(|(how, counts)| counts.iter().map(move |&count| (how, count)))
    }
}

impl CrossvalConfig {
    /// The path of the run of a generator in a fold, by the path `runs` of runs that were trained elsewhere. `number` is that of the generator.
    pub(crate) fn run(&self, runs: &str, fold: usize, number: usize) -> String {
        let seed = self.generator_seeds.get(number).map_or(String::new(), u64::to_string);
        runs.replace(FOLD, &fold.to_string()).replace(SEED, &seed)
    }

    /// How many generators an arm has in each fold.
    pub fn generators(&self) -> usize {
        self.generator_seeds.len().max(1)
    }

    /// The number of the generator whose pairs the segmenter with this seed learns from or measures. Every generator has as many
    /// segmenters as the others, or one more.
    pub fn generator_of(&self, segmenter_seed: u64) -> usize {
        let place = self.segmenter_seeds.iter().position(|&seed| seed == segmenter_seed).unwrap_or(0);
        place * self.generators() / self.segmenter_seeds.len().max(1)
    }
}

/// A number of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Count {
    /// This number of pairs.
    Pairs(usize),
    /// This number of pairs for each real training pair, rounded.
    Share(f64),
}

impl Count {
    /// The number of generated pairs if there are `real` real training pairs.
    pub fn of(self, real: usize) -> usize {
        match self {
            Self::Pairs(pairs) => pairs,
            Self::Share(share) => (share * real as f64).round() as usize,
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pairs(pairs) => write!(f, "{pairs}"),
            // With the decimal point, so that a share of 1 is not read as one pair.
            Self::Share(share) => write!(f, "{share:?}"),
        }
    }
}

/// How a segmenter uses generated pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// In addition to all real training pairs.
    Add,
    /// Chosen ones, in addition to all real training pairs.
    Curated,
    /// Before the real training pairs.
    Pretrained,
    /// In addition to all real training pairs, with the masks of other pairs.
    Placebo,
    /// Instead of the real training pairs.
    Only,
    /// Instead of the real training pairs, with the masks of other pairs.
    Shuffled,
}

impl Use {
    /// The name of this use in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Curated => "curated",
            Self::Pretrained => "pretrained",
            Self::Placebo => "placebo",
            Self::Only => "only",
            Self::Shuffled => "shuffled",
        }
    }
}

impl CrossvalFile {
    /// How many pairs the generator of an arm makes in a fold with `real` real training pairs.
    pub fn pairs_of(&self, arm: &ArmConfig, real: usize) -> usize {
        let needed = |(how, count): (Use, Count)| match how {
            Use::Curated => self.crossval.curate.candidates(count.of(real)),
            Use::Add | Use::Pretrained | Use::Placebo | Use::Only | Use::Shuffled => count.of(real),
        };
        arm.training_sets().map(needed).max().unwrap_or(0)
    }

    /// The configuration of the segmenter of real pairs, and of pairs mixed with them, with one of its seeds.
    pub fn segmenter(&self, seed: u64) -> SegmentFile {
        let mut file = SegmentFile { data: self.data.clone(), segment: self.segment.clone() };
        file.segment.train.seed = seed;
        file
    }

    /// The resolved configuration as TOML.
    pub fn to_toml(&self) -> String {
        // Every field is a plain value, so this cannot fail.
        toml::to_string_pretty(self).unwrap_or_default()
    }
}
