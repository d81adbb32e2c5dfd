//! The definition of the numbers of a cross-validation, as text.

use crate::crossval::{config::CrossvalConfig, open::Crossval};

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
        "{folds} folds {}{so_far}; {}{} training, {} validation and {} test pairs in each fold; {} segmenter seeds, {}; {steps}. \
         Dice per slice at {height} x {width} on all slices with a lesion, mean within each patient and segmenter, {}, and then over patients; \
         the difference, its interval and p are of this quantity on the same patients. Beside it stands the share of slices without a lesion in which \
         something is found, averaged in the same way. Intervals are 95 % intervals of a bootstrap by the sources that are named below the table, with Student's \
         quantiles at Satterthwaite's degrees of freedom; segmenters of the two training sets are not paired, and their variance is shared by all training \
         sets that hold the real pairs{}. p belongs to the interval and is printed with < where resamples end; p (Holm) counts all rows of the table. \
         Detectable: the true difference that is found with a power of 80 % at 5 %, uncorrected.{not_yet}{}",
        crossval.folds.first().map(|fold| fold.by.to_string()).unwrap_or_default(),
        share_words(&file.crossval),
        count(|fold| fold.training.len()),
        count(|fold| fold.validation.len()),
        count(|fold| fold.test.len()),
        file.crossval.segmenter_seeds.len(),
        generator_words(&file.crossval),
        over_words(&file.crossval),
        placebo_words(&file.crossval),
        mean_words(&crossval.classes()),
    )
}

fn placebo_words(config: &CrossvalConfig) -> &'static str {
    if config.arms.iter().all(|arm| arm.placebo.is_empty()) { "" } else { " and no masks of other pairs" }
}

/// Over what a patient's values are averaged.
fn over_words(config: &CrossvalConfig) -> &'static str {
    if config.generators() == 1 { "over segmenters" } else { "over the segmenters of each generator, over generators" }
}

fn generator_words(config: &CrossvalConfig) -> String {
    match config.generators() {
        1 => "one generator seed".to_owned(),
        several => format!("{several} generator seeds, among which those of the segmenters are divided"),
    }
}

/// What the measures of a slice are if there are several classes.
fn mean_words(classes: &[&str]) -> String {
    if classes.is_empty() {
        return String::new();
    }
    format!(
        " The masks have the classes {}: each measure of a slice is its mean over the classes that its prediction or its true mask has, so a \
         class that is found in vain counts as 0. A slice has a lesion if its true mask has a class. Tables of each class follow.",
        classes.join(", ")
    )
}

/// Defines the numbers of one class.
pub(super) fn definition_of_class(class: &str) -> String {
    format!(
        "The class {class} alone: only its pixels are lesion, in predictions and in true masks, so slices with a lesion are those that have \
         this class. All else is as in the table of all classes; p (Holm) counts the rows of the tables of all single classes."
    )
}

fn share_words(config: &CrossvalConfig) -> String {
    let (share, least) = (100.0 * config.patients, config.min_validation_patients);
    if config.patients < 1.0 {
        format!("{share:.0} % of the patients outside the test set, but at least {least} that validate; ")
    } else {
        String::new()
    }
}
