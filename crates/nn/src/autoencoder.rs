//! The autoencoder with a normal posterior of latent diffusion (Rombach et al. 2022), in the layout of diffusers'
//! `AutoencoderKL`.

use crate::{
    attention::SelfAttention,
    config::{UNetConfig, UNetError, check_channels},
    layers::{Conv2d, GroupNorm},
    ops::ConvGeometry,
    pass::{Pass, Precision},
    resnet::{Downsample, Upsample},
    volume::Volume,
};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[autoencoder]` section of `method = "ldm"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderConfig {
    /// The number of channels of each level, from the full size down; each additional level halves the size of the latents.
    pub block_out_channels: Vec<usize>,
    /// The number of residual blocks in each level of the encoder.
    pub layers_per_block: usize,
    /// The number of residual blocks in each level of the decoder; if not set, one more than in the encoder.
    pub decoder_layers_per_block: Option<usize>,
    /// The levels (counted from 0, the full size) in which attention follows each residual block, in the encoder and the decoder, as in
    /// some imported autoencoders.
    pub attention_levels: Vec<usize>,
    /// Whether there is a SiLU between the last normalisation and the last convolution of encoder and decoder; MONAI's have none.
    pub final_silu: bool,
    /// Whether the smallest size has two residual blocks around attention; some imported autoencoders have none.
    pub mid_block: bool,
    /// The number of axes of a picture: 2, or 3 for imported autoencoders of volumes.
    pub spatial_dims: usize,
    /// Whether a decoder of volumes upsamples by linear interpolation, as in MAISI, instead of nearest neighbours.
    pub linear_upsampling: bool,
    /// The number of channels of the latents.
    pub latent_channels: usize,
    /// The number of groups of each normalisation; must divide every entry of `block_out_channels`.
    pub norm_num_groups: usize,
    /// The value added to the variance in each normalisation.
    pub norm_eps: f64,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            block_out_channels: vec![32, 64, 64],
            layers_per_block: 1,
            decoder_layers_per_block: None,
            attention_levels: Vec::new(),
            final_silu: true,
            mid_block: true,
            spatial_dims: 2,
            linear_upsampling: false,
            latent_channels: 4,
            norm_num_groups: 32,
            norm_eps: 1e-6,
        }
    }
}

impl AutoencoderConfig {
    /// The number of residual blocks in each level of the decoder.
    pub fn decoder_layers(&self) -> usize {
        self.decoder_layers_per_block.unwrap_or(self.layers_per_block + 1)
    }

    /// The number of image pixels along one side of a latent.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// The height and width of the latents of an image of this size.
    pub fn latent_size(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        [height / self.factor(), width / self.factor()]
    }

    /// Checks the configuration, and that it fits an image of `size`.
    pub fn validate(&self, size: [usize; 2]) -> Result<(), UNetError> {
        if self.latent_channels == 0 {
            return Err(UNetError::NoLatents);
        }
        let words = self.as_unet();
        words.validate()?;
        words.check_size(size)
    }

    /// The equivalent U-Net configuration, for the parts that autoencoder and U-Net share: attention with one head, and the sizes of
    /// the levels.
    fn as_unet(&self) -> UNetConfig {
        UNetConfig {
            block_out_channels: self.block_out_channels.clone(),
            // So that a decoder without blocks is rejected, too.
            layers_per_block: self.layers_per_block.min(self.decoder_layers()),
            attention_levels: self.attention_levels.clone(),
            attention_head_dim: None,
            spatial_dims: self.spatial_dims,
            norm_num_groups: self.norm_num_groups,
            norm_eps: self.norm_eps,
            ..UNetConfig::default()
        }
    }
}

/// Two times norm, SiLU and convolution; the input is added to the result.
#[derive(Module, Debug)]
pub struct PlainResnetBlock {
    /// The norm before the first convolution.
    pub norm1: GroupNorm,
    /// The first convolution; it changes the number of channels.
    pub conv1: Conv2d,
    /// The norm before the second convolution.
    pub norm2: GroupNorm,
    /// The second convolution; it keeps the number of channels.
    pub conv2: Conv2d,
    /// A 1x1 convolution of the input, if the number of channels changes.
    pub conv_shortcut: Option<Conv2d>,
}

