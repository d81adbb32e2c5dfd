//! Compares convolutions with plain f64 loops.

mod common;

use common::{assert_close, assert_same_bits, everywhere, noise};
use pig_kernels::{Bf16, Conv2d, Element, Extras, Input, Level, UpsampleConv2d, upsample};

/// Output, input gradient, weight gradient and bias gradient in f64.
fn reference(conv: &Conv2d, x: &[f32], w: &[f32], bias: &[f32], dy: &[f32]) -> [Vec<f64>; 4] {
    let (h, wd, ci, co, k) = (conv.height, conv.width, conv.in_channels, conv.out_channels, conv.kernel);
    let (oh, ow) = (conv.out_height(), conv.out_width());
    let mut y = vec![0.0; conv.output_len()];
    let mut dx = vec![0.0; conv.input_len()];
    let mut dw = vec![0.0; conv.weight_len()];
    let mut db = vec![0.0; co];
    for n in 0..conv.batch {
        for i in 0..oh {
            for j in 0..ow {
                let out = ((n * oh + i) * ow + j) * co;
                for o in 0..co {
                    y[out + o] += f64::from(bias[o]);
                    db[o] += f64::from(dy[out + o]);
                }
                for a in 0..k {
                    for b in 0..k {
                        let row = (i * conv.stride + a) as isize - conv.padding[0] as isize;
                        let column = (j * conv.stride + b) as isize - conv.padding[2] as isize;
                        if row < 0 || column < 0 || row >= h as isize || column >= wd as isize {
                            continue;
                        }
                        let input = ((n * h + row as usize) * wd + column as usize) * ci;
                        for o in 0..co {
                            let g = f64::from(dy[out + o]);
                            for c in 0..ci {
                                let at = ((o * ci + c) * k + a) * k + b;
                                let v = f64::from(x[input + c]);
                                y[out + o] += v * f64::from(w[at]);
                                dx[input + c] += g * f64::from(w[at]);
                                dw[at] += g * v;
                            }
                        }
                    }
                }
            }
        }
    }
    [y, dx, dw, db]
}

/// The nearest values of type `E`.
fn rounded<E: Element>(x: &[f32]) -> Vec<E> {
    x.iter().map(|&v| E::from_f32(v)).collect()
}

/// The same values as `f32`.
fn widened<E: Element>(x: &[E]) -> Vec<f32> {
    x.iter().map(|v| v.to_f32()).collect()
}

fn check(conv: Conv2d) {
    check_elements::<f32>(conv);
    check_elements::<Bf16>(conv);
}

/// Compares every pass with f64 on the rounded inputs, so that only the rounding of the sums remains.
fn check_elements<E: Element>(conv: Conv2d) {
    let x: Vec<E> = rounded(&noise(conv.input_len(), 1));
    let w: Vec<E> = rounded(&noise(conv.weight_len(), 2));
    let bias = noise(conv.out_channels, 3);
    let dy: Vec<E> = rounded(&noise(conv.output_len(), 4));
    let w = widened(&w);
    let expected = reference(&conv, &widened(&x), &w, &bias, &widened(&dy));
    let (forward, backward) = (conv.pack_forward(&w), conv.pack_backward(&w));
    let results = everywhere(&format!("{conv:?}"), |level| {
        let mut y = vec![f32::NAN; conv.output_len()];
        let mut dx = vec![f32::NAN; conv.input_len()];
        let mut dw = vec![f32::NAN; conv.weight_len()];
        let mut db = vec![f32::NAN; conv.out_channels];
        conv.forward(level, &x, &forward, Some(&bias), &mut y);
        conv.backward_data(level, &dy, &backward, &mut dx);
        conv.backward_weights(level, &x, &dy, &mut dw, Some(&mut db));
        vec![y, dx, dw, db]
    });
    for result in &results {
        for (i, name) in ["output", "input gradient", "weight gradient", "bias gradient"].iter().enumerate() {
            assert_close(&format!("{conv:?}: {name}"), &result[i], &expected[i], 3e-6);
        }
    }
}

