//! A cross-validation with several generators of an arm in each fold.

mod common;

use common::{Folder, TINY, assert_script, command, stderr, stdout, success};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Two generators, and four segmenters, of which the first two learn from the first generator.
const CONFIG: &str = r#"
[data]
size = 16
validation_fraction = 0.3

[segment]
threshold = 0.1

[segment.network]
block_out_channels = [8, 16]
norm_num_groups = 4

[segment.train]
steps = 10
batch_size = 2
learning_rate = 0.01
warmup_steps = 2
ema_decay = 0.0
validate_every = 5

[crossval]
folds = 2
segmenter_seeds = [0, 1, 2, 3]
generator_seeds = [4, 9]
min_validation_patients = 1

[[crossval.arms]]
name = "pig"
config = "generator.toml"
add = [2]
curated = [2]
only = [2]
placebo = [2]

[[crossval.arms]]
name = "guided"
config = "generator.toml"
set = ["method=seg-guided"]
add = [2]
"#;

/// The seeds of the pairs that a generator in this folder made.
fn noise(folder: &Path) -> Vec<u64> {
    let done = std::fs::read_to_string(folder.join("done.json")).unwrap();
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    done["found"]["seeds"].as_array().unwrap().iter().map(|seed| seed.as_u64().unwrap()).collect()
}

/// The values of two columns of a table, together.
fn columns(table: &Path, [first, second]: [&str; 2], arm: &str) -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(table).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let place = |name: &str| rows[0].iter().position(|column| *column == name).unwrap();
    let [arm_place, first, second] = ["arm", first, second].map(place);
    let own = rows[1..].iter().filter(|row| row[arm_place] == arm);
    own.map(|row| (row[first].to_owned(), row[second].to_owned())).collect()
}

#[test]
fn segmenters_are_divided_among_the_generators_of_an_arm() {
    let folder = Folder::with_data();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("generator.toml"), TINY.map(|set| set.to_owned() + "\n").concat()).unwrap();
    std::fs::write(at("crossval.toml"), CONFIG).unwrap();
    let run = |more: &[&str]| {
        let mut asked = command(&["crossval", "--config", "crossval.toml", "--data", "data", "--out", "out"]);
        asked.args(more).current_dir(folder.path()).output().unwrap()
    };
    // One generator is a piece of its own.
    success(run(&["--fold", "1", "--arm", "pig-generator-9", "-q"]));
    let generators = at("out/fold-1/generators/pig");
    assert!(generators.join("seed-9/done.json").is_file() && !generators.join("seed-4").exists());
    let shown = stdout(&success(run(&[])));
    for line in [
        "pig-add-2 against pig-placebo-2: ",
        "2 generator seeds, among which those of the segmenters are divided",
        "generators (2 of an arm)",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    // Each has its own seed and makes its own pairs, of noise that no other one has.
    let (mut hashes, mut used) = (BTreeMap::new(), BTreeMap::new());
    for fold in 0..2 {
        for (arm, seed) in [("pig", 4), ("pig", 9), ("guided", 4), ("guided", 9)] {
            let folder = at(&format!("out/fold-{fold}/generators/{arm}/seed-{seed}"));
            let config = std::fs::read_to_string(folder.join("run/config.toml")).unwrap();
            assert!(config.contains(&format!("\nseed = {seed}\n")), "{config}");
            let done = std::fs::read_to_string(folder.join("done.json")).unwrap();
            let done: serde_json::Value = serde_json::from_str(&done).unwrap();
            for pair in noise(&folder) {
                assert_eq!(used.insert((arm, pair), (fold, seed)), None, "{arm} {pair}");
            }
            hashes.insert(done["found"]["model_hash"].as_str().unwrap().to_owned(), (fold, arm, seed));
        }
        // Pairs for the masks of test patients are those of each generator, too.
        for seed in [4, 9] {
            let pairs = at(&format!("out/fold-{fold}/agreement/guided/generator-seed-{seed}/pairs/images"));
            assert!(std::fs::read_dir(pairs).unwrap().count() > 0);
        }
    }
    assert_eq!(hashes.len(), 8, "{hashes:?}");
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let cases = at("out/cases.csv");
    let seeds = |arm: &str| columns(&cases, ["generator_seed", "seed"], arm);
    let dealt: BTreeSet<(String, String)> = pairs(&[("4", "0"), ("4", "1"), ("9", "2"), ("9", "3")]);
    for arm in ["pig-add-2", "pig-curated-2", "pig-only-2", "pig-placebo-2", "guided-add-2"] {
        assert_eq!(seeds(arm), dealt, "{arm}");
    }
    assert_eq!(seeds("real"), pairs(&[("", "0"), ("", "1"), ("", "2"), ("", "3")]));
    // A script that shares no code with pig finds the same intervals from these columns.
    assert_script(&at("out"));
    // Nothing is done twice, and what a generator made is not taken for another one's.
    let again = success(run(&[]));
    assert!(!stderr(&again).contains("generator-"), "{}", stderr(&again));
    let other = run(&["--set", "crossval.generator_seeds=[4,8]", "--jobs"]);
    assert!(
        !other.status.success() && stderr(&other).contains("seed-2: was finished with the settings"),
        "{}",
        stderr(&other)
    );
}

/// Finished generators keep their seeds, so those of another one must not be among them, in no fold.
#[test]
fn a_generator_that_is_added_later_has_noise_of_its_own() {
    let folder = Folder::with_data();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("generator.toml"), TINY.map(|set| set.to_owned() + "\n").concat()).unwrap();
    std::fs::write(at("crossval.toml"), CONFIG.replace("curated = [2]\n", "")).unwrap();
    let mut used = BTreeSet::new();
    for (seeds, segmenters, new) in [("[4,9]", "[0,1,2,3]", vec![4, 9]), ("[4,9,11]", "[0,1,2,3,4,5]", vec![11])] {
        let sets = [format!("crossval.generator_seeds={seeds}"), format!("crossval.segmenter_seeds={segmenters}")];
        for seed in new {
            let label = format!("pig-generator-{seed}");
            let asked =
                ["crossval", "--config", "crossval.toml", "--data", "data", "--out", "out", "-q", "--arm", &label];
            let mut asked = command(&asked);
            asked.args(sets.iter().flat_map(|set| ["--set", set])).current_dir(folder.path());
            success(asked.output().unwrap());
            for fold in 0..2 {
                for pair in noise(&at(&format!("out/fold-{fold}/generators/pig/seed-{seed}"))) {
                    assert!(used.insert(pair), "fold {fold}, seed {seed}: {pair}");
                }
            }
        }
    }
}
