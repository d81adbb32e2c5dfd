//! Prepared pairs in memory.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use pig_files::hex;

/// Prepared pairs in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedSet {
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Slices that are stacked in each picture.
    pub slices: usize,
    /// Channels of the images: 1 or 3.
    pub channels: usize,
    /// The ids in the order of the data.
    pub ids: Vec<String>,
    /// The patient or group of each pair.
    pub groups: Vec<String>,
    /// Images of shape (n, height, width, channels) in [-1, 1].
    pub images: Vec<f32>,
    /// Masks of shape (n, height, width): -1 background, +1 lesion.
    pub masks: Vec<f32>,
    /// Ids whose mask has lesion in the file but none at this size.
    pub vanished: Vec<String>,
    /// Warnings for the user. They contain no ids.
    pub warnings: Vec<String>,
}

impl PreparedSet {
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

    /// Image `index` of shape (height, width, channels).
    pub fn image(&self, index: usize) -> &[f32] {
        let length = self.size[0] * self.size[1] * self.channels;
        &self.images[index * length..(index + 1) * length]
    }

    /// Mask `index` of shape (height, width).
    pub fn mask(&self, index: usize) -> &[f32] {
        let length = self.size[0] * self.size[1];
        &self.masks[index * length..(index + 1) * length]
    }

    /// The pairs at `indices`, in that order, without the warnings.
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let vanished: HashSet<&String> = self.vanished.iter().collect();
        let ids: Vec<String> = indices.iter().map(|&index| self.ids[index].clone()).collect();
        Self {
            size: self.size,
            slices: self.slices,
            channels: self.channels,
            groups: indices.iter().map(|&index| self.groups[index].clone()).collect(),
            images: indices.iter().flat_map(|&index| self.image(index)).copied().collect(),
            masks: indices.iter().flat_map(|&index| self.mask(index)).copied().collect(),
            vanished: ids.iter().filter(|id| vanished.contains(id)).cloned().collect(),
            ids,
            warnings: Vec::new(),
        }
    }

    /// The positions of `ids`, in their order; ids that are not in the set are left out.
    pub fn indices_of(&self, ids: &[String]) -> Vec<usize> {
        let position: HashMap<&str, usize> =
            self.ids.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect();
        ids.iter().filter_map(|id| position.get(id.as_str()).copied()).collect()
    }

    /// SHA-256 over shape, ids, groups, images and masks, in hexadecimal: the same on every machine for the same data,
    /// prepared in the same way.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for number in [self.len(), self.size[0], self.size[1], self.channels] {
            hash.update((number as u64).to_le_bytes());
        }
        for text in self.ids.iter().chain(&self.groups) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        for values in [&self.images, &self.masks] {
            for chunk in values.chunks(4096) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
                hash.update(bytes);
            }
        }
        hex(&hash.finalize())
    }
}
