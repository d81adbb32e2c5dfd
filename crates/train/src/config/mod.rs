//! One TOML file is the experiment: what every key means, and its default.

mod belongs;
mod check;
mod load;
mod model_y;
mod sampler;

pub(crate) use check::require;
pub use load::{ConfigError, Layers};
pub use model_y::{Conditioning, FrozenCondition, LossWeight, ModelYConfig};
pub use sampler::SamplerKind;

use pig_data::DataConfig;
use pig_diffusion::{schedule::ScheduleConfig, step::VarianceType, timesteps::TimestepSpacing};
use pig_nn::{
    autoencoder::AutoencoderConfig, config::UNetConfig, control::ControlConfig, network::Role, pass::Precision,
    volume::Volume,
};
use serde::{Deserialize, Serialize};

/// The whole experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is trained and sampled.
    pub method: Method,
    /// How files become numbers.
    pub data: DataConfig,
    /// The noise schedule.
    pub schedule: ScheduleConfig,
    /// The network of masks: the guider of `pig`, and the one network of `joint`; no other method has it.
    pub model_x: UNetConfig,
    /// The network of images: the conditional model of `pig`, and the network of every method but `joint`.
    pub model_y: ModelYConfig,
    /// The control network of `controlnet`.
    pub control: ControlConfig,
    /// The autoencoder of `ldm`.
    pub autoencoder: AutoencoderConfig,
    /// The training of each network.
    pub train: TrainConfig,
    /// How pairs are sampled and finished.
    pub sample: SampleConfig,
}

/// What is trained and sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The paper: a diffusion guider for masks and a conditional diffusion model for images.
    #[default]
    Pig,
    /// One network with two inputs and two outputs: the baseline that the paper lacks.
    Joint,
    /// Images without masks, ancestral steps at all T timesteps (Ho et al. 2020).
    Ddpm,
    /// The same network as `ddpm`, by DDIM at any number of steps with any eta (Song et al. 2021).
    Ddim,
    /// Images for masks: pixel-space diffusion with the mask concatenated (Konz et al. 2024).
    SegGuided,
    /// Images for masks: a frozen unconditional base steered by a copy of its encoder (Zhang et al. 2023).
    Controlnet,
    /// Images for masks: diffusion on an autoencoder's latents with the mask concatenated (Rombach et al. 2022).
    Ldm,
}

/// What a sampling may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenKind {
    /// Nothing: masks and images, or images alone, are made from noise.
    Nothing,
    /// Masks, to make images for.
    Masks,
    /// Images, to make masks for.
    Images,
}

impl Method {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pig => "pig",
            Self::Joint => "joint",
            Self::Ddpm => "ddpm",
            Self::Ddim => "ddim",
            Self::SegGuided => "seg-guided",
            Self::Controlnet => "controlnet",
            Self::Ldm => "ldm",
        }
    }

    /// Whether it makes masks with its images.
    pub fn makes_masks(self) -> bool {
        matches!(self, Self::Pig | Self::Joint)
    }

    /// Whether it makes images for masks that come from elsewhere, and nothing without.
    pub fn needs_masks(self) -> bool {
        matches!(self, Self::SegGuided | Self::Controlnet | Self::Ldm)
    }

    /// Whether a network of it is told a mask, so that its condition can be dropped.
    pub fn is_mask_conditioned(self) -> bool {
        self == Self::Pig || self.needs_masks()
    }
}

/// The optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2015); weight decay is added to the gradient.
    Adam,
    /// AdamW (Loshchilov and Hutter 2019); weight decay shrinks the weights directly.
    #[default]
    #[serde(alias = "adam-w")]
    AdamW,
}

/// How the learning rate moves after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LrSchedule {
    /// Stays.
    #[default]
    Constant,
    /// Falls to 0 along half a cosine at `train.steps`.
    Cosine,
    /// Is multiplied by `plateau_factor` when the training loss of an epoch has not fallen for `plateau_patience` epochs.
    Plateau,
}

