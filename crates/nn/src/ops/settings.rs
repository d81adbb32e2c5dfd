//! Settings of the operations.

use crate::precision::Precision;

/// The stride and the zero padding of a square convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// The step between output pixels, the same in both directions.
    pub stride: usize,
    /// The number of zeros on each side: [top, bottom, left, right].
    pub padding: [usize; 4],
}

impl ConvGeometry {
    /// Stride 1 and the padding that keeps the size, for an odd kernel.
    pub fn same(kernel: usize) -> Self {
        Self { stride: 1, padding: [kernel / 2; 4] }
    }
}

/// The settings of a group normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormSettings {
    /// The number of groups of neighbouring channels.
    pub groups: usize,
    /// The value added to the variance.
    pub eps: f64,
    /// Whether SiLU follows.
    pub activate: bool,
    /// The precision of the layer that reads the result; the normalisation itself is computed in `f32`.
    pub precision: Precision,
}
