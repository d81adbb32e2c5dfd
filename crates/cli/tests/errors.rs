//! User errors, through the binary: each error exits with 1, says what was found and what to do, and leaves the disk unchanged. Faults of
//! pig itself exit with 2.

mod common;

use common::{Folder, json, picture, pig, pig_with, stderr, stdout, success};
use pig_train::run_dir::config_sha256;
use std::process::Output;

/// Exit code 1, nothing on stdout, and a message with all of `parts`.
#[track_caller]
fn assert_refused(output: &Output, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(stdout(output), "");
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    assert!(message.matches("os error").count() < 2, "the cause is printed twice: {message}");
}

/// A training on `folder/data` is refused with `parts` and changes nothing on the disk.
#[track_caller]
fn assert_training_refused(folder: &Folder, sets: &[&str], parts: &[&str]) {
    let before = folder.snapshot();
    let (data, run) = (folder.at("data"), folder.at("run"));
    assert_refused(&pig_with(&["train", "--data", &data, "--out", &run], sets), parts);
    assert!(folder.snapshot() == before, "the disk was changed");
    assert_refused(&pig_with(&["train", "--dry-run", "--json", "--data", &data, "--out", &run], sets), parts);
    assert!(folder.snapshot() == before, "the disk was changed by a dry run");
}

/// A finished tiny run in `folder/run`.
fn trained(sets: &[&str]) -> Folder {
    let folder = Folder::with_data();
    success(pig_with(&["train", "--data", &folder.at("data"), "--out", &folder.at("run")], sets));
    folder
}

#[test]
fn empty_folder() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    assert_training_refused(
        &folder,
        &[],
        &[&folder.at("data"), "no image and mask pairs found", "`pig prepare` makes"],
    );
}

#[test]
fn devices_that_are_unknown_or_not_built() {
    let unknown = pig(&["doctor", "--device", "gpu"]);
    assert_refused(&unknown, &["--device", "\"gpu\" is not a device", "auto, cpu", "cuda:0"]);
    let folder = Folder::with_data();
    for kind in ["cuda", "vulkan", "wgpu", "metal"] {
        // A build with this kind looks for the hundredth device.
        let output = pig(&[
            "train",
            "--data",
            &folder.at("data"),
            "--out",
            &folder.at("run"),
            "--device",
            &format!("{kind}:99"),
        ]);
        let built = !stderr(&output).contains(&format!("built without {kind}"));
        assert_refused(&output, if built { &["99", "device"] } else { &["it has", "cpu", "--features"] });
        assert!(!folder.path().join("run").exists());
    }
}

