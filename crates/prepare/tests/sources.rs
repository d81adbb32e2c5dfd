//! NIfTI compared with nibabel, polygons with scikit-image, and DICOM SEG with highdicom; windows, and privacy.

mod common;

use std::path::PathBuf;

use common::dicom::{Dicom, MAMMOGRAPHY, SECONDARY_CAPTURE};
use common::*;
use pig_data::config::{MaskValue, MaskValues};
use pig_prepare::inspect::{Inspection, NEAR_BITS, inspect, privacy::privacy, table_text, write_page};
use pig_prepare::pipeline::Silent;
use pig_prepare::settings::{CropRule, LateralityRule, WindowRule};
use pig_prepare::sources::Cost;
use pig_prepare::sources::nifti::NiftiVolume;
use pig_prepare::{PrepareConfig, fill};
use serde_json::Value;

fn goldens(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/prepare")).join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(goldens(name)).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn nifti_values_and_places_are_nibabels() {
    for (name, case) in json("nifti.json")["cases"].as_object().unwrap() {
        let mut shape: Vec<usize> = numbers(&case["shape"]).into_iter().map(|side| side as usize).collect();
        shape.resize(3, 1);
        let values = numbers(&case["values"]);
        let at = |i: usize, j: usize, k: usize| values[i + shape[0] * (j + shape[1] * k)];
        for axis in 0..3 {
            let volume = NiftiVolume::open(&goldens(name), axis, u64::MAX).unwrap();
            let flat = shape[2] == 1;
            let [height, width] = volume.size();
            assert_eq!(volume.slices(), if flat { 1 } else { shape[axis] }, "{name}");
            for slice in 0..volume.slices() {
                for (index, value) in volume.slice(slice).unwrap().into_iter().enumerate() {
                    let (row, column) = (index / width, index % width);
                    assert!(row < height);
                    let expected = match axis {
                        0 if !flat => at(slice, column, row),
                        1 if !flat => at(column, slice, row),
                        _ => at(column, row, slice),
                    };
                    assert_eq!(value, expected as f32, "{name} axis {axis} slice {slice} at {row}, {column}");
                }
            }
            // The affine is nibabel's, with its columns in the order (column, row, slice).
            let order = match axis {
                0 if !flat => [1, 2, 0, 3],
                1 if !flat => [0, 2, 1, 3],
                _ => [0, 1, 2, 3],
            };
            let geometry = volume.geometry();
            for (found, expected) in geometry.affine.unwrap().iter().zip(case["affine"].as_array().unwrap()) {
                let expected = numbers(expected);
                for (found, &axis) in found.iter().zip(&order) {
                    assert!((found - expected[axis]).abs() < 1e-5, "{name} axis {axis}: {found} {}", expected[axis]);
                }
            }
            let zooms = numbers(&case["spacing"]);
            assert_eq!(geometry.spacing, Some([zooms[order[1]], zooms[order[0]]]), "{name}");
        }
    }
}

#[test]
fn damaged_nifti_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    let good = nifti([8, 6, 4], 2, 8, [1.0; 3], &[7; 192]);
    let mut huge = good.clone();
    huge[42..44].copy_from_slice(&i16::MAX.to_le_bytes());
    let mut zero = good.clone();
    zero[44..46].copy_from_slice(&0_i16.to_le_bytes());
    let mut colour = good.clone();
    colour[70..72].copy_from_slice(&128_i16.to_le_bytes());
    let mut offset = good.clone();
    offset[108..112].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut beyond = good.clone();
    beyond[108..112].copy_from_slice(&1e30_f32.to_le_bytes());
    let cases: [(&[u8], &str); 8] = [
        (&good[..500], "bytes"),
        (&good[..100], "header"),
        (&huge, "bytes"),
        (&zero, "dimensions"),
        (&colour, "data type"),
        (&offset, "offset"),
        (&beyond, "bytes"),
        (b"\x1f\x8bnot gzip at all", "gzip"),
    ];
    for (bytes, word) in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = NiftiVolume::open(&path, 2, 1 << 30).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("a.nii"), "{word}: {error}");
    }
    std::fs::write(&path, &good).unwrap();
    NiftiVolume::open(&path, 2, 1 << 30).unwrap();
    assert!(NiftiVolume::open(&path, 2, 100).unwrap_err().to_string().contains("--memory"));
}