#[test]
fn channel_tails_agree_with_f64() {
    let channels = [1, 2, 3, 17, 32, 48, 64, 96, 130];
    for (i, &ci) in channels.iter().enumerate() {
        // Not all pairs of channels: those with neighbours, with distant ones, and with themselves. All pairs would take longer.
        for co in [channels[(i + 1) % 9], channels[(i + 4) % 9], ci] {
            check(Conv2d::same(1 + i % 3, 5, 6, ci, co, 3));
            check(Conv2d::same(1 + (i + 1) % 3, 7, 3, ci, co, 1));
        }
    }
}

#[test]
fn strides_and_paddings_agree_with_f64() {
    for padding in [[0, 1, 0, 1], [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0], [2, 0, 1, 2]] {
        for (height, width) in [(8, 8), (7, 9), (6, 5), (3, 4)] {
            for stride in [1, 2] {
                let conv = Conv2d { stride, padding, ..Conv2d::same(2, height, width, 19, 33, 3) };
                check(conv);
            }
        }
    }
    for (height, width) in [(8, 8), (7, 5)] {
        check(Conv2d { stride: 2, ..Conv2d::same(2, height, width, 20, 36, 1) });
    }
}

#[test]
fn small_images_agree_with_f64() {
    for (size, batch) in [(1, 3), (2, 3), (4, 2), (8, 1)] {
        check(Conv2d::same(batch, size, size, 96, 80, 3));
        if size > 1 {
            check(Conv2d { stride: 2, padding: [0, 1, 0, 1], ..Conv2d::same(batch, size, size, 40, 40, 3) });
        }
    }
}

#[test]
fn panels_larger_than_the_cache_agree_with_f64() {
    // 9 x 260 x 64 weights of one group take two passes over the pixels.
    check(Conv2d::same(1, 5, 5, 260, 70, 3));
}

#[test]
fn large_images_are_cut_into_many_jobs() {
    check(Conv2d::same(2, 61, 47, 8, 24, 3));
    check(Conv2d::same(1, 64, 64, 20, 1, 3));
    check(Conv2d::same(1, 50, 64, 2, 32, 3));
}

#[test]
fn samples_do_not_depend_on_the_batch() {
    for level in Level::available() {
        for (ci, co, size, stride) in [(32, 64, 16, 1), (17, 3, 9, 1), (32, 48, 10, 2), (130, 96, 4, 1)] {
            let conv = Conv2d { stride, ..Conv2d::same(5, size, size, ci, co, 3) };
            let one = Conv2d { batch: 1, ..conv };
            let (x, dy) = (noise(conv.input_len(), 1), noise(conv.output_len(), 2));
            let w = noise(conv.weight_len(), 3);
            let (forward, backward) = (conv.pack_forward::<f32>(&w), conv.pack_backward::<f32>(&w));
            let (mut y, mut dx) = (vec![0.0; conv.output_len()], vec![0.0; conv.input_len()]);
            conv.forward(level, &x, &forward, None, &mut y);
            conv.backward_data(level, &dy, &backward, &mut dx);
            for n in 0..conv.batch {
                let (i, o) = (n * one.input_len(), n * one.output_len());
                let (i, o) = (i..i + one.input_len(), o..o + one.output_len());
                let (mut y1, mut dx1) = (vec![0.0; one.output_len()], vec![0.0; one.input_len()]);
                one.forward(level, &x[i.clone()], &forward, None, &mut y1);
                one.backward_data(level, &dy[o.clone()], &backward, &mut dx1);
                assert_same_bits("output of a sample", &y[o], &y1);
                assert_same_bits("input gradient of a sample", &dx[i], &dx1);
            }
        }
    }
}

