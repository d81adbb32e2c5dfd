//! How fast networks are on this machine, with a hash of the settings that decide it: an edited plan keeps the speeds of networks that it left
//! as they were.

use crate::{
    budget::PASSES_OF_A_STEP,
    pace::forward_seconds,
    plan::{NetworkPlan, measured, plan},
};
use burn::tensor::Device;
use pig_segment::{
    SegmentFile,
    pairs::{self, SegmentData},
    run::seconds_a_step,
};
use pig_train::{Config, Result, memory, observer::Observer, run_data::RunData, unlabelled::Folders};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Keys of a segmenter that do not change how long a step, or a picture that is not mirrored, takes. Any other key counts, so that a new one
/// is measured rather than forgotten.
const NOT_OF_A_SEGMENTERS_STEP: [&str; 19] = [
    "data.group_column",
    "data.validation_fraction",
    "segment.threshold",
    "segment.test_time_flips",
    "segment.train.steps",
    "segment.train.equal_epochs",
    "segment.train.patience",
    "segment.train.pairs",
    "segment.train.pretrain_steps",
    "segment.train.fine_tune_rate",
    "segment.train.learning_rate",
    "segment.train.weight_decay",
    "segment.train.lr_schedule",
    "segment.train.warmup_steps",
    "segment.train.ema_decay",
    "segment.train.seed",
    "segment.train.log_every",
    "segment.train.validate_every",
    "segment.train.checkpoint_every",
];

/// The same of a generator's step.
const NOT_OF_A_GENERATORS_STEP: [&str; 26] = [
    "data.group_column",
    "data.validation_fraction",
    "sample",
    "train.steps",
    "train.model_x_steps",
    "train.base_steps",
    "train.autoencoder_steps",
    "train.learning_rate",
    "train.weight_decay",
    "train.lr_schedule",
    "train.warmup_steps",
    "train.ema_decay",
    "train.ema_warmup",
    "train.balance_classes",
    "train.min_snr_gamma",
    "train.min_snr_members",
    "train.seed",
    "train.log_every",
    "train.validate_every",
    "train.validation_samples",
    "train.preview_every",
    "train.watch_samples",
    "train.stop_on_copies",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.planned_hours",
];

/// What was measured for a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speeds {
    /// The segmenter.
    pub segmenter: SegmenterSpeed,
    /// The generators, each once, however many arms have it.
    pub generators: Vec<GeneratorSpeed>,
}

/// The speed of a segmenter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmenterSpeed {
    /// SHA-256 of the settings, the device and the number of threads that decide it.
    pub sha256: String,
    /// Seconds of a training step.
    pub step: f64,
    /// Seconds of the prediction of a picture that is not mirrored.
    pub picture: f64,
}

/// The speed of a generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorSpeed {
    /// SHA-256 of the settings, the device and the number of threads that decide it.
    pub sha256: String,
    /// Seconds of a training step of each network, in the order of training.
    pub steps: Vec<f64>,
    /// Seconds of an image's forward pass through each network, in the same order; none in plans of earlier versions, which had their sum.
    #[serde(default)]
    pub forwards: Vec<f64>,
}

impl SegmenterSpeed {
    /// The hash of what decides the speed of a segmenter on this machine.
    pub(super) fn key(file: &SegmentFile, device: &Device) -> String {
        sha256(file, &NOT_OF_A_SEGMENTERS_STEP, device)
    }

    /// Measures a few steps on the pairs of a fold. Nothing is written to `out`.
    ///
    /// # Errors
    /// When the configuration is wrong, or a pair cannot be read.
    pub(super) fn measure(file: &SegmentFile, real: &RunData, out: &Path, device: &Device) -> Result<Self> {
        // The pairs know their classes and channels.
        let own = SegmentFile { data: real.preparation.config.clone(), ..file.clone() };
        let none = pairs::none(&real.set);
        let step = seconds_a_step(&own, &SegmentData::with(real, &none), out, device)?;
        let picture = step / own.segment.train.batch_size as f64 / PASSES_OF_A_STEP;
        Ok(Self { sha256: Self::key(file, device), step, picture })
    }
}

impl GeneratorSpeed {
    /// The hash of what decides the speed of a generator on this machine.
    pub(super) fn key(config: &Config, device: &Device) -> String {
        sha256(config, &NOT_OF_A_GENERATORS_STEP, device)
    }

