//! How a forward pass is computed, apart from the weights.

use crate::{dropout::Dropout, volume::Volume};
use burn::tensor::{DType, Device, Tensor};
use pig_kernels::Level;
use serde::{Deserialize, Serialize};

/// Precision of the inputs of convolutions and matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16 inputs with sums in 32 bits; weights, norms' statistics and the loss stay in 32 bits. Where 32-bit products by
    /// Winograd's method are faster than bfloat16 products, those are taken: they are more exact.
    Bf16,
}

impl Precision {
    /// The precision that `device` computes in when asked for this one: bfloat16 on a processor without instructions for it
    /// would be slower and less exact than 32 bits.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        if crate::ops::is_cpu(device) && !Level::best().has_bf16() { Self::F32 } else { self }
    }

    /// `x` in the type of inputs.
    pub(crate) fn cast<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 => x.cast(DType::BF16),
        }
    }
}

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
