//! The position of a slice, and the range of its values.

use crate::affine::Affine;

/// The position of a slice in the world.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Geometry {
    /// Millimetres between rows and between columns.
    pub spacing: Option<[f64; 2]>,
    /// Millimetres between slices.
    pub slice_spacing: Option<f64>,
    /// Maps (column, row, slice) to the world; the slice itself is slice 0.
    pub affine: Option<Affine>,
}

/// The range that stored values can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredRange {
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
}
