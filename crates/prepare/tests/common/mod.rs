//! Sources made for tests.

#![allow(dead_code, reason = "every test file uses a part")]

pub(crate) mod dicom;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use pig_data::Pixels;
use pig_data::png_file::{read_label_png, write_gray_png};
use pig_prepare::pipeline::{Progress, Silent, Summary};
use pig_prepare::sources::Cost;
use pig_prepare::{Key, PrepareConfig, Request, Result, prepare};

/// A gray picture of smooth structures that depend on `seed`.
pub(crate) fn picture(height: usize, width: usize, seed: u64) -> Vec<u8> {
    // Pseudorandom numbers from 0 to 1 (splitmix64).
    let random = |index: u64| {
        let mut z = (seed * 64 + index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let waves: Vec<[f64; 3]> =
        (0..12).map(|wave| [0, 1, 2].map(|part| random(3 * wave + part) * [14.0, 14.0, 6.3][part as usize])).collect();
    (0..height * width)
        .map(|index| {
            let (y, x) = ((index / width) as f64 / height as f64, (index % width) as f64 / width as f64);
            let sum: f64 = waves.iter().map(|[u, v, phase]| (u * x + v * y + phase).sin()).sum();
            (128.0 + 25.0 * sum).clamp(0.0, 255.0) as u8
        })
        .collect()
}

/// A mask with a filled disc; it is empty if the radius is 0.
pub(crate) fn disc(height: usize, width: usize, centre: [f64; 2], radius: f64) -> Vec<u8> {
    (0..height * width)
        .map(|index| {
            let (y, x) = ((index / width) as f64 + 0.5, (index % width) as f64 + 0.5);
            if (y - centre[0]).hypot(x - centre[1]) < radius { 255 } else { 0 }
        })
        .collect()
}

pub(crate) fn write_png(path: &Path, height: usize, width: usize, values: Vec<u8>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_gray_png(path, width, height, &Pixels::Eight(values), &[]).unwrap();
}

/// Writes a pair, `images/NAME.png` and `masks/NAME.png`.
pub(crate) fn write_pair(root: &Path, name: &str, height: usize, width: usize, seed: u64, radius: f64) {
    write_png(&root.join(format!("images/{name}.png")), height, width, picture(height, width, seed));
    let centre = [height as f64 * 0.4, width as f64 * 0.6];
    write_png(&root.join(format!("masks/{name}.png")), height, width, disc(height, width, centre, radius));
}

pub(crate) fn read_gray(path: &Path) -> (usize, usize, Vec<u16>) {
    let png = read_label_png(path).unwrap();
    let values = match png.pixels {
        Pixels::Eight(values) => values.into_iter().map(u16::from).collect(),
        Pixels::Sixteen(values) => values,
    };
    (png.height, png.width, values)
}

/// A fixed key.
pub(crate) fn key(folder: &Path) -> Key {
    let path = folder.join("test.key");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    Key::read(&path).unwrap()
}

pub(crate) fn request(source: &Path, out: &Path, config: PrepareConfig) -> Request {
    let (source, out) = (source.to_path_buf(), out.to_path_buf());
    Request {
        source,
        out,
        layout: None,
        config,
        key: None,
        strict: false,
        cost: Cost::default(),
        links: None,
        prune: false,
    }
}

pub(crate) fn run(request: &Request) -> Result<Summary> {
    prepare(request, &Silent)
}

/// The default settings with small pairs, `side` x `side` pixels.
pub(crate) fn small(side: usize) -> PrepareConfig {
    PrepareConfig { size: [side, side], ..PrepareConfig::default() }
}

/// A manifest's rows as maps from column to value.
pub(crate) fn manifest(folder: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let table = pig_data::manifest::Manifest::read(&folder.join("manifest.csv")).unwrap().unwrap();
    let names = table.columns.clone();
    table
        .rows()
        .map(|row| names.iter().cloned().enumerate().map(|(i, n)| (n, row.get(i).to_owned())).collect())
        .collect()
}

/// The bytes of every file in a folder, by its path in the folder.
pub(crate) fn contents(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder_at) = open.pop() {
        for entry in std::fs::read_dir(folder_at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let place = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                files.insert(place, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// A NIfTI-1 file of the given dimensions, type code and voxels.
pub(crate) fn nifti(dimensions: [usize; 3], datatype: i16, bits: i16, spacing: [f32; 3], voxels: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348_i32.to_le_bytes());
    let count = if dimensions[2] == 1 { 2_i16 } else { 3 };
    for (index, value) in
        [count, dimensions[0] as i16, dimensions[1] as i16, dimensions[2] as i16, 1, 1, 1, 1].iter().enumerate()
    {
        put(40 + 2 * index, &value.to_le_bytes());
    }
    put(70, &datatype.to_le_bytes());
    put(72, &bits.to_le_bytes());
    for (index, value) in [1.0, spacing[0], spacing[1], spacing[2]].iter().enumerate() {
        put(76 + 4 * index, &f32::to_le_bytes(*value));
    }
    put(108, &352.0_f32.to_le_bytes());
    put(254, &1_i16.to_le_bytes());
    for (row, value) in [-spacing[0], -spacing[1], spacing[2]].iter().enumerate() {
        put(280 + 16 * row + 4 * row, &value.to_le_bytes());
    }
    put(344, b"n+1\0");
    header.extend_from_slice(voxels);
    header
}

/// Asks to stop after a number of files.
pub(crate) struct StopAfter(pub(crate) usize, pub(crate) AtomicUsize);

impl Progress for StopAfter {
    fn done(&self, _done: usize) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    fn stop_requested(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}
