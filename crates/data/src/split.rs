//! Splits a data set into training and validation by patient or group, never by slice.
//!
//! The groups are sorted by the SHA-256 of the seed and their name, not by the order in which files are listed, so that
//! the same data and seed give the same split on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::columns::GroupSource;
use crate::discover::Dataset;
use crate::error::{DataError, Result};
use crate::part::{Part, Parts};
use crate::split_error::SplitError;
use pig_files::hex;

/// One split of the pairs. Written to the run as `splits.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// What the split keeps together.
    pub by: GroupSource,
    /// The seed of the split.
    pub seed: u64,
    /// How many groups are for training.
    pub training_groups: usize,
    /// How many groups are for validation.
    pub validation_groups: usize,
    /// How many groups are in the test set: the test fold of a cross-validation.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub test_groups: usize,
    /// The ids of the training pairs, sorted.
    pub training: Vec<String>,
    /// The ids of the validation pairs, sorted.
    pub validation: Vec<String>,
    /// The ids of the test pairs, sorted; they are read only for the final test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// How many groups are left out, for a study with fewer patients.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unused_groups: usize,
    /// The ids of the pairs that are left out, sorted; they are never read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<String>,
    /// SHA-256 of the lists, in hexadecimal.
    pub sha256: String,
}

/// Holds out `validation_fraction` of the groups (rounded, at least one group on each side); with 0, all groups are for
/// training. If the manifest names the part of every pair, the split is the manifest's; where it has no validation part, the fraction
/// is taken of its training groups.
///
/// # Errors
/// When the fraction is above 0 and there are fewer than two groups, or the manifest names no training pair or puts a group on two
/// sides.
pub fn split_by_group(dataset: &Dataset, validation_fraction: f64, seed: u64) -> Result<Splits> {
    let mut groups = ranked_groups(dataset, seed);
    let (mut validating, mut testing) = (BTreeSet::new(), BTreeSet::new());
    if let Some(parts) = &dataset.parts {
        let sides = sides(dataset, parts)?;
        let of = |part: Part| sides.iter().filter(move |(_, side)| **side == part).map(|(group, _)| *group);
        (validating, testing) = (of(Part::Validation).collect(), of(Part::Test).collect());
        groups.retain(|group| sides.get(group) == Some(&Part::Training));
    }
    if validation_fraction > 0.0 && validating.is_empty() {
        let advice =
            "one validates and the others train; add data, or set data.validation_fraction = 0 to validate on none";
        at_least(dataset, groups.len(), 2, advice)?;
        let held_out = ((groups.len() as f64 * validation_fraction).round() as usize).clamp(1, groups.len() - 1);
        validating = groups[..held_out].iter().copied().collect();
    }
    Ok(splits_of(dataset, seed, &validating, &testing))
}

/// The part of every group.
fn sides<'a>(dataset: &'a Dataset, parts: &Parts) -> Result<BTreeMap<&'a str, Part>> {
    let bad = |problem: String| Err(SplitError::Given { path: dataset.root.clone(), problem }.into());
    let mut sides: BTreeMap<&str, Part> = BTreeMap::new();
    for pair in &dataset.pairs {
        let Some(&part) = parts.get(&pair.id) else { return bad(format!("it has no part for the id {:?}", pair.id)) };
        let first = *sides.entry(&pair.group).or_insert(part);
        if first != part {
            return bad(format!(
                "pairs of one group ({}) are in {} and in {}, one of them is {:?}",
                dataset.group_source,
                first.word(),
                part.word(),
                pair.id
            ));
        }
    }
    if !sides.values().any(|&part| part == Part::Training) {
        return bad("no pair is in training".to_owned());
    }
    Ok(sides)
}

/// Divides the groups into `k` parts whose sizes differ by at most one group, and returns `k` splits, each with a
/// different part for validation.
///
/// # Errors
/// When `k` is below 2 or there are fewer than `k` groups.
pub fn k_folds(dataset: &Dataset, k: usize, seed: u64) -> Result<Vec<Splits>> {
    let groups = ranked_groups(dataset, seed);
    at_least(dataset, groups.len(), k.max(2), "one for each fold; add data, or use fewer folds (crossval.folds)")?;
    if k < 2 {
        return Err(SplitError::Unfit {
            path: dataset.root.clone(),
            problem: format!("{k} fold(s) were requested; expected at least 2"),
        }
        .into());
    }
    let part = |fold| groups.iter().copied().skip(fold).step_by(k).collect();
    Ok((0..k).map(|fold| splits_of(dataset, seed, &part(fold), &BTreeSet::new())).collect())
}

