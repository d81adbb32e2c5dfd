//! A folder of pictures that need not be pairs, or one part of a split in it: its images, and its masks with their classes.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::case_mask::{CaseMask, rows_words};
use crate::chosen::Chosen;
use crate::class_source::{Named, of_files, of_masks};
use crate::columns::{PairEntry, Rows, class_column, values_by_id};
use crate::config::{DataConfig, SECTION};
use crate::discover::listed_by_class;
use crate::error::Result;
use crate::folder::{self, Kind, pictures};
use crate::manifest::{Manifest, value_of};
use crate::tree::Tree;

/// A folder of pictures, or the pictures of one part of a split in it.
///
/// Where the folder's table names the class of each mask and lists images and masks, the pictures are those of the table, as in a
/// training: several rows may name one image. Elsewhere they are those that [`pictures`] finds.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// The part; all pictures if it is `None`.
    pub only: Option<&'a Chosen>,
    /// The column that names the class of each mask (`data.class_column`); it counts if the folder's table has it.
    pub class_column: Option<&'a str>,
}

impl<'a> Source<'a> {
    /// All pictures of a folder.
    pub fn all(folder: &'a Path, data: &'a DataConfig) -> Self {
        Self { folder, only: None, class_column: data.class_column.as_deref() }
    }

    /// The images, with their ids as keys.
    ///
    /// # Errors
    /// As [`pictures`], when a table is damaged, and when an image of the part is missing.
    pub fn images(self) -> Result<BTreeMap<String, PathBuf>> {
        let found = match self.listed()? {
            Some(pairs) => pairs.into_iter().map(|pair| (pair.id, pair.image)).collect(),
            None => pictures(self.folder, Kind::Images)?,
        };
        self.kept(found)
    }

    /// The masks with their classes, if a column names these, with the ids of their images as keys.
    ///
    /// # Errors
    /// As [`Source::images`], and when an image has several rows in a table that lists no masks.
    pub fn masks(self) -> Result<BTreeMap<String, CaseMask>> {
        let found = match self.listed()? {
            Some(pairs) => pairs.into_iter().filter_map(|pair| Some((pair.id, pair.mask?))).collect(),
            None => self.unlisted_masks()?,
        };
        self.kept(found)
    }

    /// Whether the folder holds masks beside images, by its table, its folders or the names of its files.
    ///
    /// # Errors
    /// When the folder cannot be read, or its table is damaged.
    pub fn has_masks(self) -> Result<bool> {
        Ok(self.listed()?.is_some() || folder::has_masks(self.folder)?)
    }

    /// The classes that the folder's masks name, all of them, whatever the part: by the column of classes, nnU-Net's `dataset.json`, or
    /// their palettes; none if nothing names several.
    ///
    /// # Errors
    /// When a table, a `dataset.json` or a mask cannot be read.
    pub fn classes(self, data: &DataConfig) -> Result<Option<Named>> {
        let masks = Self { only: None, ..self }.masks()?;
        if self.has_class_column()? {
            let masks: Vec<&CaseMask> = masks.values().collect();
            let (classes, _) = of_masks(&masks, data)?;
            return Ok(Some(Named { classes, overlap: data.classes_overlap }));
        }
        Ok(of_files(self.folder, masks.values().flat_map(CaseMask::paths))?.map(|(named, _)| named))
    }

    /// How many pictures or files were left out, in a sentence that names the folder; none if nothing was.
    ///
    /// # Errors
    /// When the folder cannot be read, or its table is damaged.
    pub fn left_out(self, kind: Kind) -> Result<Option<String>> {
        let Some(pairs) = self.listed()? else { return folder::left_out(self.folder, kind) };
        let masks = pairs.iter().filter_map(|pair| pair.mask.as_ref()).flat_map(CaseMask::paths);
        let listed: HashSet<&Path> = pairs.iter().map(|pair| pair.image.as_path()).chain(masks).collect();
        let files = Tree::below(self.folder)?.files;
        let count = files.iter().filter(|path| !listed.contains(path.as_path())).count();
        let folder = self.folder.display();
        Ok((count > 0).then(|| format!("{folder}: Left out: {count} picture(s) that manifest.csv does not list.")))
    }

    /// How many images have several rows in the folder's table, in a sentence that names the folder; none if none has.
    ///
    /// # Errors
    /// When the folder's table is damaged.
    pub fn rows(self) -> Result<Option<String>> {
        let Some(pairs) = self.listed()? else { return Ok(None) };
        let words = rows_words(pairs.iter().filter_map(|pair| pair.mask.as_ref()).map(|mask| mask.layers().count()));
        Ok(words.map(|words| format!("{}: {words}", self.folder.display())))
    }

    /// Refuses a column of classes that no table of these folders has.
    ///
    /// # Errors
    /// When none has it; the error names the first folder.
    pub fn check_class_column(sources: &[Self]) -> Result<()> {
        for source in sources {
            if source.class_column.is_none() || source.has_class_column()? {
                return Ok(());
            }
        }
        let Some((source, name)) = sources.first().and_then(|source| Some((source, source.class_column?))) else {
            return Ok(());
        };
        class_column(source.folder, Manifest::in_folder(source.folder)?.as_ref(), name, SECTION).map(|_| ())
    }

    fn has_class_column(self) -> Result<bool> {
        let Some(name) = self.class_column else { return Ok(false) };
        match Manifest::in_folder(self.folder)? {
            Some(table) => Ok(table.column_once(name)?.is_some()),
            None => Ok(false),
        }
    }

    /// The pairs that the folder's table lists, if it names the classes of masks; whatever the part.
    fn listed(self) -> Result<Option<Vec<PairEntry>>> {
        match self.class_column {
            Some(name) => listed_by_class(self.folder, name),
            None => Ok(None),
        }
    }

    /// The masks that lie in the folder, each a file. A table may name the class of each.
    fn unlisted_masks(self) -> Result<BTreeMap<String, CaseMask>> {
        let mut masks: BTreeMap<String, CaseMask> =
            pictures(self.folder, Kind::Masks)?.into_iter().map(|(id, path)| (id, CaseMask::of(path))).collect();
        let Some(name) = self.class_column else { return Ok(masks) };
        let Some(table) = Manifest::in_folder(self.folder)? else { return Ok(masks) };
        let Some(column) = table.column_once(name)? else { return Ok(masks) };
        let words = values_by_id(&table, column, Rows::OneForEach)?;
        for (id, mask) in &mut masks {
            mask.first.class = value_of(&words, id).filter(|word| !word.is_empty()).map(|word| (*word).to_owned());
        }
        Ok(masks)
    }

    fn kept<T>(self, found: BTreeMap<String, T>) -> Result<BTreeMap<String, T>> {
        match self.only {
            Some(chosen) => chosen.keep(self.folder, found),
            None => Ok(found),
        }
    }
}
