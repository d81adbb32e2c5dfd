//! SiLU and concatenation with our kernels.

use super::{
    Operation, binary,
    buffer::{buffer, buffer_like, tensor, values},
    unary,
};
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::{Shape, Tensor},
};
use pig_kernels::Level;

/// As [`crate::ops::plain::silu`].
pub(in crate::ops) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    unary(Silu, x)
}

/// As [`crate::ops::plain::concat_channels`].
pub(in crate::ops) fn concat_channels(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    binary(Concat { a: a.dims(), b: b.dims() }, a, b)
}

#[derive(Clone, Debug)]
struct Silu;

impl Operation<1> for Silu {
    type Saved = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        let mut y = buffer_like(&x);
        pig_kernels::silu(Level::best(), values(&x), &mut y);
        (tensor(y, x.shape()), x)
    }

    fn backward(&self, x: &FlexTensor, dy: &FlexTensor, _tracked: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let mut dx = buffer_like(x);
        pig_kernels::silu_backward(Level::best(), values(x), values(dy), &mut dx);
        [Some(tensor(dx, x.shape()))]
    }

    fn release(x: FlexTensor) -> impl IntoIterator<Item = FlexTensor> {
        [x]
    }
}

/// The shapes of the two inputs, which differ only in their channels.
#[derive(Clone, Debug)]
struct Concat {
    a: [usize; 4],
    b: [usize; 4],
}

impl Operation<2> for Concat {
    type Saved = ();

    fn forward(&self, [a, b]: [FlexTensor; 2]) -> (FlexTensor, ()) {
        let [batch, height, width, channels] = self.a;
        let shape = Shape::from([batch, height, width, channels + self.b[3]]);
        let mut y = buffer(shape.num_elements());
        pig_kernels::concat(values(&a), channels, values(&b), self.b[3], &mut y);
        (tensor(y, shape), ())
    }

    fn backward(&self, (): &(), dy: &FlexTensor, _tracked: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [mut da, mut db] = [self.a, self.b].map(|shape| buffer(shape.iter().product()));
        pig_kernels::split(values(dy), &mut da, self.a[3], &mut db, self.b[3]);
        [Some(tensor(da, Shape::from(self.a))), Some(tensor(db, Shape::from(self.b)))]
    }

    fn release((): ()) -> impl IntoIterator<Item = FlexTensor> {
        []
    }
}
