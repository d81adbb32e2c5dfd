//! The pictures of a part of a split: what `--splits FILE --part PART` selects in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::part::Part;
use crate::split::Splits;
use crate::split_error::SplitError;

/// How many missing ids an error names.
const NAMED: usize = 3;

/// The ids of one part of a split, or of those that were held out of the training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    splits: PathBuf,
    /// Which parts, in words.
    part: String,
    ids: BTreeSet<String>,
}

impl Chosen {
    /// Reads the ids of a part from a `splits.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is not a split, or the part has no pairs.
    pub fn read(splits: &Path, part: Part) -> Result<Self> {
        Self::of(splits, &[part])
    }

    /// Reads the ids that no network was trained on: those of validation and test.
    ///
    /// # Errors
    /// As [`Chosen::read`], when both parts have no pairs.
    pub fn held_out(splits: &Path) -> Result<Self> {
        Self::of(splits, &[Part::Validation, Part::Test])
    }

    fn of(splits: &Path, parts: &[Part]) -> Result<Self> {
        let found = Splits::load(splits)?;
        let words: Vec<&str> = parts.iter().map(|part| part.word()).collect();
        let part = format!("{} {}", if words.len() == 1 { "part" } else { "parts" }, words.join(" and "));
        let ids: BTreeSet<String> = parts.iter().flat_map(|&part| found.part(part)).cloned().collect();
        if ids.is_empty() {
            let counts = Part::ALL.map(|part| format!("{} {}", found.part(part).len(), part.word()));
            return Err(SplitError::EmptyPart { path: splits.to_path_buf(), part, counts: counts.join(", ") }.into());
        }
        Ok(Self { splits: splits.to_path_buf(), part, ids })
    }

    /// The pictures of `folder`, by id, that are in this part.
    ///
    /// # Errors
    /// When the folder lacks an id of the part: a measure of the rest would pass for one of the whole part.
    pub fn keep<T>(&self, folder: &Path, mut pictures: BTreeMap<String, T>) -> Result<BTreeMap<String, T>> {
        pictures.retain(|id, _| self.ids.contains(id));
        let missing: Vec<&str> = self.ids.iter().map(String::as_str).filter(|&id| !pictures.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(pictures);
        }
        Err(SplitError::Missing {
            path: folder.to_path_buf(),
            splits: self.splits.clone(),
            part: self.part.as_str().into(),
            count: missing.len(),
            total: self.ids.len(),
            some: missing[..missing.len().min(NAMED)].join(", "),
        }
        .into())
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} pictures of the {} of {}", self.ids.len(), self.part, self.splits.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{GroupSource, PairEntry};
    use crate::discover::{Dataset, Layout};
    use crate::split::split_by_group;

    /// A split with a and b in training, and c to f in test.
    fn saved(folder: &Path) -> PathBuf {
        let ids = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        let pair = |id: &String| PairEntry { id: id.clone(), image: PathBuf::new(), mask: None, group: id.clone() };
        let part = |id: &String| (id.clone(), if id.as_str() < "c" { Part::Training } else { Part::Test });
        let dataset = Dataset {
            root: PathBuf::from("data"),
            layout: Layout::Folders,
            pairs: ids.iter().map(pair).collect(),
            group_source: GroupSource::Image,
            parts: Some(ids.iter().map(part).collect()),
            left_out: None,
            warnings: Vec::new(),
            columns: Vec::new(),
        };
        let path = folder.join("splits.json");
        split_by_group(&dataset, 0.0, 0).unwrap().save(&path).unwrap();
        path
    }

    #[test]
    fn a_part_is_kept_and_what_it_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path());
        let test = Chosen::read(&path, Part::Test).unwrap();
        assert!(test.to_string().starts_with("the 4 pictures of the part test of "), "{test}");
        let all: BTreeMap<String, usize> = ["a", "b", "c", "d", "e", "f", "g"].map(|id| (id.to_owned(), 0)).into();
        let kept = test.keep(Path::new("data"), all.clone()).unwrap();
        assert_eq!(kept.keys().map(String::as_str).collect::<Vec<_>>(), ["c", "d", "e", "f"]);
        let few: BTreeMap<String, usize> = all.clone().into_iter().filter(|(id, _)| id == "c" || id == "a").collect();
        let error = test.keep(Path::new("data"), few).unwrap_err().to_string();
        assert!(error.contains("3 of the 4") && error.contains("such as d, e, f;"), "{error}");
        let error = Chosen::read(&path, Part::Validation).unwrap_err().to_string();
        assert!(error.contains("the part validation") && error.contains("2 training, 0 validation, 4 test"), "{error}");
        // What was held out is validation and test together, of which one may be empty.
        let held_out = Chosen::held_out(&path).unwrap();
        assert!(held_out.to_string().starts_with("the 4 pictures of the parts validation and test of "), "{held_out}");
        assert_eq!(held_out.keep(Path::new("data"), all).unwrap(), kept);
    }
}
