//! The configuration of a U-Net, and the checks of its values.

use pig_diffusion::prediction::PredictionType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The keys of `[model_x]` and `[model_y]` that define a U-Net; the defaults are the released layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate key of the configuration")]
pub struct UNetConfig {
    /// The number of channels of each level, from the full size down; each additional level halves the size.
    pub block_out_channels: Vec<usize>,
    /// The number of residual blocks in each level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// The levels (counted from 0, the full size) in which attention follows each residual block.
    pub attention_levels: Vec<usize>,
    /// The levels of the decoder with attention, if they are not those of the encoder, as in imported networks of the released code.
    pub up_attention_levels: Option<Vec<usize>>,
    /// The number of residual blocks in the middle, 0 to 2; some imported networks have fewer than 2.
    pub mid_layers: usize,
    /// Whether attention follows the first of two residual blocks in the middle.
    pub mid_attention: bool,
    /// The number of classes, for imported networks with a class input; the class embedding is added to the time embedding.
    pub num_class_embeds: Option<usize>,
    /// The number of axes of a picture: 2, or 3 for networks of volumes.
    pub spatial_dims: usize,
    /// Whether an input gives the region of the body where a volume begins (MAISI's `include_top_region_index_input`).
    pub include_top_region_index_input: bool,
    /// Whether an input gives the region of the body where the volume ends.
    pub include_bottom_region_index_input: bool,
    /// Whether an input gives the voxel spacing.
    pub include_spacing_input: bool,
    /// Whether the output that a control network adds to the last skip connection is also added to the input of the middle, as in
    /// MAISI's U-Net.
    pub control_before_middle: bool,
    /// The number of channels per attention head; if not set, there is one head with all channels.
    pub attention_head_dim: Option<usize>,
    /// The number of groups of each normalisation; must divide every entry of `block_out_channels`.
    pub norm_num_groups: usize,
    /// The value added to the variance in each normalisation.
    pub norm_eps: f64,
    /// The share of activations that is dropped in each residual block in training.
    pub dropout: f64,
    /// The padding of the downsampling convolutions: 1 pads all sides with zeros, 0 pads one row at the bottom and one column at the
    /// right only.
    pub downsample_padding: usize,
    /// Whether the cosines of the time embedding come before the sines.
    pub flip_sin_to_cos: bool,
    /// The value subtracted from half the number of sinusoids in the denominator of the frequency exponents of the time embedding.
    pub freq_shift: f64,
    /// What the network predicts.
    pub prediction_type: PredictionType,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self {
            block_out_channels: vec![32, 32, 64, 64, 128, 128],
            layers_per_block: 2,
            attention_levels: vec![5],
            up_attention_levels: None,
            mid_layers: 2,
            mid_attention: true,
            num_class_embeds: None,
            spatial_dims: 2,
            include_top_region_index_input: false,
            include_bottom_region_index_input: false,
            include_spacing_input: false,
            control_before_middle: false,
            attention_head_dim: None,
            norm_num_groups: 32,
            norm_eps: 1e-6,
            dropout: 0.0,
            downsample_padding: 0,
            flip_sin_to_cos: false,
            freq_shift: 1.0,
            prediction_type: PredictionType::Epsilon,
        }
    }
}

/// A network that cannot be built, or an image that does not fit it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UNetError {
    /// A network without levels, or with levels without blocks.
    #[error("block_out_channels has {levels} levels and layers_per_block is {layers}, expected at least 1 of each")]
    Empty {
        /// The configured number of levels.
        levels: usize,
        /// The configured number of blocks.
        layers: usize,
    },
    /// Groups must divide channels.
    #[error(
        "norm_num_groups = {groups} does not divide block_out_channels[{level}] = {channels}; choose a divisor of all entries"
    )]
    Groups {
        /// The configured `norm_num_groups`.
        groups: usize,
        /// The level that it does not divide.
        level: usize,
        /// The number of channels of that level.
        channels: usize,
    },
    /// Heads must divide channels.
    #[error("attention_head_dim = {width} does not divide block_out_channels[{level}] = {channels}")]
    Heads {
        /// The configured `attention_head_dim`.
        width: usize,
        /// The level that it does not divide.
        level: usize,
        /// The number of channels of that level.
        channels: usize,
    },
    /// An attention level that does not exist.
    #[error("{key} names level {level}, but the network has levels 0 to {last}")]
    NoSuchLevel {
        /// The key that names it.
        key: &'static str,
        /// The configured level.
        level: usize,
        /// The last level of the network.
        last: usize,
    },
    /// A control network without layers for its condition.
    #[error("control.conditioning_embedding_out_channels = {found:?}, expected at least one entry, each above 0")]
    ConditionEmbedding {
        /// The configured entries.
        found: Vec<usize>,
    },
    /// A network without input or output channels.
    #[error("{what} has {input} input and {output} output channels, expected at least 1 of each")]
    NoChannels {
        /// The kind of network.
        what: &'static str,
        /// The number of input channels.
        input: usize,
        /// The number of output channels.
        output: usize,
    },
    /// An autoencoder without latents.
    #[error("autoencoder.latent_channels = 0, expected 1 or more")]
    NoLatents,
    /// A number of axes other than two or three.
    #[error("spatial_dims = {found}, expected 2, or 3 for volumes")]
    Axes {
        /// The configured `spatial_dims`.
        found: usize,
    },
    /// A middle block that is not supported.
    #[error("mid_layers = {layers} with mid_attention = {attention}, expected 2, or 0 or 1 without attention")]
    Middle {
        /// The configured `mid_layers`.
        layers: usize,
        /// The configured `mid_attention`.
        attention: bool,
    },
    /// The size of the image cannot be halved once for each level.
    #[error(
        "an image of {height} x {width} does not fit a network with {levels} levels: height and width must be divisible by {divisor}; change data.size or shorten block_out_channels"
    )]
    Size {
        /// The height of the image.
        height: usize,
        /// The width of the image.
        width: usize,
        /// The number of levels of the network.
        levels: usize,
        /// The number that must divide height and width.
        divisor: usize,
    },
}

