//! The cache of prepared pairs: a folder with a folder for each preparation of each data folder.
//!
//! A preparation is known by the settings that decide its bytes and by the data folder. The split and the measured map of intensities
//! are not among them, so all folds, generators and segmenters find the same file. Each pair in it is known by the paths, sizes and
//! times of its two files.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use pig_files::{Lock, Locked, sha256};

use crate::case_mask::CaseMask;
use crate::columns::PairEntry;
use crate::discover::Dataset;
use crate::error::{DataError, Result};
use crate::intensity::IntensityMap;
use crate::pairs::file::{About, Opened, Unusable, describe, open};
use crate::pairs::record::Shape;
use crate::preparation::Preparation;

/// The folder of prepared pairs within the cache.
const PAIRS: &str = "pairs";

/// The file of pairs in the folder of a preparation.
const FILE: &str = "pairs.bin";

/// How often a process looks whether another one has finished.
const LOOK: Duration = Duration::from_millis(100);

/// Tells programs that make backups to leave the folder out (<https://bford.info/cachedir/>).
const TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# pig keeps prepared pairs here; pig cache clear removes them.\n";

/// The place in the cache of one preparation of one data folder.
#[derive(Debug)]
pub(crate) struct Slot {
    cache: PathBuf,
    folder: PathBuf,
    about: About,
}

impl Slot {
    /// The place for the pairs of a data folder, or for its images alone.
    pub(crate) fn of(cache: &Path, preparation: &Preparation, dataset: &Dataset) -> Self {
        let config = &preparation.config;
        let mut settings = serde_json::json!({
            "mask_values": config.mask_values, "mask_threshold": config.mask_threshold, "mask_resize": config.mask_resize,
            "crop": config.crop, "resize": config.resize,
            "own_ranges": preparation.intensity == IntensityMap::PerImage,
        });
        if !dataset.has_masks() {
            settings["masks"] = false.into();
        }
        if !config.classes.is_empty() {
            settings["classes"] = serde_json::json!([config.classes, config.background_values, config.class_column]);
        }
        if config.classes_overlap {
            settings["classes_overlap"] = true.into();
        }
        let root = resolved(&dataset.root);
        let about = About {
            folder: root.to_string_lossy().into_owned(),
            settings: settings.to_string(),
            shape: preparation.shape(),
        };
        // The classes are among the settings, so that pairs without classes keep their place.
        let Shape { size, slices, channels, classes: _ } = about.shape;
        let shape = format!("Shape {{ size: {size:?}, slices: {slices}, channels: {channels} }}");
        let mut key = format!("{shape}\n{}\n", about.settings).into_bytes();
        key.extend(root.as_os_str().as_encoded_bytes());
        let folder = cache.join(PAIRS).join(&sha256(&key)[..32]);
        Self { cache: cache.to_path_buf(), folder, about }
    }

    /// What the file is of.
    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    /// The file of the pairs.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Opens the file of the pairs.
    pub(crate) fn open(&self) -> std::result::Result<Opened, Unusable> {
        open(&self.file(), &self.about)
    }

    /// What tells this file from one that replaced it: none if it is not there.
    pub(crate) fn state(&self) -> Option<(u64, [i64; 2])> {
        let metadata = fs::metadata(self.file()).ok()?;
        Some((metadata.len(), identity(&metadata)))
    }

    /// Keeps other processes from making the same file. Waits for one that makes it, after calling `waits`. None if `is_stopped` says so
    /// meanwhile.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub(crate) fn lock(&self, waits: &dyn Fn(), is_stopped: &dyn Fn() -> bool) -> io::Result<Option<Lock>> {
        let mut waited = false;
        loop {
            self.make_folder()?;
            match pig_files::lock(&self.folder, &|_| !is_stopped()) {
                Ok(Locked::Mine(lock)) => break Ok(Some(lock)),
                Ok(Locked::Theirs(_)) if is_stopped() => break Ok(None),
                Ok(Locked::Theirs(_)) => {
                    if !waited {
                        waits();
                        waited = true;
                    }
                    thread::sleep(LOOK);
                }
                // The cache is being cleared.
                Err(error) if error.kind() == io::ErrorKind::NotFound => thread::sleep(LOOK),
                Err(error) => break Err(error),
            }
        }
    }

    /// Makes the folder, which only its user may read: pictures of patients are kept here.
    fn make_folder(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)?;
        let tag = self.cache.join("CACHEDIR.TAG");
        if !tag.exists() {
            pig_files::write(&tag, TAG.as_bytes()).map_err(|error| error.source)?;
        }
        // What a killed process left.
        pig_files::sweep(&self.folder);
        Ok(())
    }
}

/// The path of a folder that does not depend on where the program runs, nor on links.
fn resolved(folder: &Path) -> PathBuf {
    folder.canonicalize().or_else(|_| std::path::absolute(folder)).unwrap_or_else(|_| folder.to_path_buf())
}

