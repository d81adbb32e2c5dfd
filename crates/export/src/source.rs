//! Which pairs are exported, under which names, and what is known about each.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use pig_data::class_source::resolve;
use pig_data::colour::Colours;
use pig_data::curation::{COLUMN, Choice, choices};
use pig_data::read::read_header;
use pig_data::write::keyword;
use pig_data::{DataConfig, Dataset, GroupSource, PairEntry};
use sha2::{Digest, Sha256};

use crate::error::{ExportError, Result};
use crate::pair::{Origin, Pair};
use crate::pixels::text_of;
use crate::place::{Place, Places};
use crate::request::{Amount, Request};

/// The longest stem in characters; leaves room for folders and endings in the names of a tar file.
const LONGEST_STEM: usize = 64;

/// The pairs of one export.
#[derive(Debug)]
pub(crate) struct Pairs {
    pub(crate) list: Vec<Pair>,
    /// 1 or 3, the same for all.
    pub(crate) channels: usize,
    /// 8 or 16, the same for all.
    pub(crate) bit_depth: u8,
    /// How masks are read, with the classes that the data name.
    pub(crate) data: DataConfig,
    /// Where the groups come from that a split of the real pairs keeps together.
    pub(crate) group_source: GroupSource,
    /// Warnings for a split of the real pairs.
    pub(crate) split_warnings: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// What was left out.
    pub(crate) notes: Vec<String>,
}

/// One folder's pairs before they are named.
struct Folder {
    pairs: Vec<Found>,
    /// Says what was left out: files of the folder, and pairs by the column `curated`.
    left_out: Vec<String>,
    group_source: GroupSource,
    warnings: Vec<String>,
    /// The settings by which its masks are read, with the classes that they name.
    data: DataConfig,
}

/// A pair with what the manifest and its files' headers say about it.
struct Found {
    entry: PairEntry,
    place: Place,
    says_generated: bool,
    synthetic: bool,
    choice: Option<Choice>,
    model: Option<String>,
}

impl Pairs {
    /// Warns that a format has no colour.
    pub(crate) fn warn_of_gray(&mut self, format: &str) {
        let total = self.list.len();
        self.warnings.push(format!(
            "the {total} images are in colour, but --format {format} writes gray: they are reduced by Rec. 601 luma; other formats \
             keep the colour."
        ));
    }
}

/// Finds, chooses and names the pairs. Reads only headers, and pixels if some files have colour channels and others do not.
pub(crate) fn gather(request: &Request) -> Result<Pairs> {
    let mut warnings = Vec::new();
    let pairs = match &request.real {
        // The generated pairs have no patients, and name their classes themselves: columns that are set for the real pairs do not apply.
        Some(_) => {
            let data = DataConfig { group_column: None, class_column: None, ..request.data.clone() };
            Folder::read(&request.pairs, &data, request.only_kept)?
        }
        None => Folder::read(&request.pairs, &request.data, request.only_kept)?,
    };
    let mut real = request.real.as_deref().map(|real| Folder::read(real, &request.data, false)).transpose()?;
    if let (Some(real), Some(ids)) = (&mut real, &request.real_ids) {
        real.pairs.retain(|found| ids.contains(&found.entry.id));
    }
    let notes = pairs.left_out.iter().chain(real.iter().flat_map(|real| &real.left_out)).cloned().collect();
    if let Some(real) = &real {
        only_generated(&pairs)?;
        none_generated(real, &mut warnings)?;
    }
    let (generated, mut others): (Vec<_>, Vec<_>) =
        pairs.pairs.into_iter().partition(|found| real.is_some() || found.says_generated);
    let mut group_source = pairs.group_source;
    let mut split_warnings = pairs.warnings;
    // The real pairs say what the classes are; generated ones name theirs, which must be the same.
    let data = real.as_ref().map_or(pairs.data, |real| real.data.clone());
    let merged = real.is_some();
    if let Some(real) = real {
        others = real.pairs;
        group_source = real.group_source;
        split_warnings = real.warnings;
    }
    let generated = choose(generated, others.len(), request)?;
    let mut list = Vec::with_capacity(generated.len() + others.len());
    let mut namer = Namer::default();
    for (origin, found) in [(Origin::Generated, generated), (Origin::Real, others)] {
        for found in found {
            let prefix = if merged { format!("{}_", origin.word()) } else { String::new() };
            let stem = namer.name(&format!("{prefix}{}", found.entry.id));
            // A generated pair beside real ones has no patient, even if a phantom's manifest names one.
            let known = origin == Origin::Real || (!merged && found.entry.group != found.entry.id);
            let group = if known { found.entry.group } else { stem.clone() };
            // What `Dataset::discover` finds has masks.
            let PairEntry { id: source_id, image, mask: Some(mask), .. } = found.entry else { continue };
            let (synthetic, place) = (found.synthetic || origin == Origin::Generated, found.place);
            list.push(Pair { stem, source_id, origin, synthetic, group, image, mask, place });
        }
    }
    let (channels, bit_depth) = pixel_type(&list, &mut warnings)?;
    Ok(Pairs { list, channels, bit_depth, data, group_source, split_warnings, warnings, notes })
}

