//! The residual block.

use crate::{
    config::UNetConfig,
    layers::{Conv2d, GroupNorm, Linear},
    ops::{self, ConvGeometry},
    pass::{Pass, Precision},
};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

/// Norm, SiLU, convolution; the time embedding is added; norm, SiLU, dropout, convolution; the input is added.
#[derive(Module, Debug)]
pub struct ResnetBlock {
    /// The norm before the first convolution.
    pub norm1: GroupNorm,
    /// The first convolution; it changes the number of channels.
    pub conv1: Conv2d,
    /// The layer from the time embedding to one value per channel.
    pub time_emb_proj: Linear,
    /// The norm before the second convolution.
    pub norm2: GroupNorm,
    /// The second convolution; it keeps the number of channels.
    pub conv2: Conv2d,
    /// A 1x1 convolution of the input, if the number of channels changes.
    pub conv_shortcut: Option<Conv2d>,
    #[module(skip)]
    dropout: f64,
}

impl ResnetBlock {
    /// A block from `channels[0]` to `channels[1]`.
    pub fn new(channels: [usize; 2], config: &UNetConfig, device: &Device) -> Self {
        let [input, output] = channels;
        let norm = |width| GroupNorm::new(width, config.norm_num_groups, config.norm_eps, device);
        let conv =
            |from, kernel| Conv2d::of(config.spatial_dims, [from, output], kernel, ConvGeometry::same(kernel), device);
        Self {
            norm1: norm(input),
            conv1: conv(input, 3),
            time_emb_proj: Linear::new([config.embedding_width(), output], device),
            norm2: norm(output),
            conv2: conv(output, 3),
            conv_shortcut: (input != output).then(|| conv(input, 1)),
            dropout: config.dropout,
        }
    }

    /// `x` is `[batch, height, width, channels]`. `skip`, if there is one, has the remaining input channels, which follow those of `x`;
    /// on the fast path it is read without a copy. `time` is SiLU of the time embedding, `[batch, embedding]`, computed once for all
    /// blocks.
    pub fn forward(&self, x: Tensor<4>, skip: Option<Tensor<4>>, time: &Tensor<2>, pass: &Pass) -> Tensor<4> {
        let precision = pass.precision;
        let time = self.time_emb_proj.forward(time.clone(), Precision::F32);
        let h = match &skip {
            Some(skip) => self.norm1.forward_silu_concat(x.clone(), skip.clone(), precision),
            None => self.norm1.forward_silu(x.clone(), precision),
        };
        let h = self.conv1.forward_add_sample(h, time, pass);
        // Dropout multiplies in 32 bits; the convolution rounds the result.
        let read_as = if pass.dropout.is_active(self.dropout) { Precision::F32 } else { precision };
        let h = pass.dropout.apply(self.norm2.forward_silu(h, read_as), self.dropout);
        let shortcut = match (&self.conv_shortcut, skip) {
            (Some(conv), Some(skip)) => conv.forward_concat(x, skip, precision),
            (Some(conv), None) => conv.forward(x, precision),
            (None, Some(skip)) => ops::concat_channels(x, skip),
            (None, None) => x,
        };
        self.conv2.forward_add(h, shortcut, pass)
    }
}

/// Halves the size with a 3x3 convolution of stride 2.
#[derive(Module, Debug)]
pub struct Downsample {
    /// The convolution.
    pub conv: Conv2d,
}

impl Downsample {
    /// `padding` 1 pads all sides; 0 pads one row at the bottom and one column at the right only, as the released code does.
    pub fn new(spatial_dims: usize, channels: usize, padding: usize, device: &Device) -> Self {
        let padding = if padding == 0 { [0, 1, 0, 1] } else { [padding; 4] };
        Self { conv: Conv2d::of(spatial_dims, [channels; 2], 3, ConvGeometry { stride: 2, padding }, device) }
    }

    /// `[batch, height, width, channels]` to half the height and width.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.conv.forward(x, pass)
    }
}

/// Doubles the size: nearest-neighbour upsampling (or linear interpolation for volumes), then a 3x3 convolution.
#[derive(Module, Debug)]
pub struct Upsample {
    /// The convolution.
    pub conv: Conv2d,
    #[module(skip)]
    is_linear: bool,
}

impl Upsample {
    /// A layer that keeps the number of channels.
    pub fn new(spatial_dims: usize, channels: usize, device: &Device) -> Self {
        Self { conv: Conv2d::of(spatial_dims, [channels; 2], 3, ConvGeometry::same(3), device), is_linear: false }
    }

    /// The same layer with linear interpolation, which works only for volumes.
    #[must_use]
    pub fn linear(mut self, is_linear: bool) -> Self {
        self.is_linear = is_linear;
        self
    }

    /// `[batch, height, width, channels]` to twice the height and width.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        match pass.volume {
            Some(volume) if self.is_linear => self.conv.forward(volume.upsample_linear(x), pass),
            Some(volume) => self.conv.forward(volume.upsample_nearest(x), pass),
            None => self.conv.forward_upsampled(x, pass.precision),
        }
    }
}
