//! Small archives that state or inflate to gigabytes are refused before memory is allocated. This file has only one test, so that
//! no other test takes memory in the process.

#![cfg(target_os = "linux")]

mod common;

use common::deflated;
use flate2::{Compression, Crc, write::DeflateEncoder};
use pig_weights::{file, npz};
use std::io::{Cursor, Write};

/// Peak resident memory of this process in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Blocks of a deflate stream that is not finished: `start`, then `count` times `repeated`.
fn blocks(start: &[u8], repeated: u8, count: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(start).unwrap();
    encoder.flush().unwrap();
    for part in vec![repeated; count].chunks(1 << 16) {
        encoder.write_all(part).unwrap();
    }
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}

const MIB: usize = 1 << 20;

/// A header followed by this many MiB of zeros: the same blocks again and again.
fn bomb(header: &[u8], mib: usize) -> Vec<u8> {
    let mut stream = blocks(header, 0, 0);
    let zeros = blocks(&[], 0, MIB);
    (0..mib).for_each(|_| stream.extend_from_slice(&zeros));
    // An empty last block.
    stream.extend([3, 0]);
    stream
}

fn header(descr: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
}

#[track_caller]
fn refused(archive: Vec<u8>, part: &str) {
    assert!(archive.len() < 16 * MIB, "{} bytes are not small", archive.len());
    let problem = npz::decode(Cursor::new(archive)).unwrap_err();
    assert!(problem.contains(part), "{part:?} is missing in: {problem}");
}

fn arrays() {
    let honest = header("<f4", "1073741824,");
    let inflated = (honest.len() + 4096 * MIB) as u64;
    let stream = bomb(&honest, 4096);
    // Everything stated is true: four gigabytes of zeros.
    refused(deflated("a.npy", &stream, 0, inflated), "4294967296 bytes of values, expected at most 1073741824");
    // The directory and the shape state less than the stream inflates to.
    let small = header("<f8", "2,");
    let first = [&small[..], &[0; 16]].concat();
    let mut checksum = Crc::new();
    checksum.update(&first);
    let archive = |stream: &[u8]| deflated("a.npy", stream, checksum.sum(), first.len() as u64);
    refused(archive(&bomb(&small, 4096)), "damaged");
    // Without the surplus, the same archive is read.
    assert_eq!(
        npz::decode(Cursor::new(archive(&[&blocks(&small, 0, 16)[..], &[3, 0]].concat()))).unwrap()["a"].shape,
        [2]
    );
    // The shape states more than the directory and more than there is.
    let huge = header("<f4", "1099511627776,");
    refused(
        deflated("a.npy", &bomb(&huge, 1), 0, (huge.len() + MIB) as u64),
        "1048576 bytes of values, which does not match",
    );
    refused(deflated("a.npy", &bomb(&huge, 1), 0, huge.len() as u64 + (4 << 40)), "damaged: its directory states");
    // Text is left out without reading its values.
    let text = header("<U9", "1073741824,");
    let archive = deflated("a.npy", &bomb(&text, 4096), 0, (text.len() + 4096 * MIB) as u64);
    assert!(npz::decode(Cursor::new(archive)).unwrap().is_empty());
}

fn pickles() {
    // Each byte of such a pickle makes a node.
    let stream = [blocks(b"\x80\x02", b'N', 15 * MIB), vec![3, 0]].concat();
    let archive = deflated("archive/data.pkl", &stream, 0, 2 + 15 * MIB as u64);
    let (problem, _) = file::decode(Cursor::new(archive), None).unwrap_err();
    assert!(problem.contains("data.pkl: 15728642 bytes, expected at most 1048576"), "{problem}");
}

#[test]
fn bombs_are_refused_in_little_memory() {
    arrays();
    pickles();
    let peak = peak();
    println!("peak {peak} MB");
    assert!(peak < 100, "{peak} MB");
}