impl Folder {
    /// Reads a folder without the pairs that its column `curated` leaves out; `only_kept` leaves out those without a decision, too.
    fn read(root: &Path, config: &DataConfig, only_kept: bool) -> Result<Self> {
        let dataset = Dataset::discover(root, config)?;
        let split_warning = dataset.split_warning();
        let data = resolve(&dataset, config)?.0;
        let choices = choices(root)?;
        let mut places = Places::read(&root.join("manifest.csv"))?;
        let pairs = dataset.pairs.into_iter().map(|entry| {
            let text = text_of(&entry.image)?;
            let synthetic = text.get(keyword::SYNTHETIC).is_some_and(|word| word == "yes");
            let place = places.take(&entry.id);
            let says_generated = match place.origin.as_deref() {
                Some(word) => word == Origin::Generated.word(),
                None => synthetic,
            };
            let (model, choice) = (text.get(keyword::MODEL_HASH).cloned(), choices.get(&entry.id).copied());
            Ok(Found { choice, entry, place: place.place, says_generated, synthetic, model })
        });
        let mut pairs = pairs.collect::<Result<Vec<_>>>()?;
        let all = pairs.len();
        pairs.retain(|found| match found.choice {
            Some(Choice::Reject) => false,
            Some(Choice::Keep) => true,
            None => !only_kept,
        });
        let count = all - pairs.len();
        if pairs.is_empty() && count > 0 {
            return Err(ExportError::AllLeftOut { path: root.to_path_buf(), count });
        }
        let rule = if only_kept { "are not marked \"keep\"" } else { "are marked \"reject\"" };
        let told = dataset.left_out.map(|words| format!("{}: {words}", root.display()));
        let rejected = (count > 0).then(|| {
            format!(
                "{}: {count} pair(s) {rule} in the column {COLUMN} of the manifest and are left out",
                root.display()
            )
        });
        let (left_out, warnings) =
            (told.into_iter().chain(rejected).collect(), dataset.warnings.into_iter().chain(split_warning).collect());
        Ok(Self { pairs, left_out, group_source: dataset.group_source, warnings, data })
    }
}

fn only_generated(folder: &Folder) -> Result<()> {
    let mut unmarked = folder.pairs.iter().filter(|found| !found.says_generated);
    match unmarked.next() {
        Some(first) => Err(ExportError::NotGenerated { image: first.entry.image.clone(), count: 1 + unmarked.count() }),
        None => Ok(()),
    }
}

fn none_generated(folder: &Folder, warnings: &mut Vec<String>) -> Result<()> {
    let mut made = folder.pairs.iter().filter_map(|found| Some((found, found.model.as_ref()?)));
    if let Some((first, model)) = made.next() {
        let (image, model) = (first.entry.image.clone(), model.chars().take(12).collect());
        return Err(ExportError::GeneratedAsReal { image, model, count: 1 + made.count() });
    }
    let drawn = folder.pairs.iter().filter(|found| found.synthetic).count();
    if drawn > 0 {
        warnings.push(format!(
            "{drawn} of the pairs in --real are marked as synthetic, as phantoms are; they count as real here and keep \
             their mark."
        ));
    }
    Ok(())
}

/// Chooses the requested number of generated pairs: those whose hash of seed and id comes first, in their old order. A larger
/// choice contains every smaller one.
fn choose(generated: Vec<Found>, real: usize, request: &Request) -> Result<Vec<Found>> {
    let (needed, asked) = match request.amount {
        Amount::All => return Ok(generated),
        Amount::Count(count) => (count, format!("--count {count}")),
        Amount::Share(share) => {
            if !(0.0..1.0).contains(&share) {
                let (found, expected) = (share.to_string(), "a share of generated pairs, at least 0 and below 1");
                return Err(ExportError::Setting { setting: "--share", found, expected });
            }
            let needed = (share / (1.0 - share) * real as f64).round() as usize;
            (needed, format!("--share {share} with {real} real pair(s)"))
        }
    };
    let found = generated.len();
    if needed > found {
        return Err(ExportError::TooFewGenerated { path: request.pairs.clone(), found, needed, asked });
    }
    let ids = generated.iter().map(|found| found.entry.id.as_str());
    let chosen: HashSet<usize> = ranked(ids, request.seed).into_iter().take(needed).collect();
    Ok(generated.into_iter().enumerate().filter(|(index, _)| chosen.contains(index)).map(|(_, found)| found).collect())
}

