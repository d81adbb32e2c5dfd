//! The cost of a forward pass for one image, computed from the configuration: the floating-point operations (a multiply and an add are
//! two) in convolutions, linear layers and attention products, without norms and activations; the values that are kept for the
//! backward pass, at least; and the weights.

use crate::{autoencoder::AutoencoderConfig, config::UNetConfig, control::ControlConfig};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Floating-point operations.
    Operations,
    /// The values that layers put out, which the next layer keeps for its backward pass; of attention, those of its linear layers alone.
    Values,
    /// The weights of convolutions and linear layers, without biases and norms.
    Weights,
}

/// Counts layers on the levels of a network; level 0 is the full size.
struct Counter {
    /// What is counted.
    unit: Unit,
    /// Depth (1 for pictures), height and width.
    size: [usize; 3],
    /// The number of axes: with three, the depth is halved as well, and kernels have a depth.
    axes: usize,
    /// The width of the time embedding, 0 without one.
    time: usize,
}

impl Counter {
    fn pixels(&self, level: usize) -> f64 {
        let [depth, height, width] = self.size;
        let depth = if self.axes == 3 { depth >> level } else { depth };
        [depth, height >> level, width >> level].iter().product::<usize>() as f64
    }

    fn conv(&self, level: usize, kernel: usize, [from, to]: [usize; 2]) -> f64 {
        let weights = kernel.pow(self.axes as u32) as f64 * from as f64 * to as f64;
        match self.unit {
            Unit::Operations => 2.0 * weights * self.pixels(level),
            Unit::Values => to as f64 * self.pixels(level),
            Unit::Weights => weights,
        }
    }

    /// The products of the time embedding in a block, or of any linear layer on it.
    fn linear(&self, from: usize, to: usize) -> f64 {
        match self.unit {
            Unit::Operations => 2.0 * (from as f64 * to as f64),
            // Without an input there is no such layer.
            Unit::Values => (to * from.min(1)) as f64,
            Unit::Weights => from as f64 * to as f64,
        }
    }

    fn resnet(&self, level: usize, [from, to]: [usize; 2]) -> f64 {
        let shortcut = if from == to { 0.0 } else { self.conv(level, 1, [from, to]) };
        self.conv(level, 3, [from, to]) + self.conv(level, 3, [to, to]) + shortcut + self.linear(self.time, to)
    }

    fn attention(&self, level: usize, width: usize) -> f64 {
        let products = match self.unit {
            Unit::Operations => 4.0 * self.pixels(level) * self.pixels(level) * width as f64,
            Unit::Values | Unit::Weights => 0.0,
        };
        4.0 * self.conv(level, 1, [width, width]) + products
    }

    /// Two residual blocks around attention.
    fn middle(&self, level: usize, width: usize) -> f64 {
        2.0 * self.resnet(level, [width, width]) + self.attention(level, width)
    }

    /// All levels of an encoder with these `widths`; in the levels of `attends`, attention follows each block.
    fn down(&self, widths: &[usize], layers: usize, attends: &[usize]) -> f64 {
        let mut flops = 0.0;
        for (level, &width) in widths.iter().enumerate() {
            let mut input = widths[level.saturating_sub(1)];
            for _ in 0..layers {
                flops += self.resnet(level, [input, width]);
                flops += if attends.contains(&level) { self.attention(level, width) } else { 0.0 };
                input = width;
            }
            if level + 1 < widths.len() {
                flops += self.conv(level + 1, 3, [width, width]);
            }
        }
        flops
    }
}

/// The time embedding, the first convolution, the encoder levels and the middle of a U-Net.
fn encoder_cost(unit: Unit, config: &UNetConfig, channels: usize, size: [usize; 3]) -> f64 {
    let widths = &config.block_out_channels;
    let (last, time) = (widths.len() - 1, config.time_embedding_width());
    let counter = Counter { unit, size, axes: config.spatial_dims, time };
    counter.linear(widths[0], time)
        + counter.linear(time, time)
        + counter.conv(0, 3, [channels, widths[0]])
        + counter.down(widths, config.layers_per_block, &config.attention_levels)
        + config.mid_layers as f64 * counter.resnet(last, [widths[last]; 2])
        + if config.mid_attention { counter.attention(last, widths[last]) } else { 0.0 }
}