/// Compares a fused convolution of two concatenated inputs with the plain one of the joined input, part by part.
fn check_fused<E: Element>(conv: Conv2d, first_channels: usize) {
    let second_channels = conv.in_channels - first_channels;
    let pixels = conv.batch * conv.height * conv.width;
    let x: Vec<E> = rounded(&noise(conv.input_len(), 1));
    let part = |from: usize, to: usize| -> Vec<E> {
        (0..pixels).flat_map(|p| x[p * conv.in_channels + from..p * conv.in_channels + to].to_vec()).collect()
    };
    let (a, b) = (part(0, first_channels), part(first_channels, conv.in_channels));
    let w = noise(conv.weight_len(), 2);
    let dy: Vec<E> = rounded(&noise(conv.output_len(), 3));
    let (bias, sample_bias) = (noise(conv.out_channels, 4), noise(conv.batch * conv.out_channels, 5));
    let residual = noise(conv.output_len(), 6);
    for level in Level::available() {
        let joined = Input::Concat { first: &a, first_channels, second: &b };
        let forward = conv.pack_forward(&w);
        let (mut y, mut plain) = (vec![f32::NAN; conv.output_len()], vec![f32::NAN; conv.output_len()]);
        conv.forward(level, &x, &forward, Some(&bias), &mut plain);
        let per_sample = conv.output_len() / conv.batch;
        for (i, y) in plain.iter_mut().enumerate() {
            *y += sample_bias[i / per_sample * conv.out_channels + i % conv.out_channels];
            *y += residual[i];
        }
        let extras = Extras { bias: Some(&bias), sample_bias: Some(&sample_bias), residual: Some(&residual) };
        conv.forward_fused(level, joined, &forward, extras, &mut y);
        if conv.out_channels > 4 {
            assert_same_bits("fused output", &y, &plain);
        } else {
            // With at most four output channels, vectors run along the input channels, and each input starts a new vector.
            let plain: Vec<f64> = plain.iter().map(|&v| f64::from(v)).collect();
            assert_close("fused output", &y, &plain, 1e-6);
        }

        let mut dx = vec![f32::NAN; conv.input_len()];
        conv.backward_data(level, &dy, &conv.pack_backward(&w), &mut dx);
        for (from, channels) in [(0, first_channels), (first_channels, second_channels)] {
            let packed = conv.pack_backward_part(&w, from..from + channels);
            let mut part = vec![f32::NAN; pixels * channels];
            conv.backward_data(level, &dy, &packed, &mut part);
            for (i, value) in part.iter().enumerate() {
                let whole = dx[i / channels * conv.in_channels + from + i % channels];
                assert!((whole - value).abs() <= 1e-5, "gradient {i} of the part from channel {from}");
            }
        }

        let (mut dw, mut plain) = (vec![f32::NAN; conv.weight_len()], vec![f32::NAN; conv.weight_len()]);
        conv.backward_weights_fused(level, joined, &dy, &mut dw, None);
        conv.backward_weights(level, &x, &dy, &mut plain, None);
        for (i, (a, b)) in dw.iter().zip(&plain).enumerate() {
            assert!((a - b).abs() <= 1e-4, "weight gradient {i} of the joined input: {a}, {b}");
        }
    }
}

#[test]
fn inputs_side_by_side_and_extras_agree_with_the_plain_convolution() {
    for (conv, first) in [
        (Conv2d::same(2, 9, 7, 48, 40, 3), 16),
        (Conv2d::same(3, 4, 4, 96, 64, 1), 64),
        (Conv2d { stride: 2, ..Conv2d::same(2, 8, 8, 34, 3, 3) }, 20),
    ] {
        check_fused::<f32>(conv, first);
        check_fused::<Bf16>(conv, first);
    }
    check_fused::<f32>(Conv2d::same(1, 6, 5, 20, 33, 3), 3);
}

