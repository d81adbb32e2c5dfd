//! The rules of `pig boost`: how the hours are divided, how many folds and segmenters they allow, and what that could detect. All of them
//! are here, and what no measurement decides is marked as a rule of thumb.

use pig_metrics::contrast::{
    LEAST_FOLDS,
    expected::{Design as Comparison, Variation, expected},
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

/// The fewest steps of a segmenter, whatever the hours. A rule of thumb.
const FEWEST_STEPS: usize = 50;

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

/// What decides the steps of segmenters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Seconds of a step.
    pub step: f64,
    /// Seconds of a validation.
    pub validation: f64,
    /// The fewest steps, whatever the hours.
    pub least: usize,
}

/// The fewest steps of segmenters that train on so many real pairs of a fold and on generated ones: more draws than real pairs, so that every
/// segmenter draws a generated pair, in whatever order they come.
pub(super) fn least_steps(real: usize, batch_size: usize) -> usize {
    FEWEST_STEPS.max(real / batch_size.max(1) + 1)
}

impl Design {
    /// The best design that leaves generators and segmenters time enough, or the cheapest.
    pub fn of(hours: f64, costs: Costs) -> Self {
        let is_enough = |&[folds, seeds]: &[usize; 2]| {
            let generator = GENERATORS * hours / folds as f64;
            Self::affordable([folds, seeds], hours, costs) >= ENOUGH_STEPS
                && (folds == 1 || generator >= GENERATOR_HOURS)
        };
        let size = DESIGNS.into_iter().find(is_enough).unwrap_or(DESIGNS[DESIGNS.len() - 1]);
        Self::sized(size, hours, costs)
    }

    /// So many folds and segmenters in each, with as many steps as the hours allow; with the fewest, if they allow less.
    pub fn sized([folds, seeds]: [usize; 2], hours: f64, costs: Costs) -> Self {
        let steps = Self::affordable([folds, seeds], hours, costs).min(MOST_STEPS).max(costs.least).max(1);
        Self { folds, seeds, steps, validate_every: steps.div_ceil(VALIDATIONS) }
    }

    /// The steps of a segmenter that the hours allow.
    fn affordable([folds, seeds]: [usize; 2], hours: f64, costs: Costs) -> usize {
        let each = SEGMENTERS * 3600.0 * hours / (folds * seeds * TRAINING_SETS) as f64;
        let training = (each - VALIDATIONS as f64 * costs.validation).max(0.0);
        (training / costs.step.max(1e-9)) as usize
    }
}

/// The gain in Dice that a comparison finds with a power of 80 %, if so many patients are tested in all folds together, each training set has
/// so many segmenters in each fold, and so many training sets hold the real pairs; none if it gives no interval.
pub(super) fn detectable(patients: usize, [folds, segmenters]: [usize; 2], alike: usize) -> Option<f64> {
    let comparison = Comparison { patients, folds, trainings: segmenters, alike };
    expected(VARIATION, comparison).map(|found| found.detectable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs { step: 0.1, validation: 1.0, least: FEWEST_STEPS };

    #[test]
    fn more_hours_give_more_folds_and_never_too_many_steps() {
        let of = |hours: f64| Design::of(hours, COSTS);
        // 0.4 * 3600 s / 9 segmenters = 160 s, less 50 validations: 1,100 steps.
        assert_eq!(of(1.0), Design { folds: 1, seeds: 3, steps: 1_100, validate_every: 22 });
        let [few, six, three, five] = [2.0, 5.0, 14.0, 23.0].map(of);
        assert_eq!(
            [few, six, three, five].map(|design| [design.folds, design.seeds]),
            [[1, 3], [1, 6], [3, 3], [5, 3]]
        );
        for hours in [0.0001, 0.1, 1.0, 10.0, 1000.0] {
            let design = of(hours);
            let seconds = (design.folds * design.seeds * TRAINING_SETS * design.steps) as f64 * 0.1;
            assert!(
                design.steps == COSTS.least || seconds <= SEGMENTERS * 3600.0 * hours + 1e-6,
                "{hours}: {design:?}"
            );
            assert!((COSTS.least..=MOST_STEPS).contains(&design.steps) && design.validate_every > 0);
        }
    }

    /// However few the hours, and however many the real pairs: the draws are more than the real pairs. Such steps do not make a design
    /// enough that the hours do not allow.
    #[test]
    fn segmenters_always_draw_generated_pairs() {
        assert_eq!([1, 399, 400].map(|real| least_steps(real, 8)), [50, 50, 51]);
        for (real, batch_size) in [(1, 1), (7, 2), (3_000, 8), (200_000, 8)] {
            let costs = Costs { least: least_steps(real, batch_size), ..COSTS };
            let design = Design::of(0.0001, costs);
            assert!(design.steps * batch_size > real, "{design:?}");
            assert_eq!([design.folds, design.seeds], [1, 3], "{design:?}");
        }
    }

    #[test]
    fn what_could_be_detected_falls_with_patients() {
        let design = Design::of(1.0, COSTS);
        let of = |patients| detectable(patients, [design.folds, design.seeds], TRAINING_SETS);
        assert_eq!(of(1), None);
        assert!(of(80) < of(20) && of(20) < of(5));
    }
}
