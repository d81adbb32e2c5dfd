//! Errors in the classes of lesion of a user's data.

use std::path::PathBuf;

/// What is wrong with classes.
#[derive(Debug, thiserror::Error)]
pub enum ClassError {
    /// A mask that tells several classes apart, where one lesion is expected.
    #[error("{path}: this mask tells the classes {classes} apart; expected a mask of lesion and background; name the classes with \
             [[{section}.classes]] tables ({}), or make them one with {section}.mask_values = {all}",
            set_classes(section), path = path.display())]
    SeveralClasses {
        /// The mask.
        path: PathBuf,
        /// The names of its classes.
        classes: String,
        /// The values of all of them.
        all: String,
        /// The section of the configuration that says how masks are read.
        section: &'static str,
    },

    /// A mask that declares a class that is not configured.
    #[error("{path}: this mask has the classes {found}; expected {expected}; use masks of these classes, or rename the classes in \
             [[{section}.classes]]", path = path.display())]
    OtherClasses {
        /// The mask.
        path: PathBuf,
        /// The names of its classes.
        found: String,
        /// The names of the configured ones.
        expected: String,
        /// The section of the configuration that says how masks are read.
        section: &'static str,
    },

    /// Values of a mask that stand for no class.
    #[error("{path}: the mask has values that stand for no class: {values}; expected 0 (background) or those of {classes}; add a \
             [[{section}.classes]] table for each, or list in {section}.background_values those that are background",
            path = path.display())]
    ValueWithoutClass {
        /// The mask.
        path: PathBuf,
        /// The values, with their numbers of pixels.
        values: String,
        /// The classes with their values.
        classes: String,
        /// The section of the configuration that says how masks are read.
        section: &'static str,
    },

    /// A mask of lesion where classes are known by their names alone.
    #[error("{path}: the mask has lesion, and does not say of which class: {values}; expected a mask that names its classes, as pig writes \
             them, or the column of {section}.class_column in the manifest.csv of its folder, with one of {expected}",
            path = path.display())]
    LesionWithoutClass {
        /// The mask.
        path: PathBuf,
        /// The values, with their numbers of pixels.
        values: String,
        /// The names of the classes.
        expected: String,
        /// The section of the configuration that says how masks are read.
        section: &'static str,
    },

    /// A mask whose classes, or whose values, are not those of a finished run.
    #[error("{path}: this mask {found}; expected {expected}, since a finished run keeps what its masks mean; give masks with these alone",
            path = path.display())]
    NotOfRun {
        /// The mask.
        path: PathBuf,
        /// What it has, with the verb.
        found: String,
        /// What the masks of the run have.
        expected: String,
    },

    /// A mask with lesion whose case has no class.
    #[error("{path}: the mask has lesion, but its case has {found} in the column of {section}.class_column; expected one of {expected}; \
             complete the manifest, add a [[{section}.classes]] table, or give a label map that names its classes", path = path.display())]
    CaseWithoutClass {
        /// The mask.
        path: PathBuf,
        /// The class of the case, in words.
        found: String,
        /// The names of the classes.
        expected: String,
        /// The section of the configuration that says how masks are read.
        section: &'static str,
    },

    /// Two masks of a case differ in size.
    #[error("{path}: the mask is {} x {} pixels, and {first} of the same image {} x {}; expected one size; correct one of the masks",
            size[0], size[1], first_size[0], first_size[1], path = path.display(), first = first.display())]
    LayerSize {
        /// The mask of a further row.
        path: PathBuf,
        /// Its width and height.
        size: [usize; 2],
        /// The mask of the first row.
        first: PathBuf,
        /// Its width and height.
        first_size: [usize; 2],
    },

    /// Masks of two classes of a case overlap, although the classes exclude each other.
    #[error("{path}: {pixels} pixel(s) of this mask are of the class {class:?} by another row of the same image (the first names \
             {first}); expected masks that do not overlap; correct one of them, or set {section}.classes_overlap = true",
            path = path.display(), first = first.display())]
    LayersOverlap {
        /// The mask of a further row.
        path: PathBuf,
        /// The mask of the first row.
        first: PathBuf,
        /// The number of pixels that have two classes.
        pixels: usize,
        /// The other class.
        class: String,
        /// The section of the configuration that says how masks are read.
        section: &'static str,
    },

    /// A manifest lacks the column of classes.
    #[error("{path}: no column {column:?}; found the columns {found}; set {section}.class_column to one of them, or add the column",
            path = path.display())]
    MissingClassColumn {
        /// The manifest, or the data folder if there is no manifest.
        path: PathBuf,
        /// The column that was looked for.
        column: String,
        /// The columns found.
        found: String,
        /// The section of the configuration that names the column.
        section: &'static str,
    },
}

/// The value of `data.classes` that examples give.
pub const CLASSES_EXAMPLE: &str = r##"[{name = "mass", values = 1}, {name = "cyst", values = "#ff0000"}]"##;

/// How classes are named where there is no configuration file.
pub(crate) fn set_classes(section: &str) -> String {
    format!("without a file: --set '{section}.classes={CLASSES_EXAMPLE}'")
}
