//! The U-Net of the paper and its released code: residual blocks, skip connections, attention in chosen levels.

use crate::{
    attention::SelfAttention,
    config::{UNetConfig, UNetError, check_channels},
    embedding::{ClassEmbedding, Sinusoids, TimeEmbedding},
    layers::{Conv2d, GroupNorm},
    ops::{self, ConvGeometry},
    pass::Pass,
    resnet::{Downsample, ResnetBlock, Upsample},
    stage::{Layer, Stage},
};
use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use std::ops::Range;

/// The number of body regions that a network of volumes distinguishes.
pub const REGIONS: usize = 4;
/// The number of axes of a volume.
pub const AXES: usize = 3;

/// The additional inputs of a network of volumes, as far as it has them; the values of all samples follow each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VolumeInputs {
    /// The body region where the volume begins: one of [`REGIONS`] values is 1.
    pub top_region_index: Vec<f32>,
    /// The body region where the volume ends, in the same form.
    pub bottom_region_index: Vec<f32>,
    /// The voxel spacing along each axis, in the scale of the network's training.
    pub spacing: Vec<f32>,
}

impl VolumeInputs {
    /// The inputs of some of `batch` samples.
    #[must_use]
    pub fn of(&self, samples: Range<usize>, batch: usize) -> Self {
        let part = |values: &[f32]| {
            let each = values.len() / batch;
            values[samples.start * each..samples.end * each].to_vec()
        };
        Self {
            top_region_index: part(&self.top_region_index),
            bottom_region_index: part(&self.bottom_region_index),
            spacing: part(&self.spacing),
        }
    }
}

/// A level of the encoder.
#[derive(Module, Debug)]
pub struct DownBlock {
    /// The residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One attention layer after each residual block, or none.
    pub attentions: Vec<SelfAttention>,
    /// One downsampling layer, or none in the last level.
    pub downsamplers: Vec<Downsample>,
}

/// The middle of the network.
#[derive(Module, Debug)]
pub struct MidBlock {
    /// Up to two residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One attention layer after the first residual block, or none.
    pub attentions: Vec<SelfAttention>,
}

impl MidBlock {
    /// The middle block at the smallest size, with the channels of the last level.
    pub fn new(config: &UNetConfig, device: &Device) -> Self {
        let width = config.block_out_channels[config.block_out_channels.len() - 1];
        let attentions = usize::from(config.mid_attention);
        Self {
            resnets: (0..config.mid_layers).map(|_| ResnetBlock::new([width; 2], config, device)).collect(),
            attentions: (0..attentions).map(|_| SelfAttention::new(width, config, device)).collect(),
        }
    }
}

/// A level of the decoder.
#[derive(Module, Debug)]
pub struct UpBlock {
    /// The residual blocks; each reads a skip connection.
    pub resnets: Vec<ResnetBlock>,
    /// One attention layer after each residual block, or none.
    pub attentions: Vec<SelfAttention>,
    /// One upsampling layer, or none in the last level of the decoder.
    pub upsamplers: Vec<Upsample>,
}

/// The U-Net. It has the field names of diffusers' `UNet2DModel`, and so the parameter names of its checkpoints.
#[derive(Module, Debug)]
pub struct UNet {
    /// The first convolution, from the channels of the input to those of the first level.
    pub conv_in: Conv2d,
    /// The time embedding, computed from sinusoids.
    pub time_embedding: TimeEmbedding,
    /// The time embedding of the image, in a joint network whose two members have independent noise levels.
    pub time_embedding_y: Option<TimeEmbedding>,
    /// The embedding of what was changed in a training pair, for networks that are told.
    pub augment_layer: Option<TimeEmbedding>,
    /// The class embedding, for networks with a class input.
    pub class_embedding: Option<ClassEmbedding>,
    /// The embedding of the body region where a volume begins.
    pub top_region_index_layer: Option<TimeEmbedding>,
    /// The embedding of the body region where a volume ends.
    pub bottom_region_index_layer: Option<TimeEmbedding>,
    /// The embedding of the voxel spacing.
    pub spacing_layer: Option<TimeEmbedding>,
    /// The encoder levels, from the full size down.
    pub down_blocks: Vec<DownBlock>,
    /// The middle block, at the smallest size.
    pub mid_block: MidBlock,
    /// The decoder levels, from the smallest size up.
    pub up_blocks: Vec<UpBlock>,
    /// The norm before the last convolution.
    pub conv_norm_out: GroupNorm,
    /// The last convolution, to the channels of the output.
    pub conv_out: Conv2d,
    #[module(skip)]
    sinusoids: Sinusoids,
    #[module(skip)]
    control_before_middle: bool,
}