/// The indices of `names` in the order of the SHA-256 of seed and name: a shuffle in which the order of two names does not
/// depend on the other names.
pub(crate) fn ranked<'a>(names: impl Iterator<Item = &'a str>, seed: u64) -> Vec<usize> {
    let mut ranks: Vec<_> = names
        .enumerate()
        .map(|(index, name)| (Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize(), index))
        .collect();
    ranks.sort();
    ranks.into_iter().map(|(_, index)| index).collect()
}

/// Makes names that are safe as file names and in a tar of samples, where a dot ends the sample's key.
#[derive(Debug, Default)]
pub(crate) struct Namer {
    /// Lower-case names in use, and how often each was requested.
    used: HashMap<String, usize>,
}

impl Namer {
    /// Makes a name from `wanted`: only letters, digits, `-` and `_`, shortened, and numbered if it is already in use.
    pub(crate) fn name(&mut self, wanted: &str) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        let mut name: String = wanted.chars().map(safe).take(LONGEST_STEM).collect();
        if name.is_empty() {
            name.push('_');
        }
        loop {
            let count = self.used.entry(name.to_lowercase()).or_default();
            *count += 1;
            if *count == 1 {
                return name;
            }
            let number = format!("-{count}");
            name.truncate(LONGEST_STEM - number.len());
            name.push_str(&number);
        }
    }
}

/// The channels and bit depth that all files share.
fn pixel_type(list: &[Pair], warnings: &mut Vec<String>) -> Result<(usize, u8)> {
    let mut first: Option<(&Path, u8)> = None;
    let mut sizes = BTreeSet::new();
    let mut colour: Vec<&Path> = Vec::new();
    for pair in list {
        let header = read_header(&pair.image)?;
        match first {
            None => first = Some((&pair.image, header.bit_depth)),
            Some((path, bits)) if bits != header.bit_depth => {
                return Err(ExportError::MixedBitDepth {
                    first: path.to_path_buf(),
                    first_bits: bits,
                    second: pair.image.clone(),
                    second_bits: header.bit_depth,
                });
            }
            Some(_) => {}
        }
        colour.extend(header.colour.then_some(pair.image.as_path()));
        sizes.insert((header.width, header.height));
    }
    if let (Some(least), Some(most), true) = (sizes.first(), sizes.last(), sizes.len() > 1) {
        warnings.push(format!(
            "The images have {} sizes, from {} x {} to {} x {}; most tools resize or crop them, so lesion sizes in \
             pixels are not comparable. `pig prepare` brings them to one size.",
            sizes.len(),
            least.0,
            least.1,
            most.0,
            most.1
        ));
    }
    let total = list.len();
    // If only some files have colour channels, their pixels decide: gray that is stored as colour stays gray.
    let coloured = if colour.len() == total { total } else { Colours::of(colour.into_iter())?.coloured };
    let channels = if coloured > 0 { 3 } else { 1 };
    if coloured > 0 && coloured < total {
        warnings.push(format!(
            "{coloured} image(s) of {total} are in colour: the {} gray ones are copied to three channels, so that no colour is lost.",
            total - coloured
        ));
    }
    Ok((channels, first.map_or(8, |(_, bits)| bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_unique_without_case() {
        let mut namer = Namer::default();
        assert_eq!(namer.name("a.b/../c d"), "a_b____c_d");
        assert_eq!(namer.name("A_b____c_D"), "A_b____c_D-2");
        assert_eq!(namer.name("a.b/../c.d"), "a_b____c_d-3");
        assert_eq!(namer.name(""), "_");
        let long = "x".repeat(200);
        let (first, second) = (namer.name(&long), namer.name(&long));
        assert!(first.len() == LONGEST_STEM && second.len() == LONGEST_STEM && first != second);
        // A name that looks like a numbered one does not collide with it.
        assert_eq!(namer.name("y-2"), "y-2");
        assert_eq!(namer.name("y"), "y");
        assert_eq!(namer.name("y"), "y-2-2");
    }

    #[test]
    fn a_greater_choice_contains_the_smaller_one() {
        let names: Vec<String> = (0..50).map(|i| format!("{i:06}")).collect();
        let order = |seed| ranked(names.iter().map(String::as_str), seed);
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let half: HashSet<&str> = order(1).into_iter().take(10).map(|i| names[i].as_str()).collect();
        let fewer = ranked(names[..25].iter().map(String::as_str), 1);
        let kept: Vec<&str> = order(1).into_iter().filter(|&i| i < 25).map(|i| names[i].as_str()).collect();
        assert_eq!(fewer.into_iter().map(|i| names[i].as_str()).collect::<Vec<_>>(), kept);
        assert_eq!(half.len(), 10);
    }
}