/// One forward pass of a U-Net from `channels[0]` to `channels[1]`. `size` is depth (1 for pictures), height and width.
pub fn forward_flops(config: &UNetConfig, channels: [usize; 2], size: [usize; 3]) -> f64 {
    forward(Unit::Operations, config, channels, size)
}

/// The values that one forward pass of the same U-Net keeps for the backward pass, at least.
pub fn forward_values(config: &UNetConfig, channels: [usize; 2], size: [usize; 3]) -> f64 {
    forward(Unit::Values, config, channels, size)
}

/// The weights of the same U-Net, without biases and norms, which are few. The configuration must be valid.
pub fn weights(config: &UNetConfig, channels: [usize; 2]) -> f64 {
    forward(Unit::Weights, config, channels, [1; 3])
}

fn forward(unit: Unit, config: &UNetConfig, channels: [usize; 2], size: [usize; 3]) -> f64 {
    let widths = &config.block_out_channels;
    let counter = Counter { unit, size, axes: config.spatial_dims, time: config.time_embedding_width() };
    let mut flops = encoder_cost(unit, config, channels[0], size);
    let mut skips = config.skip_channels();
    let mut input = widths[widths.len() - 1];
    for (level, &width) in widths.iter().enumerate().rev() {
        for skip in skips.drain(skips.len() - (config.layers_per_block + 1)..).rev() {
            flops += counter.resnet(level, [input + skip, width]);
            let attends = config.decoder_attention_levels().contains(&level);
            flops += if attends { counter.attention(level, width) } else { 0.0 };
            input = width;
        }
        if level > 0 {
            flops += counter.conv(level - 1, 3, [width, width]);
        }
    }
    flops + counter.conv(0, 3, [widths[0], channels[1]])
}

/// One forward pass of a control network without its base. `channels` are those of the noisy input and of the condition.
pub fn control_flops(base: &UNetConfig, config: &ControlConfig, channels: [usize; 2], size: [usize; 3]) -> f64 {
    control(Unit::Operations, base, config, channels, size)
}

/// The weights of a control network, as [`weights`] counts them.
pub fn control_weights(base: &UNetConfig, config: &ControlConfig, channels: [usize; 2]) -> f64 {
    control(Unit::Weights, base, config, channels, [1; 3])
}

fn control(
    unit: Unit,
    base: &UNetConfig,
    config: &ControlConfig,
    [channels, condition]: [usize; 2],
    size: [usize; 3],
) -> f64 {
    let counter = Counter { unit, size, axes: base.spatial_dims, time: 0 };
    let (widths, layers) = (&base.block_out_channels, base.layers_per_block);
    let read = &config.conditioning_embedding_out_channels;
    let mut flops = encoder_cost(unit, base, channels, size) + counter.conv(0, 3, [condition, read[0]]);
    for step in read.windows(2) {
        flops += counter.conv(0, 3, [step[0], step[0]]) + counter.conv(0, 3, [step[0], step[1]]);
    }
    flops += counter.conv(0, 3, [read[read.len() - 1], widths[0]]) + counter.conv(0, 1, [widths[0], widths[0]]);
    for (level, &width) in widths.iter().enumerate() {
        flops += layers as f64 * counter.conv(level, 1, [width, width]);
        // The skip connection of the downsampler has the size of the next level; in the last level this is the middle instead.
        flops += counter.conv((level + 1).min(widths.len() - 1), 1, [width, width]);
    }
    flops
}

/// One pass of the encoder and one pass of the decoder of an autoencoder, for images with `channels` channels.
pub fn autoencoder_flops(config: &AutoencoderConfig, channels: usize, size: [usize; 3]) -> [f64; 2] {
    autoencoder(Unit::Operations, config, channels, size)
}

/// The values that the same passes keep for the backward pass, at least.
pub fn autoencoder_values(config: &AutoencoderConfig, channels: usize, size: [usize; 3]) -> [f64; 2] {
    autoencoder(Unit::Values, config, channels, size)
}

