//! Few patients: segmenters that were trained on real pairs against segmenters that were trained on real and generated pairs, for different
//! shares of the patients.
//!
//! Each share is a cross-validation of its own. The test sets are the same for all shares. The patients of a smaller share are a subset of
//! the patients of a larger share. Generator training, segmenter training and checkpoint selection see only the patients of the share.

use crate::{
    crossval::{
        cases::{CaseRow, class_table},
        config::ArmConfig,
        open::{Crossval, Selection},
        piece::{CASES, RESULTS},
        results::{ClassResults, Results},
        text::{HEAD, sources},
    },
    experiments::{config::PIG, latex::write_latex, study::Study},
};
use burn::tensor::Device;
use pig_data::{
    Splits,
    table::{Column, Columns, write_csv},
};
use pig_metrics::contrast::adjust;
use pig_report::Table;
use pig_train::{
    Result,
    config::Unlabelled,
    observer::{Observer, Outcome, note},
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// The results for one share of the patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Share of the patients outside the test set.
    pub share: f64,
    /// Number of training patients of a fold, mean over folds.
    pub patients: f64,
    /// Number of training slices of a fold, mean over folds.
    pub slices: f64,
    /// Results of the cross-validation.
    pub results: Results,
}

/// The results for all shares, the smallest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LowData {
    /// Definition of the numbers.
    pub definition: String,
    /// Results for each share.
    pub shares: Vec<Share>,
}

/// A case with its share.
struct Row {
    share: f64,
    case: CaseRow,
}

const COLUMNS: &Columns<Row> = &[
    ("share", Column::Number(|row| row.share)),
    ("fold", Column::Count(|row| row.case.fold as u64)),
    ("arm", Column::Text(|row| &row.case.arm)),
    ("generator_seed", Column::MaybeCount(|row| row.case.generator_seed)),
    ("seed", Column::Count(|row| row.case.seed)),
    ("id", Column::Text(|row| &row.case.id)),
    ("group", Column::Text(|row| &row.case.group)),
    ("dice", Column::MaybeNumber(|row| row.case.dice)),
    ("iou", Column::MaybeNumber(|row| row.case.iou)),
    ("precision", Column::MaybeNumber(|row| row.case.precision)),
    ("recall", Column::MaybeNumber(|row| row.case.recall)),
    ("hausdorff_95", Column::MaybeNumber(|row| row.case.hausdorff_95)),
    ("lesion", Column::Flag(|row| row.case.lesion)),
];

fn shares(study: &Study) -> Vec<f64> {
    let mut shares = study.loaded.file.experiment.shares.clone();
    shares.sort_by(f64::total_cmp);
    shares.dedup();
    shares
}

fn folder(study: &Study, share: f64) -> PathBuf {
    // The name has the share in thousandths, so that shares that differ sensibly have different folders.
    study.request.out.join(format!("patients-{:04.0}", 1000.0 * share))
}

/// The arm that every share has; a generator trains as many steps on few patients as on all.
pub(super) fn arms(study: &Study, folds: Option<&[Splits]>) -> Result<Vec<ArmConfig>> {
    let steps = folds.map_or(Ok(None), |folds| study.steps(PIG, folds))?;
    let add = study.loaded.file.experiment.low_data_add.clone();
    Ok(vec![ArmConfig { add, ..study.loaded.arm(PIG, steps)? }])
}

/// The arm whose generator also learns from images without masks, if there are patients beyond the share and `experiment.unlabelled` says so.
fn with_rest(study: &Study, share: f64, mut arm: ArmConfig) -> ArmConfig {
    if study.loaded.file.experiment.unlabelled == Unlabelled::Rest && share < 1.0 {
        arm.set.push("train.unlabelled=rest".to_owned());
    }
    arm
}

/// The cross-validations, the smallest share first.
pub(super) fn open(study: &Study, observer: &dyn Observer) -> Result<Vec<Crossval>> {
    let arms = arms(study, Some(&study.folds()?))?;
    let of_share = |share: f64| {
        let mut file =
            study.loaded.crossval(arms.clone().into_iter().map(|arm| with_rest(study, share, arm)).collect());
        file.crossval.patients = share;
        study.open(file, &folder(study, share), observer)
    };
    shares(study).into_iter().map(of_share).collect()
}

/// Runs the selected pieces that are not finished, the smallest share first, and writes the tables of all finished pieces.
pub fn run(
    study: &Study,
    selection: &Selection,
    device: &Device,
    observer: &dyn Observer,
) -> Result<(Outcome, Option<LowData>)> {
    study.begin()?;
    let crossvals = open(study, observer)?;
    for (share, crossval) in shares(study).into_iter().zip(&crossvals) {
        note(observer, format!("{:.0} % of the patients", 100.0 * share));
        if crossval.run(selection, device, observer)? == Outcome::Interrupted {
            return Ok((Outcome::Interrupted, None));
        }
    }
    let found = LowData::read(study, &crossvals)?;
    found.write(study)?;
    Ok((Outcome::Finished, Some(found)))
}

