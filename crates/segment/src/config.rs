//! The `[segment]` section: a segmenter and its training.

use crate::decision::Decision;
use pig_data::{AugmentConfig, DataConfig, deform::DeformConfig};
use pig_nn::{
    pass::Precision,
    segmentation::{SegmentationConfig, loss::DiceSums},
};
use pig_optim::{LrSchedule, OptimConfig, OptimizerKind};
use pig_train::{
    Error, Result,
    config::{MOST_AT_ONCE, MOST_STEPS, TrainConfig, check_thresholds, require, require_channels, require_count},
    run_dir::RunDir,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The widest blur of the edges of masks in pixels; wider ones leave nothing of a lesion.
const MOST_SOFT: f64 = 16.0;

/// The configuration file of a segmenter: `[data]` and `[segment]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentFile {
    /// How files are read and prepared.
    pub data: DataConfig,
    /// The segmenter.
    pub segment: SegmentConfig,
}

/// The `[segment]` section: a segmenter and its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentConfig {
    /// A pixel is lesion if its probability is above this value.
    pub threshold: f64,
    /// Thresholds of single classes by their names, in place of `threshold`, where `data.classes_overlap` lets each class have its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub class_thresholds: BTreeMap<String, f64>,
    /// The mirrored pictures over which a prediction is averaged. Validations during the training use none, so that the choice of the best
    /// checkpoint takes no longer.
    pub test_time_flips: TestTimeFlips,
    /// The network.
    pub network: SegmentationConfig,
    /// Random augmentation, the same for real and generated pairs.
    pub augment: DeformConfig,
    /// The training.
    pub train: SegmentTrainConfig,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            class_thresholds: BTreeMap::new(),
            test_time_flips: TestTimeFlips::None,
            network: SegmentationConfig::default(),
            augment: DeformConfig::default(),
            train: SegmentTrainConfig::default(),
        }
    }
}

/// The mirrored pictures over which a prediction is averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TestTimeFlips {
    /// The picture alone.
    #[default]
    None,
    /// The picture, and the picture mirrored left and right.
    Horizontal,
    /// The picture mirrored in each direction, in both and in none.
    Both,
}

impl TestTimeFlips {
    /// The pictures over which a prediction is averaged: for each, whether it is mirrored top to bottom, and left to right.
    pub fn pictures(self) -> &'static [[bool; 2]] {
        match self {
            Self::None => &[[false, false]],
            Self::Horizontal => &[[false, false], [false, true]],
            Self::Both => &[[false, false], [false, true], [true, false], [true, true]],
        }
    }
}

/// How generated pairs are used beside real ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PairUse {
    /// Real and generated pairs are drawn from one sequence.
    #[default]
    Mixed,
    /// The first `pretrain_steps` steps draw generated pairs alone, all later ones real pairs alone.
    Pretrain,
}

/// The `[segment.train]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentTrainConfig {
    /// The number of optimiser steps. It does not depend on the number of pairs, so more data does not mean more training.
    pub steps: usize,
    /// Train for equal epochs instead: `steps` is the number for the real training pairs alone, and is multiplied by the ratio of all
    /// training pairs to the real ones. This corresponds to plain concatenation of the data.
    pub equal_epochs: bool,
    /// The training ends before `steps` when the Dice of validation pairs has not risen for so many validations; 0 for no such end. It
    /// counts from the first validation that finds a part of a lesion, and after `pretrain_steps`.
    pub patience: usize,
    /// How generated pairs are used beside real ones; without one of both it changes nothing.
    pub pairs: PairUse,
    /// With `pairs = "pretrain"`, the number of steps on generated pairs alone; they are a part of `steps`.
    pub pretrain_steps: usize,
    /// With `pairs = "pretrain"`, the learning rate of the steps on real pairs as a share of `learning_rate`. Warm-up and schedule begin
    /// again with these steps.
    pub fine_tune_rate: f64,
    /// The standard deviation in pixels of a blur of the masks of generated pairs in training, 0 for none: their edges are less certain
    /// than those of real masks.
    pub soft_edges: f64,
    /// The number of images in a batch.
    pub batch_size: usize,
    /// The number of images that a worker takes through the network at once on the CPU, 0 for a whole batch; as `train.micro_batch_size`.
    pub micro_batch_size: usize,
    /// The learning rate after warm-up.
    pub learning_rate: f64,
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// The weight decay.
    pub weight_decay: f64,
    /// How the learning rate changes after warm-up; the factor and the patience of a plateau are the defaults of `[train]`.
    pub lr_schedule: LrSchedule,
    /// The number of steps in which the learning rate rises from 0.
    pub warmup_steps: usize,
    /// The decay of the moving average of weights, 0 for no average; validation and prediction use the average.
    pub ema_decay: f64,
    /// The largest norm of the whole gradient, 0 for no limit.
    pub clip_grad_norm: f64,
    /// The pixels over which the sums of soft Dice run.
    pub dice_sums: DiceSums,
    /// The floating-point type of the products in the network.
    pub precision: Precision,
    /// The seed of initial weights, order, augmentation and split.
    pub seed: u64,
    /// The number of steps between lines of metrics.jsonl.
    pub log_every: usize,
    /// The number of steps between validations on the held-out groups; the checkpoint with the largest mean Dice is kept as `best`.
    pub validate_every: usize,
    /// The number of steps between checkpoints. With 0, checkpoints are written only at the end, at an interruption, and at a new best
    /// Dice.
    pub checkpoint_every: usize,
}

