//! Compares matrix products and attention with f64 loops.

mod common;

use common::{assert_close, assert_same_bits, everywhere, noise};
use pig_kernels::{Attention, Bf16, Level, Output, PackedMatrix, matmul, matmul_transposed};

#[test]
fn products_agree_with_f64() {
    for (m, k, n) in [(1, 1, 1), (5, 3, 2), (7, 128, 512), (33, 17, 70), (256, 64, 48), (2, 600, 5), (300, 9, 130)] {
        let (a, b, bias) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3));
        let mut expected = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                expected[i * n + j] =
                    f64::from(bias[j]) + (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j])).sum::<f64>();
            }
        }
        let transpose = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect()
        };
        let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
        let results = everywhere(&format!("{m}x{k}x{n}"), |level| {
            let plain = PackedMatrix::new(k, n, &b, n);
            let turned = PackedMatrix::transposed(k, n, &bt, k);
            let start: Vec<f32> = (0..m * n).map(|i| bias[i % n]).collect();
            let (mut c, mut d, mut e) = (vec![f32::NAN; m * n], start.clone(), start);
            matmul(level, m, &a, k, &plain, Some(&bias), Output { data: &mut c, stride: n, accumulate: false });
            matmul(level, m, &a, k, &turned, None, Output { data: &mut d, stride: n, accumulate: true });
            let out = Output { data: &mut e, stride: n, accumulate: true };
            matmul_transposed(level, [m, k, n], &at, m, &b, n, out);
            vec![c, d, e]
        });
        for result in &results {
            for (i, name) in ["a b + bias", "c += a b", "c += a^T b"].iter().enumerate() {
                assert_close(&format!("{m}x{k}x{n}: {name}"), &result[i], &expected, 2e-6);
            }
        }
    }
}

#[test]
fn bf16_products_agree_with_f64() {
    for (m, k, n) in [(5, 4, 2), (7, 128, 512), (33, 18, 70), (300, 10, 130)] {
        let round = |x: Vec<f32>| -> Vec<Bf16> { x.into_iter().map(Bf16::from_f32).collect() };
        let (a, b) = (round(noise(m * k, 1)), round(noise(k * n, 2)));
        let wide: Vec<f32> = b.iter().map(|v| v.to_f32()).collect();
        let at: Vec<Bf16> = (0..m * k).map(|i| a[i % m * k + i / m]).collect();
        let mut expected = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                expected[i * n + j] =
                    (0..k).map(|l| f64::from(a[i * k + l].to_f32()) * f64::from(wide[l * n + j])).sum();
            }
        }
        let results = everywhere(&format!("bf16 {m}x{k}x{n}"), |level| {
            let packed = PackedMatrix::<Bf16>::new(k, n, &wide, n);
            let (mut c, mut d) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
            matmul(level, m, &a, k, &packed, None, Output { data: &mut c, stride: n, accumulate: false });
            let out = Output { data: &mut d, stride: n, accumulate: false };
            matmul_transposed(level, [m, k, n], &at, m, &b, n, out);
            vec![c, d]
        });
        for result in &results {
            assert_close(&format!("bf16 {m}x{k}x{n}: a b"), &result[0], &expected, 2e-6);
            assert_close(&format!("bf16 {m}x{k}x{n}: a^T b"), &result[1], &expected, 2e-6);
        }
    }
}

#[test]
fn strided_rows_leave_the_gaps_alone() {
    let (m, k, n) = (9, 20, 18);
    let (a, b) = (noise(m * 31, 1), noise(k * 40, 2));
    for level in Level::available() {
        let mut c = vec![7.0; m * 25];
        let packed = PackedMatrix::new(k, n, &b, 40);
        matmul(level, m, &a, 31, &packed, None, Output { data: &mut c, stride: 25, accumulate: false });
        for i in 0..m {
            for j in 0..n {
                let expected: f64 = (0..k).map(|l| f64::from(a[i * 31 + l]) * f64::from(b[l * 40 + j])).sum();
                assert!((f64::from(c[i * 25 + j]) - expected).abs() < 1e-5, "row {i}, column {j}");
            }
            assert!(c[i * 25 + n..(i + 1) * 25].iter().all(|&v| v == 7.0), "gap after row {i}");
        }
    }
}

