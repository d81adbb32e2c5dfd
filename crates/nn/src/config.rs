//! The words that size a U-Net, and what they must satisfy.

use pig_diffusion::prediction::PredictionType;
use serde::{Deserialize, Serialize};

/// The `[model_x]` and `[model_y]` words that size a U-Net; the defaults are the released layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct UNetConfig {
    /// Channels of each level, from the full size down; each further level halves the size.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks in a level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Levels (counted from 0, the full size) whose residual blocks are followed by attention.
    pub attention_levels: Vec<usize>,
    /// Residual blocks in the middle, 0 to 2; some networks made elsewhere have fewer than 2.
    pub mid_layers: usize,
    /// Whether attention stands behind the first of two residual blocks in the middle.
    pub mid_attention: bool,
    /// Classes that the network can be told, for networks made elsewhere; their embeddings are added to the time's.
    pub num_class_embeds: Option<usize>,
    /// Axes of a picture: 2, or 3 for networks of volumes made elsewhere.
    pub spatial_dims: usize,
    /// Whether the network is told in which region of the body a volume begins (MAISI's `include_top_region_index_input`).
    pub include_top_region_index_input: bool,
    /// Whether it is told in which region the volume ends.
    pub include_bottom_region_index_input: bool,
    /// Whether it is told the distances of voxels.
    pub include_spacing_input: bool,
    /// Whether what a control network adds to the last skip connection also goes into the middle, as in MAISI's U-Net.
    pub control_before_middle: bool,
    /// Channels of one attention head; without it one head has them all.
    pub attention_head_dim: Option<usize>,
    /// Groups of each normalisation; must divide every entry of `block_out_channels`.
    pub norm_num_groups: usize,
    /// Added to the variance in each normalisation.
    pub norm_eps: f64,
    /// Share of activations dropped in each residual block while training.
    pub dropout: f64,
    /// Zeros around the downsampling convolutions: 1 all around, 0 for one at the bottom and right only.
    pub downsample_padding: usize,
    /// Whether the time embedding starts with its cosines.
    pub flip_sin_to_cos: bool,
    /// Subtracted from half the embedding's width in its frequencies.
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

/// A network that cannot be built, or an image that does not fit one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UNetError {
    /// No level, or no block in a level.
    #[error("block_out_channels has {levels} levels and layers_per_block is {layers}, expected at least 1 of each")]
    Empty {
        /// Levels given.
        levels: usize,
        /// Blocks given.
        layers: usize,
    },
    /// Groups must divide channels.
    #[error(
        "norm_num_groups = {groups} does not divide block_out_channels[{level}] = {channels}; choose a divisor of every level"
    )]
    Groups {
        /// `norm_num_groups`.
        groups: usize,
        /// The offending level.
        level: usize,
        /// Its channels.
        channels: usize,
    },
    /// Heads must divide channels.
    #[error("attention_head_dim = {width} does not divide block_out_channels[{level}] = {channels}")]
    Heads {
        /// `attention_head_dim`.
        width: usize,
        /// The offending level.
        level: usize,
        /// Its channels.
        channels: usize,
    },
    /// An attention level that does not exist.
    #[error("attention_levels names level {level}, but the network has levels 0 to {last}")]
    NoSuchLevel {
        /// The level named.
        level: usize,
        /// The last level.
        last: usize,
    },
    /// A control network that cannot read its condition.
    #[error("control.conditioning_embedding_out_channels = {found:?}, expected at least one entry, each above 0")]
    ConditionEmbedding {
        /// The entries given.
        found: Vec<usize>,
    },
    /// A network without inputs or outputs.
    #[error("{what} has {input} input and {output} output channels, expected at least 1 of each")]
    NoChannels {
        /// The network.
        what: &'static str,
        /// Input channels.
        input: usize,
        /// Output channels.
        output: usize,
    },
    /// An autoencoder without latents.
    #[error("autoencoder.latent_channels = 0, expected 1 or more")]
    NoLatents,
    /// Pictures of other than two or three axes.
    #[error("spatial_dims = {found}, expected 2, or 3 for volumes")]
    Axes {
        /// `spatial_dims`.
        found: usize,
    },
    /// A middle that is not known.
    #[error("mid_layers = {layers} with mid_attention = {attention}, expected 2, or 0 or 1 without attention")]
    Middle {
        /// `mid_layers`.
        layers: usize,
        /// `mid_attention`.
        attention: bool,
    },
    /// The image cannot be halved often enough.
    #[error(
        "an image of {height} x {width} cannot pass {levels} levels: both must be divisible by {divisor}; change data.size or shorten block_out_channels"
    )]
    Size {
        /// Image height.
        height: usize,
        /// Image width.
        width: usize,
        /// Levels of the network.
        levels: usize,
        /// What must divide both.
        divisor: usize,
    },
}

/// Refuses a network without inputs or outputs: its convolutions would have no channels to read or to write.
pub(crate) fn check_channels(what: &'static str, [input, output]: [usize; 2]) -> Result<(), UNetError> {
    if input == 0 || output == 0 {
        return Err(UNetError::NoChannels { what, input, output });
    }
    Ok(())
}

impl UNetConfig {
    /// Width of the time embedding: four times the first level's, as in every U-Net of this family.
    pub fn time_embedding_width(&self) -> usize {
        4 * self.block_out_channels[0]
    }

    /// Width of what every residual block is given: the time embedding, and one as wide for each further input of a volume.
    pub fn embedding_width(&self) -> usize {
        let inputs =
            [self.include_top_region_index_input, self.include_bottom_region_index_input, self.include_spacing_input];
        (1 + inputs.into_iter().filter(|&is_told| is_told).count()) * self.time_embedding_width()
    }

    /// Channels of each skip connection, from the first convolution's to the smallest size's.
    pub fn skip_channels(&self) -> Vec<usize> {
        let widths = &self.block_out_channels;
        let mut skips = vec![widths[0]];
        for (level, &width) in widths.iter().enumerate() {
            let downsampler = usize::from(level + 1 < widths.len());
            skips.extend(std::iter::repeat_n(width, self.layers_per_block + downsampler));
        }
        skips
    }

    /// Checks what can be checked without an image.
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
            let attends = self.attention_levels.contains(&level) || self.mid_attention && level + 1 == levels;
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
        match self.attention_levels.iter().find(|&&level| level >= levels) {
            Some(&level) => Err(UNetError::NoSuchLevel { level, last: levels - 1 }),
            None => Ok(()),
        }
    }

    /// Checks that an image of this size passes through.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<(), UNetError> {
        let levels = self.block_out_channels.len();
        let divisor = 1 << (levels - 1);
        if height == 0 || width == 0 || height % divisor != 0 || width % divisor != 0 {
            return Err(UNetError::Size { height, width, levels, divisor });
        }
        Ok(())
    }
}
