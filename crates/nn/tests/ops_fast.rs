//! Compares the operations with our kernels with Burn's own operations in `f64`, forward and gradients; and tests that their bits
//! do not depend on the number of threads or on the batch. If `PIG_TEST_DEVICE` names another device than the CPU, the operations of
//! that device are compared instead of our kernels.

use burn::tensor::{DType, Device, Tensor, TensorData};
use pig_device::testing;
use pig_kernels::Level;
use pig_nn::{
    ops::{self, ConvGeometry, NormSettings, plain},
    pass::Precision::{Bf16, F32},
};

/// Values in [-1, 1) that depend only on the seed.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    for _ in 0..8 {
        next();
    }
    (0..count).map(|_| (next() >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn constant<const D: usize>(dims: [usize; D], seed: u32, dtype: DType) -> Tensor<D> {
    let values = noise(dims.iter().product(), seed);
    let device = if dtype == DType::F64 { Device::flex() } else { testing::device() };
    Tensor::from_data(TensorData::new(values, dims), (&device, dtype))
}

fn leaf<const D: usize>(dims: [usize; D], seed: u32, dtype: DType) -> Tensor<D> {
    constant(dims, seed, dtype).autodiff().require_grad()
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().try_into_vec_as().unwrap()
}

/// The result of a function of three tensors, and the gradients of its inner product with fixed noise.
fn result_and_gradients<const A: usize, const B: usize, const C: usize, const Y: usize>(
    (a, b, c): ([usize; A], [usize; B], [usize; C]),
    dtype: DType,
    f: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y>,
) -> [Vec<f64>; 4] {
    let (a, b, c) = (leaf(a, 1, dtype), leaf(b, 2, dtype), leaf(c, 3, dtype));
    let y = f(a.clone(), b.clone(), c.clone());
    let probe = constant(y.dims(), 4, dtype);
    let gradients = (y.clone() * probe).sum().backward();
    let [da, db, dc] = [a.grad(&gradients).map(values), b.grad(&gradients).map(values), c.grad(&gradients).map(values)];
    // A tensor has no gradient if the function does not use it.
    [values(y.inner()), da.unwrap_or_default(), db.unwrap_or_default(), dc.unwrap_or_default()]
}

/// For each argument, a direction and the slope in that direction of the inner product that [`result_and_gradients`] differentiates.
/// The slope is computed by central differences in `f64`, without autodiff.
fn slopes<const A: usize, const B: usize, const C: usize, const Y: usize>(
    (a, b, c): ([usize; A], [usize; B], [usize; C]),
    f: &impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y>,
) -> [(f64, Vec<f64>); 3] {
    const STEP: f64 = 1e-4;
    let (a, b, c) = (constant(a, 1, DType::F64), constant(b, 2, DType::F64), constant(c, 3, DType::F64));
    let value = |a: Tensor<A>, b: Tensor<B>, c: Tensor<C>| {
        let y = f(a, b, c);
        let probe = constant(y.dims(), 4, DType::F64);
        values((y * probe).sum())[0]
    };
    let (da, db, dc) =
        (constant(a.dims(), 6, DType::F64), constant(b.dims(), 7, DType::F64), constant(c.dims(), 8, DType::F64));
    let along = |value: &dyn Fn(f64) -> f64| (value(STEP) - value(-STEP)) / (2.0 * STEP);
    let by_a = along(&|s| value(a.clone() + da.clone() * s, b.clone(), c.clone()));
    let by_b = along(&|s| value(a.clone(), b.clone() + db.clone() * s, c.clone()));
    let by_c = along(&|s| value(a.clone(), b.clone(), c.clone() + dc.clone() * s));
    [(by_a, values(da)), (by_b, values(db)), (by_c, values(dc))]
}

/// The largest difference, relative to the largest expected magnitude.
fn error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-3_f64, |largest, x| largest.max(x.abs()));
    found.iter().zip(expected).fold(0.0_f64, |worst, (x, y)| worst.max((x - y).abs())) / largest
}