impl Default for SegmentTrainConfig {
    fn default() -> Self {
        Self {
            steps: 2_000,
            equal_epochs: false,
            patience: 0,
            pairs: PairUse::Mixed,
            pretrain_steps: 1_000,
            fine_tune_rate: 0.5,
            soft_edges: 0.0,
            batch_size: 8,
            micro_batch_size: TrainConfig::default().micro_batch_size,
            learning_rate: 1e-3,
            optimizer: OptimizerKind::AdamW,
            weight_decay: 0.01,
            lr_schedule: LrSchedule::Cosine,
            warmup_steps: 50,
            ema_decay: 0.99,
            clip_grad_norm: 1.0,
            dice_sums: DiceSums::Batch,
            precision: Precision::F32,
            seed: 0,
            log_every: 20,
            validate_every: 100,
            checkpoint_every: 500,
        }
    }
}

impl SegmentFile {
    /// The configuration of a segmenter's run.
    ///
    /// # Errors
    /// When it cannot be read, or is that of a generator's run.
    pub fn of_run(run: &RunDir) -> Result<Self> {
        run.config_as().map_err(|error| match run.config() {
            Ok(config) => Error::BadFile {
                path: run.path().to_owned(),
                problem: format!("this is the run of a generator (method {:?})", config.method.word()),
                advice: "expected that of a segmenter; give the --out of a pig segment train",
            },
            Err(_) => error,
        })
    }

    /// How the segmenter's probabilities become labels.
    pub fn decision(&self) -> Decision {
        let (segment, coding) = (&self.segment, self.data.coding());
        let own = |class: usize| self.data.classes.get(class).and_then(|own| segment.class_thresholds.get(&own.name));
        let threshold = |class: usize| own(class).copied().unwrap_or(segment.threshold);
        Decision { coding, thresholds: (0..coding.classes).map(threshold).collect() }
    }
}

impl SegmentTrainConfig {
    /// The settings of the optimiser; settings without a key in this section have the defaults of `[train]`.
    pub(crate) fn optim(&self) -> OptimConfig {
        OptimConfig {
            learning_rate: self.learning_rate,
            optimizer: self.optimizer,
            weight_decay: self.weight_decay,
            lr_schedule: self.lr_schedule,
            warmup_steps: self.warmup_steps,
            ema_decay: self.ema_decay,
            ..TrainConfig::default().optim()
        }
    }

    /// The number of optimiser steps for `pairs` training pairs, if there are `real` real training pairs.
    pub fn steps_for(&self, pairs: usize, real: usize) -> usize {
        if self.equal_epochs { (self.steps * pairs).div_ceil(real.max(1)) } else { self.steps }
    }
}

