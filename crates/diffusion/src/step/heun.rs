//! Heun's method on the probability-flow ODE, and the noise of Karras et al. 2022, Algorithm 2 ("EDM").
//!
//! A move is looked at twice: by Euler's method to t-1, where the networks are asked again, and from t anew with the mean
//! of both slopes. The second look is a move of its own that does not fall, [`crate::timesteps::Timesteps::corrected`]; so
//! both chains of a pair take the first look, then both the second, in the loops of the other samplers.

use super::{Step, ddim_step};
use crate::{
    level::Level,
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    timesteps::Transition,
};
use burn::tensor::Tensor;

/// Line 8 of Algorithm 2 of Karras et al. 2022: x at `to` from x at `from` by the mean of both slopes. In their samples,
/// x / alpha, the slope by sigma is eps.
///
/// `x` and `eps` are those at `from`; `eps_to` is the one estimated where Euler's method, which is
/// [`ddim_step`] with sigma = 0, had led to.
pub fn heun_step(x: &Tensor<4>, eps: &Tensor<4>, eps_to: &Tensor<4>, from: Level, to: Level) -> Tensor<4> {
    let slope = (eps.clone() + eps_to.clone()).mul_scalar(0.5 * to.alpha * (to.ratio() - from.ratio()));
    x.clone().mul_scalar(to.alpha / from.alpha) + slope
}

/// Line 6 of Algorithm 2: noise that raises x from level `from` to the noisier level `to`; `noise` is normal with the
/// deviation S_noise.
pub fn add_churn(x: &Tensor<4>, noise: &Tensor<4>, from: Level, to: Level) -> Tensor<4> {
    let kept = to.alpha / from.alpha;
    x.clone().mul_scalar(kept) + noise.clone().mul_scalar((1.0 - kept * kept).max(0.0).sqrt())
}

/// Where a chain stood at its first look.
#[derive(Clone, Debug)]
struct Look {
    x: Tensor<4>,
    eps: Tensor<4>,
    level: Level,
}

/// One chain under Heun's method.
#[derive(Clone, Debug)]
pub struct Heun<'a> {
    schedule: &'a Schedule,
    s_noise: f64,
    noise: (NoiseSource, Stream),
    look: Option<Look>,
}

impl<'a> Heun<'a> {
    /// A chain at its start. Noise of the deviation `s_noise` is added where its timesteps rise after a second look.
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
        // A move that does not fall after another such has nothing to correct.
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
