//! Folders, names and tables: which files are pairs.

use crate::{
    common::{json, pig, stdout, success},
    input::{Made, assert_says, copied, files, gray, prepared},
};
use std::collections::{BTreeMap, BTreeSet};

/// Images and masks with the numbers `0` to `count - 1` as names.
fn numbered(count: usize) -> Vec<(String, String)> {
    (0..count).map(|index| (format!("images/{index}.png"), format!("masks/{index}.png"))).collect()
}

#[track_caller]
fn holds(made: &Made, pairs: &[(String, String)]) {
    let masks: Vec<[&str; 1]> = pairs.iter().map(|(_, mask)| [mask.as_str()]).collect();
    let pairs: Vec<(&str, &[&str])> =
        pairs.iter().zip(&masks).map(|((image, _), masks)| (image.as_str(), &masks[..])).collect();
    made.holds(&pairs);
}

#[test]
fn row_30_previews_are_left_out_and_counted() {
    let Some(made) = prepared("30-samestem-preview/src", "[40,36]", &["prepare.missing_mask=skip"]) else { return };
    made.succeeds(3).says(&["3 pairs of 3 image(s)", "3 picture(s) are previews of a DICOM", "such as IM0.jpg"]);
    assert_eq!(made.lesions(), [100; 3]);
}

#[test]
fn row_30b_two_images_of_one_name_are_two_pairs() {
    let Some(made) = prepared("30b-samestem-both/src", "64", &[]) else { return };
    let masks = ["c0_mask.png", "c1_mask.png", "c2_mask.png"];
    let pairs: Vec<(String, String)> = (0..3)
        .flat_map(|index| ["png", "tif"].map(|ending| (format!("c{index}.{ending}"), masks[index].to_owned())))
        .collect();
    holds(&made, &pairs);
}

#[test]
fn rows_34_and_50_several_rows_of_one_image_are_one_pair_with_all_masks() {
    let Some(made) = prepared("34-two-rows/src", "64", &[]) else { return };
    made.holds(&[("images/0.png", &["masks/0.png", "masks/0b.png"]), ("images/1.png", &["masks/1.png"])]);
    made.says(&["8 picture(s) or volume(s) are not in manifest.csv and were left out"]);
    let Some(made) = prepared("50-two-lesion-rows", "64", &[]) else { return };
    made.holds(&[
        ("images/p000.png", &["masks/p000.png", "masks/p000_second.png"]),
        ("images/p001.png", &["masks/p001.png"]),
        ("images/p002.png", &["masks/p002.png"]),
    ]);
}

#[test]
fn rows_20_and_31_dicom_is_told_by_its_content() {
    for (place, count) in [("20-dicom/uidname", 1), ("20-dicom/uidname-mr", 1), ("31-mixed-names/src", 2)] {
        let Some(made) = prepared(place, "[40,36]", &[]) else { return };
        made.succeeds(count);
        for row in &made.rows {
            let masks = files(&made.at("in"), "_mask.png");
            assert!(masks.iter().any(|mask| gray(mask) == gray(&made.at("out").join(&row["mask"]))), "{place}");
            assert!(!row["patient"].is_empty() && made.image(row).pixels().any(|pixel| pixel.0[0] > 0), "{place}");
        }
        let tags = json(&success(pig(&["inspect", &made.folder.at("in"), "--privacy", "--json"])));
        let words: BTreeMap<&str, (u64, u64)> = tags["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| {
                (tag["keyword"].as_str().unwrap(), (tag["files"].as_u64().unwrap(), tag["filled"].as_u64().unwrap()))
            })
            .collect();
        assert_eq!(tags["files"], count, "{place}: {tags}");
        for word in ["PatientName", "PatientID", "StudyInstanceUID"] {
            assert_eq!(words[word], (count as u64, count as u64), "{place}: {word}");
        }
        assert_eq!(tags["left_out"]["file(s) that are not DICOM by their content"], count, "{place}");
        let text = stdout(&success(pig(&["inspect", &made.folder.at("in"), "--privacy"])));
        assert_says(&text, &[&format!("{count} DICOM file(s) read; 6 tag(s) identify or may identify people")]);
    }
}

#[test]
fn row_24_tables_with_semicolons_and_blank_rows_are_read() {
    for place in ["24-csv/semicolon", "24-csv/blank"] {
        let Some(made) = prepared(place, "64", &[]) else { return };
        holds(&made, &numbered(6));
        let mut patients: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &made.rows {
            *patients.entry(&row["patient"]).or_default() += 1;
            assert!(row["patient"].len() == 16 && !row["id"].contains(['P', '/']), "{row:?}");
        }
        assert_eq!(patients.into_values().collect::<Vec<_>>(), [2; 3], "{place}: three patients, hashed");
        let blank = "1 empty row(s) of manifest.csv were left out";
        assert_eq!(made.said().contains(blank), place.ends_with("blank"), "{}", made.said());
    }
}

