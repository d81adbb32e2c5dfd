//! The guider asked less often where there is little noise left: the mask is settled there, and model_x is half of a
//! step's cost.

use crate::{
    denoiser::Denoiser,
    prediction::{Estimate, PredictionType},
    schedule::Schedule,
};
use burn::tensor::Tensor;
use std::cell::{Cell, RefCell};

/// model_x asked once in `every` looks wherever alpha_bar_t is at least `from_alpha_bar`; in the looks between, x_0-hat
/// stays and eps follows from it and the new x_t.
///
/// The looks are counted from the first one with so little noise, which is always asked. One object serves one sampling
/// of one batch, all of whose samples stand at the same timestep. With Heun's method both looks at a move count.
#[derive(Debug)]
pub struct GuideEvery<D> {
    model_x: D,
    every: usize,
    from_alpha_bar: f64,
    looks: Cell<usize>,
    x_0: RefCell<Option<Tensor<4>>>,
}

impl<D> GuideEvery<D> {
    /// `model_x` at the start of a sampling; `every` = 1 always asks.
    pub fn new(model_x: D, every: usize, from_alpha_bar: f64) -> Self {
        Self { model_x, every, from_alpha_bar, looks: Cell::new(0), x_0: RefCell::new(None) }
    }

    /// Whether this look is one of those between, and counts it.
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
