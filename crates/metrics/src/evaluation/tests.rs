use super::*;

/// Three slices of patient a and one of patient b, with 1 x 8 masks.
fn masks() -> Vec<(Vec<bool>, Vec<bool>, &'static str)> {
    let mask = |row: &str| row.bytes().map(|byte| byte == b'#').collect();
    vec![
        (mask("####...."), mask("####...."), "a"),
        (mask("........"), mask("##......"), "a"),
        (mask("........"), mask("........"), "a"),
        (mask("..##...#"), mask("..####.."), "b"),
    ]
}

fn evaluated(settings: &EvaluationSettings, with_groups: bool) -> Evaluation {
    let masks = masks();
    let cases: Vec<Case> = masks
        .iter()
        .map(|(prediction, truth, group)| Case {
            id: "case",
            prediction,
            truth,
            height: 1,
            width: 8,
            group: with_groups.then_some(*group),
        })
        .collect();
    evaluate(&cases, settings)
}

fn close(found: Option<Estimate>, expected: f64) {
    let found = found.unwrap().mean;
    assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
}

#[test]
fn the_three_levels_are_three_sums() {
    let found = evaluated(&EvaluationSettings::default(), true);
    // Dice per slice: 1, 0, -, 4/7; per patient: 8/10 and 4/7; pooled: 12/17.
    close(found.per_slice.dice, (1.0 + 0.0 + 4.0 / 7.0) / 3.0);
    close(found.per_patient.as_ref().unwrap().dice, f64::midpoint(0.8, 4.0 / 7.0));
    assert!(
        found.definition().contains("Per patient, all slices of a patient count as one mask"),
        "{}",
        found.definition()
    );
    close(found.pooled.dice, 12.0 / 17.0);
    close(found.pooled.recall, 6.0 / 10.0);
    close(found.per_slice.precision, (1.0 + 0.0 + 2.0 / 3.0) / 3.0);
    assert_eq!((found.cases, found.groups), (4, Some(2)));
    assert_eq!(found.empty, EmptyCounts { prediction: 1, truth: 0, both: 1 });
    assert_eq!(found.per_slice.dice.unwrap().cases, 3);
    assert_eq!(found.hausdorff_95.unwrap().cases, 2);
    assert_eq!(found.detection.counts, LesionCounts { lesions: 3, found: 2, predicted: 3, false_positives: 1 });
    close(found.detection.sensitivity, 2.0 / 3.0);
    close(found.detection.false_positives_per_image, 0.25);
}

#[test]
fn two_empty_masks_may_score_one() {
    let settings = EvaluationSettings { both_empty: BothEmpty::One, ..EvaluationSettings::default() };
    let found = evaluated(&settings, false);
    close(found.per_slice.dice, (1.0 + 0.0 + 1.0 + 4.0 / 7.0) / 4.0);
    assert_eq!(found.per_case[2].hausdorff_95, Some(0.0));
    let said = found.definition();
    assert!(!said.contains("Per patient") && said.contains(" between rows and "), "{said}");
    assert_eq!((found.per_patient, found.groups), (None, None));
}

#[test]
fn the_text_says_what_was_counted() {
    let text = evaluated(&EvaluationSettings::default(), true).to_string();
    for part in
        ["0.5238 [", "prediction only 1", "two are left out", "2 patients", "Hausdorff distances are means of 2 cases"]
    {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(evaluated(&EvaluationSettings::default(), false).to_string().contains("no patients are known"));
}
