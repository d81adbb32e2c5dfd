//! The number of workers changes no bit of a training or a sampling, and micro-batches change a step by rounding alone.

mod common;

use common::{config, device, folder, trained};
use pig_device::testing;
use pig_train::{
    Config,
    checkpoint::Store,
    generation::{Request, generate},
    observer::Silent,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const PROMISE: &str = "independence of the number of workers is promised on the CPU only";

/// Four steps of eight samples, one sample at a time, so that eight workers have work.
const SHORT: [&str; 4] = ["train.steps=4", "train.batch_size=8", "train.micro_batch_size=1", "train.log_every=1"];

fn with_workers<T: Send>(workers: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap().install(run)
}

/// The arrays and states of all checkpoints, and the log without the speed.
fn content(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for network in std::fs::read_dir(run.join("checkpoints")).unwrap() {
        for file in ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"] {
            let path = network.as_ref().unwrap().path().join("step-000004").join(file);
            found.insert(path.strip_prefix(run).unwrap().to_owned(), std::fs::read(&path).unwrap());
        }
    }
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<String> = log
        .lines()
        .map(|line| {
            let mut values: serde_json::Value = serde_json::from_str(line).unwrap();
            values.as_object_mut().unwrap().remove("images_per_second");
            values.to_string()
        })
        .collect();
    found.insert(PathBuf::from("metrics"), lines.join("\n").into_bytes());
    found
}

#[test]
fn a_training_is_the_same_with_any_number_of_workers() {
    if testing::skips(PROMISE) {
        return;
    }
    let dropout = "model_y.dropout=0.2";
    let networks: [(&str, &[&str]); 8] = [
        ("xhat", &["model_x.dropout=0.1", dropout, "train.clean_condition_prob=0.3", "train.noise_offset=0.1"]),
        (
            "accumulated",
            &[
                "train.batch_size=3",
                "train.gradient_accumulation_steps=3",
                "train.timestep_sampling=antithetic",
                "train.min_snr_gamma=5.0",
            ],
        ),
        ("recomputed", &["model_y.conditioning=clean", "train.gradient_checkpointing=true", dropout]),
        ("joint", &["method=joint", "train.noise_levels=independent", "train.optimizer=muon"]),
        ("ddpm", &["method=ddpm", "sample.num_inference_steps=64", dropout]),
        ("seg-guided", &["method=seg-guided", "train.condition_dropout=0.3", "train.mask_ablation_prob=0.3"]),
        ("controlnet", &["method=controlnet", "train.condition_dropout=0.3", dropout]),
        ("ldm", &["method=ldm", "autoencoder.block_out_channels=[16, 16]", "autoencoder.norm_num_groups=8"]),
    ];
    let folder = folder();
    for (name, sets) in networks {
        let sets: Vec<&str> = SHORT.iter().chain(sets).copied().collect();
        let config = config(&sets);
        let run = |workers: usize| {
            let run = with_workers(workers, || trained(folder.path(), &format!("{name}-{workers}"), &config));
            content(&run)
        };
        let one = run(1);
        for workers in [2, 3, 4, 8] {
            let found = run(workers);
            assert_eq!(one.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{name}");
            for (file, bytes) in &one {
                assert!(found[file] == *bytes, "{name}: {} differs with {workers} workers", file.display());
            }
        }
    }
}

/// The losses of all steps, and the weights of model_x at the end.
fn losses_and_weights(config: &Config, name: &str) -> (Vec<f64>, Vec<f32>) {
    let folder = folder();
    let run = trained(folder.path(), name, config);
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let losses =
        log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64());
    let arrays = Store::new(&run, "model_x").load_last().unwrap().model;
    (losses.collect(), arrays.into_values().flat_map(|array| array.values).collect())
}

#[test]
fn micro_batches_change_a_step_by_rounding_alone() {
    if testing::skips(PROMISE) {
        return;
    }
    // With plain gradient descent by a tiny rate, weights follow gradients; Adam would divide tiny gradients by themselves.
    let with = |size: &str| {
        let size = format!("train.micro_batch_size={size}");
        let sets: Vec<&str> = SHORT.iter().copied().chain(["train.learning_rate=1e-6", &size]).collect();
        losses_and_weights(&config(&sets), "run")
    };
    let (whole, whole_weights) = with("0");
    for size in ["1", "2", "3", "8", "100"] {
        let (losses, weights) = with(size);
        assert_eq!(losses.len(), whole.len());
        for (loss, expected) in losses.iter().zip(&whole) {
            assert!(
                (loss - expected).abs() < 2e-6 * expected.abs(),
                "{size}: loss {loss}, of whole batches {expected}"
            );
        }
        let largest = weights.iter().zip(&whole_weights).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-5, "{size}: a weight differs by {largest}");
    }
}

#[test]
fn pairs_are_the_same_with_any_number_of_workers() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&SHORT));
    let pairs = |workers: usize| {
        let out = folder.path().join(format!("pairs-{workers}"));
        let seeds: Vec<u64> = (0..7).collect();
        with_workers(workers, || generate(&Request::new(&run, &out, &seeds), &device(), &Silent)).unwrap();
        let read = |name: String| std::fs::read(out.join(name)).unwrap();
        let of = |seed: &u64| [read(format!("images/{seed:06}.png")), read(format!("masks/{seed:06}.png"))];
        seeds.iter().map(of).collect::<Vec<_>>()
    };
    let one = pairs(1);
    for workers in [2, 3, 4, 8] {
        assert!(pairs(workers) == one, "pairs differ with {workers} workers");
    }
}
