//! Images without masks for a training, and whether one of them shows what a split holds out.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use pig_files::sha256;
use rayon::prelude::*;

use crate::discover::{Dataset, GroupSource, Layout, PairEntry};
use crate::error::{DataError, Result};
use crate::folder::{Groups, Kind, Listed, list};
use crate::names::unique_ids;
use crate::read::read_image;
use crate::split::Splits;

/// The most images that a message names.
const NAMED: usize = 100;

impl Dataset {
    /// The images of a folder and its subfolders, without masks: those in `images/` if there is such a folder. Masks are left out and
    /// counted. Patients or groups come from `group_column` of the folder's `manifest.csv`, or else from its column `patient` or `group`.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no image, or its manifest is damaged, lacks the column, or lacks the group of an image.
    pub fn of_images(root: &Path, group_column: Option<&str>) -> Result<Self> {
        std::fs::read_dir(root).map_err(DataError::io(root, "list"))?;
        let Listed { files, left_out, .. } = list(root, Kind::Images)?;
        if files.is_empty() {
            return Err(DataError::NoPictures { path: root.to_path_buf() });
        }
        let ids = unique_ids(root, &files);
        let named = Groups::of_folder(root, group_column)?;
        let groups = match &named {
            Some(groups) => groups.of(ids.iter().map(String::as_str))?,
            None => ids.clone(),
        };
        let pairs = ids.into_iter().zip(files).zip(groups);
        let mut pairs: Vec<PairEntry> =
            pairs.map(|((id, image), group)| PairEntry { id, image, mask: None, group }).collect();
        pairs.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self {
            root: root.to_path_buf(),
            layout: Layout::Images,
            pairs,
            group_source: named.map_or(GroupSource::Image, |groups| GroupSource::Column(groups.column)),
            parts: None,
            warnings: left_out.into_iter().collect(),
            columns: Vec::new(),
        })
    }

    /// The images of the pairs `ids`, without their masks.
    #[must_use]
    pub fn images_of(&self, ids: &[String]) -> Self {
        let wanted: BTreeSet<&String> = ids.iter().collect();
        let of_pair = |pair: &PairEntry| PairEntry { mask: None, ..pair.clone() };
        Self {
            layout: Layout::Images,
            pairs: self.pairs.iter().filter(|pair| wanted.contains(&pair.id)).map(of_pair).collect(),
            parts: None,
            warnings: Vec::new(),
            ..self.clone()
        }
    }

    /// Refuses images that show what the split of the pairs `data` holds out: images of a validating or testing patient, and images with
    /// the pixels of a validating or testing image. Returns how many have the pixels of a training image.
    ///
    /// Patients are compared if both folders name them.
    ///
    /// # Errors
    /// When an image shows what is held out, with the list; or when a picture cannot be read.
    pub fn check_apart(&self, data: &Self, splits: &Splits) -> Result<usize> {
        let held_out: BTreeSet<&str> = splits.validation.iter().chain(&splits.test).map(String::as_str).collect();
        let trained: BTreeSet<&str> = splits.training.iter().map(String::as_str).collect();
        let is_named = |dataset: &Self| dataset.group_source != GroupSource::Image;
        let mut groups: HashMap<&str, &str> = HashMap::new();
        if is_named(self) && is_named(data) {
            let pairs = data.pairs.iter().filter(|pair| held_out.contains(pair.id.as_str()));
            groups.extend(pairs.map(|pair| (pair.group.as_str(), pair.id.as_str())));
        }
        let theirs: Vec<&PairEntry> = data
            .pairs
            .iter()
            .filter(|pair| held_out.contains(pair.id.as_str()) || trained.contains(pair.id.as_str()))
            .collect();
        let hashes = |pairs: &[&PairEntry]| -> Result<Vec<String>> {
            pairs.par_iter().map(|pair| pixels(&pair.image)).collect()
        };
        let known: HashMap<String, &str> =
            hashes(&theirs)?.into_iter().zip(&theirs).map(|(hash, pair)| (hash, pair.id.as_str())).collect();
        let ours: Vec<&PairEntry> = self.pairs.iter().collect();
        let (mut shown, mut in_training) = (Vec::new(), 0);
        for (pair, hash) in ours.iter().zip(hashes(&ours)?) {
            let same = known.get(&hash).copied();
            if let Some(id) = same.filter(|&id| held_out.contains(id)) {
                shown.push(format!("{} (the pixels of {id})", pair.id));
            } else if groups.contains_key(pair.group.as_str()) {
                shown.push(format!("{} (the patient or group {})", pair.id, pair.group));
            } else {
                in_training += usize::from(same.is_some());
            }
        }
        if shown.is_empty() {
            return Ok(in_training);
        }
        let (count, more) = (shown.len(), shown.len().saturating_sub(NAMED));
        shown.truncate(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Err(DataError::HeldOutImages { path: self.root.clone(), count, list: shown.join(", ") + &more })
    }
}

/// A hash of the size and the pixels of a picture, the same for a gray picture that is stored in colour.
fn pixels(path: &Path) -> Result<String> {
    let image = read_image(path, 3)?;
    let size = [image.width, image.height].map(usize::to_le_bytes).concat();
    let values = image.data.iter().flat_map(|value| value.to_le_bytes());
    Ok(sha256(&size.into_iter().chain(values).collect::<Vec<u8>>()))
}
