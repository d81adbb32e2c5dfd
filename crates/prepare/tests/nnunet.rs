//! Small data sets of nnU-Net: channels, ignored labels, labels as classes, regions.

mod common;

use common::*;
use pig_prepare::settings::WindowRule;
use pig_prepare::{Layout, PrepareConfig};

#[test]
fn nnunet_reads_a_channel_and_leaves_out_ignored_labels() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let json = r#"{"channel_names": {"0": "T1", "1": "FLAIR"}, "labels": {"background": 0, "core": 1, "whole": [1, 2], "ignore": 3},
        "numTraining": 1, "file_ending": ".nii.gz"}"#;
    std::fs::write(source.path().join("dataset.json"), json).unwrap();
    for folder in ["imagesTr", "labelsTr"] {
        std::fs::create_dir_all(source.path().join(folder)).unwrap();
    }
    let packed = |name: &str, bytes: Vec<u8>| {
        use std::io::Write;
        let file = std::fs::File::create(source.path().join(name)).unwrap();
        flate2::write::GzEncoder::new(file, flate2::Compression::fast()).write_all(&bytes).unwrap();
    };
    let volume = |value: fn(usize) -> u8| (0..8 * 6 * 4).map(value).collect::<Vec<u8>>();
    let wrap = |voxels: Vec<u8>| nifti([8, 6, 4], 2, 8, [0.5, 0.25, 3.0], &voxels);
    packed("imagesTr/BRAIN_001_0000.nii.gz", wrap(volume(|_| 0)));
    packed("imagesTr/BRAIN_001_0001.nii.gz", wrap(volume(|index| index as u8)));
    // Slice 1 has label 2 in one voxel, slice 2 label 3 (ignored), the others nothing.
    packed(
        "labelsTr/BRAIN_001.nii.gz",
        wrap(volume(|index| match index {
            50 => 2,
            100 => 3,
            _ => 0,
        })),
    );
    let config = PrepareConfig {
        channel: 1,
        window: WindowRule::Stored,
        size: [6, 8],
        mask_resize: pig_data::config::MaskResize::Nearest,
        ..PrepareConfig::default()
    };
    let summary = run(&request(source.path(), out.path(), config)).unwrap();
    assert_eq!((summary.description.layout, summary.description.pairs), (Layout::NnUnet, 1));
    assert_eq!(summary.description.left_out_empty, 3);
    let row = &manifest(out.path())[0];
    assert_eq!((row["slice"].as_str(), row["slices"].as_str(), row["slice_spacing_mm"].as_str()), ("1", "4", "3"));
    assert_eq!((row["pixel_height_mm"].as_str(), row["pixel_width_mm"].as_str()), ("0.25", "0.5"));
    assert!(row["group"].len() == 16, "slices of a volume stay together");
    let expected: Vec<u16> = (48..96).collect();
    assert_eq!(read_gray(&out.path().join(&row["image"])).2, expected);
    assert_eq!(read_gray(&out.path().join(&row["mask"])).2.iter().position(|&value| value != 0), Some(2));
}