impl UNet {
    /// A network from `channels[0]` input channels (noisy and guide together) to `channels[1]` output channels. All weights and biases
    /// are 0, but the scales of norms are 1.
    pub fn new(config: &UNetConfig, channels: [usize; 2], device: &Device) -> Result<Self, UNetError> {
        config.validate()?;
        check_channels("a U-Net", channels)?;
        let widths = &config.block_out_channels;
        let last = widths.len() - 1;
        let resnet = |from, to| ResnetBlock::new([from, to], config, device);
        let attentions = |levels: &[usize], level: usize, count: usize| -> Vec<SelfAttention> {
            let count = if levels.contains(&level) { count } else { 0 };
            (0..count).map(|_| SelfAttention::new(widths[level], config, device)).collect()
        };

        let mut skips = config.skip_channels();
        let mut down_blocks = Vec::new();
        for (level, &width) in widths.iter().enumerate() {
            let mut input = widths[level.saturating_sub(1)];
            let mut resnets = Vec::new();
            for _ in 0..config.layers_per_block {
                resnets.push(resnet(input, width));
                input = width;
            }
            let downsampler =
                (level < last).then(|| Downsample::new(config.spatial_dims, width, config.downsample_padding, device));
            down_blocks.push(DownBlock {
                resnets,
                attentions: attentions(&config.attention_levels, level, config.layers_per_block),
                downsamplers: downsampler.into_iter().collect(),
            });
        }

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
                attentions: attentions(config.decoder_attention_levels(), level, config.layers_per_block + 1),
                upsamplers: (level > 0)
                    .then(|| Upsample::new(config.spatial_dims, width, device))
                    .into_iter()
                    .collect(),
            });
        }

        let conv = |from, to| Conv2d::of(config.spatial_dims, [from, to], 3, ConvGeometry::same(3), device);
        let further = |is_told: bool, inputs: usize| {
            is_told.then(|| TimeEmbedding::new(inputs, config.time_embedding_width(), device))
        };
        Ok(Self {
            conv_in: conv(channels[0], widths[0]),
            time_embedding: TimeEmbedding::new(widths[0], config.time_embedding_width(), device),
            time_embedding_y: None,
            augment_layer: None,
            class_embedding: config.num_class_embeds.map(|classes| ClassEmbedding::new(classes, config, device)),
            top_region_index_layer: further(config.include_top_region_index_input, REGIONS),
            bottom_region_index_layer: further(config.include_bottom_region_index_input, REGIONS),
            spacing_layer: further(config.include_spacing_input, AXES),
            down_blocks,
            mid_block: MidBlock::new(config, device),
            up_blocks,
            conv_norm_out: GroupNorm::new(widths[0], config.norm_num_groups, config.norm_eps, device),
            conv_out: conv(widths[0], channels[1]),
            sinusoids: Sinusoids::new(config),
            control_before_middle: config.control_before_middle,
        })
    }

    /// The same network with a second time; the embeddings of both times are added.
    #[must_use]
    pub fn with_second_time(mut self, config: &UNetConfig) -> Self {
        let device = self.device();
        self.time_embedding_y = Some(TimeEmbedding::new(self.sinusoids.width, config.time_embedding_width(), &device));
        self
    }

    /// The same network with an input of `told` numbers for each sample: what was changed in a training pair.
    #[must_use]
    pub fn with_augment_input(mut self, config: &UNetConfig, told: usize) -> Self {
        let device = self.device();
        self.augment_layer = Some(TimeEmbedding::new(told, config.time_embedding_width(), &device));
        self
    }

    /// The device of the network.
    pub fn device(&self) -> Device {
        self.conv_in.weight.val().device()
    }

    /// The embedding of `times` (counted from 0) that every residual block receives, `[batch, embedding]`.
    pub fn embed(&self, times: &[f32]) -> Tensor<2> {
        self.embed_classes(times, &first_classes(times.len()))
    }

    /// As [`embed`](Self::embed), with one class per sample; networks without a class input ignore the classes.
    pub fn embed_classes(&self, times: &[f32], classes: &[usize]) -> Tensor<2> {
        self.time(self.sinusoids(times), classes, &[])
    }

    /// As [`embed_classes`](Self::embed_classes), with the additional inputs of a network of volumes.
    pub fn embed_volumes(&self, times: &[f32], classes: &[usize], told: &VolumeInputs) -> Tensor<2> {
        let parts = [
            (&self.top_region_index_layer, &told.top_region_index, REGIONS),
            (&self.bottom_region_index_layer, &told.bottom_region_index, REGIONS),
            (&self.spacing_layer, &told.spacing, AXES),
        ];
        let device = self.device();
        let embedded = |(layer, values, width): (&Option<TimeEmbedding>, &Vec<f32>, usize)| {
            let layer = layer.as_ref()?;
            let values = Tensor::from_data(TensorData::new(values.clone(), [times.len(), width]), &device);
            Some(ops::silu(layer.forward(values)))
        };
        let further = parts.into_iter().filter_map(embedded);
        Tensor::cat(std::iter::once(self.embed_classes(times, classes)).chain(further).collect(), 1)
    }

    /// As [`embed`](Self::embed), with two times per sample and what was changed in it, for a network [with a second time](Self::with_second_time).
    pub fn embed_two(&self, times: &[f32], times_y: &[f32], told: &[f32]) -> Tensor<2> {
        let embedding = self.with_told(self.time_embedding.forward(self.sinusoids(times)), told);
        ops::silu(match &self.time_embedding_y {
            Some(second) => embedding + second.forward(self.sinusoids(times_y)),
            None => embedding,
        })
    }

    /// `embedding` of a batch, to which that of what was changed in each sample is added if the network is told; without `told` numbers
    /// nothing was changed.
    fn with_told(&self, embedding: Tensor<2>, told: &[f32]) -> Tensor<2> {
        let Some(layer) = &self.augment_layer else { return embedding };
        let (batch, width) = (embedding.dims()[0], layer.linear_1.weight.dims()[1]);
        let told = if told.is_empty() { vec![0.0; batch * width] } else { told.to_vec() };
        embedding + layer.forward(Tensor::from_data(TensorData::new(told, [batch, width]), &self.device()))
    }

    /// `x` is `[batch, height, width, in]`, `times` has one network time (counted from 0) per sample; the result is `[batch, height,
    /// width, out]`. A network with a class input receives the first class.
    pub fn forward(&self, x: Tensor<4>, times: &[f32], pass: &Pass) -> Tensor<4> {
        let time = self.time(self.sinusoids(times), &first_classes(times.len()), &pass.told);
        self.forward_embedded(x, &time, None, pass)
    }

    /// [`forward`](Self::forward) with a given embedding; `controls`, if there are any, are added to the outputs of the encoder.
    pub fn forward_embedded(
        &self,
        x: Tensor<4>,
        time: &Tensor<2>,
        controls: Option<Features>,
        pass: &Pass,
    ) -> Tensor<4> {
        let (mut middle, mut controls) = controls.map_or((None, Vec::new()), |c| (Some(c.mid), c.skips));
        let (mut h, mut skips) = (x, Vec::new());
        for stage in self.stages() {
            let mut skip = None;
            if stage.takes_skip {
                // The first layer that reads a skip connection is the first one after the middle.
                h = match middle.take() {
                    Some(control) => h + control,
                    None => h,
                };
                skip = match (skips.pop(), controls.pop()) {
                    (Some(skip), Some(control)) => Some(skip + control),
                    (skip, _) => skip,
                };
            }
            h = stage.layer.forward(h, skip, time, pass);
            if stage.leaves_skip {
                skips.push(h.clone());
                if self.control_before_middle
                    && skips.len() == controls.len()
                    && let Some(control) = controls.last()
                {
                    h = h + control.clone();
                }
            }
        }
        h
    }

    /// The sinusoids of `times`, `[batch, width]`.
    pub(crate) fn sinusoids(&self, times: &[f32]) -> Tensor<2> {
        self.sinusoids.of(times, &self.device().without_autodiff())
    }

    /// The embedding of the time, of what was changed in each sample, and in a network with a class input of its class, `[batch,
    /// embedding]`.
    pub(crate) fn time(&self, sinusoids: Tensor<2>, classes: &[usize], told: &[f32]) -> Tensor<2> {
        let embedding = self.with_told(self.time_embedding.forward(sinusoids), told);
        ops::silu(match &self.class_embedding {
            Some(table) => embedding + table.forward(classes),
            None => embedding,
        })
    }

    /// The layers in the order of the forward pass.
    pub(crate) fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages = encoder_stages(&self.conv_in, &self.down_blocks, &self.mid_block);
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

