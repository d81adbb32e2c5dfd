//! The hash of the settings of a piece. It covers only values that differ from the defaults, so that new keys with default values do not
//! change it.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Version of the defaults, which the hash leaves out. Raise it when the default of an existing key changes. A new key whose default keeps
/// the previous behaviour needs no new version, so that finished pieces are still recognised.
const DEFAULTS: u32 = 1;

/// The settings that determine a piece, by their full names.
#[derive(Debug)]
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Starts with the label of the piece.
    pub(super) fn of(label: &str) -> Self {
        let mut settings = Self(BTreeMap::new());
        settings.add("defaults", &DEFAULTS.to_string());
        settings.add("piece", label);
        settings
    }

    /// Adds one value.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Adds the values of a resolved configuration that differ from its defaults.
    pub(super) fn add_differences<C: Serialize + Default>(&mut self, name: &str, config: &C) {
        // Configurations have plain values, and strings as keys, so this cannot fail.
        let value = |config: &C| serde_json::to_value(config).unwrap_or_default();
        let mut default = value(&C::default());
        // Before there was "auto", the default was 1. A resolved configuration has a number, and 1 must leave the hash as it was.
        if let Some(channels) = default.pointer_mut("/data/channels") {
            *channels = 1.into();
        }
        self.differences(name, &value(config), &default);
    }

    fn differences(&mut self, name: &str, value: &Value, default: &Value) {
        match (value, default) {
            (Value::Object(values), Value::Object(defaults)) => {
                for key in values.keys().chain(defaults.keys()) {
                    let of = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                    self.differences(&format!("{name}.{key}"), &of(values), &of(defaults));
                }
            }
            _ if value == default => {}
            _ => self.add(name, &value.to_string()),
        }
    }

    /// SHA-256 over one line for each setting, sorted by name.
    pub(super) fn sha256(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        pig_files::sha256(lines.concat().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Before {
        steps: usize,
        rate: f64,
    }

    impl Default for Before {
        fn default() -> Self {
            Self { steps: 10, rate: 0.1 }
        }
    }

    #[derive(Serialize)]
    struct After {
        slices: usize,
        rate: f64,
        steps: usize,
        frozen: Option<String>,
    }

    impl Default for After {
        fn default() -> Self {
            Self { slices: 1, rate: 0.1, steps: 10, frozen: None }
        }
    }

    fn hash<C: Serialize + Default>(config: &C) -> String {
        let mut settings = Settings::of("pig-generator");
        settings.add_differences("generator", config);
        settings.sha256()
    }

    #[test]
    fn keys_that_came_later_change_no_hash_and_values_do() {
        assert_eq!(hash(&Before::default()), hash(&After::default()));
        let before = Before { steps: 500, ..Before::default() };
        let after = After { steps: 500, ..After::default() };
        assert_eq!(hash(&before), hash(&after));
        assert_ne!(hash(&before), hash(&Before::default()));
        assert_ne!(hash(&After { slices: 2, steps: 500, ..After::default() }), hash(&after));
        assert_ne!(hash(&After { frozen: Some("x".to_owned()), ..After::default() }), hash(&After::default()));
    }

    #[test]
    fn gray_images_leave_the_hash_as_it_was_before_auto_and_colour_changes_it() {
        let with = |channels: usize| {
            let mut config = pig_train::Config::default();
            config.data.channels = pig_data::Channels::Count(channels);
            let mut settings = Settings::of("pig-generator");
            settings.add_differences("generator", &config);
            settings
        };
        assert_eq!(with(1).sha256(), Settings::of("pig-generator").sha256());
        assert_eq!(with(3).0["generator.data.channels"], "3");
    }

    #[test]
    fn names_and_labels_count() {
        let plain = Settings::of("real").sha256();
        assert_ne!(plain, Settings::of("pig-add-0.29").sha256());
        let mut more = Settings::of("real");
        more.add("pairs", "3");
        assert_ne!(plain, more.sha256());
    }
}
