//! What a segmenter trains on: real pairs of a split, and generated pairs beside them or in their place.

use pig_data::{Dataset, PreparedSet, write::file_stem};
use pig_files::sha256;
use pig_train::{
    Result,
    observer::Observer,
    run_data::{RunData, discover, prepared},
};
use std::path::Path;

/// The group of generated pairs.
const GENERATED: &str = "generated";

/// What one segmenter trains on.
#[derive(Debug)]
pub struct SegmentData<'a> {
    /// The real pairs, and their split.
    pub real: &'a RunData,
    /// The pairs that train.
    pub training: PreparedSet,
    /// Generated ones among them.
    pub added: usize,
}

impl<'a> SegmentData<'a> {
    /// Real training pairs with `added` beside them.
    pub fn with(real: &'a RunData, added: &PreparedSet) -> Self {
        let [mut training, _] = real.parts();
        append(&mut training, added);
        Self { real, training, added: added.len() }
    }

    /// Generated pairs alone.
    pub fn only(real: &'a RunData, generated: PreparedSet) -> Self {
        Self { real, added: generated.len(), training: generated }
    }

    /// SHA-256 of all that trains and validates.
    pub fn sha256(&self) -> String {
        sha256(format!("{}+{}", self.real.set.sha256(), self.training.sha256()).as_bytes())
    }
}

/// No pairs, of the shape of `like`.
pub fn none(like: &PreparedSet) -> PreparedSet {
    like.subset(&[])
}

/// Puts pairs of the same size behind `set`.
pub fn append(set: &mut PreparedSet, more: &PreparedSet) {
    set.ids.extend(more.ids.iter().cloned());
    set.groups.extend(more.groups.iter().cloned());
    set.images.extend(&more.images);
    set.masks.extend(&more.masks);
    set.vanished.extend(more.vanished.iter().cloned());
}

/// All pairs of a folder as `pig sample` writes them (or any other folder of pairs), prepared for the network that `real` trains. `name`
/// goes before their ids.
pub fn folder(path: &Path, name: &str, real: &RunData, observer: &dyn Observer) -> Result<PreparedSet> {
    let preparation = real.preparation.of_generated();
    load(&discover(path, &preparation.config, observer)?, name, real, observer)
}

/// The pairs of these seeds in a folder that `pig sample` wrote, in their order.
pub fn of_seeds(
    path: &Path,
    seeds: &[u64],
    name: &str,
    real: &RunData,
    observer: &dyn Observer,
) -> Result<PreparedSet> {
    let mut dataset = Dataset::discover(path, &real.preparation.of_generated().config)?;
    let wanted: Vec<String> = seeds.iter().map(|&seed| file_stem(seed)).collect();
    dataset.pairs.retain(|pair| wanted.contains(&pair.id));
    let set = load(&dataset, name, real, observer)?;
    let ids: Vec<String> = wanted.iter().map(|id| format!("{name}/{id}")).collect();
    Ok(set.subset(&set.indices_of(&ids)))
}

fn load(dataset: &Dataset, name: &str, real: &RunData, observer: &dyn Observer) -> Result<PreparedSet> {
    let mut set = prepared(dataset, &real.preparation.of_generated(), observer)?;
    for id in &mut set.ids {
        *id = format!("{name}/{id}");
    }
    set.groups.fill(GENERATED.to_owned());
    Ok(set)
}

/// The same images, each with the mask of the pair half the set away: no pair keeps its own, and every mask is used once. Of two
/// pairs or more.
#[must_use]
pub fn shuffled(set: &PreparedSet) -> PreparedSet {
    let (count, pixels) = (set.len(), set.size[0] * set.size[1]);
    let mut shuffled = set.clone();
    shuffled.masks.rotate_left(count / 2 * pixels);
    shuffled
}
