//! Tests sizes of 0, sizes that overflow, and tensors that end at the end of their memory: no argument may cause an access
//! outside a slice.
//!
//! All shapes are small, so that `sanitize` can run every test here under AddressSanitizer.

mod common;

use common::{assert_same_bits, noise};
use pig_kernels::{
    AdamStep, Attention, Bf16, Conv2d, Element, Extras, GroupNorm, Input, Level, Output, PackedMatrix, UpsampleConv2d,
    adam, concat, from_bf16, matmul, matmul_transposed, silu, silu_backward, split, to_bf16, upsample,
    upsample_backward,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Half of all addresses: twice this number overflows.
const HALF: usize = 1 << (usize::BITS - 1);

/// Fails unless `f` panics with a text that contains this message.
fn refused<T>(message: &str, f: impl FnOnce() -> T) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else { panic!("no panic, expected {message:?}") };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
    assert!(text.contains(message), "the panic is {text:?}, expected {message:?}");
}

fn values<E: Element>(len: usize, seed: u32) -> Vec<E> {
    noise(len, seed).into_iter().map(E::from_f32).collect()
}

fn none<E>() -> [E; 0] {
    []
}

fn into(data: &mut [f32], stride: usize, accumulate: bool) -> Output<'_> {
    Output { data, stride, accumulate }
}

#[test]
fn levels_end_with_the_portable_one() {
    let names: Vec<_> = Level::available().into_iter().map(Level::name).collect();
    // `sanitize` reads this line.
    println!("levels: {}", names.join(" "));
    assert_eq!(names.last(), Some(&"portable"));
    assert_eq!(names[0], Level::best().name());
}

/// Runs every pass of the convolution on tensors of the required lengths. Outputs are NaN before.
fn passes<E: Element>(level: Level, conv: Conv2d) -> [Vec<f32>; 4] {
    let (x, dy) = (values::<E>(conv.input_len(), 1), values::<E>(conv.output_len(), 2));
    let (w, bias) = (noise(conv.weight_len(), 3), noise(conv.out_channels, 4));
    let [mut y, mut dx, mut dw, mut db] =
        [conv.output_len(), conv.input_len(), conv.weight_len(), conv.out_channels].map(|len| vec![f32::NAN; len]);
    conv.forward(level, &x, &conv.pack_forward(&w), Some(&bias), &mut y);
    conv.backward_data(level, &dy, &conv.pack_backward(&w), &mut dx);
    conv.backward_weights(level, &x, &dy, &mut dw, Some(&mut db));
    [y, dx, dw, db]
}

/// As [`passes`], for a convolution with upsampling.
fn upsample_passes<E: Element>(level: Level, conv: UpsampleConv2d) -> [Vec<f32>; 4] {
    let (x, dy) = (values::<E>(conv.input_len(), 1), values::<E>(conv.output_len(), 2));
    let (w, bias) = (noise(conv.weight_len(), 3), noise(conv.out_channels, 4));
    let [mut y, mut dx, mut dw, mut db] =
        [conv.output_len(), conv.input_len(), conv.weight_len(), conv.out_channels].map(|len| vec![f32::NAN; len]);
    conv.forward(level, &x, &conv.pack_forward(&w), Some(&bias), &mut y);
    conv.backward_data(level, &dy, &conv.pack_backward(&w), &mut dx);
    conv.backward_weights(level, &x, &dy, &mut dw, Some(&mut db));
    [y, dx, dw, db]
}

/// As [`passes`], by Winograd's method.
fn winograd_passes(level: Level, conv: Conv2d) -> [Vec<f32>; 4] {
    let (x, dy) = (noise(conv.input_len(), 1), noise(conv.output_len(), 2));
    let (w, bias) = (noise(conv.weight_len(), 3), noise(conv.out_channels, 4));
    let [mut y, mut dx, mut dw, mut db] =
        [conv.output_len(), conv.input_len(), conv.weight_len(), conv.out_channels].map(|len| vec![f32::NAN; len]);
    let extras = Extras { bias: Some(&bias), ..Extras::default() };
    conv.forward_winograd(level, &x, &conv.pack_forward_winograd(level, &w), extras, &mut y);
    conv.backward_data_winograd(level, &dy, &conv.pack_backward_winograd(level, &w), &mut dx);
    conv.backward_weights_winograd(level, &x, &dy, &mut dw, Some(&mut db));
    [y, dx, dw, db]
}

