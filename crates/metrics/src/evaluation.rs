//! Predicted masks against true ones: overlap and boundary distance per slice, per patient and pooled, and detection of lesions.
//!
//! - **Per slice** (the paper's way): each case has its own value, and cases are averaged.
//! - **Per patient**: pixels and boundary pixels are counted over all slices of a patient, and patients are averaged. A
//!   Hausdorff distance is not summed over slices, so it stands per slice alone.
//! - **Pooled**: pixels are counted over everything; large lesions weigh more.
//!
//! Intervals are 95 % bootstrap intervals ([`crate::bootstrap`]) over patients where they are known, else over cases. Empty masks
//! follow [`crate::overlap`]; a boundary distance to an empty mask does not exist: it is left out and counted, and such a case
//! scores 0 in surface Dice.

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
    /// Name, as results print it.
    pub id: &'a str,
    /// Predicted lesion pixels.
    pub prediction: &'a [bool],
    /// True lesion pixels.
    pub truth: &'a [bool],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Patient or other group, if known; a case without one is a group of its own.
    pub group: Option<&'a str>,
}

/// Settings of [`evaluate`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationSettings {
    /// What a case scores in which both masks are empty.
    pub both_empty: BothEmpty,
    /// Distance between rows and between columns; 1 and 1 measures in pixels.
    pub spacing: [f64; 2],
    /// Distance up to which a boundary pixel counts as right in surface Dice, in the unit of the spacing.
    pub surface_tolerance: f64,
    /// When a lesion is found.
    pub matching: Matching,
    /// Intervals.
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
    /// The prediction alone: everything was missed.
    Prediction,
    /// The truth alone: all that was predicted is invented.
    Truth,
    /// Both.
    Both,
}

/// One case's numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseScores {
    /// Its name.
    pub id: String,
    /// Its patient or group.
    pub group: Option<String>,
    /// Pixels found, invented and missed.
    pub counts: Counts,
    /// Ratios; `None` where both masks are empty and such cases are left out.
    pub overlap: Option<Overlap>,
    /// Surface Dice; `None` as `overlap`.
    pub surface_dice: Option<f64>,
    /// Hausdorff 95, the greater of both directions (MONAI's); `None` where a mask is empty, 0 where both are and score 1.
    pub hausdorff_95: Option<f64>,
    /// Hausdorff 95 of both directions together (medpy's); `None` as `hausdorff_95`.
    pub hausdorff_95_joint: Option<f64>,
    /// Lesions.
    pub lesions: LesionCounts,
    /// Which masks are empty.
    pub empty: Emptiness,
    #[serde(skip)]
    surface: SurfaceCounts,
}

/// The measures at one level; `None` where no case has a value.
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
    /// Sums over all images.
    pub counts: LesionCounts,
    /// Lesions found over lesions; `None` without lesions.
    pub sensitivity: Option<Estimate>,
    /// False positives over images, those without lesions included; `None` without images.
    pub false_positives_per_image: Option<Estimate>,
}

/// How many cases have empty masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct EmptyCounts {
    /// A lesion, and nothing predicted.
    pub prediction: usize,
    /// No lesion, and something predicted.
    pub truth: usize,
    /// No lesion, nothing predicted.
    pub both: usize,
}

/// What [`evaluate`] finds; its `Display` is what the command line prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Settings that it was computed with.
    pub settings: EvaluationSettings,
    /// Number of cases.
    pub cases: usize,
    /// Number of patients or groups; `None` where none are known.
    pub groups: Option<usize>,
    /// Cases with empty masks.
    pub empty: EmptyCounts,
    /// Means over slices.
    pub per_slice: Level,
    /// Means over patients; `None` where none are known.
    pub per_patient: Option<Level>,
    /// Ratios of sums over everything.
    pub pooled: Level,
    /// Hausdorff 95 (MONAI's), mean over the slices that have one.
    pub hausdorff_95: Option<Estimate>,
    /// Hausdorff 95 (medpy's), mean over the slices that have one.
    pub hausdorff_95_joint: Option<Estimate>,
    /// Lesions.
    pub detection: Detection,
    /// Every case, in the order given.
    pub per_case: Vec<CaseScores>,
}

/// Measures predictions against truths.
///
/// # Panics
///
/// When a mask has not `height * width` pixels, a mistake of the calling code.
#[must_use]
pub fn evaluate(cases: &[Case], settings: &EvaluationSettings) -> Evaluation {
    let per_case: Vec<CaseScores> = cases.par_iter().map(|case| scores(case, settings)).collect();
    let groups = groups(cases);
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
        cases: cases.len(),
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

fn scores(case: &Case, settings: &EvaluationSettings) -> CaseScores {
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

/// Group ids; a case without a group is one by itself, `None` where no case has one.
fn groups(cases: &[Case]) -> Option<Vec<usize>> {
    let labels: Vec<Result<&str, usize>> =
        cases.iter().enumerate().map(|(index, case)| case.group.ok_or(index)).collect();
    labels.iter().any(Result::is_ok).then(|| group_ids(&labels))
}

/// Means and ratios over cases that share their groups.
struct Estimates<'a> {
    cases: &'a [CaseScores],
    groups: Option<&'a [usize]>,
    settings: &'a EvaluationSettings,
}

impl Estimates<'_> {
    /// Mean over the cases that have a value.
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

/// Means over patients of what is counted over a patient's slices.
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
