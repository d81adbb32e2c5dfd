//! The `[crossval]` section: folds, segmenters, and the arms that are compared.

use pig_data::DataConfig;
use pig_segment::config::{SegmentConfig, SegmentFile};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The arm that is always there: real pairs alone.
pub const REAL: &str = "real";

/// One TOML is a cross-validation: `[data]` and `[segment]` as for a segmenter, and `[crossval]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossvalFile {
    /// How files become numbers.
    pub data: DataConfig,
    /// The segmenter of every arm.
    pub segment: SegmentConfig,
    /// Folds and arms.
    pub crossval: CrossvalConfig,
}

/// The `[crossval]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossvalConfig {
    /// Parts of the patients; each is the test set of one fold. Of the other patients `data.validation_fraction` validate and the rest
    /// train, generators and segmenters alike.
    pub folds: usize,
    /// Share of the training and of the validating patients that are used in each fold, at least one of each; the others are left out
    /// altogether. The test set stays whole, so that shares can be compared.
    pub patients: f64,
    /// Seed of the folds, and of the order in which training masks are given to methods that need masks.
    pub seed: u64,
    /// Seeds of the segmenters; each fold and arm has a segmenter for each. They take the place of `segment.train.seed`.
    pub segmenter_seeds: Vec<u64>,
    /// What is compared with real pairs alone, which are always there as the arm `real`.
    pub arms: Vec<ArmConfig>,
}

impl Default for CrossvalConfig {
    fn default() -> Self {
        Self { folds: 5, patients: 1.0, seed: 0, segmenter_seeds: vec![0, 1, 2], arms: Vec::new() }
    }
}

/// A `[[crossval.arms]]` entry: a generator, how many of its pairs train, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArmConfig {
    /// Its name in folders and tables.
    pub name: String,
    /// The generator's experiment, a TOML file, relative to this one; defaults without it.
    pub config: Option<PathBuf>,
    /// Keys over it, as `--set` takes them, such as `"train.steps=500"`.
    pub set: Vec<String>,
    /// Runs that were trained elsewhere on the folds' splits, one a fold: a path with `{fold}` in it, relative to this file. Each is
    /// refused where its split is not the fold's.
    pub runs: Option<String>,
    /// Generated pairs beside all real training pairs; each entry is a training set of its own. A whole number is a number of pairs, a
    /// number with a point a share of the fold's real training pairs.
    pub add: Vec<Count>,
    /// Generated pairs in the place of real ones.
    pub only: Vec<Count>,
    /// The same, each image with the mask of another pair: what is left when images and masks do not belong together.
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
            only: Vec::new(),
            shuffled: Vec::new(),
        }
    }
}

impl ArmConfig {
    /// All training sets: how many pairs, and how they are used.
    pub fn training_sets(&self) -> impl Iterator<Item = (Use, Count)> {
        let lists = [(Use::Add, &self.add), (Use::Only, &self.only), (Use::Shuffled, &self.shuffled)];
        lists.into_iter().flat_map(|(how, counts)| counts.iter().map(move |&count| (how, count)))
    }
}

/// How many pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Count {
    /// So many.
    Pairs(usize),
    /// So many for each real training pair, rounded.
    Share(f64),
}

impl Count {
    /// The number of pairs beside `real` training pairs.
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
            // With its point, so that a share of 1 is not taken for one pair.
            Self::Share(share) => write!(f, "{share:?}"),
        }
    }
}

/// How generated pairs train a segmenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Beside all real training pairs.
    Add,
    /// In their place.
    Only,
    /// In their place, with each other's masks.
    Shuffled,
}

impl Use {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Only => "only",
            Self::Shuffled => "shuffled",
        }
    }
}

impl CrossvalFile {
    /// The segmenter with one of its seeds.
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
