use rand::Rng;

use super::*;

const SIDE: usize = 32;

struct Made {
    image: Vec<f32>,
    mask: Vec<bool>,
    group: Option<String>,
}

fn disc(row: f64, column: f64, radius: f64) -> Vec<bool> {
    (0..SIDE * SIDE)
        .map(|i| {
            let (r, c) = ((i / SIDE) as f64 - row, (i % SIDE) as f64 - column);
            r * r + c * c <= radius * radius
        })
        .collect()
}

/// Images of smooth waves, noise and a random level, with a lesion of `contrast` at a random place, and a mask at the same or
/// (`independent`) at an unrelated place.
fn made(seed: u64, count: usize, contrast: f32, independent: bool) -> Vec<Made> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let place = |rng: &mut ChaCha8Rng| {
                let (r, c) = (rng.random_range(8.0..24.0), rng.random_range(8.0..24.0));
                disc(r, c, rng.random_range(2.0..5.0))
            };
            let lesion = place(&mut rng);
            let mask = if independent { place(&mut rng) } else { lesion.clone() };
            let level: f32 = rng.random_range(-0.5..0.5);
            let (kr, kc, phase) =
                (rng.random_range(0.0..0.4), rng.random_range(0.0..0.4), rng.random_range(0.0..6.0_f32));
            let image = (0..SIDE * SIDE)
                .map(|i| {
                    let wave = (kr * (i / SIDE) as f32 + kc * (i % SIDE) as f32 + phase).sin();
                    let noise: f32 = rng.random_range(-0.2..0.2);
                    level + 0.3 * wave + noise + if lesion[i] { contrast } else { 0.0 }
                })
                .collect();
            Made { image, mask, group: None }
        })
        .collect()
}

fn pairs(made: &[Made]) -> Vec<Pair<'_>> {
    made.iter()
        .map(|m| Pair {
            image: &m.image,
            mask: &m.mask,
            others: None,
            height: SIDE,
            width: SIDE,
            group: m.group.as_deref(),
        })
        .collect()
}

fn quick() -> AgreementSettings {
    AgreementSettings { bootstrap: Bootstrap { resamples: 500, seed: 3 }, ..AgreementSettings::default() }
}

fn measure(generated: &[Made], real: &[Made]) -> Agreement {
    pair_agreement(&pairs(generated), &pairs(real), &quick()).unwrap()
}

#[test]
fn contrast_of_a_flat_lesion_is_its_height() {
    let mask = disc(15.0, 12.0, 4.0);
    let image: Vec<f32> = mask.iter().map(|&m| if m { 0.75 } else { 0.25 }).collect();
    let pair = Pair { image: &image, mask: &mask, others: None, height: SIDE, width: SIDE, group: None };
    assert_eq!(contrast(&pair, &Ring::default()), Some(0.5));
}

#[test]
fn gap_and_ring_are_where_they_are_said_to_be() {
    // The mask has a single pixel; the intensity is 100 at distance 1 (gap), 1 at distances in (1, 3], and 50 beyond.
    let mut mask = vec![false; SIDE * SIDE];
    mask[16 * SIDE + 16] = true;
    let image: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| {
            let d2 = (i / SIDE).abs_diff(16).pow(2) + (i % SIDE).abs_diff(16).pow(2);
            match d2 {
                0 => 7.0,
                1 => 100.0,
                2..=9 => 1.0,
                _ => 50.0,
            }
        })
        .collect();
    let pair = Pair { image: &image, mask: &mask, others: None, height: SIDE, width: SIDE, group: None };
    assert_eq!(contrast(&pair, &Ring { width: Some(2), ..Ring::default() }), Some(6.0));
    assert_eq!(Ring::default().width_for(32, 64), 2);
    assert_eq!(Ring::default().width_for(64, 64), 4);
    assert_eq!(Ring::default().width_for(512, 512), 32);
    assert_eq!(Ring::default().width_for(16, 16), 2);
}

/// Two squares in flat tissue, side by side: the contrast of each is its height above the tissue, whatever the other is.
#[test]
fn other_lesions_are_not_the_surroundings_of_a_lesion() {
    let square = |left: usize| -> Vec<bool> {
        (0..SIDE * SIDE).map(|i| (10..16).contains(&(i / SIDE)) && (left..left + 6).contains(&(i % SIDE))).collect()
    };
    let (bright, dark) = (square(8), square(15));
    // Soft edges of one pixel around both, as the gap takes them out.
    let near = |mask: &[bool], i: usize| {
        (0..mask.len()).any(|j| mask[j] && (i / SIDE).abs_diff(j / SIDE) + (i % SIDE).abs_diff(j % SIDE) == 1)
    };
    let image: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| match (bright[i], dark[i]) {
            (true, _) => 0.75,
            (_, true) => -0.5,
            _ if near(&bright, i) || near(&dark, i) => 9.0,
            _ => 0.25,
        })
        .collect();
    let of = |mask, others| {
        let pair = Pair { image: &image, mask, others, height: SIDE, width: SIDE, group: None };
        contrast(&pair, &Ring { width: Some(3), ..Ring::default() })
    };
    assert_eq!((of(&bright, Some(&dark)), of(&dark, Some(&bright))), (Some(0.5), Some(-0.75)));
    assert!(of(&bright, None).unwrap() != 0.5, "the other lesion is in the ring");
    // No other lesion is as good as none, and a ring full of them is no ring.
    let nothing = vec![false; SIDE * SIDE];
    assert_eq!(of(&bright, Some(&nothing)), of(&bright, None));
    let around: Vec<bool> = bright.iter().map(|inside| !inside).collect();
    assert_eq!(of(&bright, Some(&around)), None);
}

