//! The `[sample]` section.

use crate::role::{NetworkKind, Role};
use pig_diffusion::{
    guidance::Interval,
    karras::Churn,
    sampler::{SamplerKind, SamplerSettings},
    schedule::Schedule,
    step::VarianceType,
    timesteps::TimestepSpacing,
};
use pig_nn::pass::Precision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The members of a pair whose networks autoguidance guides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoguidedMembers {
    /// Mask and image.
    #[default]
    Pair,
    /// The image alone.
    Image,
    /// The mask alone: the guider of `pig`.
    Mask,
}

impl AutoguidedMembers {
    /// Whether the network of `role` makes one of these members.
    pub(crate) fn have(self, role: Role) -> bool {
        let is_mask = role == Role::ModelX;
        role.kind() == NetworkKind::UNet
            && match self {
                Self::Pair => true,
                Self::Image => !is_mask,
                Self::Mask => is_mask,
            }
    }
}

/// The table `[sample.autoguidance]`: sampling moves away from a worse version of the same networks (Karras et al. 2024). It costs a second
/// forward pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Autoguidance {
    /// The output is that of the worse network plus this times the difference to it: 1 for none.
    pub scale: f64,
    /// The worse networks are those of this step, whose checkpoints were kept by `train.keep_checkpoints`. Without this key and without
    /// `run`, they are those of the first step that `train.keep_checkpoints` keeps.
    pub step: Option<usize>,
    /// The worse networks are those of this run, whose training was shorter or whose networks are smaller, at its end or at `step`.
    pub run: Option<PathBuf>,
    /// The members of a pair whose networks are guided.
    pub members: AutoguidedMembers,
}

impl Default for Autoguidance {
    fn default() -> Self {
        Self { scale: 1.0, step: None, run: None, members: AutoguidedMembers::default() }
    }
}

impl Autoguidance {
    /// Whether it changes anything.
    pub fn is_on(&self) -> bool {
        self.scale != 1.0
    }

    /// The step of the worse networks, where a training keeps the checkpoints `kept`; none for the end of another run.
    pub(crate) fn worse_step(&self, kept: &[usize]) -> Option<usize> {
        let first = || kept.iter().min().copied().filter(|_| self.run.is_none());
        self.step.or_else(first)
    }
}

/// The `[sample]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct SampleConfig {
    /// Number of timesteps that sampling keeps.
    pub num_inference_steps: usize,
    /// Which timesteps are kept. As in diffusers, with leading and linspace `dpm-solver++`, its stochastic form and `uni-pc` choose one
    /// timestep more and replace the cleanest of them by the clean image.
    pub timestep_spacing: TimestepSpacing,
    /// The reverse step.
    pub sampler: SamplerKind,
    /// Use the noise levels of Karras et al. 2022 between those of t = T and t = 1 instead of `timestep_spacing`; for
    /// `dpm-solver++`, `dpm-solver++-sde`, `uni-pc` and `heun`. `edm` always uses them.
    pub use_karras_sigmas: bool,
    /// Order of `uni-pc`: 1, 2 or 3.
    pub solver_order: usize,
    /// Noise that `edm` adds over all steps together: S_churn of the paper, 0 for none.
    pub s_churn: f64,
    /// `edm` adds no noise where sigma = sqrt(1 - alpha_bar) / sqrt(alpha_bar) is below this.
    pub s_tmin: f64,
    /// `edm` adds no noise where sigma is above this.
    pub s_tmax: Option<f64>,
    /// Standard deviation of the noise that `edm` adds.
    pub s_noise: f64,
    /// Noise of DDIM: 0 for none, 1 for as much as in ancestral sampling.
    pub eta: f64,
    /// Variance of `sampler = "ddpm"`.
    pub variance_type: VarianceType,
    /// Clip x_0-hat to [-1, 1] at every step and recompute the noise from it.
    pub clip_sample: bool,
    /// End the last step at alpha_bar = 1; otherwise at alpha_bar_1.
    pub set_alpha_to_one: bool,
    /// Scale of the classifier-free guidance of the image network: 1 for none. With a larger scale images follow the mask more
    /// strictly. Any scale but 1 costs a second forward pass and needs `train.condition_dropout`.
    pub guidance_scale: f64,
    /// Take the scale of guidance with which lesions of generated pairs have the contrast of real ones, from 1 (none) to 3. It is found at the end of the
    /// training with twice 128 pairs, and kept in the run. Needs `train.condition_dropout`, and leaves `guidance_scale` at 1.
    pub match_contrast: bool,
    /// The least and the greatest noise level, sigma = sqrt(1 - alpha_bar) / sqrt(alpha_bar), at which `guidance_scale` and `autoguidance`
    /// act; at all levels without this key. Guidance at high noise narrows what is made (Kynkaanniemi et al. 2024).
    pub guidance_interval: Option<[f64; 2]>,
    /// Guidance by a worse version of the same networks.
    pub autoguidance: Autoguidance,
    /// Make each image a second time, from the same noise, for the finished mask of its pair: from the first step on, the network sees the mask
    /// that the pair is written with, and not an estimate of it. For `pig`, and for `joint` with independent noise levels.
    pub second_pass: bool,
    /// Smooth and threshold x_0-hat at every step before model_y sees it, as the released code does.
    pub guide_threshold: bool,
    /// At timesteps whose alpha_bar is at least `guide_every_alpha_bar`, evaluate model_x only once in this many evaluations, and use
    /// its last mask in the others. 1 evaluates it every time.
    pub guide_every: usize,
    /// The alpha_bar from which `guide_every` applies: 0.5 is as much noise as signal, and 1 is the clean image.
    pub guide_every_alpha_bar: f64,
    /// Noise on model_y's condition, given as the timestep with that noise level; at most `train.condition_augmentation`, 0 for none.
    pub condition_augmentation: usize,
    /// How often each step is made when `pig` makes masks for given images; in between, noise is added to the mask again (RePaint's
    /// resampling, Lugmayr et al. 2022). With 1, or if the masks of the data are very unlike each other, masks follow the image loosely.
    pub jump_n_sample: usize,
    /// A mask pixel is lesion if x_0 is above this value, in [-1, 1].
    pub mask_threshold: f32,
    /// Thresholds of single classes by their names, in place of `mask_threshold`, where `data.classes_overlap` lets each class have its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub class_thresholds: BTreeMap<String, f32>,
    /// Lesions of fewer pixels are removed from generated masks.
    pub min_component_area: usize,
    /// Pixels at or below this value, in [-1, 1], are air and count neither as lesion nor as ring when pair agreement is
    /// measured. Leave it out if lesions can be as dark as the background.
    pub agreement_background: Option<f32>,
    /// Samples computed at once; changes no result.
    pub batch_size: usize,
    /// Floating-point type of the products in the networks.
    pub precision: Precision,
    /// Seed of all noise, together with the sample's id.
    pub seed: u64,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            num_inference_steps: 256,
            timestep_spacing: TimestepSpacing::Trailing,
            sampler: SamplerKind::Ddim,
            use_karras_sigmas: false,
            solver_order: 2,
            s_churn: 0.0,
            s_tmin: 0.0,
            s_tmax: None,
            s_noise: 1.0,
            eta: 0.0,
            variance_type: VarianceType::FixedSmall,
            clip_sample: false,
            set_alpha_to_one: true,
            guidance_scale: 1.0,
            match_contrast: false,
            guidance_interval: None,
            autoguidance: Autoguidance::default(),
            second_pass: false,
            guide_threshold: false,
            guide_every: 1,
            guide_every_alpha_bar: 0.5,
            condition_augmentation: 0,
            jump_n_sample: 10,
            mask_threshold: 0.0,
            class_thresholds: BTreeMap::new(),
            min_component_area: 4,
            agreement_background: None,
            batch_size: 8,
            precision: Precision::F32,
            seed: 0,
        }
    }
}

