//! Writing generated pairs: `images/000017.png`, `masks/000017.png`, and a manifest rebuilt from the files in the folder.
//!
//! A method that generates only images writes neither `masks/` nor columns about masks; in its manifest, `has_mask` is false.
//!
//! The text chunks of every PNG state that it is synthetic and which model, settings and seed made it. A sample is
//! finished when both of its files are whole and carry this run's hashes. So an interrupted run, or one of several
//! processes that share the output folder, makes only the samples that are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;

use crate::classes::{ClassConfig, Coding};
use crate::curation::{self, Choice};
use crate::error::{DataError, Result};
use crate::png_file::{encode_class_png, read_label_png, read_png, read_png_text, write_png};
use crate::preparation::Pixels;
use crate::table::{Column, Columns, write_csv, write_parquet};

/// Keywords of the text chunks.
pub mod keyword {
    /// `yes` in every generated file.
    pub const SYNTHETIC: &str = "synthetic";
    /// Name and version of the program.
    pub const VERSION: &str = "version";
    /// Hash of the model's weights.
    pub const MODEL_HASH: &str = "model_hash";
    /// Hash of the settings that determine the picture.
    pub const SETTINGS_HASH: &str = "settings_hash";
    /// The settings as text.
    pub const SETTINGS: &str = "settings";
    /// The sample's seed.
    pub const SEED: &str = "seed";
    /// The stem of the file whose mask the sample was made for.
    pub const SOURCE_MASK: &str = "source_mask";
    /// The stem of the file whose image the sample was made for.
    pub const SOURCE_IMAGE: &str = "source_image";
}

/// What the text chunks of every file of a run say about its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Name and version of the program, such as `pig 0.1.0`.
    pub version: String,
    /// Hash of the model's weights.
    pub model_hash: String,
    /// Hash of the settings that determine a sample's picture; files with another hash do not belong to this run.
    pub settings_hash: String,
    /// The settings as text, for the manifest. They may include some that do not change the picture, such as the batch size.
    pub settings: String,
    /// The full names of settings in this text that do not change the picture, so that nobody is told that they differ.
    pub beside: &'static [&'static str],
}

impl Stamp {
    /// The settings in which `others` differ from these, with both values; empty if they are not JSON.
    fn differences(&self, others: &str) -> String {
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        let (Some(theirs), Some(ours)) = (parse(others), parse(&self.settings)) else { return String::new() };
        let mut told = Vec::new();
        differences("", &theirs, &ours, &mut |name, there, here| {
            if !self.beside.contains(&name) {
                // A key that one of them does not have, or whose value is none.
                let word = |value: &Value| if value.is_null() { "not set".to_owned() } else { value.to_string() };
                told.push(format!("{name} is {} there and {} here", word(there), word(here)));
            }
        });
        if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
    }
}

/// Calls `tell` with the full name of each value in which two settings differ, and with both values.
fn differences(name: &str, theirs: &Value, ours: &Value, tell: &mut dyn FnMut(&str, &Value, &Value)) {
    let (Value::Object(first), Value::Object(second)) = (theirs, ours) else {
        if theirs != ours {
            tell(name, theirs, ours);
        }
        return;
    };
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    for key in keys {
        let of = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
        let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        differences(&inner, &of(first), &of(second), tell);
    }
}

/// One generated pair, ready to be written.
#[derive(Debug, Clone, Copy)]
pub struct PairRecord<'a> {
    /// The seed, which is the sample's id.
    pub seed: u64,
    /// The image's raw pixels of shape (height, width, channels).
    pub image: &'a Pixels,
    /// The mask of shape (height, width): 0 background, anything else lesion; of several classes, their labels.
    /// `None` if only images are generated.
    pub mask: Option<&'a [u8]>,
    /// What the sample was made for, if it was given as a file.
    pub given: Option<GivenFile<'a>>,
}

/// The stem of a given file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenFile<'a> {
    /// Of a mask.
    Mask(&'a str),
    /// Of an image.
    Image(&'a str),
}

/// What an output folder holds after [`PairWriter::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How many pairs the manifest lists.
    pub pairs: usize,
    /// How many of them have an empty mask; 0 if there are no masks.
    pub empty_masks: usize,
}

