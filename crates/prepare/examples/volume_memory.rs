//! Prepares synthetic volumes of 300 MB each and prints the peak memory of the process: `cargo run --release -p pig-prepare
//! --example volume_memory [FOLDER]`. It uses a DICOM volume and a NIfTI volume sliced along each axis, both with masks.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use pig_prepare::pipeline::{Request, Silent};
use pig_prepare::sources::Cost;
use pig_prepare::{Key, PrepareConfig, prepare};

/// 60 slices of 2048 x 1280 pixels of 16 bits: 315 MB, a large tomosynthesis volume.
const SIZE: [usize; 3] = [1280, 2048, 60];

/// The memory that a volume may take at most, in MB.
const BOUND: u64 = 300;

fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("pig-volume-memory");
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    let key = folder.join("key");
    // A key of an earlier run would prevent making a new one.
    let _ = std::fs::remove_file(&key);
    let key = Key::create(&key).expect("a key");
    let source = folder.join("dicom");
    dicom(&source.join("volume.dcm"));
    boxes(&source);
    measure("DICOM, 60 frames", &source, &folder, &key, PrepareConfig { box_slices: 60, ..PrepareConfig::default() });
    let source = folder.join("nifti");
    nifti(&source.join("volume.nii"), |i, j, k| ((i * 3 + j * 2 + k * 40) % 4096) as u16);
    nifti(&source.join("volume_mask.nii"), |i, j, k| u16::from((500..700).contains(&i) && j % 9 < 5 && k % 9 < 5));
    for slice_axis in [2, 1, 0] {
        // Only every hundredth slice along the long axes: all slices would take more time, but not more memory.
        let empty_share = if slice_axis == 2 { 1.0 } else { 0.01 };
        let config = PrepareConfig { slice_axis, empty_share, ..PrepareConfig::default() };
        measure(&format!("NIfTI along axis {slice_axis}"), &source, &folder, &key, config);
    }
    let peak = peak_memory();
    println!("peak memory of all: {peak} MB (bound {BOUND} MB)");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    assert!(peak < BOUND, "{peak} MB");
}

fn measure(name: &str, source: &Path, folder: &Path, key: &Key, config: PrepareConfig) {
    let out = folder.join("out");
    // The folder need not exist.
    let _ = std::fs::remove_dir_all(&out);
    let request = Request {
        source: source.to_path_buf(),
        out,
        layout: None,
        config,
        key: Some(key.clone()),
        strict: true,
        cost: Cost::default(),
        links: None,
        prune: false,
    };
    let since = Instant::now();
    let summary = prepare(&request, &Silent).expect("a volume that can be prepared");
    let (pairs, seconds) = (summary.description.pairs, since.elapsed().as_secs_f64());
    println!("{name}: {pairs} pairs in {seconds:.1} s, peak memory so far {} MB", peak_memory());
}

/// The peak memory of the process in MB; 0 if the system does not report it.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes / 1024)
}

fn nifti(path: &Path, value: impl Fn(usize, usize, usize) -> u16) {
    std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    let mut header = vec![0_u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348_i32.to_le_bytes());
    for (index, side) in [3, SIZE[0], SIZE[1], SIZE[2], 1, 1, 1, 1].iter().enumerate() {
        put(40 + 2 * index, &(*side as i16).to_le_bytes());
    }
    put(70, &512_i16.to_le_bytes());
    put(72, &16_i16.to_le_bytes());
    for (index, spacing) in [1.0_f32, 0.085, 0.085, 1.0].iter().enumerate() {
        put(76 + 4 * index, &spacing.to_le_bytes());
    }
    put(108, &352.0_f32.to_le_bytes());
    put(344, b"n+1\0");
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    file.write_all(&header).expect("space");
    voxels(&mut file, value);
}

fn voxels(file: &mut impl Write, value: impl Fn(usize, usize, usize) -> u16) {
    for k in 0..SIZE[2] {
        for j in 0..SIZE[1] {
            for i in 0..SIZE[0] {
                file.write_all(&value(i, j, k).to_le_bytes()).expect("space");
            }
        }
    }
}

/// A multi-frame grayscale word secondary capture, explicit little endian.
fn dicom(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    let class = "1.2.840.10008.5.1.4.1.1.7.3";
    let mut meta = Vec::new();
    element(&mut meta, 2, 2, "UI", class.as_bytes());
    element(&mut meta, 2, 3, "UI", b"1.2.3.4");
    element(&mut meta, 2, 0x10, "UI", b"1.2.840.10008.1.2.1");
    let mut head = vec![0; 128];
    head.extend(b"DICM");
    element(&mut head, 2, 0, "UL", &(meta.len() as u32).to_le_bytes());
    head.extend(meta);
    element(&mut head, 8, 0x16, "UI", class.as_bytes());
    element(&mut head, 8, 0x18, "UI", b"1.2.3.4");
    element(&mut head, 8, 0x60, "CS", b"MG");
    element(&mut head, 0x10, 0x20, "LO", b"SYNTHETIC");
    for (tag, value) in [(2_u16, 1_u16), (0x10, SIZE[1] as u16), (0x11, SIZE[0] as u16)] {
        if tag == 0x10 {
            element(&mut head, 0x28, 4, "CS", b"MONOCHROME2");
            element(&mut head, 0x28, 8, "IS", SIZE[2].to_string().as_bytes());
        }
        element(&mut head, 0x28, tag, "US", &value.to_le_bytes());
    }
    for (tag, value) in [(0x100_u16, 16_u16), (0x101, 12), (0x102, 11), (0x103, 0)] {
        element(&mut head, 0x28, tag, "US", &value.to_le_bytes());
    }
    file.write_all(&head).expect("space");
    file.write_all(&[0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0]).expect("space");
    let bytes = (SIZE.iter().product::<usize>() * 2) as u32;
    file.write_all(&bytes.to_le_bytes()).expect("space");
    voxels(&mut file, |i, j, k| {
        let inside = ((j as f64 - 1024.0) / 900.0).hypot(i as f64 / 1000.0) < 1.0;
        if inside { 1000 + ((i * 7 + j * 3 + k * 50) % 1500) as u16 } else { ((i * 31 + j * 17) % 20) as u16 }
    });
}

fn element(into: &mut Vec<u8>, group: u16, number: u16, vr: &str, value: &[u8]) {
    into.extend(group.to_le_bytes());
    into.extend(number.to_le_bytes());
    into.extend(vr.as_bytes());
    into.extend((value.len().next_multiple_of(2) as u16).to_le_bytes());
    into.extend(value);
    if value.len() % 2 == 1 {
        into.push(if vr == "UI" { 0 } else { b' ' });
    }
}

/// The tables of a BCS-DBT release with a box in the volume.
fn boxes(source: &Path) {
    let folder = source.join("Breast-Cancer-Screening-DBT/DBT-P1/S1/V1");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::rename(source.join("volume.dcm"), folder.join("1-1.dcm")).expect("the volume");
    let place = "Breast-Cancer-Screening-DBT/DBT-P1/S1/V1/1-1.dcm";
    let paths = format!("PatientID,StudyUID,View,descriptive_path,classic_path\nDBT-P1,S1,lmlo,{place},{place}\n");
    std::fs::write(source.join("BCS-DBT-file-paths-train-v2.csv"), paths).expect("space");
    let boxes = "PatientID,StudyUID,View,Subject,Slice,X,Y,Width,Height,Class,AD,VolumeSlices\n\
                 DBT-P1,S1,lmlo,0,30,300,900,200,150,cancer,0,60\n";
    std::fs::write(source.join("BCS-DBT-boxes-train-v2.csv"), boxes).expect("space");
}
