//! How the masks of folders are read: which classes they tell apart, and which class a case has where a table names it.

use std::path::{Path, PathBuf};

use pig_data::{
    DataConfig, Dataset, Source,
    class_source::{Named, for_folder, of_files, resolve},
    classes::names,
    folder::{Groups, Kind, has_masks},
    read::{RawMask, read_mask_by},
};

use crate::Result;

/// The settings with the classes that the first of these folders with masks names, if the settings say nothing of masks.
///
/// # Errors
/// When a table, a `dataset.json` or a mask cannot be read.
pub(crate) fn with_classes(data: &DataConfig, sources: &[Source<'_>]) -> Result<DataConfig> {
    if !data.may_find_classes() {
        return Ok(data.clone());
    }
    for source in sources {
        if !has_masks(source.folder)? {
            continue;
        }
        let own = for_folder(data, source.folder)?;
        if own.class_column.is_some() {
            let found = resolve(&Dataset::discover(source.folder, &own)?, &own)?.0;
            return Ok(DataConfig { classes: found.classes, ..data.clone() });
        }
        let files = source.pictures(Kind::Masks)?;
        if let Some((Named { classes, overlap }, _)) = of_files(source.folder, files.values().map(PathBuf::as_path))? {
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

/// How the masks of one folder are read.
#[derive(Debug)]
pub(crate) struct FolderMasks {
    data: DataConfig,
    /// The class of each case, if a column of the folder's table names it.
    cases: Option<Groups>,
}

impl FolderMasks {
    /// The masks of `folder`, by settings with classes.
    ///
    /// # Errors
    /// When the folder's table cannot be read.
    pub(crate) fn of(folder: &Path, data: &DataConfig) -> Result<Self> {
        let data = for_folder(data, folder)?;
        let cases = match &data.class_column {
            Some(column) => Groups::of_folder(folder, Some(column.as_str()))?,
            None => None,
        };
        Ok(Self { data, cases })
    }

    /// The mask of the case `id`.
    ///
    /// # Errors
    /// When the file cannot be read, or has values that stand for nothing.
    pub(crate) fn read(&self, id: &str, path: &Path) -> Result<RawMask> {
        // A case without a class may have no lesion; one with lesion is refused when it is read.
        let class = self.class_of(id);
        Ok(read_mask_by(path, &self.data.mask_rule().of_case(class.as_deref()))?)
    }

    /// Whether a column of the folder's table names the class of each case.
    pub(crate) fn names_cases(&self) -> bool {
        self.cases.is_some()
    }

    /// The class of a case, if a column names it.
    pub(crate) fn class_of(&self, id: &str) -> Option<String> {
        self.cases.as_ref().and_then(|cases| cases.of([id]).ok()).and_then(|mut found| found.pop())
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
