//! The prepared folder: `images/`, `masks/`, `manifest.csv` and `.parquet`, `dataset.toml`, `errors.csv`, and one small file
//! for each finished case in `.cases/`, with which an interrupted preparation continues.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use pig_data::manifest::Manifest;
use pig_data::table::{Column, Columns, write_csv, write_parquet};
use pig_files::hex;

use crate::channel::Channel;
use crate::error::{PrepareError, Result};
use crate::layouts::Layout;
use crate::record::{Record, with_columns};
use crate::settings::PrepareConfig;
use crate::sources::{Reading, StoredRange};
use crate::transform::Transform;

/// The version of the folder's format; folders of other versions are refused.
const FORMAT: u32 = 2;

/// The folders in it.
const PARTS: [&str; 3] = ["images", "masks", ".cases"];

/// The content of `dataset.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The version of the folder's format.
    pub format: u32,
    /// Name and version of the program that made the folder.
    pub program: String,
    /// Whether every case of the source was processed.
    pub complete: bool,
    /// The source's layout.
    pub layout: Layout,
    /// How many pairs the manifest lists.
    pub pairs: usize,
    /// How many images or volumes the pairs come from.
    pub cases: usize,
    /// How many patients the pairs show; 0 if none are known.
    pub patients: usize,
    /// How many of the pairs have an empty mask.
    pub empty_masks: usize,
    /// Channels of the prepared images: 1 (gray) or 3 (red, green and blue). Sets of earlier versions are gray.
    #[serde(default = "gray")]
    pub channels: usize,
    /// How many of the source's images are in colour and keep it.
    #[serde(default)]
    pub colour_images: usize,
    /// How many images or slices without lesion were left out.
    pub left_out_empty: usize,
    /// How many images without a mask were left out.
    pub left_out_without_mask: usize,
    /// How many cases could not be prepared; see errors.csv.
    pub errors: usize,
    /// Hashes of settings, sources and results.
    pub hashes: Hashes,
    /// Every setting.
    pub prepare: PrepareConfig,
}

/// The channels of sets that do not say them.
fn gray() -> usize {
    1
}

/// SHA-256 hashes, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashes {
    /// Of the settings and the layout.
    pub settings: String,
    /// Of every case's source hash, in the order of the cases' names.
    pub sources: String,
    /// Of every pair's id and the hashes of its two files, in the order of the manifest.
    pub outputs: String,
    /// The key's fingerprint; empty without a key.
    pub key: String,
}

/// What is stored about a finished case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseState {
    pub(crate) source_sha256: String,
    pub(crate) settings: String,
    pub(crate) left_out_empty: usize,
    pub(crate) left_out_without_mask: usize,
    pub(crate) records: Vec<Record>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<CaseNote>,
}

/// What is to be told about a case, each time that its folder is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CaseNote {
    /// Every pixel has the same value.
    Flat,
    /// The DICOM file's window cannot be used, so that percentiles took its place.
    WindowIgnored,
    /// The DICOM file gives a spacing, a thickness, a position or an orientation that cannot be used.
    GeometryIgnored,
    /// The DICOM file has values with more bits than Bits Stored says, and they were cut.
    BitsCut,
    /// The DICOM file holds so many frames more than Number of Frames says.
    FramesLeftOver(u32),
    /// The picture was turned as its orientation tag says.
    Turned,
    /// The image is in colour and keeps it.
    ColourKept,
    /// The image is in colour and was reduced to gray.
    ColourReduced,
    /// The image is gray and was copied to three channels.
    GrayCopied,
    /// The settings name the values that mean lesion, and the mask has others alone.
    OtherValues,
    /// The mask's affine differs from the image's by so many millimetres, which the settings say to ignore.
    AffineIgnored(f64),
    /// The labels of the mask, as bits, of which the last stands for all from 63 on: all are lesion, because nothing says what they mean.
    Labels(u64),
    /// What a fractional DICOM SEG holds on the image.
    Fraction {
        /// Its number among the case's mask files: their names stay out of the folder.
        mask: usize,
        /// The greatest value.
        greatest: u16,
        /// The value that means a share of 1.
        max: u8,
    },
    /// A mask has a palette of grays in another order than their indices.
    OtherOrder {
        /// Its number among the case's mask files.
        mask: usize,
        /// Whether the indices were taken, not the grays.
        by_index: bool,
    },
}