#[test]
fn a_header_without_distances_gives_a_pair_without_a_place() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let voxels: Vec<u8> = (0..192).collect();
    for name in ["v.nii", "v_mask.nii"] {
        std::fs::write(source.path().join(name), nifti([8, 6, 4], 2, 8, [0.0, 1.0, 1.0], &voxels)).unwrap();
    }
    run(&request(source.path(), out.path(), small(8))).unwrap();
    let rows = manifest(out.path());
    assert_eq!((rows.len(), rows[0]["affine_ras"].as_str(), rows[0]["pixel_width_mm"].as_str()), (4, "", ""));
}

#[test]
fn polygons_are_filled_as_scikit_image_fills_them() {
    for case in json("polygons.json")["cases"].as_array().unwrap() {
        let points: Vec<[f64; 2]> =
            case["points"].as_array().unwrap().iter().map(numbers).map(|point| [point[0], point[1]]).collect();
        let mut mask = vec![0; 40 * 36];
        fill::fill_polygon(&mut mask, [40, 36], &points);
        let filled: Vec<f64> = (0..mask.len()).filter(|&index| mask[index] == 1).map(|index| index as f64).collect();
        assert_eq!(filled, numbers(&case["filled"]), "{} points", points.len());
    }
}

#[test]
fn segmentations_are_matched_by_reference_as_highdicom_wrote_them() {
    let masks = json("seg/seg.json");
    let keys = tempfile::tempdir().unwrap();
    for (name, values) in [("all", None), ("segment 2", Some(MaskValues(vec![MaskValue::Gray(2)])))] {
        let out = tempfile::tempdir().unwrap();
        let config =
            PrepareConfig { size: [20, 24], mask_values: values, empty_share: 1.0, ..PrepareConfig::default() };
        // The segmentation does not reference the third image, which therefore has no mask and counts as free of lesion here.
        let config = PrepareConfig { missing_mask: pig_prepare::settings::MissingMask::Empty, ..config };
        let mut request = request(&goldens("seg"), out.path(), config);
        request.key = Some(key(keys.path()));
        request.links = Some(keys.path().join(format!("{name}.csv")));
        run(&request).unwrap();
        let links = std::fs::read_to_string(keys.path().join(format!("{name}.csv"))).unwrap();
        let rows = manifest(out.path());
        for index in 0..3_u32 {
            let line = links.lines().find(|line| line.contains(&format!("slice{index}.dcm"))).unwrap();
            let id = line.split(',').next().unwrap();
            let row = rows.iter().find(|row| row["id"] == id).unwrap();
            let mask = read_gray(&out.path().join(&row["mask"])).2;
            let drawn: Vec<f64> = (0..mask.len()).filter(|&at| mask[at] != 0).map(|at| at as f64).collect();
            assert_eq!(drawn, numbers(&masks["masks"][name][index as usize]), "{name} {index}");
            assert_eq!(
                (row["source_pixel_height_mm"].as_str(), row["source_pixel_width_mm"].as_str()),
                ("0.5", "0.25")
            );
            // Position (-10, 5, 3 index) and axis-parallel orientation in LPS+; RAS+ inverts the first two axes.
            let expected = [[-0.25, 0.0, 0.0, 10.0], [0.0, -0.5, 0.0, -5.0], [0.0, 0.0, 3.0, 3.0 * f64::from(index)]];
            let affine: Vec<f64> = row["affine_ras"].split(' ').map(|number| number.parse().unwrap()).collect();
            assert_eq!(affine, expected.concat(), "{index}");
        }
    }
}

/// The expected value of a pixel, from 0 to 1 (before clipping).
type Expected<'a> = Box<dyn Fn(usize) -> f64 + 'a>;

