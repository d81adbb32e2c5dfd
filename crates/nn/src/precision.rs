//! The precision of a forward pass.

use crate::device::is_cpu;
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
        if is_cpu(device) && !Level::best().has_bf16() { Self::F32 } else { self }
    }

    /// `x` in the type of inputs.
    pub(crate) fn cast<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 => x.cast(DType::BF16),
        }
    }
}
