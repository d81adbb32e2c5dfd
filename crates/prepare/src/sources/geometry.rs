//! Where a slice lies, and which values it can have.

use crate::affine::Affine;

/// Where a slice lies.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Geometry {
    /// Millimetres between rows and between columns.
    pub spacing: Option<[f64; 2]>,
    /// Millimetres between slices.
    pub slice_spacing: Option<f64>,
    /// From (column, row, slice) to the world; the slice itself is slice 0.
    pub affine: Option<Affine>,
}

/// The range that stored values can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredRange {
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}
