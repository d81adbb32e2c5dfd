//! A mask for a given image, from a guider that only ever saw both at one noise level.
//!
//! At each timestep the image is noised by Eq. (10) and x moves by Eq. (7), as in Algorithm 2. That alone ties x to the image too
//! loosely: x_t is half decided by its own noise before y_t says anything, and nothing takes that back. (For Gaussian pairs of
//! correlation 0.9 the mask then follows the image by 0.45.) So each move is made several times, with x noised back to its
//! start in between: x_t settles to what goes with y_t before t falls. Lugmayr et al. 2022, "RePaint", section 4.2, with
//! jumps of one move.
//!
//! What looks cannot mend: where a mask's alternatives lie far apart (a lesion here or there), x_t has chosen one while y_t is still
//! mostly noise. A joint network with independent noise levels has no such weakness ([`crate::independent`]).

use crate::{
    denoiser::Denoiser,
    noise::{NoiseSource, Stream},
    prediction::Estimate,
    schedule::Schedule,
    step::Step,
    timesteps::{Timesteps, Transition},
};
use burn::tensor::Tensor;

/// Samples x_0 under a condition that `model_x` is told at every look, each move made `looks` times (RePaint's
/// `jump_n_sample`); 1 is [`crate::single::sample_conditional`].
///
/// `step` must keep no history of its chain. `noise` names the noise of the ways back. `x_start` is
/// `[batch, height, width, channels]`.
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
    for at in timesteps.iter() {
        let t = vec![at.t; x_t.dims()[0]];
        for look in 1..=looks {
            let x = model_x.estimate(schedule, &x_t, condition, &t);
            let x_prev = step.step(&x_t, &x, at);
            watch(at, &x);
            x_t = if look < looks { noised_back(schedule, x_prev, at, look, noise) } else { x_prev };
        }
    }
    x_t
}

/// x_t from x_{t-1} by the forward chain, Eq. (2) over the whole move.
fn noised_back(schedule: &Schedule, x_prev: Tensor<4>, at: Transition, look: usize, noise: &NoiseSource) -> Tensor<4> {
    let share = schedule.alpha_bar(at.t) / schedule.alpha_bar(at.t_prev);
    let [_, height, width, channels] = x_prev.dims();
    let key = look * (schedule.num_train_timesteps() + 1) + at.t;
    let eps = noise.draw(Stream::Resample, key, [height, width, channels]);
    x_prev.mul_scalar(share.sqrt()) + eps.mul_scalar((1.0 - share).sqrt())
}
