//! `pig boost`: whatever stops it, it gives the answer of one go; the plan decides what is done; the advised pairs can be trained on.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{StopAt, config, device, folder};
use pig_data::{DataConfig, Dataset};
use pig_device::testing;
use pig_metrics::contrast::expected::{Design, expected};
use pig_study::{
    boost::{
        CROSSVAL, Findings, PAGE, PLAN, Part, Plan, Request, Summary, VARIATION, VERDICT, boost, planned, write_best,
    },
    crossval::{Crossval, CrossvalFile, Selection, Variant, variants},
};
use pig_train::{Config, config::Layers, observer::Silent};
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
        training_pairs: None,
        speeds: None,
        findings: Findings { patients: Some("no patients are named".to_owned()), ..Findings::default() },
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
        "no patients are named",
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

    // Folders of the user's own stay; those of an answer that advised pairs are not left as if they were advised still.
    for name in ["pairs", "best"] {
        std::fs::create_dir(parted.out.join(name)).unwrap();
        std::fs::write(parted.out.join(name).join("own.txt"), name).unwrap();
    }
    finished(&parted);
    assert!(parted.out.join("best").exists() && parted.out.join("pairs").exists());
    std::fs::write(parted.out.join(VERDICT), r#"{"advice": "with", "arm": "pig-add-4", "reason": ""}"#).unwrap();
    finished(&parted);
    assert!(!parted.out.join("best").exists() && !parted.out.join("pairs").exists());
    assert!(parted.out.join("best-1/own.txt").exists() && parted.out.join("pairs-1/own.txt").exists());
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
        assert!(!out.join("pairs-1").exists() && !out.join("best-1").exists());
        // The command trains as those that were measured, with files that are there.
        let words: Vec<&str> = best.command.split(' ').collect();
        let place = |flag: &str| words.iter().position(|word| *word == flag);
        let after = |flag: &str| place(flag).map(|at| Path::new(words[at + 1].trim_matches('\'')));
        for flag in ["--config", "--data", "--add", "--splits"] {
            assert!(after(flag).is_some_and(Path::exists), "{flag}: {}", best.command);
        }
        let label = variant.label(&crossval.file);
        assert!(after("--config").unwrap().ends_with(format!("{label}/seed-0/run/config.toml")), "{}", best.command);
    }
    another_answer_has_its_own_folders(&crossval, request, &folder.join("advised"));
    // The pieces are all there: nothing is trained again.
    assert!(crossval.pieces(&Selection { fold: Some(0), ..Selection::default() }).unwrap().len() == 14);
}

