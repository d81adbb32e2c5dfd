//! The mask of a case: one file, or one for each row of a manifest that names the case's image.

use std::path::{Path, PathBuf};

use crate::class_error::ClassError;
use crate::classes::{Coding, names};
use crate::config::{DataConfig, MaskRule};
use crate::error::Result;
use crate::read::{RawMask, read_mask_by};

/// A file of a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The file.
    pub path: PathBuf,
    /// The class of its lesion, if `data.class_column` names one.
    pub class: Option<String>,
}

/// The mask of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseMask {
    /// The file of the first row.
    pub first: Layer,
    /// Those of further rows that name the same image. There are some only with `data.class_column`.
    pub further: Vec<Layer>,
}

impl CaseMask {
    /// A mask of one file, whose class no column names.
    pub fn of(path: PathBuf) -> Self {
        Self { first: Layer { path, class: None }, further: Vec::new() }
    }

    /// All files.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.first).chain(&self.further)
    }

    /// The paths of all files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.layers().map(|layer| layer.path.as_path())
    }

    /// Reads all files as one label map: each file's lesion is of its class.
    ///
    /// # Errors
    /// As [`read_mask_by`], when the files differ in size, and when classes that exclude each other do overlap.
    pub fn read(&self, config: &DataConfig) -> Result<RawMask> {
        self.read_by(&config.mask_rule())
    }

    /// As [`CaseMask::read`], by a rule.
    ///
    /// # Errors
    /// As [`CaseMask::read`].
    pub fn read_by(&self, rule: &MaskRule<'_>) -> Result<RawMask> {
        let read = |layer: &Layer| read_mask_by(&layer.path, &rule.of_case(layer.class.as_deref()));
        let mut all = read(&self.first)?;
        for layer in &self.further {
            let own = read(layer)?;
            if (own.width, own.height) != (all.width, all.height) {
                return Err(ClassError::LayerSize {
                    path: layer.path.clone(),
                    size: [own.width, own.height],
                    first: self.first.path.clone(),
                    first_size: [all.width, all.height],
                }
                .into());
            }
            join_labels(&mut all.data, &own.data, [&self.first.path, &layer.path], rule)?;
            all.holds_values |= own.holds_values;
            all.taken = all.taken.or(own.taken);
        }
        Ok(all)
    }
}

/// How many images have several rows with a mask, by the numbers of rows of all images, in words; none if none has.
pub fn rows_words(rows_of_images: impl IntoIterator<Item = usize>) -> Option<String> {
    let (mut images, mut several, mut rows) = (0_usize, 0_usize, 0_usize);
    for of_image in rows_of_images {
        images += 1;
        if of_image > 1 {
            several += 1;
            rows += of_image;
        }
    }
    (several > 0).then(|| {
        format!(
            "{several} of {images} image(s) have several rows in manifest.csv, {rows} in all; the mask of each row keeps its \
             class"
        )
    })
}

/// Adds the label map of a further file of an image to that of the files before: a pixel has all of its classes where these may overlap.
/// `first` is the image's first file, `path` the further one.
///
/// # Errors
/// When a pixel has two classes that exclude each other.
pub fn join_labels(all: &mut [u8], own: &[u8], [first, path]: [&Path; 2], rule: &MaskRule<'_>) -> Result<()> {
    let mut clashes = (0_usize, 0);
    for (label, &own) in all.iter_mut().zip(own).filter(|(_, own)| **own > 0) {
        if rule.overlap || *label == 0 {
            *label |= own;
        } else if *label != own {
            clashes = (clashes.0 + 1, *label);
        }
    }
    let (pixels, label) = clashes;
    if pixels == 0 {
        return Ok(());
    }
    let class = Coding::exclusive(rule.classes.len()).classes_of(label).next();
    Err(ClassError::LayersOverlap {
        path: path.to_path_buf(),
        first: first.to_path_buf(),
        pixels,
        class: class.map(|class| names(rule.classes)[class].to_owned()).unwrap_or_default(),
        section: rule.section,
    }
    .into())
}
