//! The `[train]` section.

use pig_nn::pass::Precision;
use pig_optim::{LrSchedule, OptimConfig, OptimizerKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a batch's timesteps are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimestepSampling {
    /// Each uniform in 1..=T: the paper.
    #[default]
    Uniform,
    /// Half the batch uniform, the other half mirrored (t and T + 1 - t): the released code.
    Antithetic,
    /// The timestep whose sigma = sqrt(1 - alpha_bar) / sqrt(alpha_bar) is nearest to a draw from a log-normal distribution (Karras et al.
    /// 2022, EDM): few samples at hardly any noise and at hardly any signal. With `prediction_type = "v_prediction"`, the plain loss then
    /// has EDM's weights for data of standard deviation 1.
    LogNormal,
}

/// Images without masks beside the pairs of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unlabelled {
    /// None.
    #[default]
    None,
    /// Those of the folder that `pig train --unlabelled` names.
    Folder,
    /// Those of the pairs that the split leaves out, without their masks.
    Rest,
}

/// The noise levels of the two members of a pair in `joint`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseLevels {
    /// One timestep for mask and image: the baseline.
    #[default]
    Shared,
    /// A timestep for each: an extension that also makes images for masks and masks for images (Bao et al. 2023).
    Independent,
}

/// The members of a pair whose loss `train.min_snr_gamma` weights in `pig`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Members {
    /// Mask and image.
    #[default]
    Pair,
    /// The image alone. Whether there is a lesion at all is decided at timesteps with hardly any signal, and there min-SNR
    /// weights are close to 0.
    Image,
}

