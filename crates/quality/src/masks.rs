//! How the masks of folders are read: which classes they tell apart, and which class a mask has where a table names it.

use std::collections::BTreeMap;
use std::path::Path;

use pig_data::{
    CaseMask, DataConfig, Source,
    class_source::{Named, for_folder},
    classes::names,
    read::RawMask,
};
use rayon::prelude::*;

use crate::Result;

/// The settings with the classes that the first of these folders with masks names, if the settings say nothing of masks.
///
/// # Errors
/// When a table, a `dataset.json` or a mask cannot be read, or no table has the column of classes.
pub(crate) fn with_classes(data: &DataConfig, sources: &[Source<'_>]) -> Result<DataConfig> {
    Source::check_class_column(sources)?;
    if !data.may_find_classes() {
        return Ok(data.clone());
    }
    for source in sources {
        if !source.has_masks()? {
            continue;
        }
        if let Some(Named { classes, overlap }) = source.classes(data)? {
            return Ok(DataConfig { classes, classes_overlap: overlap, ..data.clone() });
        }
    }
    Ok(data.clone())
}

/// The names of the classes; none if lesions are one.
pub(crate) fn several(data: &DataConfig) -> Vec<String> {
    let classes = if data.has_several_classes() { names(&data.classes) } else { Vec::new() };
    classes.into_iter().map(str::to_owned).collect()
}

/// The masks of one folder, and how they are read.
#[derive(Debug)]
pub(crate) struct FolderMasks {
    data: DataConfig,
    masks: BTreeMap<String, CaseMask>,
}

impl FolderMasks {
    /// The masks of `source`, by settings with classes.
    ///
    /// # Errors
    /// When there are none, or the folder's table cannot be read.
    pub(crate) fn of(source: Source<'_>, data: &DataConfig) -> Result<Self> {
        Ok(Self { data: for_folder(data, source.folder)?, masks: source.masks()? })
    }

    /// The mask of the image `id`; none if it has none.
    ///
    /// # Errors
    /// When a file cannot be read, has values that stand for nothing, or lesion without a class.
    pub(crate) fn read(&self, id: &str) -> Result<Option<RawMask>> {
        Ok(self.masks.get(id).map(|mask| mask.read(&self.data)).transpose()?)
    }

    /// What `of` makes of every mask, in the order of the ids.
    ///
    /// # Errors
    /// As [`FolderMasks::read`].
    pub(crate) fn each<T: Send>(&self, of: impl Fn(RawMask) -> T + Sync) -> Result<Vec<T>> {
        let masks: Vec<&CaseMask> = self.masks.values().collect();
        masks.par_iter().map(|mask| Ok(of(mask.read(&self.data)?))).collect()
    }

    /// The ids of all images with masks, sorted.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.masks.keys()
    }

    /// The first file of each mask. Other files of a mask have its size.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.masks.values().map(|mask| mask.first.path.as_path())
    }

    /// The first file of the mask of the image `id`.
    pub(crate) fn file(&self, id: &str) -> Option<&Path> {
        self.masks.get(id).map(|mask| mask.first.path.as_path())
    }

    /// The pixels of a class, or of lesion.
    pub(crate) fn pixels(&self, labels: &[u8], class: Option<usize>) -> Vec<bool> {
        let coding = self.data.coding();
        match class {
            Some(class) => coding.mask(labels, class),
            None => labels.iter().map(|&label| label > 0).collect(),
        }
    }

    /// The settings.
    pub(crate) fn data(&self) -> &DataConfig {
        &self.data
    }
}
