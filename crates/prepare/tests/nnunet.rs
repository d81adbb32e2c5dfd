//! Small data sets of nnU-Net: channels, ignored labels, labels as classes, regions.

mod common;

use common::*;
use pig_prepare::channel::Channel;
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
        channel: Some(Channel::Number(1)),
        window: WindowRule::Stored,
        size: [6, 8],
        mask_resize: pig_data::config::MaskResize::Nearest,
        ..PrepareConfig::default()
    };
    let summary = run(&request(source.path(), out.path(), config.clone())).unwrap();
    assert_eq!((summary.description.layout, summary.description.pairs), (Layout::NnUnet, 1));
    let note =
        "1 file(s) of other channels were not read; prepare.channel chooses: 0 (T1), 1 (FLAIR). Read was 1 (FLAIR).";
    assert!(summary.notes.iter().any(|found| found == note), "{:?}", summary.notes);
    assert_eq!(summary.description.left_out_empty, 3);
    let row = &manifest(out.path())[0];
    assert_eq!((row["slice"].as_str(), row["slices"].as_str(), row["slice_spacing_mm"].as_str()), ("1", "4", "3"));
    assert_eq!((row["pixel_height_mm"].as_str(), row["pixel_width_mm"].as_str()), ("0.25", "0.5"));
    assert!(row["group"].len() == 16, "slices of a volume stay together");
    let expected: Vec<u16> = (48..96).collect();
    assert_eq!(read_gray(&out.path().join(&row["image"])).2, expected);
    assert_eq!(read_gray(&out.path().join(&row["mask"])).2.iter().position(|&value| value != 0), Some(2));
    // By its name, and by names and numbers that are not there.
    let of = |channel: Option<Channel>| {
        let out = tempfile::tempdir().unwrap();
        let made = run(&request(source.path(), out.path(), PrepareConfig { channel, ..config.clone() }));
        made.map(|_| read_gray(&out.path().join(&manifest(out.path())[0]["image"])).2)
    };
    let name = |name: &str| Some(Channel::Name(name.to_owned()));
    assert_eq!(of(name("flair")).unwrap(), expected);
    assert_eq!([of(None).unwrap(), of(name("T1")).unwrap()], [vec![0; 48], vec![0; 48]]);
    for wrong in [name("T2"), Some(Channel::Number(2))] {
        let error = of(wrong).unwrap_err().to_string();
        assert!(error.contains("dataset.json") && error.contains("0 (T1), 1 (FLAIR)"), "{error}");
    }
}

/// A task of the Medical Segmentation Decathlon holds all channels of a case in a file of four dimensions, the channel last.
#[test]
fn a_channel_of_four_dimensions_is_chosen() {
    let source = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(source.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(source.path().join(name), bytes).unwrap();
    };
    let json =
        r#"{"modality": {"0": "T2", "1": "ADC"}, "labels": {"0": "background", "1": "PZ"}, "file_ending": ".nii"}"#;
    put("dataset.json", json.as_bytes());
    // Voxel (i, j, k) of channel c is 100 c + i + 8 j in every slice; bytes 40 to 56 of the header are the dimensions.
    let with_dimensions = |mut file: Vec<u8>, dimensions: &[i16]| {
        for (index, value) in [dimensions.len() as i16].iter().chain(dimensions).enumerate() {
            file[40 + 2 * index..42 + 2 * index].copy_from_slice(&value.to_le_bytes());
        }
        file
    };
    let image = |dimensions: &[i16]| {
        let voxels: Vec<u8> =
            [0_u8, 100].into_iter().flat_map(|add| (0..144_u8).map(move |at| add + at % 48)).collect();
        with_dimensions(nifti([8, 6, 3], 2, 8, [1.0; 3], &voxels), dimensions)
    };
    put("imagesTr/prostate_00.nii", &image(&[8, 6, 3, 2]));
    let lesion: Vec<u8> = (0..144).map(|at| u8::from(at == 50)).collect();
    put("labelsTr/prostate_00.nii", &with_dimensions(nifti([8, 6, 3], 2, 8, [1.0; 3], &lesion), &[8, 6, 3, 1]));
    let made = |channel: Option<Channel>| {
        let out = tempfile::tempdir().unwrap();
        let config = PrepareConfig { window: WindowRule::Stored, size: [6, 8], channel, ..PrepareConfig::default() };
        let made = run(&request(source.path(), out.path(), config));
        made.map(|_| {
            let rows = manifest(out.path());
            assert_eq!((rows.len(), rows[0]["slice"].as_str(), rows[0]["source_mask_pixels"].as_str()), (1, "1", "1"));
            read_gray(&out.path().join(&rows[0]["image"])).2
        })
    };
    let name = |name: &str| Some(Channel::Name(name.to_owned()));
    let expected = |add: u16| (add..add + 48).collect::<Vec<u16>>();
    assert_eq!([made(name("T2")).unwrap(), made(name("adc")).unwrap()], [expected(0), expected(100)]);
    assert_eq!(made(Some(Channel::Number(1))).unwrap(), expected(100));
    let error = made(None).unwrap_err().to_string();
    assert!(
        error.contains("prostate_00.nii: the file has 2 channel(s): 0 (T2), 1 (ADC); expected the number or"),
        "{error}"
    );
    // ITK writes channels as the fifth dimension.
    put("imagesTr/prostate_00.nii", &image(&[8, 6, 3, 1, 2]));
    assert_eq!(made(name("ADC")).unwrap(), expected(100));
    put("imagesTr/prostate_00.nii", &image(&[8, 6, 1, 2, 2]));
    assert!(made(name("ADC")).unwrap_err().to_string().contains("dimensions [8, 6, 1, 2, 2]"));
    put("imagesTr/prostate_00.nii", &image(&[8, 6, 3, 2])[..352 + 287]);
    assert!(made(name("T2")).unwrap_err().to_string().contains("639 bytes"), "the last channel is cut");
    // A file of one channel has no other, and a folder without names has numbers alone.
    put("imagesTr/prostate_00.nii", &image(&[8, 6, 3]));
    assert_eq!(made(None).unwrap(), expected(0));
    assert!(made(name("ADC")).unwrap_err().to_string().contains("has 1 channel(s), and prepare.channel is 1"));
    put("imagesTr/prostate_00.nii", &image(&[8, 6, 3, 2]));
    std::fs::remove_file(source.path().join("dataset.json")).unwrap();
    for (from, to) in [("imagesTr", "images"), ("labelsTr", "labels")] {
        std::fs::rename(source.path().join(from), source.path().join(to)).unwrap();
    }
    assert_eq!(made(Some(Channel::Number(1))).unwrap(), expected(100));
    assert!(made(name("ADC")).unwrap_err().to_string().contains("expected a number from 0"));
    assert!(made(None).unwrap_err().to_string().contains("has 2 channel(s): 0, 1;"));
    // Masks of several volumes are refused.
    put("labels/prostate_00.nii", &image(&[8, 6, 3, 2]));
    assert!(made(Some(Channel::Number(1))).unwrap_err().to_string().contains("dimensions [8, 6, 3, 2]"));
}

