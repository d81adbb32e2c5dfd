//! Table 2: Dice, IoU, precision and recall of segmenters that are trained on real pairs, and on real pairs with generated pairs of each
//! method.
//!
//! The table comes from a cross-validation. Methods that make images for masks get the fold's training masks. Segmenters that are trained
//! on pairs of `pig` instead of real ones, as generated and with shuffled masks, measure what the pairing is worth.

use crate::{
    crossval::{
        config::ArmConfig,
        open::{Crossval, Selection},
        results::Results,
        text::PAPER,
    },
    experiments::{
        config::PIG,
        latex::{Captioned, write_latex},
        study::Study,
    },
};
use burn::tensor::Device;
use pig_data::Splits;
use pig_report::Table;
use pig_train::{
    Result,
    observer::{Observer, Outcome},
};

/// The arms of table2. Without `folds`, generators keep the steps of their own configuration, even if the experiment counts epochs.
pub(super) fn arms(study: &Study, folds: Option<&[Splits]>) -> Result<Vec<ArmConfig>> {
    let experiment = &study.loaded.file.experiment;
    let names = experiment.arms.iter().filter(|name| study.loaded.file.generators.contains_key(*name));
    names
        .map(|name| {
            let steps = folds.map_or(Ok(None), |folds| study.steps(name, folds))?;
            let arm = study.loaded.arm(name, steps)?;
            let alone = |counts: &[_]| if name == PIG { counts.to_vec() } else { Vec::new() };
            Ok(ArmConfig {
                add: experiment.add.clone(),
                only: alone(&experiment.only),
                shuffled: alone(&experiment.shuffled),
                ..arm
            })
        })
        .collect()
}

/// The cross-validation of table2.
pub(super) fn open(study: &Study, observer: &dyn Observer) -> Result<Crossval> {
    let arms = arms(study, Some(&study.folds()?))?;
    study.open(study.loaded.crossval(arms), &study.request.out, observer)
}

/// Runs the selected pieces that are not finished, and writes the tables of all finished pieces.
pub fn run(
    study: &Study,
    selection: &Selection,
    device: &Device,
    observer: &dyn Observer,
) -> Result<(Outcome, Option<Results>)> {
    study.begin()?;
    let crossval = open(study, observer)?;
    if crossval.run(selection, device, observer)? == Outcome::Interrupted {
        return Ok((Outcome::Interrupted, None));
    }
    let mut results = crossval.results()?;
    results.definition = format!("{} {}", results.definition, study.notes());
    results.write(&study.request.out)?;
    // The tables of all classes together, and those of each class.
    let classes = results.classes.iter().enumerate();
    let classes = classes.map(|(index, class)| (format!("-class-{}", index + 1), &class.results));
    let made: Vec<[(Table, String, String); 2]> = std::iter::once((String::new(), &results))
        .chain(classes)
        .map(|(ending, found)| {
            let label = format!("pig-table2{ending}");
            let caption = if ending.is_empty() { PAPER.to_owned() } else { format!("{} {PAPER}", found.definition) };
            let paper = (found.paper_table(), caption, format!("{label}-paper"));
            [(found.table(), found.definition.clone(), label), paper]
        })
        .collect();
    let tables: Vec<Captioned<'_>> =
        made.iter().flatten().map(|(table, caption, label)| (table, caption.as_str(), label.as_str())).collect();
    write_latex(&study.request.out, &tables)?;
    Ok((Outcome::Finished, Some(results)))
}