/// Compares the fast `f32` function and its gradients with the plain function in `f64`, and the gradients with finite differences,
/// too; and checks that the bits are the same with 1 to 4 threads.
fn check<const A: usize, const B: usize, const C: usize, const Y: usize>(
    name: &str,
    dims: ([usize; A], [usize; B], [usize; C]),
    fast: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y> + Sync,
    plain: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y>,
) {
    check_within(name, dims, testing::tolerance(2e-5), fast, plain);
}

/// As [`check`], with another tolerance.
fn check_within<const A: usize, const B: usize, const C: usize, const Y: usize>(
    name: &str,
    dims: ([usize; A], [usize; B], [usize; C]),
    tolerance: f64,
    fast: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y> + Sync,
    plain: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y>,
) {
    let slopes = slopes(dims, &plain);
    let expected = result_and_gradients(dims, DType::F64, plain);
    let found = result_and_gradients(dims, DType::F32, &fast);
    for (what, (gradient, (slope, direction))) in ["da", "db", "dc"].iter().zip(found[1..].iter().zip(&slopes)) {
        let along: f64 = gradient.iter().zip(direction).map(|(g, d)| g * d).sum();
        let largest = gradient.iter().fold(1e-3_f64, |largest, g| largest.max(g.abs()));
        let limit = tolerance * largest * direction.iter().map(|d| d.abs()).sum::<f64>();
        let is_used = !gradient.is_empty();
        assert!(
            !is_used || (along - slope).abs() < limit,
            "{name} {dims:?}: {what} gives a slope of {along}, finite differences give {slope}"
        );
    }
    for (what, (found, expected)) in ["y", "da", "db", "dc"].iter().zip(found.iter().zip(&expected)) {
        let error = error(found, expected);
        assert!(error < tolerance, "{name} {dims:?}: {what} is off by {error:.1e} of its largest value");
    }
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    for threads in 1..=4 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let again = pool.install(|| result_and_gradients(dims, DType::F32, &fast));
        assert_eq!(again, found, "{name} {dims:?} on {threads} threads");
    }
}

/// Checks that each sample of a batch has the same bits as alone.
fn check_batch<const D: usize, const E: usize>(name: &str, dims: [usize; D], f: impl Fn(Tensor<D>) -> Tensor<E>) {
    let x = constant(dims, 5, DType::F32);
    let together = f(x.clone());
    for sample in 0..dims[0] {
        let alone = f(x.clone().narrow(0, sample, 1));
        assert_eq!(alone.into_data(), together.clone().narrow(0, sample, 1).into_data(), "{name}, sample {sample}");
    }
}

/// Numbers of input and output channels: less than a vector, one, two, three vectors, and numbers that are no multiple of a vector.
const CHANNELS: [[usize; 2]; 8] = [[1, 32], [2, 3], [3, 2], [17, 17], [32, 1], [32, 48], [48, 32], [96, 64]];

#[test]
fn convolutions() {
    for (i, [input, output]) in CHANNELS.into_iter().enumerate() {
        let (height, width) = [(8, 8), (5, 7), (1, 3), (16, 9)][i % 4];
        for (kernel, stride, padding) in
            [(3, 1, [1; 4]), (1, 1, [0; 4]), (3, 2, [0, 1, 0, 1]), (3, 2, [1; 4]), (3, 1, [2, 1, 0, 3])]
        {
            let dims = ([3, height + 2, width, input], [output, input, kernel, kernel], [output]);
            let geometry = ConvGeometry { stride, padding };
            check(
                "conv2d",
                dims,
                |x, w, b| ops::conv2d(x, w, b, geometry, F32),
                |x, w, b| plain::conv2d(x, w, b, geometry, F32),
            );
        }
    }
}

#[test]
fn other_kernels_take_the_plain_path() {
    let geometry = ConvGeometry { stride: 1, padding: [2; 4] };
    let dims = ([1, 6, 6, 3], [4, 3, 5, 5], [4]);
    check(
        "conv2d",
        dims,
        |x, w, b| ops::conv2d(x, w, b, geometry, F32),
        |x, w, b| plain::conv2d(x, w, b, geometry, F32),
    );
}

