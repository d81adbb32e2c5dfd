//! The script of the experiment with few labels, from the split of a draw to the table of all draws, on pictures of 16 x 16.

#![cfg(unix)]

mod common;

use common::{Folder, SIDE, picture, pig_with, stderr, stdout, success};
use pig_data::DataConfig;
use pig_segment::config::SegmentFile;
use pig_train::config::Layers;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Command, Output},
};

const EXPERIMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments");

const RUN: &[&str] = &[
    "run",
    "--draw",
    "0",
    "--data",
    "data",
    "--out",
    "out",
    "--generators",
    "1",
    "--segmenters",
    "2",
    "--pairs",
    "4",
    "--generator",
    "generator.toml",
    "--segmenter",
    "segmenter.toml",
];

const SEGMENTER: &str = "\
[data]
size = 16

[segment]
threshold = 0.1

[segment.network]
block_out_channels = [8, 16]

[segment.train]
steps = 4
batch_size = 2
learning_rate = 0.01
warmup_steps = 1
validate_every = 2
";

/// The group of a picture: that of the first one that tests holds one more.
fn group(index: usize) -> String {
    format!("g{}", if index == 6 { 0 } else { index })
}

/// 46 pairs, of which six are called those that test.
fn data(folder: &Folder) {
    let row = |index: usize| {
        let id = format!("{}_{index}", if index < 6 { "test" } else { "train" });
        let [image, mask] = ["images", "masks"].map(|name| format!("{name}/{id}.png"));
        let [light, lesion] = [&image, &mask].map(|name| folder.path().join("data").join(name));
        picture(&light, SIDE, |x, y| (x * 5 + y * 3 + index) as u8 + if x < 6 { 110 } else { 0 });
        picture(&lesion, SIDE, |x, y| if x < 6 && y > index % 8 { 255 } else { 0 });
        format!("{id},{image},{mask},{}\n", group(index))
    };
    let rows: Vec<String> = (0..46).map(row).collect();
    let table = format!("id,image,mask,near_duplicate_group\n{}", rows.concat());
    std::fs::write(folder.path().join("data/manifest.csv"), table).unwrap();
}

fn script(folder: &Folder, arguments: &[&str], more: &[&str]) -> Output {
    let script = Path::new(EXPERIMENTS).join("kvasir-10");
    let fixed = ["--pig", env!("CARGO_BIN_EXE_pig"), "--results", "results"];
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).args(more).args(fixed).current_dir(folder.path());
    command.env("PYTHONIOENCODING", "utf-8").output().unwrap()
}

/// The labelled groups: four, a tenth of the 39 that do not test, by the SHA-256 of the draw's number and the group's name.
fn labelled() -> BTreeSet<String> {
    let rank = |group: &String| pig_files::sha256(&[&0_u64.to_le_bytes()[..], group.as_bytes()].concat());
    let mut others: Vec<String> = (7..46).map(group).collect();
    others.sort_by_key(rank);
    others.into_iter().take(4).collect()
}