/// The layers from the input to the middle, both included, in the order of the forward pass.
pub(crate) fn encoder_stages<'a>(
    conv_in: &'a Conv2d,
    down_blocks: &'a [DownBlock],
    mid_block: &'a MidBlock,
) -> Vec<Stage<'a>> {
    let mut stages = vec![Stage::leaving_skip(Layer::Input(conv_in))];
    for block in down_blocks {
        for (i, resnet) in block.resnets.iter().enumerate() {
            match block.attentions.get(i) {
                Some(attention) => {
                    stages
                        .extend([Stage::new(Layer::Resnet(resnet)), Stage::leaving_skip(Layer::Attention(attention))]);
                }
                None => stages.push(Stage::leaving_skip(Layer::Resnet(resnet))),
            }
        }
        stages.extend(block.downsamplers.iter().map(|layer| Stage::leaving_skip(Layer::Downsample(layer))));
    }
    for (i, resnet) in mid_block.resnets.iter().enumerate() {
        stages.push(Stage::new(Layer::Resnet(resnet)));
        stages.extend(mid_block.attentions.get(i).map(|layer| Stage::new(Layer::Attention(layer))));
    }
    stages
}

/// The tensors that an encoder passes to a decoder, all `[batch, height, width, channels]`.
#[derive(Clone, Debug)]
pub struct Features {
    /// The skip connections, from the first convolution to the smallest size.
    pub skips: Vec<Tensor<4>>,
    /// The output of the middle.
    pub mid: Tensor<4>,
}

/// The default class of each sample: the first class.
pub(crate) fn first_classes(batch: usize) -> Vec<usize> {
    vec![0; batch]
}
