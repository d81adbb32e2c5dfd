//! Condition augmentation while sampling (Ho et al. 2022, "Cascaded Diffusion Models for High Fidelity Image
//! Generation", section 4): model_y is told the mask with noise, as it was in training, so that it forgives what differs
//! between masks from model_x and masks of the training data.

use crate::{forward::add_noise, guide::Guide, schedule::Schedule};
use burn::tensor::Tensor;

/// What another guide says, noised by Eq. (9) to the level of timestep `t`.
#[derive(Clone, Debug)]
pub struct NoisyCondition<'a, G> {
    /// What is noised.
    pub guide: G,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The noise level, in 0..=T; 0 adds none.
    pub t: usize,
    /// One noise for the whole chain, shaped like the condition.
    pub eps: Tensor<4>,
}

impl<G: Guide> Guide for NoisyCondition<'_, G> {
    fn guide(&self, x_t: &Tensor<4>, x_0: &Tensor<4>, x_prev: &Tensor<4>) -> Tensor<4> {
        let condition = self.guide.guide(x_t, x_0, x_prev);
        let t = vec![self.t; condition.dims()[0]];
        add_noise(self.schedule, &condition, &self.eps, &t)
    }
}
