//! Upsampling, and upsampling with a convolution after it, with our kernels.

use super::{
    Operation,
    buffer::{Value, as_bf16, as_f32, buffer, buffer_like, recycle, tensor, values, values_of},
    conv::{Method, plain_method},
    ternary, unary,
};
use crate::precision::Precision;
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::{Shape, Tensor},
};
use pig_kernels::{Bf16, ForwardWeights, Level, UpsampleConv2d};
use std::marker::PhantomData;

/// As [`crate::ops::plain::upsample_nearest_2x`].
pub(in crate::ops) fn upsample_nearest_2x(x: Tensor<4>) -> Tensor<4> {
    unary(Upsample { input: x.dims() }, x)
}

/// As [`crate::ops::plain::upsample_conv2d`], for kernels of 3. It uses sums of weights for output pixels that read the same small
/// pixel: this takes four ninths of the multiplications, and no upsampled image is stored.
pub(in crate::ops) fn upsample_conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    precision: Precision,
) -> Tensor<4> {
    let [batch, height, width, in_channels] = x.dims();
    let out_channels = weight.dims()[0];
    let conv = UpsampleConv2d { batch, height, width, in_channels, out_channels };
    match plain_method(precision, [in_channels, out_channels]) {
        Method::Bf16 => ternary(UpsampleConv::<Bf16>(conv, PhantomData), x, weight, bias),
        _ => ternary(UpsampleConv::<f32>(conv, PhantomData), x, weight, bias),
    }
}

#[derive(Clone, Debug)]
struct Upsample {
    /// The shape of the input.
    input: [usize; 4],
}

impl Operation<1> for Upsample {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        let [batch, height, width, channels] = self.input;
        let shape = Shape::from([batch, 2 * height, 2 * width, channels]);
        let mut y = buffer(shape.num_elements());
        pig_kernels::upsample(self.input, values(&x), &mut y);
        (tensor(y, shape), ())
    }

    fn backward(&self, (): &(), dy: &FlexTensor, _tracked: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let mut dx = buffer(self.input.iter().product());
        pig_kernels::upsample_backward(self.input, values(dy), &mut dx);
        [Some(tensor(dx, Shape::from(self.input)))]
    }

    fn release((): ()) -> impl IntoIterator<Item = FlexTensor> {
        []
    }
}

/// Upsampling and convolution with products in the type `T`. Inputs: x, weight, bias.
#[derive(Clone, Debug)]
struct UpsampleConv<T>(UpsampleConv2d, PhantomData<T>);

impl<T: Product> UpsampleConv<T> {
    fn run(&self, x: &FlexTensor, weights: &ForwardWeights<T>, bias: &FlexTensor) -> FlexTensor {
        let UpsampleConv2d { batch, height, width, out_channels, .. } = self.0;
        let mut y = buffer(self.0.output_len());
        self.0.forward(Level::best(), values_of(x), weights, Some(values(bias)), &mut y);
        tensor(y, Shape::from([batch, 2 * height, 2 * width, out_channels]))
    }
}

/// The type of the factors of products.
trait Product: Value {
    /// The tensor converted to this type.
    fn cast(x: &FlexTensor) -> FlexTensor;
}

impl Product for f32 {
    fn cast(x: &FlexTensor) -> FlexTensor {
        as_f32(x)
    }
}

impl Product for Bf16 {
    fn cast(x: &FlexTensor) -> FlexTensor {
        as_bf16(x)
    }
}

impl<T: Product> Operation<3> for UpsampleConv<T> {
    /// x and weight.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let x = T::cast(&x);
        (self.run(&x, &self.0.pack_forward(values(&weight)), &bias), [x, weight])
    }

    fn infer(&self, [x, weight, bias]: [FlexTensor; 3]) -> FlexTensor {
        let x = T::cast(&x);
        let y = self.run(&x, &self.0.pack_forward(values(&weight)), &bias);
        recycle(x);
        y
    }

    fn backward(&self, [x, weight]: &Self::Saved, dy: &FlexTensor, tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (level, dy) = (Level::best(), T::cast(dy));
        let input_gradient = || {
            let mut dx = buffer_like(x);
            self.0.backward_data::<T>(level, values_of(&dy), &self.0.pack_backward(values(weight)), &mut dx);
            tensor(dx, x.shape())
        };
        let parameter_gradients = || {
            let (mut dw, mut db) = (buffer_like(weight), buffer(self.0.out_channels));
            self.0.backward_weights::<T>(level, values_of(x), values_of(&dy), &mut dw, Some(&mut db));
            [tensor(dw, weight.shape()), tensor(db, Shape::from([self.0.out_channels]))]
        };
        // In parallel, because each has a part that runs on one thread.
        let (dx, parameters) =
            rayon::join(|| tracked[0].then(input_gradient), || (tracked[1] || tracked[2]).then(parameter_gradients));
        recycle(dy);
        let [dw, db] = parameters.map_or([None, None], |gradients| gradients.map(Some));
        [dx, dw, db]
    }

    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved
    }
}
