//! Convolutions and linear layers with our kernels.

use super::{
    Operation,
    buffer::{Value, as_bf16, as_f32, beside, buffer, buffer_like, recycle, tensor, values, values_of},
    packed::{Packing, kept},
    quaternary, ternary,
};
use crate::{ops::ConvGeometry, precision::Precision};
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::{DType, Shape, Tensor},
};
use pig_kernels::{Bf16, Extras, ForwardWeights, Input, Level, WinogradForward};
use rayon::prelude::*;
use std::{ops::Range, sync::Arc};

/// As [`crate::ops::plain::conv2d`], for kernels of 1 or 3 and strides of 1 or 2.
pub(in crate::ops) fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    ternary(Conv::new(&x, &weight, geometry, precision), x, weight, bias)
}

/// As [`crate::ops::plain::conv2d_add_sample`], where [`conv2d`] is available.
pub(in crate::ops) fn conv2d_add_sample(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    sample: Tensor<2>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    quaternary(
        ConvAdd { conv: Conv::new(&x, &weight, geometry, precision), added: Added::Sample },
        x,
        weight,
        bias,
        sample,
    )
}

/// As [`crate::ops::plain::conv2d_add`], where [`conv2d`] is available.
pub(in crate::ops) fn conv2d_add(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    residual: Tensor<4>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    quaternary(
        ConvAdd { conv: Conv::new(&x, &weight, geometry, precision), added: Added::Residual },
        x,
        weight,
        bias,
        residual,
    )
}

/// As [`crate::ops::plain::conv2d_concat`], for a kernel of 1.
pub(in crate::ops) fn conv2d_concat(
    a: Tensor<4>,
    b: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    precision: Precision,
) -> Tensor<4> {
    let [batch, height, width, _] = a.dims();
    let [output, input, kernel, _] = weight.dims();
    let size = pig_kernels::Conv2d::same(batch, height, width, input, output, kernel);
    let conv = Conv { size, shape: Shape::from([batch, height, width, output]), precision };
    quaternary(ConvConcat(conv), a, b, weight, bias)
}

