//! Checks of a cross-validation's configuration, beyond the types of its keys.

use crate::crossval::{
    config::{ArmConfig, Count, CrossvalFile, FOLD, REAL, SEED},
    variant::{ArmGenerator, Variant, variants},
};
use pig_data::{Channels, DataConfig, Splits};
use pig_segment::PairUse;
use pig_train::{
    Config, Error, Result,
    config::{Layers, MOST_AT_ONCE, Unlabelled, require, word},
};
use std::path::Path;

/// The largest number of generated pairs of an arm.
const MOST_PAIRS: usize = 100_000_000;
/// The largest number of generated pairs for each real one.
const MOST_SHARE: f64 = 1_000.0;

/// The error with the arm's name before its key, since a file may have many arms.
fn of_arm(error: Error, arm: &ArmConfig) -> Error {
    let named = |key: String| format!("crossval.arms {:?}: {key}", arm.name);
    match error {
        Error::Setting { key, found, expected } => Error::Setting { key: named(key), found, expected },
        Error::Foreign { key, method, to } => Error::Foreign { key: named(key), method, to },
        other => other,
    }
}

fn are_distinct(seeds: &[u64]) -> bool {
    seeds.iter().enumerate().all(|(place, seed)| !seeds[..place].contains(seed))
}

impl CrossvalFile {
    /// Checks ranges and names.
    pub fn check(&self) -> Result<()> {
        let crossval = &self.crossval;
        self.segmenter(0).check()?;
        crossval.curate.check("crossval.curate.")?;
        let (key, pairs) = ("segment.train.pairs", self.segment.train.pairs);
        let expected = "\"mixed\": in a cross-validation, the lists of the arms say how pairs are used (pretrained)";
        require(pairs == PairUse::Mixed, key, format!("{:?}", word(&pairs)), expected)?;
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
        let key = "crossval.segmenter_seeds";
        require(
            !seeds.is_empty() && are_distinct(seeds),
            key,
            format!("{seeds:?}"),
            "at least one seed, and no seed twice",
        )?;
        let generators = &crossval.generator_seeds;
        let expected = format!(
            "no seed twice, and at most as many as crossval.segmenter_seeds ({}), which are divided among the generators",
            seeds.len()
        );
        let fits = are_distinct(generators) && generators.len() <= seeds.len();
        require(fits, "crossval.generator_seeds", format!("{generators:?}"), &expected)?;
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
            let list = |counts: &[Count]| counts.iter().map(Count::to_string).collect::<Vec<_>>().join(", ");
            let all = [&arm.add, &arm.curated, &arm.pretrained, &arm.placebo, &arm.only, &arm.shuffled];
            let found = all.map(|counts| format!("[{}]", list(counts))).join(", ");
            let expected = &format!(
                "only numbers above 0, at most {MOST_PAIRS} pairs or {MOST_SHARE} for each real one, and at least one in these lists"
            );
            require(
                is_positive && !is_empty,
                "crossval.arms.add, curated, pretrained, placebo, only, shuffled",
                found,
                expected,
            )?;
            if let Some(runs) = &arm.runs {
                require(runs.contains(FOLD), "crossval.arms.runs", runs, &format!("a path with {FOLD} in it"))?;
                let is_told = match generators.len() {
                    0 => !runs.contains(SEED),
                    1 => true,
                    _ => runs.contains(SEED),
                };
                let expected = format!("{SEED} in the path if, and only if, crossval.generator_seeds lists seeds");
                require(is_told, "crossval.arms.runs", runs, &expected)?;
                let alone = arm.config.is_none() && arm.set.is_empty();
                require(
                    alone,
                    "crossval.arms.runs",
                    runs,
                    "neither config nor set beside runs: the runs have their own configuration",
                )?;
            }
        }
        variants(self).into_iter().try_for_each(|variant| variant.segmenter(self, 0).check())?;
        let labels: Vec<String> = variants(self).into_iter().map(|variant| variant.label(self)).collect();
        let twice = labels.iter().enumerate().find(|(index, label)| labels[..*index].contains(label));
        match twice {
            None => Ok(()),
            Some((_, label)) => require(false, "crossval.arms", format!("{label} twice"), "no count twice in a list"),
        }
    }

    /// The generator's configuration for an arm whose generator is trained here, without `runs`: its own file and settings above `[data]`
    /// of this file, so that its pictures are read as the segmenter's are. `base` is the folder of this file.
    pub fn generator(&self, arm: &ArmConfig, base: &Path) -> Result<Config> {
        let layers = Layers { file: arm.config.as_ref().map(|path| base.join(path)), sets: arm.set.clone() };
        let mut config: Config = layers.load_above(&self.data)?;
        if config.data.channels == Channels::Auto {
            config.data.channels = self.data.channels;
        }
        config.check().map_err(|error| of_arm(error, arm))?;
        self.check_generator(arm, &config)?;
        Ok(config)
    }

    /// The configuration of one of the generators that an arm trains here: [`Self::generator`], with the seed that the cross-validation gives it.
    pub(super) fn seeded_generator(&self, which: ArmGenerator, base: &Path) -> Result<Config> {
        let mut config = self.generator(&self.crossval.arms[which.arm], base)?;
        if let Some(seed) = which.seed(self) {
            config.train.seed = seed;
        }
        Ok(config)
    }

    /// Refuses a generator whose pairs cannot train the segmenter.
    pub(super) fn check_generator(&self, arm: &ArmConfig, config: &Config) -> Result<()> {
        let key = format!("crossval.arms {:?}", arm.name);
        let mut ours = self.data.clone();
        // Before the data decide, every number of channels may be right.
        if ours.channels == Channels::Auto {
            ours.channels = config.data.channels;
        }
        if ours.may_find_classes() {
            ours.classes.clone_from(&config.data.classes);
            ours.classes_overlap = config.data.classes_overlap;
        }
        let mut theirs = config.data.clone();
        // An arm without runs takes over what the data decide here.
        if arm.runs.is_none() && theirs.may_find_classes() {
            theirs.classes.clone_from(&ours.classes);
            theirs.classes_overlap = ours.classes_overlap;
        }
        let [found, expected] = [&theirs, &ours].map(shared_keys);
        if let Some((found, expected)) = found.into_iter().zip(expected).find(|(found, expected)| found != expected) {
            let ((name, found), (_, expected)) = (found, expected);
            let remedy = if arm.runs.is_some() {
                "give runs that were trained with it, or set it so in [data] here"
            } else {
                "leave it out of the arm's own configuration, which takes it over from here, or set it so in [data] here"
            };
            return Err(Error::Setting {
                key: format!("{key}: data.{name}"),
                found,
                expected: format!("{expected}, as the segmenter reads its pictures ([data] of this file); {remedy}"),
            });
        }
        let (unlabelled, patients) = (config.train.unlabelled, self.crossval.patients);
        let is_there = match unlabelled {
            Unlabelled::None => true,
            Unlabelled::Rest => patients < 1.0,
            Unlabelled::Folder => arm.runs.is_some(),
        };
        require(
            is_there,
            &format!("{key}: train.unlabelled"),
            format!("{:?} with crossval.patients = {patients}", word(&unlabelled)),
            "\"none\", or \"rest\" with crossval.patients below 1, which leaves patients out",
        )?;
        let method = config.method;
        let has_masks = method.has_masks();
        require(has_masks, &format!("{key}: method"), method.word(), "a method that makes or takes masks")
    }

    /// Refuses arms without generated pairs in a fold, and arms whose pairs no step of a segmenter draws: their segmenters would be
    /// those of real pairs, or none.
    pub(crate) fn check_drawn(&self, folds: &[Splits]) -> Result<()> {
        for variant in variants(self) {
            let Variant::Generated { arm, how, count } = variant else { continue };
            let name = &self.crossval.arms[arm].name;
            // One pair cannot get the mask of another one.
            let least = if variant.is_shuffled() { 2 } else { 1 };
            for (number, fold) in folds.iter().enumerate() {
                let real = fold.training.len();
                let mixture = variant.mixture(real);
                let generated = mixture.generated;
                let key = format!("crossval.arms {name:?}: {}", how.word());
                let expected =
                    format!("at least {least} generated pair(s) beside the {real} training pairs of fold {number}");
                require(generated >= least, &key, format!("{count}, which is {generated} pair(s)"), &expected)?;
                for &seed in &self.crossval.segmenter_seeds {
                    let label = format!("{}, fold {number}, seed {seed}", variant.label(self));
                    mixture.check_drawn(&variant.segmenter(self, seed).segment.train, &label)?;
                }
            }
        }
        Ok(())
    }
}