#[test]
fn row_13_folders_pair_in_any_case_and_as_mirrored_trees() {
    let Some(made) = prepared("13-folders/upper", "64", &[]) else { return };
    made.holds(&[
        ("Images/0.png", &["Masks/0.png"]),
        ("Images/1.png", &["Masks/1.png"]),
        ("Images/2.png", &["Masks/2.png"]),
    ]);
    let Some(made) = prepared("13-folders/nested", "64", &[]) else { return };
    made.holds(&[
        ("images/P0/0.png", &["masks/P0/0.png"]),
        ("images/P0/2.png", &["masks/P0/2.png"]),
        ("images/P1/1.png", &["masks/P1/1.png"]),
        ("images/P1/3.png", &["masks/P1/3.png"]),
    ]);
}

/// One folder has the name in the composed form, the other in the decomposed one.
#[test]
fn row_11b_names_in_two_forms_of_unicode_pair() {
    let Some(made) = prepared("11b-nfd/src", "64", &[]) else { return };
    let names = |part: &str| -> Vec<String> {
        files(&made.at("in").join(part), ".png").iter().map(|path| path.to_string_lossy().into_owned()).collect()
    };
    let [images, masks] = ["images", "masks"].map(names);
    assert!(images.iter().any(|image| !masks.contains(&image.replace("/images/", "/masks/"))), "nothing is tested");
    // Each sorts its own form of the name after `B`.
    let pairs: Vec<(String, String)> = images.into_iter().zip(masks).collect();
    holds(&made, &pairs);
}

#[test]
fn row_41_a_layout_claims_no_folder_that_it_does_not_fit() {
    let Some(made) = prepared("41-layout-swallow/src", "64", &[]) else { return };
    let mut pairs = numbered(6);
    pairs.push(("benign (1).png".to_owned(), "benign (1)_mask.png".to_owned()));
    holds(&made, &pairs);
}

#[test]
fn row_23_slices_that_a_segmentation_names_without_a_frame_are_free_of_lesion() {
    let Some(made) = prepared("23-seg/binary1", "[37,29]", &[]) else { return };
    made.succeeds(3).says(&["left out: 2 without a lesion and 0 without a mask"]);
    assert_eq!(made.lesions(), [35, 165, 190]);
    let Some(made) = prepared("23-seg/binary1", "[37,29]", &["prepare.empty_share=1"]) else { return };
    made.succeeds(5).says(&["2 with an empty mask"]);
    assert_eq!(made.lesions(), [0, 0, 35, 165, 190]);
}

#[test]
fn row_39_the_error_names_the_mask_of_another_size() {
    let Some(made) = prepared("39-cbis/src", "[60,40]", &[]) else { return };
    let mask = "Mass-Training_P_00002_LEFT_CC_1/1.3.6.1.4.1.22/1.3.6.1.4.1.2.3/000001.dcm";
    made.fails(2, 1, &[mask, "differs in size: 40 x 62 pixels, expected 40 x 60 pixels"]);
    assert_eq!(made.lesions(), [100, 100]);
}

#[test]
#[cfg(unix)]
fn links_to_folders_are_followed() {
    let Some(folder) = copied("13-folders/nested") else { return };
    std::fs::create_dir(folder.path().join("linked")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("in"), folder.path().join("linked/data")).unwrap();
    let (linked, out) = (folder.at("linked"), folder.at("out"));
    let said = json(&success(pig(&["prepare", &linked, &out, "--set", "prepare.size=64", "--json"])));
    assert_eq!(said["description"]["pairs"], 4, "{said}");
    assert_eq!(files(&folder.path().join("out/masks"), ".png").len(), 4);
    let plan =
        crate::input::tiny(&["train", "--data", &linked, "--out", &folder.at("run"), "--dry-run", "--json"], &[]);
    assert_eq!(json(&success(plan))["pairs"], serde_json::json!({ "training": 3, "validation": 1 }));
    // A table behind the link is not the folder's own; it is not passed over in silence.
    std::fs::write(folder.path().join("in/manifest.csv"), "id,patient\n0,p\n").unwrap();
    let plan =
        crate::input::tiny(&["train", "--data", &linked, "--out", &folder.at("run"), "--dry-run", "--json"], &[]);
    let warnings = json(&success(plan))["warnings"].to_string();
    assert_says(&warnings, &["1 manifest.csv in subfolders, whose columns are not read"]);
}

/// The counts of what failed add up.
#[test]
fn one_of_one_is_one_of_one() {
    let Some(folder) = copied("08-truncated/jpg") else { return };
    for name in ["images/ok.jpg", "masks/ok.png"] {
        std::fs::remove_file(folder.path().join("in").join(name)).unwrap();
    }
    let output = pig(&["prepare", &folder.at("in"), &folder.at("out")]);
    assert_eq!(output.status.code(), Some(1));
    let said = crate::common::stderr(&output);
    assert_says(
        &said,
        &["1 of 1 image(s) or volume(s) could not be prepared", "the first: images/cut.jpg", "not whole"],
    );
    let counts: BTreeSet<&str> = said.split_whitespace().filter(|word| *word == "0").collect();
    assert!(counts.len() <= 1 && !said.contains("of 0 "), "{said}");
}
