//! A cross-validation of masks with several classes: tables of all classes and of each, from one measurement of the test patients.

#[path = "../../train/tests/common/mod.rs"]
mod common;
mod two_classes;

use common::device;
use pig_data::manifest::Manifest;
use pig_study::crossval::{Crossval, Selection, config::CrossvalFile};
use pig_train::observer::{Outcome, Silent};
use std::path::Path;
use two_classes::{NAMES, generator};

const CONFIG: &str = r#"
[data]
size = 16
validation_fraction = 0.25

[segment.network]
block_out_channels = [16, 32]
norm_num_groups = 4

[segment.train]
steps = 60
batch_size = 4
learning_rate = 3e-3
validate_every = 30

[segment.augment]
rotation = 0
horizontal_flip = false

[crossval]
folds = 2
segmenter_seeds = [0, 1]

[[crossval.arms]]
name = "pig"
config = "pig.toml"
add = [2]
only = [4]
shuffled = [4]
"#;

/// Pairs of which the first has the first class alone, and the second the second; with the generator's configuration beside them.
fn folder() -> tempfile::TempDir {
    let folder = two_classes::folder(|index| [index != 1, index != 0]);
    std::fs::write(folder.path().join("pig.toml"), generator().to_toml()).unwrap();
    folder
}

/// A column of numbers of a table; empty cells are none.
fn column(path: &Path, name: &str) -> Vec<Option<f64>> {
    let table = Manifest::read(path).unwrap().unwrap();
    let place = table.column(name).unwrap();
    table.rows().map(|row| row.get(place).parse().ok()).collect()
}

#[test]
fn each_class_has_its_tables_and_the_main_one_is_their_mean() {
    let folder = folder();
    let file: CrossvalFile = toml::from_str(CONFIG).unwrap();
    let out = folder.path().join("out");
    let crossval = Crossval::new(file, folder.path().to_owned(), &folder.path().join("data"), &out, &Silent).unwrap();
    assert_eq!(crossval.run(&Selection::default(), &device(), &Silent).unwrap(), Outcome::Finished);
    let results = crossval.results().unwrap();
    let names: Vec<&str> = results.classes.iter().map(|class| class.class.as_str()).collect();
    assert_eq!(names, NAMES);
    // The main table: the mean of the classes that a case has; the tables of classes: each alone.
    let all = column(&out.join("cases.csv"), "dice");
    let [mass, calcification] = NAMES.map(|name| column(&out.join(format!("cases-{name}.csv")), "dice"));
    assert_eq!(all.len(), 12 * 4 * 2);
    for (all, classes) in all.iter().zip(mass.iter().zip(&calcification)) {
        let found: Vec<f64> = [classes.0, classes.1].into_iter().flatten().copied().collect();
        let mean = (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64);
        assert!(all.zip(mean).is_some_and(|(all, mean)| (all - mean).abs() < 1e-12), "{all:?} {mean:?}");
    }
    // Eleven of twelve slices have each class, and the twelfth can only be a false finding.
    for class in &results.classes {
        let arm = &class.results.arms[0];
        assert_eq!((arm.arm.as_str(), arm.segmenters), ("real", [4, 4]));
        assert_eq!((arm.lesion_dice.unwrap().slices, arm.false_findings.unwrap().slices), (11, 1), "{}", class.class);
        // Bright and dark squares are easy.
        assert!(arm.lesion_dice.unwrap().mean > 0.6, "{}: {:?}", class.class, arm.lesion_dice);
        assert!(class.results.arms[1].against_real.is_some());
        let agreement = &class.results.agreement[0];
        assert!(agreement.measured == 4 && agreement.held_out.is_some());
        assert_eq!(class.results.pairing.len(), 1);
    }
    assert_eq!((results.arms[0].lesion_dice.unwrap().slices, results.arms[0].false_findings), (12, None));
    let text = results.to_string();
    for words in ["# Class mass", "# Class calcification", "The class mass alone", "mean over the classes"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // What is stored says the same, and a run of another number of classes is refused.
    let stored: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(stored["classes"][1]["class"], "calcification");
    let one: CrossvalFile = toml::from_str(&CONFIG.replace("size = 16", "size = 16\nmask_values = [1, 2]")).unwrap();
    let merged = folder.path().join("merged");
    let one = Crossval::new(one, folder.path().to_owned(), &folder.path().join("data"), &merged, &Silent).unwrap();
    let real = Selection { arm: Some("real".to_owned()), fold: Some(0), seed: Some(0) };
    one.run(&real, &device(), &Silent).unwrap();
    assert!(one.results().unwrap().classes.is_empty() && !merged.join("cases-mass.csv").exists());
}
