//! Finding image and mask pairs in a folder, and the group that each belongs to.
//!
//! Three layouts are recognised, in this order: a `manifest.csv` with the columns `image` and `mask`; the folders
//! `images/` and `masks/` (or `labels/`, in any case), whose trees have the same names; `NAME.png` beside `NAME_mask.png` anywhere in
//! one tree, or else `images/` beside `masks/` anywhere in it. With the last two layouts, a `manifest.csv` whose column `id` holds
//! the stems adds columns to the pairs found. With `data.class_column`, a manifest may have several rows for an image, each with a mask of
//! another class. Hidden files and runs of pig are left out, and counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::below;
use crate::case_mask::{CaseMask, Layer};
use crate::columns::{GroupSource, PairEntry, Rows, assign_classes, assign_groups, class_column, parts};
use crate::config::{DataConfig, SECTION};
use crate::error::{DataError, Result};
use crate::manifest::Manifest;
use crate::names::{
    DRIVE_WORDS, IMAGE_FOLDERS, MASK_FOLDERS, OF_DRIVE, file_name, folder_named, is_one_of, key, nfc, stem, unique_ids,
};
use crate::part::{Parts, SPLIT_COLUMN, folders_warning};
use crate::remarks;
use crate::tree::{FURTHER, LeftOut, OUTSIDE, Tree, UNLISTED};

/// The ending of a mask's stem if the mask lies beside its image.
pub(crate) const MASK_SUFFIX: &str = "_mask";

/// The picture that `pig sample --progress-strips` writes beside its pairs.
const PROGRESS: &str = "progress.png";

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
    /// How many files and folders were left out, by the reason, in a sentence; none if nothing was.
    pub left_out: Option<String>,
    /// Further warnings for the user. They contain no ids.
    pub warnings: Vec<String>,
    /// The columns of the manifest, if there is one.
    pub columns: Vec<String>,
}

impl Dataset {
    /// Finds the pairs under `root` and their groups. Opens no image.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no pairs, an image or mask lacks its partner, two files share an id, the
    /// group column is missing or incomplete, rows of one image contradict each other, or a manifest is damaged or names files outside
    /// `root`.
    pub fn discover(root: &Path, config: &DataConfig) -> Result<Self> {
        Self::discovered(root, config).map_err(|error| below::told(error, root))
    }

