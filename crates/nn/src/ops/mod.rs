//! The one seam between the networks and what computes them.
//!
//! Shapes are channels-last. [`plain`] composes Burn's own operations and works on every device.

pub mod plain;

pub use plain::{attention, concat_channels, conv2d, group_norm, linear, silu, upsample_nearest_2x};

/// Stride and zero padding of a square convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Step between output pixels, the same in both directions.
    pub stride: usize,
    /// Zeros before and after each of the two axes: [top, bottom, left, right].
    pub padding: [usize; 4],
}

impl ConvGeometry {
    /// Stride 1 and as much padding as keeps the size, for an odd kernel.
    pub fn same(kernel: usize) -> Self {
        Self { stride: 1, padding: [kernel / 2; 4] }
    }
}
