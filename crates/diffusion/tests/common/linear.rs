//! The exact denoisers of Gaussian pairs.

use super::GaussianPair;
use burn::tensor::Tensor;
use pig_diffusion::{
    denoiser::Denoiser,
    joint::JointDenoiser,
    prediction::{PredictionType, target},
    schedule::Schedule,
};

/// Converts a known clean image x_0 of `noisy` at `t` to the output of a network with the prediction type `kind`.
fn answer(schedule: &Schedule, kind: PredictionType, noisy: &Tensor<4>, x_0: &Tensor<4>, t: &[usize]) -> Tensor<4> {
    let alpha_bar = schedule.alpha_bar(t[0]);
    let eps = (noisy.clone() - x_0.clone().mul_scalar(alpha_bar.sqrt())).mul_scalar(1.0 / (1.0 - alpha_bar).sqrt());
    target(schedule, kind, x_0, &eps, t)
}

/// An exact denoiser: x_0-hat = p noisy + q guide, where (p, q) depend on the noise level.
pub(crate) struct Linear<'a, F> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) kind: PredictionType,
    pub(crate) coefficients: F,
}

impl<F: Fn(f64) -> (f64, f64)> Denoiser for Linear<'_, F> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let (p, q) = (self.coefficients)(self.schedule.alpha_bar(t[0]));
        let x_0 = noisy.clone().mul_scalar(p) + guide.clone().mul_scalar(q);
        answer(self.schedule, self.kind, noisy, &x_0, t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.kind
    }
}

/// The exact joint denoiser.
pub(crate) struct JointLinear<'a> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) kind: PredictionType,
    pub(crate) pair: GaussianPair,
}

impl JointDenoiser for JointLinear<'_> {
    fn predict(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t: &[usize]) -> (Tensor<4>, Tensor<4>) {
        let (p, q) = self.pair.clean_given_noisy(self.schedule.alpha_bar(t[0]));
        let x_0 = x_t.clone().mul_scalar(p) + y_t.clone().mul_scalar(q);
        let y_0 = y_t.clone().mul_scalar(p) + x_t.clone().mul_scalar(q);
        (answer(self.schedule, self.kind, x_t, &x_0, t), answer(self.schedule, self.kind, y_t, &y_0, t))
    }

    fn prediction_type(&self) -> PredictionType {
        self.kind
    }
}