#[test]
fn windows_decide_which_values_are_black_and_white() {
    let source = tempfile::tempdir().unwrap();
    let mut dicom = Dicom::new(MAMMOGRAPHY, 1, 32, 64);
    dicom.window = Some([1024.5, 1025.0]);
    dicom.write(&source.path().join("a.dcm"), |_, row, column| (row * 64 + column) as u16);
    write_png(&source.path().join("a_mask.png"), 32, 64, disc(32, 64, [16.0, 32.0], 5.0));
    let keys = tempfile::tempdir().unwrap();
    let stored = |index: usize| index as f64;
    let linear = |low: f64, high: f64| move |index: usize| (stored(index) - low) / (high - low);
    // DICOM's linear window uses centre - 0.5 and width - 1 (PS3.3 C.11.2.1.2.1).
    let voi = |index: usize| (stored(index) - (1024.5 - 0.5)) / (1025.0 - 1.0) + 0.5;
    let given = PrepareConfig { window_center: Some(1000.0), window_width: Some(400.0), ..PrepareConfig::default() };
    let cases: [(WindowRule, PrepareConfig, Expected<'_>); 5] = [
        (WindowRule::Auto, PrepareConfig::default(), Box::new(voi)),
        (WindowRule::Voi, PrepareConfig::default(), Box::new(voi)),
        (WindowRule::Stored, PrepareConfig::default(), Box::new(linear(0.0, 4095.0))),
        (WindowRule::Given, given, Box::new(linear(800.0, 1200.0))),
        // Of the values 0 to 2047: numpy.percentile(numpy.arange(2048), [5, 95]).
        (
            WindowRule::Percentile,
            PrepareConfig { percentiles: [5.0, 95.0], ..PrepareConfig::default() },
            Box::new(linear(102.35, 1944.65)),
        ),
    ];
    for (window, config, expected) in cases {
        let out = tempfile::tempdir().unwrap();
        let config = PrepareConfig { window, size: [32, 64], crop: CropRule::None, bit_depth: 16, ..config };
        let mut request = request(source.path(), out.path(), config);
        request.key = Some(key(keys.path()));
        run(&request).unwrap();
        let image = read_gray(&out.path().join(&manifest(out.path())[0]["image"])).2;
        for (index, &value) in image.iter().enumerate() {
            let expected = (expected(index).clamp(0.0, 1.0) * 65535.0).round();
            assert!((f64::from(value) - expected).abs() <= 1.0, "{window:?} at {index}: {value} {expected}");
        }
    }
}

#[test]
fn monochrome1_is_inverted_and_sides_are_mirrored() {
    let source = tempfile::tempdir().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let mut dicom = Dicom::new(MAMMOGRAPHY, 1, 16, 16);
    (dicom.monochrome1, dicom.laterality) = (true, Some("R"));
    dicom.write(&source.path().join("a.dcm"), |_, _, column| 4095 - 16 * column as u16);
    write_png(&source.path().join("a_mask.png"), 16, 16, disc(16, 16, [8.0, 2.0], 2.0));
    let config = PrepareConfig {
        size: [16, 16],
        crop: CropRule::None,
        window: WindowRule::Stored,
        laterality: LateralityRule::Left,
        bit_depth: 16,
        ..PrepareConfig::default()
    };
    let out = tempfile::tempdir().unwrap();
    let mut request = request(source.path(), out.path(), config);
    request.key = Some(key(keys.path()));
    run(&request).unwrap();
    let row = &manifest(out.path())[0];
    let image = read_gray(&out.path().join(&row["image"])).2;
    // Stored 4095 is black; after mirroring, the first column is the last of the source.
    let expected = |column: usize| (16.0 * (15 - column) as f64 / 4095.0 * 65535.0).round() as u16;
    for (column, &value) in image[..16].iter().enumerate() {
        assert!(value.abs_diff(expected(column)) <= 1, "{column}: {value} {}", expected(column));
    }
    let mask = read_gray(&out.path().join(&row["mask"])).2;
    assert!(mask[8 * 16 + 14] == 255 && mask[8 * 16 + 2] == 0);
}

/// Files whose headers are full of marks: one with a mask, one with a mask of another size, one without a mask, and one damaged.
fn marked_source() -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    for (index, name) in ["a", "b", "c"].iter().enumerate() {
        let mut dicom = Dicom::new(SECONDARY_CAPTURE, 1, 24, 24);
        dicom.instance = format!("1.2.826.0.1.3680043.8.498.77.{index}");
        dicom.patient = format!("ZQPATIENT{index}");
        dicom.marks = vec![
            (0x0008, 0x0020, "DA", "19871231".to_owned()),
            (0x0008, 0x0050, "SH", "ZQACCESSION".to_owned()),
            (0x0008, 0x0080, "LO", "ZQHOSPITAL".to_owned()),
            (0x0008, 0x0090, "PN", "ZQDOCTOR^X".to_owned()),
            (0x0008, 0x1030, "LO", "ZQSTUDY".to_owned()),
            (0x0009, 0x0010, "LO", "ZQPRIVATE".to_owned()),
            (0x0010, 0x0010, "PN", "ZQNAME^ANNA".to_owned()),
            (0x0010, 0x0030, "DA", "19440506".to_owned()),
            (0x0018, 0x5101, "CS", "ZQVIEW 9".to_owned()),
            (0x0020, 0x0010, "SH", "ZQSTUDYID".to_owned()),
            (0x0020, 0x4000, "LT", "ZQCOMMENT".to_owned()),
        ];
        dicom.write(&source.path().join(format!("{name}.dcm")), |_, row, column| (row * 50 + column * index) as u16);
    }
    write_png(&source.path().join("a_mask.png"), 24, 24, disc(24, 24, [12.0, 12.0], 4.0));
    write_png(&source.path().join("b_mask.png"), 9, 9, vec![0; 81]);
    let bytes = std::fs::read(source.path().join("c.dcm")).unwrap();
    std::fs::write(source.path().join("d.dcm"), &bytes[..bytes.len() - 700]).unwrap();
    source
}

