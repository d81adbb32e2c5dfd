//! What the columns of a manifest say of each pair: its group, the class of its case, and its part of a split.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::case_mask::CaseMask;
use crate::class_error::ClassError;
use crate::column_names::NEAR_DUPLICATES;
use crate::config::DataConfig;
use crate::error::{DataError, Result};
use crate::manifest::{Manifest, same_name, value_of};
use crate::names::nfc;
use crate::part::{Column, Parts, SPLIT_COLUMN, read_column};

pub use crate::column_names::{OTHER_GROUP_COLUMNS, PATIENT_COLUMNS};

/// What to do about a missing column of groups.
pub(crate) const SET_GROUP_COLUMN: &str = "set data.group_column to one of them or add the column";

/// What the split keeps together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupSource {
    /// All pairs with the same value in this column of the manifest.
    Column(String),
    /// Nothing: every image is a group by itself.
    Image,
}

impl GroupSource {
    /// Whether the groups are patients. Those of the columns that are used where no column names the patient need not be: groups of near
    /// duplicates are numbers of one data set, and mean nothing in another.
    pub fn names_patients(&self) -> bool {
        match self {
            Self::Column(name) => !OTHER_GROUP_COLUMNS.iter().any(|other| same_name(other, name)),
            Self::Image => false,
        }
    }

    /// A warning if what is kept together only looks alike, so that no patients are named.
    pub fn patients_warning(&self) -> Option<String> {
        match self {
            Self::Column(name) if same_name(name, NEAR_DUPLICATES) => Some(format!(
                "The manifest names no patients: the split keeps the groups of the column {name:?} together, but other images of one \
                 patient may be in training and in validation."
            )),
            Self::Column(_) | Self::Image => None,
        }
    }
}

impl fmt::Display for GroupSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => write!(f, "by the column {name:?}"),
            Self::Image => f.write_str("by image"),
        }
    }
}

/// One image with its mask, or without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEntry {
    /// The stem of the image file, or the manifest's `id`; unique in the set.
    pub id: String,
    /// The image file.
    pub image: PathBuf,
    /// The mask; none for an image without a mask.
    pub mask: Option<CaseMask>,
    /// The patient or group; the id itself if there are no groups.
    pub group: String,
}

/// The manifest's column `name`, which names the class of each mask. `section` is that of the configuration that holds `class_column`.
///
/// # Errors
/// When there is no such column.
pub fn class_column<'a>(
    root: &Path,
    manifest: Option<&'a Manifest>,
    name: &str,
    section: &'static str,
) -> Result<(&'a Manifest, usize)> {
    let missing = |path: &Path, found: String| {
        let (path, column) = (path.to_path_buf(), name.to_owned());
        DataError::from(ClassError::MissingClassColumn { path, column, found, section })
    };
    let Some(manifest) = manifest else {
        return Err(missing(root, "none, because there is no manifest.csv".to_owned()));
    };
    let column = manifest.column_once(name)?.ok_or_else(|| missing(&manifest.path, manifest.columns.join(", ")))?;
    Ok((manifest, column))
}

/// Sets the class of the mask of every pair from a column of the manifest. Whether one is missing is seen when the mask is read.
pub(crate) fn assign_classes(pairs: &mut [PairEntry], (manifest, column): (&Manifest, usize)) -> Result<()> {
    let classes = values_by_id(manifest, column, Rows::OneForEach)?;
    for pair in pairs {
        if let Some(mask) = &mut pair.mask {
            let word = value_of(&classes, &pair.id).filter(|word| !word.is_empty());
            mask.first.class = word.map(|word| (*word).to_owned());
        }
    }
    Ok(())
}

