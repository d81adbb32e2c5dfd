//! `pig boost`: whatever stops it, it gives the answer of one go; the plan decides what is done; the advised pairs can be trained on.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{StopAt, config, device, folder};
use pig_data::{DataConfig, Dataset};
use pig_device::testing;
use pig_study::{
    boost::{CROSSVAL, Findings, PAGE, PLAN, Part, Plan, Request, Summary, VERDICT, boost, planned, write_best},
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
        findings: Findings::default(),
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
    // On a slow machine even the fewest steps take longer, which is said.
    let (fits, steps) = (plan.total() <= 180.0, plan.crossval.segment.train.steps);
    assert!(plan.total() <= 1.05 * 180.0 || steps == 50, "{} s for {steps} steps", plan.total());
    assert_ne!(plan.to_string().contains("is longer than the 0.05 hours given (3.0 min)"), fits, "{plan}");
    assert_eq!(plan.crossval.data.size, [16, 16]);
    assert_eq!(plan.crossval.crossval.segmenter_seeds.len(), 3);
    assert!(plan.detectable.is_some_and(|share| share > 0.02));
    let text = plan.to_string();
    for words in [
        "segmenters of real pairs",
        "it could detect a gain of",
        "of 0.05 hours",
        "8 generated pairs, out of 16",
        "warning: No patient or group column: ",
    ] {
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

/// Segmenters get steps enough to draw generated pairs, so the plan takes longer than asked for and says so; its warnings follow from its
/// files as they are.
#[test]
fn a_plan_of_too_few_hours_and_an_edited_plan_say_so() {
    let folder = folder();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let rows = (0..12).map(|i| format!("a{i:02},g{i}\n")).collect::<Vec<_>>().concat();
    std::fs::write(data.join("manifest.csv"), format!("id,near_duplicate_group\n{rows}")).unwrap();
    let request = Request { data: data.clone(), hours: Some(0.0001), size: Some(16), plan: None, out: out.clone() };
    let plan = planned(&request, &device(), &Silent).unwrap();
    assert_eq!(plan.crossval.segment.train.steps, 50);
    let said = plan.warnings();
    let has = |said: &[String], words: &str| said.iter().any(|warning| warning.contains(words));
    for words in
        ["is longer than the 0.0001 hours given (0.0 min)", "segmenters of 50 steps", "the image network is shown "]
    {
        assert!(has(&said, words), "{words}: {said:?}");
    }
    // That no patients are named is said in the words of the data folder.
    let found = Dataset::discover(&data, &DataConfig::default()).unwrap();
    assert!(found.warnings[0].contains("names no patients") && said.contains(&found.warnings[0]), "{said:?}");

    // What was planned can be begun: every segmenter draws generated pairs in every fold.
    let given = folder.path().join("given");
    plan.write(&given).unwrap();
    let layers = Layers { file: Some(given.join("crossval.toml")), sets: Vec::new() };
    Crossval::open(&layers, &data, &folder.path().join("crossval"), &Silent).unwrap();
    let read = Plan::read(&given).unwrap();
    assert_eq!(read.warnings(), said);
    read.write(&out.join(PLAN)).unwrap();
    let follow = Request { hours: None, size: None, plan: Some(given.clone()), ..request };
    planned(&follow, &device(), &Silent).unwrap();

    // A comment changes nothing that is done, in either file; a value does.
    let file = |name: &str| std::fs::read_to_string(given.join(name)).unwrap();
    for name in ["crossval.toml", "generator.toml"] {
        std::fs::write(given.join(name), format!("# my own words\n{}", file(name))).unwrap();
    }
    assert_eq!(Plan::read(&given).unwrap().warnings(), said);
    planned(&follow, &device(), &Silent).unwrap();
    let generator = file("generator.toml");
    std::fs::write(given.join("generator.toml"), generator.replace("clip_sample = true", "clip_sample = false"))
        .unwrap();
    let changed = Plan::read(&given).unwrap().warnings();
    assert!(has(&changed, "generator.toml changed after the plan was made"), "{changed:?}");
    let message = planned(&follow, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("generator.toml: is not the same as"), "{message}");
    std::fs::write(given.join("generator.toml"), generator).unwrap();

    // With more steps in the file, nothing is said of fewer steps, and the forecast is said to be old.
    let mut edited = plan.crossval.clone();
    edited.segment.train.steps = 600;
    std::fs::write(given.join("crossval.toml"), edited.to_toml()).unwrap();
    let said = Plan::read(&given).unwrap().warnings();
    assert!(has(&said, "crossval.toml changed after the plan was made"), "{said:?}");
    for words in ["segmenters of", "the image network is shown ", "is longer than"] {
        assert!(!has(&said, words), "{words}: {said:?}");
    }
    let message = planned(&follow, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("crossval.toml: is not the same as") && message.contains("another --out"), "{message}");
    // In its own folder, the edited plan is followed.
    let own = Request { out: folder.path().join("own"), ..follow };
    assert_eq!(planned(&own, &device(), &Silent).unwrap().crossval, edited);
}
