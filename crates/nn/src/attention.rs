//! Self-attention over the pixels of a feature map.

use crate::{
    config::UNetConfig,
    layers::{GroupNorm, Linear},
    ops,
    pass::Pass,
};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

/// A norm, then attention of every pixel to every pixel; the input is added to the result.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// The norm before the projections.
    pub group_norm: GroupNorm,
    /// The projection to queries.
    pub to_q: Linear,
    /// The projection to keys.
    pub to_k: Linear,
    /// The projection to values.
    pub to_v: Linear,
    /// The output projection; a list with one layer, because its name in diffusers is `to_out.0`.
    pub to_out: Vec<Linear>,
    #[module(skip)]
    heads: usize,
}

impl SelfAttention {
    /// Attention over `channels`, in heads of `attention_head_dim` channels; if that is not set, there is one head.
    pub fn new(channels: usize, config: &UNetConfig, device: &Device) -> Self {
        let linear = || Linear::new([channels; 2], device);
        Self {
            group_norm: GroupNorm::new(channels, config.norm_num_groups, config.norm_eps, device),
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            to_out: vec![linear()],
            heads: config.attention_head_dim.map_or(1, |width| (channels / width).max(1)),
        }
    }

    /// `[batch, height, width, channels]` to the same shape.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        let precision = pass.precision;
        let tokens = self.group_norm.forward(x.clone(), precision).reshape([batch, height * width, channels]);
        let project = |linear: &Linear| linear.forward(tokens.clone(), precision);
        let mixed = ops::attention(project(&self.to_q), project(&self.to_k), project(&self.to_v), self.heads);
        let mixed = self.to_out[0].forward(mixed, precision);
        x + mixed.reshape([batch, height, width, channels])
    }
}