impl LowData {
    fn read(study: &Study, crossvals: &[Crossval]) -> Result<Self> {
        let shares: Result<Vec<Share>> = shares(study)
            .into_iter()
            .zip(crossvals)
            .map(|(share, crossval)| {
                let folds = crossval.folds.len() as f64;
                let mean = |of: fn(&Splits) -> usize| crossval.folds.iter().map(of).sum::<usize>() as f64 / folds;
                Ok(Share {
                    share,
                    patients: mean(|fold| fold.training_groups),
                    slices: mean(|fold| fold.training.len()),
                    results: crossval.results()?,
                })
            })
            .collect();
        let mut shares = shares?;
        // All rows of the table are one family of tests.
        adjust(&mut shares.iter_mut().flat_map(|share| share.results.comparisons()).collect::<Vec<_>>());
        adjust(&mut shares.iter_mut().flat_map(|share| share.results.class_comparisons()).collect::<Vec<_>>());
        let of_all = shares.last().map(|share| share.results.definition.clone()).unwrap_or_default();
        let rest = if study.loaded.file.experiment.unlabelled == Unlabelled::Rest {
            " Generators also learn from the images, without their masks, of the patients beyond the share."
        } else {
            ""
        };
        let definition = format!(
            "Each row uses its share of the patients outside the test set for training and validation; the test patients are the same in all rows.{rest} For the last row: {of_all} {}",
            study.notes()
        );
        Ok(Self { definition, shares })
    }

    /// One row for each share and each training set that has a finished segmenter.
    pub fn table(&self) -> Table {
        self.table_of(|share| Some(&share.results))
    }

    /// The name of each class, if there are several, the definition of its numbers, and its table.
    pub fn class_tables<'s>(&'s self) -> Vec<(&'s str, &'s str, Table)> {
        let classes = self.shares.first().map_or(&[][..], |share| &share.results.classes);
        let table = |index: usize| self.table_of(|share| share.results.classes.get(index).map(|class| &class.results));
        let of = |(index, own): (usize, &'s ClassResults)| {
            (own.class.as_str(), own.results.definition.as_str(), table(index))
        };
        classes.iter().enumerate().map(of).collect()
    }

    fn table_of<'s>(&'s self, results: impl Fn(&'s Share) -> Option<&'s Results>) -> Table {
        let head = ["patients %", "training patients", "training slices"];
        let head = head.into_iter().chain(HEAD);
        let shares = self.shares.iter().filter_map(|share| Some((share, results(share)?)));
        let rows = shares.flat_map(|(share, results)| {
            results.measured().map(move |arm| {
                let outcome = arm.outcome_cells(results.why_no_verdict(arm).is_empty());
                let first = [
                    format!("{:.0}", 100.0 * share.share),
                    format!("{:.1}", share.patients),
                    format!("{:.1}", share.slices),
                    arm.arm.clone(),
                    format!("{:.0}", arm.added),
                ];
                let last = format!("{} of {}", arm.segmenters[0], arm.segmenters[1]);
                first.into_iter().chain(outcome).chain([last]).collect()
            })
        });
        Table { head: head.map(str::to_owned).collect(), rows: rows.collect() }
    }

    /// What the intervals cover.
    pub fn sources(&self) -> Option<String> {
        sources(self.shares.iter().flat_map(|share| &share.results.arms))
    }

    /// Why comparisons allow no verdict, each reason once.
    pub fn verdict_notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.shares.iter().flat_map(|share| share.results.verdict_notes()).collect();
        notes.sort();
        notes.dedup();
        notes
    }

    fn write(&self, study: &Study) -> Result<()> {
        let out = &study.request.out;
        let rows = |results: fn(&Share, usize) -> Option<&Results>, class: usize| -> Vec<Row> {
            let shares = self.shares.iter().filter_map(|share| Some((share.share, results(share, class)?)));
            shares.flat_map(|(share, of)| of.rows().iter().map(move |case| Row { share, case: case.clone() })).collect()
        };
        write_csv(&out.join(CASES), COLUMNS, &rows(|share, _| Some(&share.results), 0))?;
        for (index, (class, ..)) in self.class_tables().into_iter().enumerate() {
            let rows = rows(|share, class| share.results.classes.get(class).map(|class| &class.results), index);
            write_csv(&out.join(class_table(class)), COLUMNS, &rows)?;
        }
        pig_files::write_json(&out.join(RESULTS), self)?;
        pig_files::write(&out.join("table.md"), self.to_string().as_bytes())?;
        let (main, classes) = (self.table(), self.class_tables());
        let labels: Vec<String> = (1..=classes.len()).map(|number| format!("pig-low-data-class-{number}")).collect();
        let classes =
            classes.iter().zip(&labels).map(|((_, definition, table), label)| (table, *definition, label.as_str()));
        let main = (&main, self.definition.as_str(), "pig-low-data");
        write_latex(out, &std::iter::once(main).chain(classes).collect::<Vec<_>>())
    }
}

impl fmt::Display for LowData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.definition, self.table().markdown())?;
        if let Some(sources) = self.sources() {
            write!(f, "\n{sources}\n")?;
        }
        self.verdict_notes().iter().try_for_each(|note| write!(f, "\n{note}\n"))?;
        let classes = self.class_tables();
        classes.iter().try_for_each(|(class, definition, table)| {
            write!(f, "\n# Class {class}\n\n{definition}\n\n{}", table.markdown())
        })
    }
}
