//! A pipe in place of a file is refused by its name: reading it would wait for ever.

#![cfg(unix)]

mod common;

use common::{Folder, TINY, command, pig_with, stderr, success};
use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Puts a pipe at this place, where a file may be.
fn pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The output of a command, which is stopped after half a minute: then it waits for the pipe.
#[track_caller]
fn output(arguments: &[&str]) -> Output {
    let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{arguments:?} waits for a pipe");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// The command ends with 1 and names the pipe.
#[track_caller]
fn assert_refused(arguments: &[&str], name: &str) {
    let output = output(arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(said.contains(name) && said.contains("it is a pipe, a socket or a device"), "{arguments:?}: {said}");
}

fn tiny<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().copied().chain(TINY.iter().flat_map(|set| ["--set", set])).collect()
}

#[test]
fn files_that_are_named_on_the_command_line() {
    let folder = Folder::with_data();
    let at = |name: &str| folder.at(name);
    pipe(&folder.path().join("pipe"));
    let (data, out, given) = (at("data"), at("out"), at("pipe"));
    std::fs::write(folder.path().join("cases.csv"), "id,dice\na,1\n").unwrap();
    for arguments in [
        &["train", "--data", &data, "--out", &out, "--config", &given][..],
        &["config", "check", "--config", &given],
        &["segment", "train", "--data", &data, "--out", &out, "--config", &given],
        &["segment", "train", "--data", &data, "--out", &out, "--add", &data, "--splits", &given],
        &["crossval", "--data", &data, "--out", &out, "--config", &given],
        &["experiment", "table2", "--data", &data, "--out", &out, "--config", &given],
        &["weights", "import", &given, "--out", &out],
        &["compare", &given, &at("cases.csv")],
        &["compare", &at("cases.csv"), &given],
        &["segment", "evaluate", "--pred", &data, "--truth", &data, "--manifest", &given],
        &["fid", "calc", &data, &data, "--features", "radiomics", "--manifest", &given],
        &["prepare", &data, &out, "--key", &given],
    ] {
        assert_refused(arguments, "pipe");
        assert!(!folder.path().join("out").exists(), "{arguments:?}");
    }
}

#[test]
fn tables_of_data_folders() {
    let folder = Folder::with_data();
    let (data, out) = (folder.at("data"), folder.at("out"));
    pipe(&folder.path().join("data/manifest.csv"));
    for arguments in [
        &tiny(&["train", "--data", &data, "--out", &out])[..],
        &["segment", "evaluate", "--pred", &data, "--truth", &data],
        &["fid", "calc", &data, &data, "--features", "radiomics"],
        &["export", &data, "--format", "nnunet", "--out", &out],
    ] {
        assert_refused(arguments, "manifest.csv");
    }
}

/// Pictures that are pipes are counted among what is left out; their partners are missed.
#[test]
fn pictures_of_data_folders() {
    let folder = Folder::with_data();
    let (data, out) = (folder.at("data"), folder.at("out"));
    pipe(&folder.path().join("data/images/a03.png"));
    for arguments in
        [&tiny(&["train", "--data", &data, "--out", &out])[..], &["export", &data, "--format", "png", "--out", &out]]
    {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
    }
    let output = output(&["fid", "calc", &data, &data, "--features", "radiomics"]);
    assert!(stderr(&output).contains("1 pipes, sockets or devices"), "{}", stderr(&output));
    let output = self::output(&["prepare", &data, &out]);
    assert!(stderr(&output).contains("1 pipe(s), socket(s) or device(s)"), "{}", stderr(&output));
}

#[test]
fn files_of_a_run() {
    let folder = Folder::with_data();
    let (data, run, pairs) = (folder.at("data"), folder.at("run"), folder.at("pairs"));
    success(pig_with(&["train", "--data", &data, "--out", &run], &["method=joint"]));
    let last = std::fs::read_to_string(folder.path().join("run/checkpoints/joint/last")).unwrap();
    let step = format!("checkpoints/joint/{last}");
    let sample = ["sample", "--run", &run, "--out", &pairs, "--count", "1"];
    let resume = ["train", "--resume", &run];
    let special = "a pipe, a socket or a device";
    for (name, arguments, words) in [
        ("config.toml", &resume[..], "config.toml is missing"),
        ("preparation.json", &resume, "preparation.json is missing"),
        ("splits.json", &resume, "splits.json is missing"),
        ("metrics.jsonl", &resume, special),
        ("log.txt", &resume, special),
        ("provenance.json", &resume, special),
        ("data-path.txt", &resume, special),
        ("checkpoints/joint/last", &resume, special),
        (&format!("{step}/state.json"), &resume, special),
        (&format!("{step}/ema.safetensors"), &sample, special),
    ] {
        let path = folder.path().join("run").join(name);
        let kept = std::fs::read(&path).unwrap();
        pipe(&path);
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{name}: {}", stderr(&output));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, kept).unwrap();
    }
    success(output(&sample));
    pipe(&folder.path().join("noise.npz"));
    assert_refused(
        &[&sample[..3], &["--out", &folder.at("other"), "--initial-noise", &folder.at("noise.npz")]].concat(),
        "noise.npz",
    );
    pipe(&folder.path().join("splits.json"));
    let (exported, splits) = (folder.at("exported"), folder.at("splits.json"));
    let join = ["--real", &data, "--count", "1", "--splits", &splits];
    assert_refused(&[&["export", &pairs, "--format", "monai", "--out", &exported][..], &join].concat(), "splits.json");
}