#[test]
fn doctor_lists_the_devices() {
    let report = json(&success(pig(&["doctor", "--json", "--device", "cpu"])));
    let kinds: Vec<&str> = report["devices"].as_array().unwrap().iter().map(|k| k["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["cuda", "metal", "vulkan", "wgpu", "cpu"]);
    let cpu = &report["devices"][4];
    assert_eq!((&cpu["built"], &cpu["devices"][0]["problem"]), (&true.into(), &serde_json::Value::Null));
    assert!(stdout(&success(pig(&["doctor", "--device", "auto"]))).contains("cpu       "));
}

#[test]
fn absent_folder() {
    let folder = Folder::new();
    assert_training_refused(&folder, &[], &[&folder.at("data"), "check that the path is right"]);
}

#[test]
fn missing_mask() {
    let folder = Folder::with_data();
    std::fs::remove_file(folder.path().join("data/masks/a03.png")).unwrap();
    assert_training_refused(&folder, &[], &["images/a03.png", "no mask found", "expected", "add the mask"]);
}

#[test]
fn size_mismatch() {
    let folder = Folder::with_data();
    picture(&folder.path().join("data/masks/a02.png"), 8, |x, _| if x < 4 { 255 } else { 0 });
    assert_training_refused(&folder, &[], &["images/a02.png", "masks/a02.png", "16 x 16", "8 x 8"]);
}

#[test]
fn unreadable_file() {
    let folder = Folder::with_data();
    let path = folder.path().join("data/images/a05.png");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_training_refused(&folder, &[], &["images/a05.png", "cannot be read as an image", "export it again"]);
}

#[test]
fn many_valued_mask() {
    let folder = Folder::with_data();
    picture(&folder.path().join("data/masks/a04.png"), common::SIDE, |x, _| [0, 90, 180, 255][x % 4]);
    let parts = ["masks/a04.png", "4 value(s)", "0, 90, 180, 255", "data.mask_values"];
    assert_training_refused(&folder, &[], &parts);
}

#[test]
fn unknown_key() {
    let folder = Folder::with_data();
    let file = folder.at("my.toml");
    std::fs::write(&file, "[data]\nsize = 16\n\n[train]\nlearning_rat = 1e-3\n").unwrap();
    let before = folder.snapshot();
    let place = format!("{file}:5");
    let parts = [place.as_str(), "unknown field `learning_rat`", "did you mean `learning_rate`?"];
    let (data, run) = (folder.at("data"), folder.at("run"));
    assert_refused(&pig(&["train", "--config", &file, "--data", &data, "--out", &run]), &parts);
    assert_refused(&pig(&["config", "check", "--config", &file]), &parts);
    assert!(folder.snapshot() == before, "the disk was changed");
    assert_training_refused(&folder, &["train.step=4"], &["--set train.step=4", "did you mean `steps`?"]);
}

#[test]
fn value_out_of_range() {
    let folder = Folder::with_data();
    assert_training_refused(&folder, &["train.learning_rate=-1"], &["train.learning_rate = -1", "expected"]);
    assert_training_refused(
        &folder,
        &["data.size=18", "model_x.block_out_channels=[16, 16, 16]"],
        &["18", "divisible"],
    );
}

#[test]
fn absurd_numbers() {
    for (set, parts) in [
        ("train.batch_size=9000000000000000000", ["train.batch_size = 9000000000000000000", "expected 1 to 1000000"]),
        (
            "schedule.num_train_timesteps=4000000000",
            ["schedule.num_train_timesteps = 4000000000", "expected 1 to 100000"],
        ),
        ("model_y.block_out_channels=[1000000000]", ["model_y.block_out_channels = 1000000000", "expected 1 to 65536"]),
    ] {
        assert_refused(&pig(&["config", "check", "--set", set]), &parts);
    }
}

#[test]
fn run_directory_exists() {
    let folder = Folder::with_data();
    std::fs::create_dir(folder.path().join("run")).unwrap();
    std::fs::write(folder.path().join("run/notes.txt"), "mine").unwrap();
    assert_training_refused(&folder, &[], &[&folder.at("run"), "never overwritten", "another --out", "--resume"]);
}

#[test]
fn run_directory_that_is_empty_is_taken() {
    let folder = Folder::with_data();
    std::fs::create_dir(folder.path().join("run")).unwrap();
    success(pig_with(&["train", "--data", &folder.at("data"), "--out", &folder.at("run")], &["method=joint"]));
    assert!(folder.path().join("run/checkpoints/joint/last").is_file());
}

#[test]
fn checkpoint_of_another_architecture() {
    let folder = trained(&["method=joint"]);
    let config = folder.path().join("run/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    table["model_x"]["block_out_channels"] = toml::Value::Array(vec![16.into(), 64.into()]);
    let text = toml::to_string(&table).unwrap();
    std::fs::write(&config, &text).unwrap();
    let sample = || pig(&["sample", "--run", &folder.at("run"), "--out", &folder.at("pairs"), "--count", "2"]);
    assert_refused(&sample(), &["run/config.toml: its SHA-256 is", "provenance.json says", "restore it"]);
    // Whoever changes both files is told by the weights.
    let provenance = folder.path().join("run/provenance.json");
    let mut said: serde_json::Value = serde_json::from_slice(&std::fs::read(&provenance).unwrap()).unwrap();
    said["config_sha256"] = config_sha256(&text).into();
    std::fs::write(&provenance, said.to_string()).unwrap();
    let before = folder.snapshot();
    let output = sample();
    let parts = ["ema.safetensors", "another architecture", "[32]", "[64]"];
    assert_refused(&output, &parts);
    let output = pig(&["train", "--resume", &folder.at("run")]);
    assert_refused(&output, &["another architecture", "[32]", "[64]"]);
    let log = folder.path().join("run/log.txt");
    // The log records the attempt to continue.
    let ignoring_log = |snapshot: Vec<(std::path::PathBuf, Vec<u8>)>| {
        snapshot.into_iter().filter(|(path, _)| *path != log).collect::<Vec<_>>()
    };
    assert!(ignoring_log(folder.snapshot()) == ignoring_log(before), "the disk was changed");
}

#[test]
fn resume_without_checkpoint() {
    let folder = trained(&["method=joint"]);
    std::fs::remove_dir_all(folder.path().join("run/checkpoints")).unwrap();
    let before = folder.snapshot();
    let output = pig(&["train", "--resume", &folder.at("run")]);
    assert_refused(&output, &["checkpoints/joint", "no valid checkpoint of joint", "start anew with another --out"]);
    let output = pig(&["sample", "--run", &folder.at("run"), "--out", &folder.at("pairs"), "--count", "2"]);
    assert_refused(&output, &["no valid checkpoint of joint", "train it first"]);
    let output = pig(&["train", "--resume", &folder.at("data")]);
    assert_refused(&output, &[&folder.at("data"), "not a run directory", "config.toml"]);
    assert!(folder.snapshot() == before, "the disk was changed");
}

#[test]
fn damaged_checkpoint() {
    let folder = trained(&["method=joint"]);
    let path = folder.path().join("run/checkpoints/joint/step-000003/ema.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let output = pig(&["sample", "--run", &folder.at("run"), "--out", &folder.at("pairs"), "--count", "2"]);
    assert_refused(&output, &["ema.safetensors", "SHA-256", "restore the file"]);
    assert!(!folder.path().join("pairs").exists());
}

/// Tests may run as root, for whom permissions have no effect; but nobody can write below a file.
#[test]
fn output_not_writable() {
    let folder = trained(&["method=joint"]);
    std::fs::write(folder.path().join("file"), "a file").unwrap();
    let out = folder.at("file/below");
    let before = folder.snapshot();
    for arguments in [
        &["sample", "--run", &folder.at("run"), "--out", &out, "--count", "2"][..],
        &["demo", "--out", &out, "--patients", "4", "--count", "2"],
    ] {
        assert_refused(&pig(arguments), &[&out, "check"]);
    }
    assert_refused(&pig_with(&["train", "--data", &folder.at("data"), "--out", &out], &[]), &[&out, "check"]);
    assert!(folder.snapshot() == before, "the disk was changed");
}

/// A table or a page that cannot be written is named before anything is read.
#[test]
fn tables_and_pages_not_writable() {
    let folder = Folder::with_data();
    std::fs::write(folder.path().join("file"), "a file").unwrap();
    let (out, absent) = (folder.at("file/below"), folder.at("absent"));
    for arguments in [
        &["inspect", &absent, "--page", &out][..],
        &["segment", "evaluate", "--pred", &absent, "--truth", &absent, "--csv", &out],
        &["fid", "copies", "--train", &absent, "--held-out", &absent, "--generated", &absent, "--csv", &out],
        &["fid", "copies", "--train", &absent, "--held-out", &absent, "--generated", &absent, "--page", &out],
        &["fid", "ref", &absent, "--weights", &absent, "--out", &out],
        &["report", &absent, "--out", &out],
    ] {
        assert_refused(&pig(arguments), &[&out, "cannot write"]);
    }
}

#[test]
fn which_samples_must_be_said_once() {
    let folder = trained(&["method=joint"]);
    let before = folder.snapshot();
    let (run, pairs) = (folder.at("run"), folder.at("pairs"));
    let base = ["sample", "--run", &run, "--out", &pairs];
    let with = |more: &[&str]| pig(&[&base[..], more].concat());
    assert_refused(&with(&[]), &["--count N", "--seeds A-B"]);
    assert_refused(&with(&["--count", "2", "--seeds", "0-3"]), &["--count", "--seeds", "cannot be used with"]);
    assert_refused(&with(&["--seeds", "5-2"]), &["5-2", "0-2047"]);
    assert_refused(&with(&["--count", "2", "--shard", "2/2"]), &["2/2", "0/8"]);
    let outside = with(&["--count", "2", "--set", "train.steps=5"]);
    assert_refused(&outside, &["train.steps=5", "outside [sample]", "--set for keys of [sample] only"]);
    assert_refused(&with(&["--count", "2", "--steps", "0"]), &["num_inference_steps", "0"]);
    assert_refused(&with(&["--count", "2", "--steps", "65"]), &["num_inference_steps", "65", "64"]);
    assert!(folder.snapshot() == before, "the disk was changed");
}

#[test]
fn usage_errors_exit_with_1_and_help_with_0() {
    assert_refused(&pig(&["trian"]), &["trian", "train"]);
    assert_refused(&pig(&["train", "--data", "d"]), &["--out"]);
    assert_eq!(pig(&["--help"]).status.code(), Some(0));
    assert_eq!(pig(&["--version"]).status.code(), Some(0));
}

#[test]
fn a_fault_of_pig_exits_with_2() {
    let output = pig(&["panic"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("a fault of pig"), "{}", stderr(&output));
}

#[test]
fn json_is_all_that_stands_on_stdout() {
    let folder = Folder::with_data();
    let (data, run, pairs) = (folder.at("data"), folder.at("run"), folder.at("pairs"));
    let plan = json(&success(pig_with(&["train", "--dry-run", "--json", "--data", &data, "--out", &run], &[])));
    assert_eq!(plan["networks"][1]["network"], "model_y");
    let train = json(&success(pig_with(&["train", "--json", "--data", &data, "--out", &run], &[])));
    assert_eq!((&train["finished"], &train["run"]), (&true.into(), &run.as_str().into()));
    let sample = json(&success(pig(&["sample", "--json", "--run", &run, "--out", &pairs, "--count", "3"])));
    assert_eq!((&sample["pairs"], &sample["made"]), (&3.into(), &3.into()));
    let shown = json(&success(pig(&["config", "show", "--json", "--set", "train.steps=7"])));
    assert_eq!(shown["train"]["steps"], 7);
    assert_eq!(json(&success(pig(&["config", "check", "--json"])))["usable"], true);
    assert_eq!(json(&success(pig(&["doctor", "--json"])))["passed"], true);
}
