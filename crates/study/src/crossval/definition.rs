//! The definition of the numbers of a cross-validation, as text.

use crate::crossval::open::Crossval;

/// Defines the numbers, and says how many patients and pairs they are based on. `measured` is the number of folds with a finished
/// segmenter; `open` are the training sets that have none.
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
        "{folds} folds {}{so_far}; {}{} training, {} validation and {} test pairs in each fold; {} segmenter seeds, one generator seed; {steps}. \
         Dice, IoU, precision and recall are computed per slice at {height} x {width}, without slices in which both masks are empty; \
         Hausdorff 95 is in pixels, over slices in which neither mask is empty. Each number is the mean over folds with its standard \
         deviation. The difference in Dice is the mean over cases (averaged over seeds) with a 95 % bootstrap interval by patient; p is \
         from a paired permutation test by patient. The difference leaves out slices for which only one of the two has a Dice: those \
         without a lesion in which only one of the two finds something. Such a slice has a Dice of 0 for that one.{not_yet}",
        crossval.folds.first().map(|fold| fold.by.to_string()).unwrap_or_default(),
        share_words(file.crossval.patients),
        count(|fold| fold.training.len()),
        count(|fold| fold.validation.len()),
        count(|fold| fold.test.len()),
        file.crossval.segmenter_seeds.len(),
    )
}

fn share_words(patients: f64) -> String {
    if patients < 1.0 {
        format!("{:.0} % of the patients outside the test set; ", 100.0 * patients)
    } else {
        String::new()
    }
}
