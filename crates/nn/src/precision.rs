//! The precision of a forward pass.

use crate::device::is_cpu;
use burn::tensor::{DType, Device, Tensor};
use pig_kernels::Level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The precision of the inputs of convolutions and matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16 inputs with sums in 32 bits; the stored weights, the statistics of norms and the loss stay in 32 bits. Where Winograd's
    /// method in 32 bits is faster than bfloat16 products, it is used instead; it is also more accurate.
    Bf16,
}

impl Precision {
    /// The precision that `device` uses when this one is requested: on a processor without bfloat16 instructions, bfloat16 would be
    /// slower and less accurate than 32 bits, so 32 bits are used.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        if is_cpu(device) && !Level::best().has_bf16() { Self::F32 } else { self }
    }

    /// `x` converted to the type of the inputs.
    pub(crate) fn cast<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 => x.cast(DType::BF16),
        }
    }
}