fn assert_numbers(name: &str, tensors: &[Vec<f32>]) {
    for (i, tensor) in tensors.iter().enumerate() {
        assert!(tensor.iter().all(|v| v.is_finite()), "{name}: not all values of output {i} were written");
    }
}

/// Checks that outputs are empty and that gradients of parameters are empty sums, 0.
fn assert_nothing([y, dx, dw, db]: [Vec<f32>; 4]) {
    assert!(y.is_empty() && dx.is_empty());
    assert!(!dw.is_empty() && dw.iter().chain(&db).all(|&v| v == 0.0), "gradients of an empty batch");
}

/// Checks that convolutions without input or output channels panic. Passes that need packed weights get those of another
/// convolution.
fn refuses_channels<E: Element>(input: usize, output: usize) {
    let message = format!("a convolution needs input and output channels, found {input} in and {output} out");
    let sound = Conv2d::same(1, 2, 2, 1, 1, 3);
    let (forward, backward) = (sound.pack_forward::<E>(&[0.0; 9]), sound.pack_backward::<E>(&[0.0; 9]));
    let (x, y) = (values::<E>(4 * input, 1), values::<E>(4 * output, 2));
    for level in Level::available() {
        let conv = Conv2d::same(1, 2, 2, input, output, 3);
        refused(&message, || conv.pack_forward::<E>(&[]));
        refused(&message, || conv.pack_backward::<E>(&[]));
        refused(&message, || conv.pack_backward_part::<E>(&[], 0..input));
        refused(&message, || conv.forward(level, &x, &forward, None, &mut vec![0.0; y.len()]));
        refused(&message, || conv.backward_data(level, &y, &backward, &mut vec![0.0; x.len()]));
        refused(&message, || conv.backward_weights(level, &x, &y, &mut [], None));

        let conv = UpsampleConv2d { batch: 1, height: 1, width: 1, in_channels: input, out_channels: output };
        let x = &x[..input];
        refused(&message, || conv.pack_forward::<E>(&[]));
        refused(&message, || conv.pack_backward::<E>(&[]));
        refused(&message, || conv.forward(level, x, &forward, None, &mut vec![0.0; y.len()]));
        refused(&message, || conv.backward_data(level, &y, &backward, &mut vec![0.0; x.len()]));
        refused(&message, || conv.backward_weights(level, x, &y, &mut [], None));
    }
}

#[test]
fn convolutions_without_channels_are_refused() {
    for (input, output) in [(3, 0), (0, 3), (20, 0), (0, 20), (0, 0)] {
        refuses_channels::<f32>(input, output);
        refuses_channels::<Bf16>(input, output);
    }
    let conv = Conv2d::same(1, 4, 4, 8, 8, 1);
    refused("a part needs at least one channel, found 3..3", || conv.pack_backward_part::<f32>(&[0.0; 64], 3..3));
    let (x, packed) = ([0.0; 128], conv.pack_forward(&[0.0; 64]));
    let input = |first_channels| Input::Concat { first: &x[..16 * first_channels], first_channels, second: &x };
    for (first_channels, side) in [(0, "first"), (8, "second")] {
        refused(&format!("the {side} tensor needs at least one channel"), || {
            conv.forward_fused(Level::best(), input(first_channels), &packed, Extras::default(), &mut [0.0; 128]);
        });
    }
}

#[test]
fn convolutions_of_an_empty_batch_do_nothing() {
    for level in Level::available() {
        for (input, output) in [(20, 3), (2, 33), (17, 17)] {
            for stride in [1, 2] {
                let conv = Conv2d { stride, ..Conv2d::same(0, 5, 6, input, output, 3) };
                assert_nothing(passes::<f32>(level, conv));
                assert_nothing(passes::<Bf16>(level, conv));
            }
            for [batch, height, width] in [[0, 2, 2], [1, 0, 2], [1, 2, 0]] {
                let conv = UpsampleConv2d { batch, height, width, in_channels: input, out_channels: output };
                assert_nothing(upsample_passes::<f32>(level, conv));
                assert_nothing(upsample_passes::<Bf16>(level, conv));
            }
        }
        assert_nothing(winograd_passes(level, Conv2d::same(0, 5, 6, 16, 17, 3)));
    }
}

