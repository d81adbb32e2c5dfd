//! What is said of a folder that is given as one data set, although its folders look like data sets of their own.

use std::path::Path;

use crate::error::{DataError, listed};
use crate::manifest::NAME as TABLE_NAME;
use crate::names::{DRIVE_WORDS, IMAGE_FOLDERS, MASK_FOLDERS, file_name, folder_named, is_left_out, is_one_of, is_run};

/// The most folders that a message names.
const NAMED: usize = 3;

/// The folders in a folder.
#[derive(Default)]
struct Below {
    /// The names of those with a table of their own, sorted.
    tables: Vec<String>,
    /// The names of those with a table, or with folders of images and of masks, sorted.
    sets: Vec<String>,
    /// How many others there are.
    others: usize,
}

impl Below {
    fn of(root: &Path) -> Self {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_own = |name: &str| is_one_of(name, &IMAGE_FOLDERS) || is_one_of(name, &MASK_FOLDERS);
        let is_other = |path: &Path| !is_left_out(&file_name(path)) && !is_own(&file_name(path)) && !is_run(path);
        let mut folders: Vec<_> = entries.filter(|path| path.is_dir() && is_other(path)).collect();
        folders.sort();
        let mut below = Self::default();
        for folder in folders {
            let has_twins =
                || [&IMAGE_FOLDERS[..], &MASK_FOLDERS].iter().all(|names| folder_named(&folder, names).is_some());
            if folder.join(TABLE_NAME).is_file() {
                below.tables.push(file_name(&folder));
                below.sets.push(file_name(&folder));
            } else if has_twins() {
                below.sets.push(file_name(&folder));
            } else {
                below.others += 1;
            }
        }
        below
    }

    /// Whether all folders are alike and none has a table: then each is that of a patient, and together they are one data set.
    fn are_parts(&self) -> bool {
        self.tables.is_empty() && self.others == 0 && self.sets.len() > 1
    }
}

/// An error of reading `root` as one data set, with the folders in it that look like data sets.
pub(crate) fn told(error: DataError, root: &Path) -> DataError {
    let below = Below::of(root);
    if below.sets.is_empty() || below.are_parts() {
        return error;
    }
    let names = listed(&below.sets, NAMED);
    let hint = format!("if this folder is no data set itself, give one of its folders that look like one: {names}");
    match error {
        // Those of DRIVE are no data sets either.
        DataError::EmptyDataset { path, found } if found != DRIVE_WORDS => {
            DataError::EmptyDataset { path, found: format!("{found}; {hint}") }
        }
        DataError::MissingMask { image, expected, count } => {
            DataError::MissingMask { image, expected: format!("{expected} ({}: {hint})", root.display()), count }
        }
        DataError::MissingImage { mask, expected, count } => {
            DataError::MissingImage { mask, expected: format!("{expected} ({}: {hint})", root.display()), count }
        }
        other => other,
    }
}

/// A warning if several folders in `root` have tables of their own, and are read as one data set.
pub(crate) fn joined(root: &Path) -> Option<String> {
    let tables = Below::of(root).tables;
    (tables.len() > 1).then(|| {
        format!(
            "{} folders in this folder have a {TABLE_NAME} of their own and look like data sets, but are read as one: {}. If that is not meant, \
             give one of them.",
            tables.len(),
            listed(&tables, NAMED)
        )
    })
}
