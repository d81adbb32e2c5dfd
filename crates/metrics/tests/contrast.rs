//! Contrasts: variances and degrees of freedom equal those of statsmodels' analysis of variance, quantiles scipy's, Holm's method
//! statsmodels' (tests/peers/metrics/make.py); and real trainings whose labels are exchanged seldom differ.

mod common;

use pig_metrics::{
    contrast::{Arm, Run, Settings, contrast, holm},
    permutation::Permutations,
    student::{normal_quantile, normal_tails, student_quantile, student_tails},
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;

#[track_caller]
fn close(found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-8 * expected.abs().max(1e-3), "{found}, expected {expected}");
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    common::golden("contrast").into_iter().filter(|case| case["kind"] == kind).collect()
}

#[test]
fn quantiles_and_tails_equal_scipy() {
    for case in of_kind("student").into_iter().chain(of_kind("normal")) {
        let degrees = case["degrees"].as_f64();
        for (share, quantile) in numbers(&case["shares"]).into_iter().zip(case["quantiles"].as_array().unwrap()) {
            close(degrees.map_or_else(|| normal_quantile(share), |degrees| student_quantile(share, degrees)), quantile);
            let t = quantile.as_f64().unwrap();
            close(degrees.map_or_else(|| normal_tails(t), |degrees| student_tails(t, degrees)), &share.into());
        }
    }
}

#[test]
fn holm_equals_statsmodels() {
    let cases = of_kind("holm");
    assert_eq!(cases.len(), 3);
    for case in cases {
        for (found, expected) in holm(&numbers(&case["p"])).into_iter().zip(case["adjusted"].as_array().unwrap()) {
            close(found, expected);
        }
    }
}

fn uniform(name: &str, count: usize) -> Vec<f64> {
    common::fill(name, count).iter().map(|&value| f64::midpoint(f64::from(value), 1.0)).collect()
}

#[test]
fn variances_are_those_of_an_analysis_of_variance() {
    const PATIENTS: [&str; 16] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
    let cases = of_kind("contrast");
    assert_eq!(cases.len(), 3);
    for (index, case) in cases.iter().enumerate() {
        let patients = case["patients"].as_u64().unwrap() as usize;
        let arm = |which: usize, is_alike: bool| {
            let name = format!("contrast.{index}.{}", ["a", "b"][which]);
            let runs = case["runs"][which].as_u64().unwrap() as usize;
            let (values, levels) = (uniform(&name, runs * patients), uniform(&format!("{name}.runs"), runs));
            let run = |run: usize| {
                let value = |at: usize| (PATIENTS[at], values[run * patients + at] + 0.3 * levels[run]);
                Run { fold: 0, generator: None, segmenter: run as u64, values: (0..patients).map(value).collect() }
            };
            Arm { runs: (0..runs).map(run).collect(), is_alike }
        };
        for (key, is_alike) in [("apart", false), ("pooled", true)] {
            let (ours, theirs, expected) = (arm(0, is_alike), arm(1, is_alike), &case[key]);
            let found = contrast(&ours, &theirs, &[&ours, &theirs], &Settings::default()).unwrap();
            close(found.difference.mean, &case["difference"]);
            close(found.standard_error, &expected["standard_error"]);
            close(found.degrees_of_freedom, &expected["degrees"]);
            close(found.satterthwaite[0], &expected["interval"][0]);
            close(found.satterthwaite[1], &expected["interval"][1]);
            // The bootstrap's interval is about as wide.
            let ratio =
                (found.difference.high - found.difference.low) / (found.satterthwaite[1] - found.satterthwaite[0]);
            assert!((0.85..1.15).contains(&ratio), "{ratio}");
        }
    }
}

/// By training: the mean Dice of each patient on slices with a lesion, of all segmenters that were trained on the real pairs.
type Trainings = Vec<BTreeMap<String, f64>>;

/// The cases of results/lgg-small.
fn trainings() -> Trainings {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../results/lgg-small/cases.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let place = |name: &str| head.iter().position(|other| *other == name).unwrap();
    let [arm, seed, group, dice, lesion] = ["arm", "seed", "group", "dice", "lesion"].map(place);
    let mut sums: BTreeMap<(String, String), BTreeMap<String, (f64, f64)>> = BTreeMap::new();
    for cells in lines.filter(|cells| cells[lesion] == "true" && (cells[arm] == "real" || cells[arm].contains("-add-")))
    {
        let patients = sums.entry((cells[arm].to_owned(), cells[seed].to_owned())).or_default();
        let sum = patients.entry(cells[group].to_owned()).or_default();
        (sum.0, sum.1) = (sum.0 + cells[dice].parse::<f64>().unwrap(), sum.1 + 1.0);
    }
    let means = |patients: BTreeMap<String, (f64, f64)>| {
        patients.into_iter().map(|(patient, (sum, count))| (patient, sum / count)).collect()
    };
    sums.into_values().map(means).collect()
}

/// Eight training sets of three segmenters each, whose labels are exchanged at random: no difference is real, so 5 % of intervals may
/// exclude 0. Intervals over patients alone do so more than twice as often.
#[test]
fn real_trainings_with_exchanged_labels_seldom_differ() {
    let trainings = trainings();
    assert_eq!(trainings.len(), 24);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut order: Vec<usize> = (0..24).collect();
    let mut settings = Settings::default();
    settings.bootstrap.resamples = 400;
    settings.permutations = Permutations { exact_up_to: 0, resamples: 199, seed: 0 };
    let (mut seeds, mut patients, trials) = (0, 0, 1000);
    for _ in 0..trials {
        order.shuffle(&mut rng);
        let arm = |number: usize| {
            let run = |segmenter: usize| Run {
                fold: 0,
                generator: None,
                segmenter: segmenter as u64,
                values: trainings[order[3 * number + segmenter]]
                    .iter()
                    .map(|(name, value)| (name.as_str(), *value))
                    .collect(),
            };
            Arm { runs: (0..3).map(run).collect(), is_alike: true }
        };
        let arms: Vec<Arm<'_>> = (0..8).map(arm).collect();
        let found = contrast(&arms[1], &arms[0], &arms.iter().collect::<Vec<_>>(), &settings).unwrap();
        seeds += usize::from(found.difference.excludes_zero());
        patients += usize::from(found.test.p_value < 0.05);
    }
    let [seeds, patients] = [seeds, patients].map(|count| 100.0 * count as f64 / f64::from(trials));
    assert!((3.0..=6.5).contains(&seeds), "{seeds} %");
    assert!(patients > 2.0 * seeds, "{patients} % by patients alone, {seeds} % with segmenters");
}
