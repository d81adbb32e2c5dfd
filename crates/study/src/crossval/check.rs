//! Checks of a cross-validation's configuration, beyond the types of its keys.

use crate::crossval::{
    config::{ArmConfig, Count, CrossvalFile, REAL},
    variant::variants,
};
use pig_data::{Channels, DataConfig};
use pig_train::{
    Config, Error, Result,
    config::{Layers, MOST_AT_ONCE, require},
};
use std::path::Path;

/// The largest number of generated pairs of an arm.
const MOST_PAIRS: usize = 100_000_000;
/// The largest number of generated pairs for each real one.
const MOST_SHARE: f64 = 1_000.0;

impl CrossvalFile {
    /// Checks ranges and names.
    pub fn check(&self) -> Result<()> {
        let crossval = &self.crossval;
        self.segmenter(0).check()?;
        let folds = crossval.folds;
        require((2..=MOST_AT_ONCE).contains(&folds), "crossval.folds", folds, &format!("2 to {MOST_AT_ONCE}"))?;
        let share = crossval.patients;
        require(
            share > 0.0 && share <= 1.0,
            "crossval.patients",
            share,
            "a number above 0 and at most 1 (1: all patients)",
        )?;
        let seeds = &crossval.segmenter_seeds;
        let distinct = seeds.iter().enumerate().all(|(i, seed)| !seeds[..i].contains(seed));
        let key = "crossval.segmenter_seeds";
        require(!seeds.is_empty() && distinct, key, format!("{seeds:?}"), "at least one seed, and no seed twice")?;
        for (index, arm) in crossval.arms.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
            let name = &arm.name;
            let is_good =
                name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain) && name != REAL;
            let is_new = crossval.arms[..index].iter().all(|other| other.name != *name);
            let expected =
                "a unique name of letters, digits, -, _, + and ., with a letter or digit first, other than \"real\"";
            require(is_good && is_new, "crossval.arms.name", format!("{name:?}"), expected)?;
            let mut sets = arm.training_sets().peekable();
            let is_empty = sets.peek().is_none();
            let is_positive = sets.all(|(_, count)| match count {
                Count::Pairs(pairs) => (1..=MOST_PAIRS).contains(&pairs),
                Count::Share(share) => share > 0.0 && share <= MOST_SHARE,
            });
            let found = format!("{:?}, {:?}, {:?}", arm.add, arm.only, arm.shuffled);
            let expected = &format!(
                "only numbers above 0, at most {MOST_PAIRS} pairs or {MOST_SHARE} for each real one, and at least one in these lists"
            );
            require(is_positive && !is_empty, "crossval.arms.add, only, shuffled", found, expected)?;
            if let Some(runs) = &arm.runs {
                require(runs.contains("{fold}"), "crossval.arms.runs", runs, "a path with {fold} in it")?;
                let alone = arm.config.is_none() && arm.set.is_empty();
                require(
                    alone,
                    "crossval.arms.runs",
                    runs,
                    "neither config nor set beside runs: the runs have their own configuration",
                )?;
            }
        }
        let labels: Vec<String> = variants(self).into_iter().map(|variant| variant.label(self)).collect();
        let twice = labels.iter().enumerate().find(|(index, label)| labels[..*index].contains(label));
        require(twice.is_none(), "crossval.arms", format!("{twice:?}"), "no count twice in a list")
    }

    /// The generator's configuration for an arm whose generator is trained here, without `runs`. `base` is the folder of this file.
    pub fn generator(&self, arm: &ArmConfig, base: &Path) -> Result<Config> {
        let layers = Layers { file: arm.config.as_ref().map(|path| base.join(path)), sets: arm.set.clone() };
        let mut config = layers.load()?;
        if config.data.group_column.is_none() {
            config.data.group_column.clone_from(&self.data.group_column);
        }
        if config.data.channels == Channels::Auto {
            config.data.channels = self.data.channels;
        }
        config.check()?;
        self.check_generator(arm, &config)?;
        Ok(config)
    }

    /// Refuses a generator whose pairs cannot train the segmenter.
    pub(super) fn check_generator(&self, arm: &ArmConfig, config: &Config) -> Result<()> {
        let key = format!("crossval.arms {:?}", arm.name);
        let of = |data: &DataConfig| (data.size, data.channels, data.group_column.clone());
        let (found, mut expected) = (of(&config.data), of(&self.data));
        // Before the data decide, every number of channels may be right.
        if self.data.channels == Channels::Auto {
            expected.1 = config.data.channels;
        }
        if found != expected {
            return Err(Error::Setting {
                key: format!("{key}: data.size, data.channels, data.group_column"),
                found: format!("{found:?}"),
                expected: format!("{expected:?}, the values of the segmenter"),
            });
        }
        let method = config.method;
        let has_masks = method.has_masks();
        require(has_masks, &format!("{key}: method"), method.word(), "a method that makes or takes masks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> CrossvalFile {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn counts_are_numbers_of_pairs_or_shares() {
        let file = parse("[[crossval.arms]]\nname = \"pig\"\nadd = [64, 0.5, 1.0]\nshuffled = [2]\n");
        file.check().unwrap();
        let counts = &file.crossval.arms[0].add;
        assert_eq!(counts, &[Count::Pairs(64), Count::Share(0.5), Count::Share(1.0)]);
        let labels: Vec<String> = variants(&file).into_iter().map(|variant| variant.label(&file)).collect();
        assert_eq!(labels, ["real", "pig-add-64", "pig-add-0.5", "pig-add-1.0", "pig-shuffled-2"]);
        assert_eq!(counts.iter().map(|count| count.of(101)).collect::<Vec<_>>(), [64, 51, 101]);
        assert_eq!(parse(&file.to_toml()), file);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let arm = |text: &str| format!("[[crossval.arms]]\n{text}\n");
        for (text, part) in [
            ("[crossval]\nfolds = 1\n".to_owned(), "crossval.folds = 1"),
            ("[crossval]\npatients = 0.0\n".to_owned(), "crossval.patients = 0"),
            ("[crossval]\nsegmenter_seeds = [1, 1]\n".to_owned(), "segmenter_seeds"),
            (arm("name = \"real\""), "other than \"real\""),
            (arm("name = \"../x\""), "crossval.arms.name"),
            (arm("name = \"a\"") + &arm("name = \"a\""), "a unique name"),
            (arm("name = \"a\"\nadd = [0]"), "above 0"),
            (arm("name = \"a\"\nadd = []"), "above 0"),
            (arm("name = \"a\"\nadd = [9000000000000000000]"), "at most 100000000 pairs"),
            (arm("name = \"a\"\nadd = [1e300]"), "at most 100000000 pairs"),
            ("[crossval]\nfolds = 9000000000000000000\n".to_owned(), "2 to 1000000"),
            (arm("name = \"a\"\nonly = [2, 2]"), "twice"),
            (arm("name = \"a\"\nruns = \"x\""), "{fold}"),
        ] {
            let message = parse(&text).check().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        let file = parse(&arm("name = \"a\"\nset = [\"method=ddim\"]"));
        let message = file.generator(&file.crossval.arms[0], Path::new(".")).unwrap_err().to_string();
        assert!(message.contains("makes or takes masks"), "{message}");
        let file = parse(&arm("name = \"a\"\nset = [\"data.size=32\"]"));
        let message = file.generator(&file.crossval.arms[0], Path::new(".")).unwrap_err().to_string();
        assert!(message.contains("the values of the segmenter"), "{message}");
    }
}
