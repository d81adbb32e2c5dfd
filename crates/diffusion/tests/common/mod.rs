//! Shared code of these tests: conversions between tensors and plain numbers, and the algebra of Gaussian pairs.
#![allow(dead_code)] // Each test file is a separate crate and uses only a part of this.

pub(crate) mod goldens;
pub(crate) mod linear;

use burn::tensor::{DType, Device, Tensor, TensorData};
use pig_device::testing;
use pig_diffusion::schedule::{Schedule, ScheduleConfig};

/// The paper's schedule: T = 1024, betas linear from 1e-4 to 0.02.
pub(crate) fn paper_schedule() -> Schedule {
    Schedule::new(&ScheduleConfig::default()).unwrap()
}

/// The device of the tests: the CPU for f64, because not every device supports it; the test device for f32.
pub(crate) fn device(dtype: DType) -> Device {
    if dtype == DType::F64 { Device::flex() } else { testing::device() }
}

/// A tensor of these values on [`device`].
pub(crate) fn tensor(values: &[f64], dims: [usize; 4], dtype: DType) -> Tensor<4> {
    let data = TensorData::new(values.to_vec(), dims).convert_dtype(dtype);
    Tensor::from_data(data, (&device(dtype), dtype))
}

/// A tensor's values in row-major order.
pub(crate) fn values(tensor: &Tensor<4>) -> Vec<f64> {
    tensor.to_data_as::<f64>().try_to_vec().unwrap()
}

/// The largest absolute difference between two lists of the same length.
pub(crate) fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The largest absolute value.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, v| v.abs().max(most))
}

/// Gaussian pairs (x_0, y_0) with unit variances and correlation rho, noised to level alpha_bar.
///
/// With s = sqrt(alpha_bar) and x_t = s x_0 + sqrt(1 - alpha_bar) eps: Var x_t = Var y_t = 1,
/// Cov(x_t, y_t) = alpha_bar rho, Cov(x_0, x_t) = s, Cov(x_0, y_t) = s rho, and the same with x and y exchanged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GaussianPair {
    /// The correlation of x_0 and y_0.
    pub(crate) rho: f64,
}

impl GaussianPair {
    /// (p, q) of E[x_0 | x_t, y_t] = p x_t + q y_t; by symmetry also of E[y_0 | y_t, x_t] = p y_t + q x_t.
    pub(crate) fn clean_given_noisy(self, alpha_bar: f64) -> (f64, f64) {
        let s = alpha_bar.sqrt();
        regression([1.0, 1.0, alpha_bar * self.rho], [s, s * self.rho])
    }

    /// (p, q) of E[y_0 | y_t, x_0-hat] = p y_t + q x_0-hat, where x_0-hat = a x_t + b y_t is E[x_0 | x_t, y_t].
    ///
    /// Var x_0-hat = a^2 + b^2 + 2 a b alpha_bar rho, Cov(y_t, x_0-hat) = a alpha_bar rho + b,
    /// Cov(y_0, x_0-hat) = a s rho + b s.
    pub(crate) fn clean_given_estimate(self, alpha_bar: f64) -> (f64, f64) {
        let (s, c) = (alpha_bar.sqrt(), alpha_bar * self.rho);
        let (a, b) = self.clean_given_noisy(alpha_bar);
        regression([1.0, a * a + b * b + 2.0 * a * b * c, a * c + b], [s, s * (a * self.rho + b)])
    }

    /// (p, q) of E[y_0 | y_t, x_0] = p y_t + q x_0: Var x_0 = 1, Cov(y_t, x_0) = s rho.
    pub(crate) fn clean_given_clean(self, alpha_bar: f64) -> (f64, f64) {
        let s = alpha_bar.sqrt();
        regression([1.0, 1.0, s * self.rho], [s, self.rho])
    }

    /// (p, q) of E[y_0 | y_t, x_s] = p y_t + q x_s, where x_s has another noise level: Cov(y_t, x_s) = sqrt(alpha_bar_t
    /// alpha_bar_s) rho, Cov(y_0, x_s) = sqrt(alpha_bar_s) rho.
    pub(crate) fn clean_given_other_level(self, alpha_bar: f64, alpha_bar_x: f64) -> (f64, f64) {
        let (s, s_x) = (alpha_bar.sqrt(), alpha_bar_x.sqrt());
        regression([1.0, 1.0, s * s_x * self.rho], [s, s_x * self.rho])
    }

    /// Var(x_0 | x_t, y_t) or Var(y_0 | y_t, x_s), from the coefficients of the regression.
    pub(crate) fn residual_variance((p, q): (f64, f64), (cov_u, cov_v): (f64, f64)) -> f64 {
        1.0 - p * cov_u - q * cov_v
    }
}

/// (p, q) of E[z | u, v] = p u + q v, for centred Gaussians with [Var u, Var v, Cov(u, v)] and [Cov(z, u), Cov(z, v)].
pub(crate) fn regression([var_u, var_v, cov_uv]: [f64; 3], [cov_zu, cov_zv]: [f64; 2]) -> (f64, f64) {
    let determinant = var_u * var_v - cov_uv * cov_uv;
    ((cov_zu * var_v - cov_zv * cov_uv) / determinant, (cov_zv * var_u - cov_zu * cov_uv) / determinant)
}