/// Three labels, of which one is ignored, become two classes: palettes that name them, counts by class, and the way back.
#[test]
fn labels_of_nnunet_are_kept_as_classes() {
    let source = tempfile::tempdir().unwrap();
    let json = r#"{"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1, "lesion": 2, "ignore": 3},
        "numTraining": 1, "file_ending": ".nii"}"#;
    std::fs::write(source.path().join("dataset.json"), json).unwrap();
    let put = |name: &str, voxels: Vec<u8>| {
        std::fs::create_dir_all(source.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(source.path().join(name), nifti([8, 6, 1], 2, 8, [1.0, 1.0, 1.0], &voxels)).unwrap();
    };
    put("imagesTr/A_0000.nii", (0..48).map(|i| i as u8 * 5).collect());
    // Columns run fastest: two columns of organ, two of lesion, one that is ignored.
    put("labelsTr/A.nii", (0..48).map(|i| [1, 1, 2, 2, 3, 0, 0, 0][i % 8]).collect());
    let config = PrepareConfig { window: WindowRule::Stored, size: [6, 8], ..PrepareConfig::default() };
    let out = tempfile::tempdir().unwrap();
    let summary = run(&request(source.path(), out.path(), config.clone())).unwrap();
    assert!(summary.notes.iter().any(|note| note.contains("kept as classes: organ, lesion")), "{:?}", summary.notes);
    let row = &manifest(out.path())[0];
    let count = |column: &str| row[column].parse::<usize>().unwrap();
    assert_eq!([count("mask_pixels"), count("mask_pixels_organ"), count("mask_pixels_lesion")], [24, 12, 12]);
    let path = out.path().join(&row["mask"]);
    let pig_data::Pixels::Eight(labels) = pig_data::png_file::read_label_png(&path).unwrap().pixels else {
        panic!("8 bits")
    };
    assert_eq!(pig_data::classes::Coding::exclusive(3).areas(&labels), [12, 12, 0]);
    // A training finds the classes in the prepared folder, and a second preparation keeps them.
    let dataset = pig_data::Dataset::discover(out.path(), &pig_data::DataConfig::default()).unwrap();
    let (found, _) = pig_data::class_source::resolve(&dataset, &pig_data::DataConfig::default()).unwrap();
    assert_eq!(pig_data::classes::names(&found.classes), ["organ", "lesion"]);
    let again = tempfile::tempdir().unwrap();
    run(&request(out.path(), again.path(), config.clone())).unwrap();
    assert_eq!(manifest(again.path())[0]["mask_pixels_lesion"], "12");
    // One lesion, if somebody says so; and a value that no class has.
    let values = |labels: &[u16]| {
        pig_data::config::MaskValues(labels.iter().map(|&label| pig_data::config::MaskValue::Gray(label)).collect())
    };
    let merged = PrepareConfig { mask_values: Some(values(&[1, 2])), ..config.clone() };
    let out = tempfile::tempdir().unwrap();
    run(&request(source.path(), out.path(), merged)).unwrap();
    let row = &manifest(out.path())[0];
    assert!(row["mask_pixels"] == "24" && !row.contains_key("mask_pixels_organ"));
    let class = |name: &str, labels: &[u16]| pig_data::ClassConfig {
        name: name.to_owned(),
        values: values(labels),
        code: None,
    };
    let own = PrepareConfig { classes: vec![class("organ", &[1]), class("other", &[4])], ..config };
    let out = tempfile::tempdir().unwrap();
    let error = run(&request(source.path(), out.path(), own.clone())).unwrap_err().to_string();
    assert!(error.contains("2 (12 voxel(s)), 3 (6 voxel(s))") && error.contains("[[prepare.classes]]"), "{error}");
    let ground = PrepareConfig { background_values: Some(values(&[2, 3])), ..own };
    let out = tempfile::tempdir().unwrap();
    run(&request(source.path(), out.path(), ground)).unwrap();
    let row = &manifest(out.path())[0];
    assert_eq!((row["mask_pixels_organ"].as_str(), row["mask_pixels_other"].as_str()), ("12", "0"));
}