impl PlainResnetBlock {
    /// A block from `channels[0]` to `channels[1]`.
    pub fn new([input, output]: [usize; 2], config: &AutoencoderConfig, device: &Device) -> Self {
        let norm = |width| GroupNorm::new(width, config.norm_num_groups, config.norm_eps, device);
        let conv =
            |from, kernel| Conv2d::of(config.spatial_dims, [from, output], kernel, ConvGeometry::same(kernel), device);
        Self {
            norm1: norm(input),
            conv1: conv(input, 3),
            norm2: norm(output),
            conv2: conv(output, 3),
            conv_shortcut: (input != output).then(|| conv(input, 1)),
        }
    }

    /// `[batch, height, width, in]` to `[batch, height, width, out]`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let precision = pass.precision;
        let h = self.conv1.forward(self.norm1.forward_silu(x.clone(), precision), pass);
        let h = self.norm2.forward_silu(h, precision);
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(x, pass),
            None => x,
        };
        self.conv2.forward_add(h, shortcut, pass)
    }
}

/// A level of the encoder.
#[derive(Module, Debug)]
pub struct EncoderBlock {
    /// The residual blocks.
    pub resnets: Vec<PlainResnetBlock>,
    /// One attention layer after each residual block, or none.
    pub attentions: Vec<SelfAttention>,
    /// One downsampling layer, or none in the last level.
    pub downsamplers: Vec<Downsample>,
}

/// A level of the decoder.
#[derive(Module, Debug)]
pub struct DecoderBlock {
    /// The residual blocks.
    pub resnets: Vec<PlainResnetBlock>,
    /// One attention layer after each residual block, or none.
    pub attentions: Vec<SelfAttention>,
    /// One upsampling layer, or none in the last level of the decoder.
    pub upsamplers: Vec<Upsample>,
}

/// The middle block of the encoder or the decoder.
#[derive(Module, Debug)]
pub struct PlainMidBlock {
    /// One attention layer, between the residual blocks.
    pub attentions: Vec<SelfAttention>,
    /// The two residual blocks.
    pub resnets: Vec<PlainResnetBlock>,
}

impl PlainMidBlock {
    fn new(width: usize, config: &AutoencoderConfig, device: &Device) -> Self {
        let resnet = || PlainResnetBlock::new([width, width], config, device);
        let attentions = vec![SelfAttention::new(width, &config.as_unet(), device)];
        Self { attentions, resnets: vec![resnet(), resnet()] }
    }

    fn forward(&self, h: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let h = self.attentions[0].forward(self.resnets[0].forward(h, pass), pass);
        self.resnets[1].forward(h, pass)
    }
}

/// Maps images to the moments of latents.
#[derive(Module, Debug)]
pub struct Encoder {
    /// The first convolution, from the channels of the image to those of the first level.
    pub conv_in: Conv2d,
    /// The levels, from the full size down.
    pub down_blocks: Vec<EncoderBlock>,
    /// The middle block, at the size of the latents.
    pub mid_block: Option<PlainMidBlock>,
    /// The norm before the last convolution.
    pub conv_norm_out: GroupNorm,
    /// The last convolution, to the mean and the logarithm of the variance of each latent.
    pub conv_out: Conv2d,
}

/// Maps latents to images.
#[derive(Module, Debug)]
pub struct Decoder {
    /// The first convolution, from the channels of the latents to those of the last level.
    pub conv_in: Conv2d,
    /// The levels, from the size of the latents up.
    pub up_blocks: Vec<DecoderBlock>,
    /// The middle block, at the size of the latents.
    pub mid_block: Option<PlainMidBlock>,
    /// The norm before the last convolution.
    pub conv_norm_out: GroupNorm,
    /// The last convolution, to the channels of the image.
    pub conv_out: Conv2d,
}

