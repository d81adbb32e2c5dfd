//! How `pig segment predict` reads the true masks of a folder: as its run does, or by keys that are given for the folder.

use pig_data::{
    CaseMask, ClassConfig, ClassError, DataConfig, DataError, Dataset, classes::names, config::MaskValues,
    read::read_mask_by,
};
use pig_train::{Error, Result};
use serde::Deserialize;
use std::{collections::BTreeSet, path::Path};

/// A configuration with [`TruthKeys`] alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruthFile {
    /// The section `[data]`.
    pub data: TruthKeys,
}

/// The keys of the section `[data]` by which true masks may be read otherwise than by those of the run. The classes stay those of the run:
/// their number, order and names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruthKeys {
    /// The column that names the class of each mask, where masks show lesion alone.
    pub class_column: Option<String>,
    /// The values that stand for the classes of the run.
    pub classes: Vec<ClassConfig>,
    /// The values that mean lesion.
    pub mask_values: Option<MaskValues>,
    /// The gray value from which on a pixel is lesion.
    pub mask_threshold: Option<f64>,
    /// The values that are background beside 0 and black, where masks have classes.
    pub background_values: Option<MaskValues>,
}

impl TruthKeys {
    /// Whether any key is given.
    pub fn are_given(&self) -> bool {
        *self != Self::default()
    }

    /// The settings of a run with these keys.
    ///
    /// # Errors
    /// When they name classes that the run does not have, or contradict each other.
    pub fn over(&self, run: &DataConfig) -> Result<DataConfig> {
        if !self.are_given() {
            return Ok(run.clone());
        }
        let is_known = |class: &&ClassConfig| run.classes.iter().any(|own| own.name == class.name);
        let unknown: Vec<&str> =
            self.classes.iter().filter(|class| !is_known(class)).map(|class| class.name.as_str()).collect();
        if !unknown.is_empty() {
            return Err(Error::Setting {
                key: "data.classes".to_owned(),
                found: unknown.join(", "),
                expected: format!("classes of the run, which has {}", classes_of(run)),
            });
        }
        // Classes with values say all of label maps. The column of the run, and its values of lesion, are then of no use.
        let by_values = self.class_column.is_none() && !self.classes.is_empty();
        let class_column = self.class_column.clone().or_else(|| run.class_column.clone().filter(|_| !by_values));
        let values_of = |own: &ClassConfig| match self.classes.iter().find(|class| class.name == own.name) {
            Some(class) => class.values.clone(),
            None if by_values || class_column.is_some() => MaskValues::default(),
            None => own.values.clone(),
        };
        let classes = run.classes.iter().map(|own| ClassConfig { values: values_of(own), ..own.clone() }).collect();
        let (mask_values, mask_threshold) = if self.mask_values.is_some() || self.mask_threshold.is_some() {
            (self.mask_values.clone(), self.mask_threshold)
        } else if by_values {
            (None, None)
        } else {
            (run.mask_values.clone(), run.mask_threshold)
        };
        let background_values = self.background_values.clone().or_else(|| run.background_values.clone());
        let config =
            DataConfig { class_column, classes, mask_values, mask_threshold, background_values, ..run.clone() };
        config.check()?;
        Ok(config)
    }

    /// Refuses words of the column of these keys that give masks lesion of a class that the run does not have. Masks that cannot be read say
    /// nothing here. `config` is that of [`TruthKeys::over`].
    ///
    /// # Errors
    /// When there are such words, with all of them.
    pub(crate) fn check_words(&self, folder: &Path, dataset: &Dataset, config: &DataConfig) -> Result<()> {
        let Some(column) = &self.class_column else { return Ok(()) };
        let unknown = unknown_words(dataset, config);
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::BadFile {
            path: folder.to_owned(),
            problem: format!(
                "the column {column:?} of manifest.csv gives masks with lesion the classes {}; expected those of the run, which has {}",
                unknown.into_iter().collect::<Vec<_>>().join(", "),
                classes_of(config)
            ),
            advice: "name the classes in the table as the run does, or leave data.class_column out",
        })
    }
}

