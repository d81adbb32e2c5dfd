//! Compares predicted masks with true masks: overlap and boundary distance per slice, per patient and pooled, and detection of
//! lesions.
//!
//! - **Per slice** (as in the paper): each case has its own value, and cases are averaged.
//! - **Per patient**: pixels and boundary pixels are counted over all slices of a patient, and patients are averaged. A
//!   Hausdorff distance cannot be summed over slices, so it is given only per slice.
//! - **Pooled**: pixels are counted over all cases, so large lesions have a larger weight.
//!
//! Intervals are 95 % bootstrap intervals ([`crate::bootstrap`]) over patients if they are known, otherwise over cases. The rules for
//! empty masks are those of [`crate::overlap`]. There is no boundary distance to an empty mask: such a case is left out of the mean
//! distance and counted, and scores 0 in surface Dice.

use rayon::prelude::*;
use serde::Serialize;

use crate::bootstrap::{Bootstrap, Estimate, bootstrap_mean, bootstrap_ratio, group_ids};
use crate::detection::{LesionCounts, Matching, detect};
use crate::overlap::{BothEmpty, Counts, Overlap};
use crate::surface::{SurfaceCounts, SurfaceDistances};

mod text;

/// One prediction with its truth, row-major `height x width`.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The name of the case in the results.
    pub id: &'a str,
    /// The predicted lesion pixels.
    pub prediction: &'a [bool],
    /// The true lesion pixels.
    pub truth: &'a [bool],
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
    /// The patient or another group, if known; a case without a group forms its own group.
    pub group: Option<&'a str>,
}

/// Settings of [`evaluate`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationSettings {
    /// The score of a case in which both masks are empty.
    pub both_empty: BothEmpty,
    /// The distances between rows and between columns; 1 and 1 gives distances in pixels.
    pub spacing: [f64; 2],
    /// The distance up to which a boundary pixel is correct in surface Dice, in the unit of the spacing.
    pub surface_tolerance: f64,
    /// The rule by which a lesion is found.
    pub matching: Matching,
    /// The settings of the intervals.
    pub bootstrap: Bootstrap,
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self {
            both_empty: BothEmpty::default(),
            spacing: [1.0, 1.0],
            surface_tolerance: 2.0,
            matching: Matching::default(),
            bootstrap: Bootstrap::default(),
        }
    }
}

/// Which masks of a case are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emptiness {
    /// Neither.
    None,
    /// Only the prediction: all lesions were missed.
    Prediction,
    /// Only the truth: all predicted pixels are false positives.
    Truth,
    /// Both.
    Both,
}

/// The scores of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseScores {
    /// The name of the case.
    pub id: String,
    /// The patient or group of the case.
    pub group: Option<String>,
    /// The counts of pixels: true positives, false positives and false negatives.
    pub counts: Counts,
    /// The ratios of the counts; `None` if both masks are empty and such cases are left out.
    pub overlap: Option<Overlap>,
    /// The surface Dice; `None` in the same cases as `overlap`.
    pub surface_dice: Option<f64>,
    /// The Hausdorff 95, the maximum of both directions (as in MONAI); `None` if a mask is empty, but 0 if both are empty and such cases
    /// score 1.
    pub hausdorff_95: Option<f64>,
    /// The Hausdorff 95 of both directions together (as in medpy); `None` in the same cases as `hausdorff_95`.
    pub hausdorff_95_joint: Option<f64>,
    /// The counts of lesions.
    pub lesions: LesionCounts,
    /// Which masks are empty.
    pub empty: Emptiness,
    #[serde(skip)]
    surface: SurfaceCounts,
}

/// The measures at one level; `None` if no case has a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Level {
    /// Dice.
    pub dice: Option<Estimate>,
    /// IoU.
    pub iou: Option<Estimate>,
    /// Precision.
    pub precision: Option<Estimate>,
    /// Recall.
    pub recall: Option<Estimate>,
    /// Surface Dice.
    pub surface_dice: Option<Estimate>,
}

/// Lesion-wise detection over all images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detection {
    /// The sums over all images.
    pub counts: LesionCounts,
    /// The number of found lesions divided by the number of lesions; `None` without lesions.
    pub sensitivity: Option<Estimate>,
    /// The number of false positives divided by the number of images, including images without lesions; `None` without images.
    pub false_positives_per_image: Option<Estimate>,
}

