//! The interface of a denoising network, and wrappers that change its estimate.

use crate::{
    prediction::{Estimate, PredictionType},
    schedule::Schedule,
};
use burn::tensor::Tensor;

/// A denoising network: model_x or model_y of the paper.
pub trait Denoiser {
    /// The network's output for `noisy` at the timesteps `t`, guided by `guide`.
    ///
    /// `noisy` is `[batch, height, width, channels]`, and so is the output. `guide` has the same batch, height and width,
    /// but may have another number of channels; a network concatenates the channels in the order [noisy, guide]. `t` has
    /// one entry per sample, in 1..=T.
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4>;

    /// What the output represents.
    fn prediction_type(&self) -> PredictionType;

    /// The output converted to eps and x_0-hat: Eq. (6).
    fn estimate(&self, schedule: &Schedule, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Estimate {
        let output = self.predict(noisy, guide, t);
        Estimate::new(schedule, self.prediction_type(), noisy, output, t)
    }
}

impl<D: Denoiser + ?Sized> Denoiser for &D {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        (**self).predict(noisy, guide, t)
    }

    fn prediction_type(&self) -> PredictionType {
        (**self).prediction_type()
    }

    fn estimate(&self, schedule: &Schedule, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Estimate {
        (**self).estimate(schedule, noisy, guide, t)
    }
}

impl<D: Denoiser + ?Sized> Denoiser for Box<D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        (**self).predict(noisy, guide, t)
    }

    fn prediction_type(&self) -> PredictionType {
        (**self).prediction_type()
    }

    fn estimate(&self, schedule: &Schedule, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Estimate {
        (**self).estimate(schedule, noisy, guide, t)
    }
}

/// `sample.clip_sample`: clips x_0-hat to [-1, 1] and recomputes eps from it, as diffusers does with
/// `clip_sample` and `use_clipped_model_output` together. The paper does not clip.
#[derive(Clone, Debug)]
pub struct Clipped<D>(
    /// The network whose estimates are clipped.
    pub D,
);

impl<D: Denoiser> Denoiser for Clipped<D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.0.predict(noisy, guide, t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.0.prediction_type()
    }

    fn estimate(&self, schedule: &Schedule, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Estimate {
        let x_0 = self.0.estimate(schedule, noisy, guide, t).x_0.clamp(-1.0, 1.0);
        Estimate::from_x0(schedule, noisy, x_0, t)
    }
}
