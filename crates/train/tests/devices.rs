//! A tiny training and its pairs on the device that `PIG_TEST_DEVICE` names, compared with the CPU.

mod common;

use burn::tensor::Device;
use common::{StopAt, config, device, folder};
use pig_device::testing;
use pig_train::{
    Config,
    loaded::LoadedRun,
    metrics_log::{self, Line},
    observer::{Outcome, Silent},
    sampler::Sampler,
    samples::Samples,
    training::{resume, train},
};
use std::path::Path;

/// Losses, gradient norms and validation losses of a run, in the order of its log.
fn numbers(run: &Path) -> Vec<f64> {
    let line = |line: &Line| [line.loss, line.gradient_norm, line.validation.map(|v| v.mean)];
    metrics_log::read(run).unwrap().iter().flat_map(line).flatten().collect()
}

/// Three pairs of a run, made on `device`.
fn pairs(run: &Path, device: &Device) -> Samples {
    let loaded = LoadedRun::open(run, &[], device).unwrap();
    Sampler::new(&loaded.config, loaded.networks.as_ref(), device).unwrap().pairs(&[0, 1, 2], &mut |_| {}).unwrap()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let furthest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("{what}: {:e} of the largest", furthest / largest);
    assert!(furthest <= testing::tolerance(1e-6) * largest, "{what}: {found:?}, expected {expected:?}");
}

/// Trains on both devices; the training on the tested device is stopped in the middle of its first network and resumed.
fn check(config: &Config, network: &'static str) {
    let folder = folder();
    let (data, cpu) = (folder.path().join("data"), Device::flex());
    let run = |name: &str| folder.path().join(name);
    assert_eq!(train(config, &data, &run("cpu"), &cpu, &Silent).unwrap(), Outcome::Finished);
    let stopped = train(config, &data, &run("device"), &device(), &StopAt::new(network, 5)).unwrap();
    assert_eq!(stopped, Outcome::Interrupted);
    assert_eq!(resume(&run("device"), None, &device(), &Silent).unwrap(), Outcome::Finished);
    let (found, expected) = (numbers(&run("device")), numbers(&run("cpu")));
    assert!(expected.len() > 20, "{expected:?}");
    assert_close(&found, &expected, "losses and gradient norms");

    let (found, expected) = (pairs(&run("cpu"), &device()), pairs(&run("cpu"), &cpu));
    for (what, found, expected) in [("masks", found.masks, expected.masks), ("images", found.images, expected.images)] {
        let values = |rows: Vec<Vec<f32>>| rows.concat().into_iter().map(f64::from).collect::<Vec<f64>>();
        assert_close(&values(found), &values(expected), what);
    }
}

#[test]
fn pig_trains_and_samples_as_on_the_cpu() {
    check(&config(&["train.log_every=1", "train.gradient_accumulation_steps=2", "model_x.dropout=0.1"]), "model_x");
}

#[test]
fn pig_trains_with_muon_as_on_the_cpu() {
    check(&config(&["train.log_every=1", "train.optimizer=muon", "train.weight_decay=0.01"]), "model_x");
}

#[test]
fn joint_trains_and_samples_as_on_the_cpu() {
    check(&config(&["method=joint", "train.log_every=1", "train.optimizer=adam", "train.weight_decay=0.01"]), "joint");
}
