//! Pairs whose masks tell two classes apart, and a generator of a few steps for them.

use crate::common::{SIDE, config};
use pig_data::{
    Pixels,
    png_file::{encode_label_png, write_png},
};
use pig_train::Config;
use tempfile::TempDir;

/// The classes in the order of their labels.
pub(crate) const NAMES: [&str; 2] = ["mass", "calcification"];

/// A folder with twelve pairs in `data/`: a bright square on the left is the first class, a dark one on the right the second. `has` says
/// which of them a pair has.
pub(crate) fn folder(has: impl Fn(usize) -> [bool; 2]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["images", "masks"] {
        std::fs::create_dir_all(folder.path().join("data").join(part)).unwrap();
    }
    for index in 0..12_usize {
        let (rows, [mass, calcification]) = (index % 3 + 3..index % 3 + 9, has(index));
        let label = |i: usize| match (i % SIDE, rows.contains(&(i / SIDE))) {
            (2..=6, true) if mass => 1,
            (9..=13, true) if calcification => 2,
            _ => 0,
        };
        let labels: Vec<u8> = (0..SIDE * SIDE).map(label).collect();
        let gray = labels.iter().enumerate().map(|(i, &l)| [100, 210, 10][usize::from(l)] + (i % SIDE) as u8).collect();
        let at = |part: &str| folder.path().join(format!("data/{part}/a{index:02}.png"));
        write_png(&at("images"), [SIDE, SIDE], 1, &Pixels::Eight(gray), &[]).unwrap();
        let mask = encode_label_png(&at("masks"), [SIDE, SIDE], &labels, &NAMES, &[]).unwrap();
        std::fs::write(at("masks"), mask).unwrap();
    }
    folder
}

/// A generator that trains six steps and samples in four.
pub(crate) fn generator() -> Config {
    let mut generator = config(&["train.steps=6"]);
    (generator.sample.num_inference_steps, generator.sample.batch_size) = (4, 2);
    generator
}
