//! What the numbers of a cross-validation are, in words.

use crate::crossval::open::Crossval;

/// What the numbers are, and how many patients and pairs stand behind them. `measured` folds have a segmenter that is done, the
/// training sets `open` have none.
pub(super) fn definition(crossval: &Crossval, measured: usize, open: &[&str]) -> String {
    let (file, [height, width]) = (&crossval.file, crossval.file.data.size);
    let steps = if file.segment.train.equal_epochs { "equal epochs" } else { "equal optimiser steps" };
    let count = |of: fn(&pig_data::Splits) -> usize| {
        let counts = crossval.folds.iter().map(of);
        format!("{} to {}", counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0))
    };
    let folds = crossval.folds.len();
    let so_far = if measured < folds { format!(", {measured} of them measured so far") } else { String::new() };
    let not_yet = if open.is_empty() { String::new() } else { format!(" Not measured yet: {}.", open.join(", ")) };
    format!(
        "{folds} folds {}{so_far}; {}{} training, {} validating and {} test pairs a fold; {} segmenter seeds, one generator seed; {steps}. \
         Dice, IoU, precision and recall per slice at {height} x {width}, slices left out in which both masks are empty; Hausdorff 95 in \
         pixels, over slices in which neither mask is. Each number is the mean over folds and its standard deviation; the difference in \
         Dice is the mean over cases (averaged over seeds) with a 95 % bootstrap interval by patient, and p of a paired permutation \
         test by patient. It leaves out slices with a Dice on one side alone: those without a lesion on which one of the two finds \
         something, which is a Dice of 0 in that one's column.{not_yet}",
        crossval.folds.first().map(|fold| fold.by.to_string()).unwrap_or_default(),
        share_words(file.crossval.patients),
        count(|fold| fold.training.len()),
        count(|fold| fold.validation.len()),
        count(|fold| fold.test.len()),
        file.crossval.segmenter_seeds.len(),
    )
}

fn share_words(patients: f64) -> String {
    if patients < 1.0 { format!("{:.0} % of the patients that do not test; ", 100.0 * patients) } else { String::new() }
}
