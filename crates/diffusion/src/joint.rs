//! A baseline that the paper does not have: one network with two inputs and two outputs estimates, from (x_t, y_t), the
//! same two quantities as the paper's two networks.

use crate::{
    forward::add_noise,
    pair::Turn,
    prediction::{self, Estimate, PredictionType},
    schedule::Schedule,
    step::Step,
    timesteps::Timesteps,
};
use burn::tensor::Tensor;

/// A network that denoises both members of the pair at once.
pub trait JointDenoiser {
    /// The outputs for (x_t, y_t) at the timesteps `t`, in the shapes of the inputs. The channel order is [x, y] for inputs
    /// and outputs.
    fn predict(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t: &[usize]) -> (Tensor<4>, Tensor<4>);

    /// What the outputs represent.
    fn prediction_type(&self) -> PredictionType;
}

/// The squared errors of both outputs of a joint network on one batch, before averaging, each in the shape of its member.
pub fn joint_errors(
    model: &impl JointDenoiser,
    schedule: &Schedule,
    (x_0, y_0): (&Tensor<4>, &Tensor<4>),
    (eps_1, eps_2): (&Tensor<4>, &Tensor<4>),
    t: &[usize],
) -> (Tensor<4>, Tensor<4>) {
    let x_t = add_noise(schedule, x_0, eps_1, t);
    let y_t = add_noise(schedule, y_0, eps_2, t);
    let (out_x, out_y) = model.predict(&x_t, &y_t, t);
    let target = |clean, eps| prediction::target(schedule, model.prediction_type(), clean, eps, t);
    ((target(x_0, eps_1) - out_x).square(), (target(y_0, eps_2) - out_y).square())
}

/// The loss of a joint network, `[1]`: the mean of the averaged errors of both outputs. Both members have the same weight,
/// whatever their numbers of channels are.
pub fn joint_loss(error_x: Tensor<1>, error_y: Tensor<1>) -> Tensor<1> {
    (error_x + error_y).mul_scalar(0.5)
}

/// Samples pairs from (x_T, y_T) with one network; `clip` is `sample.clip_sample`. Returns (x_0-hat, y_0-hat).
pub fn sample_joint(
    model: &impl JointDenoiser,
    schedule: &Schedule,
    timesteps: &Timesteps,
    (step_x, step_y): (&mut impl Step, &mut impl Step),
    start: (Tensor<4>, Tensor<4>),
    clip: bool,
    watch: &mut dyn FnMut(&Turn<'_>),
) -> (Tensor<4>, Tensor<4>) {
    let (mut x_t, mut y_t) = start;
    for at in timesteps.iter() {
        let t = vec![at.t; x_t.dims()[0]];
        let (out_x, out_y) = model.predict(&x_t, &y_t, &t);
        let read = |noisy: &Tensor<4>, output| {
            let estimate = Estimate::new(schedule, model.prediction_type(), noisy, output, &t);
            if clip { Estimate::from_x0(schedule, noisy, estimate.x_0.clamp(-1.0, 1.0), &t) } else { estimate }
        };
        let (x, y) = (read(&x_t, out_x), read(&y_t, out_y));
        let (x_prev, y_prev) = (step_x.step(&x_t, &x, at), step_y.step(&y_t, &y, at));
        watch(&Turn { at, x: &x, y: &y });
        (x_t, y_t) = (x_prev, y_prev);
    }
    (x_t, y_t)
}
