//! Gives each image its masks, where names say which belong together.

use std::collections::BTreeMap;

use super::content::Kind;
use super::walk::Entry;
use crate::error::PrepareError;

/// Images and masks by a key that those which belong together share.
#[derive(Debug, Default)]
pub(super) struct Pairing<'a> {
    images: BTreeMap<String, Vec<&'a Entry>>,
    masks: BTreeMap<String, Vec<&'a Entry>>,
}

/// The result of a pairing.
#[derive(Debug, Default)]
pub(super) struct Paired<'a> {
    /// Each image with its masks, of which there may be none.
    pub(super) pairs: Vec<(&'a Entry, Vec<&'a Entry>)>,
    /// Pictures that show what a DICOM or NIfTI file of the same name holds.
    pub(super) previews: Vec<&'a Entry>,
    /// Images of which nothing says which of them the mask belongs to.
    pub(super) ambiguous: Vec<(&'a Entry, PrepareError)>,
    /// The masks of these images.
    pub(super) ambiguous_masks: Vec<&'a Entry>,
    /// Masks without an image.
    pub(super) alone: Vec<&'a Entry>,
}

impl<'a> Pairing<'a> {
    pub(super) fn image(&mut self, key: String, entry: &'a Entry) {
        self.images.entry(key).or_default().push(entry);
    }

    /// Whether an image has one of these keys.
    pub(super) fn knows(&self, keys: &[String]) -> bool {
        keys.iter().any(|key| self.images.contains_key(key))
    }

    /// Whether a mask has this key.
    pub(super) fn has_mask(&self, key: &str) -> bool {
        self.masks.contains_key(key)
    }

    /// Adds a mask to the first of its possible `keys` that an image has.
    pub(super) fn mask(&mut self, keys: &[String], entry: &'a Entry) {
        let known = keys.iter().find(|key| self.images.contains_key(*key));
        if let Some(key) = known.or(keys.first()) {
            self.masks.entry(key.clone()).or_default().push(entry);
        }
    }

    pub(super) fn paired(mut self) -> Paired<'a> {
        let mut paired = Paired::default();
        for (key, images) in self.images {
            let masks = self.masks.remove(&key).unwrap_or_default();
            let pictures = images.iter().filter(|image| image.kind == Kind::Picture).count();
            let (images, previews) = if pictures < images.len() {
                images.into_iter().partition(|image| image.kind != Kind::Picture)
            } else {
                (images, Vec::new())
            };
            paired.previews.extend(previews);
            paired.group(&images, &masks);
        }
        paired.alone = self.masks.into_values().flatten().collect();
        paired
    }
}

impl<'a> Paired<'a> {
    /// Pairs images of one name with masks of that name.
    fn group(&mut self, images: &[&'a Entry], masks: &[&'a Entry]) {
        let (&[first, second, ..], Some(mask)) = (images, masks.first()) else {
            self.pairs.extend(images.iter().map(|image| (*image, masks.to_vec())));
            return;
        };
        // Files such as `a.png` and `a.tif` with `a_mask.png` and `a_mask.tif` are two pairs.
        let of = |image: &Entry| masks.iter().copied().filter(|mask| ending(mask) == ending(image)).collect::<Vec<_>>();
        let found: Vec<Vec<&Entry>> = images.iter().map(|image| of(image)).collect();
        let each =
            found.iter().all(|masks| !masks.is_empty()) && found.iter().map(Vec::len).sum::<usize>() == masks.len();
        if each {
            self.pairs.extend(images.iter().copied().zip(found));
            return;
        }
        self.ambiguous_masks.extend(masks);
        for &image in images {
            let other = if std::ptr::eq(image, first) { second } else { first };
            let error =
                PrepareError::SameName { path: image.path.clone(), other: other.path.clone(), mask: mask.path.clone() };
            self.ambiguous.push((image, error));
        }
    }
}

fn ending(entry: &Entry) -> String {
    entry.name()[entry.stem().len()..].to_lowercase()
}
