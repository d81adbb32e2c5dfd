//! One TOML file describes the experiment. Here are the meaning and the default of every key.

mod belongs;
mod check;
mod classes;
mod levels;
mod load;
mod method;
mod migrate;
mod model_y;
mod preconditioning;
mod sample;
mod scaled;
pub(crate) mod train;

pub use check::{MOST_AT_ONCE, MOST_STEPS, require, require_channels, require_count};
pub use classes::check_thresholds;
pub use load::{ConfigError, Layers};
pub use method::{FromNoise, GivenKind, Method};
pub use model_y::{Conditioning, FrozenCondition, FrozenConfig, LossWeight, ModelYConfig};
pub use preconditioning::{PreconditioningConfig, PreconditioningKind};
pub use sample::{Autoguidance, AutoguidedMembers, SampleConfig};
pub use train::{Members, NoiseLevels, TimestepSampling, TrainConfig, Unlabelled};

use crate::role::{Role, Section};
use pig_data::{Channels, CleanMask, DataConfig, SpaceKind, clean_labels};
use pig_diffusion::schedule::ScheduleConfig;
use pig_nn::{
    autoencoder::AutoencoderConfig, config::UNetConfig, control::ControlConfig, space::Space, volume::Volume,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The word for a value in a configuration, such as "v_prediction"; for messages.
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The whole experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is trained and sampled.
    pub method: Method,
    /// How files become numbers.
    pub data: DataConfig,
    /// The noise schedule.
    pub schedule: ScheduleConfig,
    /// How what networks read and predict is scaled.
    pub preconditioning: PreconditioningConfig,
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
    /// How pairs are sampled and postprocessed.
    pub sample: SampleConfig,
}

impl Config {
    /// Optimiser steps of the network of this role.
    pub fn steps(&self, role: Role) -> usize {
        role.own_steps(&self.train).unwrap_or(self.train.steps)
    }

    /// Whether the network of this role was trained elsewhere and is not trained here.
    pub fn is_frozen(&self, role: Role) -> bool {
        role == Role::ModelY && self.model_y.frozen.model.is_some()
    }

    /// The U-Net of this role, or the base of its control network.
    pub fn unet(&self, role: Role) -> &UNetConfig {
        match role.section() {
            Section::ModelX => &self.model_x,
            Section::ModelY => &self.model_y.unet,
        }
    }

    /// Whether images are decoded from an autoencoder's latents.
    pub fn has_latents(&self) -> bool {
        self.roles().contains(&Role::Autoencoder) || self.model_y.frozen.autoencoder.is_some()
    }

    /// Size and channels of what the U-Net of this role denoises: images, or their latents. The slices of a volume lie below each other.
    pub fn grid(&self, role: Role) -> ([usize; 2], usize) {
        if role.is_on_image_grid() { self.image_grid() } else { (self.data.size, self.data.channels.count()) }
    }

    /// Size and channels of the images that the last network denoises: pixels, or latents. The mask of a pair has the same size.
    pub fn image_grid(&self) -> ([usize; 2], usize) {
        if !self.has_latents() {
            return (self.data.size, self.data.channels.count());
        }
        let [height, width] = self.autoencoder.latent_size(self.data.slice_size());
        let slices = if self.has_volumes() { self.data.slices / self.autoencoder.factor() } else { 1 };
        ([slices * height, width], self.autoencoder.latent_channels)
    }

    /// Depth (1 for pictures), height and width of what enters the network of this role: pixels, latents, or Haar coefficients.
    pub fn extent(&self, role: Role) -> [usize; 3] {
        let ([rows, width], _) = self.grid(role);
        // Fewer slices than one latent covers are refused by the check. Until then this must not divide by zero.
        let depth = self.volume().map_or(1, |volume| volume.depth_at(width)).max(1);
        let side = self.space(role).side();
        [(depth / side).max(1), rows / depth / side, width / side]
    }

    /// The space that the network of this role works in. A model that was trained elsewhere works on pixels or latents.
    pub fn space(&self, role: Role) -> Space {
        let space = self.trained_space();
        if self.is_frozen(role) { Space { haar_levels: 0, ..space } } else { space }
    }

    /// The space that the networks which are trained here work in.
    pub(crate) fn trained_space(&self) -> Space {
        let is_haar = self.data.space == SpaceKind::Haar;
        Space { volume: self.volume(), haar_levels: if is_haar { self.data.haar_levels } else { 0 } }
    }

    /// Input and output channels of the U-Net of this role; for a control network, those of its base.
    pub fn unet_channels(&self, role: Role) -> [usize; 2] {
        let bands = self.space(role).bands();
        role.channels(self.data.mask_channels(), self.grid(role).1).map(|channels| bands * channels)
    }

    /// Whether the data are volumes.
    pub fn has_volumes(&self) -> bool {
        self.data.slices > 1
    }

    /// The shape of the data that networks need, if the data are volumes.
    pub fn volume(&self) -> Option<Volume> {
        self.has_volumes().then(|| Volume { depth: self.data.slices, width: self.data.size[1] })
    }

    /// The networks of the method, in the order of training.
    pub fn roles(&self) -> &'static [Role] {
        self.method.roles()
    }

    /// The [`roles`](Self::roles) whose networks are trained here.
    pub fn trained_roles(&self) -> impl Iterator<Item = Role> {
        self.roles().iter().copied().filter(|&role| !self.is_frozen(role))
    }

    /// Whether `pig sample` can start from what is given.
    pub fn takes(&self, given: GivenKind) -> bool {
        self.method.takes(given, &self.train)
    }

    /// Whether the model_y of `pig` saw true masks in training, so that a given mask can be its condition. Otherwise the guider, too, takes part in
    /// making an image for a mask.
    pub(crate) fn knows_clean_masks(&self) -> bool {
        match self.model_y.conditioning {
            Conditioning::Clean => true,
            Conditioning::Xhat => self.train.clean_condition_prob > 0.0,
            Conditioning::Xprev => false,
        }
    }

    /// Whether a run with the configuration `stored` was started with this one. What is `auto` here or was to be measured, the data decided
    /// there.
    pub fn gives(&self, stored: &Self) -> bool {
        let mut own = self.clone();
        if own.data.channels == Channels::Auto {
            own.data.channels = stored.data.channels;
        }
        if own.data.may_find_classes() {
            own.data.classes.clone_from(&stored.data.classes);
            own.data.classes_overlap = stored.data.classes_overlap;
        }
        own.preconditioning.measured_as(&stored.preconditioning);
        own == *stored
    }

    /// The mask of a sample, as `pig sample` writes it, from the x_0 of the mask.
    pub fn clean_mask(&self, x_0: &[f32]) -> CleanMask {
        let (data, sample) = (&self.data, &self.sample);
        let own = |class: usize| data.classes.get(class).and_then(|class| sample.class_thresholds.get(&class.name));
        let thresholds: Vec<f32> =
            (0..data.mask_channels()).map(|class| own(class).copied().unwrap_or(sample.mask_threshold)).collect();
        clean_labels(x_0, data.slice_size(), data.coding(), &thresholds, sample.min_component_area)
    }

    /// The finished mask of a sample as channels of -1 and 1, the form in which a network is given a mask.
    pub(crate) fn finished_mask(&self, x_0: &[f32]) -> Vec<f32> {
        self.data.coding().channels(&self.clean_mask(x_0).mask)
    }

    /// The resolved configuration as TOML.
    pub fn to_toml(&self) -> String {
        // Every field is a plain value, so this cannot fail.
        toml::to_string_pretty(self).unwrap_or_default()
    }
}
