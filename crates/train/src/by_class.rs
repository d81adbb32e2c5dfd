//! Pairs that are chosen among samples, so that wanted shares of them hold a class.
//!
//! Samples are looked at in the order of their seeds, and one is taken unless its classes are no longer wanted: each class has a number of
//! pairs that hold it, and a number of pairs that do not. So the chosen pairs with a class are drawn as all samples with this class
//! are, and likewise those without it. What was looked at is kept in `chosen.json`, so that a sampling goes on where it stopped.

use crate::{Error, Result, config::require, samples::Samples};
use pig_data::{DataConfig, classes::Coding};
use pig_files::write_json;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// The file that tells the choice, in the folder of the pairs.
const CHOSEN: &str = "chosen.json";

/// The name of lesion where masks tell no classes apart.
const LESION: &str = "lesion";

/// For each pair, at most so many samples are looked at.
const MOST_FOR_EACH: u64 = 50;

/// Shares of pairs that hold a class, by the names of classes: from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassShares(pub BTreeMap<String, f64>);

impl ClassShares {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What was chosen, as the file tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The wanted shares.
    pub shares: ClassShares,
    /// The number of pairs to choose.
    pub pairs: usize,
    /// The hash of the settings of these samples.
    pub settings_hash: String,
    /// The hash of their model.
    pub model_hash: String,
    /// The names of the classes of the bits below, the lowest first.
    pub classes: Vec<String>,
    /// Of every sample that was looked at, in the order of seeds from 0, the classes that it holds, as bits.
    pub held: Vec<u32>,
    /// The seeds of the chosen pairs.
    pub chosen: Vec<u64>,
}

impl Choice {
    /// The share of the samples that hold each wanted class, without a choice.
    pub fn natural(&self) -> Vec<(&str, f64)> {
        let looked = self.held.len().max(1) as f64;
        let wanted = self.classes.iter().enumerate().filter(|(_, name)| self.shares.0.contains_key(*name));
        wanted
            .map(|(index, name)| {
                let holding = self.held.iter().filter(|bits| **bits >> index & 1 == 1).count();
                (name.as_str(), holding as f64 / looked)
            })
            .collect()
    }

    /// The choice in a sentence.
    pub fn sentence(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let of = |(name, natural): (&str, f64)| {
            let wanted = self.shares.0.get(name).copied().unwrap_or(0.0);
            format!("{name} in {} ({} without a choice)", percent(wanted), percent(natural))
        };
        let classes: Vec<String> = self.natural().into_iter().map(of).collect();
        format!("chosen by class: {} pairs of {} samples, {}", self.chosen.len(), self.held.len(), classes.join(", "))
    }
}

/// How many more pairs are wanted with each class, and without it.
#[derive(Clone)]
struct Quota {
    /// The bit of each wanted class.
    bits: Vec<usize>,
    with: Vec<usize>,
    without: Vec<usize>,
}

impl Quota {
    fn new(shares: &ClassShares, classes: &[String], pairs: usize) -> Self {
        let mut quota = Self { bits: Vec::new(), with: Vec::new(), without: Vec::new() };
        for (bit, name) in classes.iter().enumerate() {
            if let Some(share) = shares.0.get(name) {
                let with = (share * pairs as f64).round() as usize;
                quota.bits.push(bit);
                quota.with.push(with.min(pairs));
                quota.without.push(pairs - with.min(pairs));
            }
        }
        quota
    }

    /// Takes a sample that holds these classes, if it is wanted.
    fn takes(&mut self, held: u32) -> bool {
        let has = |bit: usize| held >> bit & 1 == 1;
        let left = |at: usize, bit: usize| if has(bit) { self.with[at] } else { self.without[at] };
        let is_wanted = self.bits.iter().enumerate().all(|(at, &bit)| left(at, bit) > 0);
        if is_wanted {
            for (at, &bit) in self.bits.iter().enumerate() {
                let left = if has(bit) { &mut self.with[at] } else { &mut self.without[at] };
                *left -= 1;
            }
        }
        is_wanted
    }
}

