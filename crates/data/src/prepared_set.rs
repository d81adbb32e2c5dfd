//! Prepared pairs, whose images and masks are read when they are asked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use pig_files::hex;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::classes::Coding;
use crate::error::Result;
use crate::intensity::IntensityMap;
use crate::pairs::file::VERSION;
use crate::pairs::record::{Facts, Fitted, FittedPair, Member, Record, Shape};
use crate::pairs::store::Store;

/// Pairs that are decoded at once for a hash.
const AT_ONCE: usize = 64;

/// The file beside a file of pairs that remembers hashes of its sets.
const HASHES: &str = "hashes.json";

/// Prepared pairs. Images and masks are in a file, or in memory in the same form; each is read and mapped to [-1, 1] when it is asked
/// for. Clones and subsets share them.
#[derive(Debug, Clone)]
pub struct PreparedSet {
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Slices that are stacked in each picture.
    pub slices: usize,
    /// Channels of the images: 1 or 3.
    pub channels: usize,
    /// Channels of the masks: the classes that they tell apart.
    pub classes: usize,
    /// Whether these classes may overlap.
    pub overlap: bool,
    /// The ids in the order of the data.
    pub ids: Vec<String>,
    /// The patient or group of each pair.
    pub groups: Vec<String>,
    /// Ids whose mask has lesion in the file but none at this size.
    pub vanished: Vec<String>,
    /// Warnings for the user. They contain no ids.
    pub warnings: Vec<String>,
    /// Where the image and the mask of each pair are.
    places: Vec<[Place; 2]>,
    sources: Vec<Source>,
}

/// Stored pairs, and how their values map to [-1, 1].
#[derive(Debug, Clone)]
struct Source {
    store: Arc<Store>,
    intensity: IntensityMap,
}

/// An image or a mask: the number of the source, and that of the pair in it.
#[derive(Debug, Clone, Copy)]
struct Place {
    source: usize,
    pair: usize,
}

impl PreparedSet {
    /// The pairs of `store` at `pairs`, in this order.
    pub(crate) fn of_store(
        store: Arc<Store>,
        intensity: IntensityMap,
        pairs: &[usize],
        (ids, groups): (Vec<String>, Vec<String>),
    ) -> Self {
        let Shape { size, slices, channels, classes } = store.shape();
        Self {
            size,
            slices,
            channels,
            classes,
            overlap: false,
            ids,
            groups,
            vanished: Vec::new(),
            warnings: Vec::new(),
            places: pairs.iter().map(|&pair| [Place { source: 0, pair }; 2]).collect(),
            sources: vec![Source { store, intensity }],
        }
    }