#[test]
fn images_smaller_than_the_kernel_are_refused() {
    for (height, width, name) in [(0, 5, "0 rows"), (5, 0, "0 columns"), (1, 5, "1 rows")] {
        let conv = Conv2d { padding: [0, 1, 1, 1], ..Conv2d::same(1, height, width, 2, 2, 3) };
        refused(&format!("a kernel of 3 is larger than {name} with a padding"), || {
            (passes::<f32>(Level::best(), conv), conv.out_width())
        });
    }
    for conv in [
        Conv2d { stride: 0, ..Conv2d::same(1, 4, 4, 2, 2, 3) },
        Conv2d { stride: 3, ..Conv2d::same(1, 4, 4, 2, 2, 3) },
        Conv2d::same(1, 4, 4, 2, 2, 0),
        Conv2d::same(1, 6, 6, 2, 2, 5),
    ] {
        let (x, dw) = (vec![0.0; 72], vec![0.0; 4 * conv.kernel * conv.kernel]);
        refused("the kernel must be 1 or 3, the stride 1 or 2", || conv.pack_forward::<f32>(&dw));
        refused("the kernel must be 1 or 3, the stride 1 or 2", || {
            conv.backward_weights(Level::best(), &x, &x, &mut dw.clone(), None);
        });
    }
}

#[test]
fn outputs_over_padding_alone_are_the_bias() {
    // Images without pixels in a wide padding: all taps read zeros.
    for level in Level::available() {
        for output in [3, 33] {
            let conv = Conv2d { padding: [3, 2, 1, 1], ..Conv2d::same(2, 0, 4, 5, output, 3) };
            for [y, dx, dw, db] in [passes::<f32>(level, conv), passes::<Bf16>(level, conv)] {
                let bias = noise(output, 4);
                assert!(!y.is_empty() && y.chunks(output).all(|pixel| pixel == bias));
                assert!(dx.is_empty() && dw.iter().all(|&v| v == 0.0));
                assert_numbers("bias", &[db]);
            }
        }
    }
}

#[test]
fn winograd_refuses_what_it_cannot_compute() {
    let sound = Conv2d::same(1, 4, 4, 16, 16, 3);
    let (w, message) = (vec![0.0; sound.weight_len()], "Winograd's method does not support this convolution");
    for level in Level::available() {
        let (forward, backward) = (sound.pack_forward_winograd(level, &w), sound.pack_backward_winograd(level, &w));
        for conv in [
            Conv2d { stride: 2, ..sound },
            Conv2d { kernel: 1, ..sound },
            Conv2d { padding: [3, 0, 1, 1], ..sound },
            Conv2d { out_channels: 0, ..sound },
            Conv2d { in_channels: 0, ..sound },
        ] {
            let [x, y] = [conv.input_len(), conv.output_len()].map(|len| vec![0.0; len]);
            refused(message, || conv.pack_forward_winograd(level, &[]));
            refused(message, || conv.pack_backward_winograd(level, &[]));
            refused(message, || conv.forward_winograd(level, &x, &forward, Extras::default(), &mut y.clone()));
            refused(message, || conv.backward_data_winograd(level, &y, &backward, &mut x.clone()));
            refused(message, || conv.backward_weights_winograd(level, &x, &y, &mut [], None));
        }
    }
}

