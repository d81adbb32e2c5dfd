//! The paper's Algorithm 1 and Algorithm 2.
//!
//! `model_x` is the diffusion guider, which makes the mask; `model_y` is the conditional diffusion model, which makes
//! the image. A comment at each statement gives its line of the algorithm or its equation. Extensions of the paper have no
//! branch here: other guides, steps and denoisers are other types.

use crate::{
    denoiser::Denoiser,
    forward::add_noise,
    guide::Guide,
    prediction::{self, Estimate},
    schedule::Schedule,
    step::Step,
    timesteps::{Timesteps, Transition},
};
use burn::tensor::Tensor;

/// Algorithm 1, lines 4 to 6: the loss of model_x on one batch. Lines 1, 7 and 8 are in the trainer.
///
/// `x_0`, `y_0`, `eps_1` and `eps_2` are `[batch, height, width, channels]`; `t` has one entry per sample. Line 2 draws all
/// of them. Returns the mean squared error, `[1]`.
pub fn algorithm_1(
    model_x: &impl Denoiser,
    schedule: &Schedule,
    (x_0, y_0): (&Tensor<4>, &Tensor<4>),
    (eps_1, eps_2): (&Tensor<4>, &Tensor<4>),
    t: &[usize],
) -> Tensor<1> {
    let x_t = add_noise(schedule, x_0, eps_1, t); //                                                line 4, Eq. (9)
    let y_t = add_noise(schedule, y_0, eps_2, t); //                                                line 4, Eq. (10)
    let eps_x = model_x.predict(&x_t, &y_t, t); //                                                  line 5
    let target = prediction::target(schedule, model_x.prediction_type(), x_0, eps_1, t); //         eps_1 in the paper
    (target - eps_x).square().mean() //                                                             line 6
}

/// The state after one turn of Algorithm 2's loop, for previews and progress strips.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The timesteps of the turn.
    pub at: Transition,
    /// model_x's estimate at t: eps_x and x_0-hat.
    pub x: &'a Estimate,
    /// model_y's estimate at t: eps_y and y_0-hat.
    pub y: &'a Estimate,
}

/// Algorithm 2: samples paired images from (x_T, y_T).
///
/// `x_T` and `y_T` are standard normal, `[batch, height, width, channels]` (line 1). `step_x` and `step_y` are Eq. (7) for
/// each chain. `guide` computes model_y's condition; the paper's guide is [`crate::guide::PredictedX0`]. `watch` is called
/// after each turn. Returns (x_0-hat, y_0-hat).
///
/// In each turn x moves before y, and model_x receives y_t from before y moves.
#[allow(clippy::too_many_arguments)]
pub fn algorithm_2(
    model_x: &impl Denoiser,
    model_y: &impl Denoiser,
    schedule: &Schedule,
    timesteps: &Timesteps,
    guide: &impl Guide,
    (step_x, step_y): (&mut impl Step, &mut impl Step),
    (x_T, y_T): (Tensor<4>, Tensor<4>),
    watch: &mut dyn FnMut(&Turn<'_>),
) -> (Tensor<4>, Tensor<4>) {
    let (mut x_t, mut y_t) = (x_T, y_T); //                                                         line 1
    for at in timesteps.iter() {
        //                                                                                          line 2
        let t = vec![at.t; x_t.dims()[0]];
        let x = model_x.estimate(schedule, &x_t, &y_t, &t); //                                      lines 4, 5, Eq. (6)
        let x_prev = step_x.step(&x_t, &x, at); //                                                  line 5, Eq. (7)
        let condition = guide.guide(&x_t, &x.x_0, &x_prev); //                                      line 6: x_0-hat
        let y = model_y.estimate(schedule, &y_t, &condition, &t); //                                lines 6, 7, Eq. (6)
        let y_prev = step_y.step(&y_t, &y, at); //                                                  line 7, Eq. (7)
        watch(&Turn { at, x: &x, y: &y });
        (x_t, y_t) = (x_prev, y_prev);
    } //                                                                                            line 8
    (x_t, y_t) //                                                                                   line 9
}
