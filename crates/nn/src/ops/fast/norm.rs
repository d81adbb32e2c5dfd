//! Group normalisation with our kernels, with or without SiLU.

use super::{
    Operation,
    buffer::{Value, beside, buffer, buffer_like, tensor, values},
    quaternary, ternary,
};
use crate::{ops::NormSettings, precision::Precision};
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::{Shape, Tensor},
};
use pig_kernels::{Bf16, GroupNorm, Level};

/// As [`crate::ops::group_norm`].
pub(in crate::ops) fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    settings: NormSettings,
) -> Tensor<4> {
    ternary(Norm::new(x.dims(), settings), x, weight, bias)
}

/// As [`crate::ops::group_norm_concat`].
pub(in crate::ops) fn group_norm_concat(
    a: Tensor<4>,
    b: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    settings: NormSettings,
) -> Tensor<4> {
    let [batch, height, width, channels] = a.dims();
    let dims = [batch, height, width, channels + b.dims()[3]];
    quaternary(Norm::new(dims, settings), a, b, weight, bias)
}

/// Inputs: x or two tensors with concatenated channels, weight, bias.
#[derive(Clone, Debug)]
struct Norm {
    size: GroupNorm,
    /// The shape of the result.
    dims: [usize; 4],
    /// The precision of the result.
    precision: Precision,
}

/// The data for the backward pass, which recomputes the result from it.
#[derive(Clone, Debug)]
struct Saved<const N: usize> {
    inputs: [FlexTensor; N],
    /// The mean of each group of each sample.
    mean: Vec<f32>,
    /// The reciprocal standard deviation of each group of each sample.
    rstd: Vec<f32>,
}

impl Norm {
    fn new(dims: [usize; 4], settings: NormSettings) -> Self {
        let [batch, height, width, channels] = dims;
        let NormSettings { groups, eps, activate, precision } = settings;
        let size = GroupNorm { batch, pixels: height * width, channels, groups, eps: eps as f32, silu: activate };
        Self { size, dims, precision }
    }

    /// The result in the type `T`, and the data for the backward pass.
    fn run<T: Value, const N: usize>(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Saved<N>) {
        let groups = self.size.batch * self.size.groups;
        let shape = Shape::from(self.dims);
        let (mut y, mut mean, mut rstd) = (buffer::<T>(shape.num_elements()), vec![0.0; groups], vec![0.0; groups]);
        let (x, parameters) = inputs.split_at(N - 2);
        let [weight, bias] = [0, 1].map(|i| values(&parameters[i]));
        self.size.forward(Level::best(), beside(x), weight, bias, &mut y, &mut mean, &mut rstd);
        (tensor(y, shape), Saved { inputs, mean, rstd })
    }

    fn forward<const N: usize>(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Saved<N>) {
        match self.precision {
            Precision::F32 => self.run::<f32, N>(inputs),
            Precision::Bf16 => self.run::<Bf16, N>(inputs),
        }
    }

    fn backward<const N: usize>(&self, saved: &Saved<N>, dy: &FlexTensor) -> [Option<FlexTensor>; N] {
        let Saved { inputs, mean, rstd } = saved;
        let (x, parameters) = inputs.split_at(N - 2);
        let [weight, bias] = [0, 1].map(|i| values(&parameters[i]));
        let mut gradients = inputs.each_ref().map(buffer_like);
        let (dx, rest) = gradients.split_at_mut(N - 2);
        let mut dx: Vec<&mut [f32]> = dx.iter_mut().map(|dx| &mut dx[..]).collect();
        let (dw, db) = rest.split_at_mut(1);
        let (dw, db) = (&mut dw[0], &mut db[0]);
        self.size.backward(Level::best(), beside(x), values(dy), weight, bias, mean, rstd, &mut dx, dw, db);
        let mut shapes = inputs.iter().map(TensorMetadata::shape);
        gradients.map(|gradient| shapes.next().map(|shape| tensor(gradient, shape)))
    }
}

impl Operation<3> for Norm {
    type Saved = Saved<3>;

    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Saved<3>) {
        self.forward(inputs)
    }

    fn backward(&self, saved: &Saved<3>, dy: &FlexTensor, _tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        self.backward(saved, dy)
    }

    fn release(saved: Saved<3>) -> impl IntoIterator<Item = FlexTensor> {
        saved.inputs
    }
}

impl Operation<4> for Norm {
    type Saved = Saved<4>;

    fn forward(&self, inputs: [FlexTensor; 4]) -> (FlexTensor, Saved<4>) {
        self.forward(inputs)
    }

    fn backward(&self, saved: &Saved<4>, dy: &FlexTensor, _tracked: [bool; 4]) -> [Option<FlexTensor>; 4] {
        self.backward(saved, dy)
    }

    fn release(saved: Saved<4>) -> impl IntoIterator<Item = FlexTensor> {
        saved.inputs
    }
}
