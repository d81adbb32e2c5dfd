//! Results as sentences and as tables, for Markdown, pages and LaTeX.

use crate::crossval::{
    agreement::AgreementResult,
    outcome::PatientMean,
    results::{ArmResult, ClassResults, PairingResult, Results},
    verdict::LEAST_SEEDS,
};
use pig_metrics::{contrast::Contrast, fixed::signed, permutation::FoldSummary};
use pig_report::Table;
use std::fmt::{self, Display, Write};

/// Definition of the numbers of pair agreement.
pub const AGREEMENT: &str = "Pair agreement: Dice % of segmenters that were trained on real pairs alone, on masks with a lesion alone, and the share of empty masks \
     in whose picture they find something; means over folds and seeds with their standard deviation. Pairs of methods that need masks are \
     made for the masks of test patients, on which no segmenter was trained.";

/// Definition of the second table.
pub const PAPER: &str = "As the paper prints it: per slice, without slices in which both masks are empty, as mean and standard deviation over folds. Which slices \
     count depends on what a segmenter predicts, so columns of this table are not compared.";

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

/// A difference in per cent points with its interval; empty if there is no value.
pub fn points(found: Option<&Contrast>) -> String {
    found.map_or(String::new(), |found| {
        let [mean, low, high] = in_points(found, 2);
        format!("{mean} [{low}, {high}]")
    })
}

/// A difference and the ends of its interval, in per cent points with so many decimals.
pub fn in_points(Contrast { difference: d, .. }: &Contrast, decimals: usize) -> [String; 3] {
    [d.mean, d.low, d.high].map(|share| signed(100.0 * share, decimals))
}

/// A difference in per cent points with its interval, p, p by Holm's method and the detectable difference; empty if there is no value.
/// Without a verdict there is no p.
pub fn difference(found: Option<&Contrast>, is_verdict: bool) -> [String; 4] {
    let Some(contrast) = found else { return Default::default() };
    let [p, adjusted] =
        if is_verdict { [contrast.p_text(), contrast.holm_text()] } else { ["no verdict".to_owned(), String::new()] };
    [points(found), p, adjusted, format!("{:.2}", 100.0 * contrast.detectable)]
}

fn mean_text(mean: Option<&PatientMean>) -> String {
    mean.map_or("-".to_owned(), |mean| format!("{:.2}", 100.0 * mean.mean))
}

/// The columns of [`Results::table`].
pub const HEAD: [&str; 10] = [
    "training set",
    "generated pairs",
    "Dice %, slices with a lesion",
    "Dice - real, % points",
    "p",
    "p (Holm)",
    "detectable",
    "without a lesion: found in %",
    "found - real, % points",
    "segmenters",
];

/// The columns of [`Results::paper_table`].
const PAPER_HEAD: [&str; 7] =
    ["training set", "generated pairs", "Dice %", "IoU %", "precision %", "recall %", "Hausdorff 95"];

impl ArmResult {
    /// The cells of the main table that follow the number of generated pairs, but for the number of segmenters.
    pub(crate) fn outcome_cells(&self, is_verdict: bool) -> Vec<String> {
        let [points_of_dice, p, adjusted, detectable] = difference(self.against_real.as_ref(), is_verdict);
        let [dice, found] = [&self.lesion_dice, &self.false_findings].map(|mean| mean_text(mean.as_ref()));
        let guard = points(self.false_findings_against_real.as_ref());
        vec![dice, points_of_dice, p, adjusted, detectable, found, guard]
    }
}

impl Results {
    /// Every training set that has a segmenter: the primary outcome with its difference to real pairs, and the guard.
    pub fn table(&self) -> Table {
        let row = |arm: &ArmResult| {
            let first = [arm.arm.clone(), format!("{:.0}", arm.added)].into_iter();
            let outcome = arm.outcome_cells(self.why_no_verdict(arm).is_empty());
            first.chain(outcome).chain([format!("{} of {}", arm.segmenters[0], arm.segmenters[1])]).collect()
        };
        Table { head: HEAD.map(str::to_owned).to_vec(), rows: self.measured().map(row).collect() }
    }