/// The hash of settings, layout and key.
pub(crate) fn settings_hash(config: &PrepareConfig, layout: Layout, key: &str) -> String {
    // The order of the fields is fixed by the struct.
    let text = toml::to_string(&with_channel(config)).unwrap_or_default();
    // Folders that were prepared before there were classes keep their hash.
    let text = text.replace("classes = []\n", "").replace("classes_overlap = false\n", "");
    let text = text.replace("segment_classes = \"code\"\n", "");
    hex(&Sha256::digest(format!("{FORMAT}\n{}\n{key}\n{text}", layout.word())))
}

/// The settings with the channel that is read if none is set; folders were prepared with it when it was the default.
fn with_channel(config: &PrepareConfig) -> PrepareConfig {
    let channel = config.channel.clone().or(Some(Channel::Number(0)));
    PrepareConfig { channel, ..config.clone() }
}

/// Hashes a list of texts unambiguously: each text is preceded by its length.
pub(crate) fn hash_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}

/// The paths of the image and the mask of a pair in the folder.
pub(crate) fn places(id: &str) -> [String; 2] {
    ["images", "masks"].map(|folder| format!("{folder}/{id}.png"))
}

/// An output folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    settings: String,
}

impl Folder {
    /// Opens or creates the folder for these settings.
    ///
    /// # Errors
    /// When it holds other files, or a set with other settings, another layout or another key.
    pub(crate) fn open(root: &Path, description: &Description) -> Result<Self> {
        let file = root.join("dataset.toml");
        if file.is_file() {
            let found = read_description(root)?;
            if let Some(problem) = difference(&found, description) {
                return Err(PrepareError::Foreign { path: file, problem });
            }
        } else if !is_free(root) {
            let problem = "the folder is not empty and has no dataset.toml".to_owned();
            return Err(PrepareError::Foreign { path: root.to_path_buf(), problem });
        }
        let folder = Self { root: root.to_path_buf(), settings: description.hashes.settings.clone() };
        std::fs::create_dir_all(root).map_err(PrepareError::io(root, "create"))?;
        // First, so that a preparation that is killed in its first moment is recognised and continued.
        if !file.is_file() {
            folder.describe(description)?;
        }
        for part in PARTS {
            let path = root.join(part);
            std::fs::create_dir_all(&path).map_err(PrepareError::io(&path, "create"))?;
            pig_files::sweep(&path);
        }
        pig_files::sweep(root);
        Ok(folder)
    }

    /// The hash of the settings of a case whose picture is shown in `common`, the range of all pictures, if there is one, and whose
    /// colours are read as `reading` says.
    pub(crate) fn settings(&self, common: Option<StoredRange>, reading: Reading) -> String {
        let range = common.map(|StoredRange { low, high }| [low.to_string(), high.to_string()]);
        let colour = (reading == Reading::Rgb).then(|| "rgb".to_owned());
        let decided: Vec<String> = range.into_iter().flatten().chain(colour).collect();
        if decided.is_empty() {
            return self.settings.clone();
        }
        hash_texts([self.settings.as_str()].into_iter().chain(decided.iter().map(String::as_str)))
    }

    /// Checks that every pair has its own id and its files, and returns how many pairs there are.
    ///
    /// # Errors
    /// When files are missing, or pairs share them.
    pub(crate) fn check(&self, records: &[Record]) -> Result<usize> {
        let there = |place: &str| std::fs::metadata(self.path(place)).is_ok_and(|file| file.len() > 0);
        let whole: HashSet<&str> = records
            .iter()
            .filter(|record| there(&record.image) && there(&record.mask))
            .map(|record| record.id.as_str())
            .collect();
        if whole.len() == records.len() {
            return Ok(whole.len());
        }
        let problem = format!("{} pair(s) were made, but {} are on disk", records.len(), whole.len());
        Err(PrepareError::Prepared { path: self.root.clone(), problem })
    }