    fn discovered(root: &Path, config: &DataConfig) -> Result<Self> {
        std::fs::read_dir(root).map_err(DataError::io(root, "list"))?;
        let manifest = Manifest::in_folder(root)?;
        let classes = match &config.class_column {
            Some(name) => Some(class_column(root, manifest.as_ref(), name, SECTION)?),
            None => None,
        };
        let mut found = Found::default();
        let listing = match &manifest {
            Some(manifest) => listing_columns(manifest)?.map(|columns| (manifest, columns)),
            None => None,
        };
        let twins = (folder_named(root, &IMAGE_FOLDERS), folder_named(root, &MASK_FOLDERS));
        let layout = if let Some((manifest, columns)) = listing {
            found.by_manifest(manifest, columns, classes.map(|(_, column)| column))?;
            found.count_unlisted(root);
            Layout::Manifest
        } else if is_of_drive(root) {
            return Err(DataError::EmptyDataset { path: root.to_path_buf(), found: DRIVE_WORDS.to_owned() });
        } else if let (Some(images), Some(masks)) = twins {
            found.by_folders(root, &Tree::below(&images)?, &Tree::below(&masks)?)?;
            found.count_beside(root, [&images, &masks]);
            Layout::Folders
        } else {
            found.by_tree(root, Tree::below(root)?)?
        };
        if found.images.is_empty() {
            let looked = if found.seen == 0 { String::new() } else { format!("; {} picture(s) are there", found.seen) };
            let path = root.to_path_buf();
            return Err(DataError::EmptyDataset { path, found: format!("looked for the layout {layout}{looked}") });
        }
        let left_out = found.left_out.words();
        let mut warnings = Vec::new();
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
        if layout != Layout::Manifest {
            warnings.extend(below::joined(root));
        }
        let mut pairs = found.pairs(root)?;
        let parts = parts(&pairs, manifest.as_ref(), Rows::of(config), &mut warnings)?;
        if parts.is_none() {
            let folders: Vec<String> = pairs.iter().filter_map(|pair| folder_below(root, &pair.image)).collect();
            warnings.extend(folders_warning(folders.iter().map(String::as_str)));
        }
        if let Some(classes) = classes.filter(|_| layout != Layout::Manifest) {
            assign_classes(&mut pairs, classes)?;
        }
        let group_source = assign_groups(root, &mut pairs, manifest.as_ref(), config, &mut warnings)?;
        let columns = manifest.map(|manifest| manifest.columns).unwrap_or_default();
        Ok(Self { root: root.to_path_buf(), layout, pairs, group_source, parts, left_out, warnings, columns })
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

    /// What was left out, if anything was, and the further warnings.
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        self.left_out.iter().chain(&self.warnings).map(String::as_str)
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

/// The pairs that the folder's table lists, with the class of each mask, if it has the columns `image`, `mask` and `class`; without their
/// groups.
///
/// # Errors
/// As [`Dataset::discover`], when the table is damaged or names files that are not there, or two images share an id.
pub(crate) fn listed_by_class(root: &Path, class: &str) -> Result<Option<Vec<PairEntry>>> {
    let Some(manifest) = Manifest::in_folder(root)? else { return Ok(None) };
    let Some((columns, class)) = listing_columns(&manifest)?.zip(manifest.column_once(class)?) else { return Ok(None) };
    let mut found = Found::default();
    found.by_manifest(&manifest, columns, Some(class))?;
    found.pairs(root).map(Some)
}

/// The columns `image` and `mask` of a table, if it has both.
pub(crate) fn listing_columns(manifest: &Manifest) -> Result<Option<(usize, usize)>> {
    Ok(manifest.column_once("image")?.zip(manifest.column_once("mask")?))
}

/// What was found in a folder: images with their masks, before they have ids.
#[derive(Default)]
struct Found {
    images: Vec<PathBuf>,
    masks: Vec<CaseMask>,
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
    /// The images that a manifest lists. With a column of classes, several rows may name one image, each with a mask of its class.
    fn by_manifest(&mut self, manifest: &Manifest, (image, mask): (usize, usize), class: Option<usize>) -> Result<()> {
        let mut seen: HashMap<PathBuf, (u64, usize)> = HashMap::new();
        let mut ids: Vec<String> = Vec::new();
        for (row, id) in manifest.rows().zip(manifest.ids()?) {
            let (image, mask) = (row.path(image)?, row.path(mask)?);
            for path in [&image, &mask] {
                std::fs::metadata(path).map_err(DataError::io(path, "read"))?;
            }
            if id.is_empty() {
                return Err(row.bad("the column \"id\" is empty; expected a unique name".to_owned()));
            }
            let word = class.map(|column| row.get(column)).filter(|word| !word.is_empty());
            let layer = Layer { path: mask, class: word.map(str::to_owned) };
            match seen.get(&image) {
                Some(&(first, _)) if class.is_none() => {
                    return Err(DataError::SameImage { path: manifest.path.clone(), first, second: row.line, image });
                }
                Some(&(first, at)) if ids[at] != id => {
                    let problem = format!(
                        "the image {} is in line {first}, too, with the id {:?} instead of {id:?}; expected the same in both",
                        image.display(),
                        ids[at]
                    );
                    return Err(row.bad(problem));
                }
                Some(&(_, at)) => self.masks[at].further.push(layer),
                None => {
                    seen.insert(image.clone(), (row.line, self.images.len()));
                    ids.push(id);
                    self.images.push(image);
                    self.masks.push(CaseMask { first: layer, further: Vec::new() });
                }
            }
        }
        self.ids = Some(ids);
        Ok(())
    }

    /// Counts the pictures that the manifest does not list. What cannot be listed there is not needed.
    fn count_unlisted(&mut self, root: &Path) {
        let Ok(tree) = Tree::below(root) else { return };
        let masks = self.masks.iter().flat_map(CaseMask::paths);
        let listed: HashSet<&Path> = self.images.iter().map(PathBuf::as_path).chain(masks).collect();
        let is_unlisted = |path: &&PathBuf| !listed.contains(path.as_path()) && file_name(path) != PROGRESS;
        let unlisted = tree.files.iter().filter(is_unlisted).count();
        self.left_out.add(UNLISTED, unlisted);
    }

    /// Pairs the pictures of two trees by their names. Pictures in subfolders of one tree alone are left out.
    fn by_folders(&mut self, root: &Path, images_tree: &Tree, masks_tree: &Tree) -> Result<()> {
        for tree in [images_tree, masks_tree] {
            self.left_out.merge(&tree.left_out);
            self.seen += tree.files.len();
        }
        self.previews += images_tree.previews();
        let (images, mut masks) = (by_key(root, &images_tree.files)?, by_key(root, &masks_tree.files)?);
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
            let expected = format!("masks/{key} with the ending .png, .tif or .bmp{}", unread(root, masks_tree, key));
            return Err(DataError::MissingMask { image: image.clone(), expected, count: needs_mask.len() });
        }
        if let Some((key, mask)) = needs_image.first() {
            let expected =
                format!("images/{key} with the ending .png, .jpg, .tif or .bmp{}", unread(root, images_tree, key));
            return Err(DataError::MissingImage { mask: mask.clone(), expected, count: needs_image.len() });
        }
        self.left_out.add("in subfolders, without a partner", without_mask.len() + without_image.len());
        for (key, image) in images {
            if let Some(mask) = masks.remove(&key) {
                self.images.push(image);
                self.masks.push(CaseMask::of(mask));
            }
        }
        Ok(())
    }

    /// Counts the pictures beside the folders of images and masks. What cannot be listed there is not needed.
    fn count_beside(&mut self, root: &Path, folders: [&Path; 2]) {
        let Ok(tree) = Tree::beside(root, &folders) else { return };
        let names = [&IMAGE_FOLDERS[..], &MASK_FOLDERS].concat();
        let (further, outside): (Vec<_>, Vec<_>) =
            tree.files.into_iter().partition(|path| in_folder(root, path, &names));
        self.left_out.add(FURTHER, further.len());
        self.left_out.add(OUTSIDE, outside.iter().filter(|path| file_name(path) != PROGRESS).count());
    }

    /// Pairs `NAME` with `NAME_mask` in the same folder; if there is no such name, `images/` with `masks/` in any folder.
    fn by_tree(&mut self, root: &Path, tree: Tree) -> Result<Layout> {
        self.seen = tree.files.len();
        self.previews = tree.previews();
        if has_inner_folders(root, &tree.files) {
            return self.by_inner_folders(root, tree);
        }
        let (masks, images): (Vec<_>, Vec<_>) =
            tree.files.iter().cloned().partition(|path| stem(path).ends_with(MASK_SUFFIX));
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
                    self.masks.push(CaseMask::of(mask));
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
        self.left_out.add(OUTSIDE, others.len());
        self.seen = others.len();
        self.by_folders(root, &Tree::of(images), &Tree::of(masks))?;
        Ok(Layout::Folders)
    }

    /// The pairs with their ids, sorted by these; the groups are not known yet.
    fn pairs(self, root: &Path) -> Result<Vec<PairEntry>> {
        let ids = self.ids.unwrap_or_else(|| unique_ids(root, &self.images));
        let files = self.images.into_iter().zip(self.masks);
        let pair = |(id, (image, mask)): (String, _)| PairEntry { group: id.clone(), id, image, mask: Some(mask) };
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

/// What is said of a picture of this key in a format that is not read; empty if there is none.
fn unread(root: &Path, tree: &Tree, wanted: &str) -> String {
    let found = tree.unread.iter().find(|(path, _)| without_suffix(&key(root, path)) == wanted);
    found.map_or_else(String::new, |(path, format)| remarks::unread(path.display(), format))
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

/// Whether some of the pictures below `root` lie in folders of images and some in folders of masks, and all `NAME_mask` in the latter.
pub(crate) fn has_inner_folders(root: &Path, files: &[PathBuf]) -> bool {
    let inner = |names: &[&str]| files.iter().any(|path| in_folder(root, path, names));
    let mut masks = files.iter().filter(|path| stem(path).ends_with(MASK_SUFFIX));
    inner(&IMAGE_FOLDERS) && inner(&MASK_FOLDERS) && masks.all(|path| in_folder(root, path, &MASK_FOLDERS))
}

/// Whether a folder, or one in it, holds one that is named as that of DRIVE's masks.
fn is_of_drive(root: &Path) -> bool {
    let inner = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(root.to_path_buf()).chain(inner).any(|folder| folder.join(OF_DRIVE).is_dir())
}

/// The folder of a file below `root`, with slashes.
fn folder_below(root: &Path, path: &Path) -> Option<String> {
    let folder = path.strip_prefix(root).ok()?.parent()?;
    Some(folder.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"))
}

/// Whether one of the folders between `root` and a file has one of `names`.
pub(crate) fn in_folder(root: &Path, path: &Path, names: &[&str]) -> bool {
    let folders = path.strip_prefix(root).ok().and_then(Path::parent);
    folders
        .is_some_and(|folders| folders.components().any(|part| is_one_of(&part.as_os_str().to_string_lossy(), names)))
}
