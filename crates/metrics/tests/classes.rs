//! Dice by class equals MONAI's on random label maps (tests/peers/metrics/classes.py), and the mean of classes is that of the cases.

mod common;

use pig_metrics::classes::{ClassCase, class_dice, evaluate_classes, mean_of_classes};
use pig_metrics::evaluation::EvaluationSettings;
use serde_json::Value;

fn labels(case: &Value, key: &str) -> Vec<u8> {
    case[key].as_array().unwrap().iter().map(|label| label.as_u64().unwrap() as u8).collect()
}

/// The mask of each of `classes`.
fn masks(labels: &[u8], classes: usize) -> Vec<Vec<bool>> {
    (1..=classes).map(|class| labels.iter().map(|&label| usize::from(label) == class).collect()).collect()
}

#[test]
fn dice_by_class_equals_monai() {
    let (mut compared, mut both_empty, mut in_vain) = (0, 0, 0);
    for case in common::golden("classes") {
        let (prediction, truth) = (labels(&case, "prediction"), labels(&case, "truth"));
        let classes = case["classes"].as_u64().unwrap() as usize;
        let found = class_dice(&masks(&prediction, classes), &masks(&truth, classes));
        for (dice, expected) in found.iter().zip(case["dice"].as_array().unwrap()) {
            let expected = expected.as_f64().unwrap();
            // MONAI gives 1 where neither map has the class, which is no value here.
            assert!((dice.unwrap_or(1.0) - expected).abs() < 1e-6, "{dice:?}, expected {expected}");
            both_empty += usize::from(dice.is_none());
            in_vain += usize::from(*dice == Some(0.0));
            compared += 1;
        }
    }
    assert!(compared == 44 && both_empty > 4 && in_vain > 0, "{compared} {both_empty} {in_vain}");
}

#[test]
fn means_of_cases_are_those_of_their_classes() {
    let names = ["mass", "calcification"];
    let cases: Vec<Value> = common::golden("classes").into_iter().filter(|case| case["classes"] == 2).collect();
    let maps: Vec<[Vec<Vec<bool>>; 2]> =
        cases.iter().map(|case| ["prediction", "truth"].map(|key| masks(&labels(case, key), 2))).collect();
    let class_case = |(index, [prediction, truth]): (usize, &'static [Vec<Vec<bool>>; 2])| ClassCase {
        id: ["a", "b", "c", "d"][index % 4],
        prediction,
        truth,
        height: 9,
        width: 11,
        group: Some(["p", "q", "r"][index % 3]),
    };
    let maps: &'static [[Vec<Vec<bool>>; 2]] = maps.leak();
    let cases: Vec<ClassCase> = maps.iter().enumerate().map(class_case).collect();
    let found = evaluate_classes(&cases, &names, &EvaluationSettings::default());
    let dice: Vec<Vec<Option<f64>>> = maps.iter().map(|[prediction, truth]| class_dice(prediction, truth)).collect();
    for (class, (name, evaluation)) in found.classes.iter().enumerate() {
        let values: Vec<f64> = dice.iter().filter_map(|case| case[class]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert_eq!(name, names[class]);
        assert!((evaluation.per_slice.dice.unwrap().mean - mean).abs() < 1e-12);
    }
    let means: Vec<f64> = dice.iter().filter_map(|case| mean_of_classes(case)).collect();
    let estimate = found.mean_dice.unwrap();
    assert!((estimate.mean - means.iter().sum::<f64>() / means.len() as f64).abs() < 1e-12);
    assert_eq!((estimate.cases, estimate.units), (means.len(), 3));
    assert!(evaluate_classes(&[], &names, &EvaluationSettings::default()).mean_dice.is_none());
}