/// Compares every pass of the combined operation with f64 loops over the upsampled image.
fn check_upsample(conv: UpsampleConv2d) {
    let UpsampleConv2d { batch, height, width, in_channels, out_channels } = conv;
    let shape = [batch, height, width, in_channels];
    let plain = Conv2d::same(batch, 2 * height, 2 * width, in_channels, out_channels, 3);
    let (x, dy) = (noise(conv.input_len(), 1), noise(conv.output_len(), 2));
    let (w, bias) = (noise(conv.weight_len(), 3), noise(out_channels, 4));
    let mut large = vec![0.0; 4 * x.len()];
    upsample(shape, &x, &mut large);
    let [y, dlarge, dw, db] = reference(&plain, &large, &w, &bias, &dy);
    let mut dx = vec![0.0; x.len()];
    for (i, value) in dlarge.iter().enumerate() {
        let (pixel, c) = (i / in_channels, i % in_channels);
        let (row, column) = (pixel / (2 * width) % (2 * height) / 2, pixel % (2 * width) / 2);
        dx[((pixel / (4 * width * height) * height + row) * width + column) * in_channels + c] += value;
    }
    let expected = [y, dx, dw, db];
    let (forward, backward) = (conv.pack_forward(&w), conv.pack_backward(&w));
    for result in everywhere(&format!("{conv:?}"), |level| {
        let (mut y, mut dx) = (vec![f32::NAN; conv.output_len()], vec![f32::NAN; x.len()]);
        let (mut dw, mut db) = (vec![f32::NAN; w.len()], vec![f32::NAN; out_channels]);
        conv.forward(level, &x, &forward, Some(&bias), &mut y);
        conv.backward_data(level, &dy, &backward, &mut dx);
        conv.backward_weights(level, &x, &dy, &mut dw, Some(&mut db));
        vec![y, dx, dw, db]
    }) {
        for (i, name) in ["output", "input gradient", "weight gradient", "bias gradient"].iter().enumerate() {
            assert_close(&format!("{conv:?}: {name}"), &result[i], &expected[i], 3e-6);
        }
    }
}

#[test]
fn upsampling_inside_the_convolution_agrees_with_f64() {
    for (batch, height, width, in_channels, out_channels) in
        [(2, 4, 5, 32, 32), (1, 1, 1, 3, 17), (3, 2, 3, 17, 2), (1, 8, 8, 64, 48), (2, 7, 3, 2, 130), (1, 3, 3, 20, 9)]
    {
        check_upsample(UpsampleConv2d { batch, height, width, in_channels, out_channels });
    }
}

#[test]
fn upsampling_inside_the_convolution_in_bf16() {
    let conv = UpsampleConv2d { batch: 2, height: 5, width: 4, in_channels: 34, out_channels: 33 };
    // Multiples of 1/8 make every product, and every sum of weights, exact in bf16.
    let coarse =
        |len: usize, seed: u32| -> Vec<f32> { noise(len, seed).iter().map(|v| (8.0 * v).round() / 8.0).collect() };
    let (x, dy, w) = (coarse(conv.input_len(), 1), coarse(conv.output_len(), 2), coarse(conv.weight_len(), 3));
    let (half_x, half_dy): (Vec<Bf16>, Vec<Bf16>) = (rounded(&x), rounded(&dy));
    for level in Level::available() {
        let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        conv.forward(level, &x, &conv.pack_forward(&w), None, &mut y);
        conv.backward_data(level, &dy, &conv.pack_backward(&w), &mut dx);
        conv.backward_weights(level, &x, &dy, &mut dw, None);
        let (mut half_y, mut half_dx, mut half_dw) = (vec![1.0; dy.len()], vec![1.0; x.len()], vec![1.0; w.len()]);
        conv.forward(level, &half_x, &conv.pack_forward(&w), None, &mut half_y);
        conv.backward_data(level, &half_dy, &conv.pack_backward(&w), &mut half_dx);
        conv.backward_weights(level, &half_x, &half_dy, &mut half_dw, None);
        for (half, whole) in [(half_y, y), (half_dx, dx), (half_dw, dw)] {
            assert!(half == whole, "exact sums differ between bf16 and f32 at {}", level.name());
        }
    }
}

