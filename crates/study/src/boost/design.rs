//! The rules of `pig boost`: how the hours are divided, how many folds and segmenters they allow, and what that could detect. All of them
//! are here, and what no measurement decides is marked as a rule of thumb.

use pig_metrics::contrast::{
    LEAST_FOLDS,
    expected::{Design as Comparison, Expected, Variation, expected},
};

/// Shares of the time: the generators' trainings, the making of pairs, and the segmenters. The rest is a margin for reading, measuring and
/// the page. Rules of thumb.
pub(super) const GENERATORS: f64 = 0.45;
pub(super) const PAIRS: f64 = 0.1;
const SEGMENTERS: f64 = 0.4;

/// The folds into which the patients are divided; each tests a fifth of them.
pub(super) const FOLDS: usize = 5;

/// The training sets that are compared: real pairs, all pairs beside them, chosen pairs beside them.
pub(super) const TRAINING_SETS: usize = 3;

/// Folds that are computed and segmenters of each training set in a fold, from the best design to the cheapest. From [`LEAST_FOLDS`] folds
/// on, intervals also cover generators and training patients; one fold judges the pairs of one generator.
const DESIGNS: [[usize; 2]; 4] = [[FOLDS, 3], [LEAST_FOLDS, 3], [1, 6], [1, 3]];

/// Steps that a segmenter should at least be allowed, if its patience does not end it before. A rule of thumb.
const ENOUGH_STEPS: usize = 3_000;

/// The most steps that a segmenter is allowed.
const MOST_STEPS: usize = 20_000;

/// Hours of a generator's training below which a second fold is not worth its time. A rule of thumb.
const GENERATOR_HOURS: f64 = 2.0;

/// Validations in the steps of a segmenter, and the validations that its patience waits: a fifth of the training.
const VALIDATIONS: usize = 50;
pub(super) const PATIENCE: usize = 10;

/// How much Dice varies: on LGG at 64 x 64, the standard deviation of a training's mean over three seeds, pooled over eight training sets
/// with real pairs, and that of the patients' differences from real pairs, over five of them (results/lgg-small/cases.csv).
pub const VARIATION: Variation = Variation { trainings: 0.015, patients: 0.03 };

/// What the hours allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// How many folds of the cross-validation are computed.
    pub folds: usize,
    /// Segmenters of each training set in each fold.
    pub seeds: usize,
    /// The most optimiser steps of a segmenter.
    pub steps: usize,
    /// Steps between validations.
    pub validate_every: usize,
}

impl Design {
    /// The best design that leaves generators and segmenters time enough, or the cheapest. `seconds_a_step` is that of a segmenter, and
    /// `validation` the seconds of a validation.
    pub fn of(hours: f64, seconds_a_step: f64, validation: f64) -> Self {
        let all = DESIGNS.map(|design| Self::sized(design, hours, seconds_a_step, validation));
        let is_enough = |design: &&Self| {
            let generator = GENERATORS * hours / design.folds as f64;
            design.steps >= ENOUGH_STEPS && (design.folds == 1 || generator >= GENERATOR_HOURS)
        };
        all.iter().find(is_enough).copied().unwrap_or(all[all.len() - 1])
    }

    /// So many folds and segmenters in each, with as many steps as the hours allow.
    pub fn sized([folds, seeds]: [usize; 2], hours: f64, seconds_a_step: f64, validation: f64) -> Self {
        let each = SEGMENTERS * 3600.0 * hours / (folds * seeds * TRAINING_SETS) as f64;
        let training = (each - VALIDATIONS as f64 * validation).max(0.0);
        let steps = ((training / seconds_a_step.max(1e-9)) as usize).clamp(1, MOST_STEPS);
        Self { folds, seeds, steps, validate_every: steps.div_ceil(VALIDATIONS) }
    }

    /// Segmenters of one training set.
    pub fn segmenters(&self) -> usize {
        self.folds * self.seeds
    }

    /// What a comparison could detect, if so many patients are tested in each fold.
    pub fn expected(&self, patients_in_a_fold: usize) -> Option<Expected> {
        expected(
            VARIATION,
            Comparison {
                patients: self.folds * patients_in_a_fold,
                folds: self.folds,
                trainings: self.seeds,
                alike: TRAINING_SETS,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_hours_give_more_folds_and_never_too_many_steps() {
        let of = |hours: f64| Design::of(hours, 0.1, 1.0);
        // 0.4 * 3600 s / 9 segmenters = 160 s, less 50 validations: 1,100 steps.
        assert_eq!(of(1.0), Design { folds: 1, seeds: 3, steps: 1_100, validate_every: 22 });
        let [few, six, three, five] = [2.0, 5.0, 14.0, 23.0].map(of);
        assert_eq!(
            [few, six, three, five].map(|design| [design.folds, design.seeds]),
            [[1, 3], [1, 6], [3, 3], [5, 3]]
        );
        for hours in [0.0001, 0.1, 1.0, 10.0, 1000.0] {
            let design = of(hours);
            let seconds = (design.segmenters() * TRAINING_SETS * design.steps) as f64 * 0.1;
            assert!(design.steps == 1 || seconds <= SEGMENTERS * 3600.0 * hours + 1e-6, "{hours}: {design:?}");
            assert!((1..=MOST_STEPS).contains(&design.steps) && design.validate_every > 0);
        }
    }

    #[test]
    fn what_could_be_detected_falls_with_patients() {
        let design = Design::of(1.0, 0.1, 1.0);
        let of = |patients| design.expected(patients).map(|found| found.detectable);
        assert_eq!(of(1), None);
        assert!(of(80) < of(20) && of(20) < of(5));
    }
}
