//! Splits: no group is on both sides, no pair is lost, and machine and listing order do not matter.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pig_data::{
    DataError, Dataset, GroupSource, Layout, PairEntry, Part, SplitError, Splits, crossval_folds, k_folds,
    split_by_group,
};
use proptest::prelude::*;
use tempfile::tempdir;

/// Pair `i` belongs to group `groups[i]`.
fn dataset(groups: &[usize]) -> Dataset {
    let pair = |(index, group): (usize, &usize)| PairEntry {
        id: format!("s{index:04}"),
        image: PathBuf::new(),
        mask: None,
        group: format!("p{group}"),
    };
    Dataset {
        root: PathBuf::from("data"),
        layout: Layout::Folders,
        pairs: groups.iter().enumerate().map(pair).collect(),
        group_source: GroupSource::Column("patient".to_owned()),
        parts: None,
        left_out: None,
        warnings: Vec::new(),
        columns: Vec::new(),
    }
}

fn groups_of<'a>(dataset: &'a Dataset, ids: &[String]) -> BTreeSet<&'a str> {
    dataset.pairs.iter().filter(|pair| ids.contains(&pair.id)).map(|pair| pair.group.as_str()).collect()
}

fn assert_sound(dataset: &Dataset, splits: &Splits) {
    let (training, validation) = (groups_of(dataset, &splits.training), groups_of(dataset, &splits.validation));
    assert!(training.is_disjoint(&validation), "a group on both sides");
    assert_eq!((training.len(), validation.len()), (splits.training_groups, splits.validation_groups));
    let mut union: Vec<String> = splits.training.iter().chain(&splits.validation).cloned().collect();
    union.sort();
    assert_eq!(union, dataset.ids(), "the union is the data, each pair once");
    splits.check(dataset).unwrap();
}

proptest! {
    #[test]
    fn cross_validation_tests_every_group_once_and_shares_none(
        groups in prop::collection::vec(0usize..15, 20..80), k in 2usize..6, fraction in 0.0f64..0.99, seed in any::<u64>()
    ) {
        let data = dataset(&groups);
        prop_assume!(data.group_count() > 2 * k);
        let folds = crossval_folds(&data, k, fraction, seed).unwrap();
        let mut tested: Vec<String> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
        tested.sort();
        prop_assert_eq!(tested, data.ids());
        for (fold, k_fold) in folds.iter().zip(k_folds(&data, k, seed).unwrap()) {
            let sides = [&fold.training, &fold.validation, &fold.test].map(|ids| groups_of(&data, ids));
            prop_assert!((0..3).all(|i| sides[i].is_disjoint(&sides[(i + 1) % 3]) && !sides[i].is_empty()));
            prop_assert_eq!(sides.map(|s| s.len()), [fold.training_groups, fold.validation_groups, fold.test_groups]);
            prop_assert_eq!(&fold.test, &k_fold.validation);
            fold.check(&data).unwrap();
        }
    }

    #[test]
    fn splits_are_sound(
        groups in prop::collection::vec(0usize..15, 1..80), fraction in 0.0f64..0.99, seed in any::<u64>()
    ) {
        let data = dataset(&groups);
        match split_by_group(&data, fraction, seed) {
            Ok(splits) => {
                assert_sound(&data, &splits);
                let expected = fraction * data.group_count() as f64;
                prop_assert!((splits.validation_groups as f64 - expected).abs() <= 1.0);
                prop_assert_eq!(splits.validation.is_empty(), fraction == 0.0);
                prop_assert!(!splits.training.is_empty());
            }
            Err(error) => {
                let refused = matches!(error, DataError::TooFewGroups { groups: 1, needed: 2, .. });
                prop_assert!(refused, "{}", error);
            }
        }
    }

    #[test]
    fn listing_order_does_not_matter(groups in prop::collection::vec(0usize..15, 20..40), seed in any::<u64>()) {
        let data = dataset(&groups);
        prop_assume!(data.group_count() >= 3);
        let mut reversed = data.clone();
        reversed.pairs.reverse();
        prop_assert_eq!(split_by_group(&data, 0.3, seed).unwrap(), split_by_group(&reversed, 0.3, seed).unwrap());
        prop_assert_eq!(k_folds(&data, 3, seed).unwrap(), k_folds(&reversed, 3, seed).unwrap());
    }

    #[test]
    fn folds_validate_every_pair_once(
        groups in prop::collection::vec(0usize..15, 20..60), k in 2usize..6, seed in any::<u64>()
    ) {
        let data = dataset(&groups);
        prop_assume!(data.group_count() >= k);
        let folds = k_folds(&data, k, seed).unwrap();
        prop_assert_eq!(folds.len(), k);
        for fold in &folds {
            assert_sound(&data, fold);
        }
        let mut validated: Vec<String> = folds.iter().flat_map(|fold| fold.validation.clone()).collect();
        validated.sort();
        prop_assert_eq!(validated, data.ids());
        let sizes: BTreeSet<usize> = folds.iter().map(|fold| fold.validation_groups).collect();
        prop_assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1);
    }
}

