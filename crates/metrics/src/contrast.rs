//! The difference between two arms of trainings that were measured on the same patients, with an interval that holds the trainings'
//! seeds as random beside the patients.
//!
//! A network that is trained again with another seed gives other values. An interval over patients alone asks what these networks do
//! for other patients; an interval over trainings too asks what the arms do. Runs are nested: folds (or draws of training patients),
//! in each fold trainings of the generator, for each of them trainings of the segmenter. Patients cross all runs of a fold.
//!
//! - **The estimate** is the mean over patients of their mean values; a patient's value in an arm is the mean over the generators of
//!   the means over their segmenters.
//! - **Levels.** The topmost level of runs that has repetitions is the random one, because its units contain the variation of all below
//!   it: whole folds from [`LEAST_FOLDS`] folds on; otherwise generators of which a fold has two or more; otherwise segmenters. Runs of
//!   the two arms are not paired within a fold, folds are. Folds that test different patients contain the patients' variation, too.
//! - **Variance**: of patients plus of runs, less what varies by run and patient together, which both contain (the unbiased estimate for
//!   two crossed random factors), but at least the larger of the two. Arms that are alike share one estimate of the variance of their
//!   runs. The degrees of freedom are Satterthwaite's (Biometrics Bulletin 2(6), 1946, doi 10.2307/3002019).
//! - **The interval** is a bootstrap over all levels whose percentiles are moved outwards by the ratio of Student's to the normal
//!   quantile. p is the share at which the interval ends at 0. Satterthwaite's own interval, by Student's t alone, stands beside it.

pub mod expected;
mod resample;
mod spread;
mod text;

use crate::{
    bootstrap::{Bootstrap, Estimate},
    permutation::{PermutationTest, Permutations, paired_permutation},
    student::student_quantile,
};
use resample::{Distribution, Level};
use serde::{Deserialize, Serialize};
use spread::{Matrix, Spread, mean, mean_row};
use std::collections::{BTreeMap, BTreeSet};

/// With fewer folds, or draws of training patients, their variation is not estimated.
pub const LEAST_FOLDS: usize = 3;

/// The share with which intervals miss.
const MISSES: f64 = 0.05;

/// The power at which a difference counts as detectable.
pub const POWER: f64 = 0.8;

/// One training of an arm, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<'a> {
    /// The fold, or the draw of training patients.
    pub fold: u64,
    /// The training of the generator; none without generated pairs.
    pub generator: Option<u64>,
    /// The training of the segmenter.
    pub segmenter: u64,
    /// The value of each patient.
    pub values: BTreeMap<&'a str, f64>,
}

/// The trainings of one arm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arm<'a> {
    /// The trainings.
    pub runs: Vec<Run<'a>>,
    /// Whether its trainings vary as much as those of the other arms for which this is true.
    pub is_alike: bool,
}

/// How units are drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The resamples of the interval.
    pub bootstrap: Bootstrap,
    /// The arrangements of the test that exchanges the arms patient by patient.
    pub permutations: Permutations,
}

impl Arm<'_> {
    fn has_generator(&self) -> bool {
        self.runs.iter().any(|run| run.generator.is_some())
    }
}

/// A source of random variation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Which patients were tested.
    Patients,
    /// The seeds of the segmenters.
    Segmenters,
    /// The seeds of the generators.
    Generators,
    /// Which patients trained.
    Folds,
}

/// A difference of two arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// First minus second, with its 95 % interval; cases and units are patients.
    pub difference: Estimate,
    /// The means of the two arms over the same patients and folds.
    pub means: [f64; 2],
    /// The two-sided p-value that belongs to the interval.
    pub p_value: f64,
    /// Whether p is smaller than `p_value`, which is the smallest that the resamples can show.
    pub p_is_bound: bool,
    /// p by Holm's method over all arms of the table, if it was applied.
    #[serde(default)]
    pub p_holm: Option<f64>,
    /// The standard error.
    pub standard_error: f64,
    /// Satterthwaite's degrees of freedom.
    pub degrees_of_freedom: f64,
    /// The interval by Student's t alone, as a check.
    pub satterthwaite: [f64; 2],
    /// The true difference that such a comparison finds with a power of 80 % at 5 %, uncorrected.
    pub detectable: f64,
    /// The sources of variation that the interval covers.
    pub covers: Vec<Source>,
    /// The sources that it does not cover.
    pub leaves_out: Vec<Source>,
    /// The number of folds that both arms have.
    pub folds: usize,
    /// The least number of trainings of the generator in a fold, for both arms; 0 without generated pairs.
    pub generators: [usize; 2],
    /// The least number of trainings of the segmenter in a fold, for both arms.
    pub segmenters: [usize; 2],
    /// The test that exchanges the arms patient by patient, which covers patients alone.
    pub test: PermutationTest,
}

