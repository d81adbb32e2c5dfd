//! Finding image and mask pairs in a folder, and the group that each belongs to.
//!
//! Three layouts are recognised, in this order: a `manifest.csv` with the columns `image` and `mask`; the folders
//! `images/` and `masks/` (or `labels/`, in any case), whose trees have the same names; `NAME.png` beside `NAME_mask.png` anywhere in
//! one tree, or else `images/` beside `masks/` anywhere in it. With the last two layouts, a `manifest.csv` whose column `id` holds
//! the stems adds columns to the pairs found. Hidden files and runs of pig are left out, and counted.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::class_error::ClassError;
use crate::config::DataConfig;
use crate::error::{DataError, Result};
use crate::manifest::{Manifest, value_of};
use crate::names::{IMAGE_FOLDERS, MASK_FOLDERS, folder_named, is_one_of, key, nfc, stem, unique_ids};
use crate::part::{Column, Parts, SPLIT_COLUMN, read_column};
use crate::tree::{LeftOut, Tree};

/// The ending of a mask's stem if the mask lies beside its image.
pub(crate) const MASK_SUFFIX: &str = "_mask";

/// Columns of a manifest that name the patient, in order of preference.
pub const PATIENT_COLUMNS: [&str; 3] = ["patient", "patient_id", "subject"];

/// The column for groups of images that look alike.
const NEAR_DUPLICATES: &str = "near_duplicate_group";

/// Further columns by which a split keeps pairs together, in order of preference, where no column names the patient.
pub const OTHER_GROUP_COLUMNS: [&str; 2] = ["group", NEAR_DUPLICATES];

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
    /// Images without masks.
    Images,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folders => "images/ and masks/ with the same stems",
            Self::Suffix => "NAME.png beside NAME_mask.png",
            Self::Manifest => "manifest.csv with image and mask columns",
            Self::Images => "images without masks",
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

/// One image with its mask, or without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEntry {
    /// The stem of the image file, or the manifest's `id`; unique in the set.
    pub id: String,
    /// The image file.
    pub image: PathBuf,
    /// The mask file; none for an image without a mask.
    pub mask: Option<PathBuf>,
    /// The patient or group; the id itself if there are no groups.
    pub group: String,
    /// The class of the case, if `data.class_column` names one.
    pub class: Option<String>,
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
    /// The part of every pair, if the manifest's column `split` names it.
    pub parts: Option<Parts>,
    /// Warnings for the user. They contain no ids.
    pub warnings: Vec<String>,
    /// The columns of the manifest, if there is one.
    pub columns: Vec<String>,
}

impl Dataset {
    /// Finds the pairs under `root` and their groups. Opens no image.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no pairs, an image or mask lacks its partner, two files share an id, the
    /// group column is missing or incomplete, or a manifest is damaged or names files outside `root`.
    pub fn discover(root: &Path, config: &DataConfig) -> Result<Self> {
        std::fs::read_dir(root).map_err(DataError::io(root, "list"))?;
        let manifest = Manifest::in_folder(root)?;
        let mut found = Found::default();
        let listing = match &manifest {
            Some(manifest) => {
                manifest.column_once("image")?.zip(manifest.column_once("mask")?).map(|two| (manifest, two))
            }
            None => None,
        };
        let twins = (folder_named(root, &IMAGE_FOLDERS), folder_named(root, &MASK_FOLDERS));
        let layout = if let Some((manifest, columns)) = listing {
            found.by_manifest(manifest, columns)?;
            Layout::Manifest
        } else if let (Some(images), Some(masks)) = twins {
            found.by_folders(root, &Tree::below(&images)?, &Tree::below(&masks)?)?;
            Layout::Folders
        } else {
            found.by_tree(root, Tree::below(root)?)?
        };
        if found.images.is_empty() {
            let looked = if found.seen == 0 { String::new() } else { format!("; {} picture(s) are there", found.seen) };
            let path = root.to_path_buf();
            return Err(DataError::EmptyDataset { path, found: format!("looked for the layout {layout}{looked}") });
        }
        let mut warnings: Vec<String> = found.left_out.words().into_iter().collect();
        if found.previews > 0 {
            warnings.push(format!(
                "{} picture(s) have a DICOM file of the same name beside them, which is not read here: prepare the folder first \
                 (pig prepare).",
                found.previews
            ));
        }
        if let Some(blank) = manifest.as_ref().map(|manifest| manifest.blank).filter(|&blank| blank > 0) {
            warnings.push(format!("{blank} empty row(s) of manifest.csv were left out."));
        }
        let mut pairs = found.pairs(root)?;
        let parts = parts(&pairs, manifest.as_ref(), &mut warnings)?;
        assign_classes(root, &mut pairs, manifest.as_ref(), config)?;
        let group_source = assign_groups(root, &mut pairs, manifest.as_ref(), config, &mut warnings)?;
        let columns = manifest.map(|manifest| manifest.columns).unwrap_or_default();
        Ok(Self { root: root.to_path_buf(), layout, pairs, group_source, parts, warnings, columns })
    }

