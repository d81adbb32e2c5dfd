//! The x chain for a given mask.

use super::Step;
use crate::{forward::add_noise, prediction::Estimate, schedule::Schedule, timesteps::Transition};
use burn::tensor::Tensor;

/// The x chain for a given mask: x_{t-1} by Eq. (9) from the given x_0; the estimate of model_x is ignored.
///
/// eps is the same for all t: this is the chain of Eq. (7) with sigma_t = 0 if model_x predicts the given x_0 exactly.
#[derive(Clone, Debug)]
pub struct GivenX0<'a> {
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The given mask in [-1, 1], `[batch, height, width, 1]`.
    pub x_0: Tensor<4>,
    /// The noise of the whole chain, same shape.
    pub eps: Tensor<4>,
}

impl Step for GivenX0<'_> {
    fn step(&mut self, _x_t: &Tensor<4>, _estimate: &Estimate, at: Transition) -> Tensor<4> {
        let t = vec![at.t_prev; self.x_0.dims()[0]];
        add_noise(self.schedule, &self.x_0, &self.eps, &t)
    }
}