/// The runs of an arm in one fold: for each generator a matrix of segmenters and patients.
struct Nested(Vec<Matrix>);

impl Nested {
    fn new(arm: &Arm<'_>, fold: u64, patients: &[&str]) -> Self {
        let mut groups: BTreeMap<Option<u64>, Vec<&Run<'_>>> = BTreeMap::new();
        for run in arm.runs.iter().filter(|run| run.fold == fold) {
            groups.entry(run.generator).or_default().push(run);
        }
        let row = |run: &&Run<'_>| patients.iter().map(|patient| run.values[patient]).collect();
        let matrix = |mut runs: Vec<&Run<'_>>| {
            runs.sort_by_key(|run| run.segmenter);
            runs.iter().map(row).collect()
        };
        Self(groups.into_values().map(matrix).collect())
    }

    /// One row for each generator.
    fn generators(&self) -> Matrix {
        self.0.iter().map(mean_row).collect()
    }

    fn is_by_generator(&self) -> bool {
        self.0.len() > 1
    }

    /// The number of units of the random level.
    fn units(&self) -> usize {
        if self.is_by_generator() { self.0.len() } else { self.0[0].len() }
    }

    /// The arm's value of each patient.
    fn patients(&self) -> Vec<f64> {
        mean_row(&self.generators())
    }

    fn segmenters(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

/// The patients whom all runs of the arms have in a fold, in the order of their names; empty if an arm has no run there.
fn patients_of<'a>(arms: &[&Arm<'a>], fold: u64) -> Vec<&'a str> {
    let mut common: Option<BTreeSet<&str>> = None;
    for arm in arms {
        let mut runs = arm.runs.iter().filter(|run| run.fold == fold).peekable();
        if runs.peek().is_none() {
            return Vec::new();
        }
        for run in runs {
            let own: BTreeSet<&str> = run.values.keys().copied().collect();
            common = Some(common.map_or_else(|| own.clone(), |common| &common & &own));
        }
    }
    common.unwrap_or_default().into_iter().collect()
}

fn folds_of(arm: &Arm<'_>) -> BTreeSet<u64> {
    arm.runs.iter().map(|run| run.fold).collect()
}

/// The spread of segmenters, and of generators, in arms that vary alike.
fn spreads(arms: &[&Arm<'_>]) -> [Spread; 2] {
    let mut nested = Vec::new();
    for arm in arms {
        for fold in folds_of(arm) {
            let patients = patients_of(&[*arm], fold);
            if !patients.is_empty() {
                nested.push(Nested::new(arm, fold, &patients));
            }
        }
    }
    let generators: Vec<Matrix> = nested.iter().map(Nested::generators).collect();
    [Spread::of(nested.iter().flat_map(|fold| &fold.0)), Spread::of(generators.iter())]
}

/// What both arms have in one fold.
struct Fold<'a> {
    patients: Vec<&'a str>,
    sides: [Nested; 2],
    differences: Vec<f64>,
}

impl<'a> Fold<'a> {
    /// `None` if no patient has a value in every run of both arms.
    fn new(arm: &Arm<'a>, control: &Arm<'a>, fold: u64) -> Option<Self> {
        let patients = patients_of(&[arm, control], fold);
        if patients.is_empty() {
            return None;
        }
        let sides = [arm, control].map(|arm| Nested::new(arm, fold, &patients));
        let [ours, theirs] = [&sides[0], &sides[1]].map(Nested::patients);
        let differences = ours.iter().zip(&theirs).map(|(ours, theirs)| ours - theirs).collect();
        Some(Self { patients, sides, differences })
    }
}