#[test]
fn group_norms() {
    for activate in [false, true] {
        for (channels, groups, height, width) in
            [(1, 1, 5, 7), (2, 1, 4, 4), (3, 3, 1, 9), (17, 1, 6, 5), (32, 32, 16, 16), (48, 16, 3, 3), (192, 32, 2, 2)]
        {
            let dims = ([3, height, width, channels], [channels], [channels]);
            let settings = NormSettings { groups, eps: 1e-6, activate, precision: F32 };
            check(
                "group_norm",
                dims,
                |x, w, b| ops::group_norm(x, w, b, settings),
                |x, w, b| plain::group_norm(x, w, b, settings),
            );
        }
    }
}

#[test]
fn linear_layers() {
    for [input, output] in CHANNELS {
        let dims = ([3, 5, input], [output, input], [output]);
        check("linear", dims, |x, w, b| ops::linear::<3>(x, w, b, F32), |x, w, b| plain::linear::<3>(x, w, b, F32));
    }
}

#[test]
fn attentions() {
    for (tokens, channels, heads) in [(1, 3, 1), (7, 17, 1), (16, 32, 1), (33, 48, 3), (100, 64, 2)] {
        let dims = [2, tokens, channels];
        check(
            "attention",
            (dims, dims, dims),
            |q, k, v| ops::attention(q, k, v, heads),
            |q, k, v| plain::attention(q, k, v, heads),
        );
    }
}

#[test]
fn silu_upsampling_and_concatenation() {
    for [a, b] in CHANNELS {
        let dims = ([3, 5, 7, a], [3, 5, 7, b], [1]);
        check("silu", dims, |x, _, _| ops::silu(x), |x, _, _| plain::silu(x));
        check("upsample", dims, |x, _, _| ops::upsample_nearest_2x(x), |x, _, _| plain::upsample_nearest_2x(x));
        let conv = ([2, 5, 3, a], [b, a, 3, 3], [b]);
        check(
            "upsample_conv2d",
            conv,
            |x, w, b| ops::upsample_conv2d(x, w, b, F32),
            |x, w, b| plain::upsample_conv2d(x, w, b, F32),
        );
        check("concat", dims, |x, y, _| ops::concat_channels(x, y), |x, y, _| plain::concat_channels(x, y));
    }
}

#[test]
fn two_tensors_side_by_side() {
    // Channels of both tensors, and groups: some groups end at the boundary between the tensors, some have channels of both.
    for ([a, b], groups) in [([32, 32], 32), ([64, 32], 32), ([2, 3], 5), ([3, 6], 3), ([17, 17], 2), ([48, 96], 8)] {
        let channels = a + b;
        let (left, right) = ([2, 5, 7, a], [2, 5, 7, b]);
        let other = |x: &Tensor<4>| constant::<1>([channels], 9, DType::F32).cast(x.dtype());
        for activate in [false, true] {
            let settings = NormSettings { groups, eps: 1e-6, activate, precision: F32 };
            check(
                "group_norm_concat",
                (left, right, [channels]),
                |x, y, w| ops::group_norm_concat(x.clone(), y, w, other(&x), settings),
                |x, y, w| plain::group_norm_concat(x.clone(), y, w, other(&x), settings),
            );
        }
        for output in [1, 24, 32] {
            let bias = |x: &Tensor<4>| constant::<1>([output], 9, DType::F32).cast(x.dtype());
            check(
                "conv2d_concat",
                (left, right, [output, channels, 1, 1]),
                |x, y, w| ops::conv2d_concat(x.clone(), y, w, bias(&x), F32),
                |x, y, w| plain::conv2d_concat(x.clone(), y, w, bias(&x), F32),
            );
        }
    }
}