impl SampleConfig {
    /// The timesteps of `schedule`, which has the noise levels of the sampling, at which guidance acts.
    pub(crate) fn guided_levels(&self, schedule: &Schedule) -> Interval {
        self.guidance_interval.map_or_else(Interval::default, |levels| Interval::of(schedule, levels))
    }

    /// The settings as pairs record them. `is_given` says whether masks or images are given. Settings that came later and change nothing are left
    /// out, so that a hash of the rest stays as it was and older folders can be continued.
    pub(crate) fn recorded(&self, is_given: bool) -> serde_json::Value {
        let mut all = serde_json::json!(self);
        if let Some(settings) = all.as_object_mut() {
            if !self.autoguidance.is_on() {
                settings.remove("autoguidance");
            }
            // There is no second pass if masks or images are given.
            if !self.second_pass || is_given {
                settings.remove("second_pass");
            }
            // The scale that was found is recorded, and the same one given by hand makes the same pairs.
            settings.remove("match_contrast");
            if self.guidance_interval.is_none() {
                settings.remove("guidance_interval");
            }
        }
        all
    }

    /// Those of the settings that decide which pairs are made.
    pub(crate) fn deciding(&self, is_given: bool) -> serde_json::Value {
        let mut own = self.clone();
        // Neither setting changes a pair: the batch size by construction; the background is used only to measure agreement.
        (own.batch_size, own.agreement_background) = (1, None);
        // The weights of the other run are a part of the model's hash, so its place does not matter.
        own.autoguidance.run = None;
        own.recorded(is_given)
    }

    /// The settings that determine the steps of a sampling.
    pub fn sampler_settings(&self) -> SamplerSettings {
        SamplerSettings {
            sampler: self.sampler,
            num_inference_steps: self.num_inference_steps,
            timestep_spacing: self.timestep_spacing,
            use_karras_sigmas: self.use_karras_sigmas,
            solver_order: self.solver_order,
            churn: Churn { s_churn: self.s_churn, s_tmin: self.s_tmin, s_tmax: self.s_tmax.unwrap_or(f64::INFINITY) },
            s_noise: self.s_noise,
            eta: self.eta,
            variance_type: self.variance_type,
            set_alpha_to_one: self.set_alpha_to_one,
        }
    }
}
