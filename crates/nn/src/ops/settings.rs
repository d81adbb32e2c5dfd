//! What operations are told.

use crate::precision::Precision;

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

/// A group normalisation, apart from its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormSettings {
    /// Groups of neighbouring channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether SiLU follows.
    pub activate: bool,
    /// Of the layer that reads the result; the normalisation itself is computed in `f32`.
    pub precision: Precision,
}