#[test]
fn background_leaves_lesion_and_ring() {
    // The right half is air at -1; the lesion extends over the border.
    let mask = disc(16.0, 16.0, 4.0);
    let image: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| {
            if i % SIDE > 16 {
                -1.0
            } else if mask[i] {
                0.5
            } else {
                0.2
            }
        })
        .collect();
    let pair = Pair { image: &image, mask: &mask, others: None, height: SIDE, width: SIDE, group: None };
    let ring = Ring { background: Some(-1.0), ..Ring::default() };
    assert!((contrast(&pair, &ring).unwrap() - 0.3).abs() < 1e-6);
    let all_air = vec![-1.0; SIDE * SIDE];
    assert_eq!(contrast(&Pair { image: &all_air, ..pair }, &ring), None);
}

#[test]
fn empty_and_full_masks_are_counted_and_left_out() {
    let mut generated = made(1, 20, 0.5, false);
    generated[3].mask.fill(false);
    generated[7].mask.fill(false);
    generated[9].mask.fill(true);
    let a = measure(&generated, &[]);
    assert_eq!((a.generated.empty_masks, a.generated.without_ring), (2, 1));
    assert_eq!(a.generated.estimate.unwrap().cases, 17);
    assert_eq!(a.difference.estimate.unwrap().cases, 17);
    assert!([3, 7, 9].iter().all(|&i| a.generated.per_case[i].is_none() && a.difference.per_case[i].is_none()));
    let text = a.to_string();
    assert!(text.contains("17 pairs, 2 empty masks left out, 1 without a ring left out"), "{text}");
}

#[test]
fn true_agreement_passes_bright_and_dark() {
    for seed in 0..20 {
        for contrast in [0.3, -0.3] {
            let a = measure(&made(seed, 24, contrast, false), &made(1000 + seed, 40, contrast, false));
            assert_eq!(a.verdict, Verdict::Agrees, "seed {seed}\n{a}");
            assert_eq!(a.direction, if contrast > 0.0 { Direction::Brighter } else { Direction::Darker });
            assert!((a.share_of_real().unwrap() - 1.0).abs() < 0.5);
        }
    }
}

#[test]
fn lesions_of_the_wrong_sign_fail() {
    let a = measure(&made(1, 40, -0.5, false), &made(2, 40, 0.5, false));
    assert_eq!(a.verdict, Verdict::NotAboveShuffled);
    assert!(a.verdict.is_failure() && a.to_string().contains("FAILED"));
}

/// The generated images have lesions and the masks look like lesions, but they are unrelated.
#[test]
fn unrelated_masks_pass_in_about_one_of_forty_runs() {
    let real = made(9_999, 60, 0.5, false);
    let trials = 600_u64;
    let mut passed = 0;
    for seed in 0..trials {
        let a = measure(&made(seed, 24, 0.5, true), &real);
        assert_eq!(a.direction, Direction::Brighter);
        passed += u64::from(a.verdict == Verdict::Agrees);
    }
    // 15 are expected, with a standard deviation of 3.8.
    assert!((4..=28).contains(&passed), "{passed} of {trials} unrelated sets passed");
}

#[test]
fn without_real_pairs_the_verdict_is_two_sided_and_says_so() {
    let a = measure(&made(5, 24, -0.4, false), &[]);
    assert_eq!((a.direction, a.verdict), (Direction::EitherNoReal, Verdict::Agrees));
    assert!(a.to_string().contains("either side, as no real pairs"));
    let unclear = measure(&made(5, 24, -0.4, false), &made(6, 20, 0.0, false));
    assert_eq!(unclear.direction, Direction::EitherRealUnclear);
    assert_eq!(unclear.share_of_real(), None);
}

#[test]
fn too_few_pairs_give_no_verdict() {
    let a = measure(&made(1, MIN_UNITS - 1, 2.0, false), &[]);
    assert_eq!(a.verdict, Verdict::TooFew);
    assert!(a.to_string().contains("NO VERDICT: 11 pairs"));
    let none = measure(&[], &[]);
    assert_eq!((none.verdict, none.generated.estimate), (Verdict::TooFew, None));
    // Many pairs of few patients are few units.
    let mut grouped = made(1, 40, 2.0, false);
    for (i, m) in grouped.iter_mut().enumerate() {
        m.group = Some(format!("patient {}", i % 5));
    }
    let a = measure(&grouped, &[]);
    assert_eq!((a.verdict, a.difference.estimate.unwrap().units), (Verdict::TooFew, 5));
}