/// Folders of an earlier answer are kept under another name, and never taken for those of this one.
fn another_answer_has_its_own_folders(crossval: &Crossval, request: &Request, out: &Path) {
    let none = DataConfig { group_column: None, ..DataConfig::default() };
    let ids = |name: &str| -> BTreeSet<String> {
        Dataset::discover(&out.join(name), &none).unwrap().pairs.into_iter().map(|pair| pair.id).collect()
    };
    let write = |variant: Variant| write_best(crossval, variant, [&request.data, out], &Silent).unwrap();
    let sets: Vec<Variant> = variants(&crossval.file).into_iter().skip(1).collect();
    let first = write(sets[0]);
    let before = [ids("pairs"), ids("best")];
    let second = write(sets[1]);
    assert_ne!(first.generated, second.generated);
    assert_eq!([ids("pairs-1"), ids("best-1")], before);
    assert_eq!([ids("pairs").len(), ids("best").len()], [second.generated, 8 + second.generated]);
    // Other pictures under the same names are other pairs, too.
    let images: Vec<PathBuf> =
        Dataset::discover(&out.join("pairs"), &none).unwrap().pairs.into_iter().map(|pair| pair.image).collect();
    std::fs::copy(&images[0], &images[1]).unwrap();
    write(sets[1]);
    assert_ne!(pixels(&images[0]), pixels(&images[1]));
    assert!(out.join("pairs-2").is_dir() && out.join("best-2").is_dir() && !out.join("pairs-3").exists());
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
        "pig: 16 generated pairs in a fold, for pig-add-8, pig-curated-8",
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

/// Where pictures are looked for in all subfolders, a boost among them would read its own pairs as data, hours after it began.
#[test]
fn a_boost_among_the_pictures_is_refused() {
    let folder = folder();
    let (data, tree) = (folder.path().join("data"), folder.path().join("tree"));
    std::fs::create_dir(&tree).unwrap();
    for index in 0..12 {
        for (part, end) in [("images", ""), ("masks", "_mask")] {
            let from = data.join(part).join(format!("a{index:02}.png"));
            std::fs::copy(from, tree.join(format!("a{index:02}{end}.png"))).unwrap();
        }
    }
    let plan = plan(folder.path());
    let request = |data: &Path, out: &Path| {
        let request = Request { data: data.to_owned(), ..request(folder.path(), &plan, "out") };
        planned(&Request { out: out.to_owned(), ..request }, &device(), &Silent).map_err(|error| error.to_string())
    };
    for out in [tree.join("boost"), tree.clone(), folder.path().join("elsewhere/../tree/boost")] {
        std::fs::create_dir_all(folder.path().join("elsewhere")).unwrap();
        let message = request(&tree, &out).unwrap_err();
        assert!(message.contains("--out = ") && message.contains("a folder outside of "), "{message}");
    }
    request(&tree, &folder.path().join("tree-boost")).unwrap();
    // With a folder of images and one of masks, others beside them are no data.
    request(&data, &data.join("boost")).unwrap();
}

/// A request for twelve pairs whose groups are no patients, and the plan for far too few hours.
fn short_plan(folder: &Path) -> (Request, Plan) {
    let (data, out) = (folder.join("data"), folder.join("out"));
    let rows = (0..12).map(|i| format!("a{i:02},g{i}\n")).collect::<Vec<_>>().concat();
    std::fs::write(data.join("manifest.csv"), format!("id,near_duplicate_group\n{rows}")).unwrap();
    let request = Request { data, hours: Some(0.0001), size: Some(16), plan: None, out };
    let plan = planned(&request, &device(), &Silent).unwrap();
    (request, plan)
}

/// Segmenters get steps enough to draw generated pairs, so the plan takes longer than asked for and says so. What changes nothing leaves the
/// plan as it was, and a folder follows one plan.
#[test]
fn a_plan_of_too_few_hours_says_so_and_is_followed() {
    let folder = folder();
    let (request, plan) = short_plan(folder.path());
    let (data, out) = (request.data.clone(), request.out.clone());
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
    let message = planned(&follow, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("generator.toml: is not the same as"), "{message}");
    std::fs::write(given.join("generator.toml"), generator).unwrap();
    let mut edited = plan.crossval.clone();
    edited.segment.train.steps = 600;
    std::fs::write(given.join("crossval.toml"), edited.to_toml()).unwrap();
    let message = planned(&follow, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("crossval.toml: is not the same as") && message.contains("another --out"), "{message}");
}

/// The plan of a folder that was edited, as a boost with another --out would follow it.
fn edited(folder: &Path, data: &Path, given: &Path) -> Plan {
    let out = folder.join("another");
    let request = Request { data: data.to_owned(), hours: None, size: None, plan: Some(given.to_owned()), out };
    let plan = planned(&request, &device(), &Silent).unwrap();
    assert!(!request.out.exists(), "nothing is written");
    plan
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found}, expected {expected}");
}

