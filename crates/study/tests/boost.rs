//! `pig boost`: whatever stops it, it gives the answer of one go; the plan decides what is done; the advised pairs can be trained on.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{StopAt, config, device, folder};
use pig_data::{DataConfig, Dataset};
use pig_device::testing;
use pig_study::{
    boost::{CROSSVAL, PAGE, PLAN, Part, Plan, Request, Summary, VERDICT, boost, planned, write_best},
    crossval::{Crossval, CrossvalFile, Selection, variants},
};
use pig_train::{config::Layers, observer::Silent};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// One of three folds, tiny networks, and every way to use pairs beside real ones.
const CROSSVAL_FILE: &str = r#"
[data]
size = 16
validation_fraction = 0.25

[segment]
test_time_flips = "horizontal"

[segment.network]
kind = "residual"
block_out_channels = [8, 16]
norm_num_groups = 4

[segment.train]
steps = 12
batch_size = 4
validate_every = 3
patience = 2
pretrain_steps = 4

[crossval]
folds = 3
segmenter_seeds = [0, 1]

[[crossval.arms]]
name = "pig"
config = "generator.toml"
add = [4]
curated = [3, 1.0]
pretrained = [4]
"#;

/// Writes a plan by hand, as one may edit it.
fn plan(folder: &Path) -> PathBuf {
    let mut generator = config(&["train.steps=6"]);
    (generator.sample.num_inference_steps, generator.sample.batch_size) = (4, 2);
    let crossval: CrossvalFile = toml::from_str(CROSSVAL_FILE).unwrap();
    let plan = Plan {
        program: "by hand".to_owned(),
        hours: 0.5,
        folds: 1,
        seconds: [10.0, 20.0, 5.0, 60.0],
        patients: [6, 2, 4],
        detectable: Some(0.04),
        warnings: Vec::new(),
        crossval,
        generator: generator.to_toml(),
    };
    let path = folder.join("by-hand");
    plan.write(&path).unwrap();
    assert_eq!(Plan::read(&path).unwrap(), plan);
    path
}

fn request(folder: &Path, plan: &Path, name: &str) -> Request {
    Request { data: folder.join("data"), hours: None, size: None, plan: Some(plan.to_owned()), out: folder.join(name) }
}

fn finished(request: &Request) -> Summary {
    boost(request, &device(), &Silent).unwrap().unwrap()
}

/// The files that must not hang on when and where something was done.
fn answers(out: &Path) -> [String; 4] {
    let tables = ["cases.csv", "table.md", "results.json"].map(|file| out.join(CROSSVAL).join(file));
    let [cases, table, results] = tables;
    [cases, table, results, out.join(VERDICT)].map(|path| std::fs::read_to_string(path).unwrap())
}

