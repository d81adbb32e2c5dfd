//! The words that size a segmenter.

use crate::config::{UNetConfig, UNetError};
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
