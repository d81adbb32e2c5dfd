//! The data of one fold. Training and validation pairs are read once for all pieces; test pairs are read only when a segmenter is trained
//! and can be measured.

use crate::crossval::{open::Crossval, piece::fold_folder};
use pig_data::{Dataset, PairEntry, PreparedSet, Splits};
use pig_train::{
    Error, Result,
    observer::{Observer, Quiet},
    run_data::RunData,
};
use std::{cell::OnceCell, collections::BTreeMap, io, path::Path};

/// The SHA-256 of a fold's training and validation pairs as they are prepared, and of its test pairs, in the fold's folder: that of all in the
/// first line, and then those of the image and of the mask of each pair before its id.
const PAIRS_SHA256: &str = "pairs.sha256";
const TEST_SHA256: &str = "test.sha256";

/// One fold, with its training and validation pairs.
#[derive(Debug)]
pub(super) struct FoldData<'a> {
    /// The cross-validation.
    pub(super) crossval: &'a Crossval,
    /// Number of the fold, from 0.
    pub(super) number: usize,
    /// The fold's split into training, validation and test cases.
    pub(super) splits: &'a Splits,
    /// The training and validation pairs.
    pub(super) real: RunData,
    test: OnceCell<PreparedSet>,
}

impl<'a> FoldData<'a> {
    /// Reads the training and validation pairs. Refuses pairs that have changed since earlier pieces of the fold.
    pub(super) fn read(crossval: &'a Crossval, number: usize, observer: &dyn Observer) -> Result<Self> {
        let splits = &crossval.folds[number];
        let real = RunData::with_splits(&crossval.data, &crossval.file.data, splits.clone(), observer)?;
        keep_pairs(crossval, number, PAIRS_SHA256, &real.set)?;
        Ok(Self { crossval, number, splits, real, test: OnceCell::new() })
    }

    /// The pairs of the test patients, unless they have changed. `observer` is told nothing.
    pub(super) fn test(&self, observer: &dyn Observer) -> Result<&PreparedSet> {
        if let Some(test) = self.test.get() {
            return Ok(test);
        }
        let test = self.real.test(&self.crossval.dataset, &Quiet(observer))?;
        keep_pairs(self.crossval, self.number, TEST_SHA256, &test)?;
        Ok(self.test.get_or_init(|| test))
    }
}

/// Refuses a fold whose pairs have changed since its pieces were done, as far as their SHA-256 was kept. `observer` is told nothing.
pub(super) fn check_unchanged(crossval: &Crossval, number: usize, observer: &dyn Observer) -> Result<()> {
    let is_kept = |name: &str| fold_folder(&crossval.out, number).join(name).is_file();
    // Pieces of versions that kept none go without: the data may not even be those that they were made of.
    if !is_kept(PAIRS_SHA256) {
        return Ok(());
    }
    let fold = FoldData::read(crossval, number, &Quiet(observer))?;
    if is_kept(TEST_SHA256) {
        fold.test(observer)?;
    }
    Ok(())
}

/// Keeps the SHA-256 of pairs in the fold's folder, or refuses pairs with another one: a table must not be made of two states of the data,
/// and neither split nor settings tell whether an image or a mask was changed.
fn keep_pairs(crossval: &Crossval, number: usize, name: &str, pairs: &PreparedSet) -> Result<()> {
    let (path, found) = (fold_folder(&crossval.out, number).join(name), pairs.sha256()?);
    let kept = match pig_files::read_to_string(&path) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(pig_files::write(&path, hashes(&found, pairs).as_bytes())?);
        }
        Err(error) => return Err(Error::io(&path, "read")(error)),
    };
    let expected = kept.lines().next().unwrap_or_default().trim();
    if expected == found {
        return Ok(());
    }
    let changed = changed(&kept, pairs, &crossval.dataset);
    let changed = match changed[..] {
        [] => String::new(),
        [file] => format!("; {} has changed", file.display()),
        [file, ..] => format!("; {} and {} more have changed", file.display(), changed.len() - 1),
    };
    Err(Error::BadFile {
        path,
        problem: format!("holds the SHA-256 {expected} of the fold's pairs, but those of --data have {found}{changed}"),
        advice: "images or masks have changed since the first pieces of this fold were done: go back to what they were, or choose another --out",
    })
}

/// What is kept of pairs whose SHA-256 is `all`.
fn hashes(all: &str, pairs: &PreparedSet) -> String {
    let line = |(id, [image, mask]): (&String, [String; 2])| format!("{image} {mask} {id}\n");
    let lines: Vec<String> = pairs.ids.iter().zip(pairs.pictures_sha256()).map(line).collect();
    format!("{all}\n{}", lines.concat())
}

/// The images and masks of `pairs` that differ from those of which `kept` has the hashes; none if it has those of no single pair, as in earlier
/// versions.
fn changed<'d>(kept: &str, pairs: &PreparedSet, dataset: &'d Dataset) -> Vec<&'d Path> {
    let line = |line: &str| -> Option<(String, [String; 2])> {
        let (image, rest) = line.split_once(' ')?;
        let (mask, id) = rest.split_once(' ')?;
        Some((id.to_owned(), [image, mask].map(str::to_owned)))
    };
    let kept: BTreeMap<String, [String; 2]> = kept.lines().skip(1).filter_map(line).collect();
    let entries: BTreeMap<&str, &PairEntry> = dataset.pairs.iter().map(|pair| (pair.id.as_str(), pair)).collect();
    let mut found = Vec::new();
    for (id, now) in pairs.ids.iter().zip(pairs.pictures_sha256()) {
        let (Some(before), Some(pair)) = (kept.get(id), entries.get(id.as_str())) else { continue };
        let mask = pair.mask.as_ref().map(|mask| mask.first.path.as_path());
        let files = [Some(pair.image.as_path()), mask];
        let differing = files.into_iter().zip(before.iter().zip(&now)).filter(|(_, (before, now))| before != now);
        found.extend(differing.filter_map(|(file, _)| file));
    }
    found
}
