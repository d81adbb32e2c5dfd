//! What a comparison could detect, before anything is measured: by how much trainings and patients vary elsewhere.

use super::{Contrast, LEAST_FOLDS, MISSES, Variance, detectable};

/// How much outcomes vary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    /// The standard deviation of an arm's mean over trainings that differ in their seed alone.
    pub trainings: f64,
    /// The standard deviation over patients of the difference between two arms.
    pub patients: f64,
}

/// A comparison of two arms that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Design {
    /// All tested patients.
    pub patients: usize,
    /// The folds, which test different patients.
    pub folds: usize,
    /// The trainings of each arm in each fold.
    pub trainings: usize,
    /// The arms whose trainings vary alike.
    pub alike: usize,
}

/// What is expected of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The standard error of the difference.
    pub standard_error: f64,
    /// Satterthwaite's degrees of freedom.
    pub degrees_of_freedom: f64,
    /// The true difference that is found with a power of 80 % at 5 %, uncorrected.
    pub detectable: f64,
}

/// The standard error and the detectable difference of a planned comparison. What varies by training and patient together is not known
/// before, and is left out. `None` for fewer than two patients, or one training of each arm, which give no interval.
#[must_use]
pub fn expected(variation: Variation, design: Design) -> Option<Expected> {
    let Design { patients, folds, trainings, alike } = design;
    if patients < 2 || trainings < 2 || folds == 0 {
        return None;
    }
    let of_patients = variation.patients.powi(2) / patients as f64;
    let of_runs = 2.0 * variation.trainings.powi(2) / (folds * trainings) as f64;
    let mut variance = Variance { patients: of_patients, runs: of_runs, ..Variance::default() };
    if folds < LEAST_FOLDS {
        variance.estimated(of_patients, patients as f64 - 1.0);
        variance.estimated(of_runs, (alike * folds * (trainings - 1)) as f64);
    } else {
        // The variance is then known by whole folds alone, which contain that of patients and of trainings.
        variance.estimated(of_patients + of_runs, folds as f64 - 1.0);
    }
    let (error, degrees) = (variance.total().sqrt(), variance.degrees(patients));
    Some(Expected {
        standard_error: error,
        degrees_of_freedom: degrees,
        detectable: detectable(MISSES, error, degrees),
    })
}

impl Contrast {
    /// The true difference that is found with a power of 80 % at 5 % by the first step of Holm's method for so many comparisons.
    #[must_use]
    pub fn detectable_among(&self, comparisons: usize) -> f64 {
        detectable(MISSES / comparisons.max(1) as f64, self.standard_error, self.degrees_of_freedom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contrast::{Arm, Run, Settings, contrast};

    #[test]
    fn it_is_the_usual_formula_where_one_source_varies() {
        // 101 patients, trainings that do not vary: t(0.975, 100) + t(0.8, 100) = 1.98397 + 0.84523.
        let design = Design { patients: 101, folds: 1, trainings: 3, alike: 2 };
        let found = expected(Variation { trainings: 0.0, patients: 0.1 }, design).unwrap();
        assert!((found.standard_error - 0.1 / 101.0_f64.sqrt()).abs() < 1e-12);
        assert!((found.degrees_of_freedom - 100.0).abs() < 1e-9);
        assert!((found.detectable / found.standard_error - 2.82920).abs() < 1e-4, "{found:?}");
        // Patients that do not vary: a t-test of 3 against 3, with 4 degrees of freedom: 2.77645 + 0.94096.
        let found = expected(Variation { trainings: 0.03, patients: 0.0 }, design).unwrap();
        assert!((found.standard_error - 0.03 * (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((found.detectable / found.standard_error - 3.71741).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn of_several_comparisons_each_detects_less() {
        let names = ["a", "b", "c", "d", "e"];
        let arm = |values: [f64; 5]| Arm {
            runs: vec![Run { fold: 0, generator: None, segmenter: 0, values: names.into_iter().zip(values).collect() }],
            is_alike: true,
        };
        let (ours, theirs) = (arm([0.5, 0.7, 0.4, 0.6, 0.9]), arm([0.4, 0.7, 0.5, 0.3, 0.8]));
        let found = contrast(&ours, &theirs, &[&ours, &theirs], &Settings::default()).unwrap();
        // Five patients: t(0.975, 4) + t(0.8, 4), and with p below 0.025, t(0.9875, 4) + t(0.8, 4).
        assert!((found.detectable / found.standard_error - 3.71741).abs() < 1e-4, "{found:?}");
        assert!((found.detectable_among(2) / found.standard_error - 4.43637).abs() < 1e-4, "{found:?}");
        assert_eq!(found.detectable_among(1), found.detectable);
    }

    /// As in a comparison of whole folds, whose degrees of freedom are one less than the folds.
    #[test]
    fn three_folds_detect_what_a_comparison_by_folds_does() {
        let variation = Variation { trainings: 0.015, patients: 0.03 };
        // t(0.975, 2) + t(0.8, 2), and the same with 4 degrees of freedom; 2 folds are still compared by patients and trainings.
        for (folds, factor) in [(3, 5.36331), (5, 3.71741)] {
            let patients = 5 * folds;
            let found = expected(variation, Design { patients, folds, trainings: 3, alike: 3 }).unwrap();
            let error = (0.03_f64.powi(2) / patients as f64 + 2.0 * 0.015_f64.powi(2) / (3 * folds) as f64).sqrt();
            assert!((found.standard_error - error).abs() < 1e-12, "{found:?}");
            assert!((found.degrees_of_freedom - (folds as f64 - 1.0)).abs() < 1e-9, "{found:?}");
            assert!((found.detectable / error - factor).abs() < 1e-4, "{found:?}");
        }
        let names: Vec<String> = (0..15).map(|patient| format!("p{patient:02}")).collect();
        let arm = |gain: f64| Arm {
            runs: (0..9)
                .map(|run: u64| Run {
                    fold: run / 3,
                    generator: None,
                    segmenter: run % 3,
                    values: (0..5)
                        .map(|patient| (run / 3) as usize * 5 + patient)
                        .map(|patient| {
                            (names[patient].as_str(), 0.5 + gain * (patient % 7) as f64 + 0.01 * (run % 3) as f64)
                        })
                        .collect(),
                })
                .collect(),
            is_alike: true,
        };
        let (ours, theirs) = (arm(0.01), arm(0.0));
        let measured = contrast(&ours, &theirs, &[&ours, &theirs], &Settings::default()).unwrap();
        assert_eq!((measured.folds, measured.degrees_of_freedom), (3, 2.0));
    }

    #[test]
    fn more_of_each_detects_less_and_one_training_says_nothing() {
        let variation = Variation { trainings: 0.015, patients: 0.03 };
        let of = |patients, folds, trainings| {
            expected(variation, Design { patients, folds, trainings, alike: 3 }).unwrap().detectable
        };
        assert!(of(40, 1, 3) < of(20, 1, 3) && of(20, 1, 6) < of(20, 1, 3) && of(60, 5, 3) < of(60, 3, 3));
        assert_eq!(expected(variation, Design { patients: 20, folds: 1, trainings: 1, alike: 3 }), None);
        assert_eq!(expected(variation, Design { patients: 1, folds: 1, trainings: 3, alike: 3 }), None);
    }
}
