//! Folders of pictures that need not be pairs, such as predictions and ground truths, or generated and real images.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::columns::{Rows, SET_GROUP_COLUMN, group_column, values_by_id};
use crate::discover::{MASK_SUFFIX, has_inner_folders, in_folder, listing_columns};
use crate::error::{DataError, Result};
use crate::manifest::{Manifest, value_of};
use crate::names::{IMAGE_FOLDERS, MASK_FOLDERS, file_name, folder_named, is_one_of, stem, unique_ids};
use crate::tree::{OUTSIDE, Tree, UNLISTED};

/// Which pictures of a folder to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Images: those in `images/` if there is such a folder, else those that the folder's table lists beside masks, else those in folders
    /// `images` deeper in the tree if there are folders `masks`, too, else all whose stem does not end in `_mask`.
    Images,
    /// Masks: those in `masks/` if there is such a folder, else those that the folder's table lists, each for an image, else those in
    /// folders `masks` deeper in the tree if there are folders `images`, too, else all whose stem ends in `_mask` (the ending is removed
    /// from their keys), else all.
    Masks,
}

/// The pictures of one kind in a folder and its subfolders, told by their content or their ending.
#[derive(Debug)]
pub struct Listed {
    /// The files, sorted by path.
    pub files: Vec<PathBuf>,
    /// How many files and folders were left out, by reason, in a sentence; none if nothing was.
    pub left_out: Option<String>,
    /// The folder that all files are in.
    inner: PathBuf,
    /// The ids that a table gives the files, in their order.
    ids: Option<Vec<String>>,
}

impl Listed {
    /// The ids of the files, in their order: those of the table that lists them, else their stems, or their paths if two share a stem.
    pub fn ids(&self) -> Vec<String> {
        self.ids.clone().unwrap_or_else(|| unique_ids(&self.inner, &self.files))
    }
}

/// Lists the pictures of one kind in a folder and its subfolders. Hidden files, runs of pig and what is no picture are left out.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path, kind: Kind) -> Result<Listed> {
    let named = match kind {
        Kind::Images => folder_named(folder, &IMAGE_FOLDERS),
        Kind::Masks => folder_named(folder, &MASK_FOLDERS),
    };
    if named.is_none()
        && let Some(listed) = by_table(folder, kind)?
    {
        return Ok(listed);
    }
    let inner = named.as_deref().unwrap_or(folder);
    let Tree { mut files, mut left_out, .. } = Tree::below(inner)?;
    if named.is_none() && has_inner_folders(folder, &files) {
        let names: &[&str] = if kind == Kind::Images { &IMAGE_FOLDERS } else { &MASK_FOLDERS };
        let is_in = |path: &Path, names: &[&str]| in_folder(folder, path, names);
        let outside = files.iter().filter(|path| !is_in(path, &IMAGE_FOLDERS) && !is_in(path, &MASK_FOLDERS)).count();
        left_out.add(OUTSIDE, outside);
        files.retain(|path| is_in(path, names));
        files.sort();
        return Ok(Listed { files, left_out: left_out.words(), inner: inner.to_path_buf(), ids: None });
    }
    let is_suffixed = |path: &PathBuf| stem(path).ends_with(MASK_SUFFIX);
    let mut files = match kind {
        Kind::Images => files.into_iter().filter(|path| !is_suffixed(path)).collect(),
        // In a folder of masks everything is one, whatever its name.
        Kind::Masks if named.is_some() || !files.iter().any(is_suffixed) => files,
        Kind::Masks => {
            let (masks, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_suffixed);
            let place = |path: &Path, name: &str| path.with_file_name(name.strip_suffix(MASK_SUFFIX).unwrap_or(name));
            let images: HashSet<PathBuf> = masks.iter().map(|path| place(path, &stem(path))).collect();
            let alone = others.iter().filter(|path| !images.contains(&path.with_file_name(stem(path)))).count();
            left_out.add("pictures without NAME_mask beside them", alone);
            masks
        }
    };
    files.sort();
    Ok(Listed { files, left_out: left_out.words(), inner: inner.to_path_buf(), ids: None })
}

