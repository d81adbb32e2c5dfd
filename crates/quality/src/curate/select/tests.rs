use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn pair(id: usize, dice: f64, area: f64, copy: bool) -> Scored {
    let dice = (area > 0.0 || dice < 1.0).then_some(if area > 0.0 { dice } else { 0.0 });
    Scored {
        id: format!("{id:03}"),
        dice,
        found: dice.map_or(0.0, |_| 0.1),
        copy: Some(copy),
        area,
        ..Scored::default()
    }
}

fn pairs() -> impl Strategy<Value = Vec<Scored>> {
    let one = (0.0..=1.0_f64, prop_oneof![Just(0.0), 0.001..0.5_f64], prop::bool::weighted(0.1));
    prop::collection::vec(one, 0..60).prop_map(|all| {
        all.into_iter().enumerate().map(|(id, (dice, area, copy))| pair(id, dice, area, copy)).collect()
    })
}

fn real() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop_oneof![Just(0.0), 0.001..0.5_f64], 1..40)
}

fn config() -> impl Strategy<Value = CurateConfig> {
    let orders = prop_oneof![Just(Order::Agreement), Just(Order::Hard)];
    let areas = prop_oneof![Just(Areas::Any), Just(Areas::Real)];
    (0.05..=1.0_f64, orders, areas, any::<bool>()).prop_map(|(keep, order, areas, keep_copies)| CurateConfig {
        keep,
        order,
        areas,
        keep_copies,
    })
}

fn kept(pairs: &[Scored], fates: &[Fate]) -> BTreeSet<String> {
    let both = pairs.iter().zip(fates);
    both.filter(|(_, fate)| **fate == Fate::Kept).map(|(pair, _)| pair.id.clone()).collect()
}

