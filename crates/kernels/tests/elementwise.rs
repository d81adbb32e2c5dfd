//! SiLU, resampling and concatenation.

mod common;

use common::{assert_same_bits, everywhere, noise};
use pig_kernels::{concat, silu, silu_backward, split, upsample, upsample_backward};

#[test]
fn silu_is_accurate_to_a_few_roundings() {
    // The whole range in which neither e^x nor e^-x overflows, and a tail of lanes.
    let x: Vec<f32> = (0..200_003).map(|i| (i as f32 - 100_001.0) / 100_001.0 * 80.0).collect();
    let results = everywhere("silu", |level| {
        let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        silu(level, &x, &mut y);
        silu_backward(level, &x, &vec![1.0; x.len()], &mut dx);
        vec![y, dx]
    });
    for result in results {
        for (i, &v) in x.iter().enumerate() {
            let v = f64::from(v);
            let g = 1.0 / (1.0 + (-v).exp());
            let error = (f64::from(result[0][i]) - v * g).abs();
            assert!(error <= 3e-7 * (v * g).abs() + 1e-37, "silu({v}) = {}, expected {}", result[0][i], v * g);
            let slope = g * (1.0 + v * (1.0 - g));
            let error = (f64::from(result[1][i]) - slope).abs();
            // The slope has a zero near -1.28: there the error is relative to its parts.
            let parts = g * (1.0 + v.abs() * (1.0 - g));
            assert!(error <= 3e-7 * parts + 1e-36, "silu'({v}) = {}, expected {slope}", result[1][i]);
        }
    }
}

#[test]
fn silu_at_the_ends() {
    let x = [f32::NAN, 1e30, -1e30, f32::INFINITY, 0.0, -0.0];
    for result in everywhere("silu at the ends", |level| {
        let mut y = vec![0.0; x.len()];
        silu(level, &x, &mut y);
        vec![y.into_iter().map(|v| if v.is_nan() { -7.0 } else { v }).collect()]
    }) {
        let y = &result[0];
        assert_eq!((y[0], y[1], y[3], y[4]), (-7.0, 1e30, f32::INFINITY, 0.0));
        assert!(y[2].abs() < 1e-6, "silu(-1e30) = {}", y[2]);
    }
}

#[test]
fn upsampling_repeats_and_its_gradient_adds() {
    for [batch, height, width, channels] in [[2, 3, 5, 17], [1, 1, 1, 1], [3, 40, 32, 32]] {
        let x = noise(batch * height * width * channels, 1);
        let dy = noise(4 * x.len(), 2);
        for result in everywhere("upsample", |_| {
            let (mut y, mut dx) = (vec![f32::NAN; 4 * x.len()], vec![f32::NAN; x.len()]);
            upsample([batch, height, width, channels], &x, &mut y);
            upsample_backward([batch, height, width, channels], &dy, &mut dx);
            vec![y, dx]
        }) {
            let mut sums = vec![0.0_f64; x.len()];
            for (i, y) in result[0].iter().enumerate() {
                let (c, pixel) = (i % channels, i / channels);
                let (column, row) = (pixel % (2 * width) / 2, pixel / (2 * width) % (2 * height) / 2);
                let sample = pixel / (4 * width * height);
                let from = ((sample * height + row) * width + column) * channels + c;
                assert_eq!(*y, x[from]);
                sums[from] += f64::from(dy[i]);
            }
            common::assert_close("upsample gradient", &result[1], &sums, 1e-6);
        }
    }
}

#[test]
fn concatenation_and_split_are_inverse() {
    for (rows, ca, cb) in [(1, 1, 2), (700, 32, 64), (1100, 3, 17)] {
        let (a, b) = (noise(rows * ca, 1), noise(rows * cb, 2));
        everywhere("concat", |_| {
            let mut y = vec![f32::NAN; rows * (ca + cb)];
            concat(&a, ca, &b, cb, &mut y);
            for row in 0..rows {
                assert_same_bits("left", &y[row * (ca + cb)..][..ca], &a[row * ca..][..ca]);
                assert_same_bits("right", &y[row * (ca + cb) + ca..][..cb], &b[row * cb..][..cb]);
            }
            let (mut da, mut db) = (vec![f32::NAN; a.len()], vec![f32::NAN; b.len()]);
            split(&y, &mut da, ca, &mut db, cb);
            assert_same_bits("left again", &da, &a);
            assert_same_bits("right again", &db, &b);
            vec![y]
        });
    }
}
