//! Measures predictions: the scores of every case, and the columns of their table.

use crate::network::lesion;
use pig_data::{
    PreparedSet,
    table::{Column, Columns},
};
use pig_metrics::{
    evaluation::{Case, CaseScores, Evaluation, EvaluationSettings, evaluate},
    overlap::{BothEmpty, Counts, Overlap},
};

/// The columns of the table of cases, from which every mean can be recomputed.
pub const CASE_COLUMNS: &Columns<CaseScores> = &[
    ("id", Column::Text(|case| &case.id)),
    ("group", Column::Text(|case| case.group.as_deref().unwrap_or_default())),
    ("true_positive", Column::Count(|case| case.counts.true_positive)),
    ("false_positive", Column::Count(|case| case.counts.false_positive)),
    ("false_negative", Column::Count(|case| case.counts.false_negative)),
    ("dice", Column::MaybeNumber(|case| overlap(case, |o| o.dice))),
    ("iou", Column::MaybeNumber(|case| overlap(case, |o| o.iou))),
    ("precision", Column::MaybeNumber(|case| overlap(case, |o| o.precision))),
    ("recall", Column::MaybeNumber(|case| overlap(case, |o| o.recall))),
    ("surface_dice", Column::MaybeNumber(|case| case.surface_dice)),
    ("hausdorff_95", Column::MaybeNumber(|case| case.hausdorff_95)),
    ("hausdorff_95_joint", Column::MaybeNumber(|case| case.hausdorff_95_joint)),
    ("lesions", Column::Count(|case| case.lesions.lesions as u64)),
    ("lesions_found", Column::Count(|case| case.lesions.found as u64)),
    ("predicted", Column::Count(|case| case.lesions.predicted as u64)),
    ("false_lesions", Column::Count(|case| case.lesions.false_positives as u64)),
];

fn overlap(case: &CaseScores, of: fn(&Overlap) -> f64) -> Option<f64> {
    case.overlap.as_ref().map(of)
}

/// The true masks of a set.
fn truths(set: &PreparedSet) -> Vec<Vec<bool>> {
    (0..set.len()).map(|index| set.mask(index).iter().map(|&value| value > 0.0).collect()).collect()
}

/// Compares probabilities (one picture per pair of `set`) with the masks of `set`, in prepared pixels.
pub fn measure(probabilities: &[Vec<f32>], set: &PreparedSet, threshold: f64) -> Evaluation {
    let (truths, [height, width]) = (truths(set), set.size);
    let predictions: Vec<Vec<bool>> = probabilities.iter().map(|p| lesion(p, threshold)).collect();
    let case = |index: usize| Case {
        id: &set.ids[index],
        prediction: &predictions[index],
        truth: &truths[index],
        height,
        width,
        group: Some(&set.groups[index]),
    };
    evaluate(&(0..set.len()).map(case).collect::<Vec<_>>(), &EvaluationSettings::default())
}

/// The Dice of each picture; None if both masks are empty.
pub fn dice_of(probabilities: &[Vec<f32>], set: &PreparedSet, threshold: f64) -> Vec<Option<f64>> {
    let dice = |(p, truth): (&Vec<f32>, &Vec<bool>)| {
        Counts::new(&lesion(p, threshold), truth).overlap(BothEmpty::Skip).map(|overlap| overlap.dice)
    };
    probabilities.iter().zip(&truths(set)).map(dice).collect()
}

/// The mean Dice per slice, without slices in which both masks are empty; None if no slice is left.
pub fn mean_dice(probabilities: &[Vec<f32>], set: &PreparedSet, threshold: f64) -> Option<f64> {
    let found: Vec<f64> = dice_of(probabilities, set, threshold).into_iter().flatten().collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}