/// Products of these sizes, in outputs that are longer than needed and filled with 7: (a b + bias, a b added, a^T b added).
fn products<E: Element>(level: Level, [rows, depth, columns]: [usize; 3]) -> [Vec<f32>; 3] {
    let (a, b) = (values::<E>(rows * depth, 1), values::<E>(depth * columns, 2));
    let wide: Vec<f32> = b.iter().map(|v| v.to_f32()).collect();
    let bias = vec![1.0; columns];
    let [mut c, mut d, mut e] = [(); 3].map(|()| vec![7.0; rows * columns + 40]);
    let packed = PackedMatrix::<E>::new(depth, columns, &wide, columns);
    assert_eq!((packed.depth(), packed.columns()), (depth, columns));
    matmul(level, rows, &a, depth, &packed, Some(&bias), into(&mut c, columns, false));
    matmul(level, rows, &a, depth, &packed, None, into(&mut d, columns, true));
    let turned: Vec<E> = (0..depth * rows).map(|i| a[i % rows * depth + i / rows]).collect();
    matmul_transposed(level, [rows, depth, columns], &turned, rows, &b, columns, into(&mut e, columns, true));
    [c, d, e]
}

#[test]
fn products_of_empty_matrices() {
    for level in Level::available() {
        for size in [1, 2, 4, 6, 48] {
            for sizes in [[size, 4, 0], [0, 4, size], [size, 0, size], [size, 0, 0], [0, 0, 0]] {
                for products in [products::<f32>(level, sizes), products::<Bf16>(level, sizes)] {
                    let count = sizes[0] * sizes[2];
                    for (c, sum) in products.into_iter().zip([1.0, 7.0, 7.0]) {
                        assert!(c[..count].iter().all(|&v| v == sum), "{sizes:?}: empty sums");
                        assert!(c[count..].iter().all(|&v| v == 7.0), "{sizes:?}: values behind the output changed");
                    }
                }
            }
        }
        // Rows without columns need no memory, whatever the stride is.
        matmul_transposed::<f32>(level, [5, 1, 0], &[0.0; 5], 5, &[], HALF, into(&mut [], HALF, false));
        let packed = PackedMatrix::<f32>::transposed(0, HALF, &[], HALF);
        matmul(level, 0, &[], HALF, &packed, None, into(&mut [], 0, true));
    }
}

#[test]
fn attention_without_tokens_or_channels_does_nothing() {
    for level in Level::available() {
        for [batch, tokens, heads, head_dim] in [[0, 3, 2, 4], [2, 0, 2, 4], [2, 3, 0, 4], [2, 3, 2, 0]] {
            let attention = Attention { batch, tokens, heads, head_dim, scale: 1.0 };
            assert!(attention.is_empty());
            attention.forward(level, &[], &[], &[], &mut []);
            attention.backward(level, &[], &[], &[], &[], &mut [], &mut [], &mut []);
        }
    }
}

/// Runs a norm of these sizes on zeros, forward and backward; returns dgamma and dbeta.
fn normalise(level: Level, [batch, pixels, channels, groups]: [usize; 4], len: usize) -> [Vec<f32>; 2] {
    let norm = GroupNorm { batch, pixels, channels, groups, eps: 1e-5, silu: true };
    let (x, gamma) = (vec![0.0; len], vec![1.0; channels.min(64)]);
    let [mut y, mut dx] = [(); 2].map(|()| vec![f32::NAN; len]);
    let [mut mean, mut rstd] = [(); 2].map(|()| vec![f32::NAN; batch.wrapping_mul(groups)]);
    norm.forward(level, Input::One(&x), &gamma, &gamma, &mut y, &mut mean, &mut rstd);
    let [mut dgamma, mut dbeta] = [(); 2].map(|()| vec![f32::NAN; gamma.len()]);
    let dx = &mut [&mut dx[..]];
    norm.backward(level, Input::One(&x), &x, &gamma, &gamma, &mean, &rstd, dx, &mut dgamma, &mut dbeta);
    [dgamma, dbeta]
}

