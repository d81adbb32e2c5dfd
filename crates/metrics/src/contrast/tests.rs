//! Calibration: by simulation with known components of variance, and by hand where the numbers are small.

use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The sum of twelve uniform numbers: close enough to normal for tests of coverage.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// Standard deviations of what varies.
#[derive(Clone, Copy)]
struct Components {
    /// Of an arm's effect on a patient.
    patient: f64,
    /// Of a training set of a fold, which both arms share in part.
    fold: f64,
    generator: f64,
    segmenter: f64,
    /// Of one training on one patient.
    rest: f64,
}

/// The numbers of folds, patients of a fold, generators and segmenters of each, and arms beside the control.
#[derive(Clone, Copy)]
struct Design {
    folds: u64,
    patients: usize,
    generators: u64,
    segmenters: u64,
    arms: usize,
    is_crossed: bool,
}

const NAMES: [&str; 40] = {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut names = [""; 40];
    let mut at = 0;
    while at < 40 {
        names[at] = LETTERS.split_at(at).1.split_at(1).0;
        at += 1;
    }
    names
};

/// Arms without any difference; the control is the first.
fn draw(rng: &mut ChaCha8Rng, design: Design, sizes: Components) -> Vec<Arm<'static>> {
    let levels: Vec<f64> = NAMES.iter().map(|_| 20.0 * normal(rng)).collect();
    let mut arms = Vec::new();
    for number in 0..=design.arms {
        let own: Vec<f64> = NAMES.iter().map(|_| sizes.patient * normal(rng)).collect();
        let mut arm = Arm { runs: Vec::new(), is_alike: true };
        for fold in 0..design.folds {
            let of_fold = sizes.fold * normal(rng);
            let first = if design.is_crossed { 0 } else { fold as usize * design.patients };
            let generators = if number == 0 { 1 } else { design.generators };
            for generator in 0..generators {
                let of_generator = if number == 0 { 0.0 } else { sizes.generator * normal(rng) };
                for segmenter in 0..design.segmenters {
                    let of_run = of_fold + of_generator + sizes.segmenter * normal(rng);
                    let value = |patient: usize, rng: &mut ChaCha8Rng| {
                        (NAMES[patient], levels[patient] + own[patient] + of_run + sizes.rest * normal(rng))
                    };
                    let values = (first..first + design.patients).map(|patient| value(patient, rng)).collect();
                    let generator = (number > 0).then_some(generator);
                    arm.runs.push(Run { fold, generator, segmenter, values });
                }
            }
        }
        arms.push(arm);
    }
    arms
}

/// The shares of intervals, in per cent, that cover the true difference: of the bootstrap, and of Satterthwaite's.
fn coverage(design: Design, sizes: Components, covers: &[Source]) -> [f64; 2] {
    let trials = 2000;
    let mut hits = [0; 2];
    for seed in 0..trials {
        let arms = draw(&mut ChaCha8Rng::seed_from_u64(seed), design, sizes);
        let family: Vec<&Arm<'_>> = arms.iter().collect();
        let found = Estimated::new(&arms[1], &arms[0], &family).unwrap();
        assert_eq!(found.covers, covers);
        let intervals =
            [found.distribution(&Bootstrap { resamples: 400, seed }).interval(MISSES), found.satterthwaite()];
        for (hits, [low, high]) in hits.iter_mut().zip(intervals) {
            *hits += usize::from(low <= 0.0 && high >= 0.0);
        }
    }
    hits.map(|hits| 100.0 * hits as f64 / trials as f64)
}

const ONE_FOLD: Design = Design { folds: 1, patients: 16, generators: 1, segmenters: 3, arms: 7, is_crossed: false };

/// What was found on brain MRI in points of Dice, rounded.
const MEASURED: Components = Components { patient: 3.0, fold: 0.0, generator: 0.0, segmenter: 1.5, rest: 5.5 };

#[track_caller]
fn assert_covers(found: [f64; 2]) {
    assert!(found.iter().all(|share| (93.0..=96.0).contains(share)), "{found:?}");
}

