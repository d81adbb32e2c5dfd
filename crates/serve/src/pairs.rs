//! The pairs of a folder as a gallery shows them: from the manifest, with the agreement of each pair, which is measured when they are listed first.

use crate::{
    below::Root,
    reply::{Refusal, Reply},
};
use axum::body::Bytes;
use pig_data::{
    DataConfig, Dataset,
    class_source::resolve,
    classes::names,
    curation::{Choice, choices},
    manifest::Manifest,
    read::{read_image, read_mask},
};
use pig_metrics::agreement::{Pair, Ring, contrast};
use rayon::prelude::*;
use serde::Serialize;
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// The most folders whose pairs are in memory.
const MOST_FOLDERS: usize = 8;
/// The most pairs of a folder that are listed.
const MOST_PAIRS: usize = 100_000;

/// One pair.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// The seed, if it was generated.
    pub(crate) seed: Option<u64>,
    /// The addresses of its files.
    pub(crate) image: String,
    pub(crate) mask: String,
    /// The share of the picture that is lesion, in per cent.
    pub(crate) area: f64,
    /// The classes in it, counted from 0.
    pub(crate) classes: Vec<usize>,
    /// Mean intensity inside the mask minus that in a ring around it, of intensities from -1 to 1; none without a lesion.
    pub(crate) contrast: Option<f64>,
    pub(crate) choice: Option<Choice>,
}

/// The pairs of a folder.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) rows: Vec<Row>,
    /// The names of the classes, if there are several.
    pub(crate) classes: Vec<String>,
    /// Height and width of the first pair.
    pub(crate) size: [usize; 2],
    pub(crate) data: DataConfig,
    /// The same as JSON for the script.
    pub(crate) json: Bytes,
}

/// The part of [`Listed`] that the script reads.
#[derive(Serialize)]
struct Sent<'a> {
    pairs: &'a [Row],
    classes: &'a [String],
    size: [usize; 2],
    /// The number of pairs that could not be read, with the first reason.
    unread: Option<&'a (usize, String)>,
}

/// A folder's pairs, and the time of the manifest from which they were listed.
type Known = (Option<SystemTime>, Arc<Listed>);

/// What is known of a folder, once somebody asked.
type Entry = Arc<Mutex<Option<Known>>>;

/// The folders that were listed last, by their addresses.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<Vec<(String, Entry)>>);

impl Lists {
    /// The pairs of the folder at `address`. A folder is listed once, however many ask for it, and again when its manifest has changed.
    pub(crate) fn of(&self, root: &Root, address: &str) -> Reply<Arc<Listed>> {
        let folder =
            root.folder(address).ok_or_else(|| Refusal::missing(format!("There is no folder {address:?}.")))?;
        let slot = self.slot(address);
        let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let time = std::fs::metadata(folder.join("manifest.csv")).and_then(|metadata| metadata.modified()).ok();
        if let Some((of, listed)) = &*known
            && *of == time
        {
            return Ok(Arc::clone(listed));
        }
        let before = known.as_ref().map(|(_, listed)| Arc::clone(listed));
        let listed = Arc::new(Listed::of(root, &folder, before.as_deref())?);
        *known = Some((time, Arc::clone(&listed)));
        Ok(listed)
    }

    fn slot(&self, address: &str) -> Arc<Mutex<Option<Known>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match all.iter().position(|(name, _)| name == address) {
            Some(at) => all.remove(at).1,
            None => Arc::default(),
        };
        // The one that was used last comes last.
        all.push((address.to_owned(), Arc::clone(&slot)));
        if all.len() > MOST_FOLDERS {
            all.remove(0);
        }
        slot
    }
}

