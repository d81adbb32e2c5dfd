//! The U-Net's forward pass as a list of layers, so that it can be computed in parts.

use crate::{
    attention::SelfAttention,
    layers::{Conv2d, GroupNorm},
    pass::{Pass, Precision},
    resnet::{Downsample, ResnetBlock, Upsample},
};
use burn::{
    module::{Module, ModuleVisitor},
    tensor::Tensor,
};

/// A layer and its use of skip connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage<'a> {
    /// The layer.
    pub(crate) layer: Layer<'a>,
    /// Whether the layer also reads the last skip connection that was not read yet.
    pub(crate) takes_skip: bool,
    /// Whether the result becomes a skip connection.
    pub(crate) leaves_skip: bool,
}

impl<'a> Stage<'a> {
    /// A layer without skip connections.
    pub(crate) fn new(layer: Layer<'a>) -> Self {
        Self { layer, takes_skip: false, leaves_skip: false }
    }

    /// A layer of the decoder that reads a skip connection.
    pub(crate) fn taking_skip(layer: Layer<'a>) -> Self {
        Self { takes_skip: true, ..Self::new(layer) }
    }

    /// A layer of the encoder whose result becomes a skip connection.
    pub(crate) fn leaving_skip(layer: Layer<'a>) -> Self {
        Self { leaves_skip: true, ..Self::new(layer) }
    }
}

/// A layer of the U-Net.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layer<'a> {
    /// The first convolution, from the channels of the input to those of the first level.
    Input(&'a Conv2d),
    /// A residual block.
    Resnet(&'a ResnetBlock),
    /// Attention of every pixel to every pixel.
    Attention(&'a SelfAttention),
    /// A layer that halves the size.
    Downsample(&'a Downsample),
    /// A layer that doubles the size.
    Upsample(&'a Upsample),
    /// Norm, SiLU, and the convolution to the channels of the output.
    Output(&'a GroupNorm, &'a Conv2d),
}

impl Layer<'_> {
    /// `h` is `[batch, height, width, channels]`, `skip` is a tensor of the same height and width for a residual block that reads one,
    /// and `time` is `[batch, embedding]`.
    pub(crate) fn forward(self, h: Tensor<4>, skip: Option<Tensor<4>>, time: &Tensor<2>, pass: &Pass) -> Tensor<4> {
        match self {
            Self::Input(conv) => conv.forward(h, pass.in_f32()),
            Self::Resnet(block) => block.forward(h, skip, time, pass),
            Self::Attention(attention) => attention.forward(h, pass),
            Self::Downsample(downsample) => downsample.forward(h, pass),
            Self::Upsample(upsample) => upsample.forward(h, pass),
            Self::Output(norm, conv) => conv.forward(norm.forward_silu(h, Precision::F32), pass.in_f32()),
        }
    }

    /// Calls `visitor` for the parameters of the layer.
    pub(crate) fn visit(self, visitor: &mut impl ModuleVisitor) {
        match self {
            Self::Input(conv) => conv.visit(visitor),
            Self::Resnet(block) => block.visit(visitor),
            Self::Attention(attention) => attention.visit(visitor),
            Self::Downsample(downsample) => downsample.visit(visitor),
            Self::Upsample(upsample) => upsample.visit(visitor),
            Self::Output(norm, conv) => {
                norm.visit(visitor);
                conv.visit(visitor);
            }
        }
    }
}
