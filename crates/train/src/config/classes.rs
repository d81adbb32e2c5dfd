//! The rules for settings of single classes.

use crate::{
    Result,
    config::{Config, check::require},
};
use pig_data::{DataConfig, classes::names};
use std::collections::BTreeMap;

impl Config {
    /// Refuses settings of classes that the data do not have.
    pub(super) fn check_classes(&self) -> Result<()> {
        check_thresholds("sample.class_thresholds", &self.sample.class_thresholds, (-1.0, 1.0), &self.data)
    }
}

/// Refuses thresholds of classes that the data do not have, or that exclude each other, and values outside of `range`, from its first value
/// to below its second. Where the data will name their classes, any name may be one of them.
pub fn check_thresholds<T: Copy + PartialOrd + std::fmt::Display>(
    key: &str,
    thresholds: &BTreeMap<String, T>,
    (least, limit): (T, T),
    data: &DataConfig,
) -> Result<()> {
    for (name, value) in thresholds {
        let key = format!("{key}.{name}");
        require(*value >= least && *value < limit, &key, value, &format!("{least} or more and below {limit}"))?;
        if data.may_find_classes() {
            continue;
        }
        let overlap = "nothing, unless data.classes_overlap lets each class have its own threshold";
        require(data.coding().overlap, &key, value, overlap)?;
        let known = names(&data.classes);
        let expected = format!("thresholds of the classes {}", known.join(", "));
        require(known.contains(&name.as_str()), &key, value, &expected)?;
    }
    Ok(())
}