#[test]
fn a_view_is_read_as_what_it_shows() {
    let dims = ([2, 6, 8, 4], [8, 4, 3, 3], [8]);
    let turn = |x: Tensor<4>| x.swap_dims(1, 2);
    let geometry = ConvGeometry::same(3);
    check(
        "conv2d of a transposed image",
        dims,
        |x, w, b| ops::conv2d(turn(x), w.flip([2]), b, geometry, F32),
        |x, w, b| plain::conv2d(turn(x), w.flip([2]), b, geometry, F32),
    );
    check(
        "conv2d whose gradient is a view",
        dims,
        |x, w, b| turn(ops::conv2d(x, w, b, geometry, F32)),
        |x, w, b| turn(plain::conv2d(x, w, b, geometry, F32)),
    );
}

#[test]
fn only_tracked_tensors_have_gradients() {
    let bias = || constant([4], 3, DType::F32);
    let (x, w) = (leaf([1, 4, 4, 2], 1, DType::F32), leaf([4, 2, 3, 3], 2, DType::F32));
    let both = ops::conv2d(x.clone(), w.clone(), bias(), ConvGeometry::same(3), F32).sum().backward();

    let frozen = w.clone().inner();
    let only = ops::conv2d(x.clone(), frozen.clone(), bias(), ConvGeometry::same(3), F32).sum().backward();
    assert_eq!(x.grad(&only).map(values), x.grad(&both).map(values));
    assert!(frozen.grad(&only).is_none());

    let input = x.clone().inner();
    let only = ops::conv2d(input.clone(), w.clone(), bias(), ConvGeometry::same(3), F32).sum().backward();
    assert_eq!(w.grad(&only).map(values), w.grad(&both).map(values));
    assert!(input.grad(&only).is_none());
}

#[test]
fn convolutions_with_a_sum_behind() {
    let noise = |dims| constant::<1>(dims, 9, DType::F32);
    for [input, output] in CHANNELS {
        let geometry = ConvGeometry { stride: 2, padding: [0, 1, 0, 1] };
        let bias = |x: &Tensor<4>| noise([output]).cast(x.dtype());
        let images = ([3, 5, 7, input], [output, input, 3, 3]);
        check(
            "conv2d_add_sample",
            (images.0, images.1, [3, output]),
            |x, w, t| ops::conv2d_add_sample(x.clone(), w, bias(&x), t, geometry, F32),
            |x, w, t| plain::conv2d_add_sample(x.clone(), w, bias(&x), t, geometry, F32),
        );
        check(
            "conv2d_add",
            (images.0, images.1, [3, 2, 3, output]),
            |x, w, r| ops::conv2d_add(x.clone(), w, bias(&x), r, geometry, F32),
            |x, w, r| plain::conv2d_add(x.clone(), w, bias(&x), r, geometry, F32),
        );
    }
}

#[test]
fn a_tensor_used_twice_has_both_gradients() {
    let dims = ([2, 4, 4, 32], [32, 32, 3, 3], [32]);
    let geometry = ConvGeometry::same(3);
    check(
        "residual",
        dims,
        |x, w, b| ops::conv2d_add(ops::silu(x.clone()), w, b, x, geometry, F32),
        |x, w, b| plain::conv2d_add(plain::silu(x.clone()), w, b, x, geometry, F32),
    );
}

#[test]
fn a_sample_alone_is_the_sample_in_a_batch() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let parameter = |count| constant([count], 7, DType::F32);
    for [input, output] in CHANNELS {
        for stride in [1, 2] {
            let w = constant([output, input, 3, 3], 6, DType::F32);
            let geometry = ConvGeometry { stride, padding: [0, 1, 0, 1] };
            check_batch("conv2d", [8, 9, 12, input], |x| ops::conv2d(x, w.clone(), parameter(output), geometry, F32));
        }
        let w = constant([output, input, 3, 3], 6, DType::F32);
        check_batch("upsample_conv2d", [8, 3, 5, input], |x| {
            ops::upsample_conv2d(x, w.clone(), parameter(output), F32)
        });
        let w = constant([output, input], 6, DType::F32);
        check_batch("linear", [8, 5, input], |x| ops::linear(x, w.clone(), parameter(output), F32));
        check_batch("group_norm", [8, 9, 12, input], |x| {
            ops::group_norm(
                x,
                parameter(input),
                parameter(input),
                NormSettings { groups: 1, eps: 1e-6, activate: true, precision: F32 },
            )
        });
        check_batch("attention", [8, 21, input], |x| ops::attention(x.clone(), x.clone(), x, 1));
        check_batch("silu", [8, 21, input], ops::silu::<3>);
        check_batch("upsample", [8, 3, 2, input], ops::upsample_nearest_2x);
        check_batch("concat", [8, 3, 2, input], |x| ops::concat_channels(x.clone(), x));
    }
}

