//! The U-Net of Ronneberger, Fischer and Brox (MICCAI 2015), with padded convolutions and optional group normalisation.

use super::SegmentationConfig;
use crate::{
    layers::{Conv2d, GroupNorm},
    ops::{self, ConvGeometry},
    pass::{Pass, Precision},
};
use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, activation::relu, module::max_pool2d, ops::MaxPoolOptions},
};

/// Two times 3x3 convolution, optional normalisation and ReLU.
#[derive(Module, Debug)]
pub struct DoubleConv {
    /// The first convolution; it changes the number of channels.
    pub conv1: Conv2d,
    /// The norm after the first convolution.
    pub norm1: Option<GroupNorm>,
    /// The second convolution; it keeps the number of channels.
    pub conv2: Conv2d,
    /// The norm after the second convolution.
    pub norm2: Option<GroupNorm>,
}

impl DoubleConv {
    /// Two convolutions from `input` to `output` channels.
    fn new([input, output]: [usize; 2], config: &SegmentationConfig, device: &Device) -> Self {
        let norm = || {
            let groups = config.norm_num_groups;
            (groups > 0).then(|| GroupNorm::new(output, groups, config.norm_eps, device))
        };
        let conv = |from| Conv2d::new([from, output], 3, ConvGeometry::same(3), device);
        Self { conv1: conv(input), norm1: norm(), conv2: conv(output), norm2: norm() }
    }

    /// `[batch, height, width, in]` to `[batch, height, width, out]`.
    fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let half = |x, conv: &Conv2d, norm: &Option<GroupNorm>| {
            let h = conv.forward(x, pass.precision);
            relu(match norm {
                Some(norm) => norm.forward(h, Precision::F32),
                None => h,
            })
        };
        half(half(x, &self.conv1, &self.norm1), &self.conv2, &self.norm2)
    }
}

/// A transposed 2x2 convolution with stride 2. Its output squares do not overlap, so it is computed as a 1x1 convolution to four
/// times the channels and a rearrangement.
#[derive(Module, Debug)]
pub struct ConvTranspose2x2 {
    /// `[in, out, 2, 2]`, as in PyTorch.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl ConvTranspose2x2 {
    /// A convolution from `input` to `output` channels.
    fn new([input, output]: [usize; 2], device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([input, output, 2, 2], device)),
            bias: Param::from_tensor(Tensor::zeros([output], device)),
        }
    }

    /// `[batch, height, width, in]` to `[batch, 2 height, 2 width, out]`.
    fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        let [batch, height, width, input] = x.dims();
        let output = self.bias.dims()[0];
        // Output channels of the 1x1 convolution: position in the square, then channel.
        let weight = self.weight.val().permute([2, 3, 1, 0]).reshape([4 * output, input, 1, 1]);
        let bias = self.bias.val().repeat_dim(0, 4);
        ops::conv2d(x, weight, bias, ConvGeometry::same(1), precision)
            .reshape([batch, height, width, 2, 2, output])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([batch, 2 * height, 2 * width, output])
    }
}

/// A level of the decoder.
#[derive(Module, Debug)]
pub struct UpLevel {
    /// The layer that upsamples the level below.
    pub upsample: ConvTranspose2x2,
    /// The convolutions on the channels of the skip connection and those from below.
    pub conv: DoubleConv,
}

/// The network.
#[derive(Module, Debug)]
pub struct RonnebergerUNet {
    /// The encoder levels, from the full size down to the smallest.
    pub down_blocks: Vec<DoubleConv>,
    /// The decoder levels, from the smallest size up to the full.
    pub up_blocks: Vec<UpLevel>,
    /// The 1x1 convolution to the logits.
    pub conv_out: Conv2d,
    #[module(skip)]
    dropout: f64,
}

impl RonnebergerUNet {
    /// A network for images with `channels` channels and so many `logits`; `config` must be valid.
    pub(super) fn new(config: &SegmentationConfig, [channels, logits]: [usize; 2], device: &Device) -> Self {
        let widths = &config.block_out_channels;
        let inputs = std::iter::once(channels).chain(widths.iter().copied());
        let up = |pair: &[usize]| UpLevel {
            upsample: ConvTranspose2x2::new([pair[1], pair[0]], device),
            conv: DoubleConv::new([2 * pair[0], pair[0]], config, device),
        };
        Self {
            down_blocks: inputs.zip(widths).map(|(from, &to)| DoubleConv::new([from, to], config, device)).collect(),
            up_blocks: widths.windows(2).rev().map(up).collect(),
            conv_out: Conv2d::new([widths[0], logits], 1, ConvGeometry::same(1), device),
            dropout: config.dropout,
        }
    }

    /// The logits, `[batch, height, width, logits]`, of images `[batch, height, width, channels]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let (mut h, mut skips) = (x, Vec::new());
        for (level, block) in self.down_blocks.iter().enumerate() {
            if level > 0 {
                skips.push(h.clone());
                h = max_pool(h);
            }
            h = block.forward(h, pass);
        }
        h = pass.dropout.apply(h, self.dropout);
        for (block, skip) in self.up_blocks.iter().zip(skips.into_iter().rev()) {
            let below = block.upsample.forward(h, pass.precision);
            h = block.conv.forward(ops::concat_channels(skip, below), pass);
        }
        self.conv_out.forward(h, Precision::F32)
    }
}

/// The maximum of two by two pixels.
fn max_pool(x: Tensor<4>) -> Tensor<4> {
    max_pool2d(x.permute([0, 3, 1, 2]), MaxPoolOptions::new([2, 2]).with_stride([2, 2])).permute([0, 2, 3, 1])
}
