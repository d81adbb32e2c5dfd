//! The measurements of a training loop.

use crate::metrics_log::Line;
use std::time::Instant;

/// Optimiser steps that are timed to plan a training, after one step that is not timed.
pub const MEASURED_STEPS: usize = 2;

/// The mean of losses.
pub fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len().max(1) as f64
}

/// The rate of training images between two lines of the log.
#[derive(Debug)]
pub struct Meter {
    /// Training images since the last line.
    pub images: usize,
    since: Instant,
    rate: f64,
}

impl Default for Meter {
    /// Starts counting.
    fn default() -> Self {
        Self { images: 0, since: Instant::now(), rate: 0.0 }
    }
}

impl Meter {
    /// Images per second since the last call.
    pub fn take(&mut self) -> f64 {
        let rate = self.images as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        *self = Self { rate, ..Self::default() };
        rate
    }

    /// The text beside the progress bar; of a segmenter, the Dice rather than what it lacks to 1.
    pub fn message(&self, loss: f32, line: &Line) -> String {
        let shown = line.loss.map_or(f64::from(loss), |mean| mean);
        let validation = match (line.dice, line.validation) {
            (Some(dice), _) => format!(", validation Dice {:.2} %", 100.0 * dice),
            (None, Some(validation)) => format!(", validation {:.4}", validation.mean),
            (None, None) => String::new(),
        };
        format!("loss {shown:.4}{validation}, {:.1} images/s", self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_log::Validation;

    #[test]
    fn a_segmenter_shows_its_dice_and_a_generator_its_loss() {
        let validation = Some(Validation { mean: 0.1875, quarters: None });
        let generator = Line { validation, ..Line::default() };
        assert!(Meter::default().message(0.5, &generator).starts_with("loss 0.5000, validation 0.1875, "));
        let segmenter = Line { dice: Some(0.8125), ..generator };
        assert!(Meter::default().message(0.5, &segmenter).starts_with("loss 0.5000, validation Dice 81.25 %, "));
    }
}
