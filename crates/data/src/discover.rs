//! Finding image and mask pairs in a folder, and the group that each belongs to.
//!
//! Three layouts are recognised, in this order: a `manifest.csv` with the columns `image` and `mask`; the folders
//! `images/` and `masks/` with the same stems; `NAME.png` beside `NAME_mask.png` anywhere in one tree (hidden folders
//! and symbolic links to folders are not entered). With the last two layouts, a `manifest.csv` whose column `id` holds
//! the stems adds columns to the pairs found.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::DataConfig;
use crate::error::{DataError, Result};
use crate::manifest::Manifest;

/// File name endings of images.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp"];

/// The ending of a mask's stem if the mask lies beside its image.
pub(crate) const MASK_SUFFIX: &str = "_mask";

/// Columns that name the group when the configuration does not, in order of preference.
pub(crate) const GROUP_COLUMNS: [&str; 2] = ["patient", "group"];

/// How a data folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `images/` and `masks/` with the same stems.
    Folders,
    /// `NAME.png` beside `NAME_mask.png` in one tree.
    Suffix,
    /// A `manifest.csv` with the columns `image` and `mask`.
    Manifest,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folders => "images/ and masks/ with the same stems",
            Self::Suffix => "NAME.png beside NAME_mask.png",
            Self::Manifest => "manifest.csv with image and mask columns",
        })
    }
}

/// What the split keeps together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupSource {
    /// All pairs with the same value in this column of the manifest.
    Column(String),
    /// Nothing: every image is a group by itself.
    Image,
}

impl fmt::Display for GroupSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => write!(f, "by the column {name:?}"),
            Self::Image => f.write_str("by image"),
        }
    }
}

/// One image with its mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEntry {
    /// The stem of the image file, or the manifest's `id`; unique in the set.
    pub id: String,
    /// The image file.
    pub image: PathBuf,
    /// The mask file.
    pub mask: PathBuf,
    /// The patient or group; the id itself if there are no groups.
    pub group: String,
}

/// The pairs found in a folder.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The data folder.
    pub root: PathBuf,
    /// How the folder is laid out.
    pub layout: Layout,
    /// The pairs, sorted by id.
    pub pairs: Vec<PairEntry>,
    /// Where `PairEntry::group` comes from.
    pub group_source: GroupSource,
    /// Warnings for the user. They contain no ids.
    pub warnings: Vec<String>,
}

