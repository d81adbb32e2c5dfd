//! Errors in a user's data. Each names the file, what was found, what was expected and what to do.

use std::path::{Path, PathBuf};

use crate::class_error::{ClassError, set_classes};
use crate::split_error::SplitError;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, DataError>;

/// The most images that a message lists which are to be removed.
const LISTED: usize = 100;

/// The first `most` of some names, and how many more there are.
pub fn listed(names: &[String], most: usize) -> String {
    let first = names[..most.min(names.len())].join(", ");
    let more = names.len().saturating_sub(most);
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// An error of reading, preparing, splitting or writing pairs.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused an operation on a file or folder.
    #[error("{path}: cannot {action}: {}",
            pig_files::explained(source, &format!("check that the path is right and that you may {action} there")),
            path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The verb that failed, such as "read" or "write".
        action: &'static str,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },

    /// No pair was found under the data folder.
    #[error("{path}: no image and mask pairs found ({found}); expected images/ and masks/ with the same stems, \
             NAME.png beside NAME_mask.png, or a manifest.csv with the columns image and mask; \
             give such a folder, which `pig prepare` makes from DICOM, NIfTI, the layout of nnU-Net and public data sets", path = path.display())]
    EmptyDataset {
        /// The data folder.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },

    /// An image has no mask.
    #[error("{image}: no mask found ({count} image(s) lack one); expected {expected}; \
             add the mask (all zero if there is no lesion) or remove the image", image = image.display())]
    MissingMask {
        /// The first image without a mask.
        image: PathBuf,
        /// Where its mask was looked for.
        expected: String,
        /// How many images lack a mask.
        count: usize,
    },

    /// A mask has no image.
    #[error("{mask}: no image found for this mask ({count} mask(s) lack one); expected {expected}; \
             add the image or remove the mask", mask = mask.display())]
    MissingImage {
        /// The first mask without an image.
        mask: PathBuf,
        /// Where its image was looked for.
        expected: String,
        /// How many masks lack an image.
        count: usize,
    },

    /// Further images that show what a split holds out.
    #[error("{path}: {count} image(s) show validating or testing patients, so figures on these would be too good: {list}; remove them \
             from the folder", path = path.display(), count = images.len(), list = listed(images, LISTED))]
    HeldOutImages {
        /// The folder of images.
        path: PathBuf,
        /// The images, each with what shows it.
        images: Vec<String>,
    },

    /// A folder without a picture.
    #[error("{path}: no pictures found; expected .png, .jpg, .tif or .bmp files in this folder or in its subfolder images or masks; \
             give the path of such a folder", path = path.display())]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },

    /// A picture in one folder has no partner in the other folder.
    #[error("{picture}: no picture with this stem in {folder} ({count} picture(s) lack a partner); \
             expected the same stems in both folders; \
             add the missing files (all zero for an empty mask) or remove the pictures without a partner",
            picture = picture.display(), folder = folder.display())]
    NoPartner {
        /// The first picture without a partner.
        picture: PathBuf,
        /// Where the partner was looked for.
        folder: PathBuf,
        /// How many pictures lack a partner.
        count: usize,
    },

    /// Two files claim the same sample id.
    #[error("{first} and {second} share the id {id:?}; expected one file for each id; \
             rename one, or list both in a manifest.csv with an id column",
            first = first.display(), second = second.display())]
    DuplicateId {
        /// The id found twice.
        id: String,
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },

    /// A manifest lacks a column that the configuration names or the layout needs.
    #[error("{path}: no column {column:?}; found the columns {found}; {remedy}", path = path.display())]
    MissingColumn {
        /// The manifest, or the data folder if there is no manifest.
        path: PathBuf,
        /// The column that was looked for.
        column: String,
        /// The columns found.
        found: String,
        /// What to do.
        remedy: &'static str,
    },

    /// A pair has no value in the group column, so that no split can be trusted.
    #[error("{path}: no value in the column {column:?} for the id {id:?} ({count} pair(s) lack one); \
             expected a patient or group for every pair; complete the manifest", path = path.display())]
    MissingGroup {
        /// The manifest.
        path: PathBuf,
        /// The group column.
        column: String,
        /// The first id without a group.
        id: String,
        /// How many pairs lack one.
        count: usize,
    },

    /// A manifest that is not a readable table.
    #[error("{path}, line {line}: {problem}; correct the table", path = path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong there.
        problem: String,
    },

    /// A manifest names a file outside the data folder.
    #[error("{path}, line {line}: the path {value:?} leaves the data folder; \
             expected a path inside the manifest's folder, without ..; \
             move the file into the data folder or correct the path", path = path.display())]
    EscapingPath {
        /// The manifest.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The path as written.
        value: String,
    },

    /// A file that is not a complete image in a supported format.
    #[error("{path}: cannot be read as an image: {problem}; expected a complete PNG, JPEG, TIFF or BMP file; \
             export it again or remove it", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        problem: String,
    },

    /// A header that claims more pixels than any expected image has (a decompression bomb, or a damaged file).
    #[error("{path}: {width} x {height} pixels; expected at most {limit} pixels in all; \
             crop or reduce the image first", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The width in pixels.
        width: u32,
        /// The height in pixels.
        height: u32,
        /// The greatest number of pixels accepted.
        limit: u64,
    },

    /// A pixel type that is not supported.
    #[error("{path}: pixels of type {found}; expected 8 or 16 bit gray or colour; convert the file",
            path = path.display())]
    UnsupportedPixels {
        /// The file.
        path: PathBuf,
        /// The pixel type found.
        found: String,
    },

    /// A TIFF with several pages. Read as one image, it would show only the first page.
    #[error("{path}: a TIFF with several pages; expected one image per file; \
             save every slice in a separate file, with its mask", path = path.display())]
    SeveralPages {
        /// The file.
        path: PathBuf,
    },

    /// An alpha channel that is not opaque: what the picture shows would depend on the viewer.
    #[error("{path}: {count} pixel(s) are not opaque; expected no alpha channel or an opaque one; \
             flatten the file and save it without transparency", path = path.display())]
    Transparent {
        /// The file.
        path: PathBuf,
        /// How many pixels are not opaque.
        count: usize,
    },

    /// An image and its mask differ in size.
    #[error("{image} has {} x {} pixels but its mask {mask} has {} x {}; expected the same width and height; \
             export the mask again on the image's grid", image_size[0], image_size[1], mask_size[0], mask_size[1],
            image = image.display(), mask = mask.display())]
    SizeMismatch {
        /// The image.
        image: PathBuf,
        /// Its width and height.
        image_size: [usize; 2],
        /// The mask.
        mask: PathBuf,
        /// Its width and height.
        mask_size: [usize; 2],
    },

    /// A mask whose values alone do not show which of them mean lesion.
    #[error("{path}: the mask's values do not show which of them mean lesion; found {count} value(s): {values}; \
             expected 0/1, 0/255, any two gray values, or black and one colour; set {section}.mask_threshold to the gray \
             value from which on a pixel is lesion (128 for masks from 0 to 255 that were saved as JPEG or resampled), or list \
             the values that mean lesion in {section}.mask_values, for example {section}.mask_values = [2, 3] or [\"#ff0000\"]; if they \
             are classes, name each in a [[{section}.classes]] table ({})", set_classes(section), path = path.display())]
    AmbiguousMask {
        /// The mask.
        path: PathBuf,
        /// How many distinct values were found.
        count: usize,
        /// The values, at most the first sixteen.
        values: String,
        /// The section of the configuration that says how masks are read.
        section: &'static str,
    },

    /// Classes of lesion that cannot be used.
    #[error(transparent)]
    Classes(#[from] ClassError),

    /// A picture whose height is not a multiple of the number of slices.
    #[error("{path}: it is {height} pixels high, expected a multiple of data.slices = {slices}; \
             stack the slices of a volume from top to bottom", path = path.display())]
    NotSlices {
        /// The image or mask.
        path: PathBuf,
        /// Its height in pixels.
        height: usize,
        /// Slices that it should show.
        slices: usize,
    },

    /// An image whose bit depth differs from that of the run's training images.
    #[error("{path}: it has {found} bits, expected the {expected} bits of the training images; convert it", path = path.display())]
    OtherBitDepth {
        /// The image.
        path: PathBuf,
        /// Its bits.
        found: u8,
        /// The training images' bits.
        expected: u8,
    },

    /// Images with 8 bits and with 16 bits in one set. One intensity range cannot serve both.
    #[error("{first} has {first_bits} bits and {second} has {second_bits}; expected one bit depth under \
             data.intensity = {intensity:?}; convert them, or set data.intensity to \"dtype\" or \"per-image\"",
            first = first.display(), second = second.display())]
    MixedBitDepth {
        /// A file of the lower depth.
        first: PathBuf,
        /// Its bits.
        first_bits: u8,
        /// A file of the higher depth.
        second: PathBuf,
        /// Its bits.
        second_bits: u8,
        /// The intensity setting in force.
        intensity: &'static str,
    },

    /// Training pixels that are nearly all equal, so that no intensity range exists.
    #[error("{path}: the 0.1 and the 99.9 percentile of {pixels} training pixels are both {value}; expected some contrast; \
             check the images, or set data.intensity = \"dtype\"", path = path.display())]
    NoContrast {
        /// The data folder.
        path: PathBuf,
        /// How many pixels were measured.
        pixels: u64,
        /// The value of both percentiles.
        value: f64,
    },

    /// A value in the `[data]` section that cannot be used.
    #[error("data.{key} = {found}; expected {expected}")]
    InvalidConfig {
        /// The key within `[data]`.
        key: &'static str,
        /// The value found.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },

    /// A strength in the `[segment.augment]` section that cannot be used.
    #[error("segment.augment.{key} = {found}; expected {expected}")]
    InvalidStrength {
        /// The key within `[segment.augment]`.
        key: &'static str,
        /// The value found.
        found: f64,
        /// What is allowed.
        expected: &'static str,
    },

    /// Too few patients, groups or images to split.
    #[error("{path}: {groups} group(s) ({by}); expected at least {needed}; {advice}", path = path.display())]
    TooFewGroups {
        /// The data folder.
        path: PathBuf,
        /// How many groups there are.
        groups: usize,
        /// How many are needed.
        needed: usize,
        /// What the groups are taken from: a column of the manifest, or single images.
        by: String,
        /// What to do.
        advice: &'static str,
    },

    /// Too few patients, groups or images for a cross-validation.
    #[error("{path}: {groups} group(s) ({by}) in {folds} folds leave {left} beside the test set of fold {fold}; expected at least \
             2, to train and to validate; use other folds (crossval.folds) or add data", path = path.display())]
    TooFewForFolds {
        /// The data folder.
        path: PathBuf,
        /// How many groups there are.
        groups: usize,
        /// What the groups are taken from.
        by: String,
        /// How many folds were requested.
        folds: usize,
        /// The first fold with too few groups beside its test set, counted from 0.
        fold: usize,
        /// How many groups are left there.
        left: usize,
    },

    /// A table that says nothing about images. It is never ignored, since it may have been meant to name patients.
    #[error("{path}: none of its columns is called id or image; found {found}; expected id (the image's name without ending) or \
             image and mask (paths), and patient; rename the columns, or remove the table if it is not about these images",
            path = path.display())]
    UselessTable {
        /// The table.
        path: PathBuf,
        /// The columns found.
        found: String,
    },

    /// A table that is no text.
    #[error("{path}: a spreadsheet is not read; expected a table as text, with commas, semicolons or tabs between its fields; save it as \
             manifest.csv beside it, or rename it if it is not about these images", path = path.display())]
    Spreadsheet {
        /// The spreadsheet.
        path: PathBuf,
    },

    /// Two rows of a manifest name the same image.
    #[error("{path}, lines {first} and {second}: both name the image {image}; expected one row for each image; merge its masks \
             into one file, let pig prepare merge them, or name the class of each mask in a column and set data.class_column", path = path.display(), image = image.display())]
    SameImage {
        /// The manifest.
        path: PathBuf,
        /// The line of the first row.
        first: u64,
        /// The line of the second row.
        second: u64,
        /// The image.
        image: PathBuf,
    },

    /// A split that cannot be used.
    #[error(transparent)]
    Split(#[from] SplitError),

    /// The output folder holds pictures that pig did not generate.
    #[error("{path}: this picture was not generated by pig; expected an empty folder, or one that holds pairs of this run alone; choose another \
             --out, so that nothing is overwritten", path = path.display())]
    NotGenerated {
        /// The picture.
        path: PathBuf,
    },

    /// The output folder holds samples of another model or made with other settings.
    #[error("{path}: made with {what} {found}; expected {expected}{differences}; choose another --out, so that nothing is overwritten",
            path = path.display())]
    ForeignSample {
        /// The sample's file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// The value found in its text chunk.
        found: String,
        /// The value of this run.
        expected: String,
        /// Which settings differ, if `what` is their hash: in brackets, with both values; else empty.
        differences: String,
    },

    /// A file could not be written.
    #[error(transparent)]
    File(#[from] pig_files::FileError),

    /// A file of prepared pairs that was changed while it was in use.
    #[error("{path}: it was changed while pig was using it; expected the prepared pairs as pig wrote them; run the same command \
             again, which makes them anew, and leave the cache to pig", path = path.display())]
    ChangedPairs {
        /// The file.
        path: PathBuf,
    },

    /// The user asked to stop while another process was preparing the same pairs.
    #[error("{path}: stopped while another process was preparing these pairs; run the same command again", path = path.display())]
    StoppedWaiting {
        /// The file of the pairs.
        path: PathBuf,
    },

    /// The disk of the cache is full.
    #[error("{path}: cannot keep the prepared pairs: {}; `pig cache clear` removes those of other data, --cache-dir or PIG_CACHE_DIR \
             chooses another folder, and --no-cache keeps them in memory", pig_files::FULL, path = path.display())]
    FullCache {
        /// The folder of the cache.
        path: PathBuf,
    },

    /// A PNG or manifest could not be encoded.
    #[error("{path}: cannot be encoded: {problem}", path = path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        problem: String,
    },
}

impl DataError {
    /// Wraps an error of the operating system with the path and the verb that failed.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }
}
