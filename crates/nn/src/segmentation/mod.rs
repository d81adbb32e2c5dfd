//! Networks that segment lesions: the U-Net of Ronneberger et al. (2015) and a residual variant with deep supervision, and their
//! loss.
//!
//! Images are `[batch, height, width, channels]` in [-1, 1]. Outputs are logits `[batch, height, width, 1]`; a logit above 0 means that
//! the probability of lesion is above 1/2.

mod config;
pub mod loss;
mod residual;
mod unet;

pub use config::{SegmentationConfig, SegmentationKind};
pub use residual::{Head, ResidualLevel, ResidualUNet, ResidualUpLevel};
pub use unet::{ConvTranspose2x2, DoubleConv, RonnebergerUNet, UpLevel};

use crate::{config::UNetError, pass::Pass};
use burn::{
    module::Module,
    tensor::{Device, Tensor, activation::sigmoid},
};

/// A network that segments lesions. The names of weights begin with the name of the variant.
#[derive(Module, Debug)]
pub enum SegmentationNet {
    /// [`SegmentationKind::Unet`].
    Unet(RonnebergerUNet),
    /// [`SegmentationKind::Residual`].
    Residual(ResidualUNet),
}

impl SegmentationNet {
    /// A network for images with `channels` channels. All weights and biases are 0, but the scales of norms are 1.
    pub fn new(
        config: &SegmentationConfig,
        channels: usize,
        size: [usize; 2],
        device: &Device,
    ) -> Result<Self, UNetError> {
        config.validate(size)?;
        Ok(match config.kind {
            SegmentationKind::Unet => Self::Unet(RonnebergerUNet::new(config, channels, device)),
            SegmentationKind::Residual => Self::Residual(ResidualUNet::new(config, channels, device)),
        })
    }

    /// The logits at the full size and, if the network has more outputs, at half the size and so on. `x` is `[batch, height, width,
    /// channels]`, result i is `[batch, height / 2^i, width / 2^i, 1]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Vec<Tensor<4>> {
        match self {
            Self::Unet(network) => vec![network.forward(x, pass)],
            Self::Residual(network) => network.forward(x, pass),
        }
    }

    /// The probability of lesion at each pixel, `[batch, height, width, 1]`.
    pub fn probabilities(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        sigmoid(match self {
            Self::Unet(network) => network.forward(x, pass),
            Self::Residual(network) => network.forward_full(x, pass),
        })
    }
}
