//! Folders as people and systems leave them: cases, subfolders, hidden files, links, runs, Unicode forms.

mod common;

use std::path::Path;

use common::{gray8, text};
use pig_data::folder::{Kind, has_masks, pictures};
use pig_data::{DataConfig, DataError, Dataset, Layout, PairEntry};
use pig_testing::shared;
use tempfile::{TempDir, tempdir};

fn discover(root: &Path) -> Result<Dataset, DataError> {
    Dataset::discover(root, &DataConfig::default())
}

/// What was left out of a folder, in words.
fn left_out(root: &Path) -> String {
    discover(root).unwrap().left_out.unwrap()
}

/// A folder with pictures of these names.
fn with(names: &[&str]) -> TempDir {
    let dir = tempdir().unwrap();
    for name in names {
        gray8(&dir.path().join(name), 2, 2, |_, _| 0);
    }
    dir
}

/// Ids, images and masks, relative to the folder.
fn found(root: &Path) -> Vec<(String, String, String)> {
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let pairs = discover(root).unwrap().pairs;
    let mask = |pair: &PairEntry| relative(&pair.mask.as_ref().unwrap().first.path);
    pairs.iter().map(|pair| (pair.id.clone(), relative(&pair.image), mask(pair))).collect()
}

fn expected(pairs: &[[&str; 3]]) -> Vec<(String, String, String)> {
    pairs.iter().map(|[id, image, mask]| ((*id).to_owned(), (*image).to_owned(), (*mask).to_owned())).collect()
}

#[test]
fn folders_pair_in_any_case_and_under_any_usual_name() {
    for (images, masks) in
        [("Images", "Masks"), ("IMAGES", "masks"), ("images", "labels"), ("image", "Mask"), ("Images", "Label")]
    {
        let dir = with(&[&format!("{images}/0.png"), &format!("{masks}/0.png")]);
        assert_eq!(found(dir.path()), expected(&[["0", &format!("{images}/0.png"), &format!("{masks}/0.png")]]));
        assert_eq!(discover(dir.path()).unwrap().layout, Layout::Folders);
        assert!(has_masks(dir.path()).unwrap());
        assert!(pictures(dir.path(), Kind::Masks).unwrap()["0"].ends_with(format!("{masks}/0.png")));
        assert!(pictures(dir.path(), Kind::Images).unwrap()["0"].ends_with(format!("{images}/0.png")));
    }
}

#[test]
fn mirrored_trees_pair_and_ids_come_from_the_whole_path() {
    let names = [
        "images/P0/0.png",
        "images/P0/1.png",
        "images/P1/0.png",
        "masks/P0/0.png",
        "masks/P0/1.png",
        "masks/P1/0_mask.png",
    ];
    let dir = with(&names);
    let pairs = expected(&[
        ["P0_0", "images/P0/0.png", "masks/P0/0.png"],
        ["P0_1", "images/P0/1.png", "masks/P0/1.png"],
        ["P1_0", "images/P1/0.png", "masks/P1/0_mask.png"],
    ]);
    assert_eq!(found(dir.path()), pairs);
    // In mirrored trees every picture needs its partner.
    gray8(&dir.path().join("images/P1/9.png"), 2, 2, |_, _| 0);
    assert!(matches!(discover(dir.path()), Err(DataError::MissingMask { count: 1, .. })));
    // A table joins by the same ids.
    std::fs::remove_file(dir.path().join("images/P1/9.png")).unwrap();
    text(&dir.path().join("manifest.csv"), "id,patient\nP0_0,a\nP0_1,a\nP1_0,b\n");
    assert_eq!(discover(dir.path()).unwrap().group_count(), 2);
    // Subfolders of one side alone are something else, and are counted.
    let old = with(&["images/0.png", "masks/0.png", "images/old/1.png", "images/old/2.png"]);
    assert_eq!(found(old.path()), expected(&[["0", "images/0.png", "masks/0.png"]]));
    assert_eq!(left_out(old.path()), "Left out: 2 in subfolders, without a partner.");
}

#[test]
fn image_and_mask_folders_may_lie_deeper() {
    let dir = with(&["P0/images/0.png", "P0/masks/0.png", "P1/Images/0.png", "P1/Masks/0.png", "sheet.png"]);
    let pairs =
        expected(&[["P0_0", "P0/images/0.png", "P0/masks/0.png"], ["P1_0", "P1/Images/0.png", "P1/Masks/0.png"]]);
    assert_eq!(found(dir.path()), pairs);
    assert_eq!(left_out(dir.path()), "Left out: 1 pictures outside of the folders images and masks.");
}

