//! The training data of a segmenter: the real pairs of a split, generated or other pairs in addition, or only generated pairs.

use crate::config::{PairUse, SegmentTrainConfig};
use pig_data::{Dataset, PairEntry, Preparation, PreparedSet, manifest::Manifest, write::file_stem};
use pig_files::sha256;
use pig_train::{
    Error, Result, added,
    batch::shuffled_indices,
    observer::Observer,
    run_data::{RunData, discover_unsplit, prepared},
};
use std::{collections::BTreeSet, ops::Range, path::Path};

/// The group of generated pairs, and of those of further folders.
const GENERATED: &str = "generated";

/// The data of one segmenter.
#[derive(Debug)]
pub struct SegmentData<'a> {
    /// The real pairs, and their split.
    pub real: &'a RunData,
    /// The training pairs.
    pub training: PreparedSet,
    /// The number of generated pairs among the training pairs.
    pub added: usize,
}

impl<'a> SegmentData<'a> {
    /// The real training pairs and the `added` pairs.
    pub fn with(real: &'a RunData, added: &PreparedSet) -> Self {
        let [mut training, _] = real.parts();
        training.append(added);
        Self { real, training, added: added.len() }
    }

    /// Only generated pairs.
    pub fn only(real: &'a RunData, generated: PreparedSet) -> Self {
        Self { real, added: generated.len(), training: generated }
    }

    /// The numbers of pairs.
    pub fn mixture(&self) -> Mixture {
        Mixture { real: self.real.splits.training.len(), training: self.training.len(), generated: self.added }
    }

    /// The SHA-256 of all training and validation data.
    ///
    /// # Errors
    /// When the pairs cannot be read.
    pub fn sha256(&self) -> Result<String> {
        Ok(sha256(format!("{}+{}", self.real.set.sha256()?, self.training.sha256()?).as_bytes()))
    }
}

/// The numbers of pairs that a segmenter trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixture {
    /// The number of real training pairs of the split, whether they are used or not.
    pub real: usize,
    /// The number of pairs in the training set.
    pub training: usize,
    /// The number of generated pairs among them; they are the last ones.
    pub generated: usize,
}

impl Mixture {
    /// The number of optimiser steps of a training.
    pub fn steps(self, train: &SegmentTrainConfig) -> usize {
        train.steps_for(self.training, self.real)
    }

    /// The number of generated pairs that the first `steps` steps draw at least once.
    pub fn drawn(self, train: &SegmentTrainConfig, steps: usize) -> usize {
        let indices = self.indices(train, &positions(train, 0..steps));
        indices.into_iter().filter(|index| self.is_generated(*index)).collect::<BTreeSet<_>>().len()
    }

    /// The pairs at these positions of the endless, reshuffled sequence of training pairs. If the training begins with generated pairs
    /// alone, they have a sequence of their own, and so have the real pairs after them.
    pub(crate) fn indices(self, train: &SegmentTrainConfig, positions: &[u64]) -> Vec<usize> {
        let Some(first) = self.pretraining(train) else {
            return shuffled_indices(train.seed, positions, self.training);
        };
        let (begin, real) = ((first * train.batch_size) as u64, self.training - self.generated);
        let (before, after): (Vec<u64>, Vec<u64>) = positions.iter().copied().partition(|&position| position < begin);
        let after: Vec<u64> = after.into_iter().map(|position| position - begin).collect();
        let mut generated =
            shuffled_indices(train.seed, &before, self.generated).into_iter().map(move |index| real + index);
        let mut real = shuffled_indices(train.seed, &after, real).into_iter();
        let next = |&position: &u64| if position < begin { generated.next() } else { real.next() };
        positions.iter().filter_map(next).collect()
    }

    /// The number of first steps that draw generated pairs alone; none if the training mixes them with real ones, or has one of both.
    pub(crate) fn pretraining(self, train: &SegmentTrainConfig) -> Option<usize> {
        let has_both = self.generated > 0 && self.generated < self.training;
        (train.pairs == PairUse::Pretrain && has_both).then_some(train.pretrain_steps)
    }

    /// Whether the training pair `index` is generated.
    pub(crate) fn is_generated(self, index: usize) -> bool {
        index >= self.training - self.generated
    }

