//! Networks that segment lesions: the U-Net of Ronneberger et al. (2015) and a residual variant with deep supervision, and their
//! loss.
//!
//! Images are `[batch, height, width, channels]` in [-1, 1]. Outputs are logits `[batch, height, width, 1]`; a logit above 0 means that
//! the probability of lesion is above 1/2. Of several classes there is a logit for the background, which is the first, and for each
//! class; their softmax gives the probabilities.

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
    tensor::{
        Device, Tensor,
        activation::{sigmoid, softmax},
    },
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
        Self::of_classes(config, [channels, 1], size, device)
    }

    /// The same for images with `channels` channels and masks of `classes` classes.
    pub fn of_classes(
        config: &SegmentationConfig,
        [channels, classes]: [usize; 2],
        size: [usize; 2],
        device: &Device,
    ) -> Result<Self, UNetError> {
        config.validate(size)?;
        let ends = [channels, if classes > 1 { classes + 1 } else { 1 }];
        Ok(match config.kind {
            SegmentationKind::Unet => Self::Unet(RonnebergerUNet::new(config, ends, device)),
            SegmentationKind::Residual => Self::Residual(ResidualUNet::new(config, ends, device)),
        })
    }

    /// The logits at the full size and, if the network has more outputs, at half the size and so on. `x` is `[batch, height, width,
    /// channels]`, result i is `[batch, height / 2^i, width / 2^i, 1]`, or has a logit for the background and for each of several classes.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Vec<Tensor<4>> {
        match self {
            Self::Unet(network) => vec![network.forward(x, pass)],
            Self::Residual(network) => network.forward(x, pass),
        }
    }

    /// The probability of lesion, or of each class, at each pixel, `[batch, height, width, classes]`.
    pub fn probabilities(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let logits = match self {
            Self::Unet(network) => network.forward(x, pass),
            Self::Residual(network) => network.forward_full(x, pass),
        };
        match logits.dims()[3] {
            1 => sigmoid(logits),
            outputs => softmax(logits, 3).narrow(3, 1, outputs - 1),
        }
    }
}
