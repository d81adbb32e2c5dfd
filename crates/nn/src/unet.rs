//! The U-Net of the paper and its released code: residual blocks, skip connections, attention in chosen levels.

use crate::{
    attention::SelfAttention,
    config::{UNetConfig, UNetError},
    embedding::{TimeEmbedding, sinusoidal},
    layers::{Conv2d, GroupNorm},
    ops::{self, ConvGeometry},
    pass::Pass,
    resnet::{Downsample, ResnetBlock, Upsample},
    stage::{Layer, Stage},
};
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

/// A level of the encoder.
#[derive(Module, Debug)]
pub struct DownBlock {
    /// Residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One after each residual block, or none.
    pub attentions: Vec<SelfAttention>,
    /// One, or none in the last level.
    pub downsamplers: Vec<Downsample>,
}

/// The middle of the network.
#[derive(Module, Debug)]
pub struct MidBlock {
    /// Two residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One, between them.
    pub attentions: Vec<SelfAttention>,
}

/// A level of the decoder.
#[derive(Module, Debug)]
pub struct UpBlock {
    /// Residual blocks; each takes a skip connection.
    pub resnets: Vec<ResnetBlock>,
    /// One after each residual block, or none.
    pub attentions: Vec<SelfAttention>,
    /// One, or none in the last level of the decoder.
    pub upsamplers: Vec<Upsample>,
}

/// The U-Net. Field names are diffusers' (`UNet2DModel`), so a checkpoint's names are too.
#[derive(Module, Debug)]
pub struct UNet {
    /// From the input's channels to the first level's.
    pub conv_in: Conv2d,
    /// From sinusoids to the embedding.
    pub time_embedding: TimeEmbedding,
    /// From the full size down.
    pub down_blocks: Vec<DownBlock>,
    /// At the smallest size.
    pub mid_block: MidBlock,
    /// From the smallest size up.
    pub up_blocks: Vec<UpBlock>,
    /// Before the last convolution.
    pub conv_norm_out: GroupNorm,
    /// To the output's channels.
    pub conv_out: Conv2d,
    #[module(skip)]
    sinusoids: usize,
    #[module(skip)]
    flip_sin_to_cos: bool,
    #[module(skip)]
    freq_shift: f64,
}

impl UNet {
    /// A network from `channels[0]` input channels (noisy and guide together) to `channels[1]` output channels, with
    /// weights of zero and norms of one.
    pub fn new(config: &UNetConfig, channels: [usize; 2], device: &Device) -> Result<Self, UNetError> {
        config.validate()?;
        let widths = &config.block_out_channels;
        let last = widths.len() - 1;
        let resnet = |from, to| ResnetBlock::new([from, to], config, device);
        let attentions = |level: usize, count: usize| -> Vec<SelfAttention> {
            let count = if config.attention_levels.contains(&level) { count } else { 0 };
            (0..count).map(|_| SelfAttention::new(widths[level], config, device)).collect()
        };

        let mut skips = vec![widths[0]];
        let mut down_blocks = Vec::new();
        for (level, &width) in widths.iter().enumerate() {
            let mut input = widths[level.saturating_sub(1)];
            let mut resnets = Vec::new();
            for _ in 0..config.layers_per_block {
                resnets.push(resnet(input, width));
                skips.push(width);
                input = width;
            }
            let downsampler = (level < last).then(|| Downsample::new(width, config.downsample_padding, device));
            if downsampler.is_some() {
                skips.push(width);
            }
            down_blocks.push(DownBlock {
                resnets,
                attentions: attentions(level, config.layers_per_block),
                downsamplers: downsampler.into_iter().collect(),
            });
        }

        let mid_block = MidBlock {
            resnets: vec![resnet(widths[last], widths[last]), resnet(widths[last], widths[last])],
            attentions: vec![SelfAttention::new(widths[last], config, device)],
        };

        let mut input = widths[last];
        let mut up_blocks = Vec::new();
        for (level, &width) in widths.iter().enumerate().rev() {
            let mut resnets = Vec::new();
            for skip in skips.drain(skips.len() - (config.layers_per_block + 1)..).rev() {
                resnets.push(resnet(input + skip, width));
                input = width;
            }
            up_blocks.push(UpBlock {
                resnets,
                attentions: attentions(level, config.layers_per_block + 1),
                upsamplers: (level > 0).then(|| Upsample::new(width, device)).into_iter().collect(),
            });
        }

        let conv = |from, to| Conv2d::new([from, to], 3, ConvGeometry::same(3), device);
        Ok(Self {
            conv_in: conv(channels[0], widths[0]),
            time_embedding: TimeEmbedding::new(widths[0], config.time_embedding_width(), device),
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: GroupNorm::new(widths[0], config.norm_num_groups, config.norm_eps, device),
            conv_out: conv(widths[0], channels[1]),
            sinusoids: widths[0],
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
        })
    }

    /// Where the network computes.
    pub fn device(&self) -> Device {
        self.conv_in.weight.val().device()
    }

    /// `x` is `[batch, height, width, in]`, `times` one network time (counted from 0) a sample; the result is
    /// `[batch, height, width, out]`.
    pub fn forward(&self, x: Tensor<4>, times: &[f32], pass: &Pass) -> Tensor<4> {
        let time = self.time(self.sinusoids(times));
        let (mut h, mut skips) = (x, Vec::new());
        for stage in self.stages() {
            let skip = if stage.takes_skip { skips.pop() } else { None };
            h = stage.layer.forward(h, skip, &time, pass);
            if stage.leaves_skip {
                skips.push(h.clone());
            }
        }
        h
    }

    /// The sinusoids of `times`, `[batch, width]`.
    pub(crate) fn sinusoids(&self, times: &[f32]) -> Tensor<2> {
        let device = self.device().without_autodiff();
        sinusoidal(times, self.sinusoids, self.flip_sin_to_cos, self.freq_shift, &device)
    }

    /// What every residual block is given of the time, `[batch, embedding]`.
    pub(crate) fn time(&self, sinusoids: Tensor<2>) -> Tensor<2> {
        ops::silu(self.time_embedding.forward(sinusoids))
    }

    /// The layers in the order of the forward pass.
    pub(crate) fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages = vec![Stage::leaving_skip(Layer::Input(&self.conv_in))];
        for block in &self.down_blocks {
            for (i, resnet) in block.resnets.iter().enumerate() {
                match block.attentions.get(i) {
                    Some(attention) => stages
                        .extend([Stage::new(Layer::Resnet(resnet)), Stage::leaving_skip(Layer::Attention(attention))]),
                    None => stages.push(Stage::leaving_skip(Layer::Resnet(resnet))),
                }
            }
            stages.extend(block.downsamplers.iter().map(|layer| Stage::leaving_skip(Layer::Downsample(layer))));
        }
        let MidBlock { resnets, attentions } = &self.mid_block;
        stages.extend([
            Stage::new(Layer::Resnet(&resnets[0])),
            Stage::new(Layer::Attention(&attentions[0])),
            Stage::new(Layer::Resnet(&resnets[1])),
        ]);
        for block in &self.up_blocks {
            for (i, resnet) in block.resnets.iter().enumerate() {
                stages.push(Stage::taking_skip(Layer::Resnet(resnet)));
                stages.extend(block.attentions.get(i).map(|layer| Stage::new(Layer::Attention(layer))));
            }
            stages.extend(block.upsamplers.iter().map(|layer| Stage::new(Layer::Upsample(layer))));
        }
        stages.push(Stage::new(Layer::Output(&self.conv_norm_out, &self.conv_out)));
        stages
    }
}
