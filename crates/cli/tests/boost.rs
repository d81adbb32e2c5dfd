//! `pig boost` and `pig curate` as a user calls them; a boost that is killed goes on.

mod common;

use common::{Folder, TINY, assert_script, command, json, pig, stderr, stdout, success};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

const CROSSVAL: &str = r#"
[data]
size = 16
validation_fraction = 0.25

[segment.network]
block_out_channels = [8, 16]
norm_num_groups = 4

[segment.train]
steps = 10
batch_size = 2
validate_every = 2
patience = 4

[crossval]
folds = 2
segmenter_seeds = [0, 1]

[[crossval.arms]]
name = "pig"
config = "generator.toml"
add = [2]
curated = [2]
"#;

const PLAN: &str = r#"{
  "program": "by hand", "hours": 0.1, "folds": 1, "seconds": [1.0, 1.0, 1.0, 1.0], "patients": [3, 1, 4], "detectable": null
}"#;

/// A plan that takes seconds.
fn plan(folder: &Folder) -> PathBuf {
    let plan = folder.path().join("plan");
    std::fs::create_dir(&plan).unwrap();
    let shown =
        success(command(&["config", "show"]).args(TINY.iter().flat_map(|set| ["--set", set])).output().unwrap());
    std::fs::write(plan.join("generator.toml"), stdout(&shown)).unwrap();
    std::fs::write(plan.join("crossval.toml"), CROSSVAL).unwrap();
    std::fs::write(plan.join("boost.json"), PLAN).unwrap();
    plan
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Starts a boost, and kills it as soon as `marker` exists, so that it has no chance to save anything.
fn killed(arguments: &[&str], marker: &Path) {
    let mut child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !marker.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {} was there", marker.display());
        assert!(begun.elapsed() < Duration::from_mins(5), "{} is not there", marker.display());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_boost_that_is_killed_goes_on_to_the_same_table() {
    let folder = Folder::with_data();
    let (plan, data) = (text(&plan(&folder)), text(&folder.path().join("data")));
    let [whole, parted] = ["whole", "parted"].map(|name| folder.path().join(name));
    let arguments = |out: &Path| ["boost", &data, "--plan", &plan, "--out", &text(out)].map(str::to_owned);
    let one: Vec<String> = arguments(&whole).into();
    let output = success(pig(&one.iter().map(String::as_str).collect::<Vec<_>>()));
    let said = stdout(&output);
    for words in ["Do not use generated pairs. ", "No verdict", "forecast about", "took", "report.html"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let two: Vec<String> = arguments(&parted).into();
    let two: Vec<&str> = two.iter().map(String::as_str).collect();
    let fold = parted.join("crossval/fold-0");
    for marker in [
        "segmenters/real/seed-0/run/config.toml",
        "segmenters/real/seed-1/run/checkpoints",
        "generators/pig/run/checkpoints/model_x/last",
        "generators/pig/pairs/images",
        "curation/pig",
        "segmenters/pig-curated-2/seed-0/run/config.toml",
    ] {
        killed(&two, &fold.join(marker));
    }
    let output = success(pig(&[&two[..], &["--json"]].concat()));
    let found = json(&output);
    assert_eq!((found["advice"].as_str(), &found["best"]), (Some("without"), &serde_json::Value::Null), "{found}");
    for file in ["crossval/table.md", "crossval/cases.csv", "crossval/results.json", "verdict.json"] {
        let [ours, theirs] = [&whole, &parted].map(|out| std::fs::read_to_string(out.join(file)).unwrap());
        assert_eq!(ours, theirs, "{file}");
    }
    // Called again, it says that all is done, and leaves the page as it is.
    let page = std::fs::read(parted.join("report.html")).unwrap();
    let again = success(pig(&two));
    assert!(stderr(&again).contains("all is done and nothing changed"), "{}", stderr(&again));
    assert!(stdout(&again).contains("Do not use generated pairs. "), "{}", stdout(&again));
    assert_eq!(std::fs::read(parted.join("report.html")).unwrap(), page);
    // Chosen pairs are trained on beside the real ones, which the script must know.
    assert_script(&whole.join("crossval"));

    // A dry run writes nothing, and shows the plan of the folder.
    let dry = success(pig(&["boost", &data, "--plan", &plan, "--out", &text(&folder.path().join("new")), "--dry-run"]));
    assert!(
        stdout(&dry).contains("it could detect nothing") && !folder.path().join("new").exists(),
        "{}",
        stdout(&dry)
    );
    // An edited plan is not that of a folder that follows the plan before.
    let edited = CROSSVAL.replace("steps = 10", "steps = 12");
    std::fs::write(Path::new(&plan).join("crossval.toml"), edited).unwrap();
    let other = pig(&["boost", &data, "--plan", &plan, "--out", &text(&whole), "--dry-run"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("crossval.toml: is not the same as"), "{}", stderr(&other));
    std::fs::write(Path::new(&plan).join("crossval.toml"), CROSSVAL).unwrap();
    let missing = pig(&["boost", &data, "--out", &text(&folder.path().join("new"))]);
    assert!(missing.status.code() == Some(1) && stderr(&missing).contains("--hours"), "{}", stderr(&missing));

    curate_uses_the_segmenters(&folder, &whole, &data);
}

/// `pig curate` with the segmenters and the pairs of the boost.
fn curate_uses_the_segmenters(folder: &Folder, boost: &Path, data: &str) {
    let fold = boost.join("crossval/fold-0");
    let [pairs, splits] = ["generators/pig/pairs", "splits.json"].map(|name| text(&fold.join(name)));
    let [first, second] = [0, 1].map(|seed| text(&fold.join(format!("segmenters/real/seed-{seed}/run"))));
    let out = text(&folder.path().join("curated"));
    let with = |run: &str| {
        [
            "curate",
            &pairs,
            "--run",
            &first,
            "--run",
            run,
            "--data",
            data,
            "--splits",
            &splits,
            "--keep-copies",
            "--out",
            &out,
        ]
        .map(str::to_owned)
    };
    let refused = with(&text(&fold.join("segmenters/pig-add-2/seed-0/run")));
    let refused = pig(&refused.each_ref().map(String::as_str));
    assert!(stderr(&refused).contains("trained on 2 generated pairs"), "{}", stderr(&refused));
    let accepted = with(&second);
    let output = success(pig(&accepted.each_ref().map(String::as_str)));
    let said = stdout(&output);
    assert!(said.contains("kept 2 of 4 pairs; left out: 2 low agreement") && said.contains("saw none of"), "{said}");
    // The folder can be trained on.
    let run = text(&folder.path().join("with-curated"));
    let trained = command(&["segment", "train", "--data", data, "--splits", &splits, "--add", &out, "--out", &run])
        .args(
            ["data.size=16", "segment.network.block_out_channels=[8, 16]", "segment.network.norm_num_groups=4"]
                .iter()
                .flat_map(|set| ["--set", set]),
        )
        .args(["--set", "segment.train.steps=4"])
        .output()
        .unwrap();
    assert!(stderr(&success(trained)).contains("training with 2 generated pairs"));
}