/// Regions of nnU-Net, which overlap, are kept as layers, and come out of a second preparation as they went in.
#[test]
fn regions_of_nnunet_are_kept_as_classes_that_overlap() {
    let source = tempfile::tempdir().unwrap();
    let json = r#"{"channel_names": {"0": "MR"}, "labels": {"background": 0, "core": [2], "whole": [1, 2]},
        "regions_class_order": [1, 2], "numTraining": 1, "file_ending": ".nii"}"#;
    std::fs::write(source.path().join("dataset.json"), json).unwrap();
    let put = |name: &str, voxels: Vec<u8>| {
        std::fs::create_dir_all(source.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(source.path().join(name), nifti([8, 6, 1], 2, 8, [1.0, 1.0, 1.0], &voxels)).unwrap();
    };
    put("imagesTr/A_0000.nii", (0..48).map(|i| i as u8 * 5).collect());
    put("labelsTr/A.nii", (0..48).map(|i| [1, 1, 2, 2, 0, 0, 0, 0][i % 8]).collect());
    let config = PrepareConfig { window: WindowRule::Stored, size: [6, 8], ..PrepareConfig::default() };
    let out = tempfile::tempdir().unwrap();
    let summary = run(&request(source.path(), out.path(), config.clone())).unwrap();
    let note = "kept as classes that may overlap: whole, core";
    assert!(summary.notes.iter().any(|found| found.contains(note)), "{:?}", summary.notes);
    let row = &manifest(out.path())[0];
    let count = |column: &str| row[column].parse::<usize>().unwrap();
    assert_eq!([count("mask_pixels"), count("mask_pixels_whole"), count("mask_pixels_core")], [24, 24, 12]);
    let again = tempfile::tempdir().unwrap();
    run(&request(out.path(), again.path(), config.clone())).unwrap();
    assert_eq!(manifest(again.path())[0]["mask_pixels_core"], "12");
    // Tables of the settings do the same, and one lesion is there for who says so.
    let values = |labels: &[u16]| {
        pig_data::config::MaskValues(labels.iter().map(|&label| pig_data::config::MaskValue::Gray(label)).collect())
    };
    let class = |name: &str, labels: &[u16]| pig_data::ClassConfig {
        name: name.to_owned(),
        values: values(labels),
        ..pig_data::ClassConfig::default()
    };
    let own = PrepareConfig { classes: vec![class("all", &[1, 2]), class("part", &[2])], ..config.clone() };
    let error = own.check().unwrap_err().to_string();
    assert!(error.contains("the value 2 for all and for part"), "{error}");
    let own = PrepareConfig { classes_overlap: true, ..own };
    let out = tempfile::tempdir().unwrap();
    run(&request(source.path(), out.path(), own)).unwrap();
    assert_eq!(manifest(out.path())[0]["mask_pixels_part"], "12");
    let merged = PrepareConfig { mask_values: Some(values(&[1, 2])), ..config };
    let out = tempfile::tempdir().unwrap();
    run(&request(source.path(), out.path(), merged)).unwrap();
    assert!(!manifest(out.path())[0].contains_key("mask_pixels_whole"));
}

/// PNG labels of one bit, and with a palette, hold the label 1, whatever they show.
#[test]
fn labels_of_nnunet_may_have_one_bit_or_a_palette() {
    let source = tempfile::tempdir().unwrap();
    let json = r#"{"labels": {"background": 0, "lesion": 1}, "file_ending": ".png"}"#;
    std::fs::write(source.path().join("dataset.json"), json).unwrap();
    std::fs::create_dir_all(source.path().join("labelsTr")).unwrap();
    for (name, colour) in [("one", png::ColorType::Grayscale), ("two", png::ColorType::Indexed)] {
        write_png(&source.path().join(format!("imagesTr/{name}_0000.png")), 6, 8, picture(6, 8, 1));
        let label = std::fs::File::create(source.path().join(format!("labelsTr/{name}.png"))).unwrap();
        let mut encoder = png::Encoder::new(label, 8, 6);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::One);
        if colour == png::ColorType::Indexed {
            encoder.set_palette(vec![0, 0, 0, 200, 30, 30]);
        }
        encoder.write_header().unwrap().write_image_data(&[0b0000_0111, 0, 0, 0, 0, 0]).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let config = PrepareConfig { size: [6, 8], ..PrepareConfig::default() };
    assert_eq!(run(&request(source.path(), out.path(), config)).unwrap().description.pairs, 2);
    for row in manifest(out.path()) {
        let mask = read_gray(&out.path().join(&row["mask"])).2;
        assert_eq!(mask, [vec![0; 5], vec![255; 3], vec![0; 40]].concat(), "{}", row["id"]);
    }
}

/// The ending that dataset.json states decides which files are images: if none has it, the message says so.
#[test]
fn an_ending_that_no_image_has_is_named() {
    let source = tempfile::tempdir().unwrap();
    write_png(&source.path().join("imagesTr/a_0000.png"), 6, 8, picture(6, 8, 1));
    write_png(&source.path().join("labelsTr/a.png"), 6, 8, vec![1; 48]);
    let made = |ending: &str| {
        let json = format!(r#"{{"labels": {{"background": 0, "lesion": 1}}, "file_ending": "{ending}"}}"#);
        std::fs::write(source.path().join("dataset.json"), json).unwrap();
        let out = tempfile::tempdir().unwrap();
        let config = PrepareConfig { size: [6, 8], ..PrepareConfig::default() };
        run(&request(source.path(), out.path(), config)).map(|summary| summary.description.pairs)
    };
    let error = made(".nii.gz").unwrap_err().to_string();
    for words in ["its file_ending is \".nii.gz\"", "none of the 1 picture(s)", "imagesTr/a_0000.png"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    assert_eq!(made("png").unwrap(), 1);
}