    /// Refuses generated pairs that the training never draws: such a segmenter is one of real pairs alone. `name` is what they are
    /// called in the message.
    pub fn check_drawn(self, train: &SegmentTrainConfig, name: &str) -> Result<()> {
        let steps = self.steps(train);
        if self.generated == 0 || self.drawn(train, steps) > 0 {
            return Ok(());
        }
        Err(Error::TooLittle {
            found: format!(
                "{name}: in {steps} steps of {} pairs, none of its {} generated pairs is drawn from the {} training pairs",
                train.batch_size, self.generated, self.training
            ),
            expected: "a training that draws generated pairs; raise segment.train.steps, or add more generated pairs",
        })
    }
}

/// The positions of these steps' pairs in the sequence of training pairs; they key the augmentation, too.
pub(crate) fn positions(train: &SegmentTrainConfig, steps: Range<usize>) -> Vec<u64> {
    (steps.start * train.batch_size..steps.end * train.batch_size).map(|position| position as u64).collect()
}

/// An empty set with the image size of `like`.
pub fn none(like: &PreparedSet) -> PreparedSet {
    like.subset(&[])
}

/// The pairs of a further folder: of `pig sample`, or of any other origin. Their patients or groups are those of the column that names the groups
/// of `real`, and several rows may name one image with `data.class_column`, if the folder's table has these columns.
pub(crate) fn found(path: &Path, real: &RunData, observer: &dyn Observer) -> Result<Dataset> {
    let has = |column: &str| -> Result<bool> {
        let table = Manifest::in_folder(path)?;
        Ok(table.map_or(Ok(None), |table| table.column_once(column))?.is_some())
    };
    let group_column = match &real.preparation.config.group_column {
        Some(name) if has(name)? => Some(name.clone()),
        _ => None,
    };
    let config = added::with_two_values(&real.preparation.config, group_column.as_deref(), path)?;
    discover_unsplit(path, &config, observer)
}

/// Loads all pairs that were [`found`] in a further folder: generated ones as what they are, others as the real ones are read. `name` is put
/// before their ids.
pub(crate) fn all_of(dataset: &Dataset, name: &str, real: &RunData, observer: &dyn Observer) -> Result<PreparedSet> {
    load(dataset, &|_| true, name, &added::preparation(dataset, &real.preparation)?, observer)
}

/// Loads all pairs of a folder of generated pairs, of `pig sample` or another program, prepared for training together with `real`. `name` is
/// put before their ids.
pub fn folder(path: &Path, name: &str, real: &RunData, observer: &dyn Observer) -> Result<PreparedSet> {
    let preparation = real.preparation.of_generated();
    let dataset = discover_unsplit(path, &preparation.config, observer)?;
    load(&dataset, &|_| true, name, &preparation, observer)
}

/// Loads the pairs with these seeds from a folder of `pig sample`, in the order of the seeds.
pub fn of_seeds(
    path: &Path,
    seeds: &[u64],
    name: &str,
    real: &RunData,
    observer: &dyn Observer,
) -> Result<PreparedSet> {
    let preparation = real.preparation.of_generated();
    let dataset = Dataset::discover(path, &preparation.config)?;
    let wanted: Vec<String> = seeds.iter().map(|&seed| file_stem(seed)).collect();
    let set = load(&dataset, &|pair| wanted.contains(&pair.id), name, &preparation, observer)?;
    let ids: Vec<String> = wanted.iter().map(|id| format!("{name}/{id}")).collect();
    Ok(set.subset(&set.indices_of(&ids)))
}

fn load(
    dataset: &Dataset,
    wanted: &dyn Fn(&PairEntry) -> bool,
    name: &str,
    preparation: &Preparation,
    observer: &dyn Observer,
) -> Result<PreparedSet> {
    let mut set = prepared(dataset, wanted, preparation, observer)?;
    for id in &mut set.ids {
        *id = format!("{name}/{id}");
    }
    set.groups.fill(GENERATED.to_owned());
    Ok(set)
}

/// The same images with exchanged masks: each image gets the mask of the pair that is half the set away, so no pair keeps its own
/// mask and every mask is used once. The set needs at least two pairs.
#[must_use]
pub fn shuffled(set: &PreparedSet) -> PreparedSet {
    let mut shuffled = set.clone();
    shuffled.rotate_masks(set.len() / 2);
    shuffled
}