/// The autoencoder. It has the field names of diffusers' `AutoencoderKL`, and so the parameter names of its checkpoints.
#[derive(Module, Debug)]
pub struct Autoencoder {
    /// Maps images to moments.
    pub encoder: Encoder,
    /// Maps latents to images.
    pub decoder: Decoder,
    /// A 1x1 convolution after the encoder.
    pub quant_conv: Conv2d,
    /// A 1x1 convolution before the decoder.
    pub post_quant_conv: Conv2d,
    #[module(skip)]
    final_silu: bool,
}

/// The normal distribution of the latents of a batch; both `[batch, height', width', latent]`.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// The mean.
    pub mean: Tensor<4>,
    /// The logarithm of the variance, clipped to -30 to 20.
    pub logvar: Tensor<4>,
}

impl Posterior {
    /// A sample of the latents; `eps` is standard normal noise with the shape of the mean.
    pub fn sample(&self, eps: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + self.logvar.clone().mul_scalar(0.5).exp() * eps
    }

    /// The Kullback-Leibler divergence from the standard normal distribution, summed over the latents of each image and averaged
    /// over the batch, `[1]`.
    pub fn kl(&self) -> Tensor<1> {
        let batch = self.mean.dims()[0] as f64;
        let each = self.mean.clone().square() + self.logvar.clone().exp() - self.logvar.clone() - 1.0;
        each.sum().mul_scalar(0.5 / batch)
    }
}

impl Autoencoder {
    /// An autoencoder for images with `channels` channels. All weights and biases are 0, but the scales of norms are 1.
    pub fn new(config: &AutoencoderConfig, channels: usize, device: &Device) -> Result<Self, UNetError> {
        config.as_unet().validate()?;
        check_channels("an autoencoder", [channels, config.latent_channels])?;
        let (widths, latent) = (&config.block_out_channels, config.latent_channels);
        let last = widths.len() - 1;
        let resnet = |from, to| PlainResnetBlock::new([from, to], config, device);
        let conv =
            |from, to, kernel| Conv2d::of(config.spatial_dims, [from, to], kernel, ConvGeometry::same(kernel), device);
        let middle = || config.mid_block.then(|| PlainMidBlock::new(widths[last], config, device));
        let upsample = |width| Upsample::new(config.spatial_dims, width, device).linear(config.linear_upsampling);
        let norm = |width| GroupNorm::new(width, config.norm_num_groups, config.norm_eps, device);
        let attentions = |level: usize, count: usize| -> Vec<SelfAttention> {
            let count = if config.attention_levels.contains(&level) { count } else { 0 };
            (0..count).map(|_| SelfAttention::new(widths[level], &config.as_unet(), device)).collect()
        };
        let down = |level: usize| {
            let (from, width) = (widths[level.saturating_sub(1)], widths[level]);
            EncoderBlock {
                resnets: (0..config.layers_per_block)
                    .map(|i| resnet(if i == 0 { from } else { width }, width))
                    .collect(),
                attentions: attentions(level, config.layers_per_block),
                downsamplers: (level < last)
                    .then(|| Downsample::new(config.spatial_dims, width, 0, device))
                    .into_iter()
                    .collect(),
            }
        };
        let up = |level: usize| {
            let (from, width) = (widths[(level + 1).min(last)], widths[level]);
            DecoderBlock {
                resnets: (0..config.decoder_layers())
                    .map(|i| resnet(if i == 0 { from } else { width }, width))
                    .collect(),
                attentions: attentions(level, config.decoder_layers()),
                upsamplers: (level > 0).then(|| upsample(width)).into_iter().collect(),
            }
        };
        Ok(Self {
            encoder: Encoder {
                conv_in: conv(channels, widths[0], 3),
                down_blocks: (0..=last).map(down).collect(),
                mid_block: middle(),
                conv_norm_out: norm(widths[last]),
                conv_out: conv(widths[last], 2 * latent, 3),
            },
            decoder: Decoder {
                conv_in: conv(latent, widths[last], 3),
                up_blocks: (0..=last).rev().map(up).collect(),
                mid_block: middle(),
                conv_norm_out: norm(widths[0]),
                conv_out: conv(widths[0], channels, 3),
            },
            quant_conv: conv(2 * latent, 2 * latent, 1),
            post_quant_conv: conv(latent, latent, 1),
            final_silu: config.final_silu,
        })
    }

