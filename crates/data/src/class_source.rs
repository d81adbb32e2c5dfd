//! Where the classes of masks are found if no key gives them.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;

use crate::case_mask::CaseMask;
use crate::classes::{ClassConfig, Kind, check, names};
use crate::config::{DataConfig, MaskRule};
use crate::discover::Dataset;
use crate::error::{DataError, Result};
use crate::manifest::Manifest;
use crate::mask_values::{MaskValue, MaskValues};
use crate::palette::{Declared, declared_names};
use crate::read::{count_labels, read_mask_by};

/// nnU-Net's description of a data set.
const DATASET_JSON: &str = "dataset.json";

/// nnU-Net's name of a label that a training leaves out.
const IGNORE: &str = "ignore";

/// The pairs whose masks [`differing`] looks at, spread over the data.
const LOOKED_AT: usize = 64;

/// Classes as data name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The classes, with the values that stand for them.
    pub classes: Vec<ClassConfig>,
    /// Whether they may overlap.
    pub overlap: bool,
}

/// The configuration with the classes that the data name, if no key says what their masks mean; with a sentence that says where they
/// were found. nnU-Net's `dataset.json` names them if it has two or more labels beside the background, and so do the palettes of masks
/// that pig wrote.
///
/// # Errors
/// When `dataset.json` is damaged, a mask cannot be read, or the names cannot be used.
pub fn resolve(dataset: &Dataset, config: &DataConfig) -> Result<(DataConfig, Option<String>)> {
    if config.classes.is_empty() && config.class_column.is_some() {
        return of_cases(dataset, config);
    }
    if !config.leaves_masks_open() {
        return Ok((config.clone(), None));
    }
    let Some((Named { classes, overlap }, source)) = found(dataset)? else { return Ok((config.clone(), None)) };
    let kind = if overlap { Kind::Overlapping } else { Kind::Exclusive };
    check(&classes, config.background_values.as_ref(), kind).map_err(|(found, expected)| DataError::InvalidConfig {
        key: "classes",
        found,
        expected,
    })?;
    let word = if overlap { "the classes, which may overlap," } else { "the classes" };
    let sentence = format!("the masks have {word} {} ({source})", names(&classes).join(", "));
    Ok((DataConfig { classes, classes_overlap: overlap, ..config.clone() }, Some(sentence)))
}

/// A warning if nothing says what the values of masks mean, and the one value that lesion has in a mask differs between masks: all of them count
/// as one lesion, and may be classes.
///
/// # Errors
/// When a mask cannot be read.
pub fn differing(dataset: &Dataset, config: &DataConfig) -> Result<Option<String>> {
    if !config.leaves_masks_open() {
        return Ok(None);
    }
    let step = dataset.len().div_ceil(LOOKED_AT).max(1);
    let masks = dataset.pairs.iter().step_by(step).filter_map(|pair| pair.mask.as_ref());
    let paths: Vec<&Path> = masks.flat_map(CaseMask::paths).collect();
    let alone = |path: &&Path| -> Result<Option<String>> {
        let is_lesion = |label: &String| label != "0" && label != "#000000";
        let mut labels: Vec<String> = count_labels(path)?.into_keys().filter(is_lesion).collect();
        Ok(labels.pop().filter(|_| labels.is_empty()))
    };
    let found = paths.par_iter().map(alone).collect::<Result<Vec<_>>>()?;
    let values: BTreeSet<String> = found.into_iter().flatten().collect();
    Ok((values.len() > 1).then(|| {
        let values: Vec<String> = values.into_iter().collect();
        format!(
            "the value of lesion differs between masks ({}), and all of these count as one lesion: if they are classes, name them in \
             [[data.classes]]; if only some mean lesion, in data.mask_values",
            values.join(", ")
        )
    }))
}