    /// Whether this is the speed of networks with this [`key`](Self::key), with all that a forecast needs.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.sha256 == key && self.forwards.len() == self.steps.len()
    }

    /// The speed of networks that were measured.
    pub(super) fn of(config: &Config, networks: &[NetworkPlan], device: &Device) -> Self {
        Self {
            sha256: Self::key(config, device),
            steps: networks.iter().map(|network| network.seconds_a_step).collect(),
            forwards: forward_seconds(config, networks),
        }
    }

    /// Measures a few steps of each network, for a training on `pairs` of the pairs in `data`. Nothing is written to `out`.
    ///
    /// # Errors
    /// When the networks cannot be built, or need more memory than there is.
    pub(super) fn measure(
        config: &Config,
        (data, pairs): (&Path, usize),
        out: &Path,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self> {
        memory::check(config, pairs, observer.cache().is_some(), device)?;
        // A frozen model is read from its folder, as a training reads it.
        let networks = if config.model_y.frozen.model.is_some() {
            plan(config, Folders::pairs(data), out, device, observer)?.networks
        } else {
            measured(config, device)?
        };
        Ok(Self::of(config, &networks, device))
    }
}

/// SHA-256 of a configuration without some keys, and of the device and the number of threads that compute.
fn sha256<C: Serialize>(config: &C, without: &[&str], device: &Device) -> String {
    // Configurations have plain values, and strings as keys, so this cannot fail.
    let mut value = serde_json::to_value(config).unwrap_or_default();
    for key in without {
        let (section, name) = place(key);
        if let Some(serde_json::Value::Object(section)) = value.pointer_mut(&section) {
            section.remove(name);
        }
    }
    let machine = format!("{device:?}, {} threads", rayon::current_num_threads());
    pig_files::sha256(format!("{value}\n{machine}").as_bytes())
}

/// The section of a key as a JSON pointer, and its name.
fn place(key: &str) -> (String, &str) {
    match key.rsplit_once('.') {
        Some((section, name)) => (format!("/{}", section.replace('.', "/")), name),
        None => (String::new(), key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_train::config::Layers;
    use serde_json::Value;

    fn device() -> Device {
        pig_device::testing::device()
    }

    fn sets(sets: &[&str]) -> Layers {
        Layers { file: None, sets: sets.iter().map(|&set| set.to_owned()).collect() }
    }

    #[test]
    fn steps_leave_a_speed_as_it_was_and_networks_and_batches_do_not() {
        let generator = |set: &[&str]| GeneratorSpeed::key(&sets(set).load().unwrap(), &device());
        let plain = generator(&[]);
        for same in ["train.steps=7", "train.model_x_steps=7", "sample.num_inference_steps=7", "train.seed=7"] {
            assert_eq!(generator(&[same]), plain, "{same}");
        }
        for other in ["data.size=32", "train.batch_size=7", "model_x.layers_per_block=1", "method=joint"] {
            assert_ne!(generator(&[other]), plain, "{other}");
        }
        let segmenter = |set: &[&str]| {
            let file: SegmentFile = sets(set).load_as().unwrap();
            SegmenterSpeed::key(&file, &device())
        };
        let plain = segmenter(&[]);
        for same in ["segment.train.steps=7", "segment.test_time_flips=both", "segment.train.seed=7"] {
            assert_eq!(segmenter(&[same]), plain, "{same}");
        }
        for other in ["data.size=32", "segment.train.batch_size=7", "segment.network.block_out_channels=[8, 16]"] {
            assert_ne!(segmenter(&[other]), plain, "{other}");
        }
    }

    /// A plan of an earlier version can be read, but its sum of forward passes says nothing of a single network.
    #[test]
    fn a_speed_without_single_forward_passes_is_not_kept() {
        let before: GeneratorSpeed = serde_json::from_str(r#"{"sha256":"a","steps":[1.0,2.0],"forward":0.1}"#).unwrap();
        assert!(!before.is_of("a"));
        let now = GeneratorSpeed { forwards: vec![0.03, 0.07], ..before };
        assert!(now.is_of("a") && !now.is_of("b"));
    }

    /// A key that was renamed would count without anybody noticing.
    #[test]
    fn all_keys_that_do_not_count_are_keys() {
        let has = |value: &Value, key: &str| {
            let (section, name) = place(key);
            value.pointer(&section).and_then(Value::as_object).is_some_and(|section| section.contains_key(name))
        };
        let segmenter = serde_json::to_value(SegmentFile::default()).unwrap();
        let generator = serde_json::to_value(Config::default()).unwrap();
        for key in NOT_OF_A_SEGMENTERS_STEP {
            assert!(has(&segmenter, key), "{key}");
        }
        for key in NOT_OF_A_GENERATORS_STEP {
            assert!(has(&generator, key), "{key}");
        }
    }
}