/// The sum of variances, and what Satterthwaite's degrees of freedom are computed from.
#[derive(Default)]
struct Variance {
    patients: f64,
    runs: f64,
    interaction: f64,
    squares: f64,
}

impl Variance {
    /// Adds a part of the variance, estimated with some degrees of freedom, to Satterthwaite's sum.
    fn estimated(&mut self, part: f64, degrees: f64) {
        if degrees > 0.0 {
            self.squares += part * part / degrees;
        }
    }

    fn total(&self) -> f64 {
        (self.patients + self.runs - self.interaction).max(self.patients).max(self.runs)
    }

    /// The degrees of freedom; those of `units` if nothing varies.
    fn degrees(&self, units: usize) -> f64 {
        let total = self.total();
        if self.squares > 0.0 { (total * total / self.squares).max(1.0) } else { (units as f64 - 1.0).max(1.0) }
    }
}

/// A difference with its variance, before anything is resampled.
struct Estimated<'a> {
    folds: Vec<Fold<'a>>,
    table: Patients,
    difference: f64,
    variance: f64,
    degrees: f64,
    levels: Vec<Level>,
    covers: Vec<Source>,
    leaves_out: Vec<Source>,
}

impl<'a> Estimated<'a> {
    /// `None` for fewer than two common patients.
    fn new(arm: &Arm<'a>, control: &Arm<'a>, family: &[&Arm<'a>]) -> Option<Self> {
        let folds: Vec<Fold<'a>> = folds_of(arm).into_iter().filter_map(|fold| Fold::new(arm, control, fold)).collect();
        let distinct: BTreeSet<&str> = folds.iter().flat_map(|fold| fold.patients.iter().copied()).collect();
        let is_crossed = distinct.len() < folds.iter().map(|fold| fold.patients.len()).sum::<usize>();
        let table = if is_crossed { Patients::crossed(&folds) } else { Patients::nested(&folds) };
        if table.differences.len() < 2 {
            return None;
        }
        let difference = mean(&table.differences);
        let (mut variance, mut levels, mut covers) = (Variance::default(), Vec::new(), vec![Source::Patients]);
        let has_folds = folds.len() >= LEAST_FOLDS;
        if is_crossed || !has_folds {
            table.level(difference, &mut variance, &mut levels);
        }
        if has_folds {
            fold_level(&folds, &table, is_crossed, difference, &mut variance, &mut levels);
            covers.extend([Source::Segmenters, Source::Generators, Source::Folds]);
        } else {
            covers.extend(run_levels(&folds, &table, [arm, control], family, &mut variance, &mut levels));
        }
        let has_generator = arm.has_generator() || control.has_generator();
        let is_there = |source: &Source| has_generator || *source != Source::Generators;
        covers.retain(is_there);
        let runs = [Source::Segmenters, Source::Generators, Source::Folds];
        let leaves_out = runs.into_iter().filter(|source| is_there(source) && !covers.contains(source)).collect();
        let (total, degrees) = (variance.total(), variance.degrees(table.differences.len()));
        Some(Self { folds, table, difference, variance: total, degrees, levels, covers, leaves_out })
    }

    fn distribution(&self, settings: &Bootstrap) -> Distribution {
        Distribution::new(self.difference, self.variance, self.degrees, &self.levels, settings)
    }

    /// Satterthwaite's interval.
    fn satterthwaite(&self) -> [f64; 2] {
        let half = student_quantile(MISSES, self.degrees) * self.variance.sqrt();
        [self.difference - half, self.difference + half]
    }

    /// The least of a number over the folds, for both arms.
    fn least(&self, of: fn(&Nested) -> usize) -> [usize; 2] {
        [0, 1].map(|side| self.folds.iter().map(|fold| of(&fold.sides[side])).min().unwrap_or(0))
    }
}

/// Compares `arm` with `control` on the patients and folds that both have. `family` are all arms of the table, among them these two:
/// those that are alike share the estimate of the variance of their runs. `None` for fewer than two common patients.
#[must_use]
pub fn contrast<'a>(arm: &Arm<'a>, control: &Arm<'a>, family: &[&Arm<'a>], settings: &Settings) -> Option<Contrast> {
    let found = Estimated::new(arm, control, family)?;
    let distribution = found.distribution(&settings.bootstrap);
    let ([low, high], (p_value, p_is_bound)) = (distribution.interval(MISSES), distribution.p_value());
    let (error, units) = (found.variance.sqrt(), found.table.differences.len());
    let generators = found.least(|nested| nested.0.len());
    Some(Contrast {
        difference: Estimate { mean: found.difference, low, high, cases: units, units },
        means: found.table.means,
        p_value,
        p_is_bound,
        p_holm: None,
        standard_error: error,
        degrees_of_freedom: found.degrees,
        satterthwaite: found.satterthwaite(),
        detectable: detectable(MISSES, error, found.degrees),
        folds: found.folds.len(),
        generators: [0, 1].map(|side| if [arm, control][side].has_generator() { generators[side] } else { 0 }),
        segmenters: found.least(Nested::segmenters),
        test: paired_permutation(&found.table.differences, None, settings.permutations)?,
        covers: found.covers,
        leaves_out: found.leaves_out,
    })
}