/// Attention and its gradients for the loss `sum of out dout`, in f64.
fn reference(attention: &Attention, [q, k, v, dout]: [&[f32]; 4]) -> [Vec<f64>; 4] {
    let Attention { batch, tokens: t, heads, head_dim: d, .. } = *attention;
    let scale = f64::from(attention.scale);
    let [mut out, mut dq, mut dk, mut dv] = [(); 4].map(|()| vec![0.0; attention.len()]);
    for b in 0..batch {
        for h in 0..heads {
            let at = |token: usize, c: usize| (b * t + token) * heads * d + h * d + c;
            for i in 0..t {
                let dot = |x: &[f32], y: &[f32], j: usize| -> f64 {
                    (0..d).map(|c| f64::from(x[at(i, c)]) * f64::from(y[at(j, c)])).sum()
                };
                let scores: Vec<f64> = (0..t).map(|j| (scale * dot(q, k, j)).exp()).collect();
                let total: f64 = scores.iter().sum();
                let p: Vec<f64> = scores.iter().map(|s| s / total).collect();
                let dp: Vec<f64> = (0..t).map(|j| dot(dout, v, j)).collect();
                let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                for j in 0..t {
                    let ds = p[j] * (dp[j] - mean) * scale;
                    for c in 0..d {
                        out[at(i, c)] += p[j] * f64::from(v[at(j, c)]);
                        dv[at(j, c)] += p[j] * f64::from(dout[at(i, c)]);
                        dq[at(i, c)] += ds * f64::from(k[at(j, c)]);
                        dk[at(j, c)] += ds * f64::from(q[at(i, c)]);
                    }
                }
            }
        }
    }
    [out, dq, dk, dv]
}

fn attend(attention: &Attention, level: Level, [q, k, v, dout]: [&[f32]; 4]) -> Vec<Vec<f32>> {
    let [mut out, mut dq, mut dk, mut dv] = [(); 4].map(|()| vec![f32::NAN; attention.len()]);
    attention.forward(level, q, k, v, &mut out);
    attention.backward(level, q, k, v, dout, &mut dq, &mut dk, &mut dv);
    vec![out, dq, dk, dv]
}

#[test]
fn attention_agrees_with_f64() {
    for (batch, tokens, heads, head_dim) in
        [(2, 4, 1, 128), (1, 64, 2, 32), (3, 49, 3, 17), (1, 210, 1, 48), (1, 1, 2, 16), (2, 100, 4, 3)]
    {
        let attention = Attention { batch, tokens, heads, head_dim, scale: (head_dim as f32).powf(-0.5) };
        let tensors = [1, 2, 3, 4].map(|seed| noise(attention.len(), seed).iter().map(|v| 4.0 * v).collect::<Vec<_>>());
        let tensors = [0, 1, 2, 3].map(|i| tensors[i].as_slice());
        let expected = reference(&attention, tensors);
        for result in everywhere(&format!("{attention:?}"), |level| attend(&attention, level, tensors)) {
            for (i, name) in ["output", "dq", "dk", "dv"].iter().enumerate() {
                assert_close(&format!("{attention:?}: {name}"), &result[i], &expected[i], 5e-6);
            }
        }
    }
}

#[test]
fn large_scores_do_not_overflow() {
    let attention = Attention { batch: 1, tokens: 20, heads: 1, head_dim: 8, scale: 1.0 };
    let tensor = |seed, factor: f32| -> Vec<f32> { noise(160, seed).iter().map(|v| factor * v).collect() };
    let (q, k, v) = (tensor(1, 400.0), tensor(2, 400.0), tensor(3, 1.0));
    for level in Level::available() {
        let mut out = vec![f32::NAN; 160];
        attention.forward(level, &q, &k, &v, &mut out);
        assert!(out.iter().all(|v| v.abs() <= 0.5), "outputs must be averages of the values");
    }
}

#[test]
fn samples_do_not_depend_on_the_batch() {
    let attention = Attention { batch: 3, tokens: 130, heads: 2, head_dim: 24, scale: 0.2 };
    let one = Attention { batch: 1, ..attention };
    let tensors = [1, 2, 3, 4].map(|seed| noise(attention.len(), seed));
    for level in Level::available() {
        let whole = attend(&attention, level, [0, 1, 2, 3].map(|i| tensors[i].as_slice()));
        for n in 0..3 {
            let range = n * one.len()..(n + 1) * one.len();
            let alone = attend(&one, level, [0, 1, 2, 3].map(|i| &tensors[i][range.clone()]));
            for (whole, alone) in whole.iter().zip(&alone) {
                assert_same_bits("attention of a sample", &whole[range.clone()], alone);
            }
        }
    }
}
