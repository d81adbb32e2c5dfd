//! Condition augmentation in sampling (Ho et al. 2022, "Cascaded Diffusion Models for High Fidelity Image Generation",
//! section 4): model_y receives the mask with noise, as in training, so that it is less sensitive to differences between
//! masks of model_x and masks of the training data.

use crate::{forward::add_noise, guide::Guide, schedule::Schedule};
use burn::tensor::Tensor;

/// The condition of another guide, noised by Eq. (9) to the level of timestep `t`.
#[derive(Clone, Debug)]
pub struct NoisyCondition<'a, G> {
    /// The guide whose condition is noised.
    pub guide: G,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The noise level, in 0..=T; 0 adds none.
    pub t: usize,
    /// The noise, the same at all steps of the chain, shaped like the condition.
    pub eps: Tensor<4>,
}

impl<G: Guide> Guide for NoisyCondition<'_, G> {
    fn guide(&self, x_t: &Tensor<4>, x_0: &Tensor<4>, x_prev: &Tensor<4>) -> Tensor<4> {
        let condition = self.guide.guide(x_t, x_0, x_prev);
        let t = vec![self.t; condition.dims()[0]];
        add_noise(self.schedule, &condition, &self.eps, &t)
    }
}