/// As [`crate::ops::plain::linear`]; computed as a 1x1 convolution of images with one pixel.
pub(in crate::ops) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    precision: Precision,
) -> Tensor<D> {
    let mut dims = x.dims();
    let [output, input] = weight.dims();
    let rows = dims[..D - 1].iter().product();
    dims[D - 1] = output;
    let conv = pig_kernels::Conv2d::same(rows, 1, 1, input, output, 1);
    ternary(Conv { size: conv, shape: Shape::from(dims), precision }, x, weight, bias)
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Method {
    /// Direct sums in `f32`.
    F32,
    /// Direct sums of `bf16` products in `f32`.
    Bf16,
    /// Winograd's method in `f32`; inputs may be `bf16`.
    Winograd,
}

/// The number of channels below which products of `bf16` pairs are not faster than products in `f32`.
const THIN: usize = 16;

/// The method of a convolution that does not use Winograd's method.
pub(super) fn plain_method(precision: Precision, channels: [usize; 2]) -> Method {
    match precision {
        Precision::Bf16 if channels[0].min(channels[1]) >= THIN => Method::Bf16,
        _ => Method::F32,
    }
}

/// Weights packed for the forward pass.
#[derive(Debug)]
enum Weights {
    F32(ForwardWeights),
    Bf16(ForwardWeights<Bf16>),
    Winograd(WinogradForward),
}

/// A convolution and the shape of its result. Inputs: x, weight, bias.
#[derive(Clone, Debug)]
struct Conv {
    size: pig_kernels::Conv2d,
    shape: Shape,
    precision: Precision,
}

impl Conv {
    fn new(x: &Tensor<4>, weight: &Tensor<4>, geometry: ConvGeometry, precision: Precision) -> Self {
        let [batch, height, width, in_channels] = x.dims();
        let [out_channels, _, kernel, _] = weight.dims();
        let ConvGeometry { stride, padding } = geometry;
        let conv = pig_kernels::Conv2d { batch, height, width, in_channels, out_channels, kernel, stride, padding };
        Self { size: conv, shape: Shape::from([batch, conv.out_height(), conv.out_width(), out_channels]), precision }
    }

    /// The fastest method. It must not depend on the batch, because a sample must have the same bits alone and in a batch.
    fn method(&self) -> Method {
        /// The number of pixels below which transforming the weights costs more than the products save.
        const SMALLEST: usize = 64;
        let conv = &self.size;
        if conv.is_winograd() && conv.out_height() * conv.out_width() >= SMALLEST {
            Method::Winograd
        } else {
            plain_method(self.precision, [conv.in_channels, conv.out_channels])
        }
    }

    /// x in the type that the method reads.
    fn readable(&self, x: &FlexTensor) -> FlexTensor {
        match self.method() {
            Method::F32 => as_f32(x),
            Method::Bf16 => as_bf16(x),
            Method::Winograd => x.clone(),
        }
    }

    /// The result from an input that is [`readable`](Self::readable).
    fn run(&self, x: &FlexTensor, weights: &Weights, extras: Extras) -> FlexTensor {
        let (level, mut y) = (Level::best(), buffer(self.size.output_len()));
        let conv = &self.size;
        match weights {
            Weights::F32(weights) => conv.forward_fused(level, Input::One(values(x)), weights, extras, &mut y),
            Weights::Bf16(weights) => conv.forward_fused(level, Input::One(values_of(x)), weights, extras, &mut y),
            Weights::Winograd(weights) if x.dtype() == DType::BF16 => {
                conv.forward_winograd::<Bf16>(level, values_of(x), weights, extras, &mut y);
            }
            Weights::Winograd(weights) => conv.forward_winograd(level, values(x), weights, extras, &mut y),
        }
        tensor(y, self.shape.clone())
    }

    fn pack(&self, weight: &[f32]) -> Weights {
        match self.method() {
            Method::F32 => Weights::F32(self.size.pack_forward(weight)),
            Method::Bf16 => Weights::Bf16(self.size.pack_forward(weight)),
            Method::Winograd => Weights::Winograd(self.size.pack_forward_winograd(Level::best(), weight)),
        }
    }

    /// The packed weights for a pass without gradients; others with the same weights may follow.
    fn weights(&self, weight: &FlexTensor) -> Arc<Weights> {
        /// The number of pixels of an image below which packing takes longer than the sums.
        const FEW: usize = 16;
        let (channels, method) = ([self.size.out_channels, self.size.in_channels], self.method());
        let packing = Packing { channels, kernel: self.size.kernel, method };
        let has_few = self.size.out_height() * self.size.out_width() < FEW;
        match method {
            Method::F32 if has_few => {
                kept(packing, weight, |weight| Weights::F32(self.size.pack_forward(weight).kept()))
            }
            Method::Bf16 if has_few => {
                kept(packing, weight, |weight| Weights::Bf16(self.size.pack_forward(weight).kept()))
            }
            Method::F32 | Method::Bf16 | Method::Winograd => Arc::new(self.pack(values(weight))),
        }
    }

    /// The result, if no gradient will be needed.
    fn infer(&self, x: &FlexTensor, weight: &FlexTensor, extras: Extras) -> FlexTensor {
        let x = self.readable(x);
        let y = self.run(&x, &self.weights(weight), extras);
        recycle(x);
        y
    }

    /// The result, and the data for the backward pass.
    fn forward(&self, x: &FlexTensor, weight: FlexTensor, extras: Extras) -> (FlexTensor, [FlexTensor; 2]) {
        let x = self.readable(x);
        (self.run(&x, &self.pack(values(&weight)), extras), [x, weight])
    }

    fn input_gradient(&self, x: &FlexTensor, weight: &FlexTensor, dy: &FlexTensor) -> FlexTensor {
        let (level, conv, mut dx) = (Level::best(), &self.size, buffer_like(x));
        let weight = values(weight);
        match self.method() {
            Method::F32 => conv.backward_data(level, values(dy), &conv.pack_backward::<f32>(weight), &mut dx),
            Method::Bf16 => conv.backward_data(level, values_of(dy), &conv.pack_backward::<Bf16>(weight), &mut dx),
            Method::Winograd => {
                let weights = conv.pack_backward_winograd(level, weight);
                conv.backward_data_winograd(level, values(dy), &weights, &mut dx);
            }
        }
        tensor(dx, x.shape())
    }

    fn parameter_gradients(&self, x: &FlexTensor, weight: &FlexTensor, dy: &FlexTensor) -> [FlexTensor; 2] {
        let (level, conv) = (Level::best(), &self.size);
        let (mut dw, mut db) = (buffer_like(weight), buffer(conv.out_channels));
        let bias = Some(&mut db[..]);
        match self.method() {
            Method::F32 => conv.backward_weights(level, values(x), values(dy), &mut dw, bias),
            Method::Bf16 => conv.backward_weights::<Bf16>(level, values_of(x), values_of(dy), &mut dw, bias),
            Method::Winograd if x.dtype() == DType::BF16 => {
                conv.backward_weights_winograd::<Bf16>(level, values_of(x), values(dy), &mut dw, bias);
            }
            Method::Winograd => conv.backward_weights_winograd(level, values(x), values(dy), &mut dw, bias),
        }
        [tensor(dw, weight.shape()), tensor(db, Shape::from([conv.out_channels]))]
    }

    /// The gradients of x, weight and bias. They are computed in parallel, because each has a part that runs on one thread.
    fn gradients(&self, [x, weight]: &[FlexTensor; 2], dy: &FlexTensor, tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let dy = if self.method() == Method::Bf16 { as_bf16(dy) } else { dy.clone() };
        let (dx, parameters) = rayon::join(
            || tracked[0].then(|| self.input_gradient(x, weight, &dy)),
            || (tracked[1] || tracked[2]).then(|| self.parameter_gradients(x, weight, &dy)),
        );
        recycle(dy);
        let [dw, db] = parameters.map_or([None, None], |gradients| gradients.map(Some));
        [dx, dw, db]
    }

    /// The sum over the pixels of each sample, `[batch, out]`.
    fn sample_sums(&self, dy: &[f32]) -> FlexTensor {
        let channels = self.size.out_channels;
        let mut sums = buffer(self.size.batch * channels);
        let samples = dy.par_chunks_exact(dy.len() / self.size.batch);
        samples.zip(sums.par_chunks_exact_mut(channels)).for_each(|(dy, sums)| {
            pig_kernels::column_sums(Level::best(), dy, channels, sums);
        });
        tensor(sums, Shape::from([self.size.batch, channels]))
    }
}

impl Operation<3> for Conv {
    /// x and weight.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        self.forward(&x, weight, bias_alone(&bias))
    }

    fn infer(&self, [x, weight, bias]: [FlexTensor; 3]) -> FlexTensor {
        self.infer(&x, &weight, bias_alone(&bias))
    }

    fn backward(&self, saved: &Self::Saved, dy: &FlexTensor, tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        self.gradients(saved, dy, tracked)
    }

    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved
    }
}

