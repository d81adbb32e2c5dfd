//! Prepared pairs keep their position in the world: exported NIfTI files have the positions of their sources.

mod common;

use std::path::Path;

use common::{done, files, manifest, request};
use nifti::{NiftiHeader, NiftiObject, ReaderOptions};
use pig_export::Format;
use pig_prepare::pipeline::Silent;
use pig_prepare::sources::Cost;
use pig_prepare::{PrepareConfig, prepare};

type Affine = [[f64; 4]; 3];

const SIZE: [usize; 3] = [30, 22, 6];

/// An oblique, left-handed frame with a different voxel length in each direction.
fn oblique() -> Affine {
    let (turn, tilt) = (0.3_f64, 0.2_f64);
    let rotation = [
        [turn.cos(), -turn.sin() * tilt.cos(), turn.sin() * tilt.sin()],
        [turn.sin(), turn.cos() * tilt.cos(), -turn.cos() * tilt.sin()],
        [0.0, tilt.sin(), tilt.cos()],
    ];
    let lengths = [-0.6, 0.9, 2.5];
    let origin = [-40.0, 12.5, 77.0];
    std::array::from_fn(|row| {
        std::array::from_fn(|part| if part < 3 { rotation[row][part] * lengths[part] } else { origin[row] })
    })
}

/// A frame whose axes are not perpendicular.
fn sheared() -> Affine {
    let mut affine = oblique();
    affine[0][1] += 0.35;
    affine
}

fn write(path: &Path, affine: &Affine, value: impl Fn([usize; 3]) -> u8) {
    let mut bytes = vec![0_u8; 352];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348_i32.to_le_bytes());
    for (place, side) in [3, SIZE[0], SIZE[1], SIZE[2], 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * place, &(side as i16).to_le_bytes());
    }
    put(70, &2_i16.to_le_bytes());
    put(72, &8_i16.to_le_bytes());
    for axis in 0..3 {
        let length = affine.iter().map(|row| row[axis].powi(2)).sum::<f64>().sqrt();
        put(80 + 4 * axis, &(length as f32).to_le_bytes());
    }
    put(108, &352_f32.to_le_bytes());
    put(254, &1_i16.to_le_bytes());
    for (place, value) in affine.iter().flatten().enumerate() {
        put(280 + 4 * place, &(*value as f32).to_le_bytes());
    }
    put(344, b"n+1\0");
    for k in 0..SIZE[2] {
        for j in 0..SIZE[1] {
            bytes.extend((0..SIZE[0]).map(|i| value([i, j, k])));
        }
    }
    std::fs::write(path, bytes).unwrap();
}

/// A lesion that runs through slices 1 to 4 and moves from one to the next.
fn lesion([i, j, k]: [usize; 3]) -> bool {
    (1..5).contains(&k) && (8 + k..14 + k).contains(&i) && (5..11).contains(&j)
}

fn apply(affine: &Affine, place: [f64; 3]) -> [f64; 3] {
    affine.map(|row| row[0] * place[0] + row[1] * place[1] + row[2] * place[2] + row[3])
}

fn sform(header: &NiftiHeader) -> Affine {
    [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from))
}

/// The affine of the quaternion (nifti1.h, method 2).
fn qform(header: &NiftiHeader) -> Affine {
    let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let hand = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let lengths = [1, 2, 3].map(|axis| f64::from(header.pixdim[axis]) * if axis == 3 { hand } else { 1.0 });
    let offsets = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    std::array::from_fn(|row| {
        let [x, y, z] = std::array::from_fn(|axis| rotation[row][axis] * lengths[axis]);
        [x, y, z, offsets[row]]
    })
}

/// The centre of a mask's voxels in the world, and how many there are.
fn centre(affine: &Affine, inside: impl Iterator<Item = [usize; 3]>) -> ([f64; 3], f64) {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for place in inside {
        let world = apply(affine, place.map(|part| part as f64));
        (0..3).for_each(|axis| sum[axis] += world[axis]);
        count += 1.0;
    }
    (sum.map(|part| part / count), count)
}

fn all() -> impl Iterator<Item = [usize; 3]> {
    (0..SIZE.iter().product()).map(|index| [index % SIZE[0], index / SIZE[0] % SIZE[1], index / SIZE[0] / SIZE[1]])
}

#[track_caller]
fn near(found: [f64; 3], expected: [f64; 3], tolerance: f64) {
    let apart = (0..3).map(|axis| (found[axis] - expected[axis]).powi(2)).sum::<f64>().sqrt();
    assert!(apart <= tolerance, "{found:?} is {apart} mm from {expected:?}");
}