/// The largest accepted error of sums of `bf16` products, relative to the largest value: each factor has a rounding error of up to
/// 2^-9.
const ROUNDED: f64 = 1e-2;

#[test]
fn bf16_products_are_near_and_gradients_too() {
    if testing::skips("not every driver supports bf16") {
        return;
    }
    for [input, output] in CHANNELS.into_iter().chain([[33, 64]]) {
        for (kernel, stride, size) in [(3, 1, [5, 7]), (3, 1, [8, 9]), (3, 2, [6, 8]), (1, 1, [5, 7])] {
            let geometry = ConvGeometry { stride, padding: [kernel / 2; 4] };
            let dims = ([2, size[0], size[1], input], [output, input, kernel, kernel], [output]);
            let name = "conv2d in bf16";
            check_within(
                name,
                dims,
                ROUNDED,
                |x, w, b| ops::conv2d(x, w, b, geometry, Bf16),
                |x, w, b| plain::conv2d(x, w, b, geometry, F32),
            );
        }
        let dims = ([2, 5, 3, input], [output, input, 3, 3], [output]);
        let name = "upsample_conv2d in bf16";
        check_within(
            name,
            dims,
            ROUNDED,
            |x, w, b| ops::upsample_conv2d(x, w, b, Bf16),
            |x, w, b| plain::upsample_conv2d(x, w, b, F32),
        );
        let dims = ([3, 5, input], [output, input], [output]);
        check_within(
            "linear in bf16",
            dims,
            ROUNDED,
            |x, w, b| ops::linear::<3>(x, w, b, Bf16),
            |x, w, b| plain::linear::<3>(x, w, b, F32),
        );
        // The norm passes bf16 values to the convolution, and receives an f32 gradient from it.
        let dims = ([2, 6, 8, input], [output, input, 3, 3], [input]);
        let settings = |precision| NormSettings { groups: 1, eps: 1e-6, activate: true, precision };
        let geometry = ConvGeometry { stride: 2, padding: [0, 1, 0, 1] };
        let zeros = |x: &Tensor<4>| constant::<1>([output], 9, x.dtype()).mul_scalar(0.0);
        check_within(
            "norm and conv2d in bf16",
            dims,
            ROUNDED,
            |x, w, b| {
                let zeros = zeros(&x);
                ops::conv2d(ops::group_norm(x, b.clone(), b, settings(Bf16)), w, zeros, geometry, Bf16)
            },
            |x, w, b| {
                let zeros = zeros(&x);
                plain::conv2d(plain::group_norm(x, b.clone(), b, settings(F32)), w, zeros, geometry, F32)
            },
        );
    }
}

#[test]
fn bf16_is_not_f32_in_disguise() {
    if testing::skips("only our kernels choose between several methods") {
        return;
    }
    if !Level::best().has_bf16() {
        pig_testing::skip("this processor has no bf16 instructions");
        return;
    }
    let (x, w) = (constant([1, 6, 6, 32], 1, DType::F32), constant([32, 32, 3, 3], 2, DType::F32));
    let bias = constant([32], 3, DType::F32);
    let run = |precision| values(ops::conv2d(x.clone(), w.clone(), bias.clone(), ConvGeometry::same(3), precision));
    let difference = error(&run(Bf16), &run(F32));
    assert!(difference > 1e-4 && difference < ROUNDED, "{difference}");
}
