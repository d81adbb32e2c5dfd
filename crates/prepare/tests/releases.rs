//! Names of well-known public sets that are no layouts of their own: read rightly, or refused with what to do.

mod common;

use std::path::Path;

use common::*;
use pig_dicom::Limits;
use pig_prepare::layouts::{Found, MaskSource, find};
use pig_prepare::settings::MissingMask;
use pig_prepare::{PrepareConfig, PrepareError};

/// A folder with pictures at these places.
fn folder(places: &[&str]) -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    for (seed, place) in places.iter().enumerate() {
        write_png(&source.path().join(place), 16, 16, picture(16, 16, seed as u64));
    }
    source
}

fn found_with(source: &Path, missing_mask: MissingMask) -> Found {
    let config = PrepareConfig { missing_mask, ..PrepareConfig::default() };
    find(source, None, &config, &Limits::default()).unwrap()
}

/// The places of images and of their masks, sorted.
fn pairs(source: &Path, found: &Found) -> Vec<(String, Vec<String>)> {
    let place = |path: &Path| path.strip_prefix(source).unwrap().to_string_lossy().into_owned();
    let masks = |masks: &MaskSource| masks.paths().into_iter().map(place).collect();
    found.cases.iter().map(|case| (place(case.image.path()), masks(&case.masks))).collect()
}

#[test]
fn masks_in_folders_of_their_own_belong_to_the_image_of_their_name() {
    for [image, mask] in [
        // ISIC 2018, HAM10000, MosMed.
        ["ISIC2018_Task1-2_Training_Input/X.png", "ISIC2018_Task1_Training_GroundTruth/X_segmentation.png"],
        ["HAM10000_images_part_1/X.png", "HAM10000_segmentations_lesion_tschandl/X_segmentation.png"],
        ["studies/CT-1/X.png", "masks/X_mask.png"],
        // ACDC, GlaS, and one sequence of BraTS 2023 alone.
        ["X/X.png", "X/X_gt.png"],
        ["X.png", "X_anno.png"],
        ["X/X.png", "X/X-seg.png"],
    ] {
        let places = |name: &str| [image, mask].map(|place| place.replace('X', name));
        let ([first, of_first], [second, of_second]) = (places("a_1"), places("b-2"));
        let source = folder(&[&first, &of_first, &second, &of_second]);
        let found = found_with(source.path(), MissingMask::Error);
        let expected = [(first, vec![of_first]), (second, vec![of_second])];
        assert_eq!(pairs(source.path(), &found), expected);
        assert_eq!((found.unreadable.len(), found.notes.len()), (0, 0), "{image}: {:?}", found.notes);
    }
}

/// Where masks of two folders would be joined, or a folder is not named as one of masks, nothing is guessed.
#[test]
fn masks_elsewhere_are_not_guessed() {
    for places in [
        &["Input/a.png", "GT1/a_gt.png", "GT2/a_gt.png"][..],
        &["P1/scan.png", "P2/scan_mask.png"],
        &["P1/scan.png", "P2/masks/scan_mask.png"],
        &["images/P1/scan.png", "masks/P2/scan_mask.png"],
        &["Input/P1/scan.png", "GroundTruth/P2/scan_mask.png"],
        &["P1/scan.png", "P2/scan.png", "masks_of_all/scan_mask.png"],
    ] {
        let source = folder(places);
        let found = found_with(source.path(), MissingMask::Error);
        let is_missing = |masks: &MaskSource| matches!(masks, MaskSource::Missing(_));
        assert!(!found.cases.is_empty() && found.cases.iter().all(|case| is_missing(&case.masks)), "{places:?}");
        assert!(found.notes.iter().any(|note| note.contains("mask(s) have no image")), "{:?}", found.notes);
    }
}