/// A folder made before a channel could be left open goes on: the first one was the default.
#[test]
fn a_folder_of_the_first_channel_goes_on_without_it() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pair(source.path(), "a", 12, 12, 1, 3.0);
    let first = PrepareConfig { channel: Some(Channel::Number(0)), ..small(12) };
    run(&request(source.path(), out.path(), first)).unwrap();
    assert_eq!(run(&request(source.path(), out.path(), small(12))).unwrap().kept, 1);
    let other = PrepareConfig { channel: Some(Channel::Number(1)), ..small(12) };
    let error = run(&request(source.path(), out.path(), other)).unwrap_err().to_string();
    assert!(error.contains("prepare.channel = 1; expected nothing"), "{error}");
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

/// `nnUNet_raw`, and a folder with tasks of the Medical Segmentation Decathlon, hold data sets of different organs, which are not one.
#[test]
fn a_folder_above_data_sets_is_refused_with_their_names() {
    let raw = tempfile::tempdir().unwrap();
    let json = r#"{"labels": {"background": 0, "lesion": 1}, "file_ending": ".png"}"#;
    for set in ["Dataset027_ACDC", "Dataset002_Heart"] {
        write_png(&raw.path().join(format!("{set}/imagesTr/a_0000.png")), 12, 12, picture(12, 12, 1));
        write_png(&raw.path().join(format!("{set}/labelsTr/a.png")), 12, 12, vec![1; 144]);
        std::fs::write(raw.path().join(set).join("dataset.json"), json).unwrap();
    }
    let made = |layout: Option<Layout>, set: &str| {
        let out = tempfile::tempdir().unwrap();
        let mut request = request(&raw.path().join(set), out.path(), small(12));
        request.layout = layout;
        run(&request).map(|summary| summary.description.pairs)
    };
    for layout in [None, Some(Layout::NnUnet)] {
        let error = made(layout, "").unwrap_err().to_string();
        assert!(error.contains("holds 2 data set(s)"), "{error}");
        assert!(error.contains("in folders of their own: Dataset002_Heart, Dataset027_ACDC; expected one"), "{error}");
        let place = raw.path().join("Dataset002_Heart");
        assert!(error.contains(&format!("such as {},", place.display())), "{error}");
    }
    assert_eq!(made(None, "Dataset027_ACDC").unwrap(), 1);
    // A single set in a folder is named, too: it may be the folder of a download.
    std::fs::remove_dir_all(raw.path().join("Dataset027_ACDC")).unwrap();
    assert!(made(None, "").unwrap_err().to_string().contains("holds 1 data set(s)"));
}