/// The pictures that the table of a folder lists: its images, or its masks, if it has columns of both. None if there is no such table, if it
/// cannot be read, or if an image has several masks.
///
/// # Errors
/// When the folder cannot be read, or the table names files outside of it.
fn by_table(folder: &Path, kind: Kind) -> Result<Option<Listed>> {
    // What is wrong with a table is said where pairs are looked for, and pictures need none.
    let Some(table) = Manifest::in_folder(folder).ok().flatten() else { return Ok(None) };
    let Some((image, mask)) = listing_columns(&table)? else { return Ok(None) };
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut others: HashSet<PathBuf> = HashSet::new();
    let mut masked: HashSet<PathBuf> = HashSet::new();
    for (row, id) in table.rows().zip(table.ids()?) {
        let of_row = row.path(image)?;
        if row.get(mask).is_empty() {
            if kind == Kind::Images {
                found.insert(of_row, id);
            } else {
                others.insert(of_row);
            }
            continue;
        }
        let of_mask = row.path(mask)?;
        if kind == Kind::Images {
            found.insert(of_row, id);
            others.insert(of_mask);
        } else if masked.insert(of_row.clone()) {
            found.insert(of_mask, id);
            others.insert(of_row);
        } else {
            return Ok(None);
        }
    }
    let Tree { files: all, mut left_out, .. } = Tree::below(folder)?;
    let unlisted = all.iter().filter(|path| !found.contains_key(*path) && !others.contains(*path)).count();
    left_out.add(UNLISTED, unlisted);
    let (files, ids) = found.into_iter().unzip();
    Ok(Some(Listed { files, left_out: left_out.words(), inner: folder.to_path_buf(), ids: Some(ids) }))
}

/// What [`list`] left out of a folder, in a sentence that names the folder; none if it left out nothing.
///
/// # Errors
/// When the folder cannot be read.
pub fn left_out(folder: &Path, kind: Kind) -> Result<Option<String>> {
    Ok(list(folder, kind)?.left_out.map(|words| format!("{}: {words}", folder.display())))
}

/// The pictures that [`list`] finds, with their ids as keys: their stems, or their paths if two of them share a stem.
///
/// # Errors
/// When the folder cannot be read, holds no picture of the kind, or two of them differ in their endings alone.
pub fn pictures(folder: &Path, kind: Kind) -> Result<BTreeMap<String, PathBuf>> {
    let listed = list(folder, kind)?;
    let mut pictures = BTreeMap::new();
    for (name, path) in listed.ids().into_iter().zip(listed.files) {
        let id = name.strip_suffix(MASK_SUFFIX).unwrap_or(&name).to_owned();
        if let Some(first) = pictures.insert(id.clone(), path.clone()) {
            return Err(DataError::DuplicateId { id, first, second: path });
        }
    }
    if pictures.is_empty() {
        return Err(DataError::NoPictures { path: folder.to_path_buf() });
    }
    Ok(pictures)
}

/// Whether a folder holds masks beside images: it has a folder `masks/`, or files whose stems end in `_mask`.
///
/// # Errors
/// When the folder cannot be read.
pub fn has_masks(folder: &Path) -> Result<bool> {
    if folder_named(folder, &MASK_FOLDERS).is_some() {
        return Ok(true);
    }
    let files = Tree::below(folder)?.files;
    Ok(has_inner_folders(folder, &files) || files.iter().any(|path| stem(path).ends_with(MASK_SUFFIX)))
}

/// Joins pictures that were found in two folders by id: (id, first, second); each must have a partner. `file` is that of a picture, for
/// errors.
///
/// # Errors
/// When a picture has no partner.
pub fn partners<T>(
    (first, ours): (&Path, BTreeMap<String, T>),
    (second, mut theirs): (&Path, BTreeMap<String, T>),
    file: impl Fn(&T) -> &Path,
) -> Result<Vec<(String, T, T)>> {
    let lacks = |picture: &T, folder: &Path, count| DataError::NoPartner {
        picture: file(picture).to_path_buf(),
        folder: folder.into(),
        count,
    };
    let (total, mut matched, mut alone) = (ours.len(), Vec::new(), None);
    for (id, picture) in ours {
        match theirs.remove(&id) {
            Some(partner) => matched.push((id, picture, partner)),
            None => alone = alone.or(Some(picture)),
        }
    }
    if let Some(picture) = alone {
        return Err(lacks(&picture, second, total - matched.len()));
    }
    match theirs.values().next() {
        Some(picture) => Err(lacks(picture, first, theirs.len())),
        None => Ok(matched),
    }
}

/// Patients or groups by stem, and the column that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The manifest.
    pub path: PathBuf,
    /// The column.
    pub column: String,
    by_id: HashMap<String, String>,
}

impl Groups {
    /// Reads the groups of a folder from its `manifest.csv`; if the folder is named `images` or `masks`, also from the one in its
    /// parent folder. Reads the column `id` (or the stems of `image`) and `column`; if `column` is `None`, `patient` or else
    /// `group`. Returns `None` if there is no manifest or no such column. A manifest with the column `class_column` may have several rows
    /// for a picture.
    ///
    /// # Errors
    /// When the manifest is damaged, lacks the given `column`, or has several rows for a picture that differ or that must not be.
    pub fn of_folder(folder: &Path, column: Option<&str>, class_column: Option<&str>) -> Result<Option<Self>> {
        if let Some(manifest) = Manifest::in_folder(folder)? {
            return Self::of_table(&manifest, column, class_column);
        }
        let inner = [&IMAGE_FOLDERS[..], &MASK_FOLDERS].iter().any(|names| is_one_of(&file_name(folder), names));
        match folder.parent().filter(|parent| inner && parent.is_dir()) {
            Some(parent) => match Manifest::in_folder(parent)? {
                Some(manifest) => Self::of_table(&manifest, column, class_column),
                None => Ok(None),
            },
            None => Ok(None),
        }
    }

