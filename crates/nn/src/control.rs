//! ControlNet (Zhang et al. 2023): a trainable copy of a U-Net's encoder. It reads the condition, and convolutions that start at
//! zero add its outputs to the skip connections of the frozen U-Net.

use crate::{
    config::{UNetConfig, UNetError, check_channels},
    dropout::Dropout,
    embedding::{Sinusoids, TimeEmbedding},
    layers::Conv2d,
    ops::{self, ConvGeometry},
    parameters::{self, ParameterError},
    pass::{Pass, Precision},
    space::Space,
    unet::{DownBlock, Features, MidBlock, UNet, encoder_stages},
};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use pig_diffusion::{denoiser::Denoiser, prediction::PredictionType, schedule::network_time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[control]` section: the control network of `method = "controlnet"`. The other settings are those of its base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// The numbers of channels of the convolutions that read the mask; there are two convolutions from each entry to the next. A last
    /// convolution, which starts at zero, leads to the channels of the first level.
    pub conditioning_embedding_out_channels: Vec<usize>,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { conditioning_embedding_out_channels: vec![16, 32] }
    }
}

/// Reads the condition: diffusers' `ControlNetConditioningEmbedding`.
#[derive(Module, Debug)]
pub struct ConditionEmbedding {
    /// The first convolution, from the channels of the condition.
    pub conv_in: Conv2d,
    /// Two convolutions for each change of the number of channels; the second one changes it.
    pub blocks: Vec<Conv2d>,
    /// The last convolution, to the channels of the first level; it starts at zero.
    pub conv_out: Conv2d,
}

impl ConditionEmbedding {
    /// An embedding from `condition` channels through `widths` to `output` channels. `stride` 1 keeps the size; 2 halves it at each
    /// change of channels, for networks on a coarser grid than the condition.
    pub fn new(
        spatial_dims: usize,
        condition: usize,
        widths: &[usize],
        output: usize,
        stride: usize,
        device: &Device,
    ) -> Self {
        let conv =
            |channels, stride| Conv2d::of(spatial_dims, channels, 3, ConvGeometry { stride, padding: [1; 4] }, device);
        let blocks = widths.windows(2).flat_map(|w| [conv([w[0], w[0]], 1), conv([w[0], w[1]], stride)]).collect();
        let last = widths[widths.len() - 1];
        Self { conv_in: conv([condition, widths[0]], 1), blocks, conv_out: conv([last, output], 1) }
    }

    /// `[batch, height, width, condition]` to `[batch, height', width', output]`.
    pub fn forward(&self, condition: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let mut h = ops::silu(self.conv_in.forward(condition, pass.in_f32()));
        for block in &self.blocks {
            h = ops::silu(block.forward(h, pass));
        }
        self.conv_out.forward(h, pass.in_f32())
    }
}

/// The control network. It has the field names of diffusers' `ControlNetModel`; its blocks are those of the base.
#[derive(Module, Debug)]
pub struct ControlNet {
    /// The first convolution, from the channels of the noisy input to those of the first level.
    pub conv_in: Conv2d,
    /// The time embedding, computed from sinusoids.
    pub time_embedding: TimeEmbedding,
    /// The layers that read the condition.
    pub controlnet_cond_embedding: ConditionEmbedding,
    /// The levels, from the full size down.
    pub down_blocks: Vec<DownBlock>,
    /// One 1x1 convolution for each skip connection; it starts at zero.
    pub controlnet_down_blocks: Vec<Conv2d>,
    /// The middle block, at the smallest size.
    pub mid_block: MidBlock,
    /// The 1x1 convolution after the middle block; it starts at zero.
    pub controlnet_mid_block: Conv2d,
    #[module(skip)]
    sinusoids: Sinusoids,
}

/// Whether a parameter starts at zero, so that the control network has no effect before the first training step.
fn starts_at_zero(name: &str) -> bool {
    const ZERO: [&str; 3] = ["controlnet_down_blocks.", "controlnet_mid_block.", "controlnet_cond_embedding.conv_out."];
    ZERO.iter().any(|prefix| name.starts_with(prefix))
}

impl ControlNet {
    /// A control network for a base with this configuration. `channels` are those of the noisy input and of the condition, which has
    /// the same size. All weights and biases are 0, but the scales of norms are 1.
    pub fn new(
        base: &UNetConfig,
        config: &ControlConfig,
        channels: [usize; 2],
        device: &Device,
    ) -> Result<Self, UNetError> {
        Self::with_condition_stride(base, config, channels, 1, device)
    }

    /// As [`new`](Self::new), but each change of channels in the condition embedding also divides the size by `stride`.
    pub fn with_condition_stride(
        base: &UNetConfig,
        config: &ControlConfig,
        [channels, condition]: [usize; 2],
        stride: usize,
        device: &Device,
    ) -> Result<Self, UNetError> {
        check_channels("a control network", [condition, channels])?;
        let widths = &config.conditioning_embedding_out_channels;
        if widths.is_empty() || widths.contains(&0) {
            return Err(UNetError::ConditionEmbedding { found: widths.clone() });
        }
        let UNet { conv_in, time_embedding, down_blocks, mid_block, .. } =
            UNet::new(base, [channels, channels], device)?;
        let first = base.block_out_channels[0];
        let zero = |width| Conv2d::new([width, width], 1, ConvGeometry::same(1), device);
        Ok(Self {
            conv_in,
            time_embedding,
            controlnet_cond_embedding: ConditionEmbedding::new(
                base.spatial_dims,
                condition,
                widths,
                first,
                stride,
                device,
            ),
            down_blocks,
            controlnet_down_blocks: base.skip_channels().into_iter().map(zero).collect(),
            mid_block,
            controlnet_mid_block: zero(base.block_out_channels[base.block_out_channels.len() - 1]),
            sinusoids: Sinusoids::new(base),
        })
    }

    /// The control network at the start of training: the encoder is a copy of the base's, the condition embedding stays as it is,
    /// and the last convolutions of the embedding and of all outputs are zero.
    pub fn copy_of(self, base: &UNet) -> Result<Self, ParameterError> {
        let mut arrays = parameters::export(&self);
        let base = parameters::export(base);
        for (name, array) in &mut arrays {
            if starts_at_zero(name) {
                array.values.fill(0.0);
            } else if let Some(copied) = base.get(name) {
                *array = copied.clone();
            }
        }
        parameters::import(self, &arrays)
    }

    /// The tensors to add to the skip connections and the middle of the base. `x` is `[batch, height, width, channels]`, `condition`
    /// is the same with its own number of channels, and `times` has one network time (counted from 0) per sample.
    pub fn forward(&self, x: Tensor<4>, condition: Tensor<4>, times: &[f32], pass: &Pass) -> Features {
        let sinusoids = self.sinusoids.of(times, &x.device());
        let time = ops::silu(self.time_embedding.forward(sinusoids));
        let told = self.controlnet_cond_embedding.forward(condition, pass);
        let mut h = self.conv_in.forward_add(x, told, pass.in_f32());
        let mut skips = vec![h.clone()];
        // The first stage, the input layer, was computed above, together with the condition.
        for stage in encoder_stages(&self.conv_in, &self.down_blocks, &self.mid_block).into_iter().skip(1) {
            h = stage.layer.forward(h, None, &time, pass);
            if stage.leaves_skip {
                skips.push(h.clone());
            }
        }
        let skips = skips.into_iter().zip(&self.controlnet_down_blocks);
        Features {
            skips: skips.map(|(skip, zero)| zero.forward(skip, pass.precision)).collect(),
            mid: self.controlnet_mid_block.forward(h, pass.precision),
        }
    }
}

/// A frozen base with its control network, as a denoiser: [y_t, mask] to y.
#[derive(Debug)]
pub struct Controlled<'a> {
    base: &'a UNet,
    control: &'a ControlNet,
    prediction_type: PredictionType,
    base_pass: Pass,
    control_pass: Pass,
    space: Space,
}

impl<'a> Controlled<'a> {
    /// Both networks in evaluation mode.
    pub fn new(base: &'a UNet, control: &'a ControlNet, config: &UNetConfig) -> Self {
        let (base_pass, control_pass) = (Pass::default(), Pass::default());
        let space = Space::default();
        Self { base, control, prediction_type: config.prediction_type, base_pass, control_pass, space }
    }

    /// The control network in training mode, with the dropout of its batch; the base stays in evaluation mode.
    #[must_use]
    pub fn in_training(mut self, dropout: Dropout) -> Self {
        self.control_pass.dropout = dropout;
        self
    }

    /// The same networks with this precision, if their device supports it ([`Precision::on`]).
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        let precision = precision.on(&self.base.device());
        (self.base_pass.precision, self.control_pass.precision) = (precision, precision);
        self
    }

    /// The same networks in another space. Their inputs and predictions stay in pixels.
    #[must_use]
    pub fn in_space(mut self, space: Space) -> Self {
        (self.base_pass.volume, self.control_pass.volume) = (space.volume, space.volume);
        self.space = space;
        self
    }
}

impl Denoiser for Controlled<'_> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let times: Vec<f32> = t.iter().map(|&t| network_time(t)).collect();
        let (noisy, guide) = (self.space.analyse(noisy.clone()), self.space.analyse(guide.clone()));
        let controls = self.control.forward(noisy.clone(), guide, &times, &self.control_pass);
        self.space.synthesise(self.base.forward_embedded(
            noisy,
            &self.base.embed(&times),
            Some(controls),
            &self.base_pass,
        ))
    }

    fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }
}