/// How a batch's timesteps are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestepSampling {
    /// Each uniform in 1..=T: the paper.
    #[default]
    Uniform,
    /// Half the batch uniform, the other half mirrored (t and T + 1 - t): the released code.
    Antithetic,
}

/// The noise levels of the two members of a pair in `joint`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseLevels {
    /// One timestep for mask and image: the baseline.
    #[default]
    Shared,
    /// A timestep for each: an extension that also makes images for masks and masks for images (Bao et al. 2023).
    Independent,
}

/// The members of a pair of `pig` whose loss `train.min_snr_gamma` weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Members {
    /// Mask and image.
    #[default]
    Pair,
    /// The image alone. Whether there is a lesion at all is decided where there is hardly any signal, and that is where
    /// min-SNR weights are close to 0.
    Image,
}

/// The `[train]` section; every number holds for each network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Optimiser steps of each network.
    pub steps: usize,
    /// Optimiser steps of model_x, where they differ.
    pub model_x_steps: Option<usize>,
    /// Optimiser steps of the base of `controlnet`, where they differ.
    pub base_steps: Option<usize>,
    /// Optimiser steps of the autoencoder of `ldm`, where they differ.
    pub autoencoder_steps: Option<usize>,
    /// Weight of the divergence of the autoencoder's latents from the standard normal distribution; both it and the absolute
    /// error count as sums over the image.
    pub kl_weight: f64,
    /// Weight of the absolute error over a Laplacian pyramid in the autoencoder's loss, beside 1 for that of pixels.
    pub pyramid_weight: f64,
    /// Images in a batch.
    pub batch_size: usize,
    /// Batches whose gradients are averaged into one step.
    pub gradient_accumulation_steps: usize,
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
    /// How the learning rate moves after warm-up.
    pub lr_schedule: LrSchedule,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: usize,
    /// Factor of `lr_schedule = "plateau"`.
    pub plateau_factor: f64,
    /// Epochs without a lower loss that `lr_schedule = "plateau"` waits.
    pub plateau_patience: usize,
    /// Decay of the moving average of weights, 0 for none; sampling uses the average.
    pub ema_decay: f64,
    /// The decay starts lower and rises: min(ema_decay, (1 + step) / (10 + step)).
    pub ema_warmup: bool,
    /// How a batch's timesteps are drawn.
    pub timestep_sampling: TimestepSampling,
    /// Share of model_y's training samples that are given the clean mask where `conditioning` is `xhat`, so that the
    /// model also takes masks from elsewhere.
    pub clean_condition_prob: f64,
    /// Share of the training samples of an image network whose condition is replaced by the null condition, 0 at every
    /// pixel (between background, -1, and lesion, +1), so that `sample.guidance_scale` can be used. Ho and Salimans (2022) take 0.1.
    pub condition_dropout: f64,
    /// Noise levels of the two members of a pair in `joint`.
    pub noise_levels: NoiseLevels,
    /// With independent noise levels, the share of training samples whose mask or image (half each) is clean.
    pub clean_level_prob: f64,
    /// Share of the training samples of `seg-guided` that are shown an empty mask: mask-ablated training. Konz et al. (2024)
    /// take 0.5 for one class.
    pub mask_ablation_prob: f64,
    /// Noise on model_y's condition while training (condition augmentation, Ho et al. 2022, "Cascaded Diffusion Models"): to
    /// a level drawn evenly from 0 to this timestep, 0 for none. The U-Net is not told the level, as theirs is.
    pub condition_augmentation: usize,
    /// Weigh the loss by min(SNR, gamma), as an error of x_0 (min-SNR-gamma, Hang et al. 2023, who take 5); without it
    /// every timestep weighs the same.
    pub min_snr_gamma: Option<f64>,
    /// Whose loss `min_snr_gamma` weighs in `pig`; in `joint` one network learns both, and it weighs both.
    pub min_snr_members: Members,
    /// Deviation of one further draw for each image and channel that is added to all pixels of the training noise (offset
    /// noise, Guttenberg 2023, who takes 0.1), so that mean brightness is learned, too; 0 for none.
    pub noise_offset: f64,
    /// Largest norm of the whole gradient, 0 for no limit.
    pub clip_grad_norm: f64,
    /// Floating-point type of the products in the network.
    pub precision: Precision,
    /// Keep less of the forward pass, and compute it again in the backward pass: less memory for about a third more time.
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
    /// Steps between checkpoints, 0 for only at the end and when interrupted.
    pub checkpoint_every: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 20_000,
            model_x_steps: None,
            base_steps: None,
            autoencoder_steps: None,
            kl_weight: 1e-6,
            pyramid_weight: 1.0,
            batch_size: 8,
            gradient_accumulation_steps: 1,
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
            checkpoint_every: 1_000,
        }
    }
}

