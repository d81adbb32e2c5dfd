//! Prepares the pairs of a data folder, or finds them in the cache.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pig_files::FileError;
use rayon::prelude::*;

use crate::cache::{Slot, source_of, whole};
use crate::classes::ClassConfig;
use crate::columns::PairEntry;
use crate::config::DataConfig;
use crate::discover::Dataset;
use crate::error::{DataError, Result};
use crate::pairs::file::{Opened, Unusable, write};
use crate::pairs::record::{Conversion, Encoded, Facts, Member, Record};
use crate::pairs::store::Store;
use crate::preparation::Preparation;
use crate::prepared_set::PreparedSet;
use crate::read::Taken;
use crate::remarks::{exchanged, other_order, other_values};

/// Pairs that are prepared before they are written: enough for all cores, few enough for the memory.
const AT_ONCE: usize = 64;

/// What loading tells its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A sentence for the log.
    Note(String),
    /// A sentence that the user should not miss.
    Warning(String),
    /// So many pairs are going to be prepared.
    Begin(usize),
    /// So many pairs are prepared.
    Done(usize),
    /// All pairs are prepared.
    End,
}

/// Hears what loading tells, from several threads, and may ask it to stop.
pub trait Listener: Sync {
    /// Takes what is told.
    fn hear(&self, said: Said);

    /// Whether the user asked to stop.
    fn stop_requested(&self) -> bool {
        false
    }
}

impl<F: Fn(Said) + Sync> Listener for F {
    fn hear(&self, said: Said) {
        self(said);
    }
}

/// The pairs of a store, and the positions of the wanted ones.
type Found = (Arc<Store>, Vec<usize>);

impl Preparation {
    /// Reads and prepares all pairs, in parallel and in the order of `dataset`, and keeps them in memory. `progress` is called with the
    /// number of pairs done and the number of all pairs, from several threads.
    ///
    /// # Errors
    /// When a pair cannot be read or its image and mask differ in size; of several, the first in the order of the data.
    pub fn load(&self, dataset: &Dataset, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<PreparedSet> {
        let total = dataset.pairs.len();
        let listener = |said: Said| {
            if let Said::Done(done) = said {
                progress(done, total);
            }
        };
        self.load_from(dataset, &|_| true, None, &listener)
    }

    /// The `wanted` pairs of `dataset`, which are all pairs of its folder. With a `cache`, pairs are prepared once and read from a file
    /// afterwards; what is wrong with the file, or with the cache, is told, and the pairs are prepared again, or kept in memory.
    ///
    /// # Errors
    /// When a wanted pair cannot be read or its image and mask differ in size; of several, the first in the order of the data. When the
    /// disk of the cache is full.
    pub fn load_from(
        &self,
        dataset: &Dataset,
        wanted: &dyn Fn(&PairEntry) -> bool,
        cache: Option<&Path>,
        listener: &dyn Listener,
    ) -> Result<PreparedSet> {
        let wanted: Vec<bool> = dataset.pairs.iter().map(wanted).collect();
        let found = match cache {
            Some(cache) if wanted.contains(&true) => self.kept(dataset, &wanted, cache, listener)?,
            Some(_) | None => None,
        };
        let pairs: Vec<&PairEntry> =
            dataset.pairs.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(pair, _)| pair).collect();
        let (store, places) = match found {
            Some(found) => found,
            None => (Arc::new(self.in_memory(&pairs, listener)?), (0..pairs.len()).collect()),
        };
        self.check_depths(&pairs, &store, &places)?;
        let facts: Vec<Facts> = places.iter().map(|&place| store.records()[place].facts).collect();
        let names = pairs.iter().map(|pair| (pair.id.clone(), pair.group.clone())).unzip();
        let mut set = PreparedSet::of_store(store, self.intensity, &places, names);
        set.overlap = self.config.coding().overlap;
        describe(&mut set, &facts, &self.config, dataset.has_masks());
        Ok(set)
    }

    /// Refuses pictures of another bit depth where one range of intensities was measured for all: a file of pairs is the same for any depth.
    fn check_depths(&self, pairs: &[&PairEntry], store: &Store, places: &[usize]) -> Result<()> {
        for (pair, &place) in pairs.iter().zip(places) {
            if let Some(found) = store.records()[place].depth(self.intensity) {
                self.check_depth(&pair.image, found)?;
            }
        }
        Ok(())
    }

    fn in_memory(&self, pairs: &[&PairEntry], listener: &dyn Listener) -> Result<Store> {
        listener.hear(Said::Begin(pairs.len()));
        let done = AtomicUsize::new(0);
        let prepare = |pair: &&PairEntry| {
            let encoded = self.fit_pair(pair).map(|pair| Record::encode(&pair, String::new()));
            listener.hear(Said::Done(done.fetch_add(1, Ordering::Relaxed) + 1));
            encoded
        };
        let encoded: Vec<Result<Encoded>> = pairs.par_iter().map(prepare).collect();
        let encoded = encoded.into_iter().collect::<Result<Vec<_>>>()?;
        listener.hear(Said::End);
        Ok(Store::in_memory(self.shape(), encoded))
    }