#[test]
fn segmenters_and_patients_are_covered() {
    let covers = [Source::Patients, Source::Segmenters];
    assert_covers(coverage(ONE_FOLD, MEASURED, &covers));
    assert_covers(coverage(ONE_FOLD, Components { segmenter: 3.0, ..MEASURED }, &covers));
    assert_covers(coverage(Design { segmenters: 6, ..ONE_FOLD }, Components { patient: 6.0, ..MEASURED }, &covers));
    // With two segmenters the variance is known so badly that intervals are wider than they must be.
    let two = coverage(Design { segmenters: 2, ..ONE_FOLD }, Components { segmenter: 3.0, ..MEASURED }, &covers);
    assert!(two.iter().all(|share| (95.0..=98.0).contains(share)), "{two:?}");
}

#[test]
fn generators_are_covered_where_there_are_several() {
    let design = Design { generators: 3, segmenters: 2, arms: 3, ..ONE_FOLD };
    let sizes = Components { generator: 2.0, ..MEASURED };
    assert_covers(coverage(design, sizes, &[Source::Patients, Source::Segmenters, Source::Generators]));
    // With one generator, its variation stays outside, and intervals are too narrow: that is why they say what they leave out.
    let design = Design { generators: 1, segmenters: 3, ..design };
    let [found, _] =
        coverage(design, Components { generator: 3.0, ..MEASURED }, &[Source::Patients, Source::Segmenters]);
    assert!(found < 85.0, "{found}");
}

#[test]
fn folds_and_draws_are_covered() {
    let all = [Source::Patients, Source::Segmenters, Source::Generators, Source::Folds];
    let sizes = Components { fold: 2.0, generator: 2.0, ..MEASURED };
    let folds = Design { folds: 5, patients: 8, generators: 1, segmenters: 2, arms: 1, is_crossed: false };
    assert_covers(coverage(folds, sizes, &all));
    assert_covers(coverage(Design { patients: 20, is_crossed: true, ..folds }, sizes, &all));
}

#[test]
fn intervals_over_patients_alone_miss_what_another_training_would_change() {
    let trials = 200;
    let misses = (0..trials).filter(|&seed| {
        let arms = draw(&mut ChaCha8Rng::seed_from_u64(seed), ONE_FOLD, Components { segmenter: 3.0, ..MEASURED });
        let found = Estimated::new(&arms[1], &arms[0], &[&arms[0], &arms[1]]).unwrap();
        let settings = Permutations { exact_up_to: 0, resamples: 999, seed };
        paired_permutation(&found.table.differences, None, settings).unwrap().p_value < 0.05
    });
    // About a quarter, where 5 % are due.
    assert!(misses.count() > trials as usize / 6);
}

/// Two runs of three patients.
fn arm(values: [[f64; 3]; 2], is_alike: bool) -> Arm<'static> {
    let run = |(segmenter, values): (usize, [f64; 3])| Run {
        fold: 0,
        generator: None,
        segmenter: segmenter as u64,
        values: ["a", "b", "c"].into_iter().zip(values).collect(),
    };
    Arm { runs: values.into_iter().enumerate().map(run).collect(), is_alike }
}