/// An edited plan has the forecast of its files as they are. Networks that are as they were keep the speed that was measured for the plan.
#[test]
fn the_forecast_follows_an_edited_plan() {
    let folder = folder();
    let (request, plan) = short_plan(folder.path());
    let given = folder.path().join("given");
    plan.write(&given).unwrap();
    let again = || edited(folder.path(), &request.data, &given);
    assert_eq!((again().findings.again, plan.findings.again.clone()), (None, None));

    // Twelve times the steps, with a validation after each as before, and twice the segmenters.
    let mut crossval = plan.crossval.clone();
    assert_eq!((crossval.segment.train.steps, crossval.segment.train.validate_every), (50, 1));
    crossval.segment.train.steps = 600;
    crossval.crossval.segmenter_seeds = (0..6).collect();
    std::fs::write(given.join("crossval.toml"), crossval.to_toml()).unwrap();
    let more = again();
    assert_eq!(more.crossval, crossval);
    for (part, factor) in [(0, 24.0), (1, 1.0), (2, 2.0), (3, 24.0)] {
        close(more.seconds[part], factor * plan.seconds[part]);
    }
    let design = Design { patients: 3, folds: 1, trainings: 6, alike: 3 };
    close(more.detectable.unwrap(), expected(VARIATION, design).unwrap().detectable);
    // Of three patients, more trainings leave more of the chance to the patients, who are few: the gain that is found need not be smaller.
    assert_ne!(more.detectable, plan.detectable);
    let said = more.to_string();
    for words in [
        "note: crossval.toml changed after the plan was made, so the forecast was made again; seconds a step were kept of: \
         the segmenter, the generator of \"pig\"\n",
        "6 segmenters of each training set in a fold, of at most 600 steps",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!more.warnings().iter().any(|warning| warning.contains("segmenters of")), "{said}");
    assert!(more.warnings().iter().any(|warning| warning.contains("raise train.steps")), "{said}");

    // Another way to use pairs takes more segmenters, which vary alike.
    let mut ways = plan.crossval.clone();
    ways.crossval.arms[0].pretrained = ways.crossval.arms[0].add.clone();
    ways.segment.train.pretrain_steps = 10;
    std::fs::write(given.join("crossval.toml"), ways.to_toml()).unwrap();
    let ways = again();
    close(ways.seconds[3], 1.5 * plan.seconds[3]);
    let design = Design { patients: 3, folds: 1, trainings: 3, alike: 4 };
    close(ways.detectable.unwrap(), expected(VARIATION, design).unwrap().detectable);
    assert!(ways.to_string().contains("for pig-add-8, pig-curated-8, pig-pretrained-8"), "{ways}");

    // Twice the steps of the generator take as many seconds a step; the pairs take what they took.
    std::fs::write(given.join("crossval.toml"), plan.crossval.to_toml()).unwrap();
    let mut generator: Config = toml::from_str(&plan.generator).unwrap();
    let steps = [generator.train.model_x_steps.unwrap(), generator.train.steps];
    generator.train.model_x_steps = Some(2 * steps[0]);
    (generator.train.steps, generator.train.preview_every) = (2 * steps[1], 2 * generator.train.preview_every);
    std::fs::write(given.join("generator.toml"), generator.to_toml()).unwrap();
    let longer = again();
    let speeds = &plan.speeds.as_ref().unwrap().generators[0].steps;
    let extra = speeds[0] * steps[0] as f64 + speeds[1] * steps[1] as f64;
    close(longer.seconds[1], plan.seconds[1] + extra);
    assert!(longer.findings.again.unwrap().starts_with("generator.toml changed"));

    // Another network is measured, and the generator is not.
    std::fs::write(given.join("generator.toml"), &plan.generator).unwrap();
    let mut other = plan.crossval.clone();
    other.segment.network.block_out_channels = vec![8, 16];
    other.segment.network.norm_num_groups = 4;
    std::fs::write(given.join("crossval.toml"), other.to_toml()).unwrap();
    let found = again();
    let words = found.findings.again.clone().unwrap();
    assert!(
        words.contains("kept of: the generator of \"pig\"; seconds a step were measured on this machine"),
        "{words}"
    );
    assert!(words.ends_with("of: the segmenter"), "{words}");
    close(found.seconds[1], plan.seconds[1]);

    // More folds, which only boost.json says, test more patients.
    std::fs::write(given.join("crossval.toml"), plan.crossval.to_toml()).unwrap();
    let mut folds = Plan::read(&given).unwrap();
    folds.folds = 3;
    std::fs::write(given.join("boost.json"), serde_json::to_string(&folds).unwrap()).unwrap();
    let folds = again();
    assert!(folds.findings.again.as_ref().unwrap().starts_with("boost.json changed"), "{folds}");
    // Five folds of twelve patients test three, three, two, two and two of them.
    let design = Design { patients: 8, folds: 3, trainings: 3, alike: 3 };
    close(folds.detectable.unwrap(), expected(VARIATION, design).unwrap().detectable);

    // What cannot be run is refused in the words of the cross-validation.
    let mut wrong = plan.crossval.clone();
    wrong.segment.train.steps = 0;
    std::fs::write(given.join("crossval.toml"), wrong.to_toml()).unwrap();
    let follow = Request { hours: None, size: None, plan: Some(given), ..request };
    let message = planned(&follow, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("pig-add-8, fold 0, seed 0") && message.contains("segment.train.steps"), "{message}");
}

/// A plan that is followed on other data tells what it could find there, with the seconds a step that were measured for it.
#[test]
fn a_plan_gets_the_forecast_of_the_data_that_follow_it() {
    let folder = folder();
    let (request, plan) = short_plan(folder.path());
    let given = folder.path().join("given");
    plan.write(&given).unwrap();
    for file in ["images/a10.png", "masks/a10.png", "images/a11.png", "masks/a11.png"] {
        std::fs::remove_file(request.data.join(file)).unwrap();
    }
    let rows = (0..10).map(|i| format!("a{i:02},g{i}\n")).collect::<Vec<_>>().concat();
    std::fs::write(request.data.join("manifest.csv"), format!("id,near_duplicate_group\n{rows}")).unwrap();
    let found = edited(folder.path(), &request.data, &given);
    assert_eq!([plan.patients.iter().sum::<usize>(), found.patients.iter().sum()], [12, 10]);
    assert!(found.training_pairs < plan.training_pairs && found.detectable > plan.detectable, "{found}");
    let words = found.findings.again.unwrap();
    assert!(words.starts_with("the data changed after the plan was made") && words.contains("were kept of"), "{words}");
}
