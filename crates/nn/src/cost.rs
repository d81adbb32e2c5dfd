//! What a forward pass costs, counted from the configuration.

use crate::config::UNetConfig;

/// Floating-point operations (a multiply and an add are two) of one forward pass of one image, in convolutions, linear
/// layers and attention products; norms and activations are left out.
pub fn forward_flops(config: &UNetConfig, channels: [usize; 2], size: [usize; 2]) -> f64 {
    let widths = &config.block_out_channels;
    let last = widths.len() - 1;
    let time = config.time_embedding_width();
    let pixels = |level: usize| (size[0] >> level) as f64 * (size[1] >> level) as f64;
    let conv = |level: usize, kernel: usize, from: usize, to: usize| {
        2.0 * (kernel * kernel * from * to) as f64 * pixels(level)
    };
    let resnet = |level: usize, from: usize, to: usize| {
        let shortcut = if from == to { 0.0 } else { conv(level, 1, from, to) };
        conv(level, 3, from, to) + conv(level, 3, to, to) + shortcut + 2.0 * (time * to) as f64
    };
    let attention = |level: usize| {
        let width = widths[level];
        4.0 * conv(level, 1, width, width) + 4.0 * pixels(level) * pixels(level) * width as f64
    };
    let attends = |level: usize| if config.attention_levels.contains(&level) { 1.0 } else { 0.0 };

    let mut flops = 2.0 * (widths[0] * time + time * time) as f64 + conv(0, 3, channels[0], widths[0]);
    let mut skips = vec![widths[0]];
    for (level, &width) in widths.iter().enumerate() {
        let mut input = widths[level.saturating_sub(1)];
        for _ in 0..config.layers_per_block {
            flops += resnet(level, input, width) + attends(level) * attention(level);
            skips.push(width);
            input = width;
        }
        if level < last {
            flops += conv(level + 1, 3, width, width);
            skips.push(width);
        }
    }
    flops += 2.0 * resnet(last, widths[last], widths[last]) + attention(last);
    let mut input = widths[last];
    for (level, &width) in widths.iter().enumerate().rev() {
        for skip in skips.drain(skips.len() - (config.layers_per_block + 1)..).rev() {
            flops += resnet(level, input + skip, width) + attends(level) * attention(level);
            input = width;
        }
        if level > 0 {
            flops += conv(level - 1, 3, width, width);
        }
    }
    flops + conv(0, 3, widths[0], channels[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The released layout at 512 x 512 is stated as 124 GFLOP a forward pass.
    #[test]
    fn the_released_layout_costs_what_is_known() {
        let flops = forward_flops(&UNetConfig::default(), [2, 1], [512, 512]);
        assert!((flops / 1e9 - 124.0).abs() < 2.0, "{}", flops / 1e9);
    }
}
