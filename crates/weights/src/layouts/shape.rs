//! Sizes of a network, derived from the names and shapes of its arrays.

use super::names::{count, size_of};
use crate::array::StateDict;

/// Sizes of a U-Net, derived from its arrays under the names of diffusers. Settings that no array shows (heads, groups, eps, the
/// order of the sinusoids) must come from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UNetShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks in a level of the encoder.
    pub layers_per_block: usize,
    /// Levels of the encoder with attention.
    pub attention_levels: Vec<usize>,
    /// Levels of the decoder with attention, if they are not those of the encoder.
    pub up_attention_levels: Option<Vec<usize>>,
    /// Residual blocks in the middle.
    pub mid_layers: usize,
    /// Whether there is attention in the middle.
    pub mid_attention: bool,
    /// Rows of the class embedding, if there is one.
    pub num_class_embeds: Option<usize>,
    /// Whether its inputs include the region where a volume begins, the region where it ends, and the voxel spacing.
    pub volume_inputs: [bool; 3],
    /// Spatial axes: 2 for images, 3 for volumes.
    pub spatial_dims: usize,
}

impl UNetShape {
    /// Derives the sizes; a missing array gives an error that names it. A ControlNet has no decoder, so its `out_channels` is 0.
    pub fn of(arrays: &StateDict) -> Result<Self, String> {
        let levels = count(arrays, "down_blocks.");
        if levels == 0 {
            return Err("no array has a name that begins with down_blocks., expected a U-Net".to_owned());
        }
        let has = |name: &str| arrays.contains_key(name);
        let mut block_out_channels = Vec::new();
        let mut attention_levels = Vec::new();
        let layers = |level: usize| count(arrays, &format!("down_blocks.{level}.resnets."));
        for level in 0..levels {
            block_out_channels.push(size_of(arrays, &format!("down_blocks.{level}.resnets.0.conv1.weight"), 0)?);
            if layers(level) != layers(0) {
                return Err(format!(
                    "level {level} has {} residual blocks and level 0 has {}, expected the same number",
                    layers(level),
                    layers(0)
                ));
            }
            if count(arrays, &format!("down_blocks.{level}.attentions.")) > 0 {
                attention_levels.push(level);
            }
            if has(&format!("down_blocks.{level}.attentions.0.proj_in.weight")) {
                return Err(format!(
                    "level {level} has transformer blocks with cross-attention, expected plain self-attention"
                ));
            }
        }
        let is_control = !has("conv_out.weight");
        let in_decoder = |&level: &usize| count(arrays, &format!("up_blocks.{}.attentions.", levels - 1 - level)) > 0;
        let up_attention_levels: Vec<usize> = (0..levels).filter(in_decoder).collect();
        Ok(Self {
            in_channels: size_of(arrays, "conv_in.weight", 1)?,
            out_channels: if is_control { 0 } else { size_of(arrays, "conv_out.weight", 0)? },
            block_out_channels,
            layers_per_block: layers(0),
            up_attention_levels: (!is_control && up_attention_levels != attention_levels)
                .then_some(up_attention_levels),
            attention_levels,
            mid_layers: count(arrays, "mid_block.resnets."),
            mid_attention: count(arrays, "mid_block.attentions.") > 0,
            num_class_embeds: has("class_embedding.weight")
                .then(|| size_of(arrays, "class_embedding.weight", 0))
                .transpose()?,
            volume_inputs: ["top_region_index_layer", "bottom_region_index_layer", "spacing_layer"]
                .map(|layer| has(&format!("{layer}.linear_1.weight"))),
            spatial_dims: arrays["conv_in.weight"].shape.len().saturating_sub(2),
        })
    }
}

/// Sizes of an autoencoder, derived from its arrays under the names of diffusers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoencoderShape {
    /// Channels of the image.
    pub channels: usize,
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks in a level of the encoder.
    pub layers_per_block: usize,
    /// Residual blocks in a level of the decoder.
    pub decoder_layers_per_block: usize,
    /// Levels with attention, of the encoder and of the decoder.
    pub attention_levels: Vec<usize>,
    /// Whether there is a middle block: two residual blocks with attention between them.
    pub mid_block: bool,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Spatial axes: 2 for images, 3 for volumes.
    pub spatial_dims: usize,
}

impl AutoencoderShape {
    /// Derives the sizes; a missing array gives an error that names it.
    pub fn of(arrays: &StateDict) -> Result<Self, String> {
        let levels = count(arrays, "encoder.down_blocks.");
        let widths =
            (0..levels).map(|level| size_of(arrays, &format!("encoder.down_blocks.{level}.resnets.0.conv1.weight"), 0));
        let attending = |block: &dyn Fn(usize) -> String| -> Vec<usize> {
            (0..levels).filter(|&level| count(arrays, &format!("{}.attentions.", block(level))) > 0).collect()
        };
        let attention_levels = attending(&|level| format!("encoder.down_blocks.{level}"));
        let in_decoder = attending(&|level| format!("decoder.up_blocks.{}", levels - 1 - level));
        if attention_levels != in_decoder {
            return Err(format!(
                "attention in the levels {attention_levels:?} of the encoder and {in_decoder:?} of the decoder, expected the same levels"
            ));
        }
        Ok(Self {
            channels: size_of(arrays, "encoder.conv_in.weight", 1)?,
            block_out_channels: widths.collect::<Result<_, _>>()?,
            layers_per_block: count(arrays, "encoder.down_blocks.0.resnets."),
            decoder_layers_per_block: count(arrays, "decoder.up_blocks.0.resnets."),
            attention_levels,
            mid_block: arrays.contains_key("decoder.mid_block.resnets.0.norm1.weight"),
            latent_channels: size_of(arrays, "decoder.conv_in.weight", 1)?,
            spatial_dims: arrays["encoder.conv_in.weight"].shape.len().saturating_sub(2),
        })
    }
}

/// Sizes of the layers that read a ControlNet's condition, derived from its arrays under the names of diffusers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionShape {
    /// Channels of the condition.
    pub channels: usize,
    /// Channels of the convolutions that read it; two convolutions lead from each number to the next.
    pub out_channels: Vec<usize>,
}

impl ConditionShape {
    /// Derives the sizes; a missing array gives an error that names it.
    pub fn of(arrays: &StateDict) -> Result<Self, String> {
        const EMBEDDING: &str = "controlnet_cond_embedding";
        let mut out_channels = vec![size_of(arrays, &format!("{EMBEDDING}.conv_in.weight"), 0)?];
        for block in (1..count(arrays, &format!("{EMBEDDING}.blocks."))).step_by(2) {
            out_channels.push(size_of(arrays, &format!("{EMBEDDING}.blocks.{block}.weight"), 0)?);
        }
        Ok(Self { channels: size_of(arrays, &format!("{EMBEDDING}.conv_in.weight"), 1)?, out_channels })
    }
}
