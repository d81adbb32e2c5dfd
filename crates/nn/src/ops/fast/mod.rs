//! The operations with the SIMD kernels of `pig-kernels` on Burn's CPU backend, for `f32` tensors, and for `bf16` tensors between
//! a norm and the layer that reads it.
//!
//! Each operation is an [`Operation`]: a forward pass on contiguous buffers and a manually written backward pass. [`FastOps`]
//! passes them through Burn's dispatch, and records them in the autodiff graph if gradients are needed.

mod attention;
mod buffer;
mod conv;
mod elementwise;
mod norm;
mod packed;
pub mod timers;
mod upsample;

pub(super) use attention::attention;
pub use buffer::use_buffers_of_worker;
pub(super) use conv::{conv2d, conv2d_add, conv2d_add_sample, conv2d_concat, linear};
pub(super) use elementwise::{concat_channels, silu};
pub(super) use norm::{group_norm, group_norm_concat};
pub use packed::without_keeping_weights;
pub(super) use upsample::{upsample_conv2d, upsample_nearest_2x};

use buffer::{contiguous, recycle};
use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::{DType, Tensor},
};
use std::{fmt::Debug, marker::PhantomData};
use timers::timed;

/// Whether these operations support the device and the type of `x`.
pub(super) fn is_supported<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.dtype(), DType::F32 | DType::BF16) && crate::ops::is_cpu(&x.device())
}

/// A differentiable function of N tensors, on contiguous buffers. Gradients are always `f32`, whatever the type of the inputs is.
pub(crate) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// The data that the backward pass needs from the forward pass; its tensors share their buffers.
    type Saved: Clone + Debug + Send + 'static;

    /// The result, and the data to save.
    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved);

    /// The result, if no gradient will be needed.
    fn infer(&self, inputs: [FlexTensor; N]) -> FlexTensor {
        self.forward(inputs).0
    }

    /// The gradients of the `tracked` inputs, from the gradient of the result.
    fn backward(&self, saved: &Self::Saved, dy: &FlexTensor, tracked: [bool; N]) -> [Option<FlexTensor>; N];

    /// The tensors in the saved data, whose buffers may be free after the backward pass.
    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor>;
}

/// Burn's backends with our operations; Burn's macro routes a tensor to its backend.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FastOps: Backend {
    /// An operation on one tensor.
    fn unary<O: Operation<1>>(operation: O, a: FloatTensor<Self>) -> FloatTensor<Self>;

    /// An operation on two tensors.
    fn binary<O: Operation<2>>(operation: O, a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;

    /// An operation on three tensors.
    fn ternary<O: Operation<3>>(
        operation: O,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// An operation on four tensors.
    fn quaternary<O: Operation<4>>(
        operation: O,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl FastOps for Flex {
    fn unary<O: Operation<1>>(operation: O, a: FlexTensor) -> FlexTensor {
        compute(&operation, [a])
    }

    fn binary<O: Operation<2>>(operation: O, a: FlexTensor, b: FlexTensor) -> FlexTensor {
        compute(&operation, [a, b])
    }

    fn ternary<O: Operation<3>>(operation: O, a: FlexTensor, b: FlexTensor, c: FlexTensor) -> FlexTensor {
        compute(&operation, [a, b, c])
    }

    fn quaternary<O: Operation<4>>(
        operation: O,
        a: FlexTensor,
        b: FlexTensor,
        c: FlexTensor,
        d: FlexTensor,
    ) -> FlexTensor {
        compute(&operation, [a, b, c, d])
    }
}

impl<C: CheckpointStrategy> FastOps for Autodiff<Flex, C> {
    fn unary<O: Operation<1>>(operation: O, a: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<O, C, 1>(operation, [a])
    }

    fn binary<O: Operation<2>>(operation: O, a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<O, C, 2>(operation, [a, b])
    }

    fn ternary<O: Operation<3>>(
        operation: O,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<O, C, 3>(operation, [a, b, c])
    }

    fn quaternary<O: Operation<4>>(
        operation: O,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<O, C, 4>(operation, [a, b, c, d])
    }
}

fn compute<O: Operation<N>, const N: usize>(operation: &O, inputs: [FlexTensor; N]) -> FlexTensor {
    let inputs = inputs.map(contiguous);
    let y = timed("forward", operation, || operation.infer(inputs.clone()));
    inputs.into_iter().for_each(recycle);
    y
}

/// Computes the result, and records the operation in the autodiff graph if any input is tracked.
fn record<O: Operation<N>, C: CheckpointStrategy, const N: usize>(
    operation: O,
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<Flex, C>>::node);
    let inputs = inputs.map(|input| contiguous(input.into_primitive()));
    let y = match Step::<O>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (y, saved) = timed("forward", &operation, || operation.forward(inputs.clone()));
            prep.finish((operation, saved), y)
        }
        OpsKind::UnTracked(prep) => prep.finish(timed("forward", &operation, || operation.infer(inputs.clone()))),
    };
    inputs.into_iter().for_each(recycle);
    y
}

/// An operation in the autodiff graph.
#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = (O, O::Saved);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (operation, saved) = ops.state;
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let tracked = ops.parents.each_ref().map(Option::is_some);
        let gradients = timed("backward", &operation, || operation.backward(&saved, &dy, tracked));
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
        O::release(saved).into_iter().for_each(recycle);
        recycle(dy);
    }
}

fn unary<const D: usize>(operation: impl Operation<1>, a: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::unary(operation, a.into_dispatch()))
}

fn binary<const D: usize>(operation: impl Operation<2>, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::binary(operation, a.into_dispatch(), b.into_dispatch()))
}

fn ternary<const D: usize, const E: usize, const F: usize>(
    operation: impl Operation<3>,
    a: Tensor<D>,
    b: Tensor<E>,
    c: Tensor<F>,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::ternary(operation, a.into_dispatch(), b.into_dispatch(), c.into_dispatch()))
}

fn quaternary<const D: usize, const E: usize, const F: usize, const G: usize>(
    operation: impl Operation<4>,
    a: Tensor<D>,
    b: Tensor<E>,
    c: Tensor<F>,
    d: Tensor<G>,
) -> Tensor<D> {
    let [b, c, d] = [b.into_dispatch(), c.into_dispatch(), d.into_dispatch()];
    Tensor::from_dispatch(Dispatch::quaternary(operation, a.into_dispatch(), b, c, d))
}