    /// Reads the groups of a manifest; see [`Groups::of_folder`].
    ///
    /// # Errors
    /// As [`Groups::of_folder`], and when the file is not there.
    pub fn of_manifest(path: &Path, column: Option<&str>, class_column: Option<&str>) -> Result<Option<Self>> {
        let missing = || DataError::io(path, "read")(std::io::Error::from(std::io::ErrorKind::NotFound));
        Self::of_table(&Manifest::read(path)?.ok_or_else(missing)?, column, class_column)
    }

    fn of_table(manifest: &Manifest, column: Option<&str>, class_column: Option<&str>) -> Result<Option<Self>> {
        let found = match column {
            Some(name) => Some(manifest.column_once(name)?.ok_or_else(|| manifest.missing(name, SET_GROUP_COLUMN))?),
            None => group_column(manifest)?,
        };
        let Some(found) = found else { return Ok(None) };
        let has_classes = class_column.is_some_and(|name| manifest.column(name).is_some());
        let rows = if has_classes { Rows::Several } else { Rows::OneForEach };
        let by_id =
            values_by_id(manifest, found, rows)?.into_iter().map(|(id, group)| (id, group.to_owned())).collect();
        Ok(Some(Self { path: manifest.path.clone(), column: manifest.columns[found].clone(), by_id }))
    }

