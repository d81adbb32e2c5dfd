//! The answer of a boost: train with pairs, or without.

use crate::crossval::{
    results::{ArmResult, ClassResults, Results},
    text::in_points,
};
use serde::{Deserialize, Serialize};

/// Whether to train with generated pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "advice")]
pub enum Advice {
    /// With them: Dice was higher, by an interval above 0 after correction for all comparisons.
    With {
        /// The training set.
        arm: String,
        /// Why, in a sentence.
        reason: String,
    },
    /// Without them.
    Without {
        /// Why, in a sentence.
        reason: String,
    },
}

impl Advice {
    /// The advice that the results of the finished folds give.
    pub fn of(results: &Results) -> Self {
        let candidates = results.arms.iter().filter(|arm| !arm.is_control);
        let mut compared: Vec<(&ArmResult, f64)> =
            candidates.filter_map(|arm| Some((arm, arm.against_real.as_ref()?.difference.mean))).collect();
        compared.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.arm.cmp(&b.0.arm)));
        let Some(&(best, _)) = compared.first() else {
            let reason =
                "No comparison was measured: an interval needs two patients that test and have pictures with a lesion.";
            return Self::Without { reason: reason.to_owned() };
        };
        let better = compared.iter().map(|(arm, _)| *arm).filter(|arm| is_better(arm, results));
        let words = |arm: &ArmResult| words(arm, results);
        for arm in better {
            if !finds_more_nothing(arm) {
                let reason = format!("{}{}{}", words(arm), guard(arm), worse_classes(arm, results));
                return Self::With { arm: arm.arm.clone(), reason };
            }
        }
        let why = results.why_no_verdict(best);
        let reason = if !why.is_empty() {
            format!("{} No verdict: {}.", words(best), why.join("; "))
        } else if is_better(best, results) {
            format!(
                "{} But segmenters that were trained with them find something in more pictures without a lesion.",
                words(best)
            )
        } else if compared.iter().all(|(arm, _)| is_worse(arm)) {
            format!("{} All training sets with generated pairs were worse.", words(best))
        } else {
            let among = compared.len();
            let detectable = best.against_real.as_ref().map_or(0.0, |found| 100.0 * found.detectable_among(among));
            let corrected = if among > 1 { format!(", corrected for {among} comparisons") } else { String::new() };
            format!(
                "{} That is no gain that retrained segmenters and other patients could not undo. A true gain of {detectable:.1} points would have \
                 been found four times in five{corrected}.",
                words(best)
            )
        };
        Self::Without { reason }
    }

    /// The training set that is advised.
    pub fn arm(&self) -> Option<&str> {
        match self {
            Self::With { arm, .. } => Some(arm),
            Self::Without { .. } => None,
        }
    }

    /// The answer in one line.
    pub fn title(&self) -> &'static str {
        match self {
            Self::With { .. } => "Train with these pairs",
            Self::Without { .. } => "Do not use generated pairs",
        }
    }

    /// Why.
    pub fn reason(&self) -> &str {
        match self {
            Self::With { reason, .. } | Self::Without { reason } => reason,
        }
    }
}

fn is_better(arm: &ArmResult, results: &Results) -> bool {
    let found = arm.against_real.as_ref();
    results.why_no_verdict(arm).is_empty()
        && found.is_some_and(|found| found.difference.low > 0.0 && found.is_family_wise())
}

fn is_worse(arm: &ArmResult) -> bool {
    arm.against_real.as_ref().is_some_and(|found| found.difference.high < 0.0)
}

/// Whether something is found in more pictures without a lesion, by an interval above 0.
fn finds_more_nothing(arm: &ArmResult) -> bool {
    arm.false_findings_against_real.as_ref().is_some_and(|found| found.difference.low > 0.0)
}

/// What is found in pictures without a lesion, in a sentence. More of it does not forbid the advice unless its interval lies above 0, so it is said.
fn guard(arm: &ArmResult) -> String {
    let Some(found) = &arm.false_findings_against_real else {
        return " Whether more is found in pictures without a lesion was not measured, since too few patients have some.".to_owned();
    };
    let [ours, theirs] = found.means.map(|mean| 100.0 * mean);
    let [mean, low, high] = in_points(found, 1);
    format!(
        " Something is found in {ours:.1} % of the pictures without a lesion, in {theirs:.1} % without generated pairs: {mean} points [{low}, {high}]."
    )
}

/// The classes of which Dice alone is lower with a training set, by an interval below 0, in a sentence; nothing if there is none. The mean over
/// classes may hide it.
fn worse_classes(arm: &ArmResult, results: &Results) -> String {
    let of_class = |class: &ClassResults| {
        let own = class.results.arms.iter().find(|own| own.arm == arm.arm).filter(|own| is_worse(own))?;
        let [mean, low, high] = in_points(own.against_real.as_ref()?, 1);
        Some(format!("{} {mean} points [{low}, {high}]", class.class))
    };
    let worse: Vec<String> = results.classes.iter().filter_map(of_class).collect();
    if worse.is_empty() { String::new() } else { format!(" But single classes are found worse: {}.", worse.join(", ")) }
}