    /// A warning about the split that [`crate::split_by_group`] makes, if no patients are known.
    pub fn split_warning(&self) -> Option<String> {
        if self.group_source != GroupSource::Image {
            return None;
        }
        let what = match &self.parts {
            Some(_) => format!("whether the column {SPLIT_COLUMN:?} keeps patients together is not checked"),
            None => "the split is by image, so images of one patient may be in training and in validation".to_owned(),
        };
        let columns = match &self.columns[..] {
            [] => String::new(),
            columns => format!(" The manifest has the columns {}.", columns.join(", ")),
        };
        Some(format!(
            "No patient or group column: {what}. Add a manifest.csv with the columns id and patient, or set data.group_column.{columns}"
        ))
    }

    /// How the pairs are split, in words: by group, or as the manifest says.
    pub fn split_words(&self) -> String {
        match &self.parts {
            Some(_) => format!("that of the column {SPLIT_COLUMN:?}"),
            None => self.group_source.to_string(),
        }
    }

    /// Whether any image has a mask.
    pub fn has_masks(&self) -> bool {
        self.pairs.iter().any(|pair| pair.mask.is_some())
    }

    /// Whether a column names the patient or group of each pair.
    pub fn names_groups(&self) -> bool {
        self.group_source != GroupSource::Image
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

/// What was found in a folder: images with their masks, before they have ids.
#[derive(Default)]
struct Found {
    images: Vec<PathBuf>,
    masks: Vec<PathBuf>,
    /// The ids that a manifest gives.
    ids: Option<Vec<String>>,
    /// How many pictures are there, with or without a partner.
    seen: usize,
    previews: usize,
    left_out: LeftOut,
}

/// Pictures by their names without endings.
type ByKey = BTreeMap<String, PathBuf>;

impl Found {
    fn by_manifest(&mut self, manifest: &Manifest, (image, mask): (usize, usize)) -> Result<()> {
        let mut lines: HashMap<PathBuf, u64> = HashMap::new();
        for row in manifest.rows() {
            let (image, mask) = (row.path(image)?, row.path(mask)?);
            for path in [&image, &mask] {
                std::fs::metadata(path).map_err(DataError::io(path, "read"))?;
            }
            if let Some(first) = lines.insert(image.clone(), row.line) {
                return Err(DataError::SameImage { path: manifest.path.clone(), first, second: row.line, image });
            }
            self.images.push(image);
            self.masks.push(mask);
        }
        let ids = manifest.ids()?;
        if let Some(row) = manifest.rows().zip(&ids).find_map(|(row, id)| id.is_empty().then_some(row)) {
            return Err(row.bad("the column \"id\" is empty; expected a unique name".to_owned()));
        }
        self.ids = Some(ids);
        Ok(())
    }

    /// Pairs the pictures of two trees by their names. Pictures in subfolders of one tree alone are left out.
    fn by_folders(&mut self, root: &Path, images: &Tree, masks: &Tree) -> Result<()> {
        for tree in [images, masks] {
            self.left_out.merge(&tree.left_out);
            self.seen += tree.files.len();
        }
        self.previews += images.previews();
        let (images, mut masks) = (by_key(root, &images.files)?, by_key(root, &masks.files)?);
        for name in suffixed(&masks, &images) {
            if let Some(mask) = masks.remove(&name) {
                masks.insert(without_suffix(&name).to_owned(), mask);
            }
        }
        let nested = |key: &str| key.contains('/');
        // If the trees mirror each other, every picture in them needs its partner; else subfolders hold something else.
        let mirrored = images.keys().any(|key| nested(key) && masks.contains_key(key));
        let lacks = |ours: &ByKey, theirs: &ByKey| -> Vec<(String, PathBuf)> {
            let alone = ours.iter().filter(|(key, _)| !theirs.contains_key(*key));
            alone.map(|(key, path)| (key.clone(), path.clone())).collect()
        };
        let (without_mask, without_image) = (lacks(&images, &masks), lacks(&masks, &images));
        let required = |alone: &[(String, PathBuf)]| -> Vec<(String, PathBuf)> {
            alone.iter().filter(|(key, _)| mirrored || !nested(key)).cloned().collect()
        };
        let (needs_mask, needs_image) = (required(&without_mask), required(&without_image));
        if let Some((key, image)) = needs_mask.first() {
            let expected = format!("masks/{key} with the ending .png, .tif or .bmp");
            return Err(DataError::MissingMask { image: image.clone(), expected, count: needs_mask.len() });
        }
        if let Some((key, mask)) = needs_image.first() {
            let expected = format!("images/{key} with the ending .png, .jpg, .tif or .bmp");
            return Err(DataError::MissingImage { mask: mask.clone(), expected, count: needs_image.len() });
        }
        self.left_out.add("in subfolders, without a partner", without_mask.len() + without_image.len());
        for (key, image) in images {
            if let Some(mask) = masks.remove(&key) {
                self.images.push(image);
                self.masks.push(mask);
            }
        }
        Ok(())
    }

    /// Pairs `NAME` with `NAME_mask` in the same folder; if there is no such name, `images/` with `masks/` in any folder.
    fn by_tree(&mut self, root: &Path, tree: Tree) -> Result<Layout> {
        self.seen = tree.files.len();
        self.previews = tree.previews();
        let (masks, images): (Vec<_>, Vec<_>) =
            tree.files.iter().cloned().partition(|path| stem(path).ends_with(MASK_SUFFIX));
        let inner = |names: &[&str]| tree.files.iter().any(|path| in_folder(root, path, names));
        let twins = inner(&IMAGE_FOLDERS) && inner(&MASK_FOLDERS);
        if twins && masks.iter().all(|path| in_folder(root, path, &MASK_FOLDERS)) {
            return self.by_inner_folders(root, tree);
        }
        if masks.is_empty() {
            let found = format!("{} image file(s), none of them NAME{MASK_SUFFIX}", self.seen);
            return Err(DataError::EmptyDataset { path: root.to_path_buf(), found });
        }
        self.left_out = tree.left_out;
        // Here a mask belongs to the image in the same folder, so the path without the ending is the key.
        let place = |path: &Path, stem: &str| nfc(&path.with_file_name(stem).to_string_lossy());
        let mut by_place: ByKey = BTreeMap::new();
        for mask in masks {
            let name = stem(&mask);
            let image = without_suffix(&name);
            if let Some(first) = by_place.insert(place(&mask, image), mask.clone()) {
                return Err(DataError::DuplicateId { id: image.to_owned(), first, second: mask });
            }
        }
        let mut without_mask = Vec::new();
        for image in images {
            match by_place.remove(&place(&image, &stem(&image))) {
                Some(mask) => {
                    self.images.push(image);
                    self.masks.push(mask);
                }
                None => without_mask.push(image),
            }
        }
        if let Some(image) = without_mask.first() {
            let expected = format!("{}{MASK_SUFFIX}.png in the same folder", stem(image));
            return Err(DataError::MissingMask { image: image.clone(), expected, count: without_mask.len() });
        }
        if let Some((image, mask)) = by_place.iter().next() {
            let expected = format!("{image} with the ending .png, .jpg, .tif or .bmp");
            return Err(DataError::MissingImage { mask: mask.clone(), expected, count: by_place.len() });
        }
        Ok(Layout::Suffix)
    }

    fn by_inner_folders(&mut self, root: &Path, tree: Tree) -> Result<Layout> {
        let (masks, others): (Vec<_>, Vec<_>) =
            tree.files.into_iter().partition(|path| in_folder(root, path, &MASK_FOLDERS));
        let (images, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|path| in_folder(root, path, &IMAGE_FOLDERS));
        self.left_out = tree.left_out;
        self.left_out.add("pictures outside of the folders images and masks", others.len());
        self.seen = others.len();
        self.by_folders(root, &Tree::of(images), &Tree::of(masks))?;
        Ok(Layout::Folders)
    }

    /// The pairs with their ids, sorted by these; the groups are not known yet.
    fn pairs(self, root: &Path) -> Result<Vec<PairEntry>> {
        let ids = self.ids.unwrap_or_else(|| unique_ids(root, &self.images));
        let files = self.images.into_iter().zip(self.masks);
        let pair = |(id, (image, mask)): (String, _)| PairEntry {
            group: id.clone(),
            id,
            image,
            mask: Some(mask),
            class: None,
        };
        let mut pairs: Vec<PairEntry> = ids.into_iter().zip(files).map(pair).collect();
        pairs.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(two) = pairs.windows(2).find(|two| two[0].id == two[1].id) {
            let (id, first, second) = (two[0].id.clone(), two[0].image.clone(), two[1].image.clone());
            return Err(DataError::DuplicateId { id, first, second });
        }
        Ok(pairs)
    }
}

/// Pictures by their paths below `root`, without endings and without the folders that say "images" or "masks".
fn by_key(root: &Path, files: &[PathBuf]) -> Result<ByKey> {
    let mut map = BTreeMap::new();
    for file in files {
        let key = key(root, file);
        if let Some(first) = map.insert(key.clone(), file.clone()) {
            return Err(DataError::DuplicateId { id: key, first, second: file.clone() });
        }
    }
    Ok(map)
}

/// Names of masks that end in `_mask` and that fit an image without this ending alone.
fn suffixed(masks: &ByKey, images: &ByKey) -> Vec<String> {
    let fits = |name: &String| {
        let short = without_suffix(name);
        !images.contains_key(name) && images.contains_key(short) && !masks.contains_key(short)
    };
    masks.keys().filter(|name| fits(name)).cloned().collect()
}

fn without_suffix(name: &str) -> &str {
    name.strip_suffix(MASK_SUFFIX).unwrap_or(name)
}

/// Whether one of the folders between `root` and a file has one of `names`.
fn in_folder(root: &Path, path: &Path, names: &[&str]) -> bool {
    let folders = path.strip_prefix(root).ok().and_then(Path::parent);
    folders
        .is_some_and(|folders| folders.components().any(|part| is_one_of(&part.as_os_str().to_string_lossy(), names)))
}

/// Sets the class of every pair that the column of `data.class_column` names. Whether one is missing is seen when its mask is read.
fn assign_classes(
    root: &Path,
    pairs: &mut [PairEntry],
    manifest: Option<&Manifest>,
    config: &DataConfig,
) -> Result<()> {
    let Some(name) = &config.class_column else { return Ok(()) };
    let missing = |path: &Path, found: String| {
        DataError::from(ClassError::MissingClassColumn { path: path.to_path_buf(), column: name.clone(), found })
    };
    let Some(manifest) = manifest else {
        return Err(missing(root, "none, because there is no manifest.csv".to_owned()));
    };
    let column = manifest.column_once(name)?.ok_or_else(|| missing(&manifest.path, manifest.columns.join(", ")))?;
    let classes = values_by_id(manifest, column)?;
    for pair in pairs {
        pair.class = value_of(&classes, &pair.id).filter(|word| !word.is_empty()).map(|word| (*word).to_owned());
    }
    Ok(())
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
            Some((manifest, manifest.column_once(name)?.ok_or_else(|| manifest.missing_column(name))?))
        }
        (Some(name), None) => {
            let found = "none, because there is no manifest.csv".to_owned();
            return Err(DataError::MissingColumn { path: root.to_path_buf(), column: name.clone(), found });
        }
        (None, Some(manifest)) => group_column(manifest)?.map(|column| (manifest, column)),
        (None, None) => None,
    };
    let Some((manifest, column)) = found else { return Ok(GroupSource::Image) };
    let groups = values_by_id(manifest, column)?;
    let name = manifest.columns[column].clone();
    if config.group_column.is_none() && name.eq_ignore_ascii_case(NEAR_DUPLICATES) {
        warnings.push(format!(
            "The manifest names no patients: the split keeps the groups of the column {name:?} together, but other images of one \
             patient may be in training and in validation."
        ));
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
    Ok(GroupSource::Column(name))
}

/// The part of every pair from the manifest's column `split`, if it has one that names parts.
fn parts(pairs: &[PairEntry], manifest: Option<&Manifest>, warnings: &mut Vec<String>) -> Result<Option<Parts>> {
    let Some(manifest) = manifest else { return Ok(None) };
    let Some(column) = manifest.column_once(SPLIT_COLUMN)? else { return Ok(None) };
    let words = values_by_id(manifest, column)?;
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

/// The value in `column` for every id of the manifest, in composed form.
pub(crate) fn values_by_id(manifest: &Manifest, column: usize) -> Result<HashMap<String, &str>> {
    let mut groups = HashMap::new();
    for (row, id) in manifest.rows().zip(manifest.ids()?) {
        if groups.insert(nfc(&id), row.get(column)).is_some() {
            return Err(row.bad(format!("the id {id:?} occurs twice")));
        }
    }
    Ok(groups)
}