    /// The group of every stem.
    ///
    /// # Errors
    /// When a stem has no group, because a confidence interval that leaves out some patients would be too narrow.
    pub fn of<'a>(&self, stems: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>> {
        let found: Vec<(&str, Option<&String>)> =
            stems.into_iter().map(|id| (id, value_of(&self.by_id, id).filter(|group| !group.is_empty()))).collect();
        let lacking = || found.iter().filter(|(_, group)| group.is_none());
        if let Some((id, _)) = lacking().next() {
            let (path, count) = (self.path.clone(), lacking().count());
            return Err(DataError::MissingGroup { path, column: self.column.clone(), id: (*id).to_owned(), count });
        }
        Ok(found.into_iter().filter_map(|(_, group)| group.cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    fn ids(found: &BTreeMap<String, PathBuf>) -> Vec<&str> {
        found.keys().map(String::as_str).collect()
    }

    #[test]
    fn images_and_masks_are_told_apart_in_every_layout() {
        let flat = folder(&[("a.png", ""), ("deep/b.png", ""), ("notes.txt", "")]);
        assert_eq!(ids(&pictures(flat.path(), Kind::Images).unwrap()), ["a", "b"]);
        assert_eq!(ids(&pictures(flat.path(), Kind::Masks).unwrap()), ["a", "b"]);
        let suffix = folder(&[("a.png", ""), ("a_mask.png", ""), ("b.png", "")]);
        assert_eq!(ids(&pictures(suffix.path(), Kind::Images).unwrap()), ["a", "b"]);
        assert_eq!(ids(&pictures(suffix.path(), Kind::Masks).unwrap()), ["a"]);
        let folders = folder(&[("images/a.png", ""), ("masks/m.png", ""), ("sheet.png", "")]);
        assert_eq!(ids(&pictures(folders.path(), Kind::Images).unwrap()), ["a"]);
        assert_eq!(ids(&pictures(folders.path(), Kind::Masks).unwrap()), ["m"]);
        let masks = [&flat, &suffix, &folders].map(|folder| has_masks(folder.path()).unwrap());
        assert_eq!(masks, [false, true, true]);
        // In a folder of masks, some may have the ending.
        let mixed = folder(&[("masks/a_mask.png", ""), ("masks/b.png", "")]);
        assert_eq!(ids(&pictures(mixed.path(), Kind::Masks).unwrap()), ["a", "b"]);
        let empty = folder(&[("notes.txt", "")]);
        assert!(matches!(pictures(empty.path(), Kind::Masks), Err(DataError::NoPictures { .. })));
    }

    #[test]
    fn images_and_masks_are_told_apart_by_a_table_and_in_deeper_folders() {
        let table = "id,image,mask\n7,scans/s0.png,truth/t0.png\n8,scans/s1.png,truth/t1.png\n9,scans/s2.png,\n";
        let names = ["scans/s0.png", "scans/s1.png", "scans/s2.png", "truth/t0.png", "spare.png"];
        let mut files: Vec<(&str, &str)> = names.map(|name| (name, "")).to_vec();
        files.push(("manifest.csv", table));
        // The mask t1 is missing, and s2 has none: the images are known nevertheless.
        let listed = folder(&files);
        let found = pictures(listed.path(), Kind::Images).unwrap();
        assert_eq!((ids(&found), &found["8"]), (vec!["7", "8", "9"], &listed.path().join("scans/s1.png")));
        let masks = pictures(listed.path(), Kind::Masks).unwrap();
        assert_eq!((ids(&masks), &masks["7"]), (vec!["7", "8"], &listed.path().join("truth/t0.png")));
        let words = left_out(listed.path(), Kind::Images).unwrap().unwrap();
        assert!(words.ends_with(": Left out: 1 pictures that manifest.csv does not list."), "{words}");
        let deep = folder(&[("train/images/0.png", ""), ("train/images/1.png", ""), ("train/masks/0.png", "")]);
        assert_eq!(ids(&pictures(deep.path(), Kind::Images).unwrap()), ["0", "1"]);
        assert_eq!(ids(&pictures(deep.path(), Kind::Masks).unwrap()), ["0"]);
        assert!(has_masks(deep.path()).unwrap());
    }

    #[test]
    fn pictures_are_told_by_content_and_the_rest_is_counted() {
        let png = "\u{89}PNG\r\n\u{1a}\n";
        let flat =
            folder(&[("a.png", ""), ("b.jfif", ""), ("I.001", ""), ("notes.txt", ""), ("c.dat", "x"), ("._a.png", "")]);
        for name in ["b.jfif", "I.001"] {
            std::fs::write(flat.path().join(name), png.chars().map(|c| c as u8).collect::<Vec<u8>>()).unwrap();
        }
        std::fs::write(flat.path().join("Thumbs.db"), "").unwrap();
        assert_eq!(ids(&pictures(flat.path(), Kind::Masks).unwrap()), ["I.001", "a", "b"]);
        let words = "Left out: 2 hidden or a system's own, 1 that are no pictures.";
        assert_eq!(list(flat.path(), Kind::Masks).unwrap().left_out.unwrap(), words);
        assert!(left_out(flat.path(), Kind::Masks).unwrap().unwrap().ends_with(&format!(": {words}")));
        let suffix = folder(&[("a.png", ""), ("a_mask.png", ""), ("b.png", "")]);
        let words = left_out(suffix.path(), Kind::Masks).unwrap().unwrap();
        assert!(words.ends_with(": Left out: 1 pictures without NAME_mask beside them."), "{words}");
        assert_eq!(left_out(suffix.path(), Kind::Images).unwrap(), None);
    }

    #[test]
    fn every_picture_needs_its_partner() {
        let (ours, theirs) =
            (folder(&[("a.png", ""), ("b.png", "")]), folder(&[("a_mask.png", ""), ("b_mask.png", "")]));
        let masks = |folder: &Path| pictures(folder, Kind::Masks).unwrap();
        let joined =
            |first: &Path, second: &Path| partners((first, masks(first)), (second, masks(second)), PathBuf::as_path);
        let found = joined(ours.path(), theirs.path()).unwrap();
        assert_eq!(found.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let fewer = folder(&[("b.png", "")]);
        for (first, second) in [(&ours, &fewer), (&fewer, &ours)] {
            let error = joined(first.path(), second.path()).unwrap_err();
            assert!(
                matches!(&error, DataError::NoPartner { picture, count: 1, .. } if picture.ends_with("a.png")),
                "{error}"
            );
        }
    }

    #[test]
    fn groups_come_from_the_folder_or_from_beside_it() {
        let data = folder(&[("manifest.csv", "id,patient,site\na,p1,x\nb,p2,\n"), ("masks/a.png", "")]);
        for place in [data.path().to_path_buf(), data.path().join("masks")] {
            let groups = Groups::of_folder(&place, None, None).unwrap().unwrap();
            assert_eq!(
                (groups.column.as_str(), groups.of(["b", "a"]).unwrap()),
                ("patient", vec!["p2".into(), "p1".into()])
            );
        }
        let sites = Groups::of_folder(data.path(), Some("site"), None).unwrap().unwrap();
        assert!(matches!(sites.of(["a", "b"]), Err(DataError::MissingGroup { count: 1, .. })));
        assert!(matches!(Groups::of_folder(data.path(), Some("age"), None), Err(DataError::MissingColumn { .. })));
        assert_eq!(Groups::of_folder(&data.path().join("other"), None, None).unwrap(), None);
        assert!(matches!(Groups::of_manifest(&data.path().join("none.csv"), None, None), Err(DataError::Io { .. })));
    }
}