proptest! {
    #[test]
    fn no_more_than_the_share_is_kept_and_no_copy(pairs in pairs(), real in real(), config in config()) {
        let fates = select(&pairs, &real, &config);
        let count = kept(&pairs, &fates).len();
        let copies = pairs.iter().filter(|pair| pair.copy == Some(true)).count();
        let most = (config.keep * pairs.len() as f64).round() as usize;
        prop_assert!(count <= most);
        if config.keep_copies {
            prop_assert!(!fates.contains(&Fate::Copy));
        } else {
            prop_assert_eq!(fates.iter().filter(|&&fate| fate == Fate::Copy).count(), copies);
            prop_assert!(pairs.iter().zip(&fates).all(|(pair, fate)| pair.copy != Some(true) || *fate == Fate::Copy));
        }
        if config.areas == Areas::Any {
            let there = if config.keep_copies { pairs.len() } else { pairs.len() - copies };
            prop_assert_eq!(count, most.min(there));
        }
    }

    #[test]
    fn the_order_of_the_pairs_does_not_matter(pairs in pairs(), real in real(), config in config(), turn in 0..60_usize) {
        let expected = kept(&pairs, &select(&pairs, &real, &config));
        let mut turned = pairs.clone();
        turned.rotate_left(turn % pairs.len().max(1));
        turned.reverse();
        prop_assert_eq!(kept(&turned, &select(&turned, &real, &config)), expected);
    }

    /// By agreement, nobody who is left out agrees more than somebody of the same kind who is kept.
    #[test]
    fn the_lowest_agreement_goes_out(pairs in pairs(), real in real(), keep in 0.05..=1.0_f64) {
        for areas in [Areas::Any, Areas::Real] {
            let config = CurateConfig { keep, areas, ..CurateConfig::default() };
            let (fates, edges) = (select(&pairs, &real, &config), if areas == Areas::Real { edges(&real) } else { Vec::new() });
            for (kept, _) in pairs.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Kept) {
                for (out, _) in pairs.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::LowAgreement) {
                    let is_alike = kind(kept.area, &edges) == kind(out.area, &edges);
                    prop_assert!(!is_alike || kept.agreement() >= out.agreement());
                }
            }
        }
    }

    /// Kept areas are divided as real ones are, up to the rounding of a pair in each part, if all parts have pairs enough.
    #[test]
    fn areas_are_those_of_real_pairs(real in real(), keep in 0.1..0.4_f64) {
        // Sixty pairs of each real area: whatever the quota, each part has more.
        let all: Vec<Scored> =
            (0..60 * real.len()).map(|id| pair(id, (id % 17) as f64 / 17.0, real[id % real.len()], false)).collect();
        let config = CurateConfig { keep, areas: Areas::Real, ..CurateConfig::default() };
        let (fates, edges) = (select(&all, &real, &config), edges(&real));
        let chosen: Vec<f64> =
            all.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Kept).map(|(pair, _)| pair.area).collect();
        for own in 0..edges.len() + 2 {
            let share = |areas: &[f64]| {
                areas.iter().filter(|&&area| kind(area, &edges) == own).count() as f64 / areas.len() as f64
            };
            prop_assert!((share(&chosen) - share(&real)).abs() <= 1.0 / chosen.len() as f64 + 1e-9);
        }
    }

    /// The hardest are kept, but for the quarter that agrees least: with an agreement that equals the number of the pair it can be counted.
    #[test]
    fn the_hardest_third_comes_first(count in 12..60_usize) {
        let all: Vec<Scored> = (0..count).map(|id| pair(id, id as f64 / count as f64, 0.1, false)).collect();
        let too_hard = count / 4;
        let hard = (count - too_hard).div_ceil(3);
        let config = CurateConfig { keep: 0.5, order: Order::Hard, ..CurateConfig::default() };
        let fates = select(&all, &[], &config);
        prop_assert!(fates[..too_hard].iter().all(|fate| *fate == Fate::LowAgreement));
        prop_assert!(fates[too_hard..too_hard + hard].iter().all(|fate| *fate == Fate::Kept));
        let half = (0.5 * count as f64).round() as usize;
        prop_assert!(fates[count - (half - hard)..].iter().all(|fate| *fate == Fate::Kept));
        prop_assert_eq!(fates.iter().filter(|&&fate| fate == Fate::Easy).count(), count - too_hard - half);
    }

    #[test]
    fn quotas_sum_to_the_total(total in 0..200_usize, weights in prop::collection::vec(0..50_usize, 1..8)) {
        let found = quotas(total, &weights);
        let sum: usize = weights.iter().sum();
        prop_assert_eq!(found.iter().sum::<usize>(), if sum == 0 { 0 } else { total });
        for (quota, weight) in found.iter().zip(&weights) {
            prop_assert!(sum == 0 || (*quota as f64 - (total * weight) as f64 / sum as f64).abs() < 1.0);
        }
    }
}

#[test]
fn a_pair_whose_area_no_real_pair_has_is_left_out_for_its_area() {
    // Real lesions are small; of the generated pairs two are, and the two large ones agree most.
    let all: Vec<Scored> = [(0.5, 0.1), (0.4, 0.1), (0.9, 0.4), (0.8, 0.4)]
        .into_iter()
        .enumerate()
        .map(|(id, (dice, area))| pair(id, dice, area, false))
        .collect();
    let config = CurateConfig { keep: 0.25, areas: Areas::Real, ..CurateConfig::default() };
    let fates = select(&all, &[0.1; 5], &config);
    assert_eq!(fates, [Fate::Kept, Fate::LowAgreement, Fate::Area, Fate::Area]);
    assert_eq!(Fate::Area.word(), "area");
}

#[test]
fn empty_masks_in_which_something_is_found_go_first() {
    let mut all: Vec<Scored> = (0..4).map(|id| pair(id, 0.5, 0.1, false)).collect();
    all.extend((4..8).map(|id| pair(id, if id < 6 { 0.5 } else { 1.0 }, 0.0, false)));
    let fates = select(&all, &[], &CurateConfig::default());
    // Half of each kind: the two empty masks in which nothing is found, and the first two of equal ones with a lesion.
    let kept: Vec<usize> = (0..8).filter(|&id| fates[id] == Fate::Kept).collect();
    assert_eq!(kept, [0, 1, 6, 7]);
}
