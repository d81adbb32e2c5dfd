//! Pair agreement of all arms: what the segmenters of real pairs find in generated pairs.
//!
//! Dice is over masks with a lesion alone. An empty mask in which something is found has a Dice of 0, so a mean over all pairs would hang
//! on how many masks are empty; what is found in pairs with an empty mask stands apart.

use crate::crossval::{
    cases::{CaseRow, class_table},
    open::Crossval,
    outcome::trained,
    piece::{CASES, Done, Found, Piece, PieceKind},
    variant::{ArmGenerator, Variant},
};
use pig_data::manifest::{Manifest, Row};
use pig_metrics::permutation::FoldSummary;
use pig_train::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Pair agreement of one arm, averaged over folds and over the seeds of the segmenters that were trained on real pairs, each with the pairs
/// of the generator that belongs to its seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgreementResult {
    /// The arm.
    pub arm: String,
    /// Number of measurements: one for each fold and seed.
    pub measured: usize,
    /// Dice on generated pairs whose mask has a lesion.
    pub generated: Option<FoldSummary>,
    /// The same with the masks of other pairs.
    pub shuffled: Option<FoldSummary>,
    /// Dice on the slices of test patients that have a lesion.
    pub held_out: Option<FoldSummary>,
    /// Share of the generated pairs with an empty mask in which something is found.
    #[serde(default)]
    pub false_findings: Option<FoldSummary>,
    /// Share of the test patients' slices without a lesion in which something is found.
    #[serde(default)]
    pub held_out_false_findings: Option<FoldSummary>,
    /// Whether the pairs were made for masks that the segmenters were trained on: then agreement is not comparable.
    #[serde(default)]
    pub seen_masks: bool,
    /// Number of segmenters of real pairs that did not train, and so were left out.
    #[serde(default)]
    pub untrained: usize,
}

/// The numbers of one measurement, in the order of [`AgreementResult`].
type Numbers = [Option<f64>; 5];

/// Reads the measurements of an arm that are finished, of one class if `class` names it. `rows` are the cases of all segmenters.
pub(super) fn agreement(
    crossval: &Crossval,
    arm: usize,
    class: Option<&str>,
    rows: &[CaseRow],
) -> Result<AgreementResult> {
    let mut result =
        AgreementResult { arm: crossval.file.crossval.arms[arm].name.clone(), ..AgreementResult::default() };
    let mut found: [Vec<f64>; 5] = Default::default();
    let real = Variant::Real.label(&crossval.file);
    let real: Vec<&CaseRow> = rows.iter().filter(|row| row.arm == real).collect();
    let trained = trained(real.iter().copied());
    for fold in 0..crossval.folds.len() {
        for &seed in &crossval.file.crossval.segmenter_seeds {
            let kind = PieceKind::Agreement { arm, seed };
            let Some(Done { found: Found::Agreement { empty_masks, .. }, .. }) =
                crossval.finished(Piece { fold, kind })?
            else {
                continue;
            };
            result.measured += 1;
            let own: Vec<&CaseRow> = real.iter().copied().filter(|row| (row.fold, row.seed) == (fold, seed)).collect();
            if !own.is_empty() && !trained.contains(&(fold, seed)) {
                result.untrained += 1;
                continue;
            }
            let empty = if let Some(empty) = empty_masks {
                empty
            } else {
                // Pieces of earlier versions, which measured the pairs that segmenters are trained on.
                let which = ArmGenerator { arm, number: crossval.file.crossval.generator_of(seed) };
                let generator = crossval.finished(Piece { fold, kind: PieceKind::Generator(which) })?;
                let Some(Done { found: Found::Generator { empty_masks, .. }, .. }) = generator else { continue };
                result.seen_masks |= crossval.needs_masks(fold, which)?;
                empty_masks
            };
            let table = class.map_or(CASES.to_owned(), class_table);
            let empty = if class.is_some() { None } else { Some(empty) };
            let [generated, shuffled, false_findings] = of_pairs(&crossval.folder(fold, kind).join(table), empty)?;
            let [held_out, held_out_false_findings] = of_held_out(&own);
            let numbers: Numbers = [generated, shuffled, held_out, false_findings, held_out_false_findings];
            found.iter_mut().zip(numbers).for_each(|(values, number)| values.extend(number));
        }
    }
    let [generated, shuffled, held_out, false_findings, held_out_false_findings] =
        found.map(|values| FoldSummary::new(&values));
    Ok(AgreementResult { generated, shuffled, held_out, false_findings, held_out_false_findings, ..result })
}

/// Mean Dice on pairs with a lesion, the same with shuffled masks, and the share of pairs with an empty mask in which something is found,
/// from a table of pairs of which `empty` have an empty mask; without this number the table counts them. A cell of Dice is empty if mask
/// and prediction are.
fn of_pairs(path: &Path, empty: Option<usize>) -> Result<[Option<f64>; 3]> {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let table = Manifest::read(path)?.ok_or_else(|| Error::io(path, "read")(missing()))?;
    let mut columns = Vec::new();
    for name in ["dice", "shuffled_dice"] {
        let column = table.column(name).ok_or_else(|| table.missing_column(name))?;
        let number =
            |row: Row<'_>| row.parse(column, "a number; remove the folder, so that agreement is measured again");
        columns.push(table.rows().map(number).collect::<pig_data::Result<Vec<Option<f64>>>>()?);
    }
    let counted = || -> Result<usize> {
        let column = table.column("lesion").ok_or_else(|| table.missing_column("lesion"))?;
        Ok(table.rows().filter(|row| row.get(column) != "true").count())
    };
    let empty = empty.map_or_else(counted, Ok)?;
    let lesions = columns[0].len().saturating_sub(empty);
    // An empty mask has no Dice, or 0, so it does not change the sum.
    let mean = |values: &[Option<f64>]| values.iter().flatten().sum::<f64>() / lesions as f64;
    let means = [0, 1].map(|column| (lesions > 0).then(|| mean(&columns[column])));
    let silent = columns[0].iter().filter(|dice| dice.is_none()).count();
    let found = (empty > 0).then(|| empty.saturating_sub(silent) as f64 / empty as f64);
    Ok([means[0], means[1], found])
}

/// Mean Dice on slices with a lesion, and the share of slices without one in which something is found.
fn of_held_out(rows: &[&CaseRow]) -> [Option<f64>; 2] {
    let mean = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let lesions = rows.iter().filter(|row| row.lesion).map(|row| row.dice.unwrap_or(0.0));
    let without = rows.iter().filter(|row| !row.lesion).map(|row| f64::from(u8::from(row.dice.is_some())));
    [mean(lesions.collect()), mean(without.collect())]
}