impl Listed {
    /// Lists a folder. What `before` holds of a pair is not measured again.
    fn of(root: &Root, folder: &Path, before: Option<&Self>) -> Reply<Self> {
        let wrong = |error: pig_data::DataError| Refusal::wrong(error.to_string());
        let dataset = Dataset::discover(folder, &DataConfig::default()).map_err(wrong)?;
        if dataset.len() > MOST_PAIRS {
            let count = dataset.len();
            return Err(Refusal::wrong(format!("The folder has {count} pairs; expected at most {MOST_PAIRS}.")));
        }
        let data = resolve(&dataset, &DataConfig::default()).map_err(wrong)?.0;
        let choices = choices(folder).map_err(wrong)?;
        let seeds = seeds(folder).map_err(wrong)?;
        let known: HashMap<&str, &Row> =
            before.iter().flat_map(|listed| &listed.rows).map(|row| (row.id.as_str(), row)).collect();
        let row = |pair: &pig_data::PairEntry| -> Result<Option<(Row, [usize; 2])>, String> {
            let Some(mask) = pair.mask.as_ref().map(|mask| &mask.first.path) else { return Ok(None) };
            let outside = || format!("{}: it is not below the served folder", pair.image.display());
            let (Some(image), Some(mask_address)) = (root.address(&pair.image), root.address(mask)) else {
                return Err(outside());
            };
            let (measured, size) = match known.get(pair.id.as_str()).zip(before) {
                Some((row, before)) => ((row.area, row.classes.clone(), row.contrast), before.size),
                None => measured(&pair.image, mask, &data).map_err(|error| error.to_string())?,
            };
            let (area, classes, contrast) = measured;
            let choice = choices.get(&pair.id).copied();
            let seed = seeds.get(&pair.id).copied();
            Ok(Some((
                Row { id: pair.id.clone(), seed, image, mask: mask_address, area, classes, contrast, choice },
                size,
            )))
        };
        let read: Vec<Result<Option<Measured>, String>> = dataset.pairs.par_iter().map(row).collect();
        let (mut rows, mut size, mut unread) = (Vec::with_capacity(read.len()), None, None);
        for pair in read {
            match pair {
                Ok(Some((row, own))) => {
                    size.get_or_insert(own);
                    rows.push(row);
                }
                Ok(None) => {}
                Err(problem) => unread.get_or_insert((0, problem)).0 += 1,
            }
        }
        let classes = if data.has_several_classes() {
            names(&data.classes).into_iter().map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        let size = size.unwrap_or([1, 1]);
        let sent = Sent { pairs: &rows, classes: &classes, size, unread: unread.as_ref() };
        let json = serde_json::to_vec(&sent).map_err(Refusal::fault)?.into();
        Ok(Self { rows, classes, size, data, json })
    }

    /// The pair with this id.
    pub(crate) fn row(&self, id: &str) -> Reply<&Row> {
        self.rows.iter().find(|row| row.id == id).ok_or_else(|| Refusal::missing(format!("There is no pair {id:?}.")))
    }
}

/// A pair with its height and width.
type Measured = (Row, [usize; 2]);

/// Area in per cent, classes, and contrast.
type Measures = (f64, Vec<usize>, Option<f64>);

/// What is measured of a pair, and its height and width.
fn measured(image: &Path, mask: &Path, data: &DataConfig) -> pig_data::Result<(Measures, [usize; 2])> {
    let mask = read_mask(mask, data)?;
    let [height, width] = [mask.height, mask.width];
    let areas = data.coding().areas(&mask.data);
    let classes = areas.into_iter().enumerate().filter(|(_, area)| *area > 0).map(|(at, _)| at);
    let classes: Vec<usize> = if data.has_several_classes() { classes.collect() } else { Vec::new() };
    let area = 100.0 * mask.lesion_pixels() as f64 / (height * width) as f64;
    let image = read_image(image, 1)?;
    let top = if image.bit_depth() == 16 { 65535.0 } else { 255.0 };
    let unit: Vec<f32> = image.data.iter().map(|value| value / top * 2.0 - 1.0).collect();
    let lesion: Vec<bool> = mask.data.iter().map(|&label| label > 0).collect();
    let pair = Pair { image: &unit, mask: &lesion, others: None, height, width, group: None };
    let fits = unit.len() == lesion.len();
    Ok(((area, classes, if fits { contrast(&pair, &Ring::default()) } else { None }), [height, width]))
}

/// The seeds of generated pairs by id.
fn seeds(folder: &Path) -> pig_data::Result<HashMap<String, u64>> {
    let Some(manifest) = Manifest::in_folder(folder)? else { return Ok(HashMap::new()) };
    let (Some(seed), Some(id)) = (manifest.column("seed"), manifest.column("id")) else { return Ok(HashMap::new()) };
    Ok(manifest.rows().filter_map(|row| Some((row.get(id).to_owned(), row.get(seed).parse().ok()?))).collect())
}
