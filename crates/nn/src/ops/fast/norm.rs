//! Group normalisation, alone or with SiLU behind it.

use super::{
    Operation,
    buffer::{Value, buffer, buffer_like, tensor, values},
    ternary,
};
use crate::{ops::NormSettings, pass::Precision};
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::Tensor,
};
use pig_kernels::{Bf16, GroupNorm, Level};

/// As [`crate::ops::group_norm`].
pub(in crate::ops) fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    settings: NormSettings,
) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let NormSettings { groups, eps, activate, precision } = settings;
    let norm = GroupNorm { batch, pixels: height * width, channels, groups, eps: eps as f32, silu: activate };
    ternary(Norm { norm, precision }, x, weight, bias)
}

/// Inputs: x, weight, bias.
#[derive(Clone, Debug)]
struct Norm {
    norm: GroupNorm,
    /// Of the result.
    precision: Precision,
}

impl Norm {
    /// The result in the type `T`, and the means and reciprocal standard deviations.
    fn run<T: Value>(&self, [x, weight, bias]: &[FlexTensor; 3]) -> (FlexTensor, [Vec<f32>; 2]) {
        let groups = self.norm.batch * self.norm.groups;
        let (mut y, mut mean, mut rstd) = (buffer::<T>(x.shape().num_elements()), vec![0.0; groups], vec![0.0; groups]);
        self.norm.forward(Level::best(), values(x), values(weight), values(bias), &mut y, &mut mean, &mut rstd);
        (tensor(y, x.shape()), [mean, rstd])
    }
}

/// What the backward pass reads; the result is computed anew from it.
#[derive(Clone, Debug)]
struct Saved {
    inputs: [FlexTensor; 3],
    /// Of each group of each sample.
    mean: Vec<f32>,
    /// The reciprocal standard deviation of each group of each sample.
    rstd: Vec<f32>,
}

impl Operation<3> for Norm {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        let (y, [mean, rstd]) = match self.precision {
            Precision::F32 => self.run::<f32>(&inputs),
            Precision::Bf16 => self.run::<Bf16>(&inputs),
        };
        (y, Saved { inputs, mean, rstd })
    }

    fn backward(&self, saved: &Saved, dy: &FlexTensor, _tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let Saved { inputs, mean, rstd } = saved;
        let [x, weight, bias] = inputs.each_ref().map(values);
        let [mut dx, mut dw, mut db] = inputs.each_ref().map(buffer_like);
        let dy = values(dy);
        self.norm.backward(Level::best(), x, dy, weight, bias, mean, rstd, &mut dx, &mut dw, &mut db);
        let [x, weight, bias] = inputs.each_ref().map(TensorMetadata::shape);
        [Some(tensor(dx, x)), Some(tensor(dw, weight)), Some(tensor(db, bias))]
    }

    fn release(saved: Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved.inputs
    }
}