#[test]
fn stopped_at_any_step_it_gives_the_answer_of_one_go() {
    if testing::skips("exact reproducibility of a training is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let plan = plan(folder.path());
    let whole = request(folder.path(), &plan, "whole");
    let summary = finished(&whole);
    let expected = answers(&whole.out);
    // Four test cases, five training sets, two segmenters of each, and a header.
    assert_eq!(expected[0].lines().count(), 1 + 4 * 5 * 2, "{}", expected[0]);
    for set in ["pig-add-4", "pig-curated-3", "pig-curated-1.0", "pig-pretrained-4"] {
        assert!(expected[1].contains(set), "{set}: {}", expected[1]);
    }
    // So short a training gives no verdict, and therefore no pairs.
    assert_eq!(summary.advice.arm(), None);
    assert!(summary.advice.reason().contains("No verdict") && summary.best.is_none(), "{summary:?}");
    assert!(!whole.out.join("best").exists() && !whole.out.join("pairs").exists());
    assert!(summary.taken.iter().all(|taken| taken.seconds > 0.0 && taken.interrupted == 0), "{summary:?}");
    assert_eq!(summary.taken.map(|taken| taken.pieces), [2, 1, 3, 8]);

    // The page has the answer, and forecast and time beside each other.
    let page = std::fs::read_to_string(whole.out.join(PAGE)).unwrap();
    for words in [
        "Do not use generated pairs",
        "about 0.3 min",
        "about 1.0 min",
        "together",
        "pig-curated-3",
        "Which pairs were chosen",
        "4.0 points",
    ] {
        assert!(page.contains(words), "{words}");
    }

    // Interrupted once in every kind of work.
    let parted = request(folder.path(), &plan, "parted");
    for (stage, step) in
        [("segmenter", 4), ("model_x", 3), ("model_y", 2), ("sample", 1), ("segmenter", 7), ("segmenter", 2)]
    {
        assert!(boost(&parted, &device(), &StopAt::new(stage, step)).unwrap().is_none(), "{stage}");
        assert!(!parted.out.join(VERDICT).exists());
    }
    let found = finished(&parted);
    assert_eq!(answers(&parted.out), expected);
    assert!(found.taken.iter().any(|taken| taken.interrupted > 0));
    // A finished one is answered again from what is there, even if the page and the answer are gone.
    std::fs::remove_file(parted.out.join(VERDICT)).unwrap();
    std::fs::remove_file(parted.out.join(PAGE)).unwrap();
    finished(&parted);
    assert_eq!(answers(&parted.out), expected);

    // Another plan in the same folder is refused, and so are other hours.
    let other = Request { hours: Some(3.0), plan: None, ..parted.clone() };
    let message = boost(&other, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("0.5 hours, not for 3"), "{message}");
    let other = Request { size: Some(64), ..parted };
    assert!(boost(&other, &device(), &Silent).unwrap_err().to_string().contains("16 x 16, not for 64 x 64"));

    advised_pairs_are_a_training_folder(&whole, folder.path());
}

/// What is written where pairs are advised, for each training set.
fn advised_pairs_are_a_training_folder(request: &Request, folder: &Path) {
    let layers = Layers { file: Some(request.out.join(PLAN).join("crossval.toml")), sets: Vec::new() };
    let crossval = Crossval::open(&layers, &request.data, &request.out.join(CROSSVAL), &Silent).unwrap();
    let none = DataConfig { group_column: None, ..DataConfig::default() };
    for (number, variant) in variants(&crossval.file).into_iter().skip(1).enumerate() {
        let out = folder.join(format!("advised-{number}"));
        let best = write_best(&crossval, variant, [&request.data, &out], &Silent).unwrap();
        let pairs = Dataset::discover(&best.pairs, &none).unwrap();
        assert_eq!((pairs.len(), best.problem.as_deref()), (best.generated, None));
        assert!(best.generated >= 3 && best.generated <= 6, "{best:?}");
        let (joined, real) = best.joined.unwrap();
        let all = Dataset::discover(&joined, &none).unwrap();
        assert_eq!((real, all.len()), (8, 8 + best.generated));
        // No test picture is in it, under whatever name.
        let test: BTreeSet<Vec<u8>> = crossval.folds[0]
            .test
            .iter()
            .map(|id| pixels(&request.data.join("images").join(format!("{id}.png"))))
            .collect();
        assert_eq!(test.len(), 4);
        assert!(all.pairs.iter().all(|pair| !test.contains(&pixels(&pair.image))));
        let again = write_best(&crossval, variant, [&request.data, &out], &Silent).unwrap();
        assert_eq!((again.generated, again.joined.is_some()), (best.generated, true), "what is there is kept");
    }
    // The pieces are all there: nothing is trained again.
    assert!(crossval.pieces(&Selection { fold: Some(0), ..Selection::default() }).unwrap().len() == 14);
}

fn pixels(path: &Path) -> Vec<u8> {
    pig_data::read::read_image(path, 1).unwrap().to_8_bits()
}

#[test]
fn a_plan_fits_into_its_hours_and_says_what_it_could_find() {
    let folder = folder();
    let request = Request {
        data: folder.path().join("data"),
        hours: Some(0.05),
        size: Some(16),
        plan: None,
        out: folder.path().join("out"),
    };
    let plan = planned(&request, &device(), &Silent).unwrap();
    assert!(!request.out.exists(), "nothing is written");
    assert_eq!((plan.folds, plan.patients), (1, [7, 2, 3]));
    assert!(plan.total() <= 1.05 * 180.0, "{} s", plan.total());
    assert_eq!(plan.crossval.data.size, [16, 16]);
    assert_eq!(plan.crossval.crossval.segmenter_seeds.len(), 3);
    assert!(plan.detectable.is_some_and(|share| share > 0.02));
    let text = plan.to_string();
    for words in
        ["segmenters of real pairs", "it could detect a gain of", "of 0.05 hours", "8 generated pairs, out of 16"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    for part in Part::ALL {
        assert!(text.contains(part.words()));
    }
    // What was planned can be written, read and followed.
    let path = folder.path().join("plan");
    plan.write(&path).unwrap();
    let read = Plan::read(&path).unwrap();
    assert_eq!(read.crossval, plan.crossval);
    read.crossval.check().unwrap();
    read.crossval.generator(&read.crossval.crossval.arms[0], &path).unwrap();
    let message = planned(&Request { hours: None, ..request }, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("--plan DIR"), "{message}");
    std::fs::remove_file(path.join("generator.toml")).unwrap();
    assert!(Plan::read(&path).unwrap_err().to_string().contains("generator.toml"));
}
