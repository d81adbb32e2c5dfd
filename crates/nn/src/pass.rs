//! The settings of a forward pass.

pub use crate::precision::Precision;

use crate::{dropout::Dropout, volume::Volume};

/// The settings of a forward pass. The default is evaluation in 32 bits.
#[derive(Debug, Default)]
pub struct Pass {
    /// The patterns of dropout in training.
    pub dropout: Dropout,
    /// The precision of the residual blocks, attention, downsampling and upsampling. The first and the last convolution and the time
    /// embedding have few channels and stay in 32 bits.
    pub precision: Precision,
    /// Depth and width, if the inputs are volumes and not pictures.
    pub volume: Option<Volume>,
    /// What was changed in each sample of a training batch, for networks that are told; empty if nothing was.
    pub told: Vec<f32>,
}

impl Pass {
    /// The settings of a layer that stays in 32 bits.
    pub fn in_f32(&self) -> Layout {
        Layout { precision: Precision::F32, volume: self.volume }
    }
}

/// The settings of a single layer.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The precision of the inputs of its products.
    pub precision: Precision,
    /// Depth and width, if its inputs are volumes.
    pub volume: Option<Volume>,
}

impl From<Precision> for Layout {
    fn from(precision: Precision) -> Self {
        Self { precision, volume: None }
    }
}

impl From<&Pass> for Layout {
    fn from(pass: &Pass) -> Self {
        Self { precision: pass.precision, volume: pass.volume }
    }
}