/// A folder above several data sets names three of them; folders of patients are no data sets.
#[test]
fn a_folder_above_data_sets_names_them() {
    let sets = ["a/images/0.png", "a/masks/0.png", "b/x.png", "b/y.png", "c/Image/0.png", "c/Label/0.png"];
    let dir = with(&[&sets[..], &["d/images/0.png", "d/masks/0.png", "e/0.png", "e/0_mask.png"]].concat());
    text(&dir.path().join("b/manifest.csv"), "image,mask\nx.png,y.png\n");
    let error = discover(dir.path()).unwrap_err().to_string();
    assert!(error.contains("give one of its folders that look like one: a, b, c and 1 more"), "{error}");
    let one = with(&["b/x.png", "b/y.png"]);
    text(&one.path().join("b/manifest.csv"), "image,mask\nx.png,y.png\n");
    let error = discover(one.path()).unwrap_err();
    assert!(matches!(error, DataError::EmptyDataset { .. }));
    assert!(error.to_string().contains("give one of its folders that look like one: b)"), "{error}");

    let patients = with(&["P0/images/0.png", "P0/masks/0.png", "P1/images/0.png", "P1/masks/1.png"]);
    let error = discover(patients.path()).unwrap_err().to_string();
    assert!(error.contains("no mask found") && !error.contains("look like"), "{error}");

    // With tables of their own, they are told even if they can be read together.
    let both = with(&["a/images/0.png", "a/masks/0.png", "b/images/0.png", "b/masks/0.png"]);
    assert!(!discover(both.path()).unwrap().warnings.iter().any(|words| words.contains("read as one")));
    for name in ["a", "b"] {
        text(&both.path().join(name).join("manifest.csv"), "id,patient\n0,p\n");
    }
    let warnings = discover(both.path()).unwrap().warnings;
    assert!(warnings.iter().any(|words| words.contains("read as one: a, b.")), "{warnings:?}");
}

#[test]
fn names_in_two_unicode_forms_pair() {
    let folders = with(&["images/u\u{308}.png", "masks/\u{fc}.png"]);
    assert_eq!(discover(folders.path()).unwrap().len(), 1);
    let suffix = with(&["u\u{308}.png", "\u{fc}_mask.png"]);
    assert_eq!(discover(suffix.path()).unwrap().len(), 1);
    if let Some(root) = shared("wild/11b-nfd/src") {
        assert_eq!(discover(&root).unwrap().len(), 3);
    }
}

/// Only one folder of masks is read; what lies beside it is said.
#[test]
fn pictures_beside_the_folders_of_pairs_are_counted() {
    let names = ["images/0.png", "masks/0.png", "labels/0.png", "labels/1.png", "figures/a.png", "plot.png"];
    let dir = with(&names);
    assert_eq!(found(dir.path()), expected(&[["0", "images/0.png", "masks/0.png"]]));
    let words = "Left out: 2 pictures in a further folder of images or of masks, such as labels beside masks, \
                 2 pictures outside of the folders images and masks.";
    assert_eq!(left_out(dir.path()), words);
    // What pig itself puts beside its pairs is no data.
    let made = with(&["images/0.png", "masks/0.png", "progress.png"]);
    assert_eq!(discover(made.path()).unwrap().left_out, None);
}

/// DRIVE and Carvana have masks in GIF: the message says why they are not found.
#[test]
fn pictures_in_formats_that_are_not_read_are_named() {
    let dir = with(&["images/0.png", "images/1.png", "masks/0.png"]);
    std::fs::write(dir.path().join("masks/1_mask.gif"), b"GIF89a\x02\0\x02\0").unwrap();
    let message = discover(dir.path()).unwrap_err().to_string();
    assert!(message.contains("1_mask.gif is a GIF file, which is not read: convert it"), "{message}");
    std::fs::remove_file(dir.path().join("images/1.png")).unwrap();
    let words = "Left out: 1 pictures in a format that is not read, such as GIF or WebP.";
    assert_eq!(left_out(dir.path()), words);
}

#[test]
fn hidden_files_and_runs_are_left_out_and_counted() {
    let names =
        ["a.png", "a_mask.png", "._a.png", "._a_mask.png", "@eaDir/a.png", "__MACOSX/a.png", "run/previews/step.png"];
    let dir = with(&names);
    for name in ["config.toml", "splits.json", "preparation.json", "provenance.json"] {
        text(&dir.path().join("run").join(name), "");
    }
    text(&dir.path().join("Thumbs.db"), "");
    text(&dir.path().join("README.md"), "");
    text(&dir.path().join("volume.nii.gz"), "");
    assert_eq!(found(dir.path()), expected(&[["a", "a.png", "a_mask.png"]]));
    assert_eq!(left_out(dir.path()), "Left out: 5 hidden or a system's own, 1 runs of pig, 1 that are no pictures.");
    assert_eq!(pictures(dir.path(), Kind::Images).unwrap().len(), 1);
}

#[test]
fn previews_of_dicom_files_are_told() {
    let dir = with(&["a.png", "a_mask.png"]);
    std::fs::write(dir.path().join("a.dcm"), [&[0; 128][..], b"DICM", &[0; 20]].concat()).unwrap();
    let warnings = discover(dir.path()).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.starts_with("1 picture(s) have a DICOM file")), "{warnings:?}");
}

#[test]
#[cfg(unix)]
fn links_are_followed_once() {
    let (dir, store) = (tempdir().unwrap(), with(&["0.png", "0_mask.png"]));
    std::os::unix::fs::symlink(store.path(), dir.path().join("linked")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("broken.png")).unwrap();
    let found = discover(dir.path()).unwrap();
    assert_eq!(found.ids(), ["0"]);
    assert_eq!(found.left_out.unwrap(), "Left out: 2 links that lead nowhere or in a circle.");
}

#[test]
fn folders_from_the_wild_pair() {
    let Some(root) = shared("wild/13-folders") else { return };
    assert_eq!(discover(&root.join("upper")).unwrap().len(), 3);
    assert_eq!(discover(&root.join("nested")).unwrap().len(), 4);
}
