//! Reverse steps: from x_t and an estimate to x_{t-1}. Each sampler has one file with its function and the object that the
//! sampling loops call.
//!
//! [`Ddim`] and [`Ddpm`] need only the estimate at t. [`DpmSolver`] and [`UniPc`] remember earlier estimates of their chain.
//! [`Heun`] needs two evaluations for each move; its [`crate::timesteps::Timesteps`] contain both, so that the same loop
//! works for all samplers.

mod ddim;
mod ddpm;
mod dpm_solver;
mod given;
mod heun;
mod uni_pc;

pub use ddim::{Ddim, ddim_sigma, ddim_step};
pub use ddpm::{Ddpm, VarianceType, ddpm_step};
pub use dpm_solver::{DpmSolver, dpm_solver_sde_step, dpm_solver_step};
pub use given::GivenX0;
pub use heun::{Heun, add_churn, heun_step};
pub use uni_pc::{UniPc, uni_c_step, uni_p_step};

use crate::{
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    timesteps::Transition,
};
use burn::tensor::Tensor;

/// The reverse step of one chain. It has state, because samplers of higher order keep the history of their chain.
pub trait Step {
    /// x_{t-1} from x_t and the estimate made at t; shapes `[batch, height, width, channels]`.
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4>;
}

impl<S: Step + ?Sized> Step for Box<S> {
    fn step(&mut self, x_t: &Tensor<4>, estimate: &Estimate, at: Transition) -> Tensor<4> {
        (**self).step(x_t, estimate, at)
    }
}

/// alpha_bar at both ends of a move. `sample.set_alpha_to_one = false` ends at alpha_bar_1 instead of alpha_bar_0 = 1.
fn ends(schedule: &Schedule, at: Transition, set_alpha_to_one: bool) -> (f64, f64) {
    let last = usize::from(!set_alpha_to_one);
    (schedule.alpha_bar(at.t), schedule.alpha_bar(at.t_prev.max(last)))
}

fn draw((noise, stream): &(NoiseSource, Stream), like: &Tensor<4>, at: Transition) -> Tensor<4> {
    let [_, height, width, channels] = like.dims();
    noise.draw(*stream, at.t, [height, width, channels])
}
