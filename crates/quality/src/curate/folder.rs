//! A folder with some pairs of another folder: their files, unchanged, and their rows of its manifest.

use super::{select::Scored, table::copy_word};
use pig_data::{
    Dataset,
    manifest::Manifest,
    table::{Column, write_csv},
};
use pig_train::{Error, Result};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The names of the columns that are added to those of the manifest.
pub const ADDED: [&str; 5] = ["agreement", "found", "uncertainty", "distance", "copy"];

/// A row of the new manifest.
struct Row {
    cells: Vec<String>,
    scored: Option<Scored>,
}

/// Writes pairs into `folder`, in the order of `ids`: their files under the same names, and a manifest of their rows. With what was measured
/// of each, the columns of [`ADDED`] follow.
///
/// # Errors
/// When a file cannot be read or written, or an id is not in the folder.
pub fn write_pairs(
    from: &Dataset,
    ids: &[String],
    scored: Option<&BTreeMap<&str, &Scored>>,
    folder: &Path,
) -> Result<()> {
    let entries: BTreeMap<&str, _> = from.pairs.iter().map(|pair| (pair.id.as_str(), pair)).collect();
    let manifest = Manifest::in_folder(&from.root)?;
    let (names, known) = match &manifest {
        Some(manifest) => (manifest.columns.clone(), known_rows(manifest)),
        None => (["id", "image", "mask"].map(str::to_owned).to_vec(), BTreeMap::new()),
    };
    let mut rows = Vec::new();
    for id in ids {
        let Some(&entry) = entries.get(id.as_str()) else {
            return Err(Error::BadFile {
                path: from.root.clone(),
                problem: format!("it has no pair {id:?}"),
                advice: "give the folder of the pairs as it was when they were chosen",
            });
        };
        let image = copied(&from.root, &entry.image, folder)?;
        // Without `data.class_column`, which curation does not take, a mask is one file.
        let mask = entry.mask.as_ref().map(|mask| copied(&from.root, &mask.first.path, folder));
        let mask = mask.transpose()?.unwrap_or_default();
        let cells = known.get(id).cloned().unwrap_or_else(|| vec![id.clone(), image, mask]);
        rows.push(Row { cells, scored: scored.and_then(|scored| scored.get(id.as_str())).map(|&one| one.clone()) });
    }
    let named = names.into_iter().enumerate().map(|(at, name)| (name, Column::At(at, cell)));
    let mut columns: Vec<(String, Column<Row>)> = named.collect();
    if scored.is_some() {
        let own: [Column<Row>; 5] = [
            Column::MaybeNumber(|row| row.scored.as_ref()?.dice),
            Column::MaybeNumber(|row| Some(row.scored.as_ref()?.found)),
            Column::MaybeNumber(|row| Some(row.scored.as_ref()?.uncertainty)),
            Column::MaybeNumber(|row| Some(row.scored.as_ref()?.distance)),
            Column::Text(|row| copy_word(row.scored.as_ref().and_then(|scored| scored.copy))),
        ];
        // A folder that was curated before has these columns; the new ones take their place.
        columns.retain(|(name, _)| !ADDED.contains(&name.as_str()));
        columns.extend(ADDED.iter().map(|&name| name.to_owned()).zip(own));
    }
    Ok(write_csv(&folder.join("manifest.csv"), &columns, &rows)?)
}

fn cell(row: &Row, at: usize) -> &str {
    row.cells.get(at).map_or("", String::as_str)
}

/// The cells of the rows of a manifest by id: that of the column `id`, else the stem of the image.
fn known_rows(manifest: &Manifest) -> BTreeMap<String, Vec<String>> {
    let (id, image) = (manifest.column("id"), manifest.column("image"));
    let name = |row: &pig_data::manifest::Row<'_>| match (id, image) {
        (Some(id), _) => row.get(id).to_owned(),
        (None, Some(image)) => Path::new(row.get(image)).file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        (None, None) => String::new(),
    };
    let cells =
        |row: &pig_data::manifest::Row<'_>| (0..manifest.columns.len()).map(|at| row.get(at).to_owned()).collect();
    manifest.rows().map(|row| (name(&row), cells(&row))).collect()
}

/// Copies a file to the same place below `folder`. Returns this place, relative to it.
fn copied(root: &Path, file: &Path, folder: &Path) -> Result<String> {
    let relative: PathBuf = match file.strip_prefix(root) {
        Ok(relative) => relative.to_owned(),
        Err(_) => file.file_name().map(PathBuf::from).unwrap_or_default(),
    };
    let target = folder.join(&relative);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io(parent, "create"))?;
    }
    pig_files::write(&target, &pig_files::read(file).map_err(Error::io(file, "read"))?)?;
    Ok(relative.to_string_lossy().replace('\\', "/"))
}