#[test]
fn norms_refuse_all_sizes_of_0_but_the_batch() {
    for level in Level::available() {
        let gradients = normalise(level, [0, 5, 20, 4], 0);
        assert!(gradients.iter().flatten().all(|&v| v == 0.0), "gradients of an empty batch");
        refused("at least one pixel and one channel", || normalise(level, [2, 0, 20, 4], 0));
        refused("at least one pixel and one channel", || normalise(level, [2, 5, 0, 4], 0));
        refused("channels must be a multiple of groups", || normalise(level, [2, 5, 20, 0], 200));
        let norm = GroupNorm { batch: 1, pixels: 2, channels: 3, groups: 1, eps: 1e-5, silu: false };
        let x = Input::Concat { first: &[], first_channels: 0, second: &[0.0; 6] };
        refused("the first tensor needs at least one channel", || {
            norm.forward(level, x, &[1.0; 3], &[0.0; 3], &mut [0.0_f32; 6], &mut [0.0], &mut [0.0]);
        });
    }
}

#[test]
fn elementwise_operations_of_nothing_do_nothing() {
    for shape in [[0, 3, 5, 7], [2, 0, 5, 7], [2, 3, 0, 7], [2, 3, 5, 0]] {
        upsample(shape, &[], &mut []);
        upsample_backward(shape, &[], &mut []);
    }
    concat(&[], 0, &[], 0, &mut []);
    split(&[], &mut [], 0, &mut [], 0);
    concat(&[], 3, &[], 4, &mut []);
    let (mut y, mut da) = ([f32::NAN; 3], [f32::NAN; 3]);
    concat(&[1.0, 2.0, 3.0], 1, &[], 0, &mut y);
    assert_eq!(y, [1.0, 2.0, 3.0]);
    split(&y, &mut [], 0, &mut da, 3);
    assert_eq!(da, y);
    refused("length of the first tensor", || concat(&y, 0, &[], 0, &mut []));
    let settings = AdamStep {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        step: 1,
        gradient_scale: 1.0,
        ema_decay: 0.9,
    };
    for level in Level::available() {
        adam(level, &settings, &[], &mut [], &mut [], &mut [], Some(&mut []));
        silu(level, &[], &mut []);
        silu_backward(level, &[], &[], &mut []);
        to_bf16(level, &[], &mut []);
        from_bf16(level, &[], &mut []);
    }
}

#[test]
fn convolutions_of_sizes_that_overflow_are_refused() {
    let count = "too many to address";
    let quarter = HALF / 2;
    for level in Level::available() {
        // With unchecked overflow each product is a small number: 0, or the length of the given tensor.
        for (batch, height, width, channels) in
            [(HALF, 2, 1, 1), (1, quarter, 4, 1), (1, 4, quarter, 1), (quarter + 1, 1, 1, 4), (0, HALF, 2, 1)]
        {
            let len = batch.wrapping_mul(height).wrapping_mul(width).wrapping_mul(channels);
            let x = vec![0.0; len];
            let conv = Conv2d::same(batch, height, width, channels, channels, 1);
            let w = vec![0.0; channels * channels];
            let (forward, backward) = (conv.pack_forward(&w), conv.pack_backward(&w));
            refused(count, || conv.input_len());
            refused(count, || conv.output_len());
            refused(count, || conv.forward(level, &x, &forward, None, &mut x.clone()));
            refused(count, || conv.backward_data(level, &x, &backward, &mut x.clone()));
            refused(count, || conv.backward_weights(level, &x, &x, &mut w.clone(), None));

            let (in_channels, out_channels) = (channels, channels);
            let conv = UpsampleConv2d { batch, height, width, in_channels, out_channels };
            let w = vec![0.0; conv.weight_len()];
            let (forward, backward) = (conv.pack_forward(&w), conv.pack_backward(&w));
            let y = vec![0.0; len.wrapping_mul(4)];
            refused(count, || conv.output_len());
            refused(count, || conv.forward(level, &x, &forward, None, &mut y.clone()));
            refused(count, || conv.backward_data(level, &y, &backward, &mut x.clone()));
            refused(count, || conv.backward_weights(level, &x, &y, &mut w.clone(), None));
        }
        refused(count, || Conv2d::same(HALF, 2, 1, 1, 1, 1).flops());
        let conv = Conv2d::same(1, 1, 1, HALF, 2, 1);
        refused(count, || conv.weight_len());
        refused(count, || conv.pack_forward::<f32>(&[]));
        refused(count, || conv.pack_backward::<f32>(&[]));
        let conv = UpsampleConv2d { batch: 0, height: 1, width: 1, in_channels: 2, out_channels: HALF };
        refused(count, || conv.pack_forward::<f32>(&[]));
        for padding in [[usize::MAX, 1, 0, 0], [0, 0, HALF, 0]] {
            let conv = Conv2d { padding, ..Conv2d::same(1, 4, 4, 16, 16, 3) };
            refused(count, || conv.output_len());
        }
        let conv = Conv2d::same(HALF, 4, 4, 16, 16, 3);
        let w = vec![0.0; conv.weight_len()];
        let (forward, backward) = (conv.pack_forward_winograd(level, &w), conv.pack_backward_winograd(level, &w));
        refused(count, || conv.forward_winograd(level, &none::<f32>(), &forward, Extras::default(), &mut []));
        refused(count, || conv.backward_data_winograd(level, &[], &backward, &mut []));
        refused(count, || conv.backward_weights_winograd(level, &none::<f32>(), &[], &mut w.clone(), None));
    }
}

