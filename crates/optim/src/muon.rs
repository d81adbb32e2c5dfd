//! Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): the step of a matrix is its momentum with all singular values near 1, so that rare
//! directions are learnt as fast as frequent ones. As `torch.optim.Muon` with `adjust_lr_fn = "match_rms_adamw"` (Liu et al. 2025, arXiv 2502.16982),
//! for convolutions as well: their filters are the rows of a matrix.

use burn::tensor::Tensor;
use pig_kernels::{Level, Output, PackedMatrix, matmul, matmul_transposed};

/// Decay of the gradient's running mean, as in PyTorch.
const MOMENTUM: f64 = 0.95;

/// Coefficients of the polynomial a x + b x^3 + c x^5 that is applied to the singular values, from Jordan et al.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// How often the polynomial is applied.
const ITERATIONS: usize = 5;
/// The smallest norm by which a momentum is divided.
const SMALLEST_NORM: f64 = 1e-7;
/// The root mean square of the values of a step of AdamW, for which the learning rate is meant (Liu et al. 2025).
const ADAMW_RMS: f64 = 0.2;

/// Rows and columns of the matrix that Muon updates for this parameter. `None` if AdamW updates it: biases, norms, and the convolutions into
/// and out of the network, as its authors advise.
pub(crate) fn matrix(name: &str, shape: &[usize]) -> Option<[usize; 2]> {
    let is_outer = name.split('.').any(|part| matches!(part, "conv_in" | "conv_out"));
    let (&rows, rest) = shape.split_first()?;
    (!rest.is_empty() && !is_outer).then(|| [rows, rest.iter().product()])
}

/// Adds the gradient to its running mean. Returns the momentum in Nesterov's form, which is one decay ahead of the mean.
pub(crate) fn momentum(mean: &mut [f32], gradient: &[f32]) -> Vec<f32> {
    let (decay, new) = (MOMENTUM as f32, (1.0 - MOMENTUM) as f32);
    let mut ahead = Vec::with_capacity(gradient.len());
    for (mean, &g) in mean.iter_mut().zip(gradient) {
        *mean = decay * *mean + new * g;
        ahead.push(decay * *mean + new * g);
    }
    ahead
}

/// As [`momentum`], on a device: the momentum and the new mean.
pub(crate) fn momentum_on_device(mean: Tensor<1>, gradient: Tensor<1>) -> (Tensor<1>, Tensor<1>) {
    let new = gradient.mul_scalar(1.0 - MOMENTUM);
    let mean = mean.mul_scalar(MOMENTUM) + new.clone();
    (mean.clone().mul_scalar(MOMENTUM) + new, mean)
}

/// As [`direction`], on a device, where large products are fast and small ones are not: the polynomial is applied to the matrix itself.
pub(crate) fn direction_on_device(momentum: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = momentum.dims();
    let is_wide = rows <= columns;
    let x = if is_wide { momentum } else { momentum.transpose() };
    let norm = x.clone().square().sum().sqrt().clamp_min(SMALLEST_NORM);
    let mut x = x / norm.reshape([1, 1]);
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let square = x.clone().matmul(x.clone().transpose());
        let even = square.clone().mul_scalar(b) + square.clone().matmul(square).mul_scalar(c);
        x = x.clone().mul_scalar(a) + even.matmul(x);
    }
    let x = if is_wide { x } else { x.transpose() };
    x.mul_scalar(size_of_step([rows, columns]))
}

/// What values in a step of AdamW's size are to those of a matrix with singular values of 1.
fn size_of_step([rows, columns]: [usize; 2]) -> f64 {
    ADAMW_RMS * (rows.max(columns) as f64).sqrt()
}