/// The values that generator and segmenter must share, by their keys in `[data]`.
fn shared_keys(data: &DataConfig) -> [(&'static str, String); 4] {
    let column = data.group_column.as_ref().map_or("not set".to_owned(), |column| format!("{column:?}"));
    let [height, width] = data.size;
    [
        ("size", format!("[{height}, {width}]")),
        ("channels", data.channels.to_string()),
        ("group_column", column),
        ("classes", data.class_words()),
    ]
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
            ("[crossval]\ngenerator_seeds = [1, 1]\n".to_owned(), "generator_seeds = [1, 1]"),
            (
                "[crossval]\ngenerator_seeds = [1, 2, 3, 4]\n".to_owned(),
                "at most as many as crossval.segmenter_seeds (3)",
            ),
            ("[crossval]\ngenerator_seeds = [1, 2]\n".to_owned() + &arm("name = \"a\"\nruns = \"{fold}\""), "{seed}"),
            (arm("name = \"a\"\nruns = \"{fold}/{seed}\""), "{seed} in the path"),
            (arm("name = \"a\"\nadd = [2]\nplacebo = [0]"), "placebo"),
        ] {
            let message = parse(&text).check().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        let file = parse(&arm("name = \"a\"\nset = [\"method=ddim\"]"));
        let message = file.generator(&file.crossval.arms[0], Path::new(".")).unwrap_err().to_string();
        assert!(message.contains("makes or takes masks"), "{message}");
        // A value that cannot be used, and a key of another method.
        for set in ["train.batch_size=0", "method=seg-guided\", \"sample.second_pass=true"] {
            let file = parse(&arm(&format!("name = \"a\"\nset = [\"{set}\"]")));
            let message = file.generator(&file.crossval.arms[0], Path::new(".")).unwrap_err().to_string();
            assert!(message.starts_with("crossval.arms \"a\": "), "{message}");
        }
        let file = parse(&arm("name = \"a\"\nset = [\"data.size=32\"]"));
        let message = file.generator(&file.crossval.arms[0], Path::new(".")).unwrap_err().to_string();
        for part in ["data.size = [32, 32], expected [64, 64]", "crossval.arms \"a\"", "leave it out"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn arms_take_over_how_pictures_are_read() {
        let data = "[data]\nsize = 32\nchannels = 3\ngroup_column = \"case\"\ncrop = \"blank-borders\"\nvalidation_fraction = 0.3\n";
        let arm = "[[crossval.arms]]\nname = \"a\"\nset = [\"data.augment.horizontal_flip=true\"]\n";
        let file = parse(&format!("{data}{arm}"));
        let found = file.generator(&file.crossval.arms[0], Path::new(".")).unwrap().data;
        assert_eq!((found.size, found.group_column.as_deref(), found.crop), ([32, 32], Some("case"), file.data.crop));
        assert_eq!(found.channels, file.data.channels);
        // What only the training of one of them reads is each one's own.
        assert!(found.augment.horizontal_flip && (found.validation_fraction - 0.1).abs() < 1e-9);
        // Its own value goes first, if it is not one that both must share.
        let own = parse(&format!("{data}[[crossval.arms]]\nname = \"a\"\nset = [\"data.crop=none\"]\n"));
        let found = own.generator(&own.crossval.arms[0], Path::new(".")).unwrap().data;
        assert_eq!(found.crop, pig_data::config::Crop::None);
    }

    fn fold(training: usize) -> Splits {
        let ids = (0..training).map(|index| format!("\"s{index:04}\"")).collect::<Vec<_>>().join(",");
        let json = format!(
            "{{\"by\":\"image\",\"seed\":0,\"training_groups\":{training},\"validation_groups\":0,\"training\":[{ids}],\"validation\":[],\"sha256\":\"\"}}"
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn arms_whose_pairs_are_never_drawn_are_refused_before_anything_is_trained() {
        let file = |arm: &str, steps: usize| {
            parse(&format!(
                "[segment.train]\nsteps = {steps}\nbatch_size = 2\n[crossval]\nsegmenter_seeds = [0]\n[[crossval.arms]]\nname = \"a\"\n{arm}\n"
            ))
        };
        let refused =
            |arm: &str, steps, training| file(arm, steps).check_drawn(&[fold(training)]).unwrap_err().to_string();
        // One pair among 2001: two draws do not reach it, and 1001 steps of two draw every pair.
        let message = refused("add = [1]", 1, 2000);
        for part in ["a-add-1, fold 0, seed 0", "in 1 steps of 2 pairs", "none of its 1", "2001", "segment.train.steps"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
        file("add = [1]", 1001).check_drawn(&[fold(2000)]).unwrap();
        let message = refused("add = [0.001]", 10, 100);
        assert!(
            message.contains("0.001, which is 0 pair(s)") && message.contains("the 100 training pairs"),
            "{message}"
        );
        let message = refused("add = []\nshuffled = [1]", 10, 100);
        assert!(message.contains("at least 2 generated pair(s)"), "{message}");
        file("add = []\nonly = [1]", 1).check_drawn(&[fold(100)]).unwrap();
    }
}
