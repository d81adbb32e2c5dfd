//! One TOML file is the experiment: what every key means, and its default.

mod belongs;
mod check;
mod levels;
mod load;
mod method;
mod model_y;
mod sample;
mod train;

pub use check::require;
pub use load::{ConfigError, Layers};
pub use method::{GivenKind, Method};
pub use model_y::{Conditioning, FrozenCondition, LossWeight, ModelYConfig};
pub use sample::SampleConfig;
pub use train::{Members, NoiseLevels, TimestepSampling, TrainConfig};

use pig_data::DataConfig;
use pig_diffusion::schedule::ScheduleConfig;
use pig_nn::{
    autoencoder::AutoencoderConfig, config::UNetConfig, control::ControlConfig, network::Role, volume::Volume,
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