/// A mask that no image belongs to is never an image without lesion.
#[test]
fn files_that_are_named_as_masks_are_no_images() {
    for (image, mask, hint) in [
        // CVC-ClinicDB, BKAI-IGH, REFUGE, COVID-QU, Montgomery.
        ("Original/1.png", "Ground Truth/1.png", "Original/1.png has the same one"),
        ("train/train/1.png", "train_gt/train_gt/1.png", "train/train/1.png has"),
        ("Training400/g0001.png", "Annotation-Training400/Disc_Cup_Masks/g0001.png", "Training400/g0001.png has"),
        ("images/c.png", "infection masks/c.png", "images/c.png has"),
        ("CXR_png/M.png", "ManualMask/leftMask/M.png", "CXR_png/M.png has"),
        // KiTS and LiTS.
        ("case_00000/imaging.png", "case_00000/segmentation.png", ""),
        ("volume-0.png", "segmentation-0.png", ""),
    ] {
        let source = folder(&[image, mask]);
        for missing in [MissingMask::Error, MissingMask::Empty] {
            let found = found_with(source.path(), missing);
            assert_eq!(pairs(source.path(), &found), [(image.to_owned(), Vec::<String>::new())]);
            let [(path, error)] = &found.unreadable[..] else { panic!("{:?}", found.unreadable) };
            assert_eq!(path, &source.path().join(mask));
            assert!(matches!(error, PrepareError::NamedAsMask { .. }), "{error}");
            let error = error.to_string();
            assert!(error.contains(hint) && error.contains("manifest.csv"), "{error}");
        }
        assert!(found_with(source.path(), MissingMask::Skip).unreadable.is_empty(), "it is left out with the others");
    }
    // With a manifest they are what it says.
    let source = folder(&["case_0/imaging.png"]);
    write_png(&source.path().join("case_0/segmentation.png"), 16, 16, disc(16, 16, [8.0, 8.0], 4.0));
    std::fs::write(source.path().join("manifest.csv"), "image,mask\ncase_0/imaging.png,case_0/segmentation.png\n")
        .unwrap();
    let out = tempfile::tempdir().unwrap();
    assert_eq!(run(&request(source.path(), out.path(), small(16))).unwrap().description.pairs, 1);
}

#[test]
fn a_mask_without_an_image_of_its_name_is_named_beside_images() {
    let source = folder(&["B1/B1_flair.png", "B1/B1_t1.png", "B1/B1_seg.png"]);
    let found = found_with(source.path(), MissingMask::Error);
    let masks: Vec<&MaskSource> = found.cases.iter().map(|case| &case.masks).collect();
    let [MaskSource::Missing(first), MaskSource::Missing(_)] = masks[..] else { panic!("{masks:?}") };
    assert!(first.contains("(B1_seg.png lies there, but no image has its name)"), "{first}");
}

/// The masks of DRIVE lie in 1st_manual, and those in mask are the field of view.
#[test]
fn drive_is_refused() {
    for places in [
        &[
            "training/images/21_training.png",
            "training/mask/21_training_mask.png",
            "training/1st_manual/21_manual1.png",
        ][..],
        &["images/21_training.png", "mask/21_training_mask.png", "1st_manual/21_manual1.png"],
    ] {
        let source = folder(places);
        let error = find(source.path(), None, &PrepareConfig::default(), &Limits::default()).unwrap_err().to_string();
        assert!(error.contains("1st_manual holds the masks") && error.contains("field of view"), "{error}");
        let error =
            pig_data::Dataset::discover(source.path(), &pig_data::DataConfig::default()).unwrap_err().to_string();
        assert!(error.contains("1st_manual holds the masks") && error.contains("manifest.csv"), "{error}");
    }
}

#[test]
fn annotations_that_are_not_read_are_counted() {
    let source = folder(&["train2017/0.png"]);
    for place in ["annotations/instances_train2017.json", "0.xml", "finding_annotations.csv"] {
        let path = source.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "{}").unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let error = run(&request(source.path(), out.path(), small(16))).unwrap_err().to_string();
    for words in
        ["0.png: no mask found", "list images and masks in a manifest.csv", "2 JSON or XML file(s)", "1 table(s)"]
    {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn folders_that_are_named_as_parts_are_told() {
    let places = ["train/images/a.png", "train/masks/a.png", "test/images/b.png", "test/masks/b.png"];
    let source = folder(&places);
    let told =
        |notes: &[String]| notes.iter().any(|note| note.starts_with("The folders train, test are not read as a split"));
    let found = found_with(source.path(), MissingMask::Error);
    assert!(found.cases.len() == 2 && told(&found.notes), "{:?}", found.notes);
    let discover = || pig_data::Dataset::discover(source.path(), &pig_data::DataConfig::default()).unwrap();
    assert!(told(&discover().warnings), "{:?}", discover().warnings);
    // A column says which part each is of.
    let rows =
        "image,mask,split\ntrain/images/a.png,train/masks/a.png,train\ntest/images/b.png,test/masks/b.png,test\n";
    std::fs::write(source.path().join("manifest.csv"), rows).unwrap();
    assert!(!told(&found_with(source.path(), MissingMask::Error).notes) && !told(&discover().warnings));
}
