//! Convolutions and linear layers.

use super::{
    Operation,
    buffer::{buffer, buffer_like, tensor, values},
    packed::{Packing, forward_weights},
    quaternary, ternary,
};
use crate::ops::ConvGeometry;
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::{Shape, Tensor},
};
use pig_kernels::{Extras, ForwardWeights, Input, Level, WinogradForward};
use rayon::prelude::*;
use std::sync::Arc;

/// As [`crate::ops::plain::conv2d`], for kernels of 1 or 3 and strides of 1 or 2.
pub(in crate::ops) fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, geometry: ConvGeometry) -> Tensor<4> {
    ternary(Conv::new(&x, &weight, geometry), x, weight, bias)
}

/// As [`crate::ops::plain::conv2d_add_sample`], where [`conv2d`] is available.
pub(in crate::ops) fn conv2d_add_sample(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    sample: Tensor<2>,
    geometry: ConvGeometry,
) -> Tensor<4> {
    quaternary(ConvAdd { conv: Conv::new(&x, &weight, geometry), added: Added::Sample }, x, weight, bias, sample)
}

/// As [`crate::ops::plain::conv2d_add`], where [`conv2d`] is available.
pub(in crate::ops) fn conv2d_add(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    residual: Tensor<4>,
    geometry: ConvGeometry,
) -> Tensor<4> {
    quaternary(ConvAdd { conv: Conv::new(&x, &weight, geometry), added: Added::Residual }, x, weight, bias, residual)
}

/// As [`crate::ops::plain::linear`]: a 1x1 convolution of images of one pixel.
pub(in crate::ops) fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    let mut dims = x.dims();
    let [output, input] = weight.dims();
    let rows = dims[..D - 1].iter().product();
    dims[D - 1] = output;
    let conv = pig_kernels::Conv2d::same(rows, 1, 1, input, output, 1);
    ternary(Conv { conv, shape: Shape::from(dims) }, x, weight, bias)
}

/// Weights as the forward pass reads them.
#[derive(Debug)]
enum Weights {
    Plain(ForwardWeights),
    Winograd(WinogradForward),
}

/// A convolution and the shape of its result. Inputs: x, weight, bias.
#[derive(Clone, Debug)]
struct Conv {
    conv: pig_kernels::Conv2d,
    shape: Shape,
}

impl Conv {
    fn new(x: &Tensor<4>, weight: &Tensor<4>, geometry: ConvGeometry) -> Self {
        let [batch, height, width, in_channels] = x.dims();
        let [out_channels, _, kernel, _] = weight.dims();
        let ConvGeometry { stride, padding } = geometry;
        let conv = pig_kernels::Conv2d { batch, height, width, in_channels, out_channels, kernel, stride, padding };
        Self { conv, shape: Shape::from([batch, conv.out_height(), conv.out_width(), out_channels]) }
    }

    /// Whether Winograd's method pays. The batch must not matter, or a sample would have other bits alone than in a batch.
    fn is_winograd(&self) -> bool {
        /// Pixels below which transforming the weights costs more than the products save.
        const SMALLEST: usize = 64;
        self.conv.is_winograd() && self.conv.out_height() * self.conv.out_width() >= SMALLEST
    }

    fn run(&self, x: &FlexTensor, weights: &Weights, extras: Extras) -> FlexTensor {
        let (level, mut y) = (Level::best(), buffer(self.conv.output_len()));
        match weights {
            Weights::Plain(weights) => {
                self.conv.forward_fused(level, Input::One(values(x)), weights, extras, &mut y);
            }
            Weights::Winograd(weights) => self.conv.forward_winograd(level, values(x), weights, extras, &mut y),
        }
        tensor(y, self.shape.clone())
    }

    fn pack(&self, weight: &[f32]) -> Weights {
        if self.is_winograd() {
            Weights::Winograd(self.conv.pack_forward_winograd(Level::best(), weight))
        } else {
            Weights::Plain(self.conv.pack_forward(weight))
        }
    }

    /// The packed weights, kept for the next pass.
    fn kept_weights(&self, weight: &FlexTensor) -> Arc<Weights> {
        let channels = [self.conv.out_channels, self.conv.in_channels];
        let packing = Packing::Conv { channels, kernel: self.conv.kernel, is_winograd: self.is_winograd() };
        forward_weights(packing, weight, |weight| self.pack(weight))
    }