/// Rejects a network without input or output channels.
pub(crate) fn check_channels(what: &'static str, [input, output]: [usize; 2]) -> Result<(), UNetError> {
    if input == 0 || output == 0 {
        return Err(UNetError::NoChannels { what, input, output });
    }
    Ok(())
}

impl UNetConfig {
    /// The width of the time embedding: four times the channels of the first level, as in every U-Net of this family.
    pub fn time_embedding_width(&self) -> usize {
        4 * self.block_out_channels[0]
    }

    /// The width of the embedding that every residual block receives: that of the time embedding, and the same for each additional
    /// input of a network of volumes.
    pub fn embedding_width(&self) -> usize {
        let inputs =
            [self.include_top_region_index_input, self.include_bottom_region_index_input, self.include_spacing_input];
        (1 + inputs.into_iter().filter(|&is_told| is_told).count()) * self.time_embedding_width()
    }

    /// The levels of the decoder in which attention follows each residual block.
    pub fn decoder_attention_levels(&self) -> &[usize] {
        self.up_attention_levels.as_deref().unwrap_or(&self.attention_levels)
    }

    /// The number of channels of each skip connection, from the first convolution to the smallest size.
    pub fn skip_channels(&self) -> Vec<usize> {
        let widths = &self.block_out_channels;
        let mut skips = vec![widths[0]];
        for (level, &width) in widths.iter().enumerate() {
            let downsampler = usize::from(level + 1 < widths.len());
            skips.extend(std::iter::repeat_n(width, self.layers_per_block + downsampler));
        }
        skips
    }

    /// Checks all values that do not depend on the image.
    pub fn validate(&self) -> Result<(), UNetError> {
        let (levels, layers) = (self.block_out_channels.len(), self.layers_per_block);
        if levels == 0 || layers == 0 {
            return Err(UNetError::Empty { levels, layers });
        }
        for (level, &channels) in self.block_out_channels.iter().enumerate() {
            let groups = self.norm_num_groups;
            if groups == 0 || channels == 0 || channels % groups != 0 {
                return Err(UNetError::Groups { groups, level, channels });
            }
            let attends = self.attention_levels.contains(&level)
                || self.decoder_attention_levels().contains(&level)
                || self.mid_attention && level + 1 == levels;
            if let Some(width) = self.attention_head_dim.filter(|&w| attends && (w == 0 || channels % w != 0)) {
                return Err(UNetError::Heads { width, level, channels });
            }
        }
        if self.mid_layers > 2 || self.mid_layers < 2 && self.mid_attention {
            return Err(UNetError::Middle { layers: self.mid_layers, attention: self.mid_attention });
        }
        if !matches!(self.spatial_dims, 2 | 3) {
            return Err(UNetError::Axes { found: self.spatial_dims });
        }
        let of_decoder = self.up_attention_levels.as_deref().unwrap_or_default();
        for (key, named) in [("attention_levels", &*self.attention_levels), ("up_attention_levels", of_decoder)] {
            if let Some(&level) = named.iter().find(|&&level| level >= levels) {
                return Err(UNetError::NoSuchLevel { key, level, last: levels - 1 });
            }
        }
        Ok(())
    }

    /// Checks that the network fits an image of this size.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<(), UNetError> {
        let levels = self.block_out_channels.len();
        let divisor = 1 << (levels - 1);
        if height == 0 || width == 0 || height % divisor != 0 || width % divisor != 0 {
            return Err(UNetError::Size { height, width, levels, divisor });
        }
        Ok(())
    }
}