/// What a choice needs of a sampling.
pub(crate) struct Chooser<'a> {
    /// The wanted shares.
    pub(crate) shares: &'a ClassShares,
    /// The number of pairs to choose.
    pub(crate) pairs: usize,
    /// The samples that are made at once.
    pub(crate) batch: usize,
    /// The hashes of the settings and of the model.
    pub(crate) hashes: [&'a str; 2],
    /// The classes.
    pub(crate) data: &'a DataConfig,
    /// The folder of the pairs.
    pub(crate) folder: &'a Path,
}

/// The parts of a sampling: making samples, and writing them.
pub(crate) trait Maker {
    /// Makes the samples of these seeds; none if the user asked to stop. `chosen` pairs are there already.
    fn make(&mut self, seeds: &[u64], chosen: usize) -> Result<Option<Samples>>;
    /// The label map of a sample.
    fn mask(&self, samples: &Samples, index: usize) -> Vec<u8>;
    /// Whether the pair of a seed is written.
    fn is_written(&self, seed: u64) -> bool;
    /// Writes the pair of a sample.
    fn write(&mut self, samples: &Samples, index: usize, seed: u64) -> Result<()>;
}

impl Chooser<'_> {
    /// Refuses shares of classes that there are not, and shares that are none.
    pub(crate) fn check(&self) -> Result<()> {
        let names = class_names(self.data);
        for (name, share) in &self.shares.0 {
            let key = format!("--classes {name}");
            let expected = format!("shares of {}", names.join(", "));
            require(names.contains(name), &key, percent(*share), &expected)?;
            require((0.0..=1.0).contains(share), &key, percent(*share), "0 to 100 %")?;
        }
        Ok(())
    }

    /// Chooses the pairs; whether all were chosen, or the user asked to stop, the file tells how far it came.
    pub(crate) fn choose(&self, maker: &mut dyn Maker) -> Result<(Choice, bool)> {
        let classes = class_names(self.data);
        let mut choice = self.begun(&classes)?;
        let mut quota = Quota::new(self.shares, &classes, self.pairs);
        let most = self.pairs as u64 * MOST_FOR_EACH;
        let mut next = 0_u64;
        while choice.chosen.len() < self.pairs {
            if next >= most {
                write_json(&self.folder.join(CHOSEN), &choice)?;
                return Err(too_few(&choice));
            }
            let seeds: Vec<u64> = (next..next + self.batch as u64).collect();
            next += seeds.len() as u64;
            // What was looked at before needs not be made again if what was taken of it is written.
            let known = |seed: u64| choice.held.get(seed as usize).copied();
            let bits: Option<Vec<u32>> = seeds.iter().map(|&seed| known(seed)).collect();
            if let Some(bits) = bits
                && let Some(taken) = self.taken_again(&mut quota, &seeds, &bits, choice.chosen.len(), maker)
            {
                choice.chosen.extend(taken);
                continue;
            }
            let Some(samples) = maker.make(&seeds, choice.chosen.len())? else { return Ok((choice, false)) };
            for (index, &seed) in seeds.iter().enumerate() {
                let held = held(&maker.mask(&samples, index), self.data.coding());
                if choice.held.len() as u64 == seed {
                    choice.held.push(held);
                }
                if choice.chosen.len() < self.pairs && quota.takes(held) {
                    if !maker.is_written(seed) {
                        maker.write(&samples, index, seed)?;
                    }
                    choice.chosen.push(seed);
                }
            }
            write_json(&self.folder.join(CHOSEN), &choice)?;
        }
        write_json(&self.folder.join(CHOSEN), &choice)?;
        Ok((choice, true))
    }

    /// The seeds that are taken of samples that were looked at before; none, and nothing is taken, if one of these pairs is not written.
    fn taken_again(
        &self,
        quota: &mut Quota,
        seeds: &[u64],
        bits: &[u32],
        chosen: usize,
        maker: &dyn Maker,
    ) -> Option<Vec<u64>> {
        let mut next = quota.clone();
        let mut taken = Vec::new();
        for (&seed, &held) in seeds.iter().zip(bits) {
            if chosen + taken.len() < self.pairs && next.takes(held) {
                taken.push(seed);
            }
        }
        if !taken.iter().all(|&seed| maker.is_written(seed)) {
            return None;
        }
        *quota = next;
        Some(taken)
    }

    /// What the folder's file says of the same samples, with nothing chosen yet; else nothing.
    fn begun(&self, classes: &[String]) -> Result<Choice> {
        let [settings_hash, model_hash] = self.hashes.map(str::to_owned);
        let mut own = Choice {
            shares: self.shares.clone(),
            pairs: self.pairs,
            settings_hash,
            model_hash,
            classes: classes.to_vec(),
            held: Vec::new(),
            chosen: Vec::new(),
        };
        let path = self.folder.join(CHOSEN);
        let bytes = match pig_files::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(own),
            Err(error) => return Err(Error::io(&path, "read")(error)),
        };
        let found: Choice = serde_json::from_slice(&bytes).map_err(|error| Error::BadFile {
            path,
            problem: error.to_string(),
            advice: "remove it, and samples are looked at again",
        })?;
        if [&found.settings_hash, &found.model_hash] == [&own.settings_hash, &own.model_hash]
            && found.classes == classes
        {
            own.held = found.held;
        }
        Ok(own)
    }
}