/// The `[sample]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct SampleConfig {
    /// Kept timesteps.
    pub num_inference_steps: usize,
    /// Which timesteps are kept. As in diffusers, `dpm-solver++`, its stochastic form and `uni-pc` keep one more with leading and
    /// linspace, and take the clean image in place of the cleanest.
    pub timestep_spacing: TimestepSpacing,
    /// The reverse step.
    pub sampler: SamplerKind,
    /// Walk the noise levels of Karras et al. 2022 between those of t = T and t = 1, whatever the spacing; for
    /// `dpm-solver++`, `dpm-solver++-sde`, `uni-pc` and `heun`. `edm` always does.
    pub use_karras_sigmas: bool,
    /// Order of `uni-pc`: 1, 2 or 3.
    pub solver_order: usize,
    /// Noise of `edm`, named as in the paper: S_churn over all steps, 0 for none.
    pub s_churn: f64,
    /// `edm` adds no noise where sigma = sqrt(1 - alpha_bar) / sqrt(alpha_bar) is below this.
    pub s_tmin: f64,
    /// `edm` adds no noise where sigma is above this.
    pub s_tmax: Option<f64>,
    /// Deviation of the noise that `edm` adds.
    pub s_noise: f64,
    /// Noise of DDIM: 0 none, 1 as much as ancestral sampling.
    pub eta: f64,
    /// Variance of `sampler = "ddpm"`.
    pub variance_type: VarianceType,
    /// Clip x_0-hat to [-1, 1] at every step and recompute the noise from it.
    pub clip_sample: bool,
    /// End the last step at alpha_bar = 1; otherwise at alpha_bar_1.
    pub set_alpha_to_one: bool,
    /// Classifier-free guidance of the image network: 1 is the network itself, more follows the mask more strictly and
    /// costs a second forward pass. Needs `train.condition_dropout`.
    pub guidance_scale: f64,
    /// Smooth and threshold x_0-hat at every step before model_y sees it, as the released code does.
    pub guide_threshold: bool,
    /// Ask model_x only once in this many looks where alpha_bar_t is at least `guide_every_alpha_bar`; between them its
    /// last mask stays. 1 always asks.
    pub guide_every: usize,
    /// Where `guide_every` begins: alpha_bar is 0.5 where there is as much noise as signal, and 1 in the clean image.
    pub guide_every_alpha_bar: f64,
    /// Noise on model_y's condition, to the level of this timestep; at most `train.condition_augmentation`. 0 for none.
    pub condition_augmentation: usize,
    /// How often each move is made where `pig` makes masks for given images, the mask noised back in between: RePaint's
    /// resampling (Lugmayr et al. 2022). With 1, and where masks are very unlike each other, they follow the image loosely.
    pub jump_n_sample: usize,
    /// A mask pixel is lesion where x_0 is above this, in [-1, 1].
    pub mask_threshold: f32,
    /// Lesions of fewer pixels are removed from generated masks.
    pub min_component_area: usize,
    /// Pixels at or below this value, in [-1, 1], are air and count neither as lesion nor as ring when pair agreement is
    /// measured. Leave it out where lesions can be as dark as the background.
    pub agreement_background: Option<f32>,
    /// Samples computed at once; changes no result.
    pub batch_size: usize,
    /// Floating-point type of the products in the networks.
    pub precision: Precision,
    /// Seed of all noise, beside the sample's own id.
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
            guide_threshold: false,
            guide_every: 1,
            guide_every_alpha_bar: 0.5,
            condition_augmentation: 0,
            jump_n_sample: 10,
            mask_threshold: 0.0,
            min_component_area: 4,
            agreement_background: None,
            batch_size: 8,
            precision: Precision::F32,
            seed: 0,
        }
    }
}