/// Divides the groups into `k` parts as [`k_folds`] does, and returns `k` splits, each with a different part as its test set. Of the
/// other groups, the share `validation_fraction` (rounded, at least one group), taken first from the part after the test set, is for
/// validation; the rest are for training.
///
/// # Errors
/// As [`k_folds`], and when too few groups are left for training and validation.
pub fn crossval_folds(dataset: &Dataset, k: usize, validation_fraction: f64, seed: u64) -> Result<Vec<Splits>> {
    k_folds(dataset, k, seed)?;
    let groups = ranked_groups(dataset, seed);
    let part = |fold: usize| groups.iter().copied().skip(fold % k).step_by(k);
    (0..k)
        .map(|fold| {
            let others: Vec<&str> = (fold + 1..fold + k).flat_map(part).collect();
            let test = part(fold).collect();
            if others.len() < 2 {
                return Err(DataError::TooFewForFolds {
                    path: dataset.root.clone(),
                    groups: groups.len(),
                    by: dataset.group_source.to_string(),
                    folds: k,
                    fold,
                    left: others.len(),
                });
            }
            let validating = (others.len() as f64 * validation_fraction).round() as usize;
            let validating = others[..validating.clamp(1, others.len() - 1)].iter().copied().collect();
            Ok(splits_of(dataset, seed, &validating, &test))
        })
        .collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields out by reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Splits {
    /// Writes the split as JSON, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(pig_files::write_json(path, self)?)
    }

    /// Reads a split and checks its hash.
    ///
    /// # Errors
    /// When the file cannot be read, is not a split, or was changed since it was written.
    pub fn load(path: &Path) -> Result<Self> {
        let bad = |problem: String| DataError::from(SplitError::Unfit { path: path.to_path_buf(), problem });
        let json = pig_files::read_to_string(path).map_err(DataError::io(path, "read"))?;
        let splits: Self = serde_json::from_str(&json).map_err(|error| bad(error.to_string()))?;
        let expected = splits.hash();
        if splits.sha256 != expected {
            return Err(bad(format!("its hash is {} but its lists hash to {expected}", splits.sha256)));
        }
        Ok(splits)
    }

    /// The ids of a part.
    pub fn part(&self, part: Part) -> &[String] {
        match part {
            Part::Training => &self.training,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }

    /// The hash of the lists.
    fn hash(&self) -> String {
        hash_lists([&self.training, &self.validation, &self.test, &self.unused])
    }

    /// The same split with a share of its training groups (rounded, at least one) and of its validation groups (rounded, at least
    /// `validating`, or all if there are fewer), for a study with fewer patients and the same test set. The groups of a smaller share
    /// are among those of a larger share.
    #[must_use]
    pub fn limited_to(&self, dataset: &Dataset, share: f64, validating: usize) -> Self {
        let group_of: BTreeMap<&str, &str> =
            dataset.pairs.iter().map(|pair| (pair.id.as_str(), pair.group.as_str())).collect();
        let ranked = ranked_groups(dataset, self.seed);
        let kept = |ids: &[String], least: usize| -> BTreeSet<&str> {
            let present: BTreeSet<&str> = ids.iter().filter_map(|id| group_of.get(id.as_str()).copied()).collect();
            let count = ((present.len() as f64 * share).round() as usize).max(least);
            ranked.iter().copied().filter(|group| present.contains(group)).take(count).collect()
        };
        let (training, validating) = (kept(&self.training, 1), kept(&self.validation, validating.max(1)));
        let part = |ids: &[String], groups: &BTreeSet<&str>| -> [Vec<String>; 2] {
            let is_kept = |id: &&String| group_of.get(id.as_str()).is_some_and(|group| groups.contains(group));
            let (kept, left): (Vec<&String>, Vec<&String>) = ids.iter().partition(is_kept);
            [kept, left].map(|ids| ids.into_iter().cloned().collect())
        };
        let ([train, left], [validate, more]) = (part(&self.training, &training), part(&self.validation, &validating));
        let mut unused: Vec<String> = self.unused.iter().cloned().chain(left).chain(more).collect();
        unused.sort();
        let groups = self.training_groups + self.validation_groups + self.unused_groups;
        let limited = Self {
            training_groups: training.len(),
            validation_groups: validating.len(),
            unused_groups: groups - training.len() - validating.len(),
            training: train,
            validation: validate,
            unused,
            ..self.clone()
        };
        Self { sha256: limited.hash(), ..limited }
    }

    /// Whether a pair must not be read before the final test, because it is in the test set or left out.
    pub fn hides(&self, id: &str) -> bool {
        [&self.test, &self.unused].iter().any(|ids| ids.binary_search_by(|other| other.as_str().cmp(id)).is_ok())
    }

    /// Checks that this split covers exactly the pairs of `dataset` and keeps every group on one side.
    pub fn check(&self, dataset: &Dataset) -> Result<()> {
        let bad = |problem: String| Err(SplitError::Unfit { path: dataset.root.clone(), problem }.into());
        let group_of: BTreeMap<&str, &str> =
            dataset.pairs.iter().map(|pair| (pair.id.as_str(), pair.group.as_str())).collect();
        let mut sides: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (side, ids) in [&self.training, &self.validation, &self.test, &self.unused].into_iter().enumerate() {
            for id in ids {
                let Some(group) = group_of.get(id.as_str()) else {
                    return bad(format!("it names the id {id:?}, which the data lacks"));
                };
                if !seen.insert(id.as_str()) {
                    return bad(format!("it names the id {id:?} twice"));
                }
                if *sides.entry(group).or_insert(side) != side {
                    return bad(format!("the group of the id {id:?} is on two sides"));
                }
            }
        }
        if seen.len() < group_of.len() {
            return bad(format!("the data has {} pair(s), the split only {}", group_of.len(), seen.len()));
        }
        Ok(())
    }
}

fn at_least(dataset: &Dataset, groups: usize, needed: usize, advice: &'static str) -> Result<()> {
    if groups >= needed {
        return Ok(());
    }
    let by = dataset.group_source.to_string();
    Err(DataError::TooFewGroups { path: dataset.root.clone(), groups, needed, by, advice })
}

/// The groups in the order of a hash of seed and name.
fn ranked_groups(dataset: &Dataset, seed: u64) -> Vec<&str> {
    let groups: BTreeSet<&str> = dataset.pairs.iter().map(|pair| pair.group.as_str()).collect();
    let mut ranked: Vec<_> = groups
        .into_iter()
        .map(|group| (Sha256::new().chain_update(seed.to_le_bytes()).chain_update(group).finalize(), group))
        .collect();
    ranked.sort();
    ranked.into_iter().map(|(_, group)| group).collect()
}

fn splits_of(dataset: &Dataset, seed: u64, validating: &BTreeSet<&str>, testing: &BTreeSet<&str>) -> Splits {
    let sorted_ids = |wanted: &dyn Fn(&str) -> bool| {
        let chosen = dataset.pairs.iter().filter(|pair| wanted(&pair.group));
        let mut ids: Vec<String> = chosen.map(|pair| pair.id.clone()).collect();
        ids.sort();
        ids
    };
    let splits = Splits {
        by: dataset.group_source.clone(),
        seed,
        training_groups: dataset.group_count() - validating.len() - testing.len(),
        validation_groups: validating.len(),
        test_groups: testing.len(),
        training: sorted_ids(&|group| !validating.contains(group) && !testing.contains(group)),
        validation: sorted_ids(&|group| validating.contains(group)),
        test: sorted_ids(&|group| testing.contains(group)),
        unused_groups: 0,
        unused: Vec::new(),
        sha256: String::new(),
    };
    Splits { sha256: splits.hash(), ..splits }
}

/// Hashes the lists unambiguously: every list and every text is preceded by its length. Empty lists of test pairs and of unused pairs
/// at the end are not hashed, so that splits without them keep the hash from before these lists existed.
fn hash_lists(lists: [&[String]; 4]) -> String {
    let mut hash = Sha256::new();
    let last = lists.iter().rposition(|list| !list.is_empty()).unwrap_or(0);
    for list in &lists[..=last.max(1)] {
        hash.update((list.len() as u64).to_le_bytes());
        for id in *list {
            hash.update((id.len() as u64).to_le_bytes());
            hash.update(id);
        }
    }
    hex(&hash.finalize())
}
