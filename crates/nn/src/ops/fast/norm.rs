//! Group normalisation, alone or with SiLU behind it.

use super::{
    Operation,
    buffer::{buffer_like, tensor, values},
    ternary,
};
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::Tensor,
};
use pig_kernels::Level;

/// As [`crate::ops::plain::group_norm`].
pub(in crate::ops) fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    eps: f64,
    activate: bool,
) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let norm =
        pig_kernels::GroupNorm { batch, pixels: height * width, channels, groups, eps: eps as f32, silu: activate };
    ternary(Norm(norm), x, weight, bias)
}

/// Inputs: x, weight, bias.
#[derive(Clone, Debug)]
struct Norm(pig_kernels::GroupNorm);

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
        let groups = self.0.batch * self.0.groups;
        let [x, weight, bias] = inputs.each_ref().map(values);
        let (mut y, mut mean, mut rstd) = (buffer_like(&inputs[0]), vec![0.0; groups], vec![0.0; groups]);
        self.0.forward(Level::best(), x, weight, bias, &mut y, &mut mean, &mut rstd);
        (tensor(y, inputs[0].shape()), Saved { inputs, mean, rstd })
    }

    fn backward(&self, saved: &Saved, dy: &FlexTensor, _tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let Saved { inputs, mean, rstd } = saved;
        let [x, weight, bias] = inputs.each_ref().map(values);
        let [mut dx, mut dw, mut db] = inputs.each_ref().map(buffer_like);
        let dy = values(dy);
        self.0.backward(Level::best(), x, dy, weight, bias, mean, rstd, &mut dx, &mut dw, &mut db);
        let [x, weight, bias] = inputs.each_ref().map(TensorMetadata::shape);
        [Some(tensor(dx, x)), Some(tensor(dw, weight)), Some(tensor(db, bias))]
    }

    fn release(saved: Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved.inputs
    }
}