    /// `count` pairs with black images and empty masks of so many channels, to measure the time of computations that do not depend on values.
    #[must_use]
    pub fn blank(size: [usize; 2], slices: usize, [channels, classes]: [usize; 2], count: usize) -> Self {
        let shape = Shape { size, slices, channels, classes };
        let image =
            Fitted { values: vec![0.0; shape.pixels() * channels], size: shape.slice_size(), range: (0.0, 255.0) };
        let pair = FittedPair { image, mask: vec![-1.0; shape.mask_values()], facts: Facts::default() };
        let store = Store::in_memory(shape, vec![Record::encode(&pair, String::new())]);
        let names: Vec<String> = (0..count).map(|index| index.to_string()).collect();
        let map = IntensityMap::Dtype { maximum: 255 };
        Self::of_store(Arc::new(store), map, &vec![0; count], (names.clone(), names))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Height and width of a slice; of the whole picture if `slices` is 1.
    pub fn slice_size(&self) -> [usize; 2] {
        [self.size[0] / self.slices, self.size[1]]
    }

    /// Image `index` of shape (height, width, channels) in [-1, 1].
    ///
    /// # Errors
    /// When the file of the pairs cannot be read, or was changed.
    pub fn image(&self, index: usize) -> Result<Vec<f32>> {
        let Place { source, pair } = self.places[index][0];
        let Source { store, intensity } = &self.sources[source];
        let bytes = store.bytes(pair, Member::Image)?;
        Ok(store.records()[pair].image(&bytes, store.shape(), *intensity))
    }

    /// Mask `index` of shape (height, width, classes): -1 background, +1 lesion.
    ///
    /// # Errors
    /// As [`PreparedSet::image`].
    pub fn mask(&self, index: usize) -> Result<Vec<f32>> {
        self.mask_by(index, |inside| if inside { 1.0 } else { -1.0 })
    }

    /// Mask `index` of shape (height, width): true is lesion, of whatever class.
    ///
    /// # Errors
    /// As [`PreparedSet::image`].
    pub fn lesion(&self, index: usize) -> Result<Vec<bool>> {
        Ok(self.labels(index)?.into_iter().map(|label| label > 0).collect())
    }

    /// Label map `index` of shape (height, width), in the [`coding`](Self::coding) of this set.
    ///
    /// # Errors
    /// As [`PreparedSet::image`].
    pub fn labels(&self, index: usize) -> Result<Vec<u8>> {
        let (values, coding) = (self.mask_by(index, |inside| inside)?, self.coding());
        let first = |pixel: &[bool]| pixel.iter().position(|&inside| inside).map_or(0, |class| coding.label(class));
        let all = |pixel: &[bool]| {
            let inside = pixel.iter().enumerate().filter(|(_, inside)| **inside);
            inside.fold(0, |label, (class, _)| label | coding.label(class))
        };
        let pixels = values.chunks_exact(self.classes);
        Ok(if coding.overlap { pixels.map(all).collect() } else { pixels.map(first).collect() })
    }

    /// How the labels of label maps stand for classes.
    pub fn coding(&self) -> Coding {
        Coding { classes: self.classes, overlap: self.overlap }
    }

    /// Whether mask `index` has lesion as prepared, of whatever class. Reads no mask.
    pub fn has_lesion(&self, index: usize) -> bool {
        let Place { source, pair } = self.places[index][1];
        self.sources[source].store.records()[pair].facts.lesion
    }

    /// The pixels of each class of pair `index`, in order, each of shape (height, width).
    ///
    /// # Errors
    /// As [`PreparedSet::image`].
    pub fn class_masks(&self, index: usize) -> Result<Vec<Vec<bool>>> {
        Ok(self.coding().masks(&self.labels(index)?))
    }

    /// The pairs that have each class, in order, as prepared.
    pub fn members_of_classes(&self) -> Vec<Vec<usize>> {
        let bits = |index: usize| {
            let place = self.places[index][1];
            self.sources[place.source].store.records()[place.pair].facts.classes[1]
        };
        let of = |class: usize| (0..self.len()).filter(|&index| bits(index) >> class & 1 == 1).collect();
        (0..self.classes).map(of).collect()
    }

    /// How many pairs have each class, in order, as prepared.
    pub fn pairs_by_class(&self) -> Vec<usize> {
        self.members_of_classes().iter().map(Vec::len).collect()
    }

    fn mask_by<T>(&self, index: usize, value: impl Fn(bool) -> T) -> Result<Vec<T>> {
        let Place { source, pair } = self.places[index][1];
        let store = &self.sources[source].store;
        let bytes = store.bytes(pair, Member::Mask)?;
        Ok(Record::mask(&bytes, store.shape()).map(value).collect())
    }

    /// The pairs at `indices`, in that order, without the warnings.
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let vanished: HashSet<&String> = self.vanished.iter().collect();
        let ids: Vec<String> = indices.iter().map(|&index| self.ids[index].clone()).collect();
        Self {
            groups: indices.iter().map(|&index| self.groups[index].clone()).collect(),
            places: indices.iter().map(|&index| self.places[index]).collect(),
            vanished: ids.iter().filter(|id| vanished.contains(id)).cloned().collect(),
            ids,
            warnings: Vec::new(),
            sources: self.sources.clone(),
            ..*self
        }
    }

    /// Appends pairs of the same size and number of channels.
    pub fn append(&mut self, more: &Self) {
        let first = self.sources.len();
        let moved = |place: Place| Place { source: first + place.source, ..place };
        self.places.extend(more.places.iter().map(|places| places.map(moved)));
        self.sources.extend(more.sources.iter().cloned());
        self.ids.extend(more.ids.iter().cloned());
        self.groups.extend(more.groups.iter().cloned());
        self.vanished.extend(more.vanished.iter().cloned());
    }

    /// Gives each image the mask of the pair that is `by` places further on; the last ones get the first masks.
    pub fn rotate_masks(&mut self, by: usize) {
        let mut masks: Vec<Place> = self.places.iter().map(|places| places[1]).collect();
        masks.rotate_left(by);
        for (places, mask) in self.places.iter_mut().zip(masks) {
            places[1] = mask;
        }
    }

