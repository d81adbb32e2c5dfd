//! The table: what all finished segmenters found, fold by fold, and against real pairs alone.

use super::{
    Crossval,
    piece::{Done, Found, Piece, PieceKind, Variant, variants},
    segmenter::CASES,
};
use crate::{Error, Result};
use pig_data::{
    manifest::{Manifest, Row},
    table::{Column, Columns, write_csv},
};
use pig_metrics::{
    bootstrap::{Bootstrap, Estimate, bootstrap_mean, group_ids},
    permutation::{FoldSummary, PairedComparison, Permutations, paired_comparison},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
    path::Path,
};

/// One case of a segmenter's table.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseRow {
    /// The fold.
    pub fold: usize,
    /// The training set's label.
    pub arm: String,
    /// The segmenter's seed.
    pub seed: u64,
    /// The case.
    pub id: String,
    /// Its patient.
    pub group: String,
    /// Dice; none where both masks are empty.
    pub dice: Option<f64>,
    /// IoU.
    pub iou: Option<f64>,
    /// Precision.
    pub precision: Option<f64>,
    /// Recall.
    pub recall: Option<f64>,
    /// Hausdorff 95 in prepared pixels (MONAI's); none where a mask is empty.
    pub hausdorff_95: Option<f64>,
}

/// The joined table of cases.
const COLUMNS: &Columns<CaseRow> = &[
    ("fold", Column::Count(|row| row.fold as u64)),
    ("arm", Column::Text(|row| &row.arm)),
    ("seed", Column::Count(|row| row.seed)),
    ("id", Column::Text(|row| &row.id)),
    ("group", Column::Text(|row| &row.group)),
    ("dice", Column::MaybeNumber(|row| row.dice)),
    ("iou", Column::MaybeNumber(|row| row.iou)),
    ("precision", Column::MaybeNumber(|row| row.precision)),
    ("recall", Column::MaybeNumber(|row| row.recall)),
    ("hausdorff_95", Column::MaybeNumber(|row| row.hausdorff_95)),
];

/// A measure by its name.
type Measured = (&'static str, fn(&CaseRow) -> Option<f64>);

/// The measures of the table, in its order.
const MEASURES: [Measured; 5] = [
    ("dice", |row| row.dice),
    ("iou", |row| row.iou),
    ("precision", |row| row.precision),
    ("recall", |row| row.recall),
    ("hausdorff_95", |row| row.hausdorff_95),
];

/// One measure of one training set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// Mean and standard deviation over folds; a fold's value is the mean over its cases and seeds.
    pub folds: Option<FoldSummary>,
    /// Mean over all cases, each averaged over seeds, with its interval by patient.
    pub cases: Option<Estimate>,
}

/// One training set's results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmResult {
    /// Its label.
    pub arm: String,
    /// Segmenters that are done, of all.
    pub segmenters: [usize; 2],
    /// Generated pairs a segmenter trained on, mean over the segmenters that are done.
    pub added: f64,
    /// The measures, over folds in which all seeds are done.
    pub measures: Vec<Measure>,
    /// Dice against real pairs alone, case by case, over folds in which all seeds of both are done.
    pub against_real: Option<PairedComparison>,
}

/// Pair agreement of one arm: the mean Dice of segmenters of real pairs; means over folds and seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgreementResult {
    /// The arm.
    pub arm: String,
    /// Folds and seeds that were measured.
    pub measured: usize,
    /// On generated pairs.
    pub generated: Option<FoldSummary>,
    /// On the same images with each other's masks.
    pub shuffled: Option<FoldSummary>,
    /// On the real pairs of test patients.
    pub held_out: Option<FoldSummary>,
}

/// All that is known; its `Display` is the table as Markdown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// What the numbers are.
    pub definition: String,
    /// Each training set.
    pub arms: Vec<ArmResult>,
    /// Each arm's pair agreement.
    pub agreement: Vec<AgreementResult>,
    #[serde(skip)]
    rows: Vec<CaseRow>,
}