/// The comparison of a training set with real pairs.
fn words(arm: &ArmResult, results: &Results) -> String {
    let Some(found) = &arm.against_real else { return String::new() };
    let [ours, theirs] = found.means.map(|mean| 100.0 * mean);
    let dice = if results.classes.is_empty() { "Dice" } else { "mean Dice over the classes" };
    let [mean, low, high] = in_points(found, 1);
    format!(
        "{}: {dice} {ours:.1} % with {:.0} generated pairs beside the real ones, {theirs:.1} % without: {mean} points [{low}, {high}].",
        arm.arm, arm.added
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_metrics::contrast::{Arm, Run, Settings, adjust, contrast};

    /// Twenty patients and three trainings of each arm; an arm's gain varies by patient.
    fn results(gains: &[f64], more_found: f64) -> Results {
        let names: Vec<String> = (0..20).map(|patient| format!("p{patient:02}")).collect();
        let arm = |gain: f64| {
            let value = |patient: usize, training: u64| {
                let noise = ((patient as u64 * 7 + training * 3) % 5) as f64 * 0.01;
                (names[patient].as_str(), 0.5 + gain + noise)
            };
            let run = |segmenter: u64| Run {
                fold: 0,
                generator: None,
                segmenter,
                values: (0..20).map(|patient| value(patient, segmenter)).collect(),
            };
            Arm { runs: (0..3).map(run).collect(), is_alike: true }
        };
        let against = |gain: f64| {
            let (ours, real) = (arm(gain), arm(0.0));
            contrast(&ours, &real, &[&ours, &real], &Settings::default())
        };
        let mut found = Results::default();
        found.arms = gains
            .iter()
            .enumerate()
            .map(|(number, &gain)| ArmResult {
                arm: format!("pig-{number}"),
                segmenters: [3, 3],
                added: 4.0,
                drawn: None,
                is_control: false,
                measures: Vec::new(),
                lesion_dice: None,
                false_findings: None,
                against_real: against(gain),
                false_findings_against_real: against(more_found),
            })
            .collect();
        adjust(&mut found.comparisons());
        found
    }

    /// The mean over classes decides; a class that becomes worse is said.
    #[test]
    fn of_several_classes_the_mean_decides_and_worse_ones_are_named() {
        let class = |name: &str, gains: &[f64]| ClassResults { class: name.to_owned(), results: results(gains, 0.0) };
        let mut found = results(&[0.1, 0.2], 0.0);
        found.classes = vec![class("mass", &[0.3, 0.5]), class("calcification", &[-0.1, -0.15])];
        let advice = Advice::of(&found);
        assert_eq!(advice.arm(), Some("pig-1"));
        for words in
            ["pig-1: mean Dice over the classes ", "+20.0 points [", "found worse: calcification -15.0 points ["]
        {
            assert!(advice.reason().contains(words), "{words}: {advice:?}");
        }
        assert!(!advice.reason().contains("mass"), "{advice:?}");
        let mut worse = results(&[-0.1, -0.2], 0.0);
        worse.classes = vec![class("mass", &[0.3, 0.5]), class("calcification", &[-0.5, -0.6])];
        assert_eq!(Advice::of(&worse).arm(), None);
    }

    #[test]
    fn pairs_are_advised_where_they_help_and_do_no_harm() {
        let advice = Advice::of(&results(&[0.1, 0.2], 0.0));
        assert_eq!(advice.arm(), Some("pig-1"));
        assert!(advice.reason().contains("+20.0 points ["), "{advice:?}");
        assert!(advice.reason().contains("of the pictures without a lesion, in 52.0 % without"), "{advice:?}");
        let guarded = Advice::of(&results(&[0.1, 0.2], 0.3));
        assert!(guarded.arm().is_none() && guarded.reason().contains("without a lesion"), "{guarded:?}");
        // A control is not advised, however good it is.
        let mut controlled = results(&[0.1, 0.2], 0.0);
        controlled.arms[1].is_control = true;
        assert_eq!(Advice::of(&controlled).arm(), Some("pig-0"));
        let worse = Advice::of(&results(&[-0.1, -0.2], 0.0));
        assert!(worse.arm().is_none() && worse.reason().contains("All training sets"), "{worse:?}");
        let open = Advice::of(&results(&[0.0, 0.0], 0.0));
        assert!(
            open.arm().is_none() && open.reason().contains("four times in five, corrected for 2 comparisons."),
            "{open:?}"
        );
        let mut short = results(&[0.2], 0.0);
        short.no_verdict = vec!["segmenters of 12 steps".to_owned()];
        let short = Advice::of(&short);
        assert!(short.arm().is_none() && short.reason().contains("No verdict: segmenters of 12"), "{short:?}");
        let none = Advice::of(&Results::default());
        assert!(none.arm().is_none() && none.reason().contains("needs two patients that test"), "{none:?}");
    }

    /// What rounds to zero has no minus sign.
    #[test]
    fn a_difference_of_nothing_is_not_negative() {
        let nearly = Advice::of(&results(&[-0.0001], 0.0));
        assert!(nearly.reason().contains(": +0.0 points ["), "{nearly:?}");
    }
}