/// The configuration with the words of `class_column` as classes.
fn of_cases(dataset: &Dataset, config: &DataConfig) -> Result<(DataConfig, Option<String>)> {
    let masks: Vec<&CaseMask> = dataset.pairs.iter().filter_map(|pair| pair.mask.as_ref()).collect();
    let (classes, sentence) = of_masks(&masks, config)?;
    Ok((DataConfig { classes, ..config.clone() }, Some(sentence)))
}

/// The words that `class_column` gives to masks as classes, if a mask of the word has lesion, and a sentence that says so.
///
/// # Errors
/// When a mask cannot be read, or the words cannot be used.
pub(crate) fn of_masks(masks: &[&CaseMask], config: &DataConfig) -> Result<(Vec<ClassConfig>, String)> {
    let layers = || masks.iter().flat_map(|mask| mask.layers());
    let words: BTreeSet<&str> = layers().filter_map(|layer| layer.class.as_deref()).collect();
    let rule = MaskRule { case: None, classes: &[], ..config.mask_rule() };
    let has_lesion = |word: &str| -> Result<bool> {
        for layer in layers().filter(|layer| layer.class.as_deref() == Some(word)) {
            if read_mask_by(&layer.path, &rule)?.lesion_pixels() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let with_lesion: Vec<bool> = words.par_iter().map(|word| has_lesion(word)).collect::<Result<_>>()?;
    let (classes, sentence) = of_words(words.into_iter().zip(with_lesion), config.class_column.as_deref());
    check(&classes, None, Kind::ByCase { overlap: config.classes_overlap })
        .map_err(|(found, expected)| DataError::InvalidConfig { key: "class_column", found, expected })?;
    Ok((classes, sentence))
}

/// The words of a column as classes, each with whether one of its masks has lesion: a word without lesion is no class. Also a sentence
/// that says so.
pub fn of_words<'a>(
    words: impl IntoIterator<Item = (&'a str, bool)>,
    column: Option<&str>,
) -> (Vec<ClassConfig>, String) {
    let (with, without): (Vec<_>, Vec<_>) = words.into_iter().partition(|(_, has_lesion)| *has_lesion);
    let of_word = |(word, _): (&str, bool)| ClassConfig { name: word.to_owned(), ..ClassConfig::default() };
    let classes: Vec<ClassConfig> = with.into_iter().map(of_word).collect();
    let named = if classes.is_empty() { "none".to_owned() } else { names(&classes).join(", ") };
    let without: Vec<&str> = without.into_iter().map(|(word, _)| word).collect();
    let no_class = match without.len() {
        0 => String::new(),
        count => format!("; {count} word(s) without lesion are no class: {}", without.join(", ")),
    };
    let column = column.unwrap_or_default();
    let sentence = format!("the cases have the classes {named} (the column {column:?}){no_class}");
    (classes, sentence)
}

/// The configuration for another folder of pairs: its column of classes counts if the folder's table has it. Without the column, a class
/// alone is all lesion, since pig writes one as a mask of two values.
///
/// # Errors
/// When the table is damaged.
pub fn for_folder(config: &DataConfig, folder: &Path) -> Result<DataConfig> {
    let table = Manifest::in_folder(folder)?;
    let has = |name: &String| table.as_ref().is_some_and(|table| table.column(name).is_some());
    let mut own = config.clone();
    own.class_column = config.class_column.clone().filter(has);
    if own.class_column != config.class_column && own.classes.len() == 1 {
        own.classes.clear();
    }
    Ok(own)
}

fn found(dataset: &Dataset) -> Result<Option<(Named, String)>> {
    of_files(&dataset.root, dataset.pairs.iter().flat_map(|pair| pair.mask.iter().flat_map(CaseMask::paths)))
}

/// The classes of some masks in the folder `root`, and where they were found; none if nothing names several.
///
/// # Errors
/// When `dataset.json` is damaged, or a mask cannot be read.
pub fn of_files<'a>(root: &Path, masks: impl IntoIterator<Item = &'a Path>) -> Result<Option<(Named, String)>> {
    let description = root.join(DATASET_JSON);
    if let Some(classes) = of_description(&description)? {
        return Ok(Some((classes, description.display().to_string())));
    }
    // pig writes all masks of a folder alike. One that differs from the first is found when it is read.
    let Some(first) = masks.into_iter().next() else { return Ok(None) };
    let declared = declared_names(first)?;
    Ok(declared.filter(|declared| declared.names.len() > 1).map(|Declared { names, overlap, codes }| {
        let mut classes = ClassConfig::of_names(names, overlap);
        for (class, code) in classes.iter_mut().zip(codes) {
            class.code = code;
        }
        (Named { classes, overlap }, "as the palettes of the masks say".to_owned())
    }))
}

/// The classes of nnU-Net's `dataset.json`, if it is there and has several labels.
///
/// # Errors
/// When it is no JSON.
pub fn of_description(path: &Path) -> Result<Option<Named>> {
    let text = match pig_files::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::io(path, "read")(error)),
    };
    let json: Value = serde_json::from_str(&text).map_err(|error| DataError::BadManifest {
        path: path.to_path_buf(),
        line: error.line() as u64,
        problem: "this is not valid JSON".to_owned(),
    })?;
    Ok(Some(of_labels(&json["labels"])).filter(|named| named.classes.len() > 1))
}