/// The numbers of cases with empty masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct EmptyCounts {
    /// Cases with a true lesion and an empty prediction.
    pub prediction: usize,
    /// Cases without a true lesion and with a predicted lesion.
    pub truth: usize,
    /// Cases without a true lesion and with an empty prediction.
    pub both: usize,
}

/// The result of [`evaluate`]; the command line prints its `Display`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The settings of the computation.
    pub settings: EvaluationSettings,
    /// The number of cases.
    pub cases: usize,
    /// The number of patients or groups; `None` if none are known.
    pub groups: Option<usize>,
    /// The numbers of cases with empty masks.
    pub empty: EmptyCounts,
    /// The means over slices.
    pub per_slice: Level,
    /// The means over patients; `None` if none are known.
    pub per_patient: Option<Level>,
    /// The ratios of sums over all cases.
    pub pooled: Level,
    /// The Hausdorff 95 (as in MONAI), averaged over the slices that have one.
    pub hausdorff_95: Option<Estimate>,
    /// The Hausdorff 95 (as in medpy), averaged over the slices that have one.
    pub hausdorff_95_joint: Option<Estimate>,
    /// The detection of lesions.
    pub detection: Detection,
    /// Every case, in the given order.
    pub per_case: Vec<CaseScores>,
}

/// Compares predicted masks with true masks.
///
/// # Panics
///
/// When a mask does not have `height * width` pixels, a mistake of the calling code.
#[must_use]
pub fn evaluate(cases: &[Case], settings: &EvaluationSettings) -> Evaluation {
    summarise(cases.par_iter().map(|case| score(case, settings)).collect(), settings)
}

/// The result of [`evaluate`] from the scores of all cases, whose masks need not be in memory together.
#[must_use]
pub fn summarise(per_case: Vec<CaseScores>, settings: &EvaluationSettings) -> Evaluation {
    let groups = groups(per_case.iter().map(|case| case.group.as_deref()));
    let estimates = Estimates { cases: &per_case, groups: groups.as_deref(), settings };
    let mut empty = EmptyCounts::default();
    for case in &per_case {
        match case.empty {
            Emptiness::None => {}
            Emptiness::Prediction => empty.prediction += 1,
            Emptiness::Truth => empty.truth += 1,
            Emptiness::Both => empty.both += 1,
        }
    }
    Evaluation {
        settings: settings.clone(),
        cases: per_case.len(),
        groups: groups.as_ref().map(|ids| ids.iter().max().map_or(0, |last| last + 1)),
        empty,
        per_slice: estimates.per_slice(),
        per_patient: groups.as_deref().map(|groups| per_patient(&per_case, groups, settings)),
        pooled: estimates.pooled(),
        hausdorff_95: estimates.mean(|case| case.hausdorff_95),
        hausdorff_95_joint: estimates.mean(|case| case.hausdorff_95_joint),
        detection: estimates.detection(),
        per_case,
    }
}

/// The scores of one case.
///
/// # Panics
///
/// As [`evaluate`].
#[must_use]
pub fn score(case: &Case, settings: &EvaluationSettings) -> CaseScores {
    let &Case { prediction, truth, height, width, .. } = case;
    let counts = Counts::new(prediction, truth);
    let distances = SurfaceDistances::new(prediction, truth, height, width, settings.spacing);
    let empty = match (prediction.contains(&true), truth.contains(&true)) {
        (true, true) => Emptiness::None,
        (false, true) => Emptiness::Prediction,
        (true, false) => Emptiness::Truth,
        (false, false) => Emptiness::Both,
    };
    let surface = match (&distances, empty) {
        (Some(distances), _) => distances.counts(settings.surface_tolerance),
        (None, Emptiness::Prediction) => SurfaceCounts::one_sided(truth, height, width),
        (None, _) => SurfaceCounts::one_sided(prediction, height, width),
    };
    let scored_empty = empty == Emptiness::Both && settings.both_empty == BothEmpty::One;
    let distance = |of: fn(&SurfaceDistances) -> f64| distances.as_ref().map(of).or(scored_empty.then_some(0.0));
    CaseScores {
        id: case.id.to_owned(),
        group: case.group.map(str::to_owned),
        counts,
        overlap: counts.overlap(settings.both_empty),
        surface_dice: surface_dice(surface, settings.both_empty),
        hausdorff_95: distance(SurfaceDistances::hausdorff_95),
        hausdorff_95_joint: distance(SurfaceDistances::hausdorff_95_joint),
        lesions: detect(prediction, truth, height, width, &settings.matching),
        empty,
        surface,
    }
}

