//! Run directories that were hurt, interrupted, moved or are in use: each is refused by name or continued to the same result.

mod common;

use common::{StopAt, config, device, folder, trained};
use pig_device::testing;
use pig_train::{
    Error,
    checkpoint::Store,
    loaded::LoadedRun,
    observer::{Outcome, Silent},
    training::{resume, train},
};
use std::path::{Path, PathBuf};

/// A run of `joint` that was stopped after five of its ten steps.
fn stopped(folder: &Path, name: &str) -> PathBuf {
    let run = folder.join(name);
    let config = config(&["method=joint", "train.log_every=1"]);
    let outcome = train(&config, &folder.join("data"), &run, &device(), &StopAt::new("joint", 5)).unwrap();
    assert_eq!(outcome, Outcome::Interrupted);
    run
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// Raises the first digit of the file from 1 to 8 by one: the file stays well-formed.
fn hurt(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.iter().position(|byte| (b'1'..=b'8').contains(byte)).unwrap();
    bytes[at] += 1;
    std::fs::write(path, bytes).unwrap();
}

fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("the run was used"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_hurt_file_is_named() {
    let folder = folder();
    let whole = stopped(folder.path(), "run");
    let files = [
        ("config.toml", true),
        ("preparation.json", true),
        ("splits.json", true),
        ("checkpoints/joint/step-000005/state.json", true),
        ("checkpoints/joint/last", true),
        ("metrics.jsonl", false),
    ];
    for (index, (file, is_sampled)) in files.into_iter().enumerate() {
        let run = folder.path().join(format!("hurt-{index}"));
        copy(&whole, &run);
        hurt(&run.join(file));
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        let message = refusal(resume(&run, None, &device(), &Silent));
        assert!(message.contains(name), "{file}: {message}");
        if is_sampled {
            let message = refusal(LoadedRun::open(&run, &[], &device()));
            assert!(message.contains(name), "{file}: {message}");
        } else {
            LoadedRun::open(&run, &[], &device()).unwrap();
        }
    }
    let run = folder.path().join("shorter");
    copy(&whole, &run);
    std::fs::remove_file(run.join("metrics.jsonl")).unwrap();
    let message = refusal(resume(&run, None, &device(), &Silent));
    assert!(message.contains("metrics.jsonl") && message.contains("it has 0 lines"), "{message}");
    std::fs::remove_file(run.join("provenance.json")).unwrap();
    let message = refusal(resume(&run, None, &device(), &Silent));
    assert!(message.contains("provenance.json"), "{message}");
    assert!(LoadedRun::open(&run, &[], &device()).unwrap().run.unverified().unwrap().contains("provenance.json"));
    assert_eq!(resume(&whole, None, &device(), &Silent).unwrap(), Outcome::Finished);
}

/// Runs of versions that wrote none of the hashes go on to the same weights.
#[test]
fn a_run_without_the_newer_hashes_goes_on() {
    if testing::skips("exact reproducibility of a training is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let (new, old) = (stopped(folder.path(), "new"), folder.path().join("old"));
    copy(&new, &old);
    let without = |file: &str, keys: &[&str]| {
        let path = old.join(file);
        let mut json: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for key in keys {
            assert!(json.remove(*key).is_some(), "{key}");
        }
        std::fs::write(path, serde_json::to_vec_pretty(&json).unwrap()).unwrap();
    };
    let checkpoint = "checkpoints/joint/step-000005";
    without(&format!("{checkpoint}/state.json"), &["check", "metrics"]);
    without("provenance.json", &["preparation_sha256", "splits_file_sha256"]);
    for run in [&new, &old] {
        assert_eq!(resume(run, None, &device(), &Silent).unwrap(), Outcome::Finished);
    }
    for file in ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"] {
        let of = |run: &Path| std::fs::read(run.join("checkpoints/joint/step-000010").join(file)).unwrap();
        assert!(of(&new) == of(&old), "{file} differs");
    }
}

#[test]
fn a_lost_last_is_no_fresh_start() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&[]));
    let last = run.join("checkpoints/model_y/last");
    let beside = "step-000010";
    for (text, problem) in [
        (None, "the file is missing"),
        (Some("step-000007"), "names step-000007, which is not there"),
        (Some("../model_x/step-000010"), "it says \"../model_x/step-000010\""),
        (Some(""), "it says \"\""),
    ] {
        match text {
            None => std::fs::remove_file(&last).unwrap(),
            Some(text) => std::fs::write(&last, text).unwrap(),
        }
        let before = std::fs::read(run.join("metrics.jsonl")).unwrap();
        for message in [refusal(resume(&run, None, &device(), &Silent)), refusal(LoadedRun::open(&run, &[], &device()))]
        {
            let parts = ["checkpoints/model_y/last", problem, beside, "write the name of the newest"];
            assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        }
        assert_eq!(std::fs::read(run.join("metrics.jsonl")).unwrap(), before);
        assert!(run.join("checkpoints/model_y").join(beside).is_dir());
    }
    std::fs::write(&last, beside).unwrap();
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
}