    /// Every training set that has a segmenter, with its measures as the paper prints them.
    pub fn paper_table(&self) -> Table {
        let row = |arm: &ArmResult| {
            let measures = arm.measures.iter().map(|measure| {
                let shown = if measure.name == "hausdorff_95" { pixels } else { percent };
                shown(measure.folds.as_ref())
            });
            [arm.arm.clone(), format!("{:.0}", arm.added)].into_iter().chain(measures).collect()
        };
        Table { head: PAPER_HEAD.map(str::to_owned).to_vec(), rows: self.measured().map(row).collect() }
    }

    /// What the intervals of the main table cover, once for each kind of comparison.
    pub fn sources(&self) -> Option<String> {
        sources(self.arms.iter())
    }

    /// The pair agreement of every arm for which it was measured.
    pub fn agreement_table(&self) -> Table {
        let head = [
            "arm",
            "generated pairs",
            "the same images, masks shuffled",
            "held-out real pairs",
            "empty masks: found in %",
            "held-out empty masks: found in %",
            "measured",
        ];
        let row = |arm: &AgreementResult| {
            let seen = if arm.seen_masks { " (made for masks that the segmenters were trained on)" } else { "" };
            let dice = [&arm.generated, &arm.shuffled, &arm.held_out];
            let shown = dice.into_iter().chain([&arm.false_findings, &arm.held_out_false_findings]);
            let shown = shown.map(|found| percent(found.as_ref()));
            let measured = match arm.untrained {
                0 => arm.measured.to_string(),
                untrained => format!("{}, {untrained} left out that did not train", arm.measured),
            };
            [format!("{}{seen}", arm.arm)].into_iter().chain(shown).chain([measured]).collect()
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
        let is_equal = |found: &Contrast| found.difference.low == 0.0 && found.difference.high == 0.0;
        self.against_real.as_ref().filter(|found| is_equal(found)).map(|found| {
            format!(
                "{}: each of the {} patients has the same Dice as with real pairs alone",
                self.arm, found.difference.units
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

/// What the intervals of these training sets cover, once for each kind of comparison.
pub(crate) fn sources<'r>(arms: impl Iterator<Item = &'r ArmResult>) -> Option<String> {
    let mut kinds: Vec<String> = Vec::new();
    for contrast in arms.filter_map(|arm| arm.against_real.as_ref()) {
        let kind = contrast.sources();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    (!kinds.is_empty()).then(|| format!("Intervals of Dice cover {}.", kinds.join(", or ")))
}

impl PairingResult {
    /// Why this comparison alone allows no verdict: a control that did not learn anything shows nothing.
    fn own_reason(&self) -> Option<String> {
        let [untrained, all] = self.untrained;
        (all - untrained < LEAST_SEEDS && untrained > 0).then(|| {
            format!(
                "{untrained} of the {all} segmenters of {} find no part of any lesion, so they did not train and are left out",
                self.shuffled
            )
        })
    }

    /// The comparison as a sentence. It is no verdict if there are reasons against one.
    pub fn sentence(&self, no_verdict: &[String]) -> String {
        let (arm, shuffled) = (&self.arm, &self.shuffled);
        let reasons: Vec<String> = no_verdict.iter().cloned().chain(self.own_reason()).collect();
        let Some(verdict) = self.is_above_shuffled() else {
            let why = self.own_reason().map_or("not measured yet".to_owned(), |reason| format!("no verdict: {reason}"));
            return format!("{arm} against {shuffled}: {why}.");
        };
        let [points, p, ..] = difference(self.difference.as_ref(), reasons.is_empty());
        if !reasons.is_empty() {
            return format!("{arm} against {shuffled}: {points} % points of Dice; no verdict: {}.", reasons.join("; "));
        }
        let verdict = if verdict {
            "generated pairs train better segmenters than the same images with the masks of other pairs"
        } else {
            "FAILED: generated pairs do not train clearly better segmenters than the same images with the masks of other pairs"
        };
        let p = if p.starts_with('<') { format!("p {p}") } else { format!("p = {p}") };
        format!("{arm} against {shuffled}: {points} % points of Dice, {p}: {verdict}.")
    }

    /// Whether [`sentence`](Self::sentence) is a verdict.
    pub fn is_verdict(&self, no_verdict: &[String]) -> bool {
        no_verdict.is_empty() && self.own_reason().is_none() && self.difference.is_some()
    }
}

impl Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}\n\n{}", self.definition, self.table().markdown());
        if let Some(sources) = self.sources() {
            writeln!(text, "\n{sources}")?;
        }
        write!(text, "\n{PAPER}\n\n{}", self.paper_table().markdown())?;
        if self.has_agreement() {
            write!(text, "\n{AGREEMENT}\n\n{}", self.agreement_table().markdown())?;
        }
        for pairing in &self.pairing {
            writeln!(text, "\n{}", pairing.sentence(&self.no_verdict))?;
        }
        for note in self.verdict_notes() {
            writeln!(text, "\n{note}")?;
        }
        for ClassResults { class, results } in &self.classes {
            write!(text, "\n# Class {class}\n\n{results}")?;
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossval::results::Drawn;
    use pig_metrics::contrast::{Arm, Run, Settings, contrast};

    fn results(gain: f64, drawn: Option<Drawn>) -> Results {
        let names: Vec<String> = (0..20).map(|patient| format!("p{patient:02}")).collect();
        let arm = |gain: f64| {
            let value = |patient: usize| (names[patient].as_str(), 0.5 + patient as f64 * 0.01 + gain);
            let run = |segmenter| Run { fold: 0, generator: None, segmenter, values: (0..20).map(value).collect() };
            Arm { runs: (0..3).map(run).collect(), is_alike: true }
        };
        let (ours, real) = (arm(gain), arm(0.0));
        let against_real = contrast(&ours, &real, &[&ours, &real], &Settings::default());
        let mut results = Results::default();
        results.arms = vec![ArmResult {
            arm: "pig-add-4".to_owned(),
            segmenters: [3, 3],
            added: 4.0,
            drawn,
            is_control: false,
            measures: Vec::new(),
            lesion_dice: Some(PatientMean { mean: 0.72, patients: 20, slices: 20 }),
            false_findings: None,
            against_real: against_real.clone(),
            false_findings_against_real: None,
        }];
        results.pairing = vec![PairingResult {
            arm: "pig-only-4".to_owned(),
            shuffled: "pig-shuffled-4".to_owned(),
            difference: against_real,
            untrained: [0, 3],
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
        assert!(equal[0].contains("each of the 20 patients has the same Dice"), "{equal:?}");
    }

    #[test]
    fn without_a_verdict_the_difference_stands_alone_and_says_why() {
        let text = results(0.125, None).to_string();
        // All 20 differences are equal, so p is below what 2,000 resamples can show.
        assert!(text.contains("| 72.00 | +12.50 [+12.50, +12.50] | < 0.0010 | < 0.0010 | 0.00 | - |  |"), "{text}");
        assert!(
            text.contains("pig-only-4 against pig-shuffled-4: +12.50 [+12.50, +12.50] % points of Dice, p < 0.0010")
        );
        let covers = "Intervals of Dice cover patients (20), segmenters (3 of a training set); not folds (1).";
        assert!(text.contains(covers), "{text}");
        assert!(!text.contains("o verdict"), "{text}");
        let mut few = results(0.125, None);
        few.no_verdict = vec!["1 segmenter seed(s), a verdict needs 3".to_owned()];
        let text = few.to_string();
        assert!(text.contains("| +12.50 [+12.50, +12.50] | no verdict |  |"), "{text}");
        assert!(text.contains("\nNo verdict: 1 segmenter seed(s), a verdict needs 3.\n"), "{text}");
        for word in ["0.0010", "better", "FAILED"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    #[test]
    fn shuffled_masks_are_a_control_only_if_segmenters_trained_on_them() {
        let mut found = results(0.125, None).pairing.remove(0);
        (found.untrained, found.difference) = ([2, 3], None);
        let words = "pig-only-4 against pig-shuffled-4: no verdict: 2 of the 3 segmenters of pig-shuffled-4 find no part of any lesion";
        assert!(found.sentence(&[]).starts_with(words), "{}", found.sentence(&[]));
        let found = PairingResult { untrained: [1, 3], ..results(0.125, None).pairing.remove(0) };
        assert!(found.sentence(&[]).contains("+12.50 [+12.50, +12.50] % points of Dice; no verdict: 1 of the 3"));
        assert!(!found.is_verdict(&[]) && PairingResult { untrained: [1, 4], ..found }.is_verdict(&[]));
    }
}