impl Config {
    /// Optimiser steps of the network of this role.
    pub fn steps(&self, role: Role) -> usize {
        match role {
            Role::ModelX => self.train.model_x_steps,
            Role::Unconditional => self.train.base_steps,
            Role::Autoencoder => self.train.autoencoder_steps,
            _ => None,
        }
        .unwrap_or(self.train.steps)
    }

    /// Whether the network of this role is somebody's, and not trained.
    pub fn is_frozen(&self, role: Role) -> bool {
        role == Role::ModelY && self.model_y.frozen.is_some()
    }

    /// The U-Net of this role.
    pub fn unet(&self, role: Role) -> &UNetConfig {
        match role {
            Role::ModelX | Role::Joint => &self.model_x,
            _ => &self.model_y.unet,
        }
    }

    /// Whether images are made of an autoencoder's latents.
    pub fn has_latents(&self) -> bool {
        self.method == Method::Ldm || self.model_y.frozen_autoencoder.is_some()
    }

    /// Size and channels of what the U-Net of this role denoises: images, or their latents. The mask of a pair has that size, too. The
    /// slices of a volume lie below each other.
    pub fn grid(&self, role: Role) -> ([usize; 2], usize) {
        match role {
            Role::Latent | Role::ModelX | Role::ModelY if self.has_latents() => {
                let [height, width] = self.autoencoder.latent_size(self.data.slice_size());
                let slices = if self.has_volumes() { self.data.slices / self.autoencoder.factor() } else { 1 };
                ([slices * height, width], self.autoencoder.latent_channels)
            }
            _ => (self.data.size, self.data.channels),
        }
    }

    /// Depth (1 for pictures), height and width of what the U-Net of this role denoises.
    pub fn extent(&self, role: Role) -> [usize; 3] {
        let ([rows, width], _) = self.grid(role);
        // Fewer slices than one latent has are refused by the check; asking for them here must not divide by zero.
        let depth = self.volume().map_or(1, |volume| volume.depth_at(width)).max(1);
        [depth, rows / depth, width]
    }

    /// Whether the data are volumes.
    pub fn has_volumes(&self) -> bool {
        self.data.slices > 1
    }

    /// What networks are told of the data's shape, where they are volumes.
    pub fn volume(&self) -> Option<Volume> {
        self.has_volumes().then(|| Volume { depth: self.data.slices, width: self.data.size[1] })
    }

    /// The networks of the method, in the order of training.
    pub fn roles(&self) -> &'static [Role] {
        match self.method {
            Method::Pig => &[Role::ModelX, Role::ModelY],
            Method::Joint => &[Role::Joint],
            Method::Ddpm | Method::Ddim => &[Role::Unconditional],
            Method::SegGuided => &[Role::SegGuided],
            Method::Controlnet => &[Role::Unconditional, Role::Control],
            Method::Ldm => &[Role::Autoencoder, Role::Latent],
        }
    }

    /// Those of [`roles`](Self::roles) that are not somebody's.
    pub fn trained_roles(&self) -> impl Iterator<Item = Role> {
        self.roles().iter().copied().filter(|&role| !self.is_frozen(role))
    }

    /// Whether `pig sample` can start from what is given.
    pub fn takes(&self, given: GivenKind) -> bool {
        let both_ways = match self.method {
            Method::Pig => true,
            Method::Joint => self.train.noise_levels == NoiseLevels::Independent,
            _ => false,
        };
        match given {
            GivenKind::Nothing => !self.method.needs_masks(),
            GivenKind::Masks => both_ways || self.method.needs_masks(),
            GivenKind::Images => both_ways,
        }
    }

    /// The resolved configuration as TOML.
    pub fn to_toml(&self) -> String {
        // Every field is a plain value, so this cannot fail.
        toml::to_string_pretty(self).unwrap_or_default()
    }
}
