//! Overlap of label maps by class, and in the mean of classes.
//!
//! Label maps hold 0 for the background and k for the class k, counted from 1. A class is measured as a mask of its own, so each measure of
//! [`crate::evaluation`] has a value for each class, and the rules for empty masks hold for each class. **The mean of classes** of a case is
//! the mean over the classes that its prediction or its truth has; cases are then averaged. So it is MONAI's `DiceMetric` with
//! `reduction="mean"`, and the values by class are those with `reduction="mean_batch"`, both without the background, but that MONAI leaves
//! out classes without a true pixel, where a class that is predicted in vain counts 0 here.

use serde::Serialize;

use crate::bootstrap::{Estimate, bootstrap_mean};
use crate::evaluation::{Case, Evaluation, EvaluationSettings, evaluate, groups};
use crate::overlap::{BothEmpty, Counts};

/// One predicted label map with the true one, row-major `height x width`.
#[derive(Debug, Clone, Copy)]
pub struct LabelCase<'a> {
    /// The name of the case in the results.
    pub id: &'a str,
    /// The predicted labels.
    pub prediction: &'a [u8],
    /// The true labels.
    pub truth: &'a [u8],
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
    /// The patient or another group, if known.
    pub group: Option<&'a str>,
}

/// The result of [`evaluate_classes`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassEvaluation {
    /// The measures of each class, by its name.
    pub classes: Vec<(String, Evaluation)>,
    /// The mean over cases of the mean Dice of the classes that a case has; `None` if no case has a value.
    pub mean_dice: Option<Estimate>,
}

/// Compares predicted label maps with true ones, class by class.
///
/// # Panics
///
/// When a map does not have `height * width` pixels, a mistake of the calling code.
#[must_use]
pub fn evaluate_classes(cases: &[LabelCase], names: &[&str], settings: &EvaluationSettings) -> ClassEvaluation {
    let evaluation = |class: usize| {
        let masks: Vec<[Vec<bool>; 2]> =
            cases.iter().map(|case| [case.prediction, case.truth].map(|labels| mask_of(labels, class))).collect();
        let cases: Vec<Case> = cases
            .iter()
            .zip(&masks)
            .map(|(case, [prediction, truth])| {
                let LabelCase { id, height, width, group, .. } = *case;
                Case { id, prediction, truth, height, width, group }
            })
            .collect();
        evaluate(&cases, settings)
    };
    let classes: Vec<(String, Evaluation)> =
        names.iter().enumerate().map(|(class, name)| ((*name).to_owned(), evaluation(class))).collect();
    let means = cases.iter().map(|case| mean_of_classes(&class_dice(case.prediction, case.truth, names.len())));
    let (values, named): (Vec<f64>, Vec<Option<&str>>) =
        means.zip(cases).filter_map(|(mean, case)| Some((mean?, case.group))).unzip();
    let groups = groups(named.into_iter());
    ClassEvaluation { classes, mean_dice: bootstrap_mean(&values, groups.as_deref(), &settings.bootstrap) }
}

/// The Dice of each class, counted from 0; `None` for one that neither map has.
#[must_use]
pub fn class_dice(prediction: &[u8], truth: &[u8], classes: usize) -> Vec<Option<f64>> {
    let dice = |class: usize| {
        let counts = Counts::new(&mask_of(prediction, class), &mask_of(truth, class));
        counts.overlap(BothEmpty::Skip).map(|overlap| overlap.dice)
    };
    (0..classes).map(dice).collect()
}

/// The mean of the classes that have a value; `None` if none has.
#[must_use]
pub fn mean_of_classes(dice: &[Option<f64>]) -> Option<f64> {
    let found: Vec<f64> = dice.iter().flatten().copied().collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// The mask of a class, counted from 0.
fn mask_of(labels: &[u8], class: usize) -> Vec<bool> {
    labels.iter().map(|&label| usize::from(label) == class + 1).collect()
}