    /// The positions of `ids`, in their order; ids that are not in the set are left out.
    pub fn indices_of(&self, ids: &[String]) -> Vec<usize> {
        let position: HashMap<&str, usize> =
            self.ids.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect();
        ids.iter().filter_map(|id| position.get(id.as_str()).copied()).collect()
    }

    /// SHA-256 over shape, ids, groups, images and masks, in hexadecimal: the same on every machine for the same data,
    /// prepared in the same way. If the pairs are in a file, the hash is remembered beside it.
    ///
    /// # Errors
    /// As [`PreparedSet::image`].
    pub fn sha256(&self) -> Result<String> {
        let file = self.sources.iter().find_map(|source| source.store.path());
        let Some(memory) = file.map(|path| path.with_file_name(HASHES)) else { return self.hash() };
        let key = self.key();
        let mut known = remembered(&memory);
        if let Some(found) = known.get(&key) {
            return Ok(found.clone());
        }
        let found = self.hash()?;
        known.insert(key, found.clone());
        // It saves time alone: a folder that cannot be written, or a lost entry of another process, does no harm.
        let _ = pig_files::write_json(&memory, &known);
        Ok(found)
    }

    /// SHA-256 of the stored image and of the stored mask of each pair, in hexadecimal. They are stored before their values are mapped to
    /// [-1, 1], so that the hashes of one pair do not hang on the others.
    pub fn pictures_sha256(&self) -> Vec<[String; 2]> {
        let record = |place: &Place| &self.sources[place.source].store.records()[place.pair];
        let of = |[image, mask]: &[Place; 2]| [record(image).image.sha256.clone(), record(mask).mask.sha256.clone()];
        self.places.iter().map(of).collect()
    }

    fn hash(&self) -> Result<String> {
        let mut hash = self.begun_hash();
        let mut take = |values: &[f32]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(bytes);
        };
        self.each(Self::image, &mut take)?;
        self.each(Self::mask, &mut take)?;
        Ok(hex(&hash.finalize()))
    }

    /// SHA-256 over the masks alone, a byte for each pixel and class: 1 is lesion.
    ///
    /// # Errors
    /// As [`PreparedSet::image`].
    pub fn masks_sha256(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let inside = |set: &Self, index: usize| set.mask_by(index, |inside| inside);
        self.each(inside, &mut |values| hash.update(values.iter().map(|&v| u8::from(v)).collect::<Vec<_>>()))?;
        Ok(hex(&hash.finalize()))
    }

    /// Calls `take` with what `read` gives for each pair, in order; a few pairs are read at once.
    fn each<T: Send>(
        &self,
        read: impl Fn(&Self, usize) -> Result<Vec<T>> + Sync,
        take: &mut dyn FnMut(&[T]),
    ) -> Result<()> {
        for first in (0..self.len()).step_by(AT_ONCE) {
            let last = self.len().min(first + AT_ONCE);
            let values: Vec<Vec<T>> =
                (first..last).into_par_iter().map(|index| read(self, index)).collect::<Result<_>>()?;
            for values in &values {
                take(values);
            }
        }
        Ok(())
    }

    fn begun_hash(&self) -> Sha256 {
        let mut hash = Sha256::new();
        for number in [self.len(), self.size[0], self.size[1], self.channels] {
            hash.update((number as u64).to_le_bytes());
        }
        if self.classes > 1 {
            hash.update((self.classes as u64).to_le_bytes());
        }
        for text in self.ids.iter().chain(&self.groups) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash
    }

    /// What decides the hash of the set, without reading images and masks: their own hashes, and how their values are mapped.
    fn key(&self) -> String {
        let mut hash = self.begun_hash();
        hash.update(VERSION.to_le_bytes());
        hash.update((self.slices as u64).to_le_bytes());
        for source in &self.sources {
            hash.update(format!("{:?}", source.intensity));
        }
        for [image, mask] in &self.places {
            let record = |place: &Place| &self.sources[place.source].store.records()[place.pair];
            let (ours, theirs) = (record(image), record(mask));
            let numbers =
                [image.source as u64, ours.fitted[0] as u64, ours.fitted[1] as u64, ours.range[0], ours.range[1]];
            hash.update(format!("{numbers:?} {:?} {} {}", ours.code, ours.image.sha256, theirs.mask.sha256));
        }
        hex(&hash.finalize())
    }
}

/// The remembered hashes of sets by their keys; none if the file is not there or damaged.
fn remembered(path: &Path) -> BTreeMap<String, String> {
    let text = pig_files::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}
