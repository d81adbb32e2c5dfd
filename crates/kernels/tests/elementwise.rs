//! Tests SiLU, resampling, concatenation, `bf16` rounding and Adam.

mod common;

use common::{assert_same_bits, everywhere, noise};
use pig_kernels::{
    AdamStep, Bf16, Level, adam, concat, from_bf16, silu, silu_backward, split, to_bf16, upsample, upsample_backward,
};

#[test]
fn silu_is_accurate_to_a_few_roundings() {
    // The range [-80, 80], in which neither e^x nor e^-x overflows, and a last vector that is not full.
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
            // The slope is zero near -1.28; there the error is relative to its terms.
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

#[test]
fn bf16_rounds_to_the_nearest_even_value() {
    let cases: [(u32, u16); 10] = [
        (0x3f80_0000, 0x3f80),
        // Exactly half way: rounded to the even neighbour, down and up.
        (0x3f80_8000, 0x3f80),
        (0x3f81_8000, 0x3f82),
        // Just above and below half way.
        (0x3f80_8001, 0x3f81),
        (0x3f80_7fff, 0x3f80),
        // The largest number overflows, infinity stays, and a NaN stays a NaN even if its fraction would be rounded away.
        (0x7f7f_ffff, 0x7f80),
        (0xff80_0000, 0xff80),
        (0x7fff_ffff, 0x7fff),
        (0x7f80_0001, 0x7fc0),
        (0x8000_0000, 0x8000),
    ];
    let x: Vec<f32> = cases.iter().cycle().take(100).map(|(bits, _)| f32::from_bits(*bits)).collect();
    for level in Level::available() {
        let mut y = vec![Bf16::ZERO; x.len()];
        to_bf16(level, &x, &mut y);
        for (y, (bits, expected)) in y.iter().zip(cases.iter().cycle()) {
            assert_eq!(y.to_bits(), *expected, "{bits:#x}");
        }
        let mut back = vec![0.0; x.len()];
        from_bf16(level, &y, &mut back);
        for (back, y) in back.iter().zip(&y) {
            assert_eq!(back.to_bits(), u32::from(y.to_bits()) << 16);
        }
    }
}

#[test]
fn adam_and_its_average_agree_with_f64() {
    let len = 40_001;
    let base = AdamStep {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.1,
        step: 1,
        gradient_scale: 0.5,
        ema_decay: 0.95,
    };
    let start = noise(len, 1);
    // Parameter, moments and average in f64 for four steps.
    let mut expected: Vec<[f64; 4]> = start.iter().map(|&p| [f64::from(p), 0.0, 0.0, f64::from(p)]).collect();
    for step in 1..=4 {
        for ([p, m, v, a], g) in expected.iter_mut().zip(noise(len, 1 + step as u32)) {
            let g = 0.5 * f64::from(g);
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let direction = (*m / (1.0 - 0.9_f64.powi(step))) / ((*v / (1.0 - 0.999_f64.powi(step))).sqrt() + 1e-8);
            *p = *p * (1.0 - 1e-2 * 0.1) - 1e-2 * direction;
            *a = 0.95 * *a + 0.05 * *p;
        }
    }
    let results = everywhere("adam", |level| {
        let (mut p, mut m, mut v, mut a) = (start.clone(), vec![0.0; len], vec![0.0; len], start.clone());
        for step in 1..=4 {
            let g = noise(len, 1 + step);
            adam(level, &AdamStep { step, ..base }, &g, &mut p, &mut m, &mut v, Some(&mut a));
        }
        let mut alone = start.clone();
        let (mut first, mut second) = (vec![0.0; len], vec![0.0; len]);
        for step in 1..=4 {
            let g = noise(len, 1 + step);
            adam(level, &AdamStep { step, ..base }, &g, &mut alone, &mut first, &mut second, None);
        }
        assert_same_bits("parameters without an average", &p, &alone);
        vec![p, m, v, a]
    });
    for result in &results {
        for (i, name) in ["parameter", "mean", "mean square", "average"].iter().enumerate() {
            let expected: Vec<f64> = expected.iter().map(|e| e[i]).collect();
            common::assert_close(name, &result[i], &expected, 2e-6);
        }
    }
}
