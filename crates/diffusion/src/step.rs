//! Reverse steps: from x_t and an estimate to x_{t-1}. One function a sampler, and the objects that the loops drive.

use crate::{
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    timesteps::Transition,
};
use burn::tensor::Tensor;

/// One chain's reverse step. An object, because samplers of higher order keep the history of their chain.
pub trait Step {
    /// x_{t-1} from x_t and the estimate made at t; shapes `[batch, height, width, channels]`.
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4>;
}

impl<S: Step + ?Sized> Step for Box<S> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        (**self).step(x_t, estimate, at)
    }
}

/// x_{t-1} = sqrt(alpha_bar_{t-1}) x_0-hat + sqrt(1 - alpha_bar_{t-1} - sigma_t^2) eps + sigma_t noise. Eq. (7).
///
/// `noise` is standard normal; without it sigma_t still shortens the second term, so pass it whenever `sigma > 0`.
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

/// sigma_t of DDIM for a given eta (Song et al. 2021, Eq. (16)): 0 for eta = 0, ancestral sampling's for eta = 1.
pub fn ddim_sigma(alpha_bar: f64, alpha_bar_prev: f64, eta: f64) -> f64 {
    let ratio = (1.0 - alpha_bar_prev) / (1.0 - alpha_bar) * (1.0 - alpha_bar / alpha_bar_prev);
    eta * ratio.max(0.0).sqrt()
}

/// The variance of an ancestral step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VarianceType {
    /// The posterior's: (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t (Ho et al. 2020, Eq. (7)).
    #[default]
    FixedSmall,
    /// beta_t itself.
    FixedLarge,
}

/// Ancestral sampling (Ho et al. 2020, Eq. (6) and (7)): the mean of q(x_{t-1} | x_t, x_0-hat) plus noise of the chosen
/// variance.
///
/// Between kept timesteps beta_t is that of the whole move, 1 - alpha_bar_t / alpha_bar_{t-1}.
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

/// alpha_bar at both ends of a move. `sample.set_alpha_to_one = false` ends at alpha_bar_1 instead of alpha_bar_0 = 1.
fn ends(schedule: &Schedule, at: Transition, set_alpha_to_one: bool) -> (f64, f64) {
    let last = usize::from(!set_alpha_to_one);
    (schedule.alpha_bar(at.t), schedule.alpha_bar(at.t_prev.max(last)))
}

/// DDIM with any eta; eta = 0 is the paper's Algorithm 2, lines 5 and 7.
#[derive(Clone, Debug)]
pub struct Ddim<'a> {
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// 0 is deterministic, 1 as noisy as ancestral sampling.
    pub eta: f64,
    /// Whether the last step ends at alpha_bar = 1 (the paper) or at alpha_bar_1.
    pub set_alpha_to_one: bool,
    /// Variance noise, and which chain this is.
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

/// DDPM's ancestral steps; the last step adds no noise.
#[derive(Clone, Debug)]
pub struct Ddpm<'a> {
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The variance of a step.
    pub variance: VarianceType,
    /// Variance noise, and which chain this is.
    pub noise: (NoiseSource, Stream),
}

impl Step for Ddpm<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let (alpha_bar, alpha_bar_prev) = ends(self.schedule, at, true);
        let noise = (at.t_prev > 0).then(|| draw(&self.noise, x_t, at));
        ddpm_step(x_t, estimate, alpha_bar, alpha_bar_prev, self.variance, noise.as_ref())
    }
}

/// The x chain of a given mask: x_{t-1} by Eq. (9) from the given x_0, whatever model_x says.
///
/// One eps for all t: it is the chain that Eq. (7) with sigma_t = 0 walks when model_x predicts the given x_0 exactly.
#[derive(Clone, Debug)]
pub struct GivenX0<'a> {
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The given mask in [-1, 1], `[batch, height, width, 1]`.
    pub x_0: Tensor<4>,
    /// The chain's one noise, same shape.
    pub eps: Tensor<4>,
}

impl Step for GivenX0<'_> {
    fn step(&mut self, _x_t: &Tensor<4>, _estimate: &Estimate, at: Transition) -> Tensor<4> {
        let t = vec![at.t_prev; self.x_0.dims()[0]];
        crate::forward::add_noise(self.schedule, &self.x_0, &self.eps, &t)
    }
}

fn draw((noise, stream): &(NoiseSource, Stream), like: &Tensor<4>, at: Transition) -> Tensor<4> {
    let [_, height, width, channels] = like.dims();
    noise.draw(*stream, at.t, [height, width, channels])
}