    fn input_gradient(&self, x: &FlexTensor, weight: &FlexTensor, dy: &[f32]) -> FlexTensor {
        let (level, mut dx) = (Level::best(), buffer_like(x));
        if self.is_winograd() {
            let weights = self.conv.pack_backward_winograd(level, values(weight));
            self.conv.backward_data_winograd(level, dy, &weights, &mut dx);
        } else {
            self.conv.backward_data(level, dy, &self.conv.pack_backward(values(weight)), &mut dx);
        }
        tensor(dx, x.shape())
    }

    fn parameter_gradients(&self, x: &FlexTensor, weight: &FlexTensor, dy: &[f32]) -> [FlexTensor; 2] {
        let (mut dw, mut db) = (buffer_like(weight), buffer(self.conv.out_channels));
        if self.is_winograd() {
            self.conv.backward_weights_winograd(Level::best(), values(x), dy, &mut dw, Some(&mut db));
        } else {
            self.conv.backward_weights(Level::best(), values(x), dy, &mut dw, Some(&mut db));
        }
        [tensor(dw, weight.shape()), tensor(db, Shape::from([self.conv.out_channels]))]
    }

    /// The gradients of x, weight and bias. Side by side, because each has a part that runs on one thread.
    fn gradients(&self, [x, weight]: &[FlexTensor; 2], dy: &[f32], tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (dx, parameters) = rayon::join(
            || tracked[0].then(|| self.input_gradient(x, weight, dy)),
            || (tracked[1] || tracked[2]).then(|| self.parameter_gradients(x, weight, dy)),
        );
        let [dw, db] = parameters.map_or([None, None], |gradients| gradients.map(Some));
        [dx, dw, db]
    }

    /// The sum over the pixels of each sample, `[batch, out]`.
    fn sample_sums(&self, dy: &[f32]) -> FlexTensor {
        /// Pixels that are summed in f32 before the sums meet in f64.
        const BLOCK: usize = 256;
        let channels = self.conv.out_channels;
        let mut sums = buffer(self.conv.batch * channels);
        let samples = dy.par_chunks_exact(dy.len() / self.conv.batch);
        samples.zip(sums.par_chunks_exact_mut(channels)).for_each(|(dy, sums)| {
            let mut totals = vec![0.0_f64; channels];
            for block in dy.chunks(BLOCK * channels) {
                sums.fill(0.0);
                for pixel in block.chunks_exact(channels) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, dy)| *sum += dy);
                }
                totals.iter_mut().zip(&*sums).for_each(|(total, sum)| *total += f64::from(*sum));
            }
            sums.iter_mut().zip(totals).for_each(|(sum, total)| *sum = total as f32);
        });
        tensor(sums, Shape::from([self.conv.batch, channels]))
    }
}

impl Operation<3> for Conv {
    /// x and weight.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let packed = self.pack(values(&weight));
        (self.run(&x, &packed, bias_alone(&bias)), [x, weight])
    }

    fn infer(&self, [x, weight, bias]: [FlexTensor; 3]) -> FlexTensor {
        self.run(&x, &self.kept_weights(&weight), bias_alone(&bias))
    }

    fn backward(&self, saved: &Self::Saved, dy: &FlexTensor, tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        self.gradients(saved, values(dy), tracked)
    }

    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved
    }
}

fn bias_alone(bias: &FlexTensor) -> Extras<'_> {
    Extras { bias: Some(values(bias)), ..Extras::default() }
}

/// What is added to a convolution's result as it is stored.
#[derive(Clone, Copy, Debug)]
enum Added {
    /// A value for each channel of each sample.
    Sample,
    /// A tensor of the result's shape.
    Residual,
}

/// Inputs: x, weight, bias, and what is added.
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
        let packed = self.conv.pack(values(&weight));
        (self.conv.run(&x, &packed, self.extras(&bias, &added)), [x, weight])
    }

    fn infer(&self, [x, weight, bias, added]: [FlexTensor; 4]) -> FlexTensor {
        self.conv.run(&x, &self.conv.kept_weights(&weight), self.extras(&bias, &added))
    }

    fn backward(&self, saved: &Self::Saved, dy: &FlexTensor, tracked: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let [x, weight, bias, added] = tracked;
        let [dx, dw, db] = self.conv.gradients(saved, values(dy), [x, weight, bias]);
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
