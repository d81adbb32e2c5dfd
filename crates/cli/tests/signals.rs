//! Signals that ask the binary to stop: the state is saved, finished pairs are kept, and what was ignored at the start stays ignored.

#![cfg(unix)]

mod common;

use common::{Folder, TINY, dicom, interruptible, json, pig, pig_with, stderr, stdout, success, with_default_signals};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Waits until `done` is true, for one minute at most.
fn wait_for(done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_mins(1), "nothing happened in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn an_interrupt_saves_and_resume_goes_on() {
    let folder = Folder::with_data();
    let (data, run) = (folder.at("data"), folder.at("run"));
    let sets = ["method=joint", "train.steps=300", "train.validate_every=0"];
    let child = interruptible(&["train", "--json", "--data", &data, "--out", &run])
        .args(TINY.iter().chain(&sets).flat_map(|set| ["--set", set]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = folder.path().join("run/metrics.jsonl");
    wait_for(|| lines(&log) > 2);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert_eq!(json(&output)["finished"], false);
    assert!(stderr(&output).contains(&format!("pig train --resume {run}")), "{}", stderr(&output));
    let last = || std::fs::read_to_string(folder.path().join("run/checkpoints/joint/last")).unwrap();
    let stopped_at: usize = last().strip_prefix("step-").unwrap().parse().unwrap();
    assert!((1..300).contains(&stopped_at), "stopped at step {stopped_at}");
    assert_eq!(lines(&log), stopped_at);
    let resumed = success(pig(&["train", "--resume", &run]));
    assert!(stderr(&resumed).contains(&format!("continues from step {stopped_at}")), "{}", stderr(&resumed));
    assert_eq!((last().as_str(), lines(&log)), ("step-000300", 300));
}

fn kill(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// A training of this many steps in `folder/NAME`, under a shell that ignores `ignored` first.
fn training(folder: &Folder, name: &str, ignored: &str, steps: &str) -> Child {
    let pig = env!("CARGO_BIN_EXE_pig");
    let mut shell = with_default_signals("sh");
    shell.args(["-c", &format!("trap '' {ignored}; exec \"$0\" \"$@\""), pig]);
    shell.args(["train", "--data", &folder.at("data"), "--out", &folder.at(name)]);
    let sets = ["method=joint", steps, "train.validate_every=0"];
    shell.args(TINY.iter().chain(&sets).flat_map(|set| ["--set", set]));
    shell.env("PIG_CACHE_DIR", common::CACHE).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A limit on the size of files is an error that names the file, not the end without a word.
#[test]
fn a_limit_on_the_size_of_files_is_told() {
    let folder = Folder::with_data();
    let mut shell = with_default_signals("sh");
    shell.args(["-c", "ulimit -f 4; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pig")]);
    shell.args(["prepare", &folder.at("data"), &folder.at("out"), "--set", "prepare.size=1024"]);
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("File too large"), "{}", stderr(&output));
}

/// `nohup` ignores SIGHUP; a shell without job control ignores SIGINT for what it runs in the background.
#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_was_ignored_stays_ignored() {
    let folder = Folder::with_data();
    let child = training(&folder, "run", "HUP INT", "train.steps=60");
    let log = folder.path().join("run/metrics.jsonl");
    wait_for(|| lines(&log) > 2);
    kill(&child, "-HUP");
    kill(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("stopping"), "{}", stderr(&output));
    assert_eq!(lines(&log), 60);
    // SIGTERM was not ignored.
    let child = training(&folder, "other", "HUP", "train.steps=3000");
    wait_for(|| lines(&folder.path().join("other/metrics.jsonl")) > 2);
    kill(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(folder.path().join("other/checkpoints/joint/last").is_file());
}

/// Nobody ignored it: a closed terminal saves and stops.
#[test]
fn a_hangup_saves_and_stops() {
    let folder = Folder::with_data();
    let child = training(&folder, "run", "QUIT", "train.steps=3000");
    wait_for(|| lines(&folder.path().join("run/metrics.jsonl")) > 2);
    kill(&child, "-HUP");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("stopping after this step"), "{}", stderr(&output));
    assert!(folder.path().join("run/checkpoints/joint/last").is_file());
}

/// A batch of many turns does not keep an interrupt waiting.
#[test]
fn an_interrupted_sampling_keeps_its_pairs() {
    let folder = Folder::with_data();
    let (run, pairs) = (folder.at("run"), folder.at("pairs"));
    let sets = ["method=joint", "schedule.num_train_timesteps=20000"];
    success(pig_with(&["train", "--data", &folder.at("data"), "--out", &run], &sets));
    let steps = "sample.num_inference_steps=2000";
    let asked = ["sample", "--run", &run, "--out", &pairs, "--seeds", "0-7", "--batch", "1", "--set", steps, "--json"];
    let child = interruptible(&asked).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let written = || std::fs::read_dir(folder.path().join("pairs/images")).map_or(0, Iterator::count);
    wait_for(|| written() > 0);
    kill(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("finished samples are kept"), "{}", stderr(&output));
    let made = json(&output)["made"].as_u64().unwrap();
    assert!((1..8).contains(&made), "{made} pairs were made");
    assert_eq!(written() as u64, made);
}

/// Whether a process catches SIGINT by now; elsewhere than on Linux, a moment counts as enough.
fn catches_interrupts(child: &Child) -> bool {
    if !cfg!(target_os = "linux") {
        std::thread::sleep(Duration::from_millis(200));
        return true;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 0b10 != 0))
}