    /// The pairs in the cache, which are made if they are not there; none if the cache cannot be used.
    fn kept(&self, dataset: &Dataset, wanted: &[bool], cache: &Path, listener: &dyn Listener) -> Result<Option<Found>> {
        let slot = Slot::of(cache, self, dataset);
        let sources: Vec<String> =
            dataset.pairs.par_iter().map(|pair| source_of(&dataset.root, pair)).collect::<Result<_>>()?;
        let asked: Vec<&str> =
            sources.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(source, _)| source.as_str()).collect();
        let file = slot.file();
        let read = |found: Found| {
            listener.hear(Said::Note(format!("the prepared pairs are read from {}", file.display())));
            Ok(Some(found))
        };
        let state = slot.state();
        let mut opened = match complete(slot.open(), &asked) {
            Ok(found) => return read(found),
            Err(opened) => opened,
        };
        let waits =
            || listener.hear(Said::Note(format!("waiting for another process that prepares {}", file.display())));
        let _lock = match slot.lock(&waits, &|| listener.stop_requested()) {
            Ok(Some(lock)) => {
                // Another process may have made it meanwhile.
                if slot.state() != state {
                    opened = match complete(slot.open(), &asked) {
                        Ok(found) => return read(found),
                        Err(opened) => opened,
                    };
                }
                lock
            }
            Ok(None) => return Err(DataError::StoppedWaiting { path: file }),
            Err(error) => return unusable(cache, &error, listener),
        };
        if let Some(reason) = reason(&opened, &asked) {
            listener.hear(Said::Warning(format!("{}: {reason}; it is made again", file.display())));
        }
        match self.make(&slot, dataset, (&sources, wanted), (*opened).ok().as_ref(), listener) {
            Err(DataError::Io { path, source, .. } | DataError::File(FileError { path, source, .. }))
                if path == file =>
            {
                return unusable(cache, &source, listener);
            }
            made => made?,
        }
        match complete(slot.open(), &asked) {
            Ok(found) => {
                let bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
                let text = format!("the prepared pairs are kept in {} ({:.1} MB)", file.display(), bytes as f64 / 1e6);
                listener.hear(Said::Note(text));
                Ok(Some(found))
            }
            Err(opened) => match *opened {
                Err(Unusable::Io(error)) => unusable(cache, &error, listener),
                Ok(_) | Err(_) => Err(DataError::ChangedPairs { path: file }),
            },
        }
    }

    /// Writes the file of all pairs. Pairs of the old file whose sources are as they were are taken over. Of pairs that are not wanted,
    /// those that cannot be prepared are left out.
    fn make(
        &self,
        slot: &Slot,
        dataset: &Dataset,
        (sources, wanted): (&[String], &[bool]),
        old: Option<&Opened>,
        listener: &dyn Listener,
    ) -> Result<()> {
        let known: HashMap<&str, usize> = old.map(whole).unwrap_or_default();
        let taken = |source: &str| -> Option<Encoded> {
            let (store, &index) = (&old?.store, known.get(source)?);
            let bytes = |member| store.bytes(index, member).ok().map(std::borrow::Cow::into_owned);
            Some((store.records()[index].clone(), [bytes(Member::Image)?, bytes(Member::Mask)?]))
        };
        listener.hear(Said::Begin(sources.len()));
        let done = AtomicUsize::new(0);
        let prepare = |index: usize| {
            let source = sources[index].as_str();
            let encoded = match taken(source) {
                Some(encoded) => Ok(encoded),
                None => self.fit_pair(&dataset.pairs[index]).map(|pair| Record::encode(&pair, source.to_owned())),
            };
            listener.hear(Said::Done(done.fetch_add(1, Ordering::Relaxed) + 1));
            encoded
        };
        write(&slot.file(), slot.about(), |writer| {
            for first in (0..sources.len()).step_by(AT_ONCE) {
                let last = sources.len().min(first + AT_ONCE);
                let encoded: Vec<Result<Encoded>> = (first..last).into_par_iter().map(prepare).collect();
                for (encoded, wanted) in encoded.into_iter().zip(&wanted[first..]) {
                    match encoded {
                        Ok(encoded) => writer.add(encoded)?,
                        Err(error) if *wanted => return Err(error),
                        Err(_) => {}
                    }
                }
            }
            Ok(())
        })?;
        listener.hear(Said::End);
        Ok(())
    }
}

/// The store, and where the asked pairs are in it, if all of them are there and the whole file is as it was written.
fn complete(
    opened: std::result::Result<Opened, Unusable>,
    asked: &[&str],
) -> std::result::Result<Found, Box<std::result::Result<Opened, Unusable>>> {
    let opened = match opened {
        Ok(opened) if opened.hurt.is_empty() => opened,
        other => return Err(Box::new(other)),
    };
    let places: Option<Vec<usize>> = {
        let known = whole(&opened);
        asked.iter().map(|source| known.get(source).copied()).collect()
    };
    match places {
        Some(places) => Ok((Arc::new(opened.store), places)),
        None => Err(Box::new(Ok(opened))),
    }
}

