//! Networks that find lesions: the U-Net of Ronneberger et al. (2015) and a residual variant with deep supervision, and the loss
//! that trains them.
//!
//! Images are `[batch, height, width, channels]` in [-1, 1]; outputs are logits `[batch, height, width, 1]`, above 0 where a lesion is
//! more likely than not.

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

/// A network that finds lesions. Names of weights begin with the variant's.
#[derive(Module, Debug)]
pub enum SegmentationNet {
    /// [`SegmentationKind::Unet`].
    Unet(RonnebergerUNet),
    /// [`SegmentationKind::Residual`].
    Residual(ResidualUNet),
}

impl SegmentationNet {
    /// A network for images of `channels`, with weights of zero and norms of one.
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

    /// Logits at the full size, then, where the network has further outputs, at half the size and so on. `x` is
    /// `[batch, height, width, channels]`, each result `[batch, height / 2^i, width / 2^i, 1]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Vec<Tensor<4>> {
        match self {
            Self::Unet(network) => vec![network.forward(x, pass)],
            Self::Residual(network) => network.forward(x, pass),
        }
    }

    /// Probability of lesion at each pixel, `[batch, height, width, 1]`.
    pub fn probabilities(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        sigmoid(match self {
            Self::Unet(network) => network.forward(x, pass),
            Self::Residual(network) => network.forward_full(x, pass),
        })
    }
}