/// The words of the column of classes that are no class, and whose masks have lesion.
fn unknown_words<'a>(dataset: &'a Dataset, config: &DataConfig) -> BTreeSet<&'a str> {
    let known = names(&config.classes);
    let mut unknown = BTreeSet::new();
    for layer in dataset.pairs.iter().filter_map(|pair| pair.mask.as_ref()).flat_map(CaseMask::layers) {
        // Masks that name their classes themselves are read by these names, so the word alone decides nothing.
        if let Some(word) = layer.class.as_deref().filter(|word| !known.contains(word))
            && !unknown.contains(word)
            && let Err(DataError::Classes(ClassError::CaseWithoutClass { .. })) =
                read_mask_by(&layer.path, &config.mask_rule().of_case(Some(word)))
        {
            unknown.insert(word);
        }
    }
    unknown
}

/// The classes of a run, in words.
fn classes_of(run: &DataConfig) -> String {
    if run.classes.is_empty() { "none, but lesion alone".to_owned() } else { names(&run.classes).join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_data::config::MaskValue;

    fn class(name: &str, values: &[u16]) -> ClassConfig {
        let values = MaskValues(values.iter().map(|&value| MaskValue::Gray(value)).collect());
        ClassConfig { name: name.to_owned(), values, code: None }
    }

    fn values(config: &DataConfig) -> Vec<Vec<MaskValue>> {
        config.classes.iter().map(|class| class.values.0.clone()).collect()
    }

    #[test]
    fn keys_change_how_masks_are_read_and_not_which_classes_there_are() {
        let run = DataConfig { classes: vec![class("mass", &[1]), class("cyst", &[2])], ..DataConfig::default() };
        assert_eq!(TruthKeys::default().over(&run).unwrap(), run);
        let keys = TruthKeys { classes: vec![class("cyst", &[5]), class("mass", &[7, 8])], ..TruthKeys::default() };
        let read = keys.over(&run).unwrap();
        assert_eq!(names(&read.classes), ["mass", "cyst"]);
        assert_eq!(values(&read), [vec![MaskValue::Gray(7), MaskValue::Gray(8)], vec![MaskValue::Gray(5)]]);
        let keys = TruthKeys {
            class_column: Some("kind".to_owned()),
            mask_values: Some(MaskValues(vec![MaskValue::Gray(3)])),
            ..TruthKeys::default()
        };
        let read = keys.over(&run).unwrap();
        assert_eq!((names(&read.classes), values(&read)), (vec!["mass", "cyst"], vec![vec![], vec![]]));
        assert_eq!((read.class_column, read.mask_values), (keys.class_column, keys.mask_values));
        // A run by a column reads label maps by values.
        let by_case = DataConfig {
            classes: vec![class("mass", &[]), class("cyst", &[])],
            class_column: Some("kind".to_owned()),
            mask_values: Some(MaskValues(vec![MaskValue::Gray(3)])),
            ..DataConfig::default()
        };
        let keys = TruthKeys { classes: run.classes.clone(), ..TruthKeys::default() };
        assert_eq!(keys.over(&by_case).unwrap(), run);
    }

    #[test]
    fn keys_that_do_not_fit_the_run_are_refused() {
        let run = DataConfig { classes: vec![class("mass", &[1]), class("cyst", &[2])], ..DataConfig::default() };
        let refusal = |keys: &TruthKeys, run: &DataConfig| keys.over(run).unwrap_err().to_string();
        let other = TruthKeys { classes: vec![class("mass", &[1]), class("scar", &[2])], ..TruthKeys::default() };
        let message = refusal(&other, &run);
        assert!(message.contains("data.classes = scar") && message.contains("mass, cyst"), "{message}");
        assert!(refusal(&other, &DataConfig::default()).contains("lesion alone"));
        // Values of lesion alone do not tell two classes apart, and every class needs a value.
        let lesion = TruthKeys { mask_values: Some(MaskValues(vec![MaskValue::Gray(3)])), ..TruthKeys::default() };
        assert!(refusal(&lesion, &run).contains("data.mask_values"));
        let one = TruthKeys { classes: vec![class("cyst", &[2])], ..TruthKeys::default() };
        assert!(refusal(&one, &run).contains("\"mass\" without a value"));
    }
}
