//! The parts of a split, and the words by which tables name them.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::split_error::SplitError;

/// The manifest column that names the part of each pair.
pub const SPLIT_COLUMN: &str = "split";

/// A part of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The pairs that train.
    Training,
    /// The pairs that choose the checkpoint.
    Validation,
    /// The pairs that are read only for the final test.
    Test,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Training, Self::Validation, Self::Test];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The part that a word of a table means, in any case: also `train`, `val`, `valid` and `testing`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_lowercase().as_str() {
            "training" | "train" => Some(Self::Training),
            "validation" | "val" | "valid" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

/// The part of every pair, by id.
pub type Parts = BTreeMap<String, Part>;

/// What the column [`SPLIT_COLUMN`] says.
#[derive(Debug)]
pub(crate) enum Column {
    /// The part of every pair.
    Parts(Parts),
    /// None of its values is a part: the column means something else. The warning says so.
    Other(String),
}

/// A warning if pictures lie in folders that are named as parts of a split, such as `train` and `test`, which nothing reads as one. `folders`
/// are the folders of pictures below the data folder, with slashes.
pub fn folders_warning<'a>(folders: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut found: BTreeMap<Part, &str> = BTreeMap::new();
    for folder in folders {
        for name in folder.split('/') {
            if let Some(part) = Part::from_word(name) {
                found.entry(part).or_insert(name);
            }
        }
    }
    let names: Vec<&str> = found.into_values().collect();
    (names.len() > 1).then(|| {
        format!(
            "The folders {} are not read as a split: their pairs are used together. To keep them apart, give the folder of one part, or a \
             manifest.csv whose column {SPLIT_COLUMN:?} says train, validation or test.",
            names.join(", ")
        )
    })
}

/// Reads the column: the id and the value of every pair. `table` names the table for errors.
///
/// # Errors
/// When some values are parts and others are not.
pub(crate) fn read_column<'a>(table: &std::path::Path, values: &[(&'a str, Option<&'a str>)]) -> Result<Column> {
    let mut parts = Parts::new();
    let mut others = Vec::new();
    for (id, value) in values {
        match value.and_then(Part::from_word) {
            Some(part) => {
                parts.insert((*id).to_owned(), part);
            }
            None => others.push((*id, value.unwrap_or_default())),
        }
    }
    match others.first() {
        None => Ok(Column::Parts(parts)),
        Some((_, value)) if parts.is_empty() => Ok(Column::Other(format!(
            "The column {SPLIT_COLUMN:?} of manifest.csv is not used: its values, such as {value:?}, are none of train, validation and test."
        ))),
        Some((id, value)) => Err(SplitError::Given {
            path: table.to_path_buf(),
            problem: format!(
                "{} pair(s) have another value than train, validation and test; the id {id:?} has {value:?}",
                others.len()
            ),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn words_of_other_tools_name_parts() {
        let words = ["train", "Training", "val", "VALID", "validation", "test", "testing", "fold1", ""];
        let found = words.map(|word| Part::from_word(word).map(Part::word).unwrap_or_default());
        let expected = ["training", "training", "validation", "validation", "validation", "test", "test", "", ""];
        assert_eq!(found, expected);
    }

    #[test]
    fn folders_of_parts_are_told() {
        let told = folders_warning(["train/images", "test/images", "train/images", "val"]).unwrap();
        assert!(told.starts_with("The folders train, val, test are not read as a split"), "{told}");
        assert_eq!(folders_warning(["train/images", "train/more", "tests", ""]), None);
    }

    #[test]
    fn a_column_that_means_something_else_is_told_from_a_damaged_one() {
        let read = |values: &[(&str, Option<&str>)]| read_column(Path::new("manifest.csv"), values);
        let Column::Parts(parts) = read(&[("a", Some("train")), ("b", Some("test"))]).unwrap() else { panic!("parts") };
        assert_eq!(
            parts.into_iter().map(|(id, part)| (id, part.word())).collect::<Vec<_>>(),
            [("a".to_owned(), "training"), ("b".to_owned(), "test")]
        );
        let Column::Other(warning) = read(&[("a", Some("0")), ("b", Some("1"))]).unwrap() else { panic!("other") };
        assert!(warning.contains("such as \"0\""), "{warning}");
        for hurt in [Some(""), None, Some("fold1")] {
            let error = read(&[("a", Some("train")), ("b", hurt)]).unwrap_err().to_string();
            assert!(error.contains("1 pair(s)") && error.contains("\"b\""), "{error}");
        }
    }
}