#[test]
fn no_header_value_reaches_any_output() {
    let source = marked_source();
    let (out, pages) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut request = request(source.path(), out.path(), small(24));
    request.key = Some(key(pages.path()));
    let summary = run(&request).unwrap();
    assert_eq!((summary.description.pairs, summary.errors.len()), (1, 3), "{:?}", summary.errors);
    let inspection = Inspection {
        source: source.path().to_path_buf(),
        layout: None,
        config: PrepareConfig::default(),
        cost: Cost::default(),
        near_bits: NEAR_BITS,
    };
    let inspected = inspect(inspection, &Silent).unwrap();
    write_page(&inspected, &pages.path().join("page.html")).unwrap();
    let tags = privacy(source.path(), &Cost::default(), &Silent).unwrap();
    let text = [
        format!("{summary:?}"),
        format!("{inspected:?}"),
        table_text(&inspected.report),
        serde_json::to_string(&inspected.report).unwrap(),
        tags.text(),
        serde_json::to_string(&tags).unwrap(),
    ];
    let mut outputs: Vec<(String, Vec<u8>)> = contents(out.path()).into_iter().chain(contents(pages.path())).collect();
    outputs.extend(text.into_iter().map(|text| ("text".to_owned(), text.into_bytes())));
    for (place, bytes) in &outputs {
        for mark in ["ZQ", "19871231", "19440506", "498.77"] {
            assert!(!place.contains(mark), "{place}");
            let found = bytes.windows(mark.len()).position(|window| window == mark.as_bytes());
            // Two letters may occur by chance in compressed pixels or in base64; longer marks do not.
            let by_chance = mark == "ZQ"
                && found.is_some()
                && !(place == "text" || place.ends_with("csv") || place.ends_with("toml"));
            let context = found.map(|at| String::from_utf8_lossy(&bytes[at..(at + 12).min(bytes.len())]).into_owned());
            assert!(found.is_none() || by_chance, "{place} holds {mark}: {context:?}");
        }
    }
    // The tags are listed with counts.
    let tag = |wanted: &str| tags.tags.iter().find(|tag| tag.tag == wanted).unwrap_or_else(|| panic!("{wanted}"));
    assert_eq!(tag("(0010,0010)").keyword, "PatientName");
    assert!(tag("(0010,0010)").filled >= 3 && tag("(0010,0020)").files >= 3);
    assert_eq!(tag("(0009,0010)").reason, pig_dicom::Reason::Private);
    // The patient's pseudonym is the one that the key gives.
    let patient = &manifest(out.path())[0]["patient"];
    let secret = pig_prepare::privacy::Secret::new("ZQPATIENT0").unwrap();
    assert_eq!(patient, &request.key.unwrap().pseudonym(&secret));
}

/// Segments of one code are one lesion, unless their labels tell them apart. Here they overlap on the second image.
#[test]
fn segments_are_told_apart_by_their_labels_if_somebody_says_so() {
    use pig_prepare::settings::{MissingMask, SegmentClasses};
    let masks = json("seg/seg.json");
    let run_with = |config: PrepareConfig| {
        let (keys, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut request = request(&goldens("seg"), out.path(), config);
        request.key = Some(key(keys.path()));
        run(&request).map(|summary| (summary, manifest(out.path())))
    };
    let config = PrepareConfig { size: [20, 24], missing_mask: MissingMask::Empty, ..PrepareConfig::default() };
    let (summary, rows) = run_with(config.clone()).unwrap();
    let note = "one code and 2 different labels";
    assert!(summary.notes.iter().any(|found| found.contains(note)), "{:?}", summary.notes);
    assert!(rows.iter().all(|row| !row.keys().any(|column| column.starts_with("mask_pixels_"))));
    let labelled = PrepareConfig { segment_classes: SegmentClasses::Label, classes_overlap: true, ..config };
    let (_, rows) = run_with(labelled).unwrap();
    let sum = |column: &str| rows.iter().map(|row| row[column].parse::<usize>().unwrap()).sum::<usize>();
    let drawn: usize = (0..3).map(|index| numbers(&masks["masks"]["segment 2"][index]).len()).sum();
    assert_eq!(sum("mask_pixels_second"), drawn);
    assert!(sum("mask_pixels_MARKEDLABEL") > 0);
}
