//! `pig train --resume RUN --steps N`: a finished run is trained longer, and checkpoints of chosen steps are kept.

mod common;

use common::{Cached, StopAt, config, device, folder, trained};
use pig_device::testing;
use pig_train::{
    checkpoint::Store,
    metrics_log,
    observer::{Observer, Outcome, Silent},
    run_dir::RunDir,
    training::{Resume, resume, resume_with},
};
use std::path::Path;

const PROMISE: &str = "exact reproducibility of a training is promised on the CPU only";

fn longer(run: &Path, steps: usize, observer: &dyn Observer) -> pig_train::Result<Outcome> {
    resume_with(run, Resume { steps: Some(steps), ..Resume::default() }, &device(), observer)
}

fn same_weights(one: &Path, other: &Path, network: &str, step: usize) -> bool {
    let of = |run: &Path, file: &str| {
        std::fs::read(run.join(format!("checkpoints/{network}/step-{step:06}/{file}"))).unwrap()
    };
    ["model.safetensors", "ema.safetensors", "optimizer.safetensors"]
        .iter()
        .all(|file| of(one, file) == of(other, file))
}

/// With a constant learning rate and no warm-up, a leg continues as if there had been no end.
#[test]
fn two_legs_are_one_training_where_the_rate_is_constant() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let sets = ["method=joint", "train.warmup_steps=0", "train.log_every=1"];
    let whole = trained(folder.path(), "whole", &config(&[&sets[..], &["train.steps=20"]].concat()));
    let parted = trained(folder.path(), "parted", &config(&sets));
    assert_eq!(longer(&parted, 20, &Silent).unwrap(), Outcome::Finished);
    assert!(same_weights(&whole, &parted, "joint", 20));
    let losses =
        |run: &Path| -> Vec<Option<f64>> { metrics_log::read(run).unwrap().iter().map(|line| line.loss).collect() };
    assert_eq!(losses(&whole), losses(&parted));
}

/// The guider grows by the same factor, the rate warms up again, model_y goes on with the new guider, and a stop changes nothing.
#[test]
fn every_network_of_a_run_is_trained_longer() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let sets = ["train.model_x_steps=5", "train.lr_schedule=cosine", "train.log_every=1"];
    let run = trained(folder.path(), "run", &config(&sets));
    let stopped = trained(folder.path(), "stopped", &config(&sets));
    let model_y_before = Store::new(&run, "model_y").load_last().unwrap().state;
    let cache = Cached::new(&folder.path().join("cache"));
    assert_eq!(longer(&run, 20, &cache).unwrap(), Outcome::Finished);
    let said = cache.said.into_inner().unwrap();
    let expected = "trains model_x to 10 steps, model_y to 20 steps; the learning rate warms up again";
    assert!(said.iter().any(|text| text == expected), "{said:?}");

    let state = |network| Store::new(&run, network).load_last().unwrap().state;
    assert_eq!((state("model_x").step, state("model_y").step), (10, 20));
    assert_ne!(state("model_y").frozen_sha256, model_y_before.frozen_sha256);
    let lines = metrics_log::read(&run).unwrap();
    let rate = |network: &str, step: usize| {
        lines.iter().find(|line| line.network == network && line.step == step).unwrap().learning_rate.unwrap()
    };
    // Three steps of warm-up at the start of each leg; the last step of a leg has nearly no rate.
    assert!(rate("model_y", 10) < 0.1 * rate("model_y", 4) && rate("model_y", 20) < 0.1 * rate("model_y", 14));
    assert_eq!(rate("model_y", 11), rate("model_y", 1));
    assert_eq!(rate("model_x", 6), rate("model_x", 1));
    let found = RunDir::open(&run).unwrap();
    found.verify().unwrap();
    let config = found.config().unwrap();
    assert_eq!((config.train.steps, config.train.model_x_steps), (20, Some(10)));
    let legs = found.provenance().unwrap().legs;
    assert_eq!(legs.len(), 1);
    assert_eq!((legs[0].from["model_x"], legs[0].from["model_y"]), (5, 10));

    // A leg that is stopped within each network.
    assert_eq!(longer(&stopped, 20, &StopAt::new("model_x", 8)).unwrap(), Outcome::Interrupted);
    let error = longer(&stopped, 40, &Silent).unwrap_err().to_string();
    assert!(error.contains("model_x has 8 of its 10 steps") && error.contains("finish the run first"), "{error}");
    // The same command goes on with the leg that it began.
    assert_eq!(longer(&stopped, 20, &StopAt::new("model_y", 13)).unwrap(), Outcome::Interrupted);
    assert_eq!(resume(&stopped, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert!(same_weights(&run, &stopped, "model_x", 10) && same_weights(&run, &stopped, "model_y", 20));
}

#[test]
fn a_leg_that_was_interrupted_before_it_began_leaves_the_run_as_it_was() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["method=joint"]));
    let error = longer(&run, 10, &Silent).unwrap_err().to_string();
    assert!(error.contains("--steps = 10") && error.contains("more than its 10 steps"), "{error}");
    let before = std::fs::read(run.join("config.toml")).unwrap();
    assert_eq!(longer(&run, 12, &Silent).unwrap(), Outcome::Finished);
    // As if the system had stopped between provenance.json and config.toml.
    std::fs::write(run.join("config.toml"), before).unwrap();
    let found = RunDir::open(&run).unwrap();
    found.verify().unwrap();
    assert_eq!(found.config().unwrap().train.steps, 10);
    // Asked for again, it is recorded once.
    assert_eq!(longer(&run, 14, &Silent).unwrap(), Outcome::Finished);
    let legs = RunDir::open(&run).unwrap().provenance().unwrap().legs;
    assert_eq!(legs.len(), 1, "{legs:?}");
    RunDir::open(&run).unwrap().verify().unwrap();
}

