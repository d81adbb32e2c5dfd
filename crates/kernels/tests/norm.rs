//! Compares group normalisation with f64 loops and finite differences.

mod common;

use common::{assert_close, assert_same_bits, everywhere, noise};
use pig_kernels::{Bf16, GroupNorm, Input, Level};

/// y, mean and rstd in f64.
fn reference(norm: &GroupNorm, x: &[f64], gamma: &[f64], beta: &[f64]) -> [Vec<f64>; 3] {
    let (c, p) = (norm.channels, norm.pixels);
    let per_group = c / norm.groups;
    let mut y = vec![0.0; x.len()];
    let (mut means, mut rstds) = (Vec::new(), Vec::new());
    for n in 0..norm.batch {
        for g in 0..norm.groups {
            let at: Vec<usize> =
                (0..p).flat_map(|i| (0..per_group).map(move |k| (n * p + i) * c + g * per_group + k)).collect();
            let mean = at.iter().map(|&i| x[i]).sum::<f64>() / at.len() as f64;
            let variance = at.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / at.len() as f64;
            let rstd = 1.0 / (variance + f64::from(norm.eps)).sqrt();
            for i in at {
                let z = (x[i] - mean) * rstd * gamma[i % c] + beta[i % c];
                y[i] = if norm.silu { z / (1.0 + (-z).exp()) } else { z };
            }
            means.push(mean);
            rstds.push(rstd);
        }
    }
    [y, means, rstds]
}