/// Reads a segmenter's table of cases; fold, arm and seed are left open.
pub(super) fn read_cases(path: &Path) -> Result<Vec<CaseRow>> {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let table = Manifest::read(path)?.ok_or_else(|| Error::io(path, "read")(missing()))?;
    let place = |name: &str| table.column(name).ok_or_else(|| table.missing_column(name));
    let (id, group) = (place("id")?, place("group")?);
    let numbers: Vec<usize> = MEASURES.iter().map(|(name, _)| place(name)).collect::<std::result::Result<_, _>>()?;
    let number = |row: Row<'_>, column: usize| -> Result<Option<f64>> {
        let text = row.get(column);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| Error::BadFile {
            path: path.to_owned(),
            problem: format!("line {}: {text:?} is not a number", row.line),
            advice: "remove the segmenter's folder, so that it is made anew",
        })
    };
    let read = |row: Row<'_>| {
        Ok(CaseRow {
            fold: 0,
            arm: String::new(),
            seed: 0,
            id: row.get(id).to_owned(),
            group: row.get(group).to_owned(),
            dice: number(row, numbers[0])?,
            iou: number(row, numbers[1])?,
            precision: number(row, numbers[2])?,
            recall: number(row, numbers[3])?,
            hausdorff_95: number(row, numbers[4])?,
        })
    };
    table.rows().map(read).collect()
}

/// The mean of a measure over cases with its interval by patient; none without two patients, from which no interval follows.
pub(super) fn mean_of_cases(rows: &[CaseRow], value: impl Fn(&CaseRow) -> Option<f64>) -> Option<Estimate> {
    let found: Vec<(&str, f64)> = rows.iter().filter_map(|row| Some((row.group.as_str(), value(row)?))).collect();
    estimate(&found)
}

fn estimate(found: &[(&str, f64)]) -> Option<Estimate> {
    let (groups, values): (Vec<&str>, Vec<f64>) = found.iter().copied().unzip();
    bootstrap_mean(&values, Some(&group_ids(&groups)), &Bootstrap::default()).filter(|estimate| estimate.units > 1)
}

/// A case's mean over seeds, by its id.
type CaseMeans<'a> = BTreeMap<&'a str, (&'a str, f64)>;

/// The rows of one training set in folds in which all seeds are done.
struct Whole<'a> {
    rows: Vec<&'a CaseRow>,
    folds: Vec<usize>,
}

impl<'a> Whole<'a> {
    fn of(rows: &'a [CaseRow], arm: &str, seeds: &[u64], folds: usize) -> Self {
        let own: Vec<&CaseRow> = rows.iter().filter(|row| row.arm == arm).collect();
        let is_whole =
            |fold: &usize| seeds.iter().all(|&seed| own.iter().any(|row| (row.fold, row.seed) == (*fold, seed)));
        let folds: Vec<usize> = (0..folds).filter(is_whole).collect();
        Self { rows: own.into_iter().filter(|row| folds.contains(&row.fold)).collect(), folds }
    }