#[test]
fn other_operations_of_sizes_that_overflow_are_refused() {
    let (count, quarter) = ("too many to address", HALF / 2);
    for level in Level::available() {
        for [batch, tokens, heads, head_dim] in
            [[HALF, 2, 1, 1], [1, quarter, 2, 2], [quarter + 1, 1, 2, 2], [1, 0, HALF, 2]]
        {
            let attention = Attention { batch, tokens, heads, head_dim, scale: 1.0 };
            let x = vec![0.0; batch.wrapping_mul(tokens).wrapping_mul(heads).wrapping_mul(head_dim)];
            let mut out = [(); 3].map(|()| x.clone());
            let [dq, dk, dv] = &mut out;
            refused(count, || attention.is_empty());
            refused(count, || attention.forward(level, &x, &x, &x, dq));
            refused(count, || attention.backward(level, &x, &x, &x, &x, dq, dk, dv));
        }
        refused(count, || normalise(level, [HALF, 2, 2, 2], 0));
        refused(count, || normalise(level, [1, quarter + 1, 4, 1], 4));
        refused(count, || normalise(level, [2, HALF, 1, 1], 0));

        // With these strides the offset of the last row overflows to the start of the slice.
        let packed = PackedMatrix::<f32>::new(1, 1, &[1.0], 1);
        refused("left matrix is too short", || {
            matmul(level, 3, &[0.0; 3], HALF, &packed, None, into(&mut [0.0; 3], 1, false));
        });
        refused("output is too short", || {
            matmul(level, 3, &[0.0; 3], 1, &packed, None, into(&mut [0.0; 3], HALF, false));
        });
        refused("a matrix is too short", || {
            matmul_transposed(level, [1, 3, 1], &[0.0; 3], HALF, &[0.0; 3], 1, into(&mut [0.0], 1, false));
        });
        refused("output is too short", || {
            matmul_transposed(level, [3, 1, 1], &[0.0; 3], 3, &[0.0], 1, into(&mut [0.0; 3], HALF, false));
        });
        refused("right matrix is too short", || PackedMatrix::<f32>::new(3, 1, &[0.0; 3], HALF));
        refused("right matrix is too short", || PackedMatrix::<f32>::transposed(1, 3, &[0.0; 3], HALF));
        refused("right matrix is too short", || PackedMatrix::<f32>::new(2, 3, &[0.0; 3], usize::MAX - 1));
    }
    for shape in [[HALF, 2, 1, 1], [1, HALF, 1, 2], [1, 1, quarter, 4]] {
        refused(count, || upsample(shape, &[], &mut []));
        refused(count, || upsample_backward(shape, &[], &mut []));
    }
    // The sum of the channels overflows to 2, so that two rows have 4 values.
    let y = [0.0; 4];
    refused("too many channels to count", || concat(&[], HALF, &y, HALF + 2, &mut y.clone()));
    refused("too many channels to count", || split(&y, &mut [], HALF, &mut y.clone(), HALF + 2));
    refused(count, || concat(&[], HALF, &[], HALF - 1, &mut []));
}