/// Why a file that is there is made again; none if there is no file.
fn reason(opened: &std::result::Result<Opened, Unusable>, asked: &[&str]) -> Option<String> {
    match opened {
        Ok(opened) if !opened.hurt.is_empty() => {
            let (hurt, total) = (opened.hurt.len(), opened.store.records().len());
            Some(format!("{hurt} of its {total} pairs are damaged"))
        }
        Ok(opened) => {
            let known = whole(opened);
            let missing = asked.iter().filter(|source| !known.contains_key(**source)).count();
            Some(format!("{missing} of {} pairs are new or have changed since it was made", asked.len()))
        }
        Err(Unusable::Absent) => None,
        Err(Unusable::OtherVersion) => Some("it was made by another version of pig".to_owned()),
        Err(Unusable::Hurt) => Some("it is damaged".to_owned()),
        Err(Unusable::Io(error)) => Some(format!("it cannot be read ({error})")),
    }
}

/// Goes on without the cache, unless its disk is full: then the pairs may be more than the memory holds.
fn unusable(cache: &Path, error: &io::Error, listener: &dyn Listener) -> Result<Option<Found>> {
    if pig_files::is_full(error) {
        return Err(DataError::FullCache { path: cache.to_path_buf() });
    }
    listener.hear(Said::Warning(format!(
        "the folder for prepared pairs, {}, cannot be used ({error}): they are prepared again at every start and kept in memory; \
         --cache-dir or PIG_CACHE_DIR chooses another folder",
        cache.display()
    )));
    Ok(None)
}

/// Adds the warnings about its pairs to a set.
fn describe(set: &mut PreparedSet, facts: &[Facts], config: &DataConfig, has_masks: bool) {
    let (mut empty, mut full, mut covered, mut from_colour, mut from_gray, mut turned) = (0, 0, 0, 0, 0, 0);
    let others = facts.iter().filter(|found| found.other_values).count();
    for (found, id) in facts.iter().zip(&set.ids) {
        empty += usize::from(!found.lesion_in_file);
        full += usize::from(found.full);
        covered += usize::from(found.mostly_lesion);
        from_colour += usize::from(found.conversion == Conversion::ToGray);
        from_gray += usize::from(found.conversion == Conversion::ToColour);
        turned += usize::from(found.turned);
        if found.lesion_in_file && !found.lesion {
            set.vanished.push(id.clone());
        }
    }
    let total = facts.len();
    let mut warn = |count: usize, text: &str| {
        if count > 0 {
            set.warnings.push(format!("{count} of {total} {text}"));
        }
    };
    warn(
        from_colour,
        "images are in colour and were reduced to gray by Rec. 601 luma (data.channels = 1); data.channels = 3 keeps the colour.",
    );
    warn(from_gray, "images are gray and were copied to three channels (data.channels = 3).");
    warn(turned, "images carry an orientation tag and were turned as it says.");
    if !has_masks {
        return;
    }
    warn(set.vanished.len(), "masks have lesion in the file but none at this size; raise data.size.");
    if config.has_several_classes() {
        for (class, ClassConfig { name, .. }) in config.classes.iter().enumerate() {
            let has = |bits: u32| bits >> class & 1 == 1;
            let lost = facts.iter().filter(|found| has(found.classes[0]) && !has(found.classes[1])).count();
            let text =
                format!("masks have the class {name:?} in the file but none of it at this size; raise data.size.");
            warn(lost, &text);
        }
    }
    let swapped = exchanged(covered, total - empty, "data");
    if swapped.is_none() {
        warn(full, "masks cover the whole image; check that lesion and background are not swapped.");
    }
    if empty == total {
        warn(empty, "masks are empty: nothing can be learnt about lesions. Check data.mask_values.");
    }
    set.warnings.extend(swapped);
    set.warnings.extend(other_values(others, total, "data"));
    for taken in [Taken::Indices, Taken::Grays] {
        let of = |found: &&Facts| found.other_order == Some(taken == Taken::Indices);
        set.warnings.extend(other_order(facts.iter().filter(of).count(), total, None, taken));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A full disk is named: pairs that do not fit on it may not fit in memory either. Whatever else is wrong costs time alone.
    #[test]
    fn a_full_disk_is_an_error_and_anything_else_is_a_warning() {
        let heard = Mutex::new(Vec::new());
        let listener = |said: Said| heard.lock().unwrap().push(said);
        let found = |kind: io::ErrorKind| unusable(Path::new("cache"), &kind.into(), &listener);
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let message = found(kind).unwrap_err().to_string();
            assert!(message.starts_with("cache: cannot keep the prepared pairs: the disk is full"), "{message}");
            assert!(message.contains("pig cache clear") && message.contains("--no-cache"), "{message}");
        }
        assert_eq!(*heard.lock().unwrap(), []);
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            assert!(found(kind).unwrap().is_none());
        }
        assert_eq!(heard.lock().unwrap().len(), 2);
    }
}