#[test]
fn checkpoints_of_chosen_steps_are_kept() {
    let folder = folder();
    let sets = ["method=joint", "train.keep_checkpoints=[2, 3]", "train.checkpoint_every=1", "train.validate_every=0"];
    let run = trained(folder.path(), "run", &config(&sets));
    let mut names: Vec<String> = std::fs::read_dir(run.join("checkpoints/joint"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["last", "step-000002", "step-000003", "step-000009", "step-000010"]);
    let store = Store::new(&run, "joint");
    assert_eq!(store.load_ema_at(3).unwrap().0.step, 3);
    let error = store.load_ema_at(4).unwrap_err().to_string();
    assert!(error.contains("none of step 4") && error.contains("step-000003, step-000009"), "{error}");
}

/// Pictures of a preview, by its height: every kind of pair takes two rows.
fn preview_height(run: &Path, step: usize) -> usize {
    pig_data::png_file::read_png(&run.join(format!("previews/joint-step-{step:06}.png"))).unwrap().height
}

#[test]
fn the_first_previews_show_what_was_before_and_the_weights_of_the_last_step() {
    let folder = folder();
    let sets = ["method=joint", "train.preview_every=3", "train.steps=9", "train.validate_every=0"];
    let run = trained(folder.path(), "run", &config(&sets));
    let heights = [3, 6, 9].map(|step| preview_height(&run, step));
    // Real and generated, and the weights of the last step in the first two.
    assert!(heights[0] == heights[1] && heights[1] > heights[2], "{heights:?}");
    let section = heights[1] - heights[2];
    assert_eq!(longer(&run, 15, &Silent).unwrap(), Outcome::Finished);
    assert_eq!(preview_height(&run, 12), heights[2] + 2 * section);
    assert_eq!(preview_height(&run, 15), heights[2] + section);
    let init = format!("train.init={}", run.display());
    let begun = trained(folder.path(), "begun", &config(&[&sets[..], &[&init]].concat()));
    assert_eq!([3, 6, 9].map(|step| preview_height(&begun, step)), [heights[2] + 2 * section, heights[1], heights[2]]);
}

#[test]
fn a_validation_loss_that_rises_from_the_start_is_told() {
    let folder = folder();
    let sets =
        ["method=joint", "train.learning_rate=5e-3", "train.ema_decay=0", "model_x.prediction_type=v_prediction"];
    let first = trained(folder.path(), "first", &config(&[&sets[..], &["train.steps=60"]].concat()));
    let init = format!("train.init={}", first.display());
    // Other training pairs, and a rate at which what was learnt is lost.
    let lost = config(
        &[&sets[..], &[&init, "train.learning_rate=0.2", "train.warmup_steps=10", "train.validate_every=2"]].concat(),
    );
    let said = Cached::new(&folder.path().join("cache"));
    let data = folder.path().join("data");
    pig_train::training::train(&lost, &data, &folder.path().join("lost"), &device(), &said).unwrap();
    let told = |said: &Cached| said.said.lock().unwrap().iter().any(|text| text.contains("has risen from the start"));
    let losses: Vec<f64> = metrics_log::read(&folder.path().join("lost"))
        .unwrap()
        .iter()
        .filter_map(|line| Some(line.validation?.mean))
        .collect();
    assert!(told(&said), "{losses:?}");
    // Somebody who continues a training is not told of losses that rose later.
    let late = folder.path().join("late");
    pig_train::training::train(&lost, &data, &late, &device(), &StopAt::new("joint", 3)).unwrap();
    let again = Cached::new(&folder.path().join("cache"));
    resume_with(&late, Resume::default(), &device(), &again).unwrap();
    assert!(!told(&again), "{:?}", again.said);
    let quiet = Cached::new(&folder.path().join("cache"));
    let plain = config(&[&sets[..], &["train.steps=30", "train.validate_every=10"]].concat());
    pig_train::training::train(&plain, &data, &folder.path().join("plain"), &device(), &quiet).unwrap();
    assert!(!told(&quiet), "{:?}", quiet.said);
}