#[test]
fn the_shuffled_mean_is_the_mean_over_shuffled_combinations() {
    let generated = made(11, 9, 0.5, false);
    let ring = Ring::default();
    let p = pairs(&generated);
    let mut sum = 0.0;
    for (i, image) in p.iter().enumerate() {
        for (j, other) in p.iter().enumerate() {
            if i != j {
                sum += contrast(&Pair { mask: other.mask, ..*image }, &ring).unwrap();
            }
        }
    }
    // With nine pairs there are eight shifts, so every combination is used once.
    let a = measure(&generated, &[]);
    assert_eq!(a.shuffles, 8);
    assert!((a.shuffled.estimate.unwrap().mean - sum / 72.0).abs() < 1e-12);
}

#[test]
fn members_of_a_group_are_never_combined() {
    // Each slice has a twin with the same lesion at the same place; if twins were combined, they would seem to agree when shuffled.
    let single = made(4, 14, 1.0, false);
    let twins: Vec<Made> = single
        .iter()
        .enumerate()
        .flat_map(|(i, m)| {
            let twin = || Made { image: m.image.clone(), mask: m.mask.clone(), group: Some(i.to_string()) };
            [twin(), twin()]
        })
        .collect();
    let alone = measure(&single, &[]);
    let grouped = measure(&twins, &[]);
    let (a, b) = (alone.shuffled.estimate.unwrap(), grouped.shuffled.estimate.unwrap());
    assert!((a.mean - b.mean).abs() < 1e-12, "{} against {}", a.mean, b.mean);
    assert_eq!((b.cases, b.units), (28, 14));
}

#[test]
fn a_constant_added_to_the_images_changes_nothing() {
    let generated = made(21, 20, 0.4, false);
    let moved: Vec<Made> = generated
        .iter()
        .map(|m| Made { image: m.image.iter().map(|v| v + 3.0).collect(), mask: m.mask.clone(), group: None })
        .collect();
    let (a, b) = (measure(&generated, &[]), measure(&moved, &[]));
    for (x, y) in [(&a.shuffled, &b.shuffled), (&a.difference, &b.difference)] {
        let (x, y) = (x.estimate.unwrap(), y.estimate.unwrap());
        assert!((x.mean - y.mean).abs() < 1e-5 && (x.low - y.low).abs() < 1e-5 && (x.high - y.high).abs() < 1e-5);
    }
}

#[test]
fn the_order_of_pairs_does_not_matter_to_any_mean() {
    let generated = made(22, 20, 0.4, false);
    let real = made(23, 30, 0.4, false);
    let a = measure(&generated, &real);
    let reversed = |made: &[Made]| -> Vec<Made> {
        let copy = |m: &Made| Made { image: m.image.clone(), mask: m.mask.clone(), group: None };
        made.iter().rev().map(copy).collect()
    };
    let b = measure(&reversed(&generated), &reversed(&real));
    let means = |a: &Agreement| a.rows().iter().map(|row| row.1.unwrap().mean).collect::<Vec<_>>();
    for (x, y) in means(&a).iter().zip(&means(&b)) {
        assert!((x - y).abs() < 1e-12);
    }
    assert_eq!(a.verdict, b.verdict);
    let mut cases = b.difference.per_case.clone();
    cases.reverse();
    assert!(cases.iter().zip(&a.difference.per_case).all(|(x, y)| (x.unwrap() - y.unwrap()).abs() < 1e-12));
}

#[test]
fn same_seed_same_numbers() {
    let generated = made(30, 16, 0.2, false);
    assert_eq!(measure(&generated, &[]), measure(&generated, &[]));
    let settings = AgreementSettings { shuffles: 3, ..quick() };
    let few = pair_agreement(&pairs(&generated), &[], &settings).unwrap();
    assert_eq!(few.shuffles, 3);
}

#[test]
fn bad_input_is_named() {
    let generated = made(1, 3, 0.1, false);
    let mut p = pairs(&generated);
    p[2].height = SIDE - 1;
    let error = pair_agreement(&p, &[], &quick()).unwrap_err();
    assert!(
        error.to_string().contains("generated pair 2: the image has 1024 and the mask 1024 values, expected 31 x 32")
    );

    let mut bad = made(1, 3, 0.1, false);
    bad[1].image[33] = f32::NAN;
    let error = pair_agreement(&pairs(&generated), &pairs(&bad), &quick()).unwrap_err();
    assert!(error.to_string().contains("real pair 1: the image holds NaN at row 1, column 1"), "{error}");

    let mut p = pairs(&generated);
    p[1].height = SIDE / 2;
    p[1].width = SIDE * 2;
    let error = pair_agreement(&p, &[], &quick()).unwrap_err();
    assert!(matches!(error, AgreementError::MixedSizes { index: 1, .. }));
}
