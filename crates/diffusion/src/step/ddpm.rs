//! Ancestral sampling (Ho et al. 2020).

use super::{Step, draw, ends};
use crate::{
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    timesteps::Transition,
};
use burn::tensor::Tensor;

/// The variance of an ancestral step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VarianceType {
    /// The variance of the posterior: (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t (Ho et al. 2020, Eq. (7)).
    #[default]
    FixedSmall,
    /// beta_t itself.
    FixedLarge,
}

/// Ancestral sampling (Ho et al. 2020, Eq. (6) and (7)): the mean of q(x_{t-1} | x_t, x_0-hat) plus noise with the chosen
/// variance.
///
/// If timesteps are skipped, beta_t is that of the whole move, 1 - alpha_bar_t / alpha_bar_{t-1}.
pub fn ddpm_step(
    x_t: &Tensor<4>,
    estimate: &Estimate,
    alpha_bar: f64,
    alpha_bar_prev: f64,
    variance: VarianceType,
    noise: Option<&Tensor<4>>,
) -> Tensor<4> {
    let alpha = alpha_bar / alpha_bar_prev;
    let beta = 1.0 - alpha;
    let from_x_0 = alpha_bar_prev.sqrt() * beta / (1.0 - alpha_bar);
    let from_x_t = alpha.sqrt() * (1.0 - alpha_bar_prev) / (1.0 - alpha_bar);
    let mean = estimate.x_0.clone().mul_scalar(from_x_0) + x_t.clone().mul_scalar(from_x_t);
    let variance = match variance {
        VarianceType::FixedSmall => (1.0 - alpha_bar_prev) / (1.0 - alpha_bar) * beta,
        VarianceType::FixedLarge => beta,
    };
    match noise {
        Some(noise) => mean + noise.clone().mul_scalar(variance.sqrt()),
        None => mean,
    }
}

/// DDPM's ancestral steps; the last step adds no noise.
#[derive(Clone, Debug)]
pub struct Ddpm<'a> {
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The variance of a step.
    pub variance: VarianceType,
    /// The source of the variance noise, and the stream of this chain.
    pub noise: (NoiseSource, Stream),
}

impl Step for Ddpm<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let (alpha_bar, alpha_bar_prev) = ends(self.schedule, at, true);
        let noise = (at.t_prev > 0).then(|| draw(&self.noise, x_t, at));
        ddpm_step(x_t, estimate, alpha_bar, alpha_bar_prev, self.variance, noise.as_ref())
    }
}
