//! Where the classes of masks are found if no key gives them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;

use crate::class_error::ClassError;
use crate::classes::{ClassConfig, check, names};
use crate::config::{DataConfig, MaskRule};
use crate::discover::Dataset;
use crate::error::{DataError, Result};
use crate::manifest::Manifest;
use crate::mask_values::{MaskValue, MaskValues};
use crate::palette::declared_names;
use crate::read::read_mask_by;

/// nnU-Net's description of a data set.
const DATASET_JSON: &str = "dataset.json";

/// nnU-Net's name of a label that a training leaves out.
const IGNORE: &str = "ignore";

/// The configuration with the classes that the data name, if no key says what their masks mean; with a sentence that says where they
/// were found. nnU-Net's `dataset.json` names them if it has two or more labels beside the background, and so do the palettes of masks
/// that pig wrote.
///
/// # Errors
/// When `dataset.json` is damaged or has labels that overlap, a mask cannot be read, or the names cannot be used.
pub fn resolve(dataset: &Dataset, config: &DataConfig) -> Result<(DataConfig, Option<String>)> {
    if config.classes.is_empty() && config.class_column.is_some() {
        return of_cases(dataset, config);
    }
    if !config.leaves_masks_open() {
        return Ok((config.clone(), None));
    }
    let Some((classes, source)) = found(dataset)? else { return Ok((config.clone(), None)) };
    check(&classes, config.background_values.as_ref(), false)
        .map_err(|(found, expected)| DataError::InvalidConfig { key: "classes", found, expected })?;
    let sentence = format!("the masks have the classes {} ({source})", names(&classes).join(", "));
    Ok((DataConfig { classes, ..config.clone() }, Some(sentence)))
}

/// The configuration with the words of `class_column` as classes: those of which a case has lesion, in alphabetical order.
fn of_cases(dataset: &Dataset, config: &DataConfig) -> Result<(DataConfig, Option<String>)> {
    let words: BTreeSet<&str> = dataset.pairs.iter().filter_map(|pair| pair.class.as_deref()).collect();
    let rule = MaskRule { case: None, classes: &[], ..config.mask_rule() };
    let has_lesion = |word: &str| -> Result<bool> {
        for pair in dataset.pairs.iter().filter(|pair| pair.class.as_deref() == Some(word)) {
            if let Some(mask) = &pair.mask
                && read_mask_by(mask, &rule)?.lesion_pixels() > 0
            {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let with_lesion: Vec<bool> = words.par_iter().map(|word| has_lesion(word)).collect::<Result<_>>()?;
    let of_word = |word: &&str| ClassConfig { name: (*word).to_owned(), values: MaskValues::default() };
    let classes: Vec<ClassConfig> =
        words.iter().zip(with_lesion).filter(|(_, has)| *has).map(|(word, _)| of_word(word)).collect();
    check(&classes, None, true).map_err(|(found, expected)| DataError::InvalidConfig {
        key: "class_column",
        found,
        expected,
    })?;
    let column = config.class_column.as_deref().unwrap_or_default();
    let sentence = format!("the cases have the classes {} (the column {column:?})", names(&classes).join(", "));
    Ok((DataConfig { classes, ..config.clone() }, Some(sentence)))
}

/// The configuration for another folder of pairs: its column of classes counts if the folder's table has it.
///
/// # Errors
/// When the table is damaged.
pub fn for_folder(config: &DataConfig, folder: &Path) -> Result<DataConfig> {
    let table = Manifest::in_folder(folder)?;
    let has = |name: &String| table.as_ref().is_some_and(|table| table.column(name).is_some());
    Ok(DataConfig { class_column: config.class_column.clone().filter(has), ..config.clone() })
}

fn found(dataset: &Dataset) -> Result<Option<(Vec<ClassConfig>, String)>> {
    of_files(&dataset.root, dataset.pairs.iter().filter_map(|pair| pair.mask.as_deref()))
}

/// The classes of some masks in the folder `root`, and where they were found; none if nothing names several.
///
/// # Errors
/// When `dataset.json` is damaged or has labels that overlap, or a mask cannot be read.
pub fn of_files<'a>(
    root: &Path,
    masks: impl IntoIterator<Item = &'a Path>,
) -> Result<Option<(Vec<ClassConfig>, String)>> {
    let description = root.join(DATASET_JSON);
    if let Some(classes) = of_description(&description)? {
        return Ok(Some((classes, description.display().to_string())));
    }
    // pig writes all masks of a folder alike. One that differs from the first is found when it is read.
    let Some(first) = masks.into_iter().next() else { return Ok(None) };
    let names = declared_names(first)?;
    Ok(names.filter(|names| names.len() > 1).map(|names| {
        let classes = names.into_iter().enumerate().map(|(index, name)| ClassConfig::at(index, name)).collect();
        (classes, "as the palettes of the masks say".to_owned())
    }))
}

/// The classes of nnU-Net's `dataset.json`, if it is there and has several labels.
///
/// # Errors
/// When it is no JSON, or has labels that overlap (regions).
pub fn of_description(path: &Path) -> Result<Option<Vec<ClassConfig>>> {
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
    let labels = of_labels(&json["labels"]);
    let labels = labels.map_err(|name| ClassError::OverlappingClasses { path: path.to_path_buf(), name })?;
    Ok((labels.len() > 1).then_some(labels))
}

/// The classes of the object `labels` of a `dataset.json`, by their values: version 2 maps names to numbers, version 1 numbers to names.
///
/// # Errors
/// The name of a region, which is a list of several labels.
pub fn of_labels(labels: &Value) -> std::result::Result<Vec<ClassConfig>, String> {
    let mut found = BTreeMap::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        let (name, number) = match value {
            Value::String(name) => (name, key.parse().ok()),
            Value::Array(list) if list.len() > 1 => return Err(key.clone()),
            Value::Array(list) => (key, list.first().and_then(Value::as_u64)),
            other => (key, other.as_u64()),
        };
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|&number| number > 0);
        if let Some(number) = number.filter(|_| !name.eq_ignore_ascii_case(IGNORE)) {
            found.insert(number, name.clone());
        }
    }
    let class = |(value, name)| ClassConfig { name, values: MaskValues(vec![MaskValue::Gray(value)]) };
    Ok(found.into_iter().map(class).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_of_both_versions_of_nnunet_are_read() {
        let two = json!({ "background": 0, "mass": 1, "cyst": 3, "ignore": 4, "calcification": [2] });
        let found = of_labels(&two).unwrap();
        assert_eq!(names(&found), ["mass", "calcification", "cyst"]);
        assert_eq!(found[2].values.0, [MaskValue::Gray(3)]);
        let one = json!({ "0": "background", "2": "edema", "1": "core" });
        assert_eq!(names(&of_labels(&one).unwrap()), ["core", "edema"]);
        assert_eq!(of_labels(&json!({ "whole": [1, 2], "core": [2] })).unwrap_err(), "whole");
        assert!(of_labels(&json!([["a.png", 1]])).unwrap().is_empty());
    }
}