#[test]
fn winograd_agrees_with_f64() {
    for (batch, height, width, ci, co, padding) in [
        (2, 8, 8, 32, 64, [1; 4]),
        (1, 7, 9, 48, 17, [1; 4]),
        (3, 4, 4, 130, 32, [1; 4]),
        (1, 13, 6, 16, 96, [0, 2, 2, 1]),
        (1, 33, 30, 20, 24, [1; 4]),
        // More tiles than fit in one chunk of the weight gradient.
        (1, 46, 48, 64, 80, [1; 4]),
        (1, 5, 5, 256, 256, [1; 4]),
    ] {
        let conv = Conv2d { padding, ..Conv2d::same(batch, height, width, ci, co, 3) };
        let (x, dy) = (noise(conv.input_len(), 1), noise(conv.output_len(), 2));
        let (w, bias) = (noise(conv.weight_len(), 3), noise(co, 4));
        let (sample_bias, residual) = (noise(batch * co, 5), noise(conv.output_len(), 6));
        let mut expected = reference(&conv, &x, &w, &bias, &dy);
        let per_sample = conv.output_len() / batch;
        for (i, y) in expected[0].iter_mut().enumerate() {
            *y += f64::from(sample_bias[i / per_sample * co + i % co]) + f64::from(residual[i]);
        }
        for result in everywhere(&format!("Winograd {conv:?}"), |level| {
            let (mut y, mut dx) = (vec![f32::NAN; conv.output_len()], vec![f32::NAN; conv.input_len()]);
            let extras = Extras { bias: Some(&bias), sample_bias: Some(&sample_bias), residual: Some(&residual) };
            conv.forward_winograd(level, &x, &conv.pack_forward_winograd(level, &w), extras, &mut y);
            conv.backward_data_winograd(level, &dy, &conv.pack_backward_winograd(level, &w), &mut dx);
            let (mut dw, mut db) = (vec![f32::NAN; w.len()], vec![f32::NAN; co]);
            conv.backward_weights_winograd(level, &x, &dy, &mut dw, Some(&mut db));
            vec![y, dx, dw, db]
        }) {
            for (i, name) in ["output", "input gradient", "weight gradient", "bias gradient"].iter().enumerate() {
                assert_close(&format!("Winograd {conv:?}: {name}"), &result[i], &expected[i], WINOGRAD);
            }
        }
        // Inputs in bf16 are read exactly, so the results are the same as for the same values in f32.
        let half: Vec<Bf16> = rounded(&x);
        let same: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
        for level in Level::available() {
            let packed = conv.pack_forward_winograd(level, &w);
            let [mut y, mut y_half] = [(); 2].map(|()| vec![0.0; conv.output_len()]);
            conv.forward_winograd(level, &same, &packed, Extras::default(), &mut y);
            conv.forward_winograd(level, &half, &packed, Extras::default(), &mut y_half);
            assert_same_bits("Winograd from bf16", &y_half, &y);
            let [mut dw, mut dw_half] = [(); 2].map(|()| vec![0.0; w.len()]);
            conv.backward_weights_winograd(level, &same, &dy, &mut dw, None);
            conv.backward_weights_winograd(level, &half, &dy, &mut dw_half, None);
            assert_same_bits("Winograd weight gradient from bf16", &dw_half, &dw);
        }
        let alone = Conv2d { batch: 1, ..conv };
        let level = Level::best();
        let packed = conv.pack_forward_winograd(level, &w);
        let (mut y, mut one) = (vec![0.0; conv.output_len()], vec![0.0; per_sample]);
        conv.forward_winograd(level, &x, &packed, Extras::default(), &mut y);
        alone.forward_winograd(level, &x[..alone.input_len()], &packed, Extras::default(), &mut one);
        assert_same_bits("sample of a batch", &y[..per_sample], &one);
    }
}

/// The largest error of Winograd's method that is accepted, relative to the largest value.
const WINOGRAD: f64 = 5e-6;

#[test]
#[should_panic(expected = "weights were packed for other taps or channels")]
fn weights_of_another_convolution_are_refused() {
    let conv = Conv2d::same(1, 4, 4, 8, 8, 3);
    let other = Conv2d::same(1, 4, 4, 8, 16, 3);
    let packed = other.pack_forward(&vec![0.0; other.weight_len()]);
    let mut y = vec![0.0; conv.output_len()];
    conv.forward(Level::best(), &vec![0.0; conv.input_len()], &packed, None, &mut y);
}
