//! Networks that segment lesions: the U-Net of Ronneberger et al. (2015) and a residual variant with deep supervision, and their
//! loss.
//!
//! Images are `[batch, height, width, channels]` in [-1, 1]. Outputs are logits `[batch, height, width, 1]`; a logit above 0 means that
//! the probability of lesion is above 1/2. Of several classes there is a logit for the background, which is the first, and for each
//! class; their softmax gives the probabilities. Classes that may overlap have a logit each, and a sigmoid each.

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

/// What the logits of a segmenter stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// Each class by itself: a sigmoid for each. So is lesion, where there is one class.
    Each,
    /// The background, and each of several classes, which exclude each other: a softmax over all.
    Background,
}

impl Outputs {
    /// The logits of so many classes.
    fn logits(self, classes: usize) -> usize {
        match self {
            Self::Background if classes > 1 => classes + 1,
            Self::Background | Self::Each => classes,
        }
    }
}

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
        Self::of_classes(config, channels, (1, Outputs::Each), size, device)
    }

    /// The same for images with `channels` channels and masks of so many classes.
    pub fn of_classes(
        config: &SegmentationConfig,
        channels: usize,
        (classes, outputs): (usize, Outputs),
        size: [usize; 2],
        device: &Device,
    ) -> Result<Self, UNetError> {
        config.validate(size)?;
        let ends = [channels, outputs.logits(classes)];
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
    pub fn probabilities(&self, x: Tensor<4>, outputs: Outputs, pass: &Pass) -> Tensor<4> {
        let logits = match self {
            Self::Unet(network) => network.forward(x, pass),
            Self::Residual(network) => network.forward_full(x, pass),
        };
        let count = logits.dims()[3];
        match outputs {
            Outputs::Background if count > 1 => softmax(logits, 3).narrow(3, 1, count - 1),
            Outputs::Background | Outputs::Each => sigmoid(logits),
        }
    }
}
