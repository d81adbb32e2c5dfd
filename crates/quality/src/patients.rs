//! The patients of a folder's images.

use crate::Result;
use pig_data::{DataConfig, folder::Groups};
use std::path::Path;

/// Patients of a folder by its stems, from a table or from the folder's own.
pub(crate) fn groups(folder: &Path, manifest: Option<&Path>, data: &DataConfig) -> Result<Option<Groups>> {
    let column = data.group_column.as_deref();
    Ok(match manifest {
        Some(path) => Groups::of_manifest(path, column)?,
        None => Groups::of_folder(folder, column)?,
    })
}

/// The patient of each image, where patients are known.
pub(crate) fn of_images<'a>(
    groups: Option<&Groups>,
    ids: impl IntoIterator<Item = &'a String>,
) -> Result<Option<Vec<String>>> {
    Ok(groups.map(|groups| groups.of(ids.into_iter().map(String::as_str))).transpose()?)
}
