//! Layers with parameters, which have PyTorch's names: `weight` and `bias`.
//!
//! Constructors set weights and biases to 0 and the scales of norms to 1; [`crate::parameters::initialise`] and
//! [`crate::parameters::import`] set their values.

use crate::{
    ops::{self, ConvGeometry, NormSettings},
    pass::{Layout, Precision},
    volume::Volume,
};
use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};

/// A square convolution on channels-last input, or a cubic one on volumes ([`crate::volume`]).
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out, in, kernel, kernel]`; for volumes `[out, in * kernel, kernel, kernel]`, with the values in the order of `[out, in, kernel,
    /// kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    geometry: ConvGeometry,
    #[module(skip)]
    is_cubic: bool,
}

impl Conv2d {
    /// A convolution from `channels[0]` to `channels[1]`.
    pub fn new(channels: [usize; 2], kernel: usize, geometry: ConvGeometry, device: &Device) -> Self {
        Self::of(2, channels, kernel, geometry, device)
    }

    /// As [`new`](Self::new), for pictures with `spatial_dims` axes: 2, or 3 for volumes.
    pub fn of(
        spatial_dims: usize,
        channels: [usize; 2],
        kernel: usize,
        geometry: ConvGeometry,
        device: &Device,
    ) -> Self {
        let is_cubic = spatial_dims == 3 && kernel > 1;
        let input = if is_cubic { channels[0] * kernel } else { channels[0] };
        Self {
            weight: Param::from_tensor(Tensor::zeros([channels[1], input, kernel, kernel], device)),
            bias: Param::from_tensor(Tensor::zeros([channels[1]], device)),
            geometry,
            is_cubic,
        }
    }

    /// The volume, if the kernel needs it.
    fn volume(&self, layout: Layout) -> Option<Volume> {
        layout.volume.filter(|_| self.is_cubic)
    }

    /// `[batch, height, width, in]` to `[batch, height', width', out]`.
    pub fn forward(&self, x: Tensor<4>, layout: impl Into<Layout>) -> Tensor<4> {
        let layout = layout.into();
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match self.volume(layout) {
            Some(volume) => volume.conv(x, weight, bias, self.geometry, layout.precision),
            None => ops::conv2d(x, weight, bias, self.geometry, layout.precision),
        }
    }

    /// [`forward`](Self::forward), plus `sample` `[batch, out]` at every pixel.
    pub fn forward_add_sample(&self, x: Tensor<4>, sample: Tensor<2>, layout: impl Into<Layout>) -> Tensor<4> {
        let layout = layout.into();
        if self.volume(layout).is_some() {
            let [batch, channels] = sample.dims();
            return self.forward(x, layout) + sample.reshape([batch, 1, 1, channels]);
        }
        ops::conv2d_add_sample(x, self.weight.val(), self.bias.val(), sample, self.geometry, layout.precision)
    }

    /// [`forward`](Self::forward) of `x` upsampled by two in both directions, for a convolution that keeps the size.
    pub fn forward_upsampled(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        ops::upsample_conv2d(x, self.weight.val(), self.bias.val(), precision)
    }

    /// [`forward`](Self::forward) of the concatenated channels of `a` and `b`, for a convolution that keeps the size.
    pub fn forward_concat(&self, a: Tensor<4>, b: Tensor<4>, precision: Precision) -> Tensor<4> {
        ops::conv2d_concat(a, b, self.weight.val(), self.bias.val(), precision)
    }

    /// [`forward`](Self::forward), plus `residual`, which has the shape of the result.
    pub fn forward_add(&self, x: Tensor<4>, residual: Tensor<4>, layout: impl Into<Layout>) -> Tensor<4> {
        let layout = layout.into();
        if self.volume(layout).is_some() {
            return residual + self.forward(x, layout);
        }
        ops::conv2d_add(x, self.weight.val(), self.bias.val(), residual, self.geometry, layout.precision)
    }
}

/// A linear layer on the last axis.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// A layer from `features[0]` to `features[1]`.
    pub fn new(features: [usize; 2], device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([features[1], features[0]], device)),
            bias: Param::from_tensor(Tensor::zeros([features[1]], device)),
        }
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, precision: Precision) -> Tensor<D> {
        ops::linear(x, self.weight.val(), self.bias.val(), precision)
    }
}

/// Group normalisation with a scale and a shift for each channel.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    groups: usize,
    #[module(skip)]
    eps: f64,
}

impl GroupNorm {
    /// Normalises `channels` in `groups`; the number of groups must divide the number of channels.
    pub fn new(channels: usize, groups: usize, eps: f64, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([channels], device)),
            bias: Param::from_tensor(Tensor::zeros([channels], device)),
            groups,
            eps,
        }
    }

    /// The normalised input, `[batch, height, width, channels]`, for a layer of this precision.
    pub fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.norm(x, false, precision)
    }

    /// The normalised input after SiLU, for a layer of this precision.
    pub fn forward_silu(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.norm(x, true, precision)
    }

    /// [`forward_silu`](Self::forward_silu) of the concatenated channels of `a` and `b`.
    pub fn forward_silu_concat(&self, a: Tensor<4>, b: Tensor<4>, precision: Precision) -> Tensor<4> {
        ops::group_norm_concat(a, b, self.weight.val(), self.bias.val(), self.settings(true, precision))
    }

    fn norm(&self, x: Tensor<4>, activate: bool, precision: Precision) -> Tensor<4> {
        ops::group_norm(x, self.weight.val(), self.bias.val(), self.settings(activate, precision))
    }

    fn settings(&self, activate: bool, precision: Precision) -> NormSettings {
        NormSettings { groups: self.groups, eps: self.eps, activate, precision }
    }
}