/// The `[train]` section. Every value applies to each network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Optimiser steps of each network.
    pub steps: usize,
    /// Optimiser steps of model_x, if they differ from `steps`.
    pub model_x_steps: Option<usize>,
    /// Optimiser steps of the base of `controlnet`, if they differ from `steps`.
    pub base_steps: Option<usize>,
    /// Optimiser steps of the autoencoder of `ldm`, if they differ from `steps`.
    pub autoencoder_steps: Option<usize>,
    /// Weight of the divergence of the autoencoder's latents from the standard normal distribution. Both the divergence and the
    /// absolute error count as sums over the image.
    pub kl_weight: f64,
    /// Weight of the absolute error over a Laplacian pyramid in the autoencoder's loss. The absolute error of pixels has weight 1.
    pub pyramid_weight: f64,
    /// Start from the weights of a run, or of a model from `pig weights import`, instead of random ones: arrays of equal name and shape are
    /// taken, the others are listed. A network of images may start from one with other inputs.
    pub init: Option<PathBuf>,
    /// Images in a batch.
    pub batch_size: usize,
    /// Batches whose gradients are averaged into one step.
    pub gradient_accumulation_steps: usize,
    /// Images that a worker takes through the network at once on the CPU, 0 for a whole batch. The sums of a step are added micro-batch
    /// by micro-batch, so this number changes the last bits of the result; the number of workers does not. Other devices take whole
    /// batches.
    pub micro_batch_size: usize,
    /// Learning rate after warm-up.
    pub learning_rate: f64,
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// Decay of the gradient's running mean.
    pub adam_beta1: f64,
    /// Decay of the gradient's running square.
    pub adam_beta2: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// How the learning rate changes after warm-up.
    pub lr_schedule: LrSchedule,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: usize,
    /// Factor by which `lr_schedule = "plateau"` multiplies the learning rate.
    pub plateau_factor: f64,
    /// Number of epochs without a lower loss that `lr_schedule = "plateau"` allows before it multiplies.
    pub plateau_patience: usize,
    /// Decay of the moving average of weights, 0 for none; sampling uses the average.
    pub ema_decay: f64,
    /// The decay starts lower and rises: min(ema_decay, (1 + step) / (10 + step)).
    pub ema_warmup: bool,
    /// How a batch's timesteps are drawn.
    pub timestep_sampling: TimestepSampling,
    /// Mean of ln(sigma) with `timestep_sampling = "log-normal"`.
    pub log_normal_mean: f64,
    /// Standard deviation of ln(sigma) with `timestep_sampling = "log-normal"`.
    pub log_normal_std: f64,
    /// Images without masks that the image network learns from, with the null condition, beside the pairs. `pig train --unlabelled DIR` sets
    /// "folder". The guider learns from pairs alone.
    pub unlabelled: Unlabelled,
    /// Share of the training samples of an image network that are images without masks, if there are any.
    pub unlabelled_share: f64,
    /// Draws training pairs so that each of several classes comes equally often: a pair with lesion gives way to one of a class that is
    /// drawn first. Pairs without lesion keep their share. Rare classes are then shown more often than they occur, and generated masks
    /// have them more often, too.
    pub balance_classes: bool,
    /// With `conditioning = "xhat"`, the share of model_y's training samples that get the clean mask, so that the model also
    /// accepts given masks.
    pub clean_condition_prob: f64,
    /// Share of the training samples of an image network whose condition is replaced by the null condition, 0 at every
    /// pixel (between background, -1, and lesion, +1), so that `sample.guidance_scale` can be used. Ho and Salimans (2022) use 0.1.
    pub condition_dropout: f64,
    /// Noise levels of the two members of a pair in `joint`.
    pub noise_levels: NoiseLevels,
    /// With independent noise levels, the share of training samples whose mask or image (half each) is clean.
    pub clean_level_prob: f64,
    /// Share of the training samples of `seg-guided` that get an empty mask: mask-ablated training. Konz et al. (2024) use 0.5
    /// for one class.
    pub mask_ablation_prob: f64,
    /// Noise on model_y's condition in training (condition augmentation, Ho et al. 2022, "Cascaded Diffusion Models"): the noise
    /// level of a timestep drawn evenly from 0 to this one, 0 for none. Unlike theirs, the U-Net does not get the level as input.
    pub condition_augmentation: usize,
    /// Weight the loss, as an error of x_0, by min(SNR, gamma) (min-SNR-gamma, Hang et al. 2023, who use 5). Without this key
    /// every timestep has the same weight.
    pub min_snr_gamma: Option<f64>,
    /// The members of a pair whose loss `min_snr_gamma` weights in `pig`. In `joint` one network learns both members, and the loss
    /// of both is weighted.
    pub min_snr_members: Members,
    /// Standard deviation of offset noise (Guttenberg 2023, who uses 0.1): one more random value for each image and channel, added
    /// to all pixels of the training noise, so that the mean brightness is learned too. 0 for none.
    pub noise_offset: f64,
    /// Largest norm of the whole gradient, 0 for no limit.
    pub clip_grad_norm: f64,
    /// Floating-point type of the products in the network.
    pub precision: Precision,
    /// Store less of the forward pass and compute it again in the backward pass: less memory for about a third more time.
    pub gradient_checkpointing: bool,
    /// Seed of weights, order, noise, augmentation and the split.
    pub seed: u64,
    /// Steps between lines of metrics.jsonl.
    pub log_every: usize,
    /// Steps between validations on the held-out groups, 0 for never.
    pub validate_every: usize,
    /// Held-out pairs used in a validation, at most.
    pub validation_samples: usize,
    /// Steps between preview pictures, 0 for never.
    pub preview_every: usize,
    /// Pairs that are sampled for each preview to measure whether images fit their masks and whether they are copies of training images;
    /// 0 to measure nothing. Of pictures larger than 128 x 128 there are fewer, but at least eight.
    pub watch_samples: usize,
    /// End the training of an image network if at least this share of the pairs that `watch_samples` counts may be copies of training
    /// images, and go back to the last preview before; 0.05 is expected without copies. Without this key a training never ends for it.
    pub stop_on_copies: Option<f64>,
    /// Steps between checkpoints, 0 for only at the end and when interrupted.
    pub checkpoint_every: usize,
    /// Steps after which each network's checkpoint is kept for good, such as for `sample.autoguidance`. Of the others, the last two and the
    /// best one are kept.
    pub keep_checkpoints: Vec<usize>,
    /// The hours that `pig plan` forecast for this training, which its report compares with the time that it took. Changes no result.
    pub planned_hours: Option<f64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 20_000,
            model_x_steps: None,
            base_steps: None,
            autoencoder_steps: None,
            init: None,
            kl_weight: 1e-6,
            pyramid_weight: 1.0,
            batch_size: 8,
            gradient_accumulation_steps: 1,
            micro_batch_size: 4,
            learning_rate: 1e-4,
            optimizer: OptimizerKind::AdamW,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            weight_decay: 0.01,
            lr_schedule: LrSchedule::Constant,
            warmup_steps: 500,
            plateau_factor: 0.25,
            plateau_patience: 4,
            ema_decay: 0.999,
            ema_warmup: true,
            timestep_sampling: TimestepSampling::Uniform,
            log_normal_mean: -1.2,
            log_normal_std: 1.2,
            unlabelled: Unlabelled::None,
            unlabelled_share: 0.5,
            balance_classes: false,
            clean_condition_prob: 0.0,
            condition_dropout: 0.0,
            noise_levels: NoiseLevels::Shared,
            clean_level_prob: 0.2,
            mask_ablation_prob: 0.0,
            condition_augmentation: 0,
            min_snr_gamma: None,
            min_snr_members: Members::Pair,
            noise_offset: 0.0,
            clip_grad_norm: 1.0,
            precision: Precision::F32,
            gradient_checkpointing: false,
            seed: 0,
            log_every: 10,
            validate_every: 500,
            validation_samples: 128,
            preview_every: 2_000,
            watch_samples: 32,
            stop_on_copies: None,
            checkpoint_every: 1_000,
            keep_checkpoints: Vec::new(),
            planned_hours: None,
        }
    }
}

