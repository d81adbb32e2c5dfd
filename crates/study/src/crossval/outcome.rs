//! What the main table measures, and its differences between training sets: one quantity for column, difference, interval and p.
//!
//! The primary outcome is Dice on slices with a lesion. It is defined for all of them, whatever a segmenter predicts, so no slice drops
//! out of a difference. What Dice cannot see, findings in slices without a lesion, stands beside it as a guard. Both are means
//! within each patient first and over patients then.

use crate::crossval::{cases::CaseRow, variant::Variant};
use pig_metrics::contrast::{Arm, Contrast, Run, Settings, contrast};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A mean within patients and then over patients, of the mean over generators of the means over their segmenters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatientMean {
    /// The mean.
    pub mean: f64,
    /// Number of patients that have such slices.
    pub patients: usize,
    /// Number of such slices.
    pub slices: usize,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Dice on slices with a lesion.
    LesionDice,
    /// Whether something is found in a slice without a lesion.
    FalseFindings,
}

/// All outcomes: the primary one and the guard.
pub(super) const OUTCOMES: [Outcome; 2] = [Outcome::LesionDice, Outcome::FalseFindings];

/// The values of a patient: those of its segmenters, for each fold and generator.
type ByGenerator = BTreeMap<(u64, Option<u64>), Vec<f64>>;

/// For each patient, the sum and the number of the values of the slices.
type Sums<'r> = BTreeMap<&'r str, (f64, f64)>;

impl Outcome {
    /// The value of a slice; none if the outcome is not about such slices.
    fn of(self, row: &CaseRow) -> Option<f64> {
        match self {
            Self::LesionDice => row.lesion.then(|| row.dice.unwrap_or(0.0)),
            // Dice has a value in a slice without a lesion if, and only if, something is found.
            Self::FalseFindings => (!row.lesion).then(|| f64::from(u8::from(row.dice.is_some()))),
        }
    }

    /// The mean of an arm's rows; none without such slices.
    pub(super) fn mean(self, rows: &[&CaseRow]) -> Option<PatientMean> {
        let runs = self.runs(rows, |row| row.generator_seed);
        let mut patients: BTreeMap<&str, ByGenerator> = BTreeMap::new();
        for run in &runs {
            for (patient, value) in &run.values {
                patients.entry(patient).or_default().entry((run.fold, run.generator)).or_default().push(*value);
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let of_patient = |generators: &ByGenerator| {
            mean(&generators.values().map(|segmenters| mean(segmenters)).collect::<Vec<f64>>())
        };
        let means: Vec<f64> = patients.values().map(of_patient).collect();
        let slices: BTreeSet<&str> =
            rows.iter().filter(|row| self.of(row).is_some()).map(|row| row.id.as_str()).collect();
        (!means.is_empty()).then(|| PatientMean { mean: mean(&means), patients: means.len(), slices: slices.len() })
    }

    /// One run for each fold and seed, with the mean of each patient's slices.
    fn runs<'r>(self, rows: &[&'r CaseRow], generator: impl Fn(&CaseRow) -> Option<u64>) -> Vec<Run<'r>> {
        let mut slices: BTreeMap<(u64, u64), Sums<'_>> = BTreeMap::new();
        let mut generators = BTreeMap::new();
        for row in rows {
            let key = (row.fold as u64, row.seed);
            generators.insert(key, generator(row));
            if let Some(value) = self.of(row) {
                let sums = slices.entry(key).or_default().entry(&row.group).or_default();
                (sums.0, sums.1) = (sums.0 + value, sums.1 + 1.0);
            }
        }
        let run = |((fold, segmenter), sums): ((u64, u64), Sums<'r>)| Run {
            fold,
            generator: generators[&(fold, segmenter)],
            segmenter,
            values: sums.into_iter().map(|(patient, (sum, count))| (patient, sum / count)).collect(),
        };
        slices.into_iter().map(run).collect()
    }
}

/// All training sets of a table, to compare them.
pub(super) struct Compared<'r>(Vec<(Variant, Vec<&'r CaseRow>)>);

impl<'r> Compared<'r> {
    /// The rows of each training set.
    pub(super) fn new(sets: Vec<(Variant, Vec<&'r CaseRow>)>) -> Self {
        Self(sets)
    }

    fn rows(&self, variant: Variant) -> &[&'r CaseRow] {
        self.0.iter().find(|(own, _)| *own == variant).map_or(&[], |(_, rows)| rows.as_slice())
    }

    fn arm(variant: Variant, rows: &[&'r CaseRow], outcome: Outcome) -> Arm<'r> {
        // Without seeds of its own, an arm has one generator in a fold.
        let runs = outcome.runs(rows, |row| variant.arm().map(|_| row.generator_seed.unwrap_or(0)));
        Arm { runs, is_alike: variant.varies_alike() }
    }

    fn compare(&self, first: &Arm<'r>, second: &Arm<'r>, outcome: Outcome) -> Option<Contrast> {
        let alike = self.0.iter().filter(|(variant, _)| variant.varies_alike());
        let family: Vec<Arm<'r>> = alike.map(|(variant, rows)| Self::arm(*variant, rows, outcome)).collect();
        contrast(first, second, &family.iter().collect::<Vec<_>>(), &Settings::default())
    }

    /// The difference of a training set to real pairs alone; none for real pairs themselves.
    pub(super) fn against_real(&self, variant: Variant, outcome: Outcome) -> Option<Contrast> {
        if variant == Variant::Real {
            return None;
        }
        let [ours, real] = [variant, Variant::Real].map(|variant| Self::arm(variant, self.rows(variant), outcome));
        self.compare(&ours, &real, outcome)
    }

    /// The difference in Dice of `own` to `shuffled`, without segmenters that did not train; and how many of those of `shuffled` did not,
    /// of how many.
    pub(super) fn trained(&self, own: Variant, shuffled: Variant) -> (Option<Contrast>, [usize; 2]) {
        let outcome = Outcome::LesionDice;
        let mut counts = [0; 2];
        let arms = [own, shuffled].map(|variant| {
            let rows = self.rows(variant);
            let all: BTreeSet<(usize, u64)> = rows.iter().map(|row| (row.fold, row.seed)).collect();
            let found = trained(rows.iter().copied());
            counts = [all.len() - found.len(), all.len()];
            let kept: Vec<&CaseRow> =
                rows.iter().copied().filter(|row| found.contains(&(row.fold, row.seed))).collect();
            Self::arm(variant, &kept, outcome)
        });
        let [ours, theirs] = arms;
        (self.compare(&ours, &theirs, outcome), counts)
    }
}

/// The folds and seeds of segmenters that trained at all: they find a part of a lesion in some slice.
pub(super) fn trained<'r>(rows: impl Iterator<Item = &'r CaseRow>) -> BTreeSet<(usize, u64)> {
    rows.filter(|row| row.dice.is_some_and(|dice| dice > 0.0)).map(|row| (row.fold, row.seed)).collect()
}
