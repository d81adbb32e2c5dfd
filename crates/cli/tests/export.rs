//! `pig export` on the command line.

mod common;

use common::{Folder, json, picture, pig, stderr, stdout, success};
use std::{fs, path::Path};

/// Eight pairs that are marked as generated.
fn generated(folder: &Folder) -> String {
    let out = folder.path().join("pairs");
    for index in 0..8 {
        let name = format!("{index:06}.png");
        let text = [("synthetic", "yes"), ("model_hash", "abc")];
        for (kind, value) in [("images", 90 + index), ("masks", if index < 6 { 255 } else { 0 })] {
            let pixels = pig_data::Pixels::Eight((0..256).map(|i| if i % 16 < 5 { value } else { 0 }).collect());
            fs::create_dir_all(out.join(kind)).unwrap();
            pig_data::png_file::write_png(&out.join(kind).join(&name), [16, 16], 1, &pixels, &text).unwrap();
        }
    }
    folder.at("pairs")
}

#[test]
fn every_format_is_written_and_says_what_it_holds() {
    let folder = Folder::with_data();
    let (pairs, real) = (generated(&folder), folder.at("data"));
    let formats = [
        ("nnunet", "dataset.json"),
        ("monai", "datalist.json"),
        ("coco", "annotations.json"),
        ("nifti", "images/generated_000000.nii.gz"),
        ("dicom-seg", "segmentations/real_a00.dcm"),
        ("webdataset", "pairs-000000.tar"),
        ("png", "masks/real_a00.png"),
    ];
    for (format, file) in formats {
        let out = folder.at(&format!("out-{format}"));
        let output = success(pig(&["export", &pairs, "--format", format, "--out", &out, "--real", &real, "--json"]));
        let said = json(&output);
        assert_eq!((&said["generated"], &said["real"], &said["empty_masks"]), (&8.into(), &8.into(), &2.into()));
        assert!(Path::new(&out).join(file).is_file() && Path::new(&out).join("manifest.csv").is_file(), "{format}");
    }
}

/// Also formats without a split say what they left out of a folder.
#[test]
fn what_is_left_out_is_said_in_every_format() {
    let folder = Folder::with_data();
    let images = folder.path().join("data/images");
    fs::create_dir_all(images.join("sub")).unwrap();
    fs::copy(images.join("a00.png"), images.join("sub/x.png")).unwrap();
    for format in ["coco", "monai"] {
        let output = success(pig(&["export", &folder.at("data"), "--format", format, "--out", &folder.at(format)]));
        let said = stderr(&output);
        assert_eq!(said.matches("Left out: 1 in subfolders, without a partner.").count(), 1, "{format}: {said}");
    }
}

#[test]
fn masks_of_dicom_are_bits_or_label_maps() {
    let folder = Folder::with_data();
    for (kind, word) in [("binary", "BINARY"), ("labelmap", "LABELMAP")] {
        let out = folder.at(kind);
        let asked = ["export", &folder.at("data"), "--format", "dicom-seg", "--segmentation-type", kind, "--out", &out];
        success(pig(&asked));
        let bytes = fs::read(Path::new(&out).join("segmentations/a00.dcm")).unwrap();
        // Segmentation Type (0062,0001), CS, padded to an even length.
        let mut element = vec![0x62, 0, 1, 0, b'C', b'S', (word.len().div_ceil(2) * 2) as u8, 0];
        element.extend_from_slice(word.as_bytes());
        assert!(bytes.windows(element.len()).any(|found| found == element), "{kind}");
    }
}

#[test]
fn shares_counts_and_other_outputs_are_checked() {
    let folder = Folder::with_data();
    let (pairs, real, out) = (generated(&folder), folder.at("data"), folder.at("out"));
    let export = |extra: &[&str]| pig(&[&["export", &pairs, "--format", "png", "--out", &out], extra].concat());
    let refused = |extra: &[&str], words: &[&str]| {
        let output = export(extra);
        assert_eq!(output.status.code(), Some(1));
        for word in words {
            assert!(stderr(&output).contains(word), "{word:?} is missing in {}", stderr(&output));
        }
    };
    refused(&["--share", "0.5"], &["--real"]);
    refused(&["--real", &real, "--share", "0.5", "--count", "3"], &["--count"]);
    refused(&["--real", &real, "--share", "0.9"], &["8 generated pair(s)", "at least 72", "pig sample"]);
    refused(&["--spacing", "1"], &["0.085,0.085"]);
    refused(&["--set", "data.mask_valus=1"], &["mask_valus", "mask_values"]);
    assert!(!Path::new(&out).exists());
    let said = stdout(&success(export(&["--real", &real, "--share", "0.2"])));
    assert!(said.contains("10 pairs, 2 generated, 8 real"), "{said}");
    refused(&[], &["not empty", "choose another --out"]);
    // The export is a data folder itself, and records which pairs are generated.
    let again = folder.at("again");
    let output = success(pig(&["export", &out, "--format", "coco", "--out", &again, "--json"]));
    assert_eq!((&json(&output)["generated"], &json(&output)["real"]), (&2.into(), &8.into()));
}

#[test]
fn a_broken_pair_leaves_nothing_behind() {
    let folder = Folder::with_data();
    picture(&folder.path().join("data/masks/a03.png"), 8, |_, _| 0);
    let before = folder.snapshot();
    let output = pig(&["export", &folder.at("data"), "--format", "nnunet", "--out", &folder.at("Dataset001_X")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("a03.png") && stderr(&output).contains("8 x 8"), "{}", stderr(&output));
    assert_eq!(folder.snapshot(), before);
}