#[test]
fn the_variance_is_that_of_a_calculation_by_hand() {
    let (ours, theirs) = (arm([[5.0, 7.0, 9.0], [5.0, 5.0, 5.0]], false), arm([[1.0; 3], [3.0; 3]], false));
    let found = contrast(&ours, &theirs, &[&ours, &theirs], &Settings::default()).unwrap();
    // Patients: 5, 6, 7 against 2, 2, 2, so 3, 4, 5 with the variance 1. Runs: 7 and 5 with the variance 2, 1 and 3 with the variance 2.
    // What varies by run and patient: (-1, 0, 1) and its mirror image, 4 over 2 degrees, which is 2.
    let variance = 1.0 / 3.0 + 2.0 / 2.0 + 2.0 / 2.0 - 2.0 / 6.0;
    assert_eq!((found.difference.mean, found.means, found.difference.units), (4.0, [6.0, 2.0], 3));
    assert!((found.standard_error - f64::sqrt(variance)).abs() < 1e-12, "{}", found.standard_error);
    let squares = (1.0_f64 / 3.0).powi(2) / 2.0 + 1.0 + 1.0 + (1.0_f64 / 3.0).powi(2) / 2.0;
    assert!((found.degrees_of_freedom - variance * variance / squares).abs() < 1e-12);
    // Signs of three patients: two of eight arrangements are as extreme.
    assert_eq!((found.test.p_value, found.test.exact), (0.25, true));
    // Arms that are alike have one variance of runs, with two degrees of freedom.
    let (ours, theirs) = (Arm { is_alike: true, ..ours }, Arm { is_alike: true, ..theirs });
    let found = contrast(&ours, &theirs, &[&ours, &theirs], &Settings::default()).unwrap();
    // The second arm's segmenters vary by the same amount for every patient: 4 over 4 degrees.
    let variance: f64 = 1.0 / 3.0 + 2.0 - 2.0 * 1.0 / 6.0;
    assert!((found.standard_error - variance.sqrt()).abs() < 1e-12);
    let squares = (1.0_f64 / 3.0).powi(2) / 2.0 + 4.0 / 2.0 + (1.0_f64 / 3.0).powi(2) / 4.0;
    assert!((found.degrees_of_freedom - variance * variance / squares).abs() < 1e-12);
}

#[test]
fn one_training_of_each_arm_leaves_the_patients() {
    let first = |mut arm: Arm<'static>| {
        arm.runs.truncate(1);
        arm
    };
    let (ours, theirs) = (first(arm([[5.0, 7.0, 9.0], [0.0; 3]], true)), first(arm([[1.0, 2.0, 3.0], [0.0; 3]], true)));
    let found = contrast(&ours, &theirs, &[&ours, &theirs], &Settings::default()).unwrap();
    assert_eq!(
        (&found.covers[..], &found.leaves_out[..]),
        (&[Source::Patients][..], &[Source::Segmenters, Source::Folds][..])
    );
    assert_eq!(found.sources(), "patients (3); not segmenters (1 of a training set), folds (1)");
    assert_eq!(found.degrees_of_freedom, 2.0);
    // Nobody varies: the interval is the difference.
    let same = contrast(&ours, &ours, &[&ours], &Settings::default()).unwrap();
    assert_eq!((same.difference.low, same.difference.high, same.p_value), (0.0, 0.0, 1.0));
    let one = Arm { runs: vec![Run { values: [("a", 1.0)].into(), ..ours.runs[0].clone() }], ..ours.clone() };
    assert_eq!(contrast(&one, &ours, &[&one, &ours], &Settings::default()), None);
}

#[test]
fn p_ends_where_the_interval_ends_and_is_printed_with_its_bound() {
    let found = |shift: f64| {
        let ours = arm([[5.0 + shift, 7.0 + shift, 9.0 + shift], [5.5 + shift, 7.5 + shift, 10.0 + shift]], true);
        let theirs = arm([[5.2, 7.0, 9.1], [5.3, 7.2, 9.7]], true);
        contrast(&ours, &theirs, &[&ours, &theirs], &Settings::default()).unwrap()
    };
    for step in 0_u32..40 {
        let found = found(f64::from(step) * 0.1);
        assert_eq!(found.p_value < 0.05, found.difference.low > 0.0 || found.difference.high < 0.0, "{step}");
    }
    let far = found(1e6);
    assert_eq!((far.p_value, far.p_is_bound, far.p_text().as_str()), (0.001, true, "< 0.0010"));
}

#[test]
fn holm_adjusts_from_the_least_on() {
    let found = holm(&[0.01, 0.04, 0.03, 0.005]);
    let expected = [0.03, 0.06, 0.06, 0.02];
    assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12), "{found:?}");
    assert_eq!(holm(&[0.6, 0.9]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
}
