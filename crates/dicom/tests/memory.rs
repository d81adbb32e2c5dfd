//! A volume of 1 GB is read frame by frame in little memory. This file has only one test, so that no other test takes memory in
//! the process.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::Write;

use common::{EXPLICIT, Pixels, file, raw};
use pig_dicom::{Image, Limits, Voi};

/// Peak resident memory of this process in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_large_volume_stays_small_in_memory() {
    // 60 frames of 2560 x 3328: a digital breast tomosynthesis volume of 1 GB. The file is sparse.
    let pixels = Pixels { rows: 3328, columns: 2560, frames: "60".into(), ..Pixels::default() };
    let length = 3328 * 2560 * 2 * 60;
    let head = file(EXPLICIT, &[pixels.elements(), vec![raw((0x7FE0, 0x0010), "OW", length, &[])]].concat());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volume.dcm");
    let mut made = File::create(&path).unwrap();
    made.write_all(&head).unwrap();
    made.set_len(head.len() as u64 + u64::from(length)).unwrap();
    let image = Image::open(&path, &Limits::default()).unwrap();
    assert!(image.memory() < 100_000);
    for index in [0, 30, 59] {
        let frame = image.frame(index).unwrap();
        let shown = frame.display(&Voi::Default).unwrap();
        assert_eq!(shown.len(), 3328 * 2560);
    }
    let peak = peak();
    println!("peak {peak} MB");
    assert!(peak < 300, "{peak} MB");
}