/// Numbers of channels that end inside a vector, at its end, and after it, for the kernel of few output channels and the others.
const CHANNELS: [[usize; 2]; 8] = [[1, 1], [3, 2], [17, 3], [32, 4], [2, 5], [16, 16], [18, 33], [5, 70]];

#[test]
fn tensors_may_end_where_their_memory_ends() {
    // Miri needs a long time for each size.
    let sizes: &[_] = if cfg!(miri) { &[(3, 2)] } else { &[(1, 1), (3, 2), (4, 9)] };
    for level in Level::available() {
        for [input, output] in CHANNELS {
            for &(height, width) in sizes {
                for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2)] {
                    let conv = Conv2d { stride, ..Conv2d::same(2, height, width, input, output, kernel) };
                    assert_numbers("f32", &passes::<f32>(level, conv));
                    assert_numbers("bf16", &passes::<Bf16>(level, conv));
                }
                let conv = UpsampleConv2d { batch: 2, height, width, in_channels: input, out_channels: output };
                assert_numbers("upsampling f32", &upsample_passes::<f32>(level, conv));
                assert_numbers("upsampling bf16", &upsample_passes::<Bf16>(level, conv));
            }
            assert_numbers("f32 products", &products::<f32>(level, [7, input, output]));
            assert_numbers("bf16 products", &products::<Bf16>(level, [7, 2 * input, output]));
        }
        for (height, width, padding) in [(3, 5, [1; 4]), (9, 8, [0, 2, 2, 0])] {
            let conv = Conv2d { padding, ..Conv2d::same(2, height, width, 17, 35, 3) };
            assert_numbers("Winograd", &winograd_passes(level, conv));
        }
        for [tokens, heads, head_dim] in [[1, 1, 1], [5, 2, 3], [18, 1, 17]] {
            let attention = Attention { batch: 2, tokens, heads, head_dim, scale: 1.0 };
            let [q, k, v, dout] = [1, 2, 3, 4].map(|seed| noise(attention.len(), seed));
            let [mut out, mut dq, mut dk, mut dv] = [(); 4].map(|()| vec![f32::NAN; attention.len()]);
            attention.forward(level, &q, &k, &v, &mut out);
            attention.backward(level, &q, &k, &v, &dout, &mut dq, &mut dk, &mut dv);
            assert_numbers("attention", &[out, dq, dk, dv]);
        }
        for [pixels, channels, groups] in [[1, 1, 1], [5, 18, 3], [7, 33, 11]] {
            assert_numbers("norm", &normalise(level, [2, pixels, channels, groups], 2 * pixels * channels));
        }
    }
}

#[test]
fn bf16_tensors_need_not_be_aligned() {
    // One value after the start of the allocation, so that no pair is aligned as an `f32`.
    let moved = |x: &[Bf16]| -> Vec<Bf16> { [&[Bf16::ZERO], x].concat() };
    for level in Level::available() {
        for [input, output] in CHANNELS.map(|[input, output]| [2 * input, 2 * output.div_ceil(2)]) {
            for output in [output, 2] {
                let conv = Conv2d::same(1, 3, 4, input, output, 3);
                let (x, dy) = (values::<Bf16>(conv.input_len(), 1), values::<Bf16>(conv.output_len(), 2));
                let (moved_x, moved_dy) = (moved(&x), moved(&dy));
                let w = noise(conv.weight_len(), 3);
                let run = |x: &[Bf16], dy: &[Bf16]| {
                    let [mut y, mut dx, mut dw] =
                        [conv.output_len(), conv.input_len(), conv.weight_len()].map(|len| vec![f32::NAN; len]);
                    conv.forward(level, x, &conv.pack_forward(&w), None, &mut y);
                    conv.backward_data(level, dy, &conv.pack_backward(&w), &mut dx);
                    conv.backward_weights(level, x, dy, &mut dw, None);
                    [y, dx, dw]
                };
                for (moved, plain) in run(&moved_x[1..], &moved_dy[1..]).iter().zip(run(&x, &dy)) {
                    assert_same_bits("results from unaligned tensors", moved, &plain);
                }
            }
        }
    }
}
