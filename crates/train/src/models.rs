//! The networks of each method, ready to be sampled.

use crate::{imported::model_y::ModelY, latents::LatentCodec};
use pig_nn::{control::ControlNet, unet::UNet};

/// The networks of a method, with averaged weights, in evaluation mode.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process holds one or two of them")]
pub enum Models {
    /// The paper's two.
    Pig {
        /// The guider.
        model_x: UNet,
        /// The conditional model.
        model_y: ModelY,
    },
    /// One for both.
    Joint(UNet),
    /// Images without masks.
    Unconditional(UNet),
    /// Images for masks.
    SegGuided(UNet),
    /// Images for masks, by a steered unconditional base.
    Control {
        /// The base.
        base: UNet,
        /// What steers it.
        control: ControlNet,
    },
    /// Latents for masks.
    Latent {
        /// To and from latents.
        codec: LatentCodec,
        /// The network on latents.
        unet: UNet,
    },
}
