//! Overlap by class, and in the mean of classes.
//!
//! A class is measured as a mask of its own, so each measure of [`crate::evaluation`] has a value for each class, and the rules for empty
//! masks hold for each class. It does not matter whether classes exclude each other. **The mean of classes** of a case is
//! the mean over the classes that its prediction or its truth has; cases are then averaged. So it is MONAI's `DiceMetric` with
//! `reduction="mean"`, and the values by class are those with `reduction="mean_batch"`, both without the background, but that MONAI leaves
//! out classes without a true pixel, where a class that is predicted in vain counts 0 here.

use serde::Serialize;

use crate::bootstrap::{Estimate, bootstrap_mean};
use crate::evaluation::{Case, Evaluation, EvaluationSettings, evaluate, groups};
use crate::overlap::{BothEmpty, Counts};

/// The predicted masks of all classes with the true ones, each row-major `height x width`, in the order of the classes.
#[derive(Debug, Clone, Copy)]
pub struct ClassCase<'a> {
    /// The name of the case in the results.
    pub id: &'a str,
    /// The predicted mask of each class.
    pub prediction: &'a [Vec<bool>],
    /// The true mask of each class.
    pub truth: &'a [Vec<bool>],
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

/// Compares predicted masks with true ones, class by class.
///
/// # Panics
///
/// When a case has no mask for one of `names`, or a mask does not have `height * width` pixels: a mistake of the calling code.
#[must_use]
pub fn evaluate_classes(cases: &[ClassCase], names: &[&str], settings: &EvaluationSettings) -> ClassEvaluation {
    let evaluation = |class: usize| {
        let cases: Vec<Case> = cases.iter().map(|case| case.of(class)).collect();
        evaluate(&cases, settings)
    };
    let classes: Vec<(String, Evaluation)> =
        names.iter().enumerate().map(|(class, name)| ((*name).to_owned(), evaluation(class))).collect();
    let means = cases.iter().map(|case| mean_of_classes(&class_dice(case.prediction, case.truth)));
    let (values, named): (Vec<f64>, Vec<Option<&str>>) =
        means.zip(cases).filter_map(|(mean, case)| Some((mean?, case.group))).unzip();
    let groups = groups(named.into_iter());
    ClassEvaluation { classes, mean_dice: bootstrap_mean(&values, groups.as_deref(), &settings.bootstrap) }
}

impl<'a> ClassCase<'a> {
    /// The case of one class, counted from 0.
    ///
    /// # Panics
    ///
    /// When the case has no such class.
    #[must_use]
    pub fn of(&self, class: usize) -> Case<'a> {
        let Self { id, height, width, group, prediction, truth } = *self;
        Case { id, prediction: &prediction[class], truth: &truth[class], height, width, group }
    }
}

/// The Dice of each class; `None` for one that neither prediction nor truth has.
#[must_use]
pub fn class_dice(prediction: &[Vec<bool>], truth: &[Vec<bool>]) -> Vec<Option<f64>> {
    let dice = |(prediction, truth): (&Vec<bool>, &Vec<bool>)| {
        Counts::new(prediction, truth).overlap(BothEmpty::Skip).map(|overlap| overlap.dice)
    };
    prediction.iter().zip(truth).map(dice).collect()
}

/// The mean of the classes that have a value; `None` if none has.
#[must_use]
pub fn mean_of_classes(values: &[Option<f64>]) -> Option<f64> {
    let found: Vec<f64> = values.iter().flatten().copied().collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}
