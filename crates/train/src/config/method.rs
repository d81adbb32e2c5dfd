//! The methods, by name.

use serde::{Deserialize, Serialize};

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
