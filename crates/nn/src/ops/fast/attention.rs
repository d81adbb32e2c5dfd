//! Attention with our kernels.

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

/// As [`crate::ops::plain::attention`].
pub(in crate::ops) fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, channels] = q.dims();
    let head_dim = channels / heads;
    let scale = (1.0 / (head_dim as f64).sqrt()) as f32;
    ternary(Attention(pig_kernels::Attention { batch, tokens, heads, head_dim, scale }), q, k, v)
}

/// Inputs: queries, keys, values. The backward pass recomputes the scores.
#[derive(Clone, Debug)]
struct Attention(pig_kernels::Attention);

impl Operation<3> for Attention {
    type Saved = [FlexTensor; 3];

    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let [q, k, v] = inputs.each_ref().map(values);
        let mut y = buffer_like(&inputs[0]);
        self.0.forward(Level::best(), q, k, v, &mut y);
        (tensor(y, inputs[0].shape()), inputs)
    }

    fn backward(&self, saved: &Self::Saved, dy: &FlexTensor, _tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let [q, k, v] = saved.each_ref().map(values);
        let [mut dq, mut dk, mut dv] = saved.each_ref().map(buffer_like);
        self.0.backward(Level::best(), q, k, v, values(dy), &mut dq, &mut dk, &mut dv);
        [dq, dk, dv].map(|gradient| Some(tensor(gradient, saved[0].shape())))
    }

    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved
    }
}
