//! One configuration gives one result: two trainings, or a training that was stopped and resumed, have the same losses and weights, bit for
//! bit. This is promised on the CPU only.

mod common;

use common::{Cached, StopAt, config, device, folder, trained};
use pig_device::testing;
use pig_train::{
    Config,
    generation::{Request, generate},
    given::GivenSource,
    metrics_log::Line,
    observer::{Outcome, Silent},
    training::{resume, train},
};
use std::path::Path;

const PROMISE: &str = "exact reproducibility of a training is promised on the CPU only";
const FILES: [&str; 4] = ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"];

/// The text of metrics.jsonl, line by line, without the one value that depends on the machine and not on the run. The lines are compared as
/// text, because parsed numbers could hide a difference in the last digit.
fn metrics(run: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let Some((before, rate)) = line.split_once(",\"images_per_second\":") else { return line.to_owned() };
        let end = rate.find([',', '}']).unwrap();
        before.to_owned() + &rate[end..]
    });
    lines.collect()
}

fn assert_same_runs(one: &Path, other: &Path, networks: &[&str]) {
    let (lines, other_lines) = (metrics(one), metrics(other));
    assert!(lines.iter().any(|line| line.contains("validation")), "no validation was logged: {lines:?}");
    for (line, other_line) in lines.iter().zip(&other_lines) {
        assert_eq!(line, other_line);
    }
    assert_eq!(lines.len(), other_lines.len());
    for network in networks {
        for file in FILES {
            let of = |run: &Path| std::fs::read(run.join("checkpoints").join(network).join("step-000010").join(file));
            assert!(of(one).unwrap() == of(other).unwrap(), "{network}/{file} differs");
        }
    }
}

