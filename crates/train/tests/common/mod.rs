//! Tiny data sets, networks and runs.

#![allow(dead_code, reason = "each test file uses its own part")]

use burn::tensor::Device;
use pig_data::{Pixels, png_file::write_png};
use pig_device::testing;
use pig_train::{
    Config,
    config::Layers,
    observer::{Cache, Event, Observer, Outcome, Silent},
    training::train,
};
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};
use tempfile::TempDir;

/// Height and width of everything here.
pub(crate) const SIDE: usize = 16;

/// Settings that make networks and trainings small: ten steps for each network.
const TINY: [&str; 20] = [
    "data.size=16",
    "data.validation_fraction=0.25",
    "data.augment={horizontal_flip = true, vertical_flip = true, shift = 0.1}",
    "schedule.num_train_timesteps=64",
    "model_x.block_out_channels=[16, 32]",
    "model_x.norm_num_groups=8",
    "model_x.layers_per_block=1",
    "model_x.attention_levels=[1]",
    "model_y.block_out_channels=[16, 32]",
    "model_y.norm_num_groups=8",
    "model_y.layers_per_block=1",
    "model_y.attention_levels=[1]",
    "train.steps=10",
    "train.batch_size=4",
    "train.warmup_steps=3",
    "train.validate_every=4",
    "train.validation_samples=3",
    "train.preview_every=0",
    "train.checkpoint_every=0",
    "sample.num_inference_steps=8",
];

/// Longer training at a higher rate, so that a network learns to follow its condition.
pub(crate) const LEARNED: [&str; 6] = [
    "train.steps=120",
    "train.learning_rate=5e-3",
    "train.ema_decay=0",
    "train.validate_every=0",
    "model_y.prediction_type=v_prediction",
    "model_x.prediction_type=v_prediction",
];

/// A tiny configuration; `sets` override its keys.
pub(crate) fn config(sets: &[&str]) -> Config {
    let sets = TINY.iter().chain(sets).map(|&set| set.to_owned()).collect();
    Layers { file: None, sets }.load().unwrap()
}

/// The device on which all tests compute.
pub(crate) fn device() -> Device {
    testing::device()
}

/// A folder with twelve pairs in `data/`.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..12 {
        write_pair(&folder.path().join("data"), &format!("a{index:02}"), index);
    }
    folder
}

/// Like [`folder`], but each square is in one of the four corners, so that the masks of neighbouring cases do not overlap.
pub(crate) fn folder_of_corners() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..12 {
        let (left, top) = (1 + 8 * (index % 2), 1 + 8 * (index / 2 % 2));
        let inside = move |x: usize, y: usize| (left..left + 6).contains(&x) && (top..top + 6).contains(&y);
        write_square(&folder.path().join("data"), &format!("a{index:02}"), index, inside);
    }
    folder
}

/// A bright square on a gradient; the mask is the square.
fn write_pair(data: &Path, stem: &str, index: usize) {
    let inside =
        |x: usize, y: usize| (index % 5 + 2..index % 5 + 7).contains(&x) && (4..4 + index % 3 + 4).contains(&y);
    write_square(data, stem, index, inside);
}

fn write_square(data: &Path, stem: &str, index: usize, inside: impl Fn(usize, usize) -> bool) {
    let at = |value: &dyn Fn(usize, usize) -> u8| {
        Pixels::Eight((0..SIDE * SIDE).map(|i| value(i % SIDE, i / SIDE)).collect())
    };
    let image = at(&|x, y| (x * 5 + y * 3 + index) as u8 + if inside(x, y) { 110 } else { 0 });
    let mask = at(&|x, y| if inside(x, y) { 255 } else { 0 });
    for (part, pixels) in [("images", image), ("masks", mask)] {
        let folder = data.join(part);
        std::fs::create_dir_all(&folder).unwrap();
        write_png(&folder.join(format!("{stem}.png")), [SIDE, SIDE], 1, &pixels, &[]).unwrap();
    }
}

/// Trains the run `name` in `folder` to its end.
pub(crate) fn trained(folder: &Path, name: &str, config: &Config) -> PathBuf {
    let run = folder.join(name);
    let outcome = train(config, &folder.join("data"), &run, &device(), &Silent).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    run
}

/// Requests a stop once `network` has done `step` steps.
pub(crate) struct StopAt {
    network: &'static str,
    step: usize,
    stage: Mutex<(String, usize)>,
}

impl StopAt {
    pub(crate) fn new(network: &'static str, step: usize) -> Self {
        Self { network, step, stage: Mutex::default() }
    }
}

impl Observer for StopAt {
    fn event(&self, event: Event) {
        let mut stage = self.stage.lock().unwrap();
        match event {
            Event::Begin { stage: name, done, .. } => *stage = (name, done),
            Event::Progress { done, .. } => stage.1 = done,
            Event::End => *stage = (String::new(), 0),
            Event::Note(_) | Event::Warning(_) => {}
        }
    }

    fn stop_requested(&self) -> bool {
        let stage = self.stage.lock().unwrap();
        stage.0 == self.network && stage.1 >= self.step
    }
}

/// Keeps prepared pairs in a folder, and the notes and warnings.
pub(crate) struct Cached {
    folder: PathBuf,
    pub(crate) said: Mutex<Vec<String>>,
}

impl Cached {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), said: Mutex::default() }
    }
}

impl Observer for Cached {
    fn event(&self, event: Event) {
        if let Event::Note(text) | Event::Warning(text) = event {
            self.said.lock().unwrap().push(text);
        }
    }

    fn cache(&self) -> Option<Cache<'_>> {
        Some(Cache { folder: &self.folder, warned: self })
    }
}