    /// The finished cases that are not among `current`, with the number of their pairs.
    pub(crate) fn orphans(&self, current: &HashSet<&str>) -> Result<Vec<(String, usize)>> {
        let folder = self.root.join(".cases");
        let mut orphans = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(PrepareError::io(&folder, "list"))? {
            let entry = entry.map_err(PrepareError::io(&folder, "list"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(case) = name.strip_suffix(".json").filter(|case| !current.contains(case)) else { continue };
            let pairs = self.state(case).map_or(0, |state| state.records.len());
            orphans.push((case.to_owned(), pairs));
        }
        orphans.sort();
        Ok(orphans)
    }

    pub(crate) fn describe(&self, description: &Description) -> Result<()> {
        let path = self.root.join("dataset.toml");
        let text = toml::to_string(description)
            .map_err(|error| PrepareError::Prepared { path: path.clone(), problem: error.to_string() })?;
        let head = "# Made by pig prepare. The key that patients were hashed with is not in this folder.\n";
        Ok(pig_files::write(&path, format!("{head}{text}").as_bytes())?)
    }

    pub(crate) fn path(&self, place: &str) -> PathBuf {
        self.root.join(place)
    }

    fn state_path(&self, case: &str) -> PathBuf {
        self.root.join(".cases").join(format!("{case}.json"))
    }

    /// The stored state of a case; `None` if there is none, or if it names files that are not pairs of this folder.
    fn state(&self, case: &str) -> Option<CaseState> {
        let text = pig_files::read_to_string(self.state_path(case)).ok()?;
        let state: CaseState = serde_json::from_str(&text).ok()?;
        let own = |record: &Record| {
            let plain = record.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            plain && [record.image.as_str(), &record.mask] == places(&record.id)
        };
        state.records.iter().all(own).then_some(state)
    }

    /// The state of a case that was finished with these settings and this source, and whose files are intact; else `None`.
    pub(crate) fn finished(&self, case: &str, source_sha256: &str, settings: &str) -> Option<CaseState> {
        let state = self.state(case)?;
        if state.source_sha256 != source_sha256 || state.settings != settings {
            return None;
        }
        let whole = |place: &str, expected: &str| {
            pig_files::read(self.path(place)).is_ok_and(|bytes| hex(&Sha256::digest(bytes)) == expected)
        };
        let all = state.records.iter().all(|r| whole(&r.image, &r.image_sha256) && whole(&r.mask, &r.mask_sha256));
        all.then_some(state)
    }

    /// Removes the files that an earlier preparation of a case with other settings or another source left.
    pub(crate) fn forget(&self, case: &str) {
        for record in self.state(case).map(|state| state.records).unwrap_or_default() {
            self.remove(&record);
        }
        // The file need not exist.
        let _ = std::fs::remove_file(self.state_path(case));
    }

    /// Removes a pair's files.
    pub(crate) fn remove(&self, record: &Record) {
        for place in [&record.image, &record.mask] {
            let _ = std::fs::remove_file(self.path(place));
        }
    }

    pub(crate) fn keep(&self, case: &str, state: &CaseState) -> Result<()> {
        let path = self.state_path(case);
        let text = serde_json::to_string(state)
            .map_err(|error| PrepareError::Prepared { path: path.clone(), problem: error.to_string() })?;
        Ok(pig_files::write(&path, text.as_bytes())?)
    }

    /// Writes both manifests, sorted by id.
    pub(crate) fn manifest(&self, records: &[Record]) -> Result<()> {
        with_columns(records, |columns| {
            write_csv(&self.path("manifest.csv"), columns, records)?;
            write_parquet(&self.path("manifest.parquet"), columns, records)
        })?;
        Ok(())
    }

    /// Writes errors.csv if there are errors; else removes an old one.
    pub(crate) fn errors(&self, errors: &[(String, String)]) -> Result<()> {
        let path = self.path("errors.csv");
        if errors.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(PrepareError::io(&path, "remove")(error))
                }
                _ => Ok(()),
            };
        }
        let columns: &Columns<(String, String)> =
            &[("file", Column::Text(|row| &row.0)), ("reason", Column::Text(|row| &row.1))];
        Ok(write_csv(&path, columns, errors)?)
    }
}

/// Whether a folder is absent or holds nothing but what a preparation makes before its description.
fn is_free(root: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(root) else { return true };
    let empty = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    entries.flatten().all(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let begun = name.starts_with(".dataset.toml.") && entry.path().extension() == Some(OsStr::new("tmp"));
        begun || (PARTS.contains(&name.as_str()) && empty(&entry.path()))
    })
}

