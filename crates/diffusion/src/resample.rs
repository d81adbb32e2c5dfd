//! Makes a mask for a given image with a guider that was trained with mask and image at the same noise level.
//!
//! At each timestep the image is noised by Eq. (10) and x moves by Eq. (7), as in Algorithm 2. Alone, this couples x to the
//! image too weakly: the noise in x_t has already half determined the mask before y_t contains any information, and later
//! moves do not undo this. (For Gaussian pairs with correlation 0.9, the mask then follows the image with slope 0.45 instead of
//! 0.9.) Therefore each move is made several times, and in between x is noised back to the start of the move, so that x_t
//! becomes consistent with y_t before t decreases. This is Lugmayr et al. 2022, "RePaint", section 4.2, with jumps of one move.
//!
//! Repeated moves do not solve one problem: if the possible masks differ a lot (a lesion here or there), x_t has already settled
//! on one of them while y_t is still mostly noise. A joint network with independent noise levels does not have this problem
//! ([`crate::independent`]).

use crate::{
    denoiser::Denoiser,
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    step::Step,
    timesteps::{Timesteps, Transition},
};
use burn::tensor::Tensor;

/// Samples x_0 for a `condition` that is the same in every evaluation of `model_x`. Each move is made `looks` times (RePaint's
/// `jump_n_sample`); `looks` = 1 is [`crate::single::sample_conditional`].
///
/// `step` must not keep a history of its chain. `noise` is the source of the noise that returns x to the start of a move.
/// `x_start` is `[batch, height, width, channels]`.
#[allow(clippy::too_many_arguments)]
pub fn sample_resampled(
    model_x: &impl Denoiser,
    schedule: &Schedule,
    timesteps: &Timesteps,
    condition: &Tensor<4>,
    step: &mut impl Step,
    (looks, noise): (usize, &NoiseSource),
    x_start: Tensor<4>,
    watch: &mut dyn FnMut(Transition, &Estimate),
) -> Tensor<4> {
    let mut x_t = x_start;
    for (at, look) in timesteps.repeated(looks) {
        let t = vec![at.t; x_t.dims()[0]];
        let x = model_x.estimate(schedule, &x_t, condition, &t);
        let x_prev = step.step(&x_t, &x, at);
        watch(at, &x);
        x_t = if look < looks { noised_back(schedule, x_prev, at, look, noise) } else { x_prev };
    }
    x_t
}

/// Noises x_{t-1} back to x_t by the forward chain: Eq. (2) over the whole move.
fn noised_back(schedule: &Schedule, x_prev: Tensor<4>, at: Transition, look: usize, noise: &NoiseSource) -> Tensor<4> {
    let share = schedule.alpha_bar(at.t) / schedule.alpha_bar(at.t_prev);
    let [_, height, width, channels] = x_prev.dims();
    let key = look * (schedule.num_train_timesteps() + 1) + at.t;
    let eps = noise.draw(Stream::Resample, key, [height, width, channels]);
    x_prev.mul_scalar(share.sqrt()) + eps.mul_scalar((1.0 - share).sqrt())
}
