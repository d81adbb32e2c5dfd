//! Training error and sampling loop of a single network: a conditional diffusion model with a given condition, Eq. (4) to
//! (7).

use crate::{
    denoiser::Denoiser,
    forward::add_noise,
    prediction::{self, Estimate},
    schedule::Schedule,
    step::Step,
    timesteps::{Timesteps, Transition},
};
use burn::tensor::Tensor;

/// The squared error of a conditional diffusion model on one batch, before averaging. model_y is trained with it.
///
/// `y_0` and `eps` are `[batch, height, width, channels]`; `y_t` is made from them by Eq. (10). Returns the squared
/// difference of target and prediction in the same shape, so that the caller can weight it.
pub fn conditional_error(
    model_y: &impl Denoiser,
    schedule: &Schedule,
    y_0: &Tensor<4>,
    eps: &Tensor<4>,
    condition: &Tensor<4>,
    t: &[usize],
) -> Tensor<4> {
    let y_t = add_noise(schedule, y_0, eps, t);
    let output = model_y.predict(&y_t, condition, t);
    (prediction::target(schedule, model_y.prediction_type(), y_0, eps, t) - output).square()
}

/// The loss weight of the released code: the sigmoid of the guide, about 0.27 on background and 0.73 on the lesion.
pub fn sigmoid_guide_weight(condition: &Tensor<4>) -> Tensor<4> {
    burn::tensor::activation::sigmoid(condition.clone())
}

/// Samples y_0 for a condition that stays the same at every step. Eq. (4) to (7).
pub fn sample_conditional(
    model_y: &impl Denoiser,
    schedule: &Schedule,
    timesteps: &Timesteps,
    condition: &Tensor<4>,
    step: &mut impl Step,
    y_start: Tensor<4>,
    watch: &mut dyn FnMut(Transition, &Estimate),
) -> Tensor<4> {
    let mut y_t = y_start;
    for at in timesteps.iter() {
        let t = vec![at.t; y_t.dims()[0]];
        let y = model_y.estimate(schedule, &y_t, condition, &t);
        let y_prev = step.step(&y_t, &y, at);
        watch(at, &y);
        y_t = y_prev;
    }
    y_t
}
