//! Results as sentences and as tables, for Markdown, pages and LaTeX.

use crate::crossval::results::{AgreementResult, ArmResult, PairingResult, Results};
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

/// A difference in per cent points with its interval, and p; empty if there is no value. Without a verdict there is no p.
pub fn difference(found: Option<&PairedComparison>, is_verdict: bool) -> [String; 2] {
    found.map_or([String::new(), String::new()], |PairedComparison { difference: d, test, .. }| {
        let points = format!("{:+.2} [{:+.2}, {:+.2}]", 100.0 * d.mean, 100.0 * d.low, 100.0 * d.high);
        [points, if is_verdict { format!("{:.4}", test.p_value) } else { "no verdict".to_owned() }]
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
        let row = |arm: &ArmResult| {
            let measures = arm.measures.iter().map(|measure| {
                let shown = if measure.name == "hausdorff_95" { pixels } else { percent };
                shown(measure.folds.as_ref())
            });
            let first = [arm.arm.clone(), format!("{:.0}", arm.added)].into_iter();
            let last = [format!("{} of {}", arm.segmenters[0], arm.segmenters[1])];
            let against = difference(arm.against_real.as_ref(), self.why_no_verdict(arm).is_empty());
            first.chain(measures).chain(against).chain(last).collect()
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

impl ArmResult {
    /// Why this training set's comparison alone allows no verdict.
    fn own_reason(&self) -> Option<String> {
        if let Some(drawn) = self.drawn.filter(|drawn| drawn.least == 0) {
            return Some(format!(
                "a segmenter of {} had drawn no generated pair at the step of its best checkpoint (on average {:.0} of {:.0} were drawn)",
                self.arm, drawn.mean, self.added
            ));
        }
        let is_equal = |found: &PairedComparison| found.difference.low == 0.0 && found.difference.high == 0.0;
        self.against_real.as_ref().filter(|found| is_equal(found)).map(|found| {
            format!(
                "{}: each of the {} cases has the same Dice as with real pairs alone",
                self.arm, found.difference.cases
            )
        })
    }
}

impl Results {
    /// Why the comparison of a training set with real pairs allows no verdict; empty if it does.
    pub fn why_no_verdict(&self, arm: &ArmResult) -> Vec<String> {
        self.no_verdict.iter().cloned().chain(arm.own_reason()).collect()
    }

    /// A line for each reason that keeps a comparison without a verdict, and what it applies to.
    pub fn verdict_notes(&self) -> Vec<String> {
        let has_comparison = self.pairing.iter().any(|pairing| pairing.difference.is_some())
            || self.arms.iter().any(|arm| arm.against_real.is_some());
        if !has_comparison {
            return Vec::new();
        }
        let all = (!self.no_verdict.is_empty()).then(|| format!("No verdict: {}.", self.no_verdict.join("; ")));
        let own = self.arms.iter().filter_map(ArmResult::own_reason).map(|reason| format!("No verdict: {reason}."));
        all.into_iter().chain(own).collect()
    }
}

impl PairingResult {
    /// The comparison as a sentence. It is no verdict if there are reasons against one.
    pub fn sentence(&self, no_verdict: &[String]) -> String {
        let (arm, shuffled) = (&self.arm, &self.shuffled);
        let Some(verdict) = self.is_above_shuffled() else {
            return format!("{arm} against {shuffled}: not measured yet.");
        };
        let [points, p] = difference(self.difference.as_ref(), no_verdict.is_empty());
        if !no_verdict.is_empty() {
            return format!(
                "{arm} against {shuffled}: {points} % points of Dice; no verdict: {}.",
                no_verdict.join("; ")
            );
        }
        let verdict = if verdict {
            "generated pairs train better segmenters than the same images with the masks of other pairs"
        } else {
            "FAILED: generated pairs do not train clearly better segmenters than the same images with the masks of other pairs"
        };
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
            writeln!(text, "\n{}", pairing.sentence(&self.no_verdict))?;
        }
        for note in self.verdict_notes() {
            writeln!(text, "\n{note}")?;
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossval::results::Drawn;
    use pig_metrics::{
        bootstrap::Bootstrap,
        permutation::{Permutations, paired_comparison},
    };

    fn results(gain: f64, drawn: Option<Drawn>) -> Results {
        let values = |gain: f64| (0..20).map(|case| Some(0.5 + f64::from(case) * 0.01 + gain)).collect::<Vec<_>>();
        let against_real =
            paired_comparison(&values(gain), &values(0.0), None, &Bootstrap::default(), Permutations::default());
        let arm = "pig-add-4".to_owned();
        let mut results = Results::default();
        results.arms =
            vec![ArmResult { arm, segmenters: [3, 3], added: 4.0, drawn, measures: Vec::new(), against_real }];
        results.pairing = vec![PairingResult {
            arm: "pig-only-4".to_owned(),
            shuffled: "pig-shuffled-4".to_owned(),
            difference: against_real,
        }];
        results
    }

    #[test]
    fn pairs_that_were_not_drawn_or_changed_nothing_forbid_a_verdict() {
        let notes = |gain, drawn| results(gain, drawn).verdict_notes();
        assert!(notes(0.125, None).is_empty());
        assert!(notes(0.125, Some(Drawn { mean: 3.0, least: 1 })).is_empty());
        let undrawn = notes(0.125, Some(Drawn { mean: 1.0, least: 0 }));
        assert!(undrawn[0].contains("pig-add-4 had drawn no generated pair"), "{undrawn:?}");
        let equal = notes(0.0, None);
        assert!(equal[0].contains("each of the 20 cases has the same Dice"), "{equal:?}");
    }

    #[test]
    fn without_a_verdict_the_difference_stands_alone_and_says_why() {
        let text = results(0.125, None).to_string();
        // All 20 differences are equal: of the drawn arrangements, none is as extreme, so p is 2 of 10,000.
        assert!(text.contains("| +12.50 [+12.50, +12.50] | 0.0002 |"), "{text}");
        assert!(
            text.contains("pig-only-4 against pig-shuffled-4: +12.50 [+12.50, +12.50] % points of Dice, p = 0.0002")
        );
        assert!(!text.contains("o verdict"), "{text}");
        let mut few = results(0.125, None);
        few.no_verdict = vec!["1 segmenter seed(s), a verdict needs 3".to_owned()];
        let text = few.to_string();
        assert!(text.contains("| +12.50 [+12.50, +12.50] | no verdict |"), "{text}");
        assert!(text.contains("\nNo verdict: 1 segmenter seed(s), a verdict needs 3.\n"), "{text}");
        for word in ["0.0002", "better", "FAILED"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
}
