//! `train.init`: what a training takes from other weights, and from which runs it must not.

mod common;

use common::{config, device, folder, trained};
use pig_train::{
    checkpoint::Store,
    observer::{Event, Observer, Silent},
    run_data::RunData,
    run_dir::RunDir,
    training::{train, train_on},
};
use pig_weights::StateDict;
use std::{path::Path, sync::Mutex};

/// Keeps what is said.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

impl Observer for Said {
    fn event(&self, event: Event) {
        if let Event::Note(text) | Event::Warning(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

/// One step that changes next to nothing.
const STILL: [&str; 3] = ["train.steps=1", "train.learning_rate=1e-12", "train.warmup_steps=1"];

fn averaged(run: &Path, network: &'static str) -> StateDict {
    Store::new(run, network).load_ema().unwrap().1
}

fn near(a: &StateDict, b: &StateDict, name: &str) -> bool {
    a[name].shape == b[name].shape && a[name].values.iter().zip(&b[name].values).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn a_training_starts_from_the_weights_of_another_run() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&[]));
    let init = format!("train.init={}", first.display());
    let said = Said::default();
    let second = folder.path().join("second");
    let own = config(&[&STILL[..], &[&init, "train.seed=9"]].concat());
    train(&own, &folder.path().join("data"), &second, &device(), &said).unwrap();
    for network in ["model_x", "model_y"] {
        let (a, b) = (averaged(&first, network), averaged(&second, network));
        assert!(a.keys().all(|name| near(&a, &b, name)), "{network}");
    }
    let said = said.0.into_inner().unwrap();
    assert!(
        said.iter().any(|text| text.starts_with("model_y: ") && text.contains(" arrays start as those of model_y"))
    );
    // Both runs have other validation pairs.
    assert!(said.iter().any(|text| text.contains("for validation now")), "{said:?}");

    // Without the key, the weights are others.
    let third = trained(folder.path(), "third", &config(&[&STILL[..], &["train.seed=9"]].concat()));
    assert!(!near(&averaged(&first, "model_y"), &averaged(&third, "model_y"), "mid_block.resnets.0.conv1.weight"));
}

/// A model of images without masks has all layers but the first convolution, which does not read a mask.
#[test]
fn model_y_starts_from_a_model_of_images_alone() {
    let folder = folder();
    let images = trained(folder.path(), "images", &config(&["method=ddim"]));
    let init = format!("train.init={}", images.display());
    let said = Said::default();
    let pairs = folder.path().join("pairs");
    train(&config(&[&STILL[..], &[&init]].concat()), &folder.path().join("data"), &pairs, &device(), &said).unwrap();
    let (a, b) = (averaged(&images, "unconditional"), averaged(&pairs, "model_y"));
    assert_eq!((a["conv_in.weight"].shape[1], b["conv_in.weight"].shape[1]), (1, 2));
    assert!(a.keys().filter(|name| *name != "conv_in.weight").all(|name| near(&a, &b, name)));
    let said = said.0.into_inner().unwrap();
    let found = |part: &str| said.iter().any(|text| text.contains(part));
    assert!(found("of unconditional in") && found("these start from random weights: conv_in.weight"), "{said:?}");
    assert!(found("model_x: ") && found("has no network like it"), "{said:?}");
}

#[test]
fn a_run_that_saw_the_test_set_is_no_start() {
    let folder = folder();
    let data = folder.path().join("data");
    let first = trained(folder.path(), "first", &config(&[]));
    let init = format!("train.init={}", first.display());
    let run_data = RunData::of_run(&data, &RunDir::open(&first).unwrap(), &Silent).unwrap();
    let mut splits = run_data.splits;
    // A fold whose test set is a part of what the run was trained on.
    splits.test = splits.training.split_off(splits.training.len() - 2);
    let seen = splits.test[0].clone();
    let out = folder.path().join("fold");
    let error = train_on(&config(&[&init]), &data, &splits, &out, &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("train.init") && error.contains("2 of its pairs") && error.contains(&seen), "{error}");
    assert!(!out.exists());
}

/// The folder of the run stays free for the command with the right path.
#[test]
fn a_start_that_is_not_there_is_named() {
    let folder = folder();
    let (data, out) = (folder.path().join("data"), folder.path().join("run"));
    let said = Said::default();
    let error = train(&config(&["train.init=nowhere"]), &data, &out, &device(), &said).unwrap_err().to_string();
    assert!(error.contains("train.init = nowhere") && error.contains("pig weights import"), "{error}");
    assert!(!out.exists());
    let said = said.0.into_inner().unwrap();
    assert!(said.is_empty(), "what is not there has no patients: {said:?}");
}

/// The guider would start, but no array fits model_y, which comes after it: this is known before either is trained.
#[test]
fn a_start_of_which_nothing_fits_is_refused_before_the_training() {
    let folder = folder();
    let other = ["method=ddim", "data.channels=3", "model_y.block_out_channels=[24, 40]", "train.steps=1"];
    let first = trained(folder.path(), "first", &config(&other));
    let init = format!("train.init={}", first.display());
    let (data, out) = (folder.path().join("data"), folder.path().join("run"));
    let error = train(&config(&[&init]), &data, &out, &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("train.init = ") && error.contains("shapes of model_y; none fits"), "{error}");
    assert!(!out.exists());
}