/// What identifies the files of a pair and their state: paths below `root`, sizes, and times of change.
///
/// # Errors
/// When the system does not say.
pub(crate) fn source_of(root: &Path, pair: &PairEntry) -> Result<String> {
    let mut text = Vec::new();
    let mut add = |path: &Path, class: Option<&String>| -> Result<()> {
        let metadata = fs::metadata(path).map_err(DataError::io(path, "read"))?;
        text.extend(path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes());
        text.extend(format!("\0{}\0{:?}\0{:?}\n", metadata.len(), nanoseconds(&metadata), changed(&metadata)).bytes());
        // The class of a case decides its mask.
        text.extend(class.iter().flat_map(|class| format!("\0class {class}").into_bytes()));
        Ok(())
    };
    add(&pair.image, None)?;
    for layer in pair.mask.iter().flat_map(CaseMask::layers) {
        add(&layer.path, layer.class.as_ref())?;
    }
    Ok(sha256(&text))
}

fn nanoseconds(metadata: &fs::Metadata) -> Option<u128> {
    Some(metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos())
}

/// The time at which content or attributes were changed, which programs cannot set.
#[cfg(unix)]
fn changed(metadata: &fs::Metadata) -> [i64; 2] {
    use std::os::unix::fs::MetadataExt as _;
    [metadata.ctime(), metadata.ctime_nsec()]
}

/// The number of a file, which a file that replaces it does not have.
#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> [i64; 2] {
    use std::os::unix::fs::MetadataExt as _;
    [metadata.ino() as i64, 0]
}

/// The time of change of a file, where files have no numbers.
#[cfg(not(unix))]
fn identity(metadata: &fs::Metadata) -> [i64; 2] {
    let time = nanoseconds(metadata).unwrap_or_default();
    [(time >> 32) as i64, (time & u128::from(u32::MAX)) as i64]
}

#[cfg(not(unix))]
fn changed(_metadata: &fs::Metadata) -> [i64; 2] {
    [0; 2]
}

/// The pairs of an opened file that are whole, by what identifies their files.
pub(crate) fn whole(opened: &Opened) -> HashMap<&str, usize> {
    let records = opened.store.records().iter().enumerate().filter(|(index, _)| !opened.hurt.contains(index));
    records.map(|(index, record)| (record.source.as_str(), index)).collect()
}

/// The prepared pairs of one preparation in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The folder that holds them.
    pub path: PathBuf,
    /// The bytes of all files in it.
    pub bytes: u64,
    /// When they were last used.
    pub used: Option<SystemTime>,
    /// What they are of; none if the file is unfinished, damaged or of another version.
    pub of: Option<EntryOf>,
}

/// What the pairs of an [`Entry`] are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryOf {
    /// The data folder.
    pub folder: PathBuf,
    /// How many pairs there are.
    pub pairs: usize,
    /// Height and width of the pictures.
    pub size: [usize; 2],
    /// Channels of the images.
    pub channels: usize,
}

/// What the cache holds, the last used first; nothing if there is no cache.
///
/// # Errors
/// When the folder cannot be read.
pub fn entries(cache: &Path) -> Result<Vec<Entry>> {
    let folder = cache.join(PAIRS);
    let listing = match fs::read_dir(&folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DataError::io(&folder, "list")(error)),
    };
    let mut entries = Vec::new();
    for found in listing {
        let path = found.map_err(DataError::io(&folder, "list"))?.path();
        if path.is_dir() {
            entries.push(entry(path)?);
        }
    }
    entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
    Ok(entries)
}

fn entry(path: PathBuf) -> Result<Entry> {
    let mut bytes = 0;
    for found in fs::read_dir(&path).map_err(DataError::io(&path, "list"))? {
        bytes += found.and_then(|found| found.metadata()).map_or(0, |metadata| metadata.len());
    }
    let file = path.join(FILE);
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let of = describe(&file).ok().map(|(About { folder, shape, .. }, pairs)| EntryOf {
        folder: PathBuf::from(folder),
        pairs,
        size: shape.size,
        channels: shape.channels,
    });
    Ok(Entry { bytes, used: time(&file).or_else(|| time(&path)), of, path })
}

/// What [`clear`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleared {
    /// What was removed.
    pub removed: Vec<Entry>,
    /// What a process is making now, and therefore stays.
    pub busy: Vec<Entry>,
    /// How many entries were used too recently, or are of other data.
    pub kept: usize,
}

/// Removes prepared pairs from the cache: all, or those that were not used for as long as `unused_for` and are of the data folder `of`. A
/// process that reads removed pairs goes on reading them.
///
/// # Errors
/// When a folder cannot be read or removed.
pub fn clear(cache: &Path, unused_for: Option<Duration>, of: Option<&Path>) -> Result<Cleared> {
    let of = of.map(resolved);
    let now = SystemTime::now();
    let mut cleared = Cleared::default();
    for entry in entries(cache)? {
        let age = entry.used.and_then(|used| now.duration_since(used).ok()).unwrap_or_default();
        let is_other = of.as_ref().is_some_and(|of| entry.of.as_ref().is_none_or(|found| found.folder != *of));
        if is_other || unused_for.is_some_and(|least| age < least) {
            cleared.kept += 1;
            continue;
        }
        let lock = pig_files::lock(&entry.path, &|_| false).map_err(DataError::io(&entry.path, "lock"))?;
        let Some(lock) = lock.mine() else {
            cleared.busy.push(entry);
            continue;
        };
        // Some systems do not remove open files.
        drop(lock);
        fs::remove_dir_all(&entry.path).map_err(DataError::io(&entry.path, "remove"))?;
        cleared.removed.push(entry);
    }
    Ok(cleared)
}
