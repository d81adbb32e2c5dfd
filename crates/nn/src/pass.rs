//! How a forward pass is computed, apart from the weights.

pub use crate::precision::Precision;

use crate::{dropout::Dropout, volume::Volume};

/// What a forward pass is told beside its inputs. The default is evaluation in 32 bits.
#[derive(Debug, Default)]
pub struct Pass {
    /// Patterns of dropout while training.
    pub dropout: Dropout,
    /// Precision of the residual blocks, the attention and the changes of size; the first and the last convolution, and the time
    /// embedding, have few channels and stay in 32 bits.
    pub precision: Precision,
    /// Depth and width, where volumes pass and not pictures.
    pub volume: Option<Volume>,
}

impl Pass {
    /// The same for a layer that stays in 32 bits.
    pub fn in_f32(&self) -> Layout {
        Layout { precision: Precision::F32, volume: self.volume }
    }
}

/// What a layer's kernel is told.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Of the inputs of its products.
    pub precision: Precision,
    /// Depth and width, where its input are volumes.
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