#[test]
fn a_draw_is_split_trained_and_compared() {
    if Command::new("python3").arg("--version").output().is_err() {
        pig_testing::skip("no python3 to run experiments/kvasir-10");
        return;
    }
    let folder = Folder::new();
    data(&folder);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let shown = success(pig_with(&["config", "show"], &[]));
    std::fs::write(folder.path().join("generator.toml"), shown.stdout).unwrap();
    std::fs::write(folder.path().join("segmenter.toml"), SEGMENTER).unwrap();

    let stopped = script(&folder, RUN, &["--minutes", "0"]);
    assert_eq!(stopped.status.code(), Some(130), "{}", stderr(&stopped));
    assert!(stdout(&stopped).contains("stopped with 0 of 10 results"), "{}", stdout(&stopped));
    let real = script(&folder, RUN, &["--arms", "real"]);
    assert_eq!(real.status.code(), Some(130), "{}", stderr(&real));
    let said = stdout(&real);
    assert!(said.contains("stopped with 2 of 10 results") && !said.contains("begins generator-0"), "{said}");
    success(script(&folder, RUN, &[]));

    let splits: serde_json::Value = serde_json::from_str(&read("results/draw-0/splits.json")).unwrap();
    let ids = |part: &str| -> BTreeSet<String> {
        splits[part].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let tested: BTreeSet<String> =
        ["test_0", "test_1", "test_2", "test_3", "test_4", "test_5", "train_6"].map(str::to_owned).into();
    let (training, validation) = (ids("training"), ids("validation"));
    assert_eq!((ids("test"), training.len(), validation.len()), (tested.clone(), 3, 1));
    let known: BTreeSet<String> = training.union(&validation).map(|id| id.replace("train_", "g")).collect();
    assert_eq!(known, labelled());
    let pseudo = read("out/draw-0/pseudo/0/manifest.csv");
    assert_eq!(pseudo.lines().count(), 1 + 46 - 7 - 4, "{pseudo}");
    let shown = |ids: &BTreeSet<String>| ids.iter().any(|id| pseudo.contains(&format!("{id},")));
    assert!(!shown(&tested) && !shown(&training) && !shown(&validation), "{pseudo}");

    let cases = read("results/draw-0/cases.csv");
    let rows: Vec<Vec<&str>> = cases.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let mut trainings: BTreeMap<[&str; 3], BTreeSet<String>> = BTreeMap::new();
    let mut dice: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in &rows {
        trainings.entry([row[1], row[2], row[3]]).or_default().insert(row[4].to_owned());
        if row[1] == "real" {
            dice.entry(row[5]).or_default().push(row[6].parse().unwrap());
        }
    }
    let arms = [("pig", "0"), ("pig-curated", "0"), ("real", ""), ("self-training", "0")];
    let expected: Vec<[&str; 3]> = arms.iter().flat_map(|&(arm, from)| [[arm, from, "0"], [arm, from, "1"]]).collect();
    assert_eq!(trainings.keys().copied().collect::<Vec<_>>(), expected);
    assert!(trainings.values().all(|ids| *ids == tested) && rows.len() == 8 * 7, "{cases}");

    // Two segmenters of the same pictures, so the mean within each group is over both.
    let groups: Vec<f64> = dice.values().map(|values| values.iter().sum::<f64>() / values.len() as f64).collect();
    let mean = format!(" {:.2} |", 100.0 * groups.iter().sum::<f64>() / groups.len() as f64);
    let table = stdout(&success(script(&folder, &["table"], &[])));
    let real = table.lines().find(|line| line.starts_with("| real | 2 |")).unwrap();
    assert!(real.ends_with(&mean), "{real}, expected {mean}");
    assert!(table.starts_with("Draws 0 of 5; 1 generators") && table.contains("| pig - real | "), "{table}");

    goes_on_elsewhere(&folder, &cases);

    // A finished draw is left as it is, and is no other experiment's.
    let again = success(script(&folder, RUN, &[]));
    assert!(!stdout(&again).contains("begins"), "{}", stdout(&again));
    assert_eq!(read("results/draw-0/cases.csv"), cases);
    let refused = script(&folder, RUN, &["--pairs", "5"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("has other settings"), "{}", stderr(&refused));
}

/// Without what was trained, as on another machine, a draw goes on with the pieces that it lacks, and with what these need. Pieces that learned from
/// another generator than the one that comes out there are made again.
fn goes_on_elsewhere(folder: &Folder, cases: &str) {
    let path = |name: &str| folder.path().join(name);
    let (finished, piece) = (path("results/draw-0/draw.json"), path("results/draw-0/pieces/pig-0.json"));
    std::fs::remove_file(&finished).unwrap();
    std::fs::remove_file(path("out/draw-0/tasks/pig-1.json")).unwrap();
    let stopped = script(folder, RUN, &["--minutes", "0"]);
    assert_eq!(stopped.status.code(), Some(130), "{}", stderr(&stopped));
    assert!(!path("results/draw-0/pieces/pig-1.json").exists());
    let kept = std::fs::read_to_string(&piece).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&kept).unwrap();
    other["maker"] = "another".into();
    std::fs::write(&piece, other.to_string()).unwrap();

    let elsewhere = &["--out", "elsewhere"];
    let dropped = script(folder, RUN, elsewhere);
    assert_eq!(dropped.status.code(), Some(130), "{}", stderr(&dropped));
    let said = stdout(&dropped);
    let begun: BTreeSet<&str> =
        said.lines().filter_map(|line| line.split_once(" begins ")).map(|(_, name)| name).collect();
    assert_eq!(begun, BTreeSet::from(["generator-0", "pairs-0", "pig-1"]), "{said}");
    assert!(said.contains("removed pig-0: "), "{said}");
    let ended = stdout(&success(script(folder, RUN, elsewhere)));
    assert!(ended.contains("begins pig-0") && ended.contains("the draw is done"), "{ended}");
    assert_eq!(std::fs::read_to_string(path("results/draw-0/cases.csv")).unwrap(), cases);
    assert!(finished.exists() && !piece.exists());
}

#[test]
fn generator_and_segmenter_of_the_experiment_read_pictures_alike() {
    let layers = |name: &str| Layers { file: Some(Path::new(EXPERIMENTS).join(name)), sets: Vec::new() };
    let generator = layers("kvasir-10-generator.toml").load().unwrap();
    generator.check().unwrap();
    let segmenter: SegmentFile = layers("kvasir-10-segmenter.toml").load_as().unwrap();
    segmenter.check().unwrap();
    let read = |data: &DataConfig| (data.size, data.channels.count(), data.group_column.clone());
    assert_eq!(read(&generator.data), read(&segmenter.data));
}