/// What was looked at until then says nothing of the folder: no verdict is printed.
#[test]
fn an_interrupted_inspection_gives_no_verdict() {
    let folder = Folder::new();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("0.dcm"), dicom("1.2.3.4", &[((0x0010, 0x0010), "PN", b"Somebody".to_vec())])).unwrap();
    // Files enough that the interrupt comes before the last of them.
    for index in 1..6000 {
        std::fs::hard_link(source.join("0.dcm"), source.join(format!("{index}.dcm"))).unwrap();
    }
    let source = folder.at("source");
    for extra in [&[][..], &["--privacy"], &["--json"], &["--privacy", "--json"]] {
        let asked = [&["inspect", &source][..], extra].concat();
        let child = interruptible(&asked).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(|| catches_interrupts(&child));
        kill(&child, "-INT");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{extra:?}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("still to look at; nothing can be said of the folder"), "{extra:?}: {said}");
        if extra.contains(&"--json") {
            let said = json(&output);
            assert_eq!(said["finished"], false, "{extra:?}");
            assert!(said["left"].as_u64() > Some(0) && said.as_object().unwrap().len() == 2, "{said}");
        } else {
            assert_eq!(stdout(&output), "", "{extra:?}");
        }
    }
}

/// `pig train | tee log`: Ctrl-C ends `tee` as well, and everything that pig says from then on goes into a closed pipe.
#[test]
fn closed_pipes_cost_neither_a_checkpoint_nor_a_result() {
    let folder = Folder::with_data();
    let mut child = training(&folder, "run", "HUP", "train.steps=3000");
    let log = folder.path().join("run/metrics.jsonl");
    wait_for(|| lines(&log) > 2);
    drop((child.stdout.take(), child.stderr.take()));
    kill(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let last = std::fs::read_to_string(folder.path().join("run/checkpoints/joint/last")).unwrap();
    let stopped_at: usize = last.strip_prefix("step-").unwrap().parse().unwrap();
    assert!((1..3000).contains(&stopped_at) && lines(&log) == stopped_at, "{last}");
    let mut child = training(&folder, "whole", "HUP", "train.steps=4");
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(lines(&folder.path().join("whole/metrics.jsonl")), 4);
}

/// A full disk behind stdout is no closed pipe: results are missing, and the exit code says so.
#[test]
#[cfg(target_os = "linux")]
fn results_that_cannot_be_printed_are_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        common::command(&["config", "show"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("error: stdout: "), "{}", stderr(&output));
}