/// The weights of encoder and decoder, as [`weights`] counts them.
pub fn autoencoder_weights(config: &AutoencoderConfig, channels: usize) -> f64 {
    autoencoder(Unit::Weights, config, channels, [1; 3]).iter().sum()
}

fn autoencoder(unit: Unit, config: &AutoencoderConfig, channels: usize, size: [usize; 3]) -> [f64; 2] {
    let counter = Counter { unit, size, axes: config.spatial_dims, time: 0 };
    let (widths, latent) = (&config.block_out_channels, config.latent_channels);
    let last = widths.len() - 1;
    let middle = if config.mid_block { counter.middle(last, widths[last]) } else { 0.0 };
    let encoder = counter.conv(0, 3, [channels, widths[0]])
        + counter.down(widths, config.layers_per_block, &config.attention_levels)
        + middle
        + counter.conv(last, 3, [widths[last], 2 * latent])
        + counter.conv(last, 1, [2 * latent, 2 * latent]);
    let mut decoder = counter.conv(last, 1, [latent, latent])
        + counter.conv(last, 3, [latent, widths[last]])
        + middle
        + counter.conv(0, 3, [widths[0], channels]);
    let mut input = widths[last];
    for (level, &width) in widths.iter().enumerate().rev() {
        for _ in 0..config.decoder_layers() {
            decoder += counter.resnet(level, [input, width]);
            decoder += if config.attention_levels.contains(&level) { counter.attention(level, width) } else { 0.0 };
            input = width;
        }
        if level > 0 {
            decoder += counter.conv(level - 1, 3, [width, width]);
        }
    }
    [encoder, decoder]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known cost of the released layout at 512 x 512 is 124 GFLOP per forward pass.
    #[test]
    fn the_released_layout_costs_what_is_known() {
        let flops = forward_flops(&UNetConfig::default(), [2, 1], [1, 512, 512]);
        assert!((flops / 1e9 - 124.0).abs() < 2.0, "{}", flops / 1e9);
    }

    /// Of its 7,125,409 parameters, 27,201 are biases and norms.
    #[test]
    fn the_weights_of_the_released_layout_are_counted() {
        assert_eq!(weights(&UNetConfig::default(), [2, 1]), 7_098_208.0);
    }

    /// Counted by hand for one level with four channels and one pixel: 2 x products.
    #[test]
    fn small_networks_cost_what_is_counted_by_hand() {
        let base = UNetConfig {
            block_out_channels: vec![4],
            layers_per_block: 1,
            attention_levels: vec![],
            norm_num_groups: 4,
            ..UNetConfig::default()
        };
        let resnet = 2.0 * (9 * 16 + 9 * 16 + 16 * 4) as f64;
        let attention = 2.0 * (4 * 16) as f64 + 4.0 * 4.0;
        let time = 2.0 * (4 * 16 + 16 * 16) as f64;
        let encoder = time + 2.0 * 36.0 + resnet + 2.0 * resnet + attention;
        assert_eq!(encoder_cost(Unit::Operations, &base, 1, [1, 1, 1]), encoder);
        let control = ControlConfig { conditioning_embedding_out_channels: vec![2, 3] };
        let read = 2.0 * 9.0 * (2 + 4 + 6 + 12) as f64;
        assert_eq!(control_flops(&base, &control, [1, 1], [1, 1, 1]), encoder + read + 3.0 * 2.0 * 16.0);
        // Values: the time embedding twice; the first convolution; three blocks with two convolutions and the time; attention's four.
        let values = 16.0 + 16.0 + 4.0 + 3.0 * (4.0 + 4.0 + 4.0) + 4.0 * 4.0;
        assert_eq!(encoder_cost(Unit::Values, &base, 1, [1, 1, 1]), values);
        // For volumes, 3x3 convolutions have three times the weights; all other layers have the same number.
        let deep = UNetConfig { spatial_dims: 3, ..base };
        let resnet = 2.0 * (27 * 16 + 27 * 16 + 16 * 4) as f64;
        assert_eq!(encoder_cost(Unit::Operations, &deep, 1, [1, 1, 1]), time + 2.0 * 108.0 + 3.0 * resnet + attention);
    }
}