/// Compares ten steps without a stop with a training that is stopped in the middle of each network and resumed.
fn assert_resume_is_exact(config: &Config, networks: &[&'static str]) {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let whole = trained(folder.path(), "whole", config);
    let parted = folder.path().join("parted");
    for (index, network) in networks.iter().enumerate() {
        let stop = StopAt::new(network, 5);
        let outcome = if index == 0 {
            train(config, &folder.path().join("data"), &parted, &device(), &stop)
        } else {
            resume(&parted, None, &device(), &stop)
        };
        assert_eq!(outcome.unwrap(), Outcome::Interrupted);
        let checkpoint = parted.join("checkpoints").join(network);
        assert_eq!(std::fs::read_to_string(checkpoint.join("last")).unwrap(), "step-000005");
    }
    assert_eq!(resume(&parted, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_same_runs(&whole, &parted, networks);
}

#[test]
fn two_trainings_are_the_same_and_another_seed_is_not() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let config_0 = config(&["train.log_every=1", "model_x.dropout=0.1", "model_y.dropout=0.1"]);
    let one = trained(folder.path(), "one", &config_0);
    let other = trained(folder.path(), "other", &config_0);
    assert_same_runs(&one, &other, &["model_x", "model_y"]);
    let mut config_1 = config_0;
    config_1.train.seed = 1;
    let third = trained(folder.path(), "third", &config_1);
    assert_ne!(metrics(&one), metrics(&third));
}

/// Pairs in a file, which every start after the first one finds, in the code of their files (8 bits) or resized.
#[test]
fn pairs_in_a_file_train_the_same_networks() {
    if testing::skips(PROMISE) {
        return;
    }
    let sets: [&[&str]; 2] = [
        &["train.log_every=1", "model_x.dropout=0.1"],
        &["method=seg-guided", "data.size=8", "data.intensity=dataset-percentile", "train.log_every=1"],
    ];
    for sets in sets {
        let (folder, config) = (folder(), config(sets));
        let data = folder.path().join("data");
        let networks: Vec<&str> = config.roles().iter().map(|role| role.name()).collect();
        let whole = trained(folder.path(), "whole", &config);
        let observer = Cached::new(&folder.path().join("cache"));
        let run = |name: &str| folder.path().join(name);
        for name in ["first", "second"] {
            assert_eq!(train(&config, &data, &run(name), &device(), &observer).unwrap(), Outcome::Finished);
            assert_same_runs(&whole, &run(name), &networks);
        }
        let said = observer.said.lock().unwrap().join("\n");
        assert!(said.contains("are kept in") && said.matches("are read from").count() == 1, "{said}");
        // A run that was begun with pairs in memory goes on with those in the file.
        let stop = StopAt::new(networks[0], 5);
        assert_eq!(train(&config, &data, &run("parted"), &device(), &stop).unwrap(), Outcome::Interrupted);
        assert_eq!(resume(&run("parted"), None, &device(), &observer).unwrap(), Outcome::Finished);
        assert_same_runs(&whole, &run("parted"), &networks);
        let source = if config.method.needs_masks() { GivenSource::TrainingMasks } else { GivenSource::Nothing };
        let request = |out: &str| Request { source: source.clone(), ..Request::new(&whole, &run(out), &[0, 1, 2]) };
        let held = generate(&request("held"), &device(), &Silent).unwrap();
        let read = generate(&request("read"), &device(), &observer).unwrap();
        assert!(held.agreement.is_some() && held.agreement == read.agreement);
        for name in ["images/000002.png", "masks/000002.png", "manifest.csv"] {
            assert!(
                std::fs::read(run("held").join(name)).unwrap() == std::fs::read(run("read").join(name)).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn resumed_with_xhat_is_exact() {
    let sets = ["train.log_every=1", "model_x.dropout=0.1", "train.clean_condition_prob=0.3"];
    assert_resume_is_exact(&config(&sets), &["model_x", "model_y"]);
}

/// A line of the log may average over steps before and after the stop.
#[test]
fn resumed_with_clean_conditioning_is_exact() {
    let sets = [
        "model_y.conditioning=clean",
        "train.gradient_accumulation_steps=2",
        "train.log_every=3",
        "train.gradient_checkpointing=true",
        "model_y.dropout=0.1",
    ];
    assert_resume_is_exact(&config(&sets), &["model_x", "model_y"]);
}

#[test]
fn resumed_in_wavelet_space_with_told_changes_is_exact() {
    let sets = [
        "data.space=haar",
        "data.augment={horizontal_flip = true, told = {rotation = 20.0, gamma = 0.3, probability = 0.5}}",
        "train.timestep_sampling=log-normal",
        "train.optimizer=muon",
        "train.preview_every=2",
        "train.watch_samples=8",
        "schedule.snr_shift=2.0",
        "model_x.prediction_type=v_prediction",
        "model_y.prediction_type=v_prediction",
    ];
    assert_resume_is_exact(&config(&sets), &["model_x", "model_y"]);
}

/// A patience of 0 makes the plateau schedule reduce the rate within these few epochs, so that its stored state matters.
#[test]
fn resumed_with_xprev_on_a_plateau_is_exact() {
    let sets = [
        "model_y.conditioning=xprev",
        "train.lr_schedule=plateau",
        "train.plateau_patience=0",
        "train.batch_size=7",
        "train.log_every=1",
        "train.timestep_sampling=antithetic",
        "train.warmup_steps=0",
        "train.learning_rate=1e-2",
    ];
    let config = config(&sets);
    assert_resume_is_exact(&config, &["model_x", "model_y"]);
    let folder = folder();
    let rates: Vec<f64> = metrics(&trained(folder.path(), "run", &config))
        .iter()
        .filter_map(|line| serde_json::from_str::<Line>(line).unwrap().learning_rate)
        .collect();
    assert!(rates.iter().any(|&rate| rate < 1e-2), "the plateau was never reached: {rates:?}");
}

#[test]
fn resumed_ddpm_is_exact() {
    let sets = ["method=ddpm", "sample.num_inference_steps=64", "train.log_every=1", "model_y.dropout=0.1"];
    assert_resume_is_exact(&config(&sets), &["unconditional"]);
}

#[test]
fn resumed_seg_guided_is_exact() {
    let sets =
        ["method=seg-guided", "train.condition_dropout=0.3", "train.mask_ablation_prob=0.3", "train.log_every=1"];
    assert_resume_is_exact(&config(&sets), &["seg_guided"]);
}

#[test]
fn resumed_controlnet_is_exact() {
    let sets = ["method=controlnet", "train.condition_dropout=0.3", "model_y.dropout=0.1", "train.log_every=1"];
    assert_resume_is_exact(&config(&sets), &["unconditional", "control"]);
}

#[test]
fn resumed_joint_with_independent_levels_is_exact() {
    let sets = ["method=joint", "train.noise_levels=independent", "train.log_every=1"];
    assert_resume_is_exact(&config(&sets), &["joint"]);
}

#[test]
fn resumed_ldm_is_exact() {
    let sets = [
        "method=ldm",
        "autoencoder.block_out_channels=[16, 16]",
        "autoencoder.norm_num_groups=8",
        "train.condition_dropout=0.3",
        "train.log_every=1",
    ];
    assert_resume_is_exact(&config(&sets), &["autoencoder", "latent"]);
}

#[test]
fn resumed_joint_is_exact() {
    let sets = ["method=joint", "train.lr_schedule=cosine", "train.log_every=1", "train.optimizer=adam"];
    assert_resume_is_exact(&config(&sets), &["joint"]);
}

#[test]
fn resumed_with_every_refinement_is_exact() {
    let sets = [
        "train.min_snr_gamma=5.0",
        "train.noise_offset=0.1",
        "train.condition_augmentation=20",
        "train.log_every=1",
        "model_x.prediction_type=v_prediction",
    ];
    let refined = config(&sets);
    assert_resume_is_exact(&refined, &["model_x", "model_y"]);
    let folder = folder();
    let lines = metrics(&trained(folder.path(), "refined", &refined));
    for off in ["train.min_snr_gamma=1e300", "train.noise_offset=0", "train.condition_augmentation=0"] {
        let sets: Vec<&str> = sets.iter().chain([&off]).copied().collect();
        let other = metrics(&trained(folder.path(), off, &config(&sets)));
        assert_ne!(lines.last(), other.last(), "{off} does not change the training of model_y");
    }
}

/// If the loss weights apply to images alone, the guider is trained as without weights, and model_y as with weights for both.
#[test]
fn weights_for_images_alone_leave_the_guider_as_it_was() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let run = |name: &str, sets: &[&str]| {
        let sets: Vec<&str> = ["model_y.conditioning=clean", "train.log_every=1"].iter().chain(sets).copied().collect();
        let lines = metrics(&trained(folder.path(), name, &config(&sets)));
        lines.into_iter().partition::<Vec<_>, _>(|line| line.contains("\"network\":\"model_x\""))
    };
    let plain = run("plain", &[]);
    let pair = run("pair", &["train.min_snr_gamma=5.0"]);
    let image = run("image", &["train.min_snr_gamma=5.0", "train.min_snr_members=image"]);
    assert!(!plain.0.is_empty() && !plain.1.is_empty() && plain.0 != pair.0 && plain.1 != pair.1);
    assert!(image.0 == plain.0, "the guider's loss is weighted");
    assert!(image.1 == pair.1, "the loss of images is not weighted");
}
