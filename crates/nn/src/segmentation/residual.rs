//! A U-Net of residual blocks with an output in every level but the smallest.

use super::SegmentationConfig;
use crate::{
    autoencoder::{AutoencoderConfig, PlainResnetBlock},
    layers::{Conv2d, GroupNorm},
    ops::{self, ConvGeometry},
    pass::{Pass, Precision},
    resnet::{Downsample, Upsample},
};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

/// A level of the encoder.
#[derive(Module, Debug)]
pub struct ResidualLevel {
    /// The layer that halves the size of the level above; none in the first level.
    pub downsample: Option<Downsample>,
    /// The residual block; it changes the number of channels.
    pub resnet: PlainResnetBlock,
}

/// A level of the decoder.
#[derive(Module, Debug)]
pub struct ResidualUpLevel {
    /// The layer that doubles the size of the level below.
    pub upsample: Upsample,
    /// The residual block on the channels of the skip connection and those from below.
    pub resnet: PlainResnetBlock,
}

/// An output: norm, SiLU, 1x1 convolution to the logits.
#[derive(Module, Debug)]
pub struct Head {
    /// The norm before the convolution.
    pub norm: GroupNorm,
    /// The convolution to the logits.
    pub conv: Conv2d,
}

/// The network.
#[derive(Module, Debug)]
pub struct ResidualUNet {
    /// The first convolution, to the channels of the first level.
    pub conv_in: Conv2d,
    /// The encoder levels, from the full size down to the smallest.
    pub down_blocks: Vec<ResidualLevel>,
    /// The decoder levels, from the smallest size up to the full.
    pub up_blocks: Vec<ResidualUpLevel>,
    /// One output per level, from the full size down; the smallest size has none unless it is the only level.
    pub heads: Vec<Head>,
    #[module(skip)]
    dropout: f64,
}

impl ResidualUNet {
    /// A network for images with `channels` channels and so many `logits`; `config` must be valid.
    pub(super) fn new(config: &SegmentationConfig, [channels, logits]: [usize; 2], device: &Device) -> Self {
        let widths = &config.block_out_channels;
        let words = AutoencoderConfig {
            norm_num_groups: config.norm_num_groups,
            norm_eps: config.norm_eps,
            ..AutoencoderConfig::default()
        };
        let resnet = |from, to| PlainResnetBlock::new([from, to], &words, device);
        let down = |level: usize| {
            let from = widths[level.saturating_sub(1)];
            ResidualLevel {
                downsample: (level > 0).then(|| Downsample::new(2, from, 1, device)),
                resnet: resnet(from, widths[level]),
            }
        };
        let up = |pair: &[usize]| ResidualUpLevel {
            upsample: Upsample::new(2, pair[1], device),
            resnet: resnet(pair[0] + pair[1], pair[0]),
        };
        let head = |&width: &usize| Head {
            norm: GroupNorm::new(width, config.norm_num_groups, config.norm_eps, device),
            conv: Conv2d::new([width, logits], 1, ConvGeometry::same(1), device),
        };
        let outputs = (widths.len() - 1).max(1);
        Self {
            conv_in: Conv2d::new([channels, widths[0]], 3, ConvGeometry::same(3), device),
            down_blocks: (0..widths.len()).map(down).collect(),
            up_blocks: widths.windows(2).rev().map(up).collect(),
            heads: widths[..outputs].iter().map(head).collect(),
            dropout: config.dropout,
        }
    }

    /// The logits of images `[batch, height, width, channels]` at the full size, at half the size and so on.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Vec<Tensor<4>> {
        let features = self.features(x, pass);
        self.heads.iter().zip(features.into_iter().rev()).map(|(head, h)| self.logits(head, h, pass)).collect()
    }

    /// The logits at the full size only, `[batch, height, width, logits]`.
    pub fn forward_full(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let full = self.features(x, pass).pop().expect("the network has at least one level");
        self.logits(&self.heads[0], full, pass)
    }

    fn logits(&self, head: &Head, h: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let h = pass.dropout.apply(head.norm.forward_silu(h, Precision::F32), self.dropout);
        head.conv.forward(h, Precision::F32)
    }

    /// The features of the middle and of the decoder levels, the smallest size first.
    fn features(&self, x: Tensor<4>, pass: &Pass) -> Vec<Tensor<4>> {
        let mut h = self.conv_in.forward(x, Precision::F32);
        let mut skips = Vec::new();
        for block in &self.down_blocks {
            if let Some(downsample) = &block.downsample {
                skips.push(h.clone());
                h = downsample.forward(h, pass);
            }
            h = block.resnet.forward(h, pass);
        }
        let mut features = vec![h.clone()];
        for (block, skip) in self.up_blocks.iter().zip(skips.into_iter().rev()) {
            let below = block.upsample.forward(h, pass);
            h = block.resnet.forward(ops::concat_channels(skip, below), pass);
            features.push(h.clone());
        }
        features
    }
}