/// One finished pair as the manifest lists it.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: String,
    seed: u64,
    image: String,
    mask: String,
    mask_pixels: u64,
    mask_fraction: f64,
    /// The pixels of each class, if there are several.
    class_pixels: Vec<u64>,
    version: String,
    model_hash: String,
    settings_hash: String,
    settings: String,
    source_mask: String,
    source_image: String,
    /// What a person decided about it.
    choice: Option<Choice>,
}

const COLUMNS: &Columns<Row> = &[
    ("id", Column::Text(|row| &row.id)),
    ("seed", Column::Count(|row| row.seed)),
    ("image", Column::Text(|row| &row.image)),
    ("mask", Column::Text(|row| &row.mask)),
    ("mask_pixels", Column::Count(|row| row.mask_pixels)),
    ("mask_fraction", Column::Number(|row| row.mask_fraction)),
    ("empty_mask", Column::Flag(|row| row.mask_pixels == 0)),
    ("version", Column::Text(|row| &row.version)),
    ("model_hash", Column::Text(|row| &row.model_hash)),
    ("settings_hash", Column::Text(|row| &row.settings_hash)),
    ("settings", Column::Text(|row| &row.settings)),
    ("source_mask", Column::Text(|row| &row.source_mask)),
    ("source_image", Column::Text(|row| &row.source_image)),
];

/// The columns if only images are generated. There is no column `mask`, so that the folder is not mistaken for one of pairs.
const IMAGE_COLUMNS: &Columns<Row> = &[
    ("id", Column::Text(|row| &row.id)),
    ("seed", Column::Count(|row| row.seed)),
    ("image", Column::Text(|row| &row.image)),
    ("has_mask", Column::Flag(|_| false)),
    ("version", Column::Text(|row| &row.version)),
    ("model_hash", Column::Text(|row| &row.model_hash)),
    ("settings_hash", Column::Text(|row| &row.settings_hash)),
    ("settings", Column::Text(|row| &row.settings)),
];

/// Writes the pairs of one run into one folder. Several processes may write different seeds at the same time.
#[derive(Debug)]
pub struct PairWriter {
    out: PathBuf,
    stamp: Stamp,
    size: [usize; 2],
    channels: usize,
    has_masks: bool,
    /// The classes, if masks tell several apart.
    classes: Vec<ClassConfig>,
    /// Whether these classes may overlap.
    overlap: bool,
}

impl PairWriter {
    /// Opens (or creates) `out` for pairs of `size` = (height, width) with images of 1 or 3 channels.
    ///
    /// # Errors
    /// When the folders cannot be created, or hold a PNG that this run did not make: one without the keyword
    /// `synthetic`, or one of another model or other settings.
    pub fn create(out: &Path, stamp: Stamp, size: [usize; 2], channels: usize) -> Result<Self> {
        Self { out: out.to_path_buf(), stamp, size, channels, has_masks: true, classes: Vec::new(), overlap: false }
            .opened()
    }

    /// As [`PairWriter::create`], for images without masks.
    ///
    /// # Errors
    /// As [`PairWriter::create`].
    pub fn create_for_images(out: &Path, stamp: Stamp, size: [usize; 2], channels: usize) -> Result<Self> {
        Self { out: out.to_path_buf(), stamp, size, channels, has_masks: false, classes: Vec::new(), overlap: false }
            .opened()
    }

    /// The same writer, for masks that tell these classes apart, if there are several: they are label maps with a palette, which name the
    /// classes, and the manifest has a column `mask_pixels_NAME` for each. Classes may overlap if `overlap` says so.
    #[must_use]
    pub fn with_classes(mut self, classes: &[ClassConfig], overlap: bool) -> Self {
        self.overlap = overlap;
        self.classes = if classes.len() > 1 { classes.to_vec() } else { Vec::new() };
        self
    }

    fn opened(self) -> Result<Self> {
        let folders: &[&str] = if self.has_masks { &["images", "masks"] } else { &["images"] };
        for folder in folders {
            let folder = self.out.join(folder);
            std::fs::create_dir_all(&folder).map_err(DataError::io(&folder, "create"))?;
            png_files(&folder)?.par_iter().try_for_each(|path| self.check_ours(path))?;
        }
        Ok(self)
    }

