//! The patients of a folder's images.

use crate::Result;
use pig_data::{DataConfig, folder::Groups};
use std::path::Path;

/// The patients of a folder by the stems of its images, from the table `manifest` or else from the folder's own table.
pub(crate) fn groups(folder: &Path, manifest: Option<&Path>, data: &DataConfig) -> Result<Option<Groups>> {
    let (column, classes) = (data.group_column.as_deref(), data.class_column.as_deref());
    Ok(match manifest {
        Some(path) => Groups::of_manifest(path, column, classes)?,
        None => Groups::of_folder(folder, column, classes)?,
    })
}

/// The patient of each image, if patients are known.
pub(crate) fn of_images<'a>(
    groups: Option<&Groups>,
    ids: impl IntoIterator<Item = &'a String>,
) -> Result<Option<Vec<String>>> {
    Ok(groups.map(|groups| groups.of(ids.into_iter().map(String::as_str))).transpose()?)
}
