//! `pig segment train` and `predict`, and `pig crossval`, on the command line.

mod common;

use common::{Folder, SIDE, json, picture, pig, pig_with, stderr, stdout, success};

const TINY: [&str; 6] = [
    "data.size=16",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=4",
    "segment.train.batch_size=2",
    "segment.train.validate_every=2",
];

fn with<'a>(arguments: &[&'a str], sets: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().copied().chain(TINY.iter().chain(sets).flat_map(|&set| ["--set", set])).collect()
}

/// A folder of pairs under the names of generated ones; their pictures are none of the data folder's.
fn others(folder: &Folder, count: usize) -> String {
    for index in 0..count {
        let at = |part: &str| folder.path().join(format!("others/{part}/{index:06}.png"));
        picture(&at("images"), SIDE, |x, y| (x * 3 + y * 5 + index) as u8 + if x > 9 { 110 } else { 0 });
        picture(&at("masks"), SIDE, |x, y| if x > 9 && y > index { 255 } else { 0 });
    }
    folder.at("others")
}

#[test]
fn a_segmenter_is_trained_predicts_and_is_measured() {
    let folder = Folder::with_data();
    let (data, run, masks) = (folder.at("data"), folder.at("run"), folder.at("masks"));
    let leaking = pig(&with(&["segment", "train", "--data", &data, "--add", &data, "--out", &run], &[]));
    assert_eq!(leaking.status.code(), Some(1));
    assert!(stderr(&leaking).contains("1 image(s) show validating or testing patients"), "{}", stderr(&leaking));
    let more = others(&folder, 8);
    let asked = ["segment", "train", "--data", &data, "--add", &more, "--out", &run, "--json"];
    let output = success(pig(&with(&asked, &[])));
    assert_eq!(json(&output)["finished"], true);
    assert!(stderr(&output).contains("--splits"), "{}", stderr(&output));
    let again = pig(&with(&asked, &[]));
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("never overwritten"));
    success(pig(&["segment", "train", "--resume", &run]));
    let output = success(pig(&["segment", "predict", "--run", &run, "--data", &data, "--out", &masks, "--json"]));
    assert_eq!(json(&output)["pictures"], 8);
    let output = success(pig(&["segment", "evaluate", "--pred", &masks, "--truth", &data, "--json"]));
    assert_eq!(json(&output)["cases"], 8);
    // The part that validated is predicted alone; the run's own split says which.
    let (splits, part) = (format!("{run}/splits.json"), folder.at("part"));
    let asked = ["segment", "predict", "--run", &run, "--data", &data, "--out", &part, "--splits", &splits];
    let output = success(pig(&[&asked[..], &["--part", "validation"]].concat()));
    assert!(stderr(&output).contains("1 of 8 pictures: the 1 pictures of the part validation"), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(folder.path().join("part/masks")).unwrap().count(), 1);
    let wrong = pig(&["sample", "--run", &run, "--out", &folder.at("pairs"), "--count", "1"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", stderr(&wrong));
}

#[test]
fn a_cross_validation_lists_its_pieces_and_does_one() {
    let folder = Folder::with_data();
    let (data, out) = (folder.at("data"), folder.at("out"));
    let sets = ["crossval.folds=2", "crossval.segmenter_seeds=[0]"];
    let asked = |more: &[&'static str]| -> Vec<String> {
        let asked = ["crossval", "--data", &data, "--out", &out];
        with(&asked, &sets).into_iter().chain(more.iter().copied()).map(str::to_owned).collect()
    };
    let run = |more: &[&'static str]| {
        let asked = asked(more);
        pig(&asked.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let jobs = json(&success(run(&["--jobs", "--json"])));
    assert_eq!((jobs.as_array().unwrap().len(), &jobs[0]["progress"]), (2, &"open".into()));
    assert!(jobs[0]["time"]["seconds"].as_f64().unwrap() > 0.0);
    let results = json(&success(run(&["--fold", "1", "--arm", "real", "--json"])));
    assert_eq!(results["arms"][0]["segmenters"], serde_json::json!([1, 2]));
    let text = stdout(&success(run(&["--jobs"])));
    assert!(text.contains("done   --fold 1 --arm real --seed 0") && text.contains("1 of 2 pieces are left"), "{text}");
    let wrong = run(&["--arm", "fake"]);
    assert!(stderr(&wrong).contains("one of these arms: real"), "{}", stderr(&wrong));
}

#[test]
fn a_segmenter_takes_its_data_section_from_a_generator() {
    let folder = Folder::with_data();
    let (data, run) = (folder.at("data"), folder.at("run"));
    let table = (0..8).map(|index| format!("a{index:02},c{}\n", index / 2)).collect::<Vec<_>>().concat();
    std::fs::write(folder.path().join("data/manifest.csv"), format!("id,case\n{table}")).unwrap();
    let sets =
        ["data.channels=3", "data.group_column=case", "data.crop=blank-borders", "data.augment.horizontal_flip=true"];
    success(pig_with(&["train", "--data", &data, "--out", &run], &sets));
    let (splits, segmenter) = (format!("{run}/splits.json"), folder.at("segmenter"));
    let asked = ["segment", "train", "--like", &run, "--data", &data, "--splits", &splits, "--out", &segmenter];
    let tiny: Vec<&str> = TINY[1..].iter().flat_map(|&set| ["--set", set]).collect();
    let plan = success(pig(&[&asked[..], &["--dry-run"], &tiny].concat()));
    assert!(!folder.path().join("segmenter").exists(), "a dry run writes nothing");
    let (text, said) = (stdout(&plan), stderr(&plan));
    assert!(
        text.starts_with("# training: 6 real pairs of 3 groups; validation: 2 pairs of 1 groups\n# 4 steps of 2"),
        "{text}"
    );
    for line in ["channels = 3", "group_column = \"case\"", "crop = \"blank-borders\"", "horizontal_flip = false"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // The split is given, so nothing is said about one by image or by column.
    assert!(said.contains("the split is that of") && !said.contains("the split is by"), "{said}");
    let json_plan = json(&success(pig(&[&asked[..], &["--dry-run", "--json"], &tiny].concat())));
    assert_eq!((&json_plan["pairs"]["real"], &json_plan["steps"]), (&6.into(), &4.into()));
    success(pig(&[&asked[..], &tiny].concat()));
    let written = std::fs::read_to_string(folder.path().join("segmenter/config.toml")).unwrap();
    assert!(written.contains("channels = 3"), "{written}");
    // Without --splits, a set whose manifest names no patient is split by image, and that is said.
    let other = folder.at("other");
    std::fs::remove_file(folder.path().join("data/manifest.csv")).unwrap();
    let said = stderr(&success(pig(&with(&["segment", "train", "--data", &data, "--out", &other, "--dry-run"], &[]))));
    assert!(said.contains("the split is by image"), "{said}");
}

#[test]
fn generated_pairs_that_no_step_draws_are_refused() {
    let folder = Folder::with_data();
    let (data, one, run) = (folder.at("data"), others(&folder, 1), folder.at("run"));
    let asked = ["segment", "train", "--data", &data, "--add", &one, "--out", &run];
    // Two draws from eight pairs: of some seeds, the generated pair is not among them.
    let tried = |seed: &str| pig(&with(&asked, &["segment.train.steps=1", &format!("segment.train.seed={seed}")]));
    let refused: Vec<std::process::Output> = ["0", "1", "2", "3", "4", "5"]
        .into_iter()
        .map(tried)
        .filter(|output| output.status.code() == Some(1))
        .collect();
    let message = refused.iter().map(stderr).find(|said| said.contains("none of its 1 generated pairs is drawn"));
    let message = message.expect("a seed that does not draw the pair");
    assert!(message.contains("from the 8 training pairs") && message.contains("segment.train.steps"), "{message}");
}