#[test]
fn exported_voxels_lie_where_the_source_has_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, affine) in [("oblique", oblique()), ("sheared", sheared())] {
        // Along each axis, as large as the source's slices, and twice as large with padding.
        let sizes = [([22, 30], [66, 60], [0, 1, 2]), ([6, 30], [41, 60], [0, 2, 1]), ([6, 22], [12, 67], [1, 2, 0])];
        for (slice_axis, (whole, padded, order)) in [2, 1, 0].into_iter().zip(sizes) {
            for (kind, size) in [("whole", whole), ("padded", padded)] {
                let root = folder.path().join(format!("{name}-{slice_axis}-{kind}"));
                std::fs::create_dir_all(root.join("source")).unwrap();
                write(&root.join("source/v.nii"), &affine, |[i, j, k]| (i * 5 + j * 3 + k * 7) as u8);
                write(&root.join("source/v_mask.nii"), &affine, |place| u8::from(lesion(place)));
                let config = PrepareConfig { size, slice_axis, empty_share: 1.0, ..PrepareConfig::default() };
                prepare(
                    &pig_prepare::Request {
                        source: root.join("source"),
                        out: root.join("prepared"),
                        layout: None,
                        config,
                        key: None,
                        strict: true,
                        cost: Cost::default(),
                        links: None,
                        prune: false,
                    },
                    &Silent,
                )
                .unwrap();
                done(&request(&root.join("prepared"), &root.join("out"), Format::Nifti));
                check(&root.join("out"), &affine, size, order, name == "oblique");
            }
        }
    }
}

fn check(out: &Path, affine: &Affine, size: [usize; 2], order: [usize; 3], upright: bool) {
    let names: Vec<String> = files(out).into_keys().filter(|name| name.starts_with("masks/")).collect();
    assert_eq!(names.len(), 1, "one volume");
    let read = ReaderOptions::new().read_file(out.join(&names[0])).unwrap();
    let header = read.header().clone();
    assert_eq!(header.sform_code, 2);
    assert_eq!(header.qform_code, if upright { 2 } else { 0 });
    let found = sform(&header);
    if upright {
        for corner in [[0.0; 3], [63.0, 0.0, 5.0], [0.0, 63.0, 29.0]] {
            near(apply(&qform(&header), corner), apply(&found, corner), 1e-3);
        }
    }
    let [height, width, slices] = [header.dim[2], header.dim[1], header.dim[3]].map(usize::from);
    assert_eq!(([height, width], slices), (size, SIZE[order[2]]));
    let values = read.into_volume().into_nifti_typed_data::<u8>().unwrap();
    let places = (0..values.len()).filter(|&index| values[index] != 0);
    let place = |index: usize| [index % width, index / width % height, index / width / height];
    let (found_centre, count) = centre(&found, places.map(place));
    let (expected, source_count) = centre(affine, all().filter(|&place| lesion(place)));
    near(found_centre, expected, 1e-4);
    let whole = size == [SIZE[order[1]], SIZE[order[0]]];
    assert_eq!(count, if whole { source_count } else { 4.0 * source_count });
    if whole {
        // Every voxel, not only their centre.
        for voxel in [[0, 0, 0], [3, 2, 1], [size[1] - 1, size[0] - 1, slices - 1]] {
            let mut source = [0.0; 3];
            (0..3).for_each(|axis| source[order[axis]] = voxel[axis] as f64);
            near(apply(&found, voxel.map(|part| part as f64)), apply(affine, source), 1e-4);
        }
    }
    // The manifest states the affine again, so that a later export can use it.
    assert!(manifest(out).iter().all(|row| row["affine_ras"].split(' ').count() == 12));
}

#[test]
fn an_affine_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    common::volume(&data);
    let table = std::fs::read_to_string(data.join("manifest.csv")).unwrap();
    for (index, wrong) in ["1 2 3", "a 0 0 0 0 1 0 0 0 0 1 0", "1 0 0 0 1 0 0 0 0 0 1 0", "NaN 0 0 0 0 1 0 0 0 0 1 0"]
        .into_iter()
        .enumerate()
    {
        let changed: Vec<String> = table
            .lines()
            .enumerate()
            .map(|(line, text)| format!("{text},{}", if line == 0 { "affine_ras" } else { wrong }))
            .collect();
        std::fs::write(data.join("manifest.csv"), changed.join("\n")).unwrap();
        let out = folder.path().join(format!("out{index}"));
        let error = common::run(&request(&data, &out, Format::Nifti)).unwrap_err().to_string();
        assert!(error.contains("affine_ras") && error.contains("twelve numbers"), "{error}");
    }
}
