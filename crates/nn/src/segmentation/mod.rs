//! Networks that find lesions: the U-Net of Ronneberger et al. (2015) and a residual variant with deep supervision, and the loss
//! that trains them.
//!
//! Images are `[batch, height, width, channels]` in [-1, 1]; outputs are logits `[batch, height, width, 1]`, above 0 where a lesion is
//! more likely than not.

pub mod loss;
mod residual;
mod unet;

pub use residual::{Head, ResidualLevel, ResidualUNet, ResidualUpLevel};
pub use unet::{ConvTranspose2x2, DoubleConv, RonnebergerUNet, UpLevel};

use crate::{
    config::{UNetConfig, UNetError},
    pass::Pass,
};
use burn::{
    module::Module,
    tensor::{Device, Tensor, activation::sigmoid},
};
use serde::{Deserialize, Serialize};

/// Which network finds lesions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentationKind {
    /// The U-Net of Ronneberger et al. (2015), padded so that the size is kept: two 3x3 convolutions with ReLU a level, maximum
    /// pooling, transposed convolutions on the way up.
    #[default]
    Unet,
    /// Residual blocks before which norm and SiLU stand (Zhang et al. 2018, "Road Extraction by Deep Residual U-Net"), strided
    /// convolutions, and an output on every level of the way up but the smallest, each trained (deep supervision, Lee et al. 2015).
    Residual,
}

/// The `[segment.network]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentationConfig {
    /// Which network finds lesions.
    pub kind: SegmentationKind,
    /// Channels of each level, from the full size down; each further level halves the size.
    pub block_out_channels: Vec<usize>,
    /// Groups of each normalisation, which must divide every entry of `block_out_channels`; 0 for none, with `kind = "unet"` alone.
    /// Group normalisation is the same in training and use, whatever the batch.
    pub norm_num_groups: usize,
    /// Added to the variance in each normalisation.
    pub norm_eps: f64,
    /// Share of activations dropped while training: at the smallest size with `kind = "unet"`, as in the paper; before every output
    /// with `kind = "residual"`.
    pub dropout: f64,
}

impl Default for SegmentationConfig {
    fn default() -> Self {
        Self {
            kind: SegmentationKind::Unet,
            block_out_channels: vec![32, 64, 128, 256],
            norm_num_groups: 8,
            norm_eps: 1e-5,
            dropout: 0.0,
        }
    }
}

impl SegmentationConfig {
    /// The network of the 2015 paper in width, depth and layers: five levels of 64 to 1024 channels without normalisation, dropout of
    /// one half at the smallest size (the paper names no rate).
    ///
    /// What still differs: convolutions are padded, so that the output has the input's size and skip connections are not cropped
    /// (572 pixels became 388 there); one logit a pixel stands for two classes under softmax; weights start as PyTorch's, uniform,
    /// not normal with variance 2 / fan in; the loss is Dice + cross-entropy without a map of weights for touching cells.
    #[must_use]
    pub fn ronneberger_2015() -> Self {
        Self {
            kind: SegmentationKind::Unet,
            block_out_channels: vec![64, 128, 256, 512, 1024],
            norm_num_groups: 0,
            dropout: 0.5,
            ..Self::default()
        }
    }

    /// Checks the words, and that an image of `size` passes through.
    pub fn validate(&self, size: [usize; 2]) -> Result<(), UNetError> {
        let has_norms = self.norm_num_groups > 0 || self.kind == SegmentationKind::Residual;
        let words = UNetConfig {
            block_out_channels: self.block_out_channels.clone(),
            norm_num_groups: if has_norms { self.norm_num_groups } else { 1 },
            attention_levels: Vec::new(),
            ..UNetConfig::default()
        };
        words.validate()?;
        words.check_size(size)
    }
}

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
