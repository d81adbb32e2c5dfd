//! Volumes in other forms than `.nii` of NIfTI-1.

mod common;

use std::path::Path;

use common::*;
use pig_prepare::PrepareConfig;
use pig_prepare::settings::WindowRule;
use pig_prepare::sources::nifti::NiftiVolume;

/// Voxels along i, j, k.
const SIZE: [usize; 3] = [12, 10, 3];

fn voxels() -> Vec<u8> {
    (0..360).flat_map(|index: i16| (index * 7 % 200 - 50).to_le_bytes()).collect()
}

/// A volume of 16-bit integers, as NIfTI-1.
fn version_1() -> Vec<u8> {
    nifti(SIZE, 4, 16, [0.5, 0.25, 3.0], &voxels())
}

/// The same as NIfTI-2 (nifti2.h), with a slope of 2 and an intercept of 1.
fn version_2(big_endian: bool) -> Vec<u8> {
    let mut header = vec![0_u8; 544];
    let mut put = |at: usize, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if big_endian {
            bytes.reverse();
        }
        header[at..at + bytes.len()].copy_from_slice(&bytes);
    };
    put(0, &540_i32.to_le_bytes());
    put(12, &4_i16.to_le_bytes());
    put(14, &16_i16.to_le_bytes());
    for (index, size) in [3_i64, 12, 10, 3, 1, 1, 1, 1].iter().enumerate() {
        put(16 + 8 * index, &size.to_le_bytes());
    }
    for (index, value) in [1.0_f64, 0.5, 0.25, 3.0].iter().enumerate() {
        put(104 + 8 * index, &value.to_le_bytes());
    }
    put(168, &544_i64.to_le_bytes());
    put(176, &2.0_f64.to_le_bytes());
    put(184, &1.0_f64.to_le_bytes());
    put(348, &1_i32.to_le_bytes());
    for (row, value) in [-0.5_f64, -0.25, 3.0].iter().enumerate() {
        put(400 + 32 * row + 8 * row, &value.to_le_bytes());
    }
    header[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
    let mut voxels = voxels();
    if big_endian {
        voxels.chunks_exact_mut(2).for_each(<[u8]>::reverse);
    }
    [header, voxels].concat()
}

fn open(path: &Path, bytes: &[u8]) -> NiftiVolume {
    std::fs::write(path, bytes).unwrap();
    NiftiVolume::open(path, 2, u64::MAX).unwrap()
}

#[test]
fn nifti_2_is_read_as_nifti_1() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder.path().join("a.nii"), &version_1());
    for big_endian in [false, true] {
        let second = open(&folder.path().join("b.nii"), &version_2(big_endian));
        assert_eq!((second.slices(), second.size(), second.geometry()), (3, [10, 12], first.geometry()));
        for slice in 0..3 {
            let expected: Vec<f32> = first.slice(slice).unwrap().iter().map(|value| 2.0 * value + 1.0).collect();
            assert_eq!(second.slice(slice).unwrap(), expected);
        }
    }
    let path = folder.path().join("c.nii");
    let error = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        NiftiVolume::open(&path, 2, u64::MAX).unwrap_err().to_string()
    };
    assert!(error(&version_2(false)[..500]).contains("500 bytes of a NIfTI-2 header"));
    assert!(error(&version_2(false)[..1000]).contains("1000 bytes (unpacked)"));
    let mut huge = version_2(false);
    huge[24..32].copy_from_slice(&70_000_i64.to_le_bytes());
    assert!(error(&huge).contains("a dimension of 70000"));
}

#[test]
fn headers_beside_their_voxels_are_read() {
    let source = tempfile::tempdir().unwrap();
    let at = |name: &str| source.path().join(name);
    let mut header = version_1();
    header.truncate(348);
    header[108..112].fill(0);
    header[344..348].copy_from_slice(b"ni1\0");
    // Analyze has no mark, and its last fields are others.
    let mut analyze = header.clone();
    analyze[252..].fill(7);
    let mask: Vec<u8> = (0..360).map(|index| u8::from((120..156).contains(&index))).collect();
    let mut of_mask = nifti(SIZE, 2, 8, [0.5, 0.25, 3.0], &mask);
    of_mask[344..348].copy_from_slice(b"ni1\0");
    of_mask[108..112].fill(0);
    let mut bare = of_mask[..348].to_vec();
    std::fs::write(at("a_mask.img"), &mask).unwrap();
    let config =
        || PrepareConfig { window: WindowRule::Stored, bit_depth: 16, size: [10, 12], ..PrepareConfig::default() };
    for (header, is_analyze) in [(header, false), (analyze, true)] {
        std::fs::write(at("a.img"), voxels()).unwrap();
        if is_analyze {
            bare[252..].fill(7);
        }
        std::fs::write(at("a.hdr"), &header).unwrap();
        std::fs::write(at("a_mask.hdr"), &bare).unwrap();
        let out = tempfile::tempdir().unwrap();
        let summary = run(&request(source.path(), out.path(), config())).unwrap();
        assert_eq!((summary.description.pairs, summary.errors.len()), (1, 0), "{:?}", summary.errors);
        assert!(!summary.notes.iter().any(|note| note.contains("left out")), "{:?}", summary.notes);
        let rows = manifest(out.path());
        assert_eq!((rows[0]["slice"].as_str(), rows[0]["source_mask_pixels"].as_str()), ("1", "36"));
        // The least value of 16 bits is black.
        let value = |index: i32| (index * 7 % 200 - 50 + 32768) as u16;
        let found = read_gray(&out.path().join(&rows[0]["image"])).2;
        assert!((0..120).all(|index| found[index] == value(120 + index as i32)));
        // Voxels that changed are prepared again.
        let mut other = voxels();
        other[240..480].fill(0);
        std::fs::write(at("a.img"), other).unwrap();
        let again = run(&request(source.path(), out.path(), config())).unwrap();
        assert_eq!(again.kept, 0);
    }
    std::fs::remove_file(at("a.img")).unwrap();
    let error = NiftiVolume::open(&at("a.hdr"), 2, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("a.img: cannot read"), "{error}");
}
