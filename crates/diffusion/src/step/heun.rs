//! Heun's method on the probability-flow ODE, and the noise of Karras et al. 2022, Algorithm 2 ("EDM").
//!
//! Each move uses two evaluations of the networks. The first, at t, gives an Euler step to t-1. The second, at t-1, gives
//! another slope; the move is then repeated from t with the mean of both slopes. The second evaluation is a separate
//! transition that does not lower t ([`crate::timesteps::Timesteps::corrected`]), so the same loops as for other samplers
//! first make the Euler step of both chains of a pair and then the correction of both.

use super::{Step, ddim_step};
use crate::{
    level::Level,
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    timesteps::Transition,
};
use burn::tensor::Tensor;

/// Line 11 of Algorithm 2 of Karras et al. 2022: x at `to` from x at `from` with the mean of both slopes. In their
/// samples, x / alpha, the derivative by sigma is eps.
///
/// `x` and `eps` are those at `from`; `eps_to` is estimated at the result of Euler's method, which is [`ddim_step`] with
/// sigma = 0.
pub fn heun_step(x: &Tensor<4>, eps: &Tensor<4>, eps_to: &Tensor<4>, from: Level, to: Level) -> Tensor<4> {
    let slope = (eps.clone() + eps_to.clone()).mul_scalar(0.5 * to.alpha * (to.ratio() - from.ratio()));
    x.clone().mul_scalar(to.alpha / from.alpha) + slope
}

/// Line 6 of Algorithm 2: adds noise that raises x from level `from` to the noisier level `to`; `noise` is normal with the
/// standard deviation S_noise.
pub fn add_churn(x: &Tensor<4>, noise: &Tensor<4>, from: Level, to: Level) -> Tensor<4> {
    let kept = to.alpha / from.alpha;
    x.clone().mul_scalar(kept) + noise.clone().mul_scalar((1.0 - kept * kept).max(0.0).sqrt())
}

/// The state of a chain at the first evaluation of a move.
#[derive(Clone, Debug)]
struct Look {
    x: Tensor<4>,
    eps: Tensor<4>,
    level: Level,
}

/// Heun's method for one chain.
#[derive(Clone, Debug)]
pub struct Heun<'a> {
    schedule: &'a Schedule,
    s_noise: f64,
    noise: (NoiseSource, Stream),
    look: Option<Look>,
}

impl<'a> Heun<'a> {
    /// The solver at the start of a chain. Where the timestep rises after a second evaluation, it adds noise with the standard
    /// deviation `s_noise`.
    pub fn new(schedule: &'a Schedule, s_noise: f64, noise: (NoiseSource, Stream)) -> Self {
        Self { schedule, s_noise, noise, look: None }
    }
}

impl Step for Heun<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let (here, next) = (Level::at(self.schedule, at.t), Level::at(self.schedule, at.t_prev));
        if at.t_prev < at.t {
            self.look = Some(Look { x: x_t.clone(), eps: estimate.eps.clone(), level: here });
            return ddim_step(estimate, self.schedule.alpha_bar(at.t_prev), 0.0, None);
        }
        // If the previous transition did not lower t either, there is nothing to correct.
        let corrected = match self.look.take() {
            Some(look) => heun_step(&look.x, &look.eps, &estimate.eps, look.level, here),
            None => x_t.clone(),
        };
        if at.t_prev == at.t {
            return corrected;
        }
        let noise = super::draw(&self.noise, x_t, at).mul_scalar(self.s_noise);
        add_churn(&corrected, &noise, here, next)
    }
}
