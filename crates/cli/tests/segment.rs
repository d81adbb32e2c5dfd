//! `pig segment train` and `predict`, and `pig crossval`, on the command line.

mod common;

use common::{Folder, json, pig, stderr, stdout, success};

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

#[test]
fn a_segmenter_is_trained_predicts_and_is_measured() {
    let folder = Folder::with_data();
    let (data, run, masks) = (folder.at("data"), folder.at("run"), folder.at("masks"));
    let asked = ["segment", "train", "--data", &data, "--add", &data, "--out", &run, "--json"];
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
