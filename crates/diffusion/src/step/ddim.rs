//! DDIM (Song et al. 2021), Eq. (7): the paper's reverse step.

use super::{Step, draw, ends};
use crate::{
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    timesteps::Transition,
};
use burn::tensor::Tensor;

/// x_{t-1} = sqrt(alpha_bar_{t-1}) x_0-hat + sqrt(1 - alpha_bar_{t-1} - sigma_t^2) eps + sigma_t noise. Eq. (7).
///
/// `noise` is standard normal. Pass it whenever `sigma > 0`, because sigma_t reduces the second term even without it.
/// The paper sets sigma_t = 0. (Eq. (5) of the paper prints sqrt(alpha_bar_t) in the mean where Eq. (7) rightly has
/// sqrt(alpha_bar_{t-1}).)
pub fn ddim_step(estimate: &Estimate, alpha_bar_prev: f64, sigma: f64, noise: Option<&Tensor<4>>) -> Tensor<4> {
    let direction = (1.0 - alpha_bar_prev - sigma * sigma).max(0.0).sqrt();
    let mean = estimate.x_0.clone().mul_scalar(alpha_bar_prev.sqrt()) + estimate.eps.clone().mul_scalar(direction);
    match noise {
        Some(noise) => mean + noise.clone().mul_scalar(sigma),
        None => mean,
    }
}

/// sigma_t of DDIM for a given eta (Song et al. 2021, Eq. (16)): 0 for eta = 0, that of ancestral sampling for eta = 1.
pub fn ddim_sigma(alpha_bar: f64, alpha_bar_prev: f64, eta: f64) -> f64 {
    let ratio = (1.0 - alpha_bar_prev) / (1.0 - alpha_bar) * (1.0 - alpha_bar / alpha_bar_prev);
    eta * ratio.max(0.0).sqrt()
}

/// DDIM with any eta; eta = 0 is the paper's Algorithm 2, lines 5 and 7.
#[derive(Clone, Debug)]
pub struct Ddim<'a> {
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// 0 is deterministic, 1 is as noisy as ancestral sampling.
    pub eta: f64,
    /// Whether the last step ends at alpha_bar = 1 (the paper) or at alpha_bar_1.
    pub set_alpha_to_one: bool,
    /// The source of the variance noise, and the stream of this chain.
    pub noise: (NoiseSource, Stream),
}

impl Step for Ddim<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let (alpha_bar, alpha_bar_prev) = ends(self.schedule, at, self.set_alpha_to_one);
        let sigma = ddim_sigma(alpha_bar, alpha_bar_prev, self.eta);
        let noise = (sigma > 0.0).then(|| draw(&self.noise, x_t, at));
        ddim_step(estimate, alpha_bar_prev, sigma, noise.as_ref())
    }
}