fn surface_dice(counts: SurfaceCounts, both_empty: BothEmpty) -> Option<f64> {
    if counts.total == 0 {
        return (both_empty == BothEmpty::One).then_some(1.0);
    }
    Some(counts.within as f64 / counts.total as f64)
}

/// The group ids; a case without a group forms its own group. `None` if no case has a group.
pub(crate) fn groups<'a>(cases: impl Iterator<Item = Option<&'a str>>) -> Option<Vec<usize>> {
    let labels: Vec<Result<&str, usize>> = cases.enumerate().map(|(index, group)| group.ok_or(index)).collect();
    labels.iter().any(Result::is_ok).then(|| group_ids(&labels))
}

/// Means and ratios over cases that share their groups.
struct Estimates<'a> {
    cases: &'a [CaseScores],
    groups: Option<&'a [usize]>,
    settings: &'a EvaluationSettings,
}

impl Estimates<'_> {
    /// The mean over the cases that have a value.
    fn mean(&self, value: impl Fn(&CaseScores) -> Option<f64>) -> Option<Estimate> {
        let chosen: Vec<(usize, f64)> =
            self.cases.iter().enumerate().filter_map(|(index, case)| Some((index, value(case)?))).collect();
        let groups: Option<Vec<usize>> = self.groups.map(|groups| chosen.iter().map(|&(i, _)| groups[i]).collect());
        let values: Vec<f64> = chosen.iter().map(|&(_, value)| value).collect();
        bootstrap_mean(&values, groups.as_deref(), &self.settings.bootstrap)
    }

    fn ratio(&self, fraction: impl Fn(&CaseScores) -> (f64, f64)) -> Option<Estimate> {
        let fractions: Vec<(f64, f64)> = self.cases.iter().map(fraction).collect();
        bootstrap_ratio(&fractions, self.groups, &self.settings.bootstrap)
    }

    fn per_slice(&self) -> Level {
        let of = |value: fn(&Overlap) -> f64| self.mean(|case| case.overlap.as_ref().map(value));
        Level {
            dice: of(|overlap| overlap.dice),
            iou: of(|overlap| overlap.iou),
            precision: of(|overlap| overlap.precision),
            recall: of(|overlap| overlap.recall),
            surface_dice: self.mean(|case| case.surface_dice),
        }
    }

    fn pooled(&self) -> Level {
        let [dice, iou, precision, recall] =
            [0, 1, 2, 3].map(|measure| self.ratio(|case| case.counts.fractions()[measure]));
        let surface_dice = self.ratio(|case| (case.surface.within as f64, case.surface.total as f64));
        Level { dice, iou, precision, recall, surface_dice }
    }

    fn detection(&self) -> Detection {
        let lesions = self.cases.iter().fold(LesionCounts::default(), |sum, case| sum + case.lesions);
        Detection {
            counts: lesions,
            sensitivity: self.ratio(|case| (case.lesions.found as f64, case.lesions.lesions as f64)),
            false_positives_per_image: self.mean(|case| Some(case.lesions.false_positives as f64)),
        }
    }
}

/// The means over patients; pixels are counted over all slices of a patient.
fn per_patient(cases: &[CaseScores], groups: &[usize], settings: &EvaluationSettings) -> Level {
    let patients = groups.iter().max().map_or(0, |last| last + 1);
    let mut sums = vec![(Counts::default(), SurfaceCounts::default()); patients];
    for (case, &group) in cases.iter().zip(groups) {
        let (counts, surface) = &mut sums[group];
        *counts = *counts + case.counts;
        surface.within += case.surface.within;
        surface.total += case.surface.total;
    }
    let overlaps: Vec<Overlap> = sums.iter().filter_map(|(counts, _)| counts.overlap(settings.both_empty)).collect();
    let mean = |values: Vec<f64>| bootstrap_mean(&values, None, &settings.bootstrap);
    let of = |value: fn(&Overlap) -> f64| mean(overlaps.iter().map(value).collect());
    Level {
        dice: of(|overlap| overlap.dice),
        iou: of(|overlap| overlap.iou),
        precision: of(|overlap| overlap.precision),
        recall: of(|overlap| overlap.recall),
        surface_dice: mean(
            sums.iter().filter_map(|&(_, surface)| surface_dice(surface, settings.both_empty)).collect(),
        ),
    }
}

#[cfg(test)]
mod tests;