fn bias_alone(bias: &FlexTensor) -> Extras<'_> {
    Extras { bias: Some(values(bias)), ..Extras::default() }
}

/// A 1x1 convolution of two tensors with concatenated channels. Inputs: both tensors, weight, bias.
#[derive(Clone, Debug)]
struct ConvConcat(Conv);

impl ConvConcat {
    fn run(&self, x: [FlexTensor; 2], weights: &Weights, bias: &FlexTensor) -> (FlexTensor, [FlexTensor; 2]) {
        let Self(conv) = self;
        let x = x.map(|x| conv.readable(&x));
        let mut y = buffer(conv.size.output_len());
        let extras = bias_alone(bias);
        match weights {
            Weights::F32(weights) => conv.size.forward_fused(Level::best(), beside(&x), weights, extras, &mut y),
            Weights::Bf16(weights) => conv.size.forward_fused(Level::best(), beside(&x), weights, extras, &mut y),
            Weights::Winograd(_) => unreachable!("Winograd's method does not support a 1x1 kernel"),
        }
        (tensor(y, conv.shape.clone()), x)
    }

    /// The gradients of both tensors and of the parameters, with products of type `T`.
    fn gradients<T: Value>(&self, [a, b, weight]: &[FlexTensor; 3], dy: &FlexTensor) -> [FlexTensor; 4] {
        let (level, conv) = (Level::best(), &self.0.size);
        let first = a.shape().as_slice()[3];
        let input_gradient = |x: &FlexTensor, channels: Range<usize>| {
            let mut dx = buffer_like(x);
            let weights = conv.pack_backward_part::<T>(values(weight), channels);
            conv.backward_data(level, values_of(dy), &weights, &mut dx);
            tensor(dx, x.shape())
        };
        let (mut dw, mut db) = (buffer_like(weight), buffer(conv.out_channels));
        let x = [a.clone(), b.clone()];
        conv.backward_weights_fused::<T>(level, beside(&x), values_of(dy), &mut dw, Some(&mut db));
        [
            input_gradient(a, 0..first),
            input_gradient(b, first..conv.in_channels),
            tensor(dw, weight.shape()),
            tensor(db, Shape::from([conv.out_channels])),
        ]
    }
}

