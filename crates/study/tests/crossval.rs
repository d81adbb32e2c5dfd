//! Cross-validation: interruptions do not change the table, no training sees a test patient, and finished pieces are kept.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{StopAt, config, device, folder};
use pig_data::Splits;
use pig_device::testing;
use pig_metrics::contrast::Source;
use pig_study::crossval::{
    ArmGenerator, Crossval, Progress, Selection, check_unseen,
    config::{Count, CrossvalFile},
    piece::{Done, Found, PieceKind},
};
use pig_train::{
    Error,
    observer::{Outcome, Silent},
    run_dir::RunDir,
    training::train_on,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Two folds, one generator of each kind, tiny networks.
const CONFIG: &str = r#"
[data]
size = 16
validation_fraction = 0.25

[segment.network]
block_out_channels = [8, 16]
norm_num_groups = 4

[segment.train]
steps = 10
batch_size = 4
validate_every = 5

[crossval]
folds = 2
segmenter_seeds = [0, 1]

[[crossval.arms]]
name = "pig"
config = "pig.toml"
add = [2, 1.0]
shuffled = [2, 1.0]

[[crossval.arms]]
name = "guided"
config = "pig.toml"
set = ["method=seg-guided"]
add = [3]
"#;

/// Writes the configuration of the generator, and returns that of the cross-validation.
fn prepared(folder: &Path) -> CrossvalFile {
    let mut generator = config(&["train.steps=6"]);
    (generator.sample.num_inference_steps, generator.sample.batch_size) = (4, 2);
    std::fs::write(folder.join("pig.toml"), generator.to_toml()).unwrap();
    toml::from_str(CONFIG).unwrap()
}

fn open(folder: &Path, file: &CrossvalFile, name: &str) -> Crossval {
    opened(folder, file, name).unwrap()
}

fn opened(folder: &Path, file: &CrossvalFile, name: &str) -> pig_train::Result<Crossval> {
    Crossval::new(file.clone(), folder.to_owned(), &folder.join("data"), &folder.join(name), &Silent)
}

fn only(fold: usize, arm: &str) -> Selection {
    Selection { fold: Some(fold), arm: Some(arm.to_owned()), seed: None }
}

fn tables(out: &Path) -> [String; 3] {
    ["cases.csv", "table.md", "results.json"].map(|file| std::fs::read_to_string(out.join(file)).unwrap())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn done(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(done(&path));
        } else if path.ends_with("done.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn pairs_that_have_changed_are_refused() {
    let folder = folder();
    let mut file = prepared(folder.path());
    file.crossval.arms.clear();
    let crossval = open(folder.path(), &file, "out");
    let seed = |seed: u64| Selection { fold: Some(0), arm: Some("real".to_owned()), seed: Some(seed) };
    assert_eq!(crossval.run(&seed(0), &device(), &Silent).unwrap(), Outcome::Finished);
    let fold = &crossval.folds[0];
    let image = |id: &str| folder.path().join("data/images").join(format!("{id}.png"));
    // The picture of another pair comes in the place of one that trains, or tests.
    for (name, changed) in [("pairs.sha256", &fold.training[0]), ("test.sha256", &fold.test[0])] {
        let before = std::fs::read(image(changed)).unwrap();
        std::fs::copy(image(&fold.validation[0]), image(changed)).unwrap();
        match crossval.run(&seed(1), &device(), &Silent) {
            Err(Error::BadFile { path, problem, .. }) => {
                assert!(path.ends_with(Path::new("fold-0").join(name)), "{path:?}");
                assert!(problem.contains("but those of --data have"), "{problem}");
                assert!(problem.ends_with(&format!("; {} has changed", image(changed).display())), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        std::fs::write(image(changed), before).unwrap();
    }
    assert_eq!(crossval.run(&seed(1), &device(), &Silent).unwrap(), Outcome::Finished);
    // Also if nothing is left to do: a mask of a patient that trains, and one of a patient that tests.
    let mask = |id: &str| folder.path().join("data/masks").join(format!("{id}.png"));
    for changed in [&fold.training[0], &fold.test[0]] {
        let before = std::fs::read(mask(changed)).unwrap();
        std::fs::copy(mask(&fold.validation[0]), mask(changed)).unwrap();
        let message = crossval.run(&seed(1), &device(), &Silent).unwrap_err().to_string();
        assert!(message.contains(&format!("; {} has changed", mask(changed).display())), "{message}");
        std::fs::write(mask(changed), before).unwrap();
    }
    assert_eq!(crossval.run(&seed(1), &device(), &Silent).unwrap(), Outcome::Finished);
    // Pieces of earlier versions have one hash for all pictures, or none.
    let kept = folder.path().join("out/fold-0/test.sha256");
    let all = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, format!("{}\n", all.lines().next().unwrap())).unwrap();
    assert_eq!(crossval.run(&seed(1), &device(), &Silent).unwrap(), Outcome::Finished);
    std::fs::copy(image(&fold.validation[0]), image(&fold.test[0])).unwrap();
    let message = crossval.run(&seed(1), &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("test.sha256") && !message.contains("has changed"), "{message}");
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(crossval.run(&seed(1), &device(), &Silent).unwrap(), Outcome::Finished);
    assert!(!kept.exists(), "what was not kept is not known afterwards");
}

/// Where pictures are looked for in all subfolders, generated pairs among them would be read as data.
#[test]
fn a_cross_validation_among_the_pictures_is_refused() {
    let folder = folder();
    let file = prepared(folder.path());
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    for index in 0..12 {
        for (part, end) in [("images", ""), ("masks", "_mask")] {
            let from = folder.path().join("data").join(part).join(format!("a{index:02}.png"));
            std::fs::copy(from, tree.join(format!("a{index:02}{end}.png"))).unwrap();
        }
    }
    let opened = |out: &Path| Crossval::new(file.clone(), folder.path().to_owned(), &tree, out, &Silent);
    let message = opened(&tree.join("out")).unwrap_err().to_string();
    assert!(message.contains("--out = ") && message.contains("a folder outside of "), "{message}");
    assert!(!tree.join("out").exists(), "nothing is begun");
    opened(&folder.path().join("tree-out")).unwrap();
}

#[test]
fn stopped_anywhere_and_done_in_parts_it_gives_the_same_table() {
    if testing::skips("exact reproducibility of a training is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let file = prepared(folder.path());
    let at = |name: &str| folder.path().join(name);
    let whole = open(folder.path(), &file, "whole");
    assert_eq!(whole.run(&Selection::default(), &device(), &Silent).unwrap(), Outcome::Finished);
    let expected = tables(&at("whole"));
    // 12 test cases, 6 training sets, 2 seeds, and a header.
    assert_eq!(expected[0].lines().count(), 1 + 12 * 6 * 2);
    assert_eq!(done(&at("whole")).len(), 2 * (2 + 6 * 2 + 2 * 2));

    // Fold 0 is computed here, interrupted once in every kind of work; fold 1 is computed elsewhere, arm by arm.
    let parted = open(folder.path(), &file, "parted");
    let fold = Selection { fold: Some(0), ..Selection::default() };
    for (stage, step) in
        [("segmenter", 4), ("model_x", 3), ("model_y", 2), ("sample", 1), ("segmenter", 7), ("seg_guided", 5)]
    {
        let outcome = parted.run(&fold, &device(), &StopAt::new(stage, step)).unwrap();
        assert_eq!(outcome, Outcome::Interrupted, "{stage}");
    }
    assert_eq!(parted.run(&fold, &device(), &Silent).unwrap(), Outcome::Finished);
    let elsewhere = open(folder.path(), &file, "elsewhere");
    for arm in ["guided-add-3", "pig", "guided", "real"] {
        elsewhere.run(&only(1, arm), &device(), &Silent).unwrap();
    }
    copy(&at("elsewhere").join("fold-1"), &at("parted").join("fold-1"));
    let finished = done(&at("parted"));
    let content = || finished.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>();
    let before = content();
    assert_eq!(parted.run(&Selection::default(), &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!(tables(&at("parted")), expected);
    assert_eq!((done(&at("parted")), content()), (finished.clone(), before), "finished pieces are kept");

    assert_sound(&whole, &at("whole"));
    assert_jobs(&whole, &parted);

    // A piece that was finished with other settings is refused, not mixed in.
    let mut other = file.clone();
    other.segment.train.steps = 11;
    let error = open(folder.path(), &other, "whole").run(&Selection::default(), &device(), &Silent).unwrap_err();
    assert!(error.to_string().contains("the settings"), "{error}");
    other.segment.train.steps = 10;
    other.crossval.seed = 1;
    assert!(opened(folder.path(), &other, "whole").unwrap_err().to_string().contains("crossval.seed"));
}

/// Every generator, every pair and every segmenter of a fold comes from its training patients.
fn assert_sound(crossval: &Crossval, out: &Path) {
    for (number, fold) in crossval.folds.iter().enumerate() {
        let stored = Splits::load(&out.join(format!("fold-{number}/splits.json"))).unwrap();
        assert_eq!(&stored, fold);
        let generators = out.join(format!("fold-{number}/generators"));
        for arm in ["pig", "guided"] {
            let run = RunDir::open(&generators.join(arm).join("run")).unwrap();
            check_unseen(&run, fold).unwrap();
            assert_eq!(run.provenance().unwrap().pairs, [fold.training.len(), fold.validation.len()]);
            let other = &crossval.folds[1 - number];
            let message = check_unseen(&run, other).unwrap_err().to_string();
            assert!(message.contains("test pairs") && !message.contains("it saw 0 "), "{message}");
        }
        let done = Done::read(&generators.join("guided")).unwrap().unwrap();
        let Found::Generator { seeds, .. } = done.found else { panic!("a generator") };
        // 6 pairs are outside the test set, 2 of them are for validation: 3 of the 4 training masks, each used once.
        let masks: BTreeSet<u64> = seeds.iter().map(|seed| seed % 4).collect();
        assert_eq!((seeds.len(), masks.len()), (3, 3));
        let segmenter = out.join(format!("fold-{number}/segmenters/pig-add-1.0/seed-1"));
        let provenance = RunDir::open(&segmenter.join("run")).unwrap().provenance().unwrap();
        assert_eq!((provenance.added, provenance.splits_sha256), (Some(4), fold.sha256.clone()));
        let tested = std::fs::read_to_string(segmenter.join("cases.csv")).unwrap();
        let tested: Vec<&str> = tested.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(tested, fold.test);
    }
    let results = crossval.results().unwrap();
    let arms: Vec<&str> = results.arms.iter().map(|arm| arm.arm.as_str()).collect();
    assert_eq!(arms, ["real", "pig-add-2", "pig-add-1.0", "pig-shuffled-2", "pig-shuffled-1.0", "guided-add-3"]);
    assert!(results.arms.iter().all(|arm| arm.segmenters == [4, 4] && arm.measures[0].folds.unwrap().folds == 2));
    assert!(results.arms[0].against_real.is_none());
    // Every slice counts in one of the two outcomes, whatever was predicted.
    let compared = results.arms[1].against_real.as_ref().unwrap();
    let slices = [results.arms[1].lesion_dice, results.arms[1].false_findings].map(|mean| mean.map_or(0, |m| m.slices));
    assert_eq!((slices[0] + slices[1], compared.folds, compared.segmenters), (12, 2, [2, 2]));
    assert_eq!(compared.leaves_out, [Source::Generators, Source::Folds]);
    // Agreement of a method that needs masks is measured on pairs for the test masks, which no segmenter was trained on.
    assert!(results.agreement.iter().all(|arm| !arm.seen_masks));
    let pairs = |arm: &str| out.join(format!("fold-0/agreement/{arm}/pairs/images"));
    assert!(!pairs("pig").exists());
    assert_eq!(std::fs::read_dir(pairs("guided")).unwrap().count(), crossval.folds[0].test.len());
    assert!(results.agreement.iter().all(|arm| arm.measured == 4 && arm.held_out.is_some()));
    assert!(results.to_string().contains("| pig-add-2 | 2 |"), "{results}");
    // Ten steps of four draw every pair of a set of at most ten.
    let drawn = results.arms[1].drawn.unwrap();
    assert_eq!((results.arms[0].drawn, drawn.least), (None, 2));
    // Two seeds and ten steps are no ground for a verdict.
    assert_eq!(results.no_verdict.len(), 2, "{:?}", results.no_verdict);
    let text = results.to_string();
    assert!(
        text.contains("| no verdict |") && text.contains("No verdict: 2 segmenter seed(s), a verdict needs 3"),
        "{text}"
    );
}

fn assert_jobs(whole: &Crossval, parted: &Crossval) {
    let jobs = whole.jobs(&Selection::default(), false, &device(), &Silent).unwrap();
    assert_eq!(jobs.len(), 36);
    assert!(jobs.iter().all(|job| job.progress == Progress::Done && job.time.is_some()));
    let labels: Vec<String> = jobs.iter().filter(|job| job.fold == 1).map(|job| job.arm.clone()).collect();
    let place = |label: &str| labels.iter().position(|other| other == label).unwrap();
    assert!(place("pig-generator") < place("pig-agreement") && place("pig-agreement") < place("pig-add-2"));
    let error = parted.pieces(&only(0, "pigs")).unwrap_err().to_string();
    assert!(error.contains("pig-shuffled-1.0") && error.contains("guided-generator"), "{error}");
    let seed = Selection { seed: Some(1), ..only(0, "guided") };
    let kinds: Vec<PieceKind> = parted.pieces(&seed).unwrap().into_iter().map(|piece| piece.kind).collect();
    assert!(matches!(
        kinds[..],
        [
            PieceKind::Generator(ArmGenerator { arm: 1, number: 0 }),
            PieceKind::Agreement { seed: 1, .. },
            PieceKind::Segmenter { seed: 1, .. }
        ]
    ));
}

#[test]
fn a_generator_that_saw_test_patients_is_refused() {
    let folder = folder();
    let mut file = prepared(folder.path());
    file.crossval.arms.truncate(1);
    file.crossval.segmenter_seeds = vec![0];
    let arm = &mut file.crossval.arms[0];
    (arm.config, arm.runs) = (None, Some("runs/fold-{fold}".to_owned()));
    (arm.add, arm.shuffled) = (vec![Count::Pairs(2)], Vec::new());
    let crossval = open(folder.path(), &file, "out");
    let generator: pig_train::Config =
        toml::from_str(&std::fs::read_to_string(folder.path().join("pig.toml")).unwrap()).unwrap();
    let data = folder.path().join("data");
    // Trained on the other fold's split: this fold's test patients are among its training patients.
    let run = folder.path().join("runs/fold-0");
    train_on(&generator, &data, &crossval.folds[1], &run, &device(), &Silent).unwrap();
    let error = crossval.run(&only(0, "pig-generator"), &device(), &Silent).unwrap_err();
    assert!(matches!(&error, Error::BadFile { .. }) && error.to_string().contains("test patients"), "{error}");
    assert!(!folder.path().join("out/fold-0/generators/pig/pairs").exists(), "nothing was sampled");
    // Exchanging its split for the right one afterwards does not help: the provenance also records the split of the training.
    let splits = std::fs::read(run.join("splits.json")).unwrap();
    crossval.folds[0].save(&run.join("splits.json")).unwrap();
    assert!(crossval.run(&only(0, "pig-generator"), &device(), &Silent).is_err());
    std::fs::write(run.join("splits.json"), splits).unwrap();
    // The run is accepted in its own fold.
    std::fs::rename(&run, folder.path().join("runs/fold-1")).unwrap();
    assert_eq!(crossval.run(&only(1, "pig"), &device(), &Silent).unwrap(), Outcome::Finished);
    // Existing pairs of another model are refused.
    let out = folder.path().join("out/fold-1");
    std::fs::remove_dir_all(out.join("segmenters/pig-add-2")).unwrap();
    let path = out.join("generators/pig/done.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut done: serde_json::Value = serde_json::from_str(&text).unwrap();
    done["found"]["model_hash"] = "0".into();
    std::fs::write(&path, done.to_string()).unwrap();
    let error = crossval.run(&only(1, "pig-add-2"), &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("was made by a model with hash"), "{error}");
}

#[test]
fn a_column_split_is_not_used_for_folds_and_undrawn_pairs_are_refused_at_once() {
    let folder = folder();
    let mut file = prepared(folder.path());
    let rows = (0..12)
        .map(|index| format!("a{index:02},{}\n", if index < 9 { "train" } else { "test" }))
        .collect::<Vec<_>>()
        .concat();
    std::fs::write(folder.path().join("data/manifest.csv"), format!("id,split\n{rows}")).unwrap();
    let crossval = open(folder.path(), &file, "out");
    let tested: BTreeSet<&String> = crossval.folds.iter().flat_map(|fold| &fold.test).collect();
    assert_eq!(tested.len(), 12, "every pair is tested once, whatever the column says");
    file.segment.train.steps = 1;
    file.segment.train.batch_size = 1;
    let error = opened(folder.path(), &file, "other").unwrap_err().to_string();
    assert!(error.contains("pig-add-2, fold ") && error.contains("none of its 2 generated pairs is drawn"), "{error}");
    assert!(!folder.path().join("other").exists(), "nothing is begun");
}