#[test]
fn a_run_that_is_being_trained_is_refused() {
    let folder = folder();
    let run = stopped(folder.path(), "run");
    let lock = std::fs::File::open(run.join(".lock")).unwrap();
    lock.try_lock().unwrap();
    let message = refusal(resume(&run, None, &device(), &Silent));
    assert!(message.contains("another process is training this run"), "{message}");
    assert_eq!(std::fs::read_to_string(run.join("checkpoints/joint/last")).unwrap(), "step-000005");
    drop(lock);
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
}

#[test]
fn data_that_were_moved_are_asked_for() {
    let folder = folder();
    let run = stopped(folder.path(), "run");
    let (there, moved) = (folder.path().join("data"), folder.path().join("moved"));
    std::fs::rename(&there, &moved).unwrap();
    let message = refusal(resume(&run, None, &device(), &Silent));
    assert!(message.contains(there.to_str().unwrap()) && message.contains("--data DIR"), "{message}");
    // A folder that is there and is not the data.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(run.join("data-path.txt"), empty.to_str().unwrap()).unwrap();
    let message = refusal(resume(&run, None, &device(), &Silent));
    assert!(message.contains("data-path.txt") && message.contains("--data DIR"), "{message}");
    std::fs::remove_file(run.join("data-path.txt")).unwrap();
    let message = refusal(resume(&run, None, &device(), &Silent));
    assert!(message.contains("data-path.txt") && message.contains("--data DIR"), "{message}");
    assert_eq!(resume(&run, Some(&moved), &device(), &Silent).unwrap(), Outcome::Finished);
}

/// A training that is killed between its last checkpoint and the preview of it.
#[test]
fn a_missing_preview_is_made_again() {
    if testing::skips("exact reproducibility of a training is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["method=joint", "train.preview_every=5"]));
    let [first, last] = [5, 10].map(|step| run.join(format!("previews/joint-step-{step:06}.png")));
    let whole = std::fs::read(&last).unwrap();
    std::fs::remove_file(&last).unwrap();
    std::fs::remove_file(&first).unwrap();
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert!(std::fs::read(&last).unwrap() == whole, "another preview");
    assert!(!first.exists(), "the weights of that step are gone");
}

/// A training that is killed before it removes what is not needed any more does so when it goes on; a stale `best` costs no checkpoint.
#[test]
fn old_checkpoints_are_removed_late_and_never_the_best() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["method=joint"]));
    let store = run.join("checkpoints/joint");
    let best = std::fs::read_to_string(store.join("best")).unwrap();
    copy(&store.join("step-000010"), &store.join("step-000002"));
    std::fs::write(store.join("best"), "step-000002").unwrap();
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert!(!store.join("step-000002").exists());
    assert_eq!(std::fs::read_to_string(store.join("best")).unwrap(), best);
    assert!(store.join(&best).is_dir());
}

/// What a first checkpoint leaves: nothing but itself and what names it.
#[test]
fn the_first_checkpoint_comes_with_its_name() {
    let folder = folder();
    let run = stopped(folder.path(), "run");
    let names = |folder: PathBuf| {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(run.join("checkpoints")), ["joint"]);
    assert_eq!(names(run.join("checkpoints/joint")), ["best", "last", "step-000004", "step-000005"]);
    assert!(Store::new(&run, "joint").exists().unwrap());
    assert!(!Store::new(&run, "model_x").exists().unwrap());
}