fn doubles(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

struct Case {
    norm: GroupNorm,
    x: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new(batch: usize, pixels: usize, channels: usize, groups: usize, silu: bool) -> Self {
        let norm = GroupNorm { batch, pixels, channels, groups, eps: 1e-5, silu };
        let len = batch * pixels * channels;
        let gamma = noise(channels, 2).iter().map(|v| v + 1.0).collect();
        let x = noise(len, 1).iter().map(|v| 3.0 * v + 0.4).collect();
        Self { norm, x, gamma, beta: noise(channels, 3), dy: noise(len, 4) }
    }

    fn forward(&self, level: Level) -> Vec<Vec<f32>> {
        let groups = self.norm.batch * self.norm.groups;
        let (mut y, mut mean, mut rstd) =
            (vec![f32::NAN; self.x.len()], vec![f32::NAN; groups], vec![f32::NAN; groups]);
        self.norm.forward(level, Input::One(&self.x), &self.gamma, &self.beta, &mut y, &mut mean, &mut rstd);
        vec![y, mean, rstd]
    }

    fn backward(&self, level: Level, mean: &[f32], rstd: &[f32]) -> Vec<Vec<f32>> {
        let mut dx = vec![f32::NAN; self.x.len()];
        let (mut dgamma, mut dbeta) = (vec![f32::NAN; self.gamma.len()], vec![f32::NAN; self.gamma.len()]);
        let Self { norm, x, gamma, beta, dy } = self;
        norm.backward(level, Input::One(x), dy, gamma, beta, mean, rstd, &mut [&mut dx], &mut dgamma, &mut dbeta);
        vec![dx, dgamma, dbeta]
    }

    /// The loss whose gradients are computed: the inner product of the output with dy, in f64.
    fn loss(&self, x: &[f64], gamma: &[f64], beta: &[f64]) -> f64 {
        reference(&self.norm, x, gamma, beta)[0].iter().zip(&self.dy).map(|(y, g)| y * f64::from(*g)).sum()
    }

    /// Central differences of the loss for some values of one argument.
    fn differences(&self, which: usize, at: &[usize]) -> Vec<f64> {
        let arguments = [doubles(&self.x), doubles(&self.gamma), doubles(&self.beta)];
        at.iter()
            .map(|&i| {
                let [up, down] = [1e-5, -1e-5].map(|step| {
                    let mut moved = arguments.clone();
                    moved[which][i] += step;
                    self.loss(&moved[0], &moved[1], &moved[2])
                });
                (up - down) / 2e-5
            })
            .collect()
    }
}

#[test]
fn forward_agrees_with_f64() {
    for silu in [false, true] {
        for (batch, pixels, channels, groups) in [
            (2, 35, 32, 32),
            (1, 64, 64, 32),
            (3, 9, 130, 13),
            (2, 4, 96, 8),
            (1, 1, 48, 4),
            (2, 700, 20, 5),
            (1, 50, 3, 1),
        ] {
            let case = Case::new(batch, pixels, channels, groups, silu);
            let expected = reference(&case.norm, &doubles(&case.x), &doubles(&case.gamma), &doubles(&case.beta));
            for result in everywhere(&format!("{:?}", case.norm), |level| case.forward(level)) {
                for (i, name) in ["output", "mean", "rstd"].iter().enumerate() {
                    assert_close(&format!("{:?}: {name}", case.norm), &result[i], &expected[i], 1e-6);
                }
            }
        }
    }
}

#[test]
fn backward_agrees_with_finite_differences() {
    for silu in [false, true] {
        for (batch, pixels, channels, groups) in [(2, 35, 32, 32), (3, 9, 130, 13), (2, 4, 96, 8), (2, 300, 20, 5)] {
            let case = Case::new(batch, pixels, channels, groups, silu);
            let saved = case.forward(Level::best());
            let results = everywhere(&format!("{:?}", case.norm), |level| case.backward(level, &saved[1], &saved[2]));
            for (which, name) in ["dx", "dgamma", "dbeta"].iter().enumerate() {
                let len = results[0][which].len();
                let at: Vec<usize> = (0..len.min(12)).map(|i| i * 7919 % len).collect();
                let expected = case.differences(which, &at);
                for result in &results {
                    let got: Vec<f32> = at.iter().map(|&i| result[which][i]).collect();
                    assert_close(&format!("{:?}: {name}", case.norm), &got, &expected, 2e-5);
                }
            }
        }
    }
}

#[test]
fn a_large_offset_costs_no_accuracy() {
    let mut case = Case::new(1, 1000, 32, 8, false);
    case.x.iter_mut().for_each(|v| *v += 4096.0);
    let expected = reference(&case.norm, &doubles(&case.x), &doubles(&case.gamma), &doubles(&case.beta));
    for level in Level::available() {
        // At this offset the rounding of the mean causes an error of 2e-4; the variance must stay accurate.
        assert_close("rstd", &case.forward(level)[2], &expected[2], 1e-6);
        assert_close("output", &case.forward(level)[0], &expected[0], 3e-4);
    }
}

#[test]
fn samples_do_not_depend_on_the_batch() {
    for level in Level::available() {
        let case = Case::new(4, 260, 64, 32, true);
        let whole = case.forward(level);
        let gradients = case.backward(level, &whole[1], &whole[2]);
        let size = 260 * 64;
        for n in 0..4 {
            let one = Case {
                norm: GroupNorm { batch: 1, ..case.norm },
                x: case.x[n * size..(n + 1) * size].to_vec(),
                gamma: case.gamma.clone(),
                beta: case.beta.clone(),
                dy: case.dy[n * size..(n + 1) * size].to_vec(),
            };
            let alone = one.forward(level);
            assert_same_bits("output", &whole[0][n * size..(n + 1) * size], &alone[0]);
            let dx = &one.backward(level, &alone[1], &alone[2])[0];
            assert_same_bits("dx", &gradients[0][n * size..(n + 1) * size], dx);
        }
    }
}

#[test]
fn bf16_output_is_the_rounded_f32_output() {
    let case = Case::new(2, 35, 40, 8, true);
    for level in Level::available() {
        let plain = case.forward(level);
        let mut y = vec![Bf16::ZERO; case.x.len()];
        let (mut mean, mut rstd) = (vec![0.0; 16], vec![0.0; 16]);
        case.norm.forward(level, Input::One(&case.x), &case.gamma, &case.beta, &mut y, &mut mean, &mut rstd);
        for (y, plain) in y.iter().zip(&plain[0]) {
            assert_eq!(*y, Bf16::from_f32(*plain));
        }
        assert_same_bits("mean", &mean, &plain[1]);
    }
}

#[test]
fn two_tensors_side_by_side_give_the_bits_of_the_joined_one() {
    // Groups that end at the boundary between the tensors, and groups with channels of both.
    for (first_channels, channels, groups, silu) in [(32, 64, 32, true), (64, 96, 32, true), (7, 30, 10, false)] {
        let (batch, pixels) = (2, 300);
        let case = Case::new(batch, pixels, channels, groups, silu);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for pixel in case.x.chunks_exact(channels) {
            a.extend_from_slice(&pixel[..first_channels]);
            b.extend_from_slice(&pixel[first_channels..]);
        }
        let x = Input::Concat { first: &a, first_channels, second: &b };
        for level in Level::available() {
            let joined = case.forward(level);
            let (mut y, mut mean, mut rstd) =
                (vec![f32::NAN; case.x.len()], vec![f32::NAN; batch * groups], vec![f32::NAN; batch * groups]);
            case.norm.forward(level, x, &case.gamma, &case.beta, &mut y, &mut mean, &mut rstd);
            assert_same_bits("output", &y, &joined[0]);
            assert_same_bits("rstd", &rstd, &joined[2]);

            let expected = case.backward(level, &mean, &rstd);
            let (mut da, mut db) = (vec![f32::NAN; a.len()], vec![f32::NAN; b.len()]);
            let (mut dgamma, mut dbeta) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
            let Case { norm, gamma, beta, dy, .. } = &case;
            let dx = &mut [&mut da[..], &mut db[..]];
            norm.backward(level, x, dy, gamma, beta, &mean, &rstd, dx, &mut dgamma, &mut dbeta);
            let sides = da.chunks_exact(first_channels).zip(db.chunks_exact(channels - first_channels));
            let dx: Vec<f32> = sides.flat_map(|(a, b)| a.iter().chain(b).copied()).collect();
            assert_same_bits("dx", &dx, &expected[0]);
            assert_same_bits("dgamma", &dgamma, &expected[1]);
            assert_same_bits("dbeta", &dbeta, &expected[2]);
        }
    }
}