#[test]
fn the_seed_decides_and_is_stable() {
    let groups: Vec<usize> = (0..60).map(|i| i / 3).collect();
    let data = dataset(&groups);
    let splits = split_by_group(&data, 0.2, 7).unwrap();
    assert_eq!(splits, split_by_group(&data, 0.2, 7).unwrap());
    let others: BTreeSet<String> = (0..20).map(|seed| split_by_group(&data, 0.2, seed).unwrap().sha256).collect();
    assert!(others.len() >= 19, "20 seeds give {} splits", others.len());
    // Pinned: a split must not change from one version to the next.
    assert_eq!(groups_of(&data, &splits.validation).into_iter().collect::<Vec<_>>(), PINNED_GROUPS);
}

/// The groups that seed 7 holds out above: the first four of p0 to p19 by SHA-256 of (7 as 8 little-endian bytes,
/// name).
const PINNED_GROUPS: [&str; 4] = ["p11", "p15", "p18", "p19"];

#[test]
fn every_group_is_held_out_about_equally_often() {
    let data = dataset(&(0..10).collect::<Vec<_>>());
    let mut counts = [0u32; 10];
    for seed in 0..2000 {
        for id in split_by_group(&data, 0.3, seed).unwrap().validation {
            counts[id[1..].parse::<usize>().unwrap()] += 1;
        }
    }
    // Binomial with mean 600 and standard deviation 20.5: the bound is six standard deviations.
    assert!(counts.iter().all(|count| count.abs_diff(600) < 123), "{counts:?}");
}

#[test]
fn files_are_read_back_and_changes_noticed() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("splits.json");
    let data = dataset(&[0, 0, 1, 1, 2, 3]);
    let splits = split_by_group(&data, 0.25, 1).unwrap();
    splits.save(&path).unwrap();
    assert_eq!(Splits::load(&path).unwrap(), splits);
    let changed = std::fs::read_to_string(&path).unwrap().replace(&splits.validation[0], "s9999");
    std::fs::write(&path, changed).unwrap();
    assert!(matches!(Splits::load(&path), Err(DataError::Split(SplitError::Unfit { .. }))));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(Splits::load(&path), Err(DataError::Split(SplitError::Unfit { .. }))));
    assert!(matches!(Splits::load(&dir.path().join("absent")), Err(DataError::Io { .. })));
}

#[test]
fn splits_of_other_data_are_refused() {
    let data = dataset(&[0, 0, 1, 1, 2, 3]);
    let splits = split_by_group(&data, 0.25, 1).unwrap();
    let problem = |splits: &Splits, data: &Dataset| splits.check(data).unwrap_err().to_string();
    assert!(problem(&splits, &dataset(&[0, 0, 1, 1, 2])).contains("the data lacks"));
    assert!(problem(&splits, &dataset(&[0, 0, 1, 1, 2, 3, 4])).contains("7 pair(s), the split only 6"));
    assert!(problem(&splits, &dataset(&[0; 6])).contains("two sides"));
    let mut twice = splits.clone();
    twice.training.push(splits.training[0].clone());
    assert!(problem(&twice, &data).contains("twice"));
    assert!(matches!(k_folds(&data, 5, 0), Err(DataError::TooFewGroups { groups: 4, needed: 5, .. })));
    assert!(matches!(k_folds(&data, 1, 0), Err(DataError::Split(SplitError::Unfit { .. }))));
}

#[test]
fn a_test_set_is_kept_hashed_and_checked() {
    let data = dataset(&[0, 0, 1, 2, 3, 4, 5]);
    let fold = crossval_folds(&data, 3, 0.2, 1).unwrap().remove(0);
    let folder = tempdir().unwrap();
    let path = folder.path().join("splits.json");
    fold.save(&path).unwrap();
    assert_eq!(Splits::load(&path).unwrap(), fold);
    let moved = Splits { validation: fold.test.clone(), test: fold.validation.clone(), ..fold.clone() };
    moved.save(&path).unwrap();
    assert!(Splits::load(&path).unwrap_err().to_string().contains("hash"));
    let leaking = Splits { training: fold.training.iter().chain(&fold.test).cloned().collect(), ..fold.clone() };
    assert!(leaking.check(&data).is_err());
    // A split without a test set is written and read as before test sets existed.
    let plain = split_by_group(&data, 0.3, 1).unwrap();
    plain.save(&path).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("test"));
    assert_eq!(Splits::load(&path).unwrap(), plain);
    let error = crossval_folds(&dataset(&[0, 1, 2]), 2, 0.1, 0).unwrap_err();
    assert!(matches!(error, DataError::TooFewForFolds { groups: 3, folds: 2, fold: 0, left: 1, .. }), "{error}");
    assert!(error.to_string().contains("3 group(s)") && error.to_string().contains("crossval.folds"), "{error}");
}

