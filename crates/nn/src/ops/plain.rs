//! The operations, composed of Burn's own operations: the reference for the fast path, and the path of all other devices.

use super::{ConvGeometry, NormSettings};
use crate::precision::Precision;
use burn::tensor::{
    Tensor,
    activation::{sigmoid, softmax},
    module::conv2d as burn_conv2d,
    ops::ConvOptions,
};

/// A convolution. `x` is `[batch, height, width, in]`, `weight` is `[out, in, kernel, kernel]`, `bias` is `[out]`; the result is
/// `[batch, height', width', out]`.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    let [top, bottom, left, right] = geometry.padding;
    let padding = [(top, bottom), (left, right)];
    let options = ConvOptions::new_with_padding([geometry.stride; 2], padding, [1, 1], 1);
    let dtype = weight.dtype();
    let conv =
        |x: Tensor<4>, weight, bias| burn_conv2d(x.permute([0, 3, 1, 2]), weight, bias, options).permute([0, 2, 3, 1]);
    match precision {
        Precision::F32 => conv(x, weight, Some(bias)),
        Precision::Bf16 => {
            let channels = bias.dims()[0];
            conv(precision.cast(x), precision.cast(weight), None).cast(dtype) + bias.reshape([1, 1, 1, channels])
        }
    }
}

/// A convolution, plus `sample` `[batch, out]` at every pixel.
pub fn conv2d_add_sample(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    sample: Tensor<2>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    let [batch, channels] = sample.dims();
    conv2d(x, weight, bias, geometry, precision) + sample.reshape([batch, 1, 1, channels])
}

/// A convolution, plus `residual`, which has the shape of the result.
pub fn conv2d_add(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    residual: Tensor<4>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    residual + conv2d(x, weight, bias, geometry, precision)
}

/// A [`conv2d`] of the concatenated channels of `a` and `b`, which keeps the size.
pub fn conv2d_concat(
    a: Tensor<4>,
    b: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    precision: Precision,
) -> Tensor<4> {
    let geometry = ConvGeometry::same(weight.dims()[2]);
    conv2d(concat_channels(a, b), weight, bias, geometry, precision)
}

/// Group normalisation (Wu and He 2018), followed by SiLU if `activate` is set.
///
/// `x` is `[batch, height, width, channels]`, `weight` and `bias` are `[channels]`. It uses the biased variance.
pub fn group_norm(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, settings: NormSettings) -> Tensor<4> {
    let NormSettings { groups, eps, activate, precision: _ } = settings;
    let [batch, height, width, channels] = x.dims();
    let grouped = x.reshape([batch, height * width, groups, channels / groups]);
    let mean = grouped.clone().mean_dims(&[1, 3]);
    let centred = grouped - mean;
    let variance = centred.clone().square().mean_dims(&[1, 3]);
    let normalised = (centred / (variance + eps).sqrt()).reshape([batch, height, width, channels]);
    let y = normalised * weight.reshape([1, 1, 1, channels]) + bias.reshape([1, 1, 1, channels]);
    if activate { silu(y) } else { y }
}

/// [`group_norm`] of the concatenated channels of `a` and `b`: a group can contain channels of both.
pub fn group_norm_concat(
    a: Tensor<4>,
    b: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    settings: NormSettings,
) -> Tensor<4> {
    group_norm(concat_channels(a, b), weight, bias, settings)
}

/// x sigmoid(x).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * sigmoid(x)
}

/// x W^T + b on the last axis. `x` is `[batch, .., in]`, `weight` is `[out, in]`, `bias` is `[out]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>, precision: Precision) -> Tensor<D> {
    let mut dims = x.dims();
    let [out, input] = weight.dims();
    let rows = dims.iter().product::<usize>() / input;
    dims[D - 1] = out;
    let dtype = weight.dtype();
    let product = precision.cast(x.reshape([rows, input])).matmul(precision.cast(weight.transpose()));
    (product.cast(dtype) + bias.reshape([1, out])).reshape(dims)
}

/// softmax(q k^T / sqrt(head width)) v for each head; `q`, `k` and `v` are `[batch, tokens, channels]`, and the
/// channels are split evenly into `heads`.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, channels] = q.dims();
    let width = channels / heads;
    let split = |x: Tensor<3>| x.reshape([batch, tokens, heads, width]).swap_dims(1, 2);
    let scores = split(q).matmul(split(k).swap_dims(2, 3)).mul_scalar(1.0 / (width as f64).sqrt());
    softmax(scores, 3).matmul(split(v)).swap_dims(1, 2).reshape([batch, tokens, channels])
}

/// Repeats each pixel two by two times: `[batch, height, width, channels]` to `[batch, 2 height, 2 width, channels]`.
pub fn upsample_nearest_2x(x: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    x.reshape([batch, height, 1, width, 1, channels]).expand([batch, height, 2, width, 2, channels]).reshape([
        batch,
        2 * height,
        2 * width,
        channels,
    ])
}

/// [`upsample_nearest_2x`], then a [`conv2d`] that keeps the size.
pub fn upsample_conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, precision: Precision) -> Tensor<4> {
    let geometry = ConvGeometry::same(weight.dims()[2]);
    conv2d(upsample_nearest_2x(x), weight, bias, geometry, precision)
}

/// The channels of `a`, then those of `b`.
pub fn concat_channels(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![a, b], 3)
}