    /// Each case's mean over the seeds that have a value.
    fn cases(&self, value: fn(&CaseRow) -> Option<f64>) -> CaseMeans<'a> {
        let mut sums: BTreeMap<&str, (&str, f64, f64)> = BTreeMap::new();
        for row in &self.rows {
            if let Some(value) = value(row) {
                let entry = sums.entry(&row.id).or_insert((&row.group, 0.0, 0.0));
                (entry.1, entry.2) = (entry.1 + value, entry.2 + 1.0);
            }
        }
        sums.into_iter().map(|(id, (group, sum, count))| (id, (group, sum / count))).collect()
    }

    fn measure(&self, (name, value): Measured) -> Measure {
        let mean = |fold: &usize| {
            let of_fold: Vec<&CaseRow> = self.rows.iter().filter(|row| row.fold == *fold).copied().collect();
            let values: Vec<f64> = of_fold.iter().filter_map(|row| value(row)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let folds: Vec<f64> = self.folds.iter().filter_map(mean).collect();
        let cases: Vec<(&str, f64)> = self.cases(value).into_values().collect();
        Measure { name, folds: FoldSummary::new(&folds), cases: estimate(&cases) }
    }
}

/// Dice of `arm` against that of `real`, case by case.
fn compare(arm: &Whole<'_>, real: &Whole<'_>) -> Option<PairedComparison> {
    let (ours, theirs) = (arm.cases(|row| row.dice), real.cases(|row| row.dice));
    let both = |fold: &usize| arm.folds.contains(fold) && real.folds.contains(fold);
    let mut cases: BTreeMap<&str, &str> = BTreeMap::new();
    for row in arm.rows.iter().chain(&real.rows).filter(|row| both(&row.fold)) {
        cases.insert(&row.id, &row.group);
    }
    let values =
        |means: &CaseMeans<'_>| cases.keys().map(|id| means.get(id).map(|(_, mean)| *mean)).collect::<Vec<_>>();
    let groups: Vec<&str> = cases.values().copied().collect();
    let (bootstrap, permutations) = (Bootstrap::default(), Permutations::default());
    paired_comparison(&values(&ours), &values(&theirs), Some(&group_ids(&groups)), &bootstrap, permutations)
}

impl Results {
    /// Reads whatever pieces are done.
    pub(super) fn read(crossval: &Crossval) -> Result<Self> {
        let (file, folds) = (&crossval.file, crossval.folds.len());
        let seeds = &file.crossval.segmenter_seeds;
        let (mut rows, mut counts) = (Vec::new(), Vec::new());
        for variant in variants(file) {
            let label = variant.label(file);
            let (mut done, mut added) = (0, 0);
            for fold in 0..folds {
                for &seed in seeds {
                    let piece = Piece { fold, kind: PieceKind::Segmenter { variant, seed } };
                    let Some(Done { found: Found::Segmenter { added: pairs, .. }, .. }) = crossval.finished(piece)?
                    else {
                        continue;
                    };
                    (done, added) = (done + 1, added + pairs);
                    let cases = read_cases(&crossval.folder(fold, piece.kind).join(CASES))?;
                    rows.extend(cases.into_iter().map(|row| CaseRow { fold, arm: label.clone(), seed, ..row }));
                }
            }
            counts.push((variant, [done, folds * seeds.len()], added as f64 / done.max(1) as f64));
        }
        let whole = |variant: Variant| Whole::of(&rows, &variant.label(file), seeds, folds);
        let real = whole(Variant::Real);
        let arms = counts
            .into_iter()
            .map(|(variant, segmenters, added)| {
                let arm = whole(variant);
                ArmResult {
                    arm: variant.label(file),
                    segmenters,
                    added,
                    measures: MEASURES.map(|measured| arm.measure(measured)).to_vec(),
                    against_real: (variant != Variant::Real).then(|| compare(&arm, &real)).flatten(),
                }
            })
            .collect();
        let agreement: Result<Vec<AgreementResult>> =
            (0..file.crossval.arms.len()).map(|arm| agreement(crossval, arm)).collect();
        Ok(Self { definition: definition(crossval), arms, agreement: agreement?, rows })
    }

    /// Writes cases.csv, results.json and table.md.
    pub fn write(&self, out: &Path) -> Result<()> {
        write_csv(&out.join("cases.csv"), COLUMNS, &self.rows)?;
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        pig_data::atomic::write(&out.join("results.json"), &json)?;
        Ok(pig_data::atomic::write(&out.join("table.md"), self.to_string().as_bytes())?)
    }
}

fn agreement(crossval: &Crossval, arm: usize) -> Result<AgreementResult> {
    let mut found: [Vec<f64>; 3] = Default::default();
    let mut measured = 0;
    for fold in 0..crossval.folds.len() {
        for &seed in &crossval.file.crossval.segmenter_seeds {
            let piece = Piece { fold, kind: PieceKind::Agreement { arm, seed } };
            if let Some(Done { found: Found::Agreement { generated, shuffled, held_out }, .. }) =
                crossval.finished(piece)?
            {
                measured += 1;
                for (values, estimate) in found.iter_mut().zip([generated, shuffled, held_out]) {
                    values.extend(estimate.map(|estimate| estimate.mean));
                }
            }
        }
    }
    let [generated, shuffled, held_out] = found.map(|values| FoldSummary::new(&values));
    let arm = crossval.file.crossval.arms[arm].name.clone();
    Ok(AgreementResult { arm, measured, generated, shuffled, held_out })
}

fn definition(crossval: &Crossval) -> String {
    let (file, [height, width]) = (&crossval.file, crossval.file.data.size);
    let steps = if file.segment.train.equal_epochs { "equal epochs" } else { "equal optimiser steps" };
    let count = |of: fn(&pig_data::Splits) -> usize| {
        let counts = crossval.folds.iter().map(of);
        format!("{} to {}", counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0))
    };
    format!(
        "{} folds {}; {} training, {} validating and {} test pairs a fold; {} segmenter seeds, one generator seed; {steps}. Dice, IoU, \
         precision and recall per slice at {height} x {width}, slices left out in which both masks are empty; Hausdorff 95 in pixels, \
         over slices in which neither mask is. Each number is the mean over folds and its standard deviation; the difference \
         in Dice is the mean over cases (averaged over seeds) with a 95 % bootstrap interval by patient, and p of a paired permutation test by patient.",
        crossval.folds.len(),
        crossval.folds.first().map(|fold| fold.by.to_string()).unwrap_or_default(),
        count(|fold| fold.training.len()),
        count(|fold| fold.validation.len()),
        count(|fold| fold.test.len()),
        file.crossval.segmenter_seeds.len(),
    )
}

