//! Prepared pairs in the cache: the values are those of pairs in memory, the file is made once, and whatever is wrong with it is noticed.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use common::{colour8, folders, gray8, gray16};
use pig_data::cache::{clear, entries};
use pig_data::config::{Crop, Intensity, Resize};
use pig_data::loading::{Listener, Said};
use pig_data::{Channels, DataConfig, DataError, Dataset, PairEntry, Preparation, PreparedSet};
use tempfile::{TempDir, tempdir};

/// A data folder and a cache beside it.
struct Place(TempDir);

impl Place {
    /// With eight pairs.
    fn new() -> Self {
        let place = Self(tempdir().unwrap());
        folders(&place.data(), 8);
        place
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    fn dataset(&self) -> Dataset {
        Dataset::discover(&self.data(), &DataConfig::default()).unwrap()
    }

    fn preparation(&self, config: &DataConfig) -> Preparation {
        let dataset = self.dataset();
        Preparation::fit(&dataset, &dataset.ids(), config).unwrap()
    }

    /// Loads the wanted pairs through the cache; also returns what was said.
    fn load(
        &self,
        preparation: &Preparation,
        wanted: &dyn Fn(&PairEntry) -> bool,
    ) -> (Result<PreparedSet, DataError>, Vec<Said>) {
        let heard = Mutex::new(Vec::new());
        let listener = |said: Said| heard.lock().unwrap().push(said);
        let set = preparation.load_from(&self.dataset(), wanted, Some(&self.cache()), &listener);
        (set, heard.into_inner().unwrap())
    }

    fn load_all(&self, config: &DataConfig) -> (PreparedSet, Vec<Said>) {
        let (set, said) = self.load(&self.preparation(config), &|_| true);
        (set.unwrap(), said)
    }

    /// The one file of pairs in the cache.
    fn file(&self) -> PathBuf {
        let found = entries(&self.cache()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].path.join("pairs.bin")
    }
}

fn config(size: [usize; 2]) -> DataConfig {
    DataConfig { size, ..DataConfig::default() }
}

/// Whether pairs were prepared.
fn made(said: &[Said]) -> bool {
    said.iter().any(|said| matches!(said, Said::Begin(_)))
}

/// The warnings and notes, as one text.
fn text(said: &[Said]) -> String {
    let texts = said.iter().filter_map(|said| match said {
        Said::Note(text) | Said::Warning(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// All values of a set, as bits.
fn bits(set: &PreparedSet) -> Vec<u32> {
    let values = (0..set.len()).flat_map(|index| [set.image(index).unwrap(), set.mask(index).unwrap()].concat());
    values.map(f32::to_bits).collect()
}

fn assert_same(one: &PreparedSet, other: &PreparedSet) {
    assert_eq!((&one.ids, &one.groups, &one.vanished), (&other.ids, &other.groups, &other.vanished));
    assert_eq!(
        (one.size, one.slices, one.channels, &one.warnings),
        (other.size, other.slices, other.channels, &other.warnings)
    );
    assert!(bits(one) == bits(other), "other values");
    assert_eq!(one.sha256().unwrap(), other.sha256().unwrap());
}

/// Whole values as bytes or as two bytes, fractions of resized pictures and of colours, ranges of single images, padding, crops, slices.
#[test]
fn pairs_of_a_file_are_those_in_memory_bit_for_bit() {
    let place = Place(tempdir().unwrap());
    for index in 0..5_u32 {
        let name = format!("{index}.png");
        let path = |set: &str, part: &str| place.0.path().join(set).join(part).join(&name);
        for set in ["gray", "deep", "colour"] {
            gray8(&path(set, "masks"), 12, 8, |x, y| if x > index && y < 5 && index != 3 { 255 } else { 0 });
        }
        let edge = |x: u32, value: u32| if x < 2 { 0 } else { value };
        gray8(&path("gray", "images"), 12, 8, |x, y| edge(x, 17 * x + 3 * y + index) as u8);
        gray16(&path("deep", "images"), 12, 8, |x, y| edge(x, 3000 * x + 11 * y + 900 * index) as u16);
        colour8(&path("colour", "images"), 12, 8, |x, y| [edge(x, 20 * x) as u8, (30 * y) as u8, (9 * index) as u8]);
    }
    let configs = [
        config([8, 12]),
        config([5, 7]),
        DataConfig { resize: Resize::Pad, ..config([10, 10]) },
        DataConfig { crop: Crop::BlankBorders, ..config([8, 8]) },
        DataConfig { intensity: Intensity::PerImage, ..config([8, 12]) },
        DataConfig { intensity: Intensity::DatasetPercentile, ..config([4, 6]) },
        DataConfig { slices: 2, ..config([8, 12]) },
        DataConfig { slices: 4, resize: Resize::Pad, ..config([16, 6]) },
        DataConfig { channels: Channels::Count(3), ..config([8, 12]) },
        DataConfig { channels: Channels::Count(1), ..config([8, 12]) },
    ];
    for set in ["gray", "deep", "colour"] {
        let dataset = Dataset::discover(&place.0.path().join(set), &DataConfig::default()).unwrap();
        for config in &configs {
            let preparation = Preparation::fit(&dataset, &dataset.ids(), config).unwrap();
            let held = preparation.load(&dataset, &|_, _| {}).unwrap();
            for _ in 0..2 {
                let set = preparation.load_from(&dataset, &|_| true, Some(&place.cache()), &|_| {}).unwrap();
                assert_same(&set, &held);
            }
            // Some of the pairs, as a fold has them; the warnings are about these alone.
            let wanted = |pair: &PairEntry| matches!(pair.id.as_str(), "1" | "3");
            let some = preparation.load_from(&dataset, &wanted, Some(&place.cache()), &|_| {}).unwrap();
            assert_same(&some, &preparation.load_from(&dataset, &wanted, None, &|_| {}).unwrap());
            assert_eq!(bits(&some), bits(&held.subset(&[1, 3])));
        }
    }
}

#[test]
fn the_file_is_made_once_for_every_split_and_map_of_intensities() {
    let place = Place::new();
    let (set, said) = place.load_all(&config([6, 8]));
    assert!(made(&said) && text(&said).contains("are kept in"), "{said:?}");
    let file = place.file();
    assert!(text(&said).contains(file.to_str().unwrap()), "{said:?}");
    let percentiles = DataConfig { intensity: Intensity::DatasetPercentile, ..config([6, 8]) };
    for (ids, wanted) in [(["a00", "a01"], ["a02", "a03"]), (["a04", "a05"], ["a00", "a07"])] {
        let preparation = Preparation::fit(&place.dataset(), &ids.map(str::to_owned), &percentiles).unwrap();
        let (found, said) = place.load(&preparation, &|pair| wanted.contains(&pair.id.as_str()));
        assert!(!made(&said) && text(&said).contains("are read from"), "{said:?}");
        assert_eq!(found.unwrap().ids, wanted);
    }
    assert_eq!(place.file(), file);
    // Sets of pairs that were read in another way, and of several files.
    let mut joined = set.subset(&[3, 1]);
    joined.append(&place.load_all(&DataConfig { resize: Resize::Pad, ..config([6, 8]) }).0.subset(&[0, 3]));
    joined.rotate_masks(1);
    assert_eq!(joined.ids, ["a03", "a01", "a00", "a03"]);
    assert_eq!((joined.image(0).unwrap(), joined.mask(3).unwrap()), (set.image(3).unwrap(), set.mask(3).unwrap()));
    assert_eq!(entries(&place.cache()).unwrap().len(), 2, "another resize is another preparation");
}

/// The hash of a set is remembered beside the file, and only for exactly these values.
#[test]
fn the_hash_is_remembered_for_the_same_values_alone() {
    let place = Place::new();
    let preparation = |high: f64| Preparation {
        intensity: pig_data::intensity::IntensityMap::Window { low: 0.0, high },
        ..place.preparation(&config([6, 8]))
    };
    for high in [255.0, 200.0, 255.0] {
        let held = preparation(high).load(&place.dataset(), &|_, _| {}).unwrap();
        let set = place.load(&preparation(high), &|_| true).0.unwrap();
        for indices in [vec![0, 1, 2], vec![2, 1, 0], vec![]] {
            for _ in 0..2 {
                assert_eq!(set.subset(&indices).sha256().unwrap(), held.subset(&indices).sha256().unwrap());
            }
        }
        let mut exchanged = set.subset(&[0, 1]);
        exchanged.groups[0].push('x');
        assert_ne!(exchanged.sha256().unwrap(), set.subset(&[0, 1]).sha256().unwrap());
    }
    let hashes = place.file().with_file_name("hashes.json");
    let known: std::collections::BTreeMap<String, String> =
        serde_json::from_slice(&std::fs::read(&hashes).unwrap()).unwrap();
    assert_eq!(known.len(), 10, "five sets of each map");
    // It is taken without reading the pairs.
    let text = std::fs::read_to_string(&hashes).unwrap();
    let set = place.load(&preparation(255.0), &|_| true).0.unwrap().subset(&[0, 1, 2]);
    let real = set.sha256().unwrap();
    std::fs::write(&hashes, text.replace(&real, "told")).unwrap();
    assert_eq!(set.sha256().unwrap(), "told");
    std::fs::write(&hashes, "damaged").unwrap();
    assert_eq!(set.sha256().unwrap(), real);
}

#[test]
fn changed_sources_are_prepared_again() {
    let place = Place::new();
    let before = place.load_all(&config([6, 8])).0;
    // The same size in bytes: only the times tell.
    gray8(&place.data().join("images/a02.png"), 8, 6, |x, y| (x * 30 + y + 77) as u8);
    gray8(&place.data().join("masks/a05.png"), 8, 6, |x, y| if x < 3 && y < 4 { 255 } else { 0 });
    let (after, said) = place.load_all(&config([6, 8]));
    assert!(made(&said) && text(&said).contains("2 of 8 pairs are new or have changed"), "{said:?}");
    assert_same(&after, &place.preparation(&config([6, 8])).load(&place.dataset(), &|_, _| {}).unwrap());
    assert_ne!(after.image(2).unwrap(), before.image(2).unwrap());
    // A set that was opened before still has the old values: its file was replaced, not changed.
    assert_eq!(before.subset(&[5]).mask(0).unwrap().iter().filter(|&&value| value > 0.0).count(), 12);
    // A pair more, and a pair less.
    std::fs::copy(place.data().join("images/a00.png"), place.data().join("images/b.png")).unwrap();
    std::fs::copy(place.data().join("masks/a00.png"), place.data().join("masks/b.png")).unwrap();
    assert!(text(&place.load_all(&config([6, 8])).1).contains("1 of 9 pairs are new"));
    for part in ["images", "masks"] {
        std::fs::remove_file(place.data().join(part).join("a01.png")).unwrap();
    }
    let (fewer, said) = place.load_all(&config([6, 8]));
    assert!(!made(&said) && fewer.len() == 8, "the others are still there: {said:?}");
}

#[test]
fn a_damaged_file_is_made_again() {
    let place = Place::new();
    let (whole, _) = place.load_all(&config([6, 8]));
    let file = place.file();
    let bytes = std::fs::read(&file).unwrap();
    let mut damages: Vec<(Vec<u8>, &str)> = Vec::new();
    let flipped = |at: usize| {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        changed
    };
    // A head of 16 bytes, eight pairs of 48 + 6 bytes, the table, and an end of 88 bytes.
    let pairs = 16 + 8 * 54;
    for at in [0, 7] {
        damages.push((flipped(at), "it is damaged; it is made again"));
    }
    damages.push((flipped(8), "another version"));
    for at in [16, 63, 64, pairs - 1] {
        damages.push((flipped(at), "1 of its 8 pairs are damaged"));
    }
    for at in
        [pairs, pairs + 200, bytes.len() - 89, bytes.len() - 88, bytes.len() - 75, bytes.len() - 30, bytes.len() - 1]
    {
        damages.push((flipped(at), "it is damaged"));
    }
    for length in [0, 10, 16, 100, pairs, bytes.len() - 1] {
        damages.push((bytes[..length].to_vec(), "it is damaged"));
    }
    damages.push(([&bytes[..], b"more"].concat(), "it is damaged"));
    for (damaged, expected) in damages {
        std::fs::write(&file, &damaged).unwrap();
        let (set, said) = place.load_all(&config([6, 8]));
        assert!(made(&said) && text(&said).contains(expected), "{expected}: {said:?}");
        assert!(text(&said).contains(file.to_str().unwrap()), "{said:?}");
        assert_same(&set, &whole);
        assert!(std::fs::read(&file).unwrap() == bytes, "the file is as it was");
    }
}

#[test]
fn a_file_that_is_changed_in_use_is_an_error() {
    let place = Place::new();
    drop(place.load_all(&config([6, 8])));
    for length in [0, 20, 16 + 8 * 54] {
        let set = place.load_all(&config([6, 8])).0;
        let mut bytes = std::fs::read(place.file()).unwrap();
        bytes[20] ^= 1;
        bytes.truncate(length);
        std::fs::write(place.file(), &bytes).unwrap();
        let message = set.image(0).unwrap_err().to_string();
        assert!(message.contains("pairs.bin: it was changed while pig was using it"), "{message}");
    }
    let set = place.load_all(&config([6, 8])).0;
    std::fs::remove_dir_all(place.cache()).unwrap();
    assert_eq!(set.image(1).unwrap().len(), 48, "a removed file is still read");
}

/// A cache that cannot be used costs time, not the job. (A file in its place is refused to everybody, even to root.)
#[test]
fn without_a_usable_cache_pairs_are_kept_in_memory() {
    let place = Place::new();
    std::fs::write(place.cache(), "no folder").unwrap();
    let (set, said) = place.load_all(&config([6, 8]));
    assert!(made(&said) && text(&said).contains("cannot be used"), "{said:?}");
    assert_same(&set, &place.preparation(&config([6, 8])).load(&place.dataset(), &|_, _| {}).unwrap());
}

#[test]
#[cfg(unix)]
fn others_may_not_read_the_cache() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    drop(place.load_all(&config([6, 8])));
    let mode = std::fs::metadata(place.cache()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
    assert!(
        std::fs::read_to_string(place.cache().join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f597d28d172")
    );
}

/// Of several at once, one prepares the pairs, and the others wait and read them.
#[test]
fn several_at_once_make_one_file() {
    let place = Place::new();
    let preparation = place.preparation(&config([6, 8]));
    let expected = preparation.load(&place.dataset(), &|_, _| {}).unwrap();
    let heard: Vec<Vec<Said>> = std::thread::scope(|scope| {
        let load = || {
            let (set, said) = place.load(&preparation, &|_| true);
            assert_same(&set.unwrap(), &expected);
            said
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(load)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(heard.iter().filter(|said| made(said)).count(), 1, "{heard:?}");
}

/// Another process holds the lock for ever: whoever waits can be stopped.
#[test]
fn waiting_for_another_process_can_be_stopped() {
    struct Impatient(Mutex<Vec<Said>>);
    impl Listener for Impatient {
        fn hear(&self, said: Said) {
            self.0.lock().unwrap().push(said);
        }

        fn stop_requested(&self) -> bool {
            self.0
                .lock()
                .unwrap()
                .iter()
                .any(|said| matches!(said, Said::Note(text) if text.contains("waiting for another")))
        }
    }
    let place = Place::new();
    drop(place.load_all(&config([6, 8])));
    let file = place.file();
    let _lock = pig_files::lock(file.parent().unwrap(), &|_| false).unwrap().mine().unwrap();
    let preparation = place.preparation(&config([6, 8]));
    assert!(!made(&place.load(&preparation, &|_| true).1), "a file that is whole needs no lock");
    std::fs::write(&file, "hurt").unwrap();
    let listener = Impatient(Mutex::default());
    let stopped = preparation.load_from(&place.dataset(), &|_| true, Some(&place.cache()), &listener).unwrap_err();
    assert!(matches!(stopped, DataError::StoppedWaiting { .. }), "{stopped}");
    assert_eq!(clear(&place.cache(), None, None).unwrap().busy.len(), 1, "what is being made is not cleared");
}

/// A picture that cannot be read is an error for whoever asks for it, and for nobody else.
#[test]
fn a_pair_that_cannot_be_prepared_troubles_only_who_wants_it() {
    let place = Place::new();
    let broken = place.data().join("images/a04.png");
    let bytes = std::fs::read(&broken).unwrap();
    let cut = |path: &Path| std::fs::write(path, &bytes[..bytes.len() - 20]).unwrap();
    let preparation = place.preparation(&config([6, 8]));
    cut(&broken);
    for _ in 0..2 {
        let set = place.load(&preparation, &|pair| pair.id != "a04").0.unwrap();
        assert_eq!(set.len(), 7);
        let message = place.load(&preparation, &|_| true).0.unwrap_err().to_string();
        assert!(message.contains("a04.png"), "{message}");
    }
}

#[test]
fn entries_are_listed_and_cleared() {
    let place = Place::new();
    assert_eq!(entries(&place.cache()).unwrap(), []);
    assert_eq!(clear(&place.cache(), None, None).unwrap(), pig_data::cache::Cleared::default());
    for size in [[6, 8], [3, 4]] {
        drop(place.load_all(&config(size)));
    }
    let found = entries(&place.cache()).unwrap();
    let sizes: Vec<_> = found.iter().map(|entry| entry.of.as_ref().unwrap().size).collect();
    assert!(sizes.contains(&[6, 8]) && sizes.contains(&[3, 4]), "{found:?}");
    let of = found[0].of.as_ref().unwrap();
    assert_eq!((of.pairs, of.channels, of.folder.clone()), (8, 1, place.data().canonicalize().unwrap()));
    assert!(found.iter().all(|entry| entry.bytes > 400 && entry.used.is_some()), "{found:?}");
    let day = Duration::from_hours(24);
    assert_eq!(clear(&place.cache(), Some(day), None).unwrap().kept, 2);
    assert_eq!(clear(&place.cache(), None, Some(place.0.path())).unwrap().kept, 2, "another data folder");
    // The first was used last: the other one is old now.
    let old = std::fs::File::options().write(true).open(found[1].path.join("pairs.bin")).unwrap();
    old.set_modified(std::time::SystemTime::now() - 2 * day).unwrap();
    let cleared = clear(&place.cache(), Some(day), Some(&place.data())).unwrap();
    assert_eq!((cleared.removed.len(), cleared.kept, cleared.removed[0].path.clone()), (1, 1, found[1].path.clone()));
    std::fs::write(found[0].path.join("pairs.bin"), "hurt").unwrap();
    assert_eq!(entries(&place.cache()).unwrap()[0].of, None);
    assert_eq!(clear(&place.cache(), None, None).unwrap().removed.len(), 1);
    assert_eq!(entries(&place.cache()).unwrap(), []);
}
