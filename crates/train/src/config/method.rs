//! The methods: their names, their networks, and what each can make from which input.
//!
//! What a method computes is in `methods/NAME.rs`.

use super::train::{NoiseLevels, TrainConfig};
use crate::role::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is trained and sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// The input of a sampling beside noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenKind {
    /// Nothing: masks and images, or images alone, are made from noise.
    Nothing,
    /// Masks, to make images for.
    Masks,
    /// Images, to make masks for.
    Images,
}

/// What a method makes from noise alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromNoise {
    /// Masks and images.
    Pairs,
    /// Images without masks.
    Images,
    /// Nothing: the method needs masks.
    Nothing,
}

/// Everything that is fixed for a method.
struct Description {
    word: &'static str,
    roles: &'static [Role],
    from_noise: FromNoise,
    completes_pairs: fn(&TrainConfig) -> bool,
    is_mask_conditioned: bool,
    has_volumes: bool,
}

const PIG: Description = Description {
    word: "pig",
    roles: &[Role::ModelX, Role::ModelY],
    from_noise: FromNoise::Pairs,
    completes_pairs: |_| true,
    is_mask_conditioned: true,
    has_volumes: true,
};
const JOINT: Description = Description {
    word: "joint",
    roles: &[Role::Joint],
    from_noise: FromNoise::Pairs,
    completes_pairs: |train| train.noise_levels == NoiseLevels::Independent,
    is_mask_conditioned: false,
    has_volumes: true,
};
const DDPM: Description = Description {
    word: "ddpm",
    roles: &[Role::Unconditional],
    from_noise: FromNoise::Images,
    completes_pairs: |_| false,
    is_mask_conditioned: false,
    has_volumes: true,
};
const DDIM: Description = Description { word: "ddim", ..DDPM };
const SEG_GUIDED: Description = Description {
    word: "seg-guided",
    roles: &[Role::SegGuided],
    from_noise: FromNoise::Nothing,
    completes_pairs: |_| false,
    is_mask_conditioned: true,
    has_volumes: true,
};
const CONTROLNET: Description =
    Description { word: "controlnet", roles: &[Role::Unconditional, Role::Control], has_volumes: false, ..SEG_GUIDED };
const LDM: Description =
    Description { word: "ldm", roles: &[Role::Autoencoder, Role::Latent], has_volumes: false, ..SEG_GUIDED };

impl Method {
    fn description(self) -> &'static Description {
        match self {
            Self::Pig => &PIG,
            Self::Joint => &JOINT,
            Self::Ddpm => &DDPM,
            Self::Ddim => &DDIM,
            Self::SegGuided => &SEG_GUIDED,
            Self::Controlnet => &CONTROLNET,
            Self::Ldm => &LDM,
        }
    }

    /// The method's name in the configuration.
    pub fn word(self) -> &'static str {
        self.description().word
    }

    /// The networks, in the order of training.
    pub fn roles(self) -> &'static [Role] {
        self.description().roles
    }

    /// What the method makes from noise alone.
    pub fn from_noise(self) -> FromNoise {
        self.description().from_noise
    }

    /// Whether the method makes masks together with images.
    pub fn makes_masks(self) -> bool {
        self.from_noise() == FromNoise::Pairs
    }

    /// Whether the method makes images for given masks, and nothing without masks.
    pub fn needs_masks(self) -> bool {
        self.from_noise() == FromNoise::Nothing
    }

    /// Whether the samples have masks, made or given.
    pub fn has_masks(self) -> bool {
        self.from_noise() != FromNoise::Images
    }

    /// Whether the method can start from `given` under these settings.
    pub fn takes(self, given: GivenKind, train: &TrainConfig) -> bool {
        let completes_pairs = (self.description().completes_pairs)(train);
        match given {
            GivenKind::Nothing => !self.needs_masks(),
            GivenKind::Masks => completes_pairs || self.needs_masks(),
            GivenKind::Images => completes_pairs,
        }
    }

    /// Whether a network of the method is conditioned on a mask, so that condition dropout is possible.
    pub fn is_mask_conditioned(self) -> bool {
        self.description().is_mask_conditioned
    }

    /// Whether the method can be trained on volumes.
    pub fn has_volumes(self) -> bool {
        self.description().has_volumes
    }
}
