//! Measures predictions: the scores of every case, and the columns of their table.

use crate::decision::Decision;
use pig_data::{
    PreparedSet,
    table::{Column, Columns},
};
use pig_metrics::{
    classes::{ClassCase, class_dice, mean_of_classes},
    evaluation::{Case, CaseScores, Evaluation, EvaluationSettings, score, summarise},
    overlap::Overlap,
};
use pig_train::Result;

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

/// The scores of the picture `index` of a set, whose true mask is that of the set, in prepared pixels; all classes are lesion.
pub fn case_scores(probabilities: &[f32], set: &PreparedSet, index: usize, decision: &Decision) -> Result<CaseScores> {
    let prediction = decision.lesion(probabilities);
    let (truth, [height, width]) = (set.lesion(index)?, set.size);
    let (id, group) = (set.ids[index].as_str(), Some(set.groups[index].as_str()));
    let case = Case { id, prediction: &prediction, truth: &truth, height, width, group };
    Ok(score(&case, &EvaluationSettings::default()))
}

/// As [`case_scores`], those of each class alone.
pub fn class_scores(
    probabilities: &[f32],
    set: &PreparedSet,
    index: usize,
    decision: &Decision,
) -> Result<Vec<CaseScores>> {
    let prediction = decision.coding.masks(&decision.labels(probabilities));
    let (truth, [height, width]) = (set.class_masks(index)?, set.size);
    let (id, group) = (set.ids[index].as_str(), Some(set.groups[index].as_str()));
    let case = ClassCase { id, prediction: &prediction, truth: &truth, height, width, group };
    Ok((0..set.classes).map(|class| score(&case.of(class), &EvaluationSettings::default())).collect())
}

/// The measures of all pictures of a set from their [`case_scores`].
pub fn evaluation(cases: Vec<CaseScores>) -> Evaluation {
    summarise(cases, &EvaluationSettings::default())
}

/// The Dice of the picture `index` of a set; None if both masks are empty. Of several classes, it is the mean of the Dice of those that the
/// prediction or the truth has.
pub fn dice_of(probabilities: &[f32], set: &PreparedSet, index: usize, decision: &Decision) -> Result<Option<f64>> {
    Ok(mean_of_classes(&dice_of_classes(probabilities, set, index, decision)?))
}

/// The Dice of each class in the picture `index` of a set; None for a class that neither prediction nor truth has.
pub fn dice_of_classes(
    probabilities: &[f32],
    set: &PreparedSet,
    index: usize,
    decision: &Decision,
) -> Result<Vec<Option<f64>>> {
    let prediction = decision.coding.masks(&decision.labels(probabilities));
    Ok(class_dice(&prediction, &set.class_masks(index)?))
}

/// The mean Dice per slice, without slices in which both masks are empty; None if no slice is left.
pub fn mean_dice(found: &[Option<f64>]) -> Option<f64> {
    let found: Vec<f64> = found.iter().copied().flatten().collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}
