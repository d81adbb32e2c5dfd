//! `pig boost` on masks of several classes: the plan names them, the verdict is one of their mean, and the page has the rows of each.

#[path = "../../train/tests/common/mod.rs"]
mod common;
mod two_classes;

use common::device;
use pig_data::{DataConfig, Dataset, class_source::resolve, classes::names};
use pig_study::{
    boost::{CROSSVAL, Findings, PAGE, PLAN, Plan, Request, boost, planned, write_best},
    crossval::{Crossval, CrossvalFile, variants},
};
use pig_train::{config::Layers, observer::Silent};
use std::path::Path;
use two_classes::{NAMES, generator};

const CROSSVAL_FILE: &str = r#"
[data]
size = 16
validation_fraction = 0.25

[segment.network]
block_out_channels = [8, 16]
norm_num_groups = 4

[segment.train]
steps = 12
batch_size = 4
validate_every = 6

[crossval]
folds = 3
segmenter_seeds = [0, 1]

[[crossval.arms]]
name = "pig"
config = "generator.toml"
add = [3]
curated = [3]
"#;

/// Pairs that all have the first class, and the second if their number is below `rare`.
fn folder(rare: usize) -> tempfile::TempDir {
    two_classes::folder(|index| [true, index < rare])
}

fn request(folder: &Path, hours: Option<f64>) -> Request {
    Request { data: folder.join("data"), hours, size: hours.map(|_| 16), plan: None, out: folder.join("out") }
}

#[test]
fn a_plan_names_the_classes_and_how_many_training_pairs_hold_them() {
    let folder = folder(12);
    let request = request(folder.path(), Some(0.0001));
    let plan = planned(&request, &device(), &Silent).unwrap();
    assert_eq!(names(&plan.crossval.data.classes), NAMES);
    // Three of twelve pairs test, and two of the other nine validate.
    let found: Vec<(&str, usize)> = plan.findings.classes.iter().map(|(name, &count)| (name.as_str(), count)).collect();
    assert_eq!(found, [("calcification", 7), ("mass", 7)]);
    let said = plan.to_string();
    let words = "the first fold's 7 training pairs hold them: calcification 7, mass 7; Dice is the mean over classes";
    assert!(said.contains(words), "{said}");
    // The plan can be begun with the generator's own file, which leaves the classes to the cross-validation.
    let given = folder.path().join("given");
    plan.write(&given).unwrap();
    let layers = Layers { file: Some(given.join("crossval.toml")), sets: Vec::new() };
    let crossval = Crossval::open(&layers, &request.data, &folder.path().join("crossval"), &Silent).unwrap();
    let generator = crossval.file.generator(&crossval.file.crossval.arms[0], &given).unwrap();
    assert_eq!(names(&generator.data.classes), NAMES);
    // Edited steps keep what was measured of networks of these classes.
    let mut edited = plan.crossval.clone();
    edited.segment.train.steps = 100;
    std::fs::write(given.join("crossval.toml"), edited.to_toml()).unwrap();
    let follow = Request { hours: None, size: None, plan: Some(given), ..request };
    let edited = planned(&follow, &device(), &Silent).unwrap();
    assert_eq!(edited.findings.classes, plan.findings.classes);
    let again = edited.findings.again.unwrap();
    assert!(again.ends_with("kept of: the segmenter, the generator of \"pig\""), "{again}");
}

/// The palettes name a class of which no mask has a pixel.
#[test]
fn a_class_that_no_training_pair_has_is_refused_before_anything_is_trained() {
    let folder = folder(0);
    let request = request(folder.path(), Some(0.0001));
    let message = planned(&request, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("has a pixel of the class \"calcification\""), "{message}");
    assert!(!request.out.exists());
}

#[test]
fn the_page_has_the_rows_of_each_class_and_pairs_keep_their_classes() {
    let folder = folder(12);
    let crossval: CrossvalFile = toml::from_str(CROSSVAL_FILE).unwrap();
    let plan = Plan {
        program: "by hand".to_owned(),
        hours: 0.5,
        folds: 1,
        seconds: [1.0; 4],
        patients: [6, 2, 4],
        detectable: None,
        training_pairs: None,
        speeds: None,
        findings: Findings::default(),
        crossval,
        generator: generator().to_toml(),
    };
    let given = folder.path().join("given");
    plan.write(&given).unwrap();
    let request = Request { plan: Some(given), ..request(folder.path(), None) };
    let summary = boost(&request, &device(), &Silent).unwrap().unwrap();
    assert!(summary.advice.reason().contains("mean Dice over the classes"), "{summary:?}");

    let page = std::fs::read_to_string(request.out.join(PAGE)).unwrap();
    let [verdict, by_class, to_do] =
        ["mean Dice over the classes", "By class", "What to do"].map(|words| page.find(words).unwrap());
    assert!(verdict < by_class && by_class < to_do, "the rows of classes are beside the verdict");
    let beside = &page[by_class..to_do];
    for words in ["mass", "calcification", "pig-add-3", "pig-curated-3", "Each class alone"] {
        assert!(beside.contains(words), "{words}: {beside}");
    }

    // What would be advised is a folder of label maps, joined with those of real pairs.
    let layers = Layers { file: Some(request.out.join(PLAN).join("crossval.toml")), sets: Vec::new() };
    let crossval = Crossval::open(&layers, &request.data, &request.out.join(CROSSVAL), &Silent).unwrap();
    let variant = variants(&crossval.file)[1];
    let best = write_best(&crossval, variant, [&request.data, &folder.path().join("advised")], &Silent).unwrap();
    assert_eq!(best.problem, None);
    let (joined, real) = best.joined.unwrap();
    let none = DataConfig { group_column: None, ..DataConfig::default() };
    for (path, count) in [(best.pairs, best.generated), (joined, real + best.generated)] {
        let found = Dataset::discover(&path, &none).unwrap();
        assert_eq!(found.len(), count);
        assert_eq!(names(&resolve(&found, &none).unwrap().0.classes), NAMES);
    }
}
