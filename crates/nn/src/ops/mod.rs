//! The operations of the networks: the single interface between the networks and the code that computes them.
//!
//! Shapes are channels-last. [`plain`] composes Burn's own operations and works on every device; `fast` runs our SIMD kernels on the
//! CPU, on `f32` tensors and, if requested, with `bf16` products. Each function here selects one of the two.

mod fast;
pub mod plain;
mod settings;

pub use crate::device::is_cpu;
pub use fast::{timers, use_buffers_of_worker, without_keeping_weights};
pub use settings::{ConvGeometry, NormSettings};

use crate::precision::Precision;
use burn::tensor::Tensor;

/// As [`plain::conv2d`].
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    let conv = if is_fast_conv(&x, &weight, geometry) { fast::conv2d } else { plain::conv2d };
    conv(x, weight, bias, geometry, precision)
}

/// As [`plain::conv2d_add_sample`].
pub fn conv2d_add_sample(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    sample: Tensor<2>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    let is_fast = is_fast_conv(&x, &weight, geometry);
    let conv = if is_fast { fast::conv2d_add_sample } else { plain::conv2d_add_sample };
    conv(x, weight, bias, sample, geometry, precision)
}

/// As [`plain::conv2d_add`].
pub fn conv2d_add(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    residual: Tensor<4>,
    geometry: ConvGeometry,
    precision: Precision,
) -> Tensor<4> {
    let conv = if is_fast_conv(&x, &weight, geometry) { fast::conv2d_add } else { plain::conv2d_add };
    conv(x, weight, bias, residual, geometry, precision)
}

/// As [`plain::conv2d_concat`]; the fast path reads the two tensors without joining them.
pub fn conv2d_concat(
    a: Tensor<4>,
    b: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    precision: Precision,
) -> Tensor<4> {
    // A pair of bf16 values must not contain one channel of each tensor.
    let is_fast = weight.dims()[2..] == [1, 1] && a.dims()[3].is_multiple_of(2) && fast::is_supported(&a);
    let conv = if is_fast { fast::conv2d_concat } else { plain::conv2d_concat };
    conv(a, b, weight, bias, precision)
}

/// Whether our kernels support the convolution and the device of `x`.
fn is_fast_conv(x: &Tensor<4>, weight: &Tensor<4>, geometry: ConvGeometry) -> bool {
    matches!(weight.dims()[2..], [1, 1] | [3, 3]) && matches!(geometry.stride, 1 | 2) && fast::is_supported(x)
}

/// As [`plain::group_norm`]; on the fast path the result is `bf16` if the next layer would round it to `bf16` anyway.
pub fn group_norm(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, settings: NormSettings) -> Tensor<4> {
    let norm = if fast::is_supported(&x) { fast::group_norm } else { plain::group_norm };
    norm(x, weight, bias, settings)
}

/// As [`plain::group_norm_concat`]; the type of the result is that of [`group_norm`], and the fast path reads the two tensors without
/// joining them.
pub fn group_norm_concat(
    a: Tensor<4>,
    b: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    settings: NormSettings,
) -> Tensor<4> {
    let norm = if fast::is_supported(&a) { fast::group_norm_concat } else { plain::group_norm_concat };
    norm(a, b, weight, bias, settings)
}

/// As [`plain::silu`].
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if fast::is_supported(&x) { fast::silu(x) } else { plain::silu(x) }
}

/// As [`plain::linear`].
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>, precision: Precision) -> Tensor<D> {
    let linear = if fast::is_supported(&x) { fast::linear } else { plain::linear };
    linear(x, weight, bias, precision)
}

/// As [`plain::attention`].
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    if fast::is_supported(&q) { fast::attention(q, k, v, heads) } else { plain::attention(q, k, v, heads) }
}

/// As [`plain::upsample_nearest_2x`].
pub fn upsample_nearest_2x(x: Tensor<4>) -> Tensor<4> {
    if fast::is_supported(&x) { fast::upsample_nearest_2x(x) } else { plain::upsample_nearest_2x(x) }
}

/// As [`plain::upsample_conv2d`].
pub fn upsample_conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, precision: Precision) -> Tensor<4> {
    let is_fast = weight.dims()[2..] == [3, 3] && fast::is_supported(&x);
    let conv = if is_fast { fast::upsample_conv2d } else { plain::upsample_conv2d };
    conv(x, weight, bias, precision)
}

/// As [`plain::concat_channels`].
pub fn concat_channels(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    if fast::is_supported(&a) { fast::concat_channels(a, b) } else { plain::concat_channels(a, b) }
}