/// The step for a learning rate of 1, to be subtracted: `momentum`, a matrix of this shape, with its singular values near 1, and as large as a
/// step of AdamW.
///
/// The polynomial is applied to the square X X^T, which is smaller than X: with G = X X^T and P = a + b G + c G^2, the next X is P X and the
/// next G is P G P, and all of these commute. The product of all P multiplies X once, at the end.
pub(crate) fn direction(momentum: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let level = Level::best();
    let (side, is_wide) = (rows.min(columns), rows <= columns);
    let mut square = vec![0.0; side * side];
    let out = Output { data: &mut square, stride: side, accumulate: false };
    if is_wide {
        let transposed = PackedMatrix::transposed(columns, rows, momentum, columns);
        matmul::<f32>(level, rows, momentum, columns, &transposed, None, out);
    } else {
        matmul_transposed(level, [columns, rows, columns], momentum, columns, momentum, columns, out);
    }
    // The trace of X X^T is the square of X's Frobenius norm.
    let norm = (0..side).map(|i| f64::from(square[i * side + i])).sum::<f64>().sqrt().max(SMALLEST_NORM);
    for value in &mut square {
        *value /= (norm * norm) as f32;
    }
    // All factors commute, so each product has a matrix on its right that is packed already.
    let packed = |matrix: &[f32]| PackedMatrix::new(side, side, matrix, side);
    let product = |a: &[f32], b: &PackedMatrix| {
        let mut c = vec![0.0; side * side];
        matmul::<f32>(level, side, a, side, b, None, Output { data: &mut c, stride: side, accumulate: false });
        c
    };
    let [a, b, c] = COEFFICIENTS.map(|coefficient| coefficient as f32);
    let mut all: Option<Vec<f32>> = None;
    for iteration in 1..=ITERATIONS {
        let right = packed(&square);
        let mut even = product(&square, &right);
        even.iter_mut().zip(&square).for_each(|(fourth, second)| *fourth = c * *fourth + b * second);
        (0..side).for_each(|i| even[i * side + i] += a);
        let even_right = packed(&even);
        if iteration < ITERATIONS {
            square = product(&product(&even, &right), &even_right);
        }
        all = Some(all.map_or(even, |before| product(&before, &even_right)));
    }
    let mut all = all.unwrap_or_default();
    let scale = (size_of_step([rows, columns]) / norm) as f32;
    for value in &mut all {
        *value *= scale;
    }
    let mut step = vec![0.0; rows * columns];
    let out = Output { data: &mut step, stride: columns, accumulate: false };
    if is_wide {
        let right = PackedMatrix::new(rows, columns, momentum, columns);
        matmul::<f32>(level, rows, &all, rows, &right, None, out);
    } else {
        let right = PackedMatrix::new(columns, columns, &all, columns);
        matmul::<f32>(level, rows, momentum, columns, &right, None, out);
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use pig_device::testing;

    #[test]
    fn the_outer_convolutions_norms_and_biases_are_adam_s() {
        assert_eq!(matrix("mid_block.resnets.0.conv1.weight", &[8, 4, 3, 3]), Some([8, 36]));
        assert_eq!(matrix("time_embedding.linear_1.weight", &[8, 4]), Some([8, 4]));
        for (name, shape) in [
            ("conv_in.weight", &[8, 2, 3, 3][..]),
            ("conv_out.weight", &[2, 8, 3, 3]),
            ("norm.weight", &[8]),
            ("a.bias", &[]),
        ] {
            assert_eq!(matrix(name, shape), None, "{name}");
        }
    }

    /// The reflection at the plane across a vector, an orthogonal matrix.
    fn reflection(size: usize, seed: f64) -> Vec<f64> {
        let v: Vec<f64> = (1..=size).map(|i| (i as f64 * seed).sin()).collect();
        let square: f64 = v.iter().map(|x| x * x).sum();
        let value =
            |at: usize| f64::from(u8::from(at / size == at % size)) - 2.0 * v[at / size] * v[at % size] / square;
        (0..size * size).map(value).collect()
    }

    /// Matrices are built from their singular values. The square of a value below a hundredth of the greatest keeps three or four digits in f32;
    /// PyTorch computes all in bf16, with two.
    #[test]
    fn singular_values_go_through_the_polynomial() {
        let device = testing::device();
        let shapes = [[3, 5], [5, 3], [4, 4], [20, 70], [70, 20]];
        let kinds = [(&[3.0, 1.0, 0.5][..], 5e-5), (&[3.0, 1.0, 0.2, 0.01, 0.0][..], 1e-3)];
        for ([rows, columns], (values, tolerance)) in
            shapes.into_iter().flat_map(|shape| kinds.map(|kind| (shape, kind)))
        {
            let side = rows.min(columns);
            let (u, v) = (reflection(rows, 1.3), reflection(columns, 2.1));
            let singular: Vec<f64> = (0..side).map(|i| values[i % values.len()]).collect();
            let norm = singular.iter().map(|s| s * s).sum::<f64>().sqrt();
            let with = |singular: &[f64]| -> Vec<f64> {
                let value = |at: usize| {
                    let part = |i: usize| u[at / columns * rows + i] * singular[i] * v[at % columns * columns + i];
                    (0..side).map(part).sum()
                };
                (0..rows * columns).map(value).collect()
            };
            let through = |s: &f64| {
                let once = |x: f64| 3.4445 * x - 4.7750 * x.powi(3) + 2.0315 * x.powi(5);
                0.2 * (rows.max(columns) as f64).sqrt() * (0..5).fold(s / norm, |x, _| once(x))
            };
            let expected = with(&singular.iter().map(through).collect::<Vec<_>>());
            let given: Vec<f32> = with(&singular).iter().map(|&x| x as f32).collect();
            let on_host = direction(&given, [rows, columns]);
            let tensor = Tensor::from_data(TensorData::new(given, [rows, columns]), &device);
            let on_device: Vec<f32> = direction_on_device(tensor).into_data().try_into_vec().unwrap();
            for ((host, device), expected) in on_host.iter().zip(&on_device).zip(&expected) {
                assert!(
                    (f64::from(*host) - expected).abs() < tolerance,
                    "{rows} x {columns}: {host}, expected {expected}"
                );
                let tolerance = testing::tolerance(tolerance);
                assert!(
                    (f64::from(*device) - expected).abs() < tolerance,
                    "{rows} x {columns}: {device}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let x: Vec<f32> = (0..130 * 300).map(|i| (i as f32 * 0.37).sin()).collect();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| [direction(&x, [130, 300]), direction(&x, [300, 130])])
        };
        let one = with(1);
        assert!([2, 3].map(with).iter().all(|more| *more == one));
    }

    #[test]
    fn a_gradient_of_zeros_moves_nothing() {
        assert_eq!(direction(&[0.0; 6], [2, 3]), [0.0; 6]);
        let zeros = Tensor::<2>::zeros([2, 3], &testing::device());
        assert_eq!(direction_on_device(zeros).into_data().try_into_vec::<f32>().unwrap(), [0.0; 6]);
    }
}