    /// The device of the network.
    pub fn device(&self) -> Device {
        self.encoder.conv_in.weight.val().device()
    }

    /// The distribution of the latents of images `[batch, height, width, channels]`.
    pub fn encode(&self, images: Tensor<4>, pass: &Pass) -> Posterior {
        let encoder = &self.encoder;
        let mut h = encoder.conv_in.forward(images, pass.in_f32());
        for block in &encoder.down_blocks {
            h = through_level(&block.resnets, &block.attentions, h, pass);
            for downsample in &block.downsamplers {
                h = downsample.forward(h, pass);
            }
        }
        h = self.last_norm(&encoder.conv_norm_out, through(encoder.mid_block.as_ref(), h, pass));
        let moments = self.quant_conv.forward(encoder.conv_out.forward(h, pass.in_f32()), pass.in_f32());
        let latent = moments.dims()[3] / 2;
        let (mean, logvar) = (moments.clone().narrow(3, 0, latent), moments.narrow(3, latent, latent));
        Posterior { mean, logvar: logvar.clamp(-30.0, 20.0) }
    }

    /// The images of latents `[batch, height', width', latent]`, `[batch, height, width, channels]`.
    pub fn decode(&self, latents: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let decoder = &self.decoder;
        let mut h = decoder.conv_in.forward(self.post_quant_conv.forward(latents, pass.in_f32()), pass.in_f32());
        h = through(decoder.mid_block.as_ref(), h, pass);
        for block in &decoder.up_blocks {
            h = through_level(&block.resnets, &block.attentions, h, pass);
            for upsample in &block.upsamplers {
                h = upsample.forward(h, pass);
            }
        }
        decoder.conv_out.forward(self.last_norm(&decoder.conv_norm_out, h), pass.in_f32())
    }

    fn last_norm(&self, norm: &GroupNorm, h: Tensor<4>) -> Tensor<4> {
        if self.final_silu { norm.forward_silu(h, Precision::F32) } else { norm.forward(h, Precision::F32) }
    }
}

/// Applies the residual blocks of a level, each with the attention that follows it.
fn through_level(
    resnets: &[PlainResnetBlock],
    attentions: &[SelfAttention],
    mut h: Tensor<4>,
    pass: &Pass,
) -> Tensor<4> {
    for (i, resnet) in resnets.iter().enumerate() {
        h = resnet.forward(h, pass);
        if let Some(attention) = attentions.get(i) {
            h = attention.forward(h, pass);
        }
    }
    h
}

/// Applies the middle block, if there is one.
fn through(middle: Option<&PlainMidBlock>, h: Tensor<4>, pass: &Pass) -> Tensor<4> {
    match middle {
        Some(middle) => middle.forward(h, pass),
        None => h,
    }
}

/// Reduces a mask to the grid of the latents: the means over squares of `factor` pixels, or over cubes of voxels. The mean is the
/// share of lesion, scaled to -1 to 1. `[batch, height, width, channels]` to `[batch, height / factor, width / factor, channels]`; the
/// depth of a volume is divided, too.
pub fn area_mean(x: Tensor<4>, factor: usize, volume: Option<Volume>) -> Tensor<4> {
    if let Some(volume) = volume {
        return volume.mean(x, factor);
    }
    let [batch, height, width, channels] = x.dims();
    let (rows, columns) = (height / factor, width / factor);
    x.reshape([batch, rows, factor, columns, factor, channels])
        .mean_dims(&[2, 4])
        .reshape([batch, rows, columns, channels])
}