impl Dataset {
    /// Finds the pairs under `root` and their groups. Opens no image.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no pairs, an image or mask lacks its partner, two files share an id, the
    /// group column is missing or incomplete, or a manifest is damaged or names files outside `root`.
    pub fn discover(root: &Path, config: &DataConfig) -> Result<Self> {
        std::fs::read_dir(root).map_err(DataError::io(root, "list"))?;
        let manifest = Manifest::read(&root.join("manifest.csv"))?;
        let mut warnings = Vec::new();
        let listing = manifest.as_ref().and_then(|m| Some((m, m.column("image")?, m.column("mask")?)));
        let (layout, mut pairs) = if let Some((manifest, image, mask)) = listing {
            (Layout::Manifest, pairs_of_manifest(manifest, image, mask)?)
        } else if root.join("images").is_dir() && root.join("masks").is_dir() {
            (Layout::Folders, pairs_of_folders(root)?)
        } else {
            (Layout::Suffix, pairs_of_tree(root)?)
        };
        pairs.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(two) = pairs.windows(2).find(|two| two[0].id == two[1].id) {
            let (id, first, second) = (two[0].id.clone(), two[0].image.clone(), two[1].image.clone());
            return Err(DataError::DuplicateId { id, first, second });
        }
        if pairs.is_empty() {
            let found = format!("looked for the layout {layout}");
            return Err(DataError::EmptyDataset { path: root.to_path_buf(), found });
        }
        let group_source = assign_groups(root, &mut pairs, manifest.as_ref(), config, &mut warnings)?;
        Ok(Self { root: root.to_path_buf(), layout, pairs, group_source, warnings })
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are no pairs; always false after [`Dataset::discover`].
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// All ids, sorted.
    pub fn ids(&self) -> Vec<String> {
        self.pairs.iter().map(|pair| pair.id.clone()).collect()
    }

    /// How many patients or groups there are.
    pub fn group_count(&self) -> usize {
        self.pairs.iter().map(|pair| pair.group.as_str()).collect::<std::collections::BTreeSet<_>>().len()
    }
}

/// A pair whose group is not known yet.
fn ungrouped(id: &str, image: PathBuf, mask: PathBuf) -> PairEntry {
    PairEntry { id: id.to_owned(), image, mask, group: id.to_owned() }
}

fn pairs_of_manifest(manifest: &Manifest, image: usize, mask: usize) -> Result<Vec<PairEntry>> {
    let id_column = manifest.column("id");
    let mut pairs = Vec::new();
    for row in manifest.rows() {
        let (image_path, mask_path) = (row.path(image)?, row.path(mask)?);
        for path in [&image_path, &mask_path] {
            std::fs::metadata(path).map_err(DataError::io(path, "read"))?;
        }
        let id = match id_column.map(|column| row.get(column)) {
            Some("") => {
                let problem = "the column \"id\" is empty; expected a unique name".to_owned();
                return Err(DataError::BadManifest { path: manifest.path.clone(), line: row.line, problem });
            }
            Some(id) => id.to_owned(),
            None => stem(&image_path),
        };
        pairs.push(ungrouped(&id, image_path, mask_path));
    }
    Ok(pairs)
}

fn pairs_of_folders(root: &Path) -> Result<Vec<PairEntry>> {
    let images = by_stem(files_in(&root.join("images"))?)?;
    let mut masks = by_stem(files_in(&root.join("masks"))?)?;
    let mut pairs = Vec::new();
    let mut without_mask = Vec::new();
    for (id, image) in images {
        match masks.remove(&id) {
            Some(mask) => pairs.push(ungrouped(&id, image, mask)),
            None => without_mask.push((id, image)),
        }
    }
    if let Some((id, image)) = without_mask.first() {
        let expected = format!("masks/{id} with the ending .png, .tif or .bmp");
        return Err(DataError::MissingMask { image: image.clone(), expected, count: without_mask.len() });
    }
    if let Some((id, mask)) = masks.iter().next() {
        let expected = format!("images/{id} with the ending .png, .jpg, .tif or .bmp");
        return Err(DataError::MissingImage { mask: mask.clone(), expected, count: masks.len() });
    }
    Ok(pairs)
}

fn pairs_of_tree(root: &Path) -> Result<Vec<PairEntry>> {
    let mut files = Vec::new();
    walk(root, &mut files)?;
    let total = files.len();
    let (mask_files, image_files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| stem(path).ends_with(MASK_SUFFIX));
    if mask_files.is_empty() {
        let found = format!("{total} image file(s), none of them NAME{MASK_SUFFIX}");
        return Err(DataError::EmptyDataset { path: root.to_path_buf(), found });
    }
    // Here a mask belongs to the image in the same folder, so the path without the ending is the key.
    let mut masks: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for mask in mask_files {
        let mask_stem = stem(&mask);
        let image_stem = mask_stem.strip_suffix(MASK_SUFFIX).unwrap_or(&mask_stem).to_owned();
        if let Some(first) = masks.insert(mask.with_file_name(&image_stem), mask.clone()) {
            return Err(DataError::DuplicateId { id: image_stem, first, second: mask });
        }
    }
    let mut pairs = Vec::new();
    let mut without_mask = Vec::new();
    for image in image_files {
        let id = stem(&image);
        match masks.remove(&image.with_file_name(&id)) {
            Some(mask) => pairs.push(ungrouped(&id, image, mask)),
            None => without_mask.push((id, image)),
        }
    }
    if let Some((id, image)) = without_mask.first() {
        let expected = format!("{id}{MASK_SUFFIX}.png in the same folder");
        return Err(DataError::MissingMask { image: image.clone(), expected, count: without_mask.len() });
    }
    if let Some((image, mask)) = masks.iter().next() {
        let expected = format!("{} with the ending .png, .jpg, .tif or .bmp", image.display());
        return Err(DataError::MissingImage { mask: mask.clone(), expected, count: masks.len() });
    }
    Ok(pairs)
}

/// Sets every pair's group from the manifest, and returns where the groups come from.
fn assign_groups(
    root: &Path,
    pairs: &mut [PairEntry],
    manifest: Option<&Manifest>,
    config: &DataConfig,
    warnings: &mut Vec<String>,
) -> Result<GroupSource> {
    let found = match (&config.group_column, manifest) {
        (Some(name), Some(manifest)) => {
            Some((manifest, manifest.column(name).ok_or_else(|| manifest.missing_column(name))?))
        }
        (Some(name), None) => {
            let found = "none, because there is no manifest.csv".to_owned();
            return Err(DataError::MissingColumn { path: root.to_path_buf(), column: name.clone(), found });
        }
        (None, Some(manifest)) => {
            GROUP_COLUMNS.iter().find_map(|name| manifest.column(name)).map(|column| (manifest, column))
        }
        (None, None) => None,
    };
    let Some((manifest, column)) = found else {
        let columns =
            manifest.map_or_else(String::new, |m| format!(" The manifest has the columns {}.", m.columns.join(", ")));
        warnings.push(format!(
            "No patient or group column: the split is by image, so images of one patient may be in training and in validation. \
             Add a manifest.csv with the columns id and patient, or set data.group_column.{columns}"
        ));
        return Ok(GroupSource::Image);
    };
    let groups = groups_by_id(manifest, column)?;
    let name = manifest.columns[column].clone();
    let mut missing: Vec<&str> = Vec::new();
    for pair in pairs.iter_mut() {
        match groups.get(pair.id.as_str()) {
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
    Ok(GroupSource::Column(name))
}

/// The value in `column` for every id of the manifest.
pub(crate) fn groups_by_id(manifest: &Manifest, column: usize) -> Result<HashMap<String, &str>> {
    let id_column = manifest.column("id");
    let image_column = manifest.column("image");
    let mut groups = HashMap::new();
    for row in manifest.rows() {
        let id = match (id_column, image_column) {
            (Some(id), _) => row.get(id).to_owned(),
            (None, Some(image)) => stem(&row.path(image)?),
            (None, None) => return Err(manifest.missing_column("id")),
        };
        if groups.insert(id.clone(), row.get(column)).is_some() {
            let problem = format!("the id {id:?} occurs twice");
            return Err(DataError::BadManifest { path: manifest.path.clone(), line: row.line, problem });
        }
    }
    Ok(groups)
}

/// The file name without its ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn by_stem(files: Vec<PathBuf>) -> Result<BTreeMap<String, PathBuf>> {
    let mut map = BTreeMap::new();
    for file in files {
        let id = stem(&file);
        if let Some(first) = map.insert(id.clone(), file.clone()) {
            return Err(DataError::DuplicateId { id, first, second: file });
        }
    }
    Ok(map)
}

/// The image files directly in `folder`, sorted.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<_> = entries(folder)?.into_iter().filter(|path| is_image_name(path) && path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// The image files anywhere below `folder`, sorted within each folder.
pub(crate) fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = entries(folder)?;
    entries.sort();
    for path in entries {
        let kind = std::fs::symlink_metadata(&path).map_err(DataError::io(&path, "read"))?;
        if kind.is_dir() && !is_hidden(&path) {
            walk(&path, files)?;
        } else if is_image_name(&path) && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = std::fs::read_dir(folder).map_err(DataError::io(folder, "list"))?;
    let entries = listing.map(|entry| entry.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>();
    entries.map_err(DataError::io(folder, "list"))
}

/// Whether a name starts with a dot, as the names of tools' own files do.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether a name has the ending of an image file; hidden files do not count.
fn is_image_name(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    !is_hidden(path) && EXTENSIONS.contains(&ending.as_str())
}