    /// Whether all files of a seed exist, are whole, and have this run's model, settings and size.
    pub fn is_finished(&self, seed: u64) -> bool {
        self.finished_row(seed).is_some()
    }

    /// Writes the files of a pair, the mask last.
    ///
    /// # Errors
    /// When a file cannot be written.
    ///
    /// # Panics
    /// When the image or mask does not have the shape that the writer was made for, when a mask is missing, or when there is
    /// one although the writer writes only images.
    pub fn write(&self, record: &PairRecord<'_>) -> Result<()> {
        let seed = record.seed.to_string();
        let mut text = vec![
            (keyword::SYNTHETIC, "yes"),
            (keyword::VERSION, &self.stamp.version),
            (keyword::MODEL_HASH, &self.stamp.model_hash),
            (keyword::SETTINGS_HASH, &self.stamp.settings_hash),
            (keyword::SETTINGS, &self.stamp.settings),
            (keyword::SEED, &seed),
        ];
        text.extend(record.given.map(|given| match given {
            GivenFile::Mask(stem) => (keyword::SOURCE_MASK, stem),
            GivenFile::Image(stem) => (keyword::SOURCE_IMAGE, stem),
        }));
        assert_eq!(record.mask.is_some(), self.has_masks, "expected a mask for pairs, none for images alone");
        write_png(&self.path("images", record.seed), self.size, self.channels, record.image, &text)?;
        let Some(mask) = record.mask else { return Ok(()) };
        if !self.classes.is_empty() {
            let (path, classes) = (self.path("masks", record.seed), (self.classes.as_slice(), self.overlap));
            return Ok(pig_files::write(&path, &encode_class_png(&path, self.size, mask, classes, &text)?)?);
        }
        let mask = Pixels::Eight(mask.iter().map(|&value| if value == 0 { 0 } else { 255 }).collect());
        write_png(&self.path("masks", record.seed), self.size, 1, &mask, &text)
    }

    /// Rebuilds `manifest.csv` and `manifest.parquet` from all finished pairs in the folder, sorted by seed.
    ///
    /// A lock makes processes that finish at the same time take turns, so that the last of them lists every pair. Decisions of
    /// [`curation`] stay.
    ///
    /// # Errors
    /// When the folder cannot be listed or a manifest cannot be written.
    pub fn finish(&self) -> Result<Finished> {
        let _lock = curation::lock(&self.out)?;
        let choices = curation::choices(&self.out)?;
        let files = png_files(&self.out.join("images"))?;
        let mut rows: Vec<Row> = files.par_iter().filter_map(|path| self.finished_row(seed_of_name(path)?)).collect();
        rows.sort_by_key(|row| row.seed);
        for row in &mut rows {
            row.choice = choices.get(&row.id).copied();
        }
        let base = if self.has_masks { COLUMNS } else { IMAGE_COLUMNS };
        let mut columns: Vec<(String, Column<Row>)> =
            base.iter().map(|(name, column)| ((*name).to_owned(), column.clone())).collect();
        let own = |index| Column::CountAt(index, |row: &Row, index| row.class_pixels[index]);
        let names = self.classes.iter().enumerate();
        columns.extend(names.map(|(index, class)| (format!("mask_pixels_{}", class.name), own(index))));
        if rows.iter().any(|row| row.choice.is_some()) {
            let word = Column::Text(|row: &Row| row.choice.map_or("", Choice::word));
            columns.push((curation::COLUMN.to_owned(), word));
        }
        self.write_tables(&columns, &rows)?;
        let empty_masks = if self.has_masks { rows.iter().filter(|row| row.mask_pixels == 0).count() } else { 0 };
        Ok(Finished { pairs: rows.len(), empty_masks })
    }

    fn write_tables<N: AsRef<str>>(&self, columns: &[(N, Column<Row>)], rows: &[Row]) -> Result<()> {
        write_csv(&self.out.join("manifest.csv"), columns, rows)?;
        write_parquet(&self.out.join("manifest.parquet"), columns, rows)
    }