/// The names of the classes, or lesion.
fn class_names(data: &DataConfig) -> Vec<String> {
    let names: Vec<String> = data.classes.iter().map(|class| class.name.clone()).collect();
    if names.is_empty() { vec![LESION.to_owned()] } else { names }
}

/// The classes that a label map holds, as bits.
fn held(labels: &[u8], coding: Coding) -> u32 {
    coding.areas(labels).iter().enumerate().filter(|(_, area)| **area > 0).fold(0, |bits, (class, _)| bits | 1 << class)
}

fn percent(share: f64) -> String {
    format!("{}%", 100.0 * share)
}

fn too_few(choice: &Choice) -> Error {
    let natural: Vec<String> =
        choice.natural().into_iter().map(|(name, share)| format!("{name} in {:.1} %", 100.0 * share)).collect();
    Error::TooLittle {
        found: format!(
            "--classes: {} of {} pairs could be chosen among {} samples, which hold {}",
            choice.chosen.len(),
            choice.pairs,
            choice.held.len(),
            natural.join(", ")
        ),
        expected: "shares nearer to those of the samples; the chosen pairs are kept",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_data::ClassConfig;

    /// Samples whose classes are those of a table, over and over; each holds a pixel of each of its classes.
    struct Table {
        held: Vec<u32>,
        made: usize,
        written: Vec<u64>,
        /// Stops when so many samples are made.
        until: usize,
    }

    impl Maker for Table {
        fn make(&mut self, seeds: &[u64], _chosen: usize) -> Result<Option<Samples>> {
            self.made += seeds.len();
            let of = |seed: &u64| {
                let held = self.held[*seed as usize % self.held.len()];
                (0..2).map(|bit| (held >> bit & 1) as f32).collect::<Vec<f32>>()
            };
            let samples = Samples { masks: seeds.iter().map(of).collect(), images: Vec::new() };
            Ok((self.made <= self.until).then_some(samples))
        }

        fn mask(&self, samples: &Samples, index: usize) -> Vec<u8> {
            // A pixel for each class that it holds.
            samples.masks[index]
                .iter()
                .enumerate()
                .map(|(class, &v)| if v > 0.0 { class as u8 + 1 } else { 0 })
                .collect()
        }

        fn is_written(&self, seed: u64) -> bool {
            self.written.contains(&seed)
        }

        fn write(&mut self, _samples: &Samples, _index: usize, seed: u64) -> Result<()> {
            self.written.push(seed);
            Ok(())
        }
    }

    fn table(held: &[u32]) -> Table {
        Table { held: held.to_vec(), made: 0, written: Vec::new(), until: usize::MAX }
    }

    fn data() -> DataConfig {
        let class = |name: &str| ClassConfig { name: name.to_owned(), ..ClassConfig::default() };
        DataConfig { classes: vec![class("mass"), class("cyst")], ..DataConfig::default() }
    }

    fn shares(of: &[(&str, f64)]) -> ClassShares {
        ClassShares(of.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect())
    }

    fn chooser<'a>(shares: &'a ClassShares, data: &'a DataConfig, folder: &'a Path, pairs: usize) -> Chooser<'a> {
        Chooser { shares, pairs, batch: 4, hashes: ["s", "m"], data, folder }
    }

    #[test]
    fn the_wanted_shares_are_exact_and_a_stop_changes_nothing() {
        let (folder, data) = (tempfile::tempdir().unwrap(), data());
        // One in five samples holds the mass, two in five the cyst.
        let held = [0b00, 0b10, 0b01, 0b00, 0b10];
        let wanted = shares(&[("mass", 0.4), ("cyst", 0.3)]);
        let mut whole = table(&held);
        let (found, is_done) = chooser(&wanted, &data, folder.path(), 20).choose(&mut whole).unwrap();
        assert!(is_done && found.chosen == whole.written);
        let count = |bit: u32| found.chosen.iter().filter(|&&s| held[s as usize % 5] >> bit & 1 == 1).count();
        assert_eq!((found.chosen.len(), count(0), count(1)), (20, 8, 6));
        assert!(found.sentence().contains("mass in 40.0 % (20"), "{}", found.sentence());
        // Stopped after eight samples and continued: the same pairs, and nothing is made twice.
        let other = tempfile::tempdir().unwrap();
        let mut parted = Table { until: 8, ..table(&held) };
        let (_, is_done) = chooser(&wanted, &data, other.path(), 20).choose(&mut parted).unwrap();
        assert!(!is_done);
        (parted.until, parted.made) = (usize::MAX, 0);
        let (again, _) = chooser(&wanted, &data, other.path(), 20).choose(&mut parted).unwrap();
        assert_eq!((again.chosen, parted.made), (found.chosen.clone(), whole.made - 8));
        // Done once, nothing is made.
        parted.made = 0;
        assert_eq!(chooser(&wanted, &data, other.path(), 20).choose(&mut parted).unwrap().0.chosen, found.chosen);
        assert_eq!(parted.made, 0);
        // A pair that was removed is made again.
        parted.written.retain(|&seed| seed != found.chosen[0]);
        chooser(&wanted, &data, other.path(), 20).choose(&mut parted).unwrap();
        assert_eq!(parted.made, 4);
        assert!(parted.is_written(found.chosen[0]));
    }

    #[test]
    fn what_cannot_be_chosen_is_refused_with_what_there_is() {
        let (folder, data) = (tempfile::tempdir().unwrap(), data());
        for (name, share, words) in
            [("tumour", 0.5, "shares of mass, cyst"), ("mass", 1.5, "150%"), ("mass", f64::NAN, "0 to 100 %")]
        {
            let wanted = shares(&[(name, share)]);
            let message = chooser(&wanted, &data, folder.path(), 2).check().unwrap_err().to_string();
            assert!(message.contains(words) && message.contains("--classes"), "{words}: {message}");
        }
        let wanted = shares(&[("mass", 1.0)]);
        let error = chooser(&wanted, &data, folder.path(), 2).choose(&mut table(&[0b10])).unwrap_err().to_string();
        assert!(error.contains("0 of 2 pairs could be chosen among 100 samples, which hold mass in 0.0 %"), "{error}");
        // Without several classes, lesion can be wanted.
        let plain = DataConfig::default();
        let wanted = shares(&[("lesion", 0.5)]);
        chooser(&wanted, &plain, folder.path(), 2).check().unwrap();
    }
}