/// The first difference between a folder's description and the wanted one.
fn difference(found: &Description, wanted: &Description) -> Option<String> {
    if found.format != wanted.format {
        return Some(format!("made in format {}; expected format {}", found.format, wanted.format));
    }
    if found.layout != wanted.layout {
        return Some(format!("made from a source with the layout {}; expected {}", found.layout, wanted.layout));
    }
    if found.hashes.key != wanted.hashes.key {
        return Some("made with another key, or without a key; expected the same key".to_owned());
    }
    let (found, wanted) = (with_channel(&found.prepare), with_channel(&wanted.prepare));
    if found == wanted {
        return None;
    }
    let table = |config: &PrepareConfig| toml::Table::try_from(config).unwrap_or_default();
    let (old, new) = (table(&found), table(&wanted));
    let word = |value: Option<&toml::Value>| value.map_or("nothing".to_owned(), ToString::to_string);
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let key = keys.into_iter().find(|key| old.get(*key) != new.get(*key))?;
    Some(format!("made with prepare.{key} = {}; expected {}", word(old.get(key)), word(new.get(key))))
}

/// Reads `dataset.toml`.
///
/// # Errors
/// When the file is missing or damaged.
pub fn read_description(folder: &Path) -> Result<Description> {
    let path = folder.join("dataset.toml");
    let text = pig_files::read_to_string(&path).map_err(PrepareError::io(&path, "read"))?;
    toml::from_str(&text).map_err(|error| {
        let problem = error.message().lines().next().unwrap_or_default().to_owned();
        PrepareError::Prepared { path, problem }
    })
}

/// Reads every pair's transform, by id, from `manifest.csv`: it maps prepared pixels to source pixels and millimetres.
///
/// # Errors
/// When the folder was not made by `pig prepare`, or its manifest was changed.
pub fn transforms(folder: &Path) -> Result<BTreeMap<String, Transform>> {
    let path = folder.join("manifest.csv");
    let bad = |problem: String| PrepareError::Prepared { path: path.clone(), problem };
    let table = Manifest::read(&path)?.ok_or_else(|| bad("there is no manifest".to_owned()))?;
    let column = |name: &str| table.column(name).ok_or_else(|| bad(format!("no column {name:?}")));
    let id = column("id")?;
    let mut transforms = BTreeMap::new();
    for row in table.rows() {
        let text = |name: &str| column(name).map(|column| row.get(column));
        let wrong = |name: &str| bad(format!("line {}: no valid value in the column {name:?}", row.line));
        let count = |name: &str| text(name)?.parse::<usize>().map_err(|_| wrong(name));
        let flag = |name: &str| text(name)?.parse::<bool>().map_err(|_| wrong(name));
        let counts = |names: [&str; 2]| Ok::<_, PrepareError>([count(names[0])?, count(names[1])?]);
        let number = |name: &str| Ok::<_, PrepareError>(text(name)?.parse::<f64>().ok());
        let spacing = number("source_pixel_height_mm")?.zip(number("source_pixel_width_mm")?);
        let transform = Transform {
            source: counts(["source_height", "source_width"])?,
            turned: flag("turned")?,
            crop_start: counts(["crop_top", "crop_left"])?,
            crop_size: counts(["crop_height", "crop_width"])?,
            resized: counts(["resized_height", "resized_width"])?,
            pad: counts(["pad_top", "pad_left"])?,
            prepared: counts(["height", "width"])?,
            mirrored: flag("mirrored")?,
            spacing: spacing.map(|(row, column)| [row, column]),
        };
        if !transform.is_consistent() {
            return Err(bad(format!("line {}: the crop or the padding does not fit the picture", row.line)));
        }
        transforms.insert(row.get(id).to_owned(), transform);
    }
    Ok(transforms)
}

/// The description of a set whose preparation begins.
pub(crate) fn begun(layout: Layout, config: &PrepareConfig, key: String) -> Description {
    let settings = settings_hash(config, layout, &key);
    Description {
        format: FORMAT,
        program: concat!("pig ", env!("CARGO_PKG_VERSION")).to_owned(),
        complete: false,
        layout,
        pairs: 0,
        cases: 0,
        patients: 0,
        empty_masks: 0,
        channels: 1,
        colour_images: 0,
        left_out_empty: 0,
        left_out_without_mask: 0,
        errors: 0,
        hashes: Hashes { settings, sources: String::new(), outputs: String::new(), key },
        prepare: config.clone(),
    }
}