fn percent(summary: Option<&FoldSummary>) -> String {
    summary.map_or("-".to_owned(), FoldSummary::percent_with_std)
}

fn pixels(summary: Option<&FoldSummary>) -> String {
    let with_std = |s: &FoldSummary| match s.std {
        Some(std) => format!("{:.2} ± {std:.2}", s.mean),
        None => format!("{:.2}", s.mean),
    };
    summary.map_or("-".to_owned(), with_std)
}

impl Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}\n\n", self.definition);
        text += "| training set | generated pairs | Dice % | IoU % | precision % | recall % | Hausdorff 95 | Dice - real, % points | p | segmenters |\n";
        text += "|---|---|---|---|---|---|---|---|---|---|\n";
        for arm in &self.arms {
            write!(text, "| {} | {:.0} |", arm.arm, arm.added)?;
            for measure in &arm.measures {
                let shown = if measure.name == "hausdorff_95" { pixels } else { percent };
                write!(text, " {} |", shown(measure.folds.as_ref()))?;
            }
            match &arm.against_real {
                Some(PairedComparison { difference: d, test, .. }) => {
                    write!(
                        text,
                        " {:+.2} [{:+.2}, {:+.2}] | {:.4} |",
                        100.0 * d.mean,
                        100.0 * d.low,
                        100.0 * d.high,
                        test.p_value
                    )?;
                }
                None => text += " | |",
            }
            writeln!(text, " {} of {} |", arm.segmenters[0], arm.segmenters[1])?;
        }
        if !self.agreement.is_empty() {
            text += "\nPair agreement: Dice % of segmenters that were trained on real pairs alone, over folds and seeds.\n\n";
            text += "| arm | generated pairs | the same images, masks shuffled | held-out real pairs | measured |\n|---|---|---|---|---|\n";
            for arm in &self.agreement {
                let [generated, shuffled, held_out] =
                    [&arm.generated, &arm.shuffled, &arm.held_out].map(|found| percent(found.as_ref()));
                writeln!(text, "| {} | {generated} | {shuffled} | {held_out} | {} |", arm.arm, arm.measured)?;
            }
        }
        f.write_str(&text)
    }
}
