//! Convolutions and linear layers.

use super::{
    Operation,
    buffer::{buffer, buffer_like, tensor, values},
    packed::forward_weights,
    ternary,
};
use crate::ops::ConvGeometry;
use burn::{
    backend::{TensorMetadata, flex::FlexTensor},
    tensor::{Shape, Tensor},
};
use pig_kernels::{ForwardWeights, Level};

/// As [`crate::ops::plain::conv2d`], for kernels of 1 or 3 and strides of 1 or 2.
pub(in crate::ops) fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, geometry: ConvGeometry) -> Tensor<4> {
    let [batch, height, width, in_channels] = x.dims();
    let [out_channels, _, kernel, _] = weight.dims();
    let ConvGeometry { stride, padding } = geometry;
    let conv = pig_kernels::Conv2d { batch, height, width, in_channels, out_channels, kernel, stride, padding };
    let shape = Shape::from([batch, conv.out_height(), conv.out_width(), out_channels]);
    ternary(Conv { conv, shape }, x, weight, bias)
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

/// A convolution and the shape of its result. Inputs: x, weight, bias.
#[derive(Clone, Debug)]
struct Conv {
    conv: pig_kernels::Conv2d,
    shape: Shape,
}

impl Conv {
    fn run(&self, x: &FlexTensor, weights: &ForwardWeights, bias: &FlexTensor) -> FlexTensor {
        let mut y = buffer(self.conv.output_len());
        self.conv.forward(Level::best(), values(x), weights, Some(values(bias)), &mut y);
        tensor(y, self.shape.clone())
    }
}

impl Operation<3> for Conv {
    /// x and weight.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let packed = self.conv.pack_forward(values(&weight));
        (self.run(&x, &packed, &bias), [x, weight])
    }

    fn infer(&self, [x, weight, bias]: [FlexTensor; 3]) -> FlexTensor {
        self.run(&x, &forward_weights(&self.conv, &weight), &bias)
    }

    fn backward(&self, [x, weight]: &Self::Saved, dy: &FlexTensor, tracked: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (level, dy) = (Level::best(), values(dy));
        let dx = tracked[0].then(|| {
            let mut dx = buffer_like(x);
            self.conv.backward_data(level, dy, &self.conv.pack_backward(values(weight)), &mut dx);
            tensor(dx, x.shape())
        });
        if !tracked[1] && !tracked[2] {
            return [dx, None, None];
        }
        let (mut dw, mut db) = (buffer_like(weight), buffer(self.conv.out_channels));
        self.conv.backward_weights(level, values(x), dy, &mut dw, Some(&mut db));
        [dx, Some(tensor(dw, weight.shape())), Some(tensor(db, Shape::from([self.conv.out_channels])))]
    }

    fn release(saved: Self::Saved) -> impl IntoIterator<Item = FlexTensor> {
        saved
    }
}