/// Sets every pair's group from the manifest, and returns where the groups come from.
pub(crate) fn assign_groups(
    root: &Path,
    pairs: &mut [PairEntry],
    manifest: Option<&Manifest>,
    config: &DataConfig,
    warnings: &mut Vec<String>,
) -> Result<GroupSource> {
    let found = match (&config.group_column, manifest) {
        (Some(name), Some(manifest)) => {
            Some((manifest, manifest.column_once(name)?.ok_or_else(|| manifest.missing(name, SET_GROUP_COLUMN))?))
        }
        (Some(name), None) => {
            let found = "none, because there is no manifest.csv".to_owned();
            return Err(DataError::MissingColumn {
                path: root.to_path_buf(),
                column: name.clone(),
                found,
                remedy: SET_GROUP_COLUMN,
            });
        }
        (None, Some(manifest)) => group_column(manifest)?.map(|column| (manifest, column)),
        (None, None) => None,
    };
    let Some((manifest, column)) = found else { return Ok(GroupSource::Image) };
    let groups = values_by_id(manifest, column, Rows::of(config))?;
    let name = manifest.columns[column].clone();
    let source = GroupSource::Column(name.clone());
    if config.group_column.is_none() {
        warnings.extend(source.patients_warning());
    }
    let mut missing: Vec<&str> = Vec::new();
    for pair in pairs.iter_mut() {
        match value_of(&groups, &pair.id) {
            Some(group) if !group.is_empty() => pair.group = (*group).to_owned(),
            _ => missing.push(&pair.id),
        }
    }
    if let Some(&id) = missing.first() {
        let (path, count) = (manifest.path.clone(), missing.len());
        return Err(DataError::MissingGroup { path, column: name, id: id.to_owned(), count });
    }
    if groups.len() > pairs.len() {
        let count = groups.len() - pairs.len();
        warnings.push(format!("{count} row(s) of manifest.csv match no pair in the folder."));
    }
    Ok(source)
}

/// The part of every pair from the manifest's column `split`, if it has one that names parts.
pub(crate) fn parts(
    pairs: &[PairEntry],
    manifest: Option<&Manifest>,
    rows: Rows,
    warnings: &mut Vec<String>,
) -> Result<Option<Parts>> {
    let Some(manifest) = manifest else { return Ok(None) };
    let Some(column) = manifest.column_once(SPLIT_COLUMN)? else { return Ok(None) };
    let words = values_by_id(manifest, column, rows)?;
    let values: Vec<(&str, Option<&str>)> =
        pairs.iter().map(|pair| (pair.id.as_str(), value_of(&words, &pair.id).copied())).collect();
    match read_column(&manifest.path, &values)? {
        Column::Parts(parts) => Ok(Some(parts)),
        Column::Other(warning) => {
            warnings.push(warning);
            Ok(None)
        }
    }
}

/// The column that names the group when the configuration does not.
pub(crate) fn group_column(manifest: &Manifest) -> Result<Option<usize>> {
    for name in PATIENT_COLUMNS.into_iter().chain(OTHER_GROUP_COLUMNS) {
        if let Some(column) = manifest.column_once(name)? {
            return Ok(Some(column));
        }
    }
    Ok(None)
}

/// How many rows a manifest may have for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// One.
    OneForEach,
    /// Several, one for each class of its mask. They must agree in all else.
    Several,
}

impl Rows {
    /// Several where a column names the class of each row's mask.
    pub(crate) fn of(config: &DataConfig) -> Self {
        if config.class_column.is_some() { Self::Several } else { Self::OneForEach }
    }
}

/// The value in `column` for every id of the manifest, in composed form.
///
/// # Errors
/// When an id has more rows than it may have, or another value in a further row.
pub(crate) fn values_by_id(manifest: &Manifest, column: usize, rows: Rows) -> Result<HashMap<String, &str>> {
    let mut values = HashMap::new();
    for (row, id) in manifest.rows().zip(manifest.ids()?) {
        let value = row.get(column);
        match (values.insert(nfc(&id), value), rows) {
            (Some(_), Rows::OneForEach) => return Err(row.bad(format!("the id {id:?} occurs twice"))),
            (Some(first), Rows::Several) if first != value => {
                let name = &manifest.columns[column];
                let problem = format!(
                    "the id {id:?} has {value:?} in the column {name:?}, and {first:?} in a row before; expected the same in both"
                );
                return Err(row.bad(problem));
            }
            _ => {}
        }
    }
    Ok(values)
}
