//! Results as sentences and as tables, for Markdown, pages and LaTeX.

use crate::crossval::results::{AgreementResult, PairingResult, Results};
use pig_metrics::permutation::{FoldSummary, PairedComparison};
use pig_report::Table;
use std::fmt::{self, Display, Write};

/// Definition of the numbers of pair agreement.
pub const AGREEMENT: &str =
    "Pair agreement: Dice % of segmenters that were trained on real pairs alone, over folds and seeds.";

/// Mean and standard deviation over folds of a share, in per cent; a dash if there is no value.
pub fn percent(summary: Option<&FoldSummary>) -> String {
    summary.map_or("-".to_owned(), FoldSummary::percent_with_std)
}

fn pixels(summary: Option<&FoldSummary>) -> String {
    let with_std = |s: &FoldSummary| match s.std {
        Some(std) => format!("{:.2} ± {std:.2}", s.mean),
        None => format!("{:.2}", s.mean),
    };
    summary.map_or("-".to_owned(), with_std)
}

/// A difference in per cent points with its interval, and p; empty if there is no value.
pub fn difference(found: Option<&PairedComparison>) -> [String; 2] {
    found.map_or([String::new(), String::new()], |PairedComparison { difference: d, test, .. }| {
        let points = format!("{:+.2} [{:+.2}, {:+.2}]", 100.0 * d.mean, 100.0 * d.low, 100.0 * d.high);
        [points, format!("{:.4}", test.p_value)]
    })
}

/// The columns of [`Results::table`].
pub const HEAD: [&str; 10] = [
    "training set",
    "generated pairs",
    "Dice %",
    "IoU %",
    "precision %",
    "recall %",
    "Hausdorff 95",
    "Dice - real, % points",
    "p",
    "segmenters",
];

impl Results {
    /// Every training set that has a segmenter, with its measures.
    pub fn table(&self) -> Table {
        let row = |arm: &super::results::ArmResult| {
            let measures = arm.measures.iter().map(|measure| {
                let shown = if measure.name == "hausdorff_95" { pixels } else { percent };
                shown(measure.folds.as_ref())
            });
            let first = [arm.arm.clone(), format!("{:.0}", arm.added)].into_iter();
            let last = [format!("{} of {}", arm.segmenters[0], arm.segmenters[1])];
            first.chain(measures).chain(difference(arm.against_real.as_ref())).chain(last).collect()
        };
        Table { head: HEAD.map(str::to_owned).to_vec(), rows: self.measured().map(row).collect() }
    }

    /// The pair agreement of every arm for which it was measured.
    pub fn agreement_table(&self) -> Table {
        let head = ["arm", "generated pairs", "the same images, masks shuffled", "held-out real pairs", "measured"];
        let row = |arm: &AgreementResult| {
            let found = [&arm.generated, &arm.shuffled, &arm.held_out].map(|found| percent(found.as_ref()));
            let [generated, shuffled, held_out] = found;
            vec![arm.arm.clone(), generated, shuffled, held_out, arm.measured.to_string()]
        };
        Table {
            head: head.map(str::to_owned).to_vec(),
            rows: self.agreement.iter().filter(|arm| arm.measured > 0).map(row).collect(),
        }
    }
}

impl PairingResult {
    /// The comparison as a sentence.
    pub fn sentence(&self) -> String {
        let (arm, shuffled) = (&self.arm, &self.shuffled);
        let Some(verdict) = self.is_above_shuffled() else {
            return format!("{arm} against {shuffled}: not measured yet.");
        };
        let verdict = if verdict {
            "generated pairs train better segmenters than the same images with the masks of other pairs"
        } else {
            "FAILED: generated pairs do not train clearly better segmenters than the same images with the masks of other pairs"
        };
        let [points, p] = difference(self.difference.as_ref());
        format!("{arm} against {shuffled}: {points} % points of Dice, p = {p}: {verdict}.")
    }
}

impl Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}\n\n{}", self.definition, self.table().markdown());
        if self.has_agreement() {
            write!(text, "\n{AGREEMENT}\n\n{}", self.agreement_table().markdown())?;
        }
        for pairing in &self.pairing {
            writeln!(text, "\n{}", pairing.sentence())?;
        }
        f.write_str(&text)
    }
}
