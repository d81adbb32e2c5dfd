//! Images without masks for a training, and whether one of them shows what a split holds out.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::OnceLock;

use pig_files::sha256;
use rayon::prelude::*;

use crate::columns::{GroupSource, PairEntry};
use crate::discover::{Dataset, Layout};
use crate::error::{DataError, Result};
use crate::folder::{Groups, Kind, Listed, list};
use crate::manifest::Manifest;
use crate::read::read_image;
use crate::split::Splits;

impl Dataset {
    /// The images of a folder and its subfolders, without masks: those in `images/` if there is such a folder. Masks are left out and
    /// counted. Patients or groups come from `group_column` of the folder's `manifest.csv`, or else from its column `patient` or `group`.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no image, or its manifest is damaged, lacks the column, or lacks the group of an image.
    pub fn of_images(root: &Path, group_column: Option<&str>) -> Result<Self> {
        std::fs::read_dir(root).map_err(DataError::io(root, "list"))?;
        let listed = list(root, Kind::Images)?;
        let ids = listed.ids();
        let Listed { files, left_out, .. } = listed;
        if files.is_empty() {
            return Err(DataError::NoPictures { path: root.to_path_buf() });
        }
        let named = Groups::of_folder(root, group_column, None)?;
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
            left_out,
            warnings: Vec::new(),
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
            left_out: None,
            warnings: Vec::new(),
            ..self.clone()
        }
    }
}

/// By what further images are compared with those that a split holds out, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compared {
    /// By their pixels alone.
    ByPixels,
    /// By their pixels, and by groups of the same data that are not patients, such as those of near duplicates.
    ByGroups,
    /// By their pixels and by patients.
    ByPatients,
}

impl Compared {
    /// By what the images of two folders can be compared, each with what its groups are. Patients have the same names in every folder;
    /// other groups are numbered anew for each data set.
    pub fn of((first, groups): (&Path, &GroupSource), (second, others): (&Path, &GroupSource)) -> Self {
        if groups.names_patients() && others.names_patients() {
            Self::ByPatients
        } else if *groups != GroupSource::Image && groups == others && are_same_data(first, second) {
            Self::ByGroups
        } else {
            Self::ByPixels
        }
    }
}

/// Whether two folders are one, or have the same manifest.
fn are_same_data(first: &Path, second: &Path) -> bool {
    let place = |folder: &Path| std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let table = |folder: &Path| {
        let manifest = Manifest::in_folder(folder).ok().flatten()?;
        pig_files::read(&manifest.path).ok()
    };
    place(first) == place(second) || table(first).is_some_and(|own| table(second) == Some(own))
}

/// What a split of a data folder holds out, to be compared with further images.
#[derive(Debug)]
pub struct HeldOut<'a> {
    data: &'a Dataset,
    splits: &'a Splits,
    /// The pairs that train or are held out, by the hash of their pixels. Pictures are read at the first comparison.
    pixels: OnceLock<HashMap<String, &'a PairEntry>>,
}

impl<'a> HeldOut<'a> {
    /// What `splits` holds out of `data`, which has all pairs of its folder.
    pub fn of(data: &'a Dataset, splits: &'a Splits) -> Self {
        Self { data, splits, pixels: OnceLock::new() }
    }

    /// Refuses images of a validating or testing patient, and images with the pixels of a validating or testing image. Returns how many
    /// have the pixels of a training image.
    ///
    /// Patients are compared if both folders name them, and other groups if both are of the same data; see [`HeldOut::compares`].
    ///
    /// # Errors
    /// When an image shows what is held out, with the list; or when a picture cannot be read.
    pub fn check(&self, images: &Dataset) -> Result<usize> {
        let ids: BTreeSet<&str> = self.ids().map(String::as_str).collect();
        let is_held_out = |pair: &PairEntry| ids.contains(pair.id.as_str());
        let by_groups = self.compares(images) > Compared::ByPixels;
        let held_out = self.data.pairs.iter().filter(|pair| by_groups && is_held_out(pair));
        let groups: BTreeSet<&str> = held_out.map(|pair| pair.group.as_str()).collect();
        let known = self.pixels()?;
        let hashes: Vec<String> = images.pairs.par_iter().map(|pair| pixels(&pair.image)).collect::<Result<_>>()?;
        let (mut shown, mut in_training) = (Vec::new(), 0);
        for (pair, hash) in images.pairs.iter().zip(hashes) {
            match known.get(&hash) {
                Some(same) if is_held_out(same) && same.id == pair.id => shown.push(pair.id.clone()),
                Some(same) if is_held_out(same) => shown.push(format!("{} (the pixels of {})", pair.id, same.id)),
                _ if groups.contains(pair.group.as_str()) => {
                    shown.push(format!("{} (the patient or group {})", pair.id, pair.group));
                }
                same => in_training += usize::from(same.is_some()),
            }
        }
        if shown.is_empty() {
            return Ok(in_training);
        }
        Err(DataError::HeldOutImages { path: images.root.clone(), images: shown })
    }

    /// By what further images are compared. Only [`Compared::ByPatients`] finds every further image of a held-out patient.
    pub fn compares(&self, images: &Dataset) -> Compared {
        Compared::of((&images.root, &images.group_source), (&self.data.root, &self.data.group_source))
    }

    fn ids(&self) -> impl Iterator<Item = &'a String> {
        self.splits.validation.iter().chain(&self.splits.test)
    }

    /// Of a picture that both trains and is held out, the held-out pair.
    fn pixels(&self) -> Result<&HashMap<String, &'a PairEntry>> {
        if let Some(known) = self.pixels.get() {
            return Ok(known);
        }
        let by_id: HashMap<&str, &PairEntry> = self.data.pairs.iter().map(|pair| (pair.id.as_str(), pair)).collect();
        let ids: Vec<&String> = self.splits.training.iter().chain(self.ids()).collect();
        let hashed = |id: &&String| by_id.get(id.as_str()).map(|&pair| Ok((pixels(&pair.image)?, pair)));
        let known = ids.par_iter().filter_map(hashed).collect::<Result<Vec<_>>>()?;
        Ok(self.pixels.get_or_init(|| known.into_iter().collect()))
    }
}

/// A hash of the size and the pixels of a picture, the same for a gray picture that is stored in colour.
fn pixels(path: &Path) -> Result<String> {
    let image = read_image(path, 3)?;
    let size = [image.width, image.height].map(usize::to_le_bytes).concat();
    let values = image.data.iter().flat_map(|value| value.to_le_bytes());
    Ok(sha256(&size.into_iter().chain(values).collect::<Vec<u8>>()))
}