#[test]
fn fewer_patients_are_some_of_the_same_and_leave_the_test_set_whole() {
    let groups: Vec<usize> = (0..120).map(|i| i % 40).collect();
    let data = dataset(&groups);
    let fold = crossval_folds(&data, 4, 0.2, 3).unwrap().remove(1);
    let mut larger = fold.clone();
    for (share, least, training, validation) in [(0.5, 1, 12, 3), (0.25, 3, 6, 3), (0.25, 1, 6, 2), (0.01, 1, 1, 1)] {
        let limited = fold.limited_to(&data, share, least);
        assert_eq!((limited.training_groups, limited.validation_groups), (training, validation), "{share}");
        assert_eq!((limited.unused_groups, limited.test.clone()), (30 - training - validation, fold.test.clone()));
        assert_eq!(groups_of(&data, &limited.training).len(), training);
        assert!(limited.training.iter().all(|id| larger.training.contains(id)));
        assert!(limited.validation.iter().all(|id| larger.validation.contains(id)));
        assert!(limited.unused.iter().all(|id| limited.hides(id)) && !limited.hides(&limited.training[0]));
        assert_ne!(limited.sha256, larger.sha256, "{share}");
        limited.check(&data).unwrap();
        let folder = tempdir().unwrap();
        limited.save(&folder.path().join("splits.json")).unwrap();
        assert_eq!(Splits::load(&folder.path().join("splits.json")).unwrap(), limited);
        larger = limited;
    }
    assert_eq!((fold.limited_to(&data, 1.0, 1), fold.limited_to(&data, 1.0, 99)), (fold.clone(), fold));
    let read = Splits { unused: Vec::new(), ..larger };
    assert!(read.check(&data).unwrap_err().to_string().contains("the split only"));
}

/// A set whose manifest gives pair `i` the part `parts[i]`.
fn given(groups: &[usize], parts: &[Part]) -> Dataset {
    let mut dataset = dataset(groups);
    let ids = dataset.pairs.iter().map(|pair| pair.id.clone());
    dataset.parts = Some(ids.zip(parts.iter().copied()).collect());
    dataset
}

#[test]
fn a_split_that_the_manifest_gives_is_kept() {
    use Part::{Test, Training, Validation};
    let set = given(&[0, 0, 1, 2, 3], &[Training, Training, Validation, Test, Training]);
    let splits = split_by_group(&set, 0.5, 7).unwrap();
    let ids = |ids: &[&str]| ids.iter().map(|id| format!("s000{id}")).collect::<Vec<_>>();
    assert_eq!(
        [&splits.training, &splits.validation, &splits.test],
        [&ids(&["0", "1", "4"]), &ids(&["2"]), &ids(&["3"])]
    );
    assert_eq!((splits.training_groups, splits.validation_groups, splits.test_groups), (2, 1, 1));
    splits.check(&set).unwrap();
    // Without a validation part, the fraction is held out of the training groups, and the test part stays as it is.
    let set = given(&[0, 0, 1, 2, 3], &[Training, Training, Training, Test, Training]);
    let splits = split_by_group(&set, 0.34, 7).unwrap();
    assert_eq!((splits.test.clone(), splits.validation_groups, splits.training_groups), (ids(&["3"]), 1, 2));
    splits.check(&set).unwrap();
    assert!(split_by_group(&set, 0.0, 7).unwrap().validation.is_empty());
}

#[test]
fn a_given_split_that_parts_a_patient_or_trains_on_nothing_is_refused() {
    use Part::{Test, Training};
    let error = split_by_group(&given(&[0, 1, 0], &[Training, Training, Test]), 0.1, 0).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, DataError::Split(SplitError::Given { .. })), "{message}");
    for part in ["by the column \"patient\"", "in training and in test", "\"s0002\""] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let error = split_by_group(&given(&[0, 1], &[Test, Test]), 0.1, 0).unwrap_err().to_string();
    assert!(error.contains("no pair is in training"), "{error}");
}
