//! The binary, and tiny data sets and settings to run it on.

#![allow(dead_code, reason = "each test file uses its own part")]

use pig_data::{Pixels, png_file::write_png};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// Height and width of the pictures that [`data`] writes.
pub(crate) const SIDE: usize = 16;

/// Settings of a network and of a training that take only moments.
pub(crate) const TINY: [&str; 19] = [
    "data.size=16",
    "schedule.num_train_timesteps=64",
    "model_x.block_out_channels=[16, 32]",
    "model_x.norm_num_groups=8",
    "model_x.layers_per_block=1",
    "model_x.attention_levels=[1]",
    "model_y.block_out_channels=[16, 32]",
    "model_y.norm_num_groups=8",
    "model_y.layers_per_block=1",
    "model_y.attention_levels=[1]",
    "train.steps=3",
    "train.batch_size=2",
    "train.validate_every=2",
    "train.validation_samples=2",
    "train.preview_every=0",
    "train.checkpoint_every=0",
    "train.log_every=1",
    "sample.num_inference_steps=4",
    "sample.batch_size=4",
];

/// Where the binary keeps prepared pairs in tests, so that they leave nothing in the user's cache.
pub(crate) const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");

/// The binary with these arguments, ready to run.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pig"));
    command.args(arguments).env("PIG_CACHE_DIR", CACHE);
    command
}

/// A program that the signals stop even if whoever runs the tests ignores them, as `nohup` and a shell's `&` do: pig leaves ignored
/// signals alone. `env` becomes the program, so signals reach it.
pub(crate) fn with_default_signals(program: &str) -> Command {
    if cfg!(target_os = "linux") {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP,INT,TERM", program]);
        return command;
    }
    Command::new(program)
}

/// [`command`] for tests that send signals.
pub(crate) fn interruptible(arguments: &[&str]) -> Command {
    let mut command = with_default_signals(env!("CARGO_BIN_EXE_pig"));
    command.args(arguments).env("PIG_CACHE_DIR", CACHE);
    command
}

/// Runs the binary to its end.
pub(crate) fn pig(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Runs the binary with [`TINY`] and `sets` as `--set`.
pub(crate) fn pig_with(arguments: &[&str], sets: &[&str]) -> Output {
    command(arguments).args(TINY.iter().chain(sets).flat_map(|set| ["--set", set])).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The output of a call that must succeed.
#[track_caller]
pub(crate) fn success(output: Output) -> Output {
    assert_eq!(output.status.code(), Some(0), "stderr: {}", stderr(&output));
    output
}

/// The content of stdout, which must be one JSON value and nothing else.
#[track_caller]
pub(crate) fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

/// A temporary folder, with a path that can be an argument.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with `data/` of eight pairs.
    pub(crate) fn with_data() -> Self {
        let folder = Self::new();
        for index in 0..8 {
            let name = format!("a{index:02}.png");
            picture(&folder.path().join("data/images").join(&name), SIDE, |x, y| {
                (x * 5 + y * 3 + index) as u8 + if x < 6 { 110 } else { 0 }
            });
            picture(
                &folder.path().join("data/masks").join(&name),
                SIDE,
                |x, y| {
                    if x < 6 && y > index { 255 } else { 0 }
                },
            );
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path below the folder, as an argument.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// Every file and folder below, with the content of files.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                    found.push((path, Vec::new()));
                } else {
                    let content = std::fs::read(&path).unwrap();
                    found.push((path, content));
                }
            }
        }
        found.sort();
        found
    }
}

/// A square gray picture.
pub(crate) fn picture(path: &Path, side: usize, value: impl Fn(usize, usize) -> u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = Pixels::Eight((0..side * side).map(|i| value(i % side, i / side)).collect());
    write_png(path, [side, side], 1, &pixels, &[]).unwrap();
}

/// A DICOM element in explicit VR little endian, padded to an even length.
pub(crate) fn element((group, number): (u16, u16), vr: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == "UI" || vr.starts_with('O') { 0 } else { b' ' });
    }
    if matches!(vr, "OB" | "OD" | "OF" | "OL" | "OV" | "OW" | "SQ" | "SV" | "UC" | "UN" | "UR" | "UT" | "UV") {
        bytes.extend([0, 0]);
        bytes.extend((value.len() as u32).to_le_bytes());
    } else {
        bytes.extend((value.len() as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

/// A mammogram of 24 x 24 pixels of 12 bits. The elements `further` are added; they cannot replace the elements that this function writes.
pub(crate) fn dicom(instance: &str, further: &[((u16, u16), &str, Vec<u8>)]) -> Vec<u8> {
    let mut elements: std::collections::BTreeMap<(u16, u16), Vec<u8>> = std::collections::BTreeMap::new();
    let mut put = |tag, vr: &str, value: &[u8]| elements.insert(tag, element(tag, vr, value));
    for (tag, vr, value) in further {
        put(*tag, vr, value);
    }
    put((0x0008, 0x0016), "UI", b"1.2.840.10008.5.1.4.1.1.1.2");
    put((0x0008, 0x0018), "UI", instance.as_bytes());
    put((0x0008, 0x0060), "CS", b"MG");
    put((0x0028, 0x0004), "CS", b"MONOCHROME2");
    for (number, value) in
        [(0x0002, 1_u16), (0x0010, 24), (0x0011, 24), (0x0100, 16), (0x0101, 12), (0x0102, 11), (0x0103, 0)]
    {
        put((0x0028, number), "US", &value.to_le_bytes());
    }
    let seed = instance.bytes().fold(1, |seed: u16, byte| seed.wrapping_mul(31).wrapping_add(byte.into())) | 1;
    let pixels: Vec<u8> = (0..576_u16).flat_map(|index| (index.wrapping_mul(seed) % 4096).to_le_bytes()).collect();
    put((0x7FE0, 0x0010), "OW", &pixels);
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend(element((2, 3), "UI", instance.as_bytes()));
    file.extend(element((2, 0x10), "UI", b"1.2.840.10008.1.2.1"));
    file.extend(elements.into_values().flatten());
    file
}

/// `experiments/recompute_table.py` must agree with the table in the folder of a cross-validation or an experiment. Skipped without Python.
pub(crate) fn assert_script(out: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments/recompute_table.py");
    let files = ["cases.csv", "table.md"].map(|file| out.join(file));
    let Ok(output) = Command::new("python3").arg(script).args(&files).env("PYTHONIOENCODING", "utf-8").output() else {
        pig_testing::skip("no python3 to run experiments/recompute_table.py");
        return;
    };
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
