//! The learning rate of each step.

use crate::config::{LrSchedule, OptimConfig};
use serde::{Deserialize, Serialize};

/// Warm-up and schedule. Only the plateau schedule has state, which is saved with every checkpoint. The state is in f32,
/// because JSON returns f32 numbers bit for bit, while serde_json may read an f64 wrong by one unit in its last place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LearningRate {
    cuts: i32,
    best: Option<f32>,
    waited: usize,
    epoch_sum: f32,
    epoch_count: usize,
}

impl LearningRate {
    /// The state at the start of a training.
    pub fn new() -> Self {
        Self::default()
    }

    /// The learning rate of `step`, counted from 0, in a training of `steps` steps.
    pub fn at(&self, config: &OptimConfig, step: usize, steps: usize) -> f64 {
        let warmup = ((step + 1) as f64 / config.warmup_steps.max(1) as f64).min(1.0);
        let schedule = match config.lr_schedule {
            LrSchedule::Constant => 1.0,
            LrSchedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps.max(1) as f64).cos()),
            LrSchedule::Plateau => config.plateau_factor.powi(self.cuts),
        };
        config.learning_rate * warmup * schedule
    }

    /// Adds a step's training loss; `epoch_ends` is true for the last step of an epoch. This works as PyTorch's
    /// `ReduceLROnPlateau` with its relative threshold of 1e-4, called with the mean loss of each epoch.
    pub fn observe(&mut self, config: &OptimConfig, loss: f32, epoch_ends: bool) {
        const THRESHOLD: f32 = 1e-4;
        self.epoch_sum += loss;
        self.epoch_count += 1;
        if !epoch_ends {
            return;
        }
        let mean = self.epoch_sum / self.epoch_count as f32;
        (self.epoch_sum, self.epoch_count) = (0.0, 0);
        if self.best.is_none_or(|best| mean < best * (1.0 - THRESHOLD)) {
            self.best = Some(mean);
            self.waited = 0;
            return;
        }
        self.waited += 1;
        if self.waited > config.plateau_patience {
            self.cuts += 1;
            self.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lr_schedule: LrSchedule) -> OptimConfig {
        OptimConfig { learning_rate: 1.0, warmup_steps: 4, lr_schedule, ..OptimConfig::example() }
    }

    #[test]
    fn warm_up_rises_to_the_full_rate() {
        let rates: Vec<f64> =
            (0..6).map(|step| LearningRate::new().at(&config(LrSchedule::Constant), step, 100)).collect();
        assert_eq!(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn cosine_ends_near_zero() {
        let config = config(LrSchedule::Cosine);
        assert!((LearningRate::new().at(&config, 50, 100) - 0.5).abs() < 1e-12);
        assert!(LearningRate::new().at(&config, 99, 100) < 3e-4);
    }

    #[test]
    fn plateau_cuts_after_patience_epochs_without_progress() {
        let config = OptimConfig { plateau_patience: 2, plateau_factor: 0.25, ..config(LrSchedule::Plateau) };
        let mut rate = LearningRate::new();
        for (loss, expected) in [(1.0, 1.0), (0.5, 1.0), (0.5, 1.0), (0.6, 1.0), (0.5, 0.25), (0.1, 0.25)] {
            rate.observe(&config, loss, true);
            assert_eq!(rate.at(&config, 10, 100), expected, "after {loss}");
        }
    }
}