impl SegmentFile {
    /// Checks ranges, and combinations of settings.
    pub fn check(&self) -> Result<()> {
        self.data.check()?;
        let (segment, train) = (&self.segment, &self.segment.train);
        segment.augment.check()?;
        require_channels("segment.network.block_out_channels", &segment.network.block_out_channels)?;
        segment.network.validate(self.data.size)?;
        require(self.data.slices == 1, "data.slices", self.data.slices, "1: a segmenter processes single slices")?;
        let plain = self.data.augment == AugmentConfig::default();
        let expected = "the defaults: the augmentation of a segmenter is in [segment.augment]";
        require(plain, "data.augment", "changed", expected)?;
        require_count("segment.train.batch_size", train.batch_size, MOST_AT_ONCE)?;
        let (key, size) = ("segment.train.micro_batch_size", train.micro_batch_size);
        require(size <= MOST_AT_ONCE, key, size, &format!("0 (a whole batch) to {MOST_AT_ONCE}"))?;
        let (key, steps) = ("segment.train.steps", train.steps);
        require(steps <= MOST_STEPS, key, steps, &format!("at most {MOST_STEPS}"))?;
        let (key, first) = ("segment.train.pretrain_steps", train.pretrain_steps);
        let is_between = train.pairs == PairUse::Mixed || (1..steps).contains(&first);
        let expected =
            format!("1 or more, and less than segment.train.steps = {steps}, with segment.train.pairs = \"pretrain\"");
        require(is_between, key, first, &expected)?;
        let (key, soft) = ("segment.train.soft_edges", train.soft_edges);
        require((0.0..=MOST_SOFT).contains(&soft), key, soft, &format!("pixels from 0 to {MOST_SOFT}"))?;
        let (key, rate) = ("segment.train.fine_tune_rate", train.fine_tune_rate);
        require(rate > 0.0 && rate <= 1.0, key, rate, "a number above 0 and at most 1")?;
        for (key, value) in
            [("segment.train.log_every", train.log_every), ("segment.train.validate_every", train.validate_every)]
        {
            require(value > 0, key, value, "1 or more")?;
        }
        let share = |key, value: f64| require((0.0..1.0).contains(&value), key, value, "0 or more and below 1");
        share("segment.threshold", segment.threshold)?;
        check_thresholds("segment.class_thresholds", &segment.class_thresholds, (0.0, 1.0), &self.data)?;
        share("segment.network.dropout", segment.network.dropout)?;
        share("segment.train.ema_decay", train.ema_decay)?;
        let (key, rate) = ("segment.train.learning_rate", train.learning_rate);
        require(rate.is_finite() && rate > 0.0, key, rate, "a number above 0")?;
        let not_negative = |key, value: f64| require(value.is_finite() && value >= 0.0, key, value, "0 or more");
        not_negative("segment.train.weight_decay", train.weight_decay)?;
        not_negative("segment.train.clip_grad_norm", train.clip_grad_norm)
    }

    /// The resolved configuration as TOML.
    pub fn to_toml(&self) -> String {
        // Every field is a plain value, so this cannot fail.
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_train::config::Layers;

    fn with(sets: &[&str]) -> SegmentFile {
        Layers { file: None, sets: sets.iter().map(|&set| set.to_owned()).collect() }.load_as().unwrap()
    }

    #[test]
    fn defaults_hold_and_survive_their_own_toml() {
        let file = SegmentFile::default();
        file.check().unwrap();
        assert_eq!(toml::from_str::<SegmentFile>(&file.to_toml()).unwrap(), file);
    }

    #[test]
    fn equal_steps_or_equal_epochs() {
        let mut train = SegmentTrainConfig { steps: 100, ..SegmentTrainConfig::default() };
        assert_eq!((train.steps_for(150, 100), train.steps_for(50, 100)), (100, 100));
        train.equal_epochs = true;
        assert_eq!((train.steps_for(150, 100), train.steps_for(50, 100), train.steps_for(101, 300)), (150, 50, 34));
    }

    #[test]
    fn wrong_values_name_their_key() {
        for (set, key) in [
            ("segment.train.batch_size=0", "segment.train.batch_size = 0"),
            ("segment.train.batch_size=9000000000000000000", "expected 1 to 1000000"),
            ("segment.train.steps=9000000000000000000", "segment.train.steps = 9000000000000000000"),
            ("segment.network.block_out_channels=[9000000000000000000]", "expected 1 to 65536"),
            ("segment.threshold=1.5", "segment.threshold = 1.5"),
            ("segment.train.pairs=pretrain,segment.train.steps=1000", "segment.train.pretrain_steps = 1000"),
            ("segment.train.pairs=pretrain,segment.train.pretrain_steps=0", "segment.train.pretrain_steps = 0"),
            ("segment.train.soft_edges=-1", "segment.train.soft_edges = -1"),
            ("segment.train.fine_tune_rate=0", "segment.train.fine_tune_rate = 0"),
            ("segment.augment.blur=99", "blur"),
            ("segment.augment.rotation=-1", "segment.augment.rotation = -1"),
            ("data.augment.shift=0.1", "data.augment"),
            ("data.size=20", "20 x 20"),
        ] {
            let message = with(&set.split(',').collect::<Vec<_>>()).check().unwrap_err().to_string();
            assert!(message.contains(key), "{set}: {message}");
        }
    }
}