impl Operation<4> for ConvConcat {
    /// Both tensors and weight.
    type Saved = [FlexTensor; 3];

    fn forward(&self, [a, b, weight, bias]: [FlexTensor; 4]) -> (FlexTensor, Self::Saved) {
        let (y, [a, b]) = self.run([a, b], &self.0.pack(values(&weight)), &bias);
        (y, [a, b, weight])
    }

    fn infer(&self, [a, b, weight, bias]: [FlexTensor; 4]) -> FlexTensor {
        let (y, x) = self.run([a, b], &self.0.weights(&weight), &bias);
        x.into_iter().for_each(recycle);
        y
    }

    fn backward(&self, saved: &Self::Saved, dy: &FlexTensor, _tracked: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let gradients = match self.0.method() {
            Method::Bf16 => {
                let dy = as_bf16(dy);
                let gradients = self.gradients::<Bf16>(saved, &dy);
                recycle(dy);
                gradients
            }
            _ => self.gradients::<f32>(saved, dy),
        };
        gradients.map(Some)
    }

    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved
    }
}

/// The tensor that is added to the result of a convolution when it is stored.
#[derive(Clone, Copy, Debug)]
enum Added {
    /// A value for each channel of each sample.
    Sample,
    /// A tensor with the shape of the result.
    Residual,
}

/// Inputs: x, weight, bias, and the added tensor.
#[derive(Clone, Debug)]
struct ConvAdd {
    conv: Conv,
    added: Added,
}

impl ConvAdd {
    fn extras<'a>(&self, bias: &'a FlexTensor, added: &'a FlexTensor) -> Extras<'a> {
        let (bias, added) = (Some(values(bias)), Some(values(added)));
        match self.added {
            Added::Sample => Extras { bias, sample_bias: added, residual: None },
            Added::Residual => Extras { bias, sample_bias: None, residual: added },
        }
    }
}

impl Operation<4> for ConvAdd {
    /// x and weight.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias, added]: [FlexTensor; 4]) -> (FlexTensor, Self::Saved) {
        self.conv.forward(&x, weight, self.extras(&bias, &added))
    }

    fn infer(&self, [x, weight, bias, added]: [FlexTensor; 4]) -> FlexTensor {
        self.conv.infer(&x, &weight, self.extras(&bias, &added))
    }

    fn backward(&self, saved: &Self::Saved, dy: &FlexTensor, tracked: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let [x, weight, bias, added] = tracked;
        let [dx, dw, db] = self.conv.gradients(saved, dy, [x, weight, bias]);
        let added = added.then(|| match self.added {
            Added::Sample => self.conv.sample_sums(values(dy)),
            Added::Residual => dy.clone(),
        });
        [dx, dw, db, added]
    }

    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved
    }
}