/// The classes of the object `labels` of a `dataset.json`, by their values: version 2 maps names to numbers, version 1 numbers to names.
/// Regions are lists of several numbers, and may overlap: those of most numbers are first, so that a region comes before its parts.
pub fn of_labels(labels: &Value) -> Named {
    let mut found: Vec<(Vec<u16>, String)> = Vec::new();
    let mut overlap = false;
    for (key, value) in labels.as_object().into_iter().flatten() {
        let (name, numbers) = match value {
            Value::String(name) => (name, vec![key.parse().ok()]),
            Value::Array(list) => (key, list.iter().map(Value::as_u64).collect()),
            other => (key, vec![other.as_u64()]),
        };
        let number = |number: Option<u64>| number.and_then(|n| u16::try_from(n).ok()).filter(|&n| n > 0);
        let numbers: Vec<u16> = numbers.into_iter().filter_map(number).collect();
        if !numbers.is_empty() && !name.eq_ignore_ascii_case(IGNORE) {
            overlap |= numbers.len() > 1;
            found.push((numbers, name.clone()));
        }
    }
    found.sort_by(|(first, _), (second, _)| second.len().cmp(&first.len()).then_with(|| first.cmp(second)));
    let class = |(values, name): (Vec<u16>, String)| ClassConfig {
        name,
        values: MaskValues(values.into_iter().map(MaskValue::Gray).collect()),
        code: None,
    };
    Named { classes: found.into_iter().map(class).collect(), overlap }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_of_both_versions_of_nnunet_are_read() {
        let two = json!({ "background": 0, "mass": 1, "cyst": 3, "ignore": 4, "calcification": [2] });
        let found = of_labels(&two);
        assert_eq!((names(&found.classes), found.overlap), (vec!["mass", "calcification", "cyst"], false));
        assert_eq!(found.classes[2].values.0, [MaskValue::Gray(3)]);
        let one = json!({ "0": "background", "2": "edema", "1": "core" });
        assert_eq!(names(&of_labels(&one).classes), ["core", "edema"]);
        assert!(of_labels(&json!([["a.png", 1]])).classes.is_empty());
        // Regions, as BraTS has them: a region is before its parts.
        let regions = json!({ "background": 0, "enhancing": 3, "core": [2, 3], "whole": [1, 2, 3] });
        let found = of_labels(&regions);
        assert_eq!((names(&found.classes), found.overlap), (vec!["whole", "core", "enhancing"], true));
        assert_eq!(found.classes[1].values.0, [MaskValue::Gray(2), MaskValue::Gray(3)]);
    }
}
