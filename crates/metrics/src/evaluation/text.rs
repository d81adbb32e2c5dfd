//! The text of an evaluation on a terminal.

use std::fmt;

use super::{Evaluation, Level};
use crate::bootstrap::Estimate;
use crate::overlap::BothEmpty;

/// The value of a level that a row of the table shows.
type Value = fn(&Level) -> Option<Estimate>;

impl Evaluation {
    /// The definition of the numbers, for example for the caption of a table.
    #[must_use]
    pub fn definition(&self) -> String {
        let settings = &self.settings;
        let units = match self.groups {
            Some(groups) => format!("{groups} patients or groups"),
            None => {
                "cases, since no patients are known (slices of one patient make these intervals too narrow)".to_owned()
            }
        };
        // `pig compare` averages the slices within each patient, which is another number.
        let volumes = match self.groups {
            Some(_) => "Per patient, all slices of a patient count as one mask, and patients are averaged. ",
            None => "",
        };
        let both_empty = match settings.both_empty {
            BothEmpty::Skip => "are left out",
            BothEmpty::One => "score 1",
        };
        format!(
            "95 % bootstrap intervals over {units}. {volumes}Cases with one empty mask score 0, those with two {both_empty}. \
             Surface Dice has a tolerance of {}, distances have a spacing of {} between rows and {} between columns. A predicted component finds a lesion if \
             their IoU is at least {}; they are matched one to one, the largest IoU first. A component without a lesion is a \
             false positive.",
            settings.surface_tolerance, settings.spacing[0], settings.spacing[1], settings.matching.min_iou
        )
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "cases {}, of which empty: prediction only {}, truth only {}, both {}",
            self.cases, self.empty.prediction, self.empty.truth, self.empty.both
        )?;
        writeln!(f, "\n{:<24}{:<28}{:<28}{:<28}", "", "per slice", "per patient", "pooled")?;
        let rows: [(&str, Value); 5] = [
            ("Dice", |level| level.dice),
            ("IoU", |level| level.iou),
            ("precision", |level| level.precision),
            ("recall", |level| level.recall),
            ("surface Dice", |level| level.surface_dice),
        ];
        for (name, of) in rows {
            let patient = self.per_patient.as_ref().and_then(of);
            let [slice, patient, pooled] = [of(&self.per_slice), patient, of(&self.pooled)].map(interval);
            writeln!(f, "{}", format!("{name:<24}{slice:<28}{patient:<28}{pooled:<28}").trim_end())?;
        }
        let single = [
            ("Hausdorff 95", self.hausdorff_95),
            ("Hausdorff 95, joint", self.hausdorff_95_joint),
            ("lesion sensitivity", self.detection.sensitivity),
            ("false positives/image", self.detection.false_positives_per_image),
        ];
        for (name, estimate) in single {
            writeln!(f, "{name:<24}{}", interval(estimate))?;
        }
        let counts = self.detection.counts;
        writeln!(
            f,
            "lesions {}, found {}; predicted {}, false {}",
            counts.lesions, counts.found, counts.predicted, counts.false_positives
        )?;
        if let Some(distance) = self.hausdorff_95.filter(|distance| distance.cases < self.cases) {
            writeln!(f, "Hausdorff distances are means of {} cases: an empty mask has no distance.", distance.cases)?;
        }
        writeln!(f, "\n{}", self.definition())
    }
}

fn interval(estimate: Option<Estimate>) -> String {
    match estimate {
        Some(e) if e.low.is_finite() => format!("{:.4} [{:.4}, {:.4}]", e.mean, e.low, e.high),
        Some(e) => format!("{:.4} [one unit]", e.mean),
        None => "-".to_owned(),
    }
}