    fn path(&self, folder: &str, seed: u64) -> PathBuf {
        self.out.join(folder).join(file_name(seed))
    }

    /// The manifest's row of a pair; `None` if the pair is not finished.
    fn finished_row(&self, seed: u64) -> Option<Row> {
        let image = read_png(&self.path("images", seed)).ok()?;
        let word = seed.to_string();
        let ours = |text: &BTreeMap<String, String>| {
            text.get(keyword::SEED) == Some(&word)
                && text.get(keyword::MODEL_HASH) == Some(&self.stamp.model_hash)
                && text.get(keyword::SETTINGS_HASH) == Some(&self.stamp.settings_hash)
        };
        if !ours(&image.text) || [image.height, image.width] != self.size || image.channels != self.channels {
            return None;
        }
        let (mask_pixels, class_pixels) = if self.has_masks {
            let mask = read_label_png(&self.path("masks", seed)).ok()?;
            let Pixels::Eight(values) = &mask.pixels else { return None };
            if !ours(&mask.text) || [mask.height, mask.width] != self.size || mask.channels != 1 {
                return None;
            }
            // A folder of another number of classes is another run's, and was refused.
            let coding = Coding { classes: self.classes.len(), overlap: self.overlap };
            let areas = coding.areas(values).into_iter().map(|area| area as u64).collect();
            (values.iter().filter(|&&value| value != 0).count(), areas)
        } else {
            (0, Vec::new())
        };
        let mut text = image.text;
        let mut take = |key: &str| text.remove(key).unwrap_or_default();
        Some(Row {
            id: file_stem(seed),
            seed,
            image: format!("images/{}", file_name(seed)),
            mask: format!("masks/{}", file_name(seed)),
            mask_pixels: mask_pixels as u64,
            class_pixels,
            mask_fraction: mask_pixels as f64 / self.size.iter().product::<usize>() as f64,
            version: take(keyword::VERSION),
            model_hash: take(keyword::MODEL_HASH),
            settings_hash: take(keyword::SETTINGS_HASH),
            settings: take(keyword::SETTINGS),
            source_mask: take(keyword::SOURCE_MASK),
            source_image: take(keyword::SOURCE_IMAGE),
            choice: None,
        })
    }

    /// Refuses a file of another origin. A truncated file is accepted, because it will be written again.
    fn check_ours(&self, path: &Path) -> Result<()> {
        let text = match read_png_text(path) {
            Err(DataError::Unreadable { .. }) => return Ok(()),
            other => other?,
        };
        if text.get(keyword::SYNTHETIC).is_none_or(|value| value != "yes") {
            return Err(DataError::NotGenerated { path: path.to_path_buf() });
        }
        let expected =
            [(keyword::MODEL_HASH, &self.stamp.model_hash), (keyword::SETTINGS_HASH, &self.stamp.settings_hash)];
        for (what, expected) in expected {
            let found = text.get(what).map_or("nothing", String::as_str);
            if found != expected {
                let differences = match text.get(keyword::SETTINGS) {
                    Some(settings) if what == keyword::SETTINGS_HASH => self.stamp.differences(settings),
                    _ => String::new(),
                };
                let (path, found, expected) = (path.to_path_buf(), found.to_owned(), expected.to_owned());
                return Err(DataError::ForeignSample { path, what, found, expected, differences });
            }
        }
        Ok(())
    }
}

/// The stem of a sample's files: the seed with at least six digits.
pub fn file_stem(seed: u64) -> String {
    format!("{seed:06}")
}

fn file_name(seed: u64) -> String {
    format!("{seed:06}.png")
}

/// The seed in a file name; `None` for a name that this writer does not use.
fn seed_of_name(path: &Path) -> Option<u64> {
    let seed = path.file_stem()?.to_str()?.parse().ok()?;
    (path.file_name()?.to_str()? == file_name(seed)).then_some(seed)
}

/// The PNG files in a folder, without the hidden temporary files of unfinished writes.
fn png_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = std::fs::read_dir(folder).map_err(DataError::io(folder, "list"))?;
    let mut files = Vec::new();
    for entry in listing {
        let path = entry.map_err(DataError::io(folder, "list"))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|ending| ending == "png") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
