//! The configuration of a segmentation network.

use crate::config::{UNetConfig, UNetError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network that segments lesions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentationKind {
    /// The U-Net of Ronneberger et al. (2015), with padding that keeps the size: two 3x3 convolutions with ReLU in each level, maximum
    /// pooling in the encoder, transposed convolutions in the decoder.
    #[default]
    Unet,
    /// A U-Net of residual blocks with pre-activation (Zhang et al. 2018, "Road Extraction by Deep Residual U-Net"; norm and SiLU before
    /// each convolution), strided convolutions, and a trained output in every decoder level but the smallest (deep supervision, Lee et
    /// al. 2015).
    Residual,
}

/// The `[segment.network]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentationConfig {
    /// The network that segments lesions.
    pub kind: SegmentationKind,
    /// The number of channels of each level, from the full size down; each additional level halves the size.
    pub block_out_channels: Vec<usize>,
    /// The number of groups of each normalisation; it must divide every entry of `block_out_channels`. 0 means no normalisation and is
    /// only valid with `kind = "unet"`. Group normalisation does not depend on the batch and is the same in training and prediction.
    pub norm_num_groups: usize,
    /// The value added to the variance in each normalisation.
    pub norm_eps: f64,
    /// The share of activations that is dropped in training: at the smallest size with `kind = "unet"`, as in the paper; before every
    /// output with `kind = "residual"`.
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
    /// The network of the 2015 paper in width, depth and layers: five levels of 64 to 1024 channels without normalisation, and dropout
    /// with rate 0.5 at the smallest size (the paper gives no rate).
    ///
    /// Remaining differences: convolutions are padded, so the output has the size of the input and skip connections are not cropped (in
    /// the paper 572 pixels become 388); there is one logit per pixel instead of two classes with softmax; initial weights are uniform
    /// as in PyTorch, not normal with variance 2 / fan in; the loss is Dice + cross-entropy without a weight map for touching cells.
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

    /// Checks the configuration, and that it fits an image of `size`.
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
