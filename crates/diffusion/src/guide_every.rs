//! Evaluates the guider less often at low noise levels: there the mask hardly changes any more, and model_x is half of
//! the cost of a step.

use crate::{
    denoiser::Denoiser,
    prediction::{Estimate, PredictionType},
    schedule::Schedule,
};
use burn::tensor::Tensor;
use std::cell::{Cell, RefCell};

/// model_x, evaluated only in one of `every` calls where alpha_bar_t is at least `from_alpha_bar`. The calls in between
/// reuse the last x_0-hat and compute eps from it and the new x_t.
///
/// Counting starts with the first call at such a timestep, which always evaluates model_x. Use one object for one sampling
/// of one batch whose samples are all at the same timestep. With Heun's method both evaluations of a move count.
#[derive(Debug)]
pub struct GuideEvery<D> {
    model_x: D,
    every: usize,
    from_alpha_bar: f64,
    looks: Cell<usize>,
    x_0: RefCell<Option<Tensor<4>>>,
}

impl<D> GuideEvery<D> {
    /// `model_x` at the start of a sampling; `every` = 1 evaluates it in every call.
    pub fn new(model_x: D, every: usize, from_alpha_bar: f64) -> Self {
        Self { model_x, every, from_alpha_bar, looks: Cell::new(0), x_0: RefCell::new(None) }
    }

    /// Counts this call if the noise level is low, and returns whether it reuses the last x_0-hat.
    fn reuses(&self, alpha_bar: f64) -> bool {
        if alpha_bar < self.from_alpha_bar {
            return false;
        }
        !self.looks.replace(self.looks.get() + 1).is_multiple_of(self.every)
    }
}

impl<D: Denoiser> Denoiser for GuideEvery<D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.model_x.predict(noisy, guide, t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.model_x.prediction_type()
    }

    fn estimate(&self, schedule: &Schedule, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Estimate {
        let reuses = t.first().is_some_and(|&t| self.reuses(schedule.alpha_bar(t)));
        if let (true, Some(x_0)) = (reuses, self.x_0.borrow().as_ref()) {
            return Estimate::from_x0(schedule, noisy, x_0.clone(), t);
        }
        let estimate = self.model_x.estimate(schedule, noisy, guide, t);
        *self.x_0.borrow_mut() = Some(estimate.x_0.clone());
        estimate
    }
}