impl TrainConfig {
    /// The number of images in an optimiser step.
    pub fn images_in_step(&self) -> usize {
        self.batch_size * self.gradient_accumulation_steps
    }

    /// The same training in miniature, or enlarged: every key that counts optimiser steps is multiplied by `factor` and rounded. What is
    /// not 0 stays at least 1. A forecast of its hours is dropped.
    #[must_use]
    pub fn with_steps_scaled(mut self, factor: f64) -> Self {
        let scaled = |steps: usize| if steps == 0 { 0 } else { ((steps as f64 * factor).round() as usize).max(1) };
        let (all, own) = self.step_counts();
        for steps in all.into_iter().chain(own.into_iter().flatten()) {
            *steps = scaled(*steps);
        }
        self.keep_checkpoints.iter_mut().for_each(|step| *step = scaled(*step));
        self.planned_hours = None;
        self
    }

    /// The same training with all numbers of steps of another one.
    #[must_use]
    pub fn with_steps_of(mut self, other: &Self) -> Self {
        let mut other = other.clone();
        let ((all, own), (theirs, their_own)) = (self.step_counts(), other.step_counts());
        all.into_iter().zip(theirs).for_each(|(steps, other)| *steps = *other);
        own.into_iter().zip(their_own).for_each(|(steps, other)| *steps = *other);
        self.keep_checkpoints = other.keep_checkpoints;
        self
    }

    /// Every key that counts optimiser steps: those that always have a number, and those of single networks.
    fn step_counts(&mut self) -> ([&mut usize; 6], [&mut Option<usize>; 3]) {
        (
            [
                &mut self.steps,
                &mut self.warmup_steps,
                &mut self.log_every,
                &mut self.validate_every,
                &mut self.preview_every,
                &mut self.checkpoint_every,
            ],
            [&mut self.model_x_steps, &mut self.base_steps, &mut self.autoencoder_steps],
        )
    }

    /// The settings of the optimiser.
    pub fn optim(&self) -> OptimConfig {
        OptimConfig {
            optimizer: self.optimizer,
            learning_rate: self.learning_rate,
            adam_beta1: self.adam_beta1,
            adam_beta2: self.adam_beta2,
            weight_decay: self.weight_decay,
            lr_schedule: self.lr_schedule,
            warmup_steps: self.warmup_steps,
            plateau_factor: self.plateau_factor,
            plateau_patience: self.plateau_patience,
            ema_decay: self.ema_decay,
            ema_warmup: self.ema_warmup,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_scaled_with_all_its_numbers_of_steps() {
        let whole = TrainConfig {
            steps: 2600,
            model_x_steps: Some(1500),
            warmup_steps: 100,
            preview_every: 0,
            keep_checkpoints: vec![500],
            ..Default::default()
        };
        let planned = TrainConfig { planned_hours: Some(8.0), ..whole.clone() };
        assert_eq!(planned.with_steps_scaled(0.01).planned_hours, None);
        let part = whole.clone().with_steps_scaled(0.01);
        assert_eq!((part.steps, part.model_x_steps, part.base_steps), (26, Some(15), None));
        assert_eq!((part.warmup_steps, part.log_every, part.validate_every, part.preview_every), (1, 1, 5, 0));
        assert_eq!(part.keep_checkpoints, [5]);
        assert_eq!((part.batch_size, part.learning_rate), (whole.batch_size, whole.learning_rate));
        assert_eq!(whole.clone().with_steps_scaled(2.0).model_x_steps, Some(3000));
        assert_eq!(whole.clone().with_steps_scaled(1.0), whole);
        assert_eq!(part.with_steps_of(&whole), whole);
    }
}