/// The true difference that is found with the power [`POWER`] where p must be below `share`, by the standard error and its degrees of freedom.
fn detectable(share: f64, error: f64, degrees: f64) -> f64 {
    (student_quantile(share, degrees) + student_quantile(2.0 * (1.0 - POWER), degrees)) * error
}

/// One difference for each patient.
struct Patients {
    differences: Vec<f64>,
    means: [f64; 2],
    /// The weight of each fold in the difference.
    weights: Vec<f64>,
    /// If every fold tests the same patients: folds and patients.
    crossed: Matrix,
}

impl Patients {
    /// Folds that test different patients: every patient counts once.
    fn nested(folds: &[Fold<'_>]) -> Self {
        let side = |side: usize| mean(&folds.iter().flat_map(|fold| fold.sides[side].patients()).collect::<Vec<_>>());
        let differences: Vec<f64> = folds.iter().flat_map(|fold| fold.differences.iter().copied()).collect();
        let weights = folds.iter().map(|fold| fold.patients.len() as f64 / differences.len() as f64).collect();
        Self { differences, means: [side(0), side(1)], weights, crossed: Matrix::new() }
    }

    /// Draws that test the same patients: those whom all draws have.
    fn crossed(folds: &[Fold<'_>]) -> Self {
        let has = |patient: &&str| folds.iter().all(|fold| fold.patients.contains(patient));
        let common: Vec<&str> = folds[0].patients.iter().copied().filter(has).collect();
        let pick = |fold: &Fold<'_>, values: &[f64]| -> Vec<f64> {
            let at = |name: &&str| fold.patients.binary_search(name).ok().map(|place| values[place]);
            common.iter().filter_map(at).collect()
        };
        let crossed: Matrix = folds.iter().map(|fold| pick(fold, &fold.differences)).collect();
        let side = |side: usize| {
            mean(&folds.iter().flat_map(|fold| pick(fold, &fold.sides[side].patients())).collect::<Vec<_>>())
        };
        let weights = vec![1.0 / folds.len() as f64; folds.len()];
        Self { differences: mean_row(&crossed), means: [side(0), side(1)], weights, crossed }
    }

    /// Patients as a random level.
    fn level(&self, difference: f64, variance: &mut Variance, levels: &mut Vec<Level>) {
        let count = self.differences.len();
        let scale = (count as f64 / (count as f64 - 1.0)).sqrt();
        let residuals: Vec<f64> = self.differences.iter().map(|value| scale * (value - difference)).collect();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        variance.patients = squares / (count * count) as f64;
        variance.estimated(variance.patients, count as f64 - 1.0);
        levels.push(Level { residuals, count, factor: 1.0 });
    }
}

/// Whole folds as the random level. They contain all that varies in them, except the patients if all folds test the same ones.
fn fold_level(
    folds: &[Fold<'_>],
    table: &Patients,
    is_crossed: bool,
    difference: f64,
    variance: &mut Variance,
    levels: &mut Vec<Level>,
) {
    let count = folds.len();
    if is_crossed {
        let spread = Spread::of(std::iter::once(&table.crossed));
        variance.runs = spread.variance / count as f64;
        variance.interaction = spread.interaction / (count * table.differences.len()) as f64;
        variance.estimated(variance.runs, spread.degrees);
        variance.estimated(variance.interaction, spread.interaction_degrees);
        levels.push(Level { residuals: spread.residuals, count, factor: 1.0 });
        return;
    }
    let scale = (count as f64 / (count as f64 - 1.0)).sqrt();
    // Folds of more patients weigh more, so a fold's deviation is that of a ratio of sums.
    let of = |(fold, weight): (&Fold<'_>, &f64)| scale * count as f64 * weight * (mean(&fold.differences) - difference);
    let residuals: Vec<f64> = folds.iter().zip(&table.weights).map(of).collect();
    variance.runs = residuals.iter().map(|residual| residual * residual).sum::<f64>() / (count * count) as f64;
    variance.estimated(variance.runs, count as f64 - 1.0);
    levels.push(Level { residuals, count, factor: 1.0 });
}

/// Generators or segmenters within the folds as random levels. Returns what they cover.
fn run_levels(
    folds: &[Fold<'_>],
    table: &Patients,
    arms: [&Arm<'_>; 2],
    family: &[&Arm<'_>],
    variance: &mut Variance,
    levels: &mut Vec<Level>,
) -> Vec<Source> {
    let alike: Vec<&Arm<'_>> = family.iter().copied().filter(|arm| arm.is_alike).collect();
    let shared = spreads(&alike);
    let own = arms.map(|arm| if arm.is_alike { shared.clone() } else { spreads(&[arm]) });
    // The same estimate in both arms is one estimate, so its parts are added before they are squared.
    let mut parts: BTreeMap<(usize, usize), [f64; 2]> = BTreeMap::new();
    let (mut has_segmenters, mut has_generators) = (true, true);
    for (fold, weight) in folds.iter().zip(&table.weights) {
        let patients = if table.crossed.is_empty() { fold.patients.len() } else { table.differences.len() };
        for (side, nested) in fold.sides.iter().enumerate() {
            let level = usize::from(nested.is_by_generator());
            let (spread, units) = (&own[side][level], nested.units());
            has_generators &= level == 1 || !arms[side].has_generator();
            if spread.degrees == 0.0 {
                has_segmenters = false;
                continue;
            }
            let part = parts.entry((if arms[side].is_alike { 0 } else { 1 + side }, level)).or_default();
            part[0] += weight * weight * spread.variance / units as f64;
            part[1] += weight * weight * spread.interaction / (units * patients) as f64;
            let factor = if side == 0 { *weight } else { -weight };
            levels.push(Level { residuals: spread.residuals.clone(), count: units, factor });
        }
    }
    for ((pool, level), [runs, interaction]) in parts {
        let spread = &own[pool.saturating_sub(1)][level];
        let spread = if pool == 0 { &shared[level] } else { spread };
        variance.runs += runs;
        variance.interaction += interaction;
        variance.estimated(runs, spread.degrees);
        variance.estimated(interaction, spread.interaction_degrees);
    }
    let covered = [(has_segmenters, Source::Segmenters), (has_segmenters && has_generators, Source::Generators)];
    covered.into_iter().filter(|(is_covered, _)| *is_covered).map(|(_, source)| source).collect()
}

/// p-values of several comparisons, adjusted by Holm's method (Scandinavian Journal of Statistics 6(2), 1979).
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let (mut adjusted, mut least) = (vec![0.0; p_values.len()], 0.0_f64);
    for (rank, &place) in order.iter().enumerate() {
        least = least.max((p_values.len() - rank) as f64 * p_values[place]).min(1.0);
        adjusted[place] = least;
    }
    adjusted
}

/// Gives every contrast of a table its p by Holm's method.
pub fn adjust(contrasts: &mut [&mut Contrast]) {
    let adjusted = holm(&contrasts.iter().map(|contrast| contrast.p_value).collect::<Vec<_>>());
    for (contrast, p) in contrasts.iter_mut().zip(adjusted) {
        contrast.p_holm = Some(p);
    }
}

#[cfg(test)]
mod tests;
