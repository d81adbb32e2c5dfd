//! DPM-Solver++(2M) and its stochastic form (Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
//! Probabilistic Models", Algorithm 2 and appendix): second-order multistep solvers of the probability-flow ODE and of the
//! reverse SDE, in x_0-hat.
//!
//! It matches diffusers' `DPMSolverMultistepScheduler` with `solver_type = "midpoint"`, `final_sigmas_type = "zero"` and
//! `lower_order_final`: the first and the last move are of first order, as in DDIM.

use super::{Step, draw};
use crate::{
    level::Level,
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    timesteps::Transition,
};
use burn::tensor::Tensor;

/// x_{t-1} = sigma_{t-1} / sigma_t x_t + alpha_{t-1} (1 - e^-h) D, where h = lambda_{t-1} - lambda_t and D is x_0-hat
/// extrapolated to the middle of the move.
///
/// `before` is the x_0-hat and the level of the previous move. Without it, and for the move to the clean image, D is x_0-hat.
pub fn dpm_solver_step(
    x_t: &Tensor<4>,
    x_0: &Tensor<4>,
    before: Option<&(Tensor<4>, Level)>,
    from: Level,
    to: Level,
) -> Tensor<4> {
    let h = to.lambda() - from.lambda();
    let data = extrapolated(x_0, before, from, to).mul_scalar(-to.alpha * libm::expm1(-h));
    x_t.clone().mul_scalar(to.sigma / from.sigma) + data
}

/// x_{t-1} = sigma_{t-1} / sigma_t e^-h x_t + alpha_{t-1} (1 - e^-2h) D + sigma_{t-1} sqrt(1 - e^-2h) noise, with h, D and
/// `before` as in [`dpm_solver_step`].
///
/// `noise` is standard normal; the move to the clean image uses none.
pub fn dpm_solver_sde_step(
    x_t: &Tensor<4>,
    x_0: &Tensor<4>,
    before: Option<&(Tensor<4>, Level)>,
    from: Level,
    to: Level,
    noise: Option<&Tensor<4>>,
) -> Tensor<4> {
    let h = to.lambda() - from.lambda();
    let share = -libm::expm1(-2.0 * h);
    let data = extrapolated(x_0, before, from, to).mul_scalar(to.alpha * share);
    let mean = x_t.clone().mul_scalar(to.sigma / from.sigma * libm::exp(-h)) + data;
    match noise {
        Some(noise) => mean + noise.clone().mul_scalar(to.sigma * share.sqrt()),
        None => mean,
    }
}

/// x_0-hat + h / (2 h_before) (x_0-hat - x_0-hat of the previous move).
fn extrapolated(x_0: &Tensor<4>, before: Option<&(Tensor<4>, Level)>, from: Level, to: Level) -> Tensor<4> {
    match before {
        Some((x_0_before, level)) if !to.is_clean() => {
            let (h, h_before) = (to.lambda() - from.lambda(), from.lambda() - level.lambda());
            x_0.clone() + (x_0.clone() - x_0_before.clone()).mul_scalar(0.5 * h / h_before)
        }
        _ => x_0.clone(),
    }
}

/// DPM-Solver++(2M), or its stochastic form, for one chain.
#[derive(Clone, Debug)]
pub struct DpmSolver<'a> {
    schedule: &'a Schedule,
    noise: Option<(NoiseSource, Stream)>,
    before: Option<(Tensor<4>, Level)>,
}

impl<'a> DpmSolver<'a> {
    /// The solver at the start of a chain. With `noise`, which is the noise source and the stream of this chain, the solver is
    /// stochastic.
    pub fn new(schedule: &'a Schedule, noise: Option<(NoiseSource, Stream)>) -> Self {
        Self { schedule, noise, before: None }
    }
}

impl Step for DpmSolver<'_> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        let (from, to) = (Level::at(self.schedule, at.t), Level::at(self.schedule, at.t_prev));
        let (x_0, before) = (&estimate.x_0, self.before.as_ref());
        let x_prev = match &self.noise {
            None => dpm_solver_step(x_t, x_0, before, from, to),
            Some(noise) => {
                let noise = (!to.is_clean()).then(|| draw(noise, x_t, at));
                dpm_solver_sde_step(x_t, x_0, before, from, to, noise.as_ref())
            }
        };
        self.before = Some((x_0.clone(), from));
        x_prev
    }
}
