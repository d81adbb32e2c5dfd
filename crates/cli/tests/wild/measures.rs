//! Tables and sets of pictures that are compared.

use crate::{
    common::{Folder, json, pig, stderr, stdout, success},
    input::{assert_says, copied, copy},
};
use std::path::Path;

/// `nan` counts as no value, and is counted; what is no number at all is refused by its line.
#[test]
fn row_42_no_value_is_counted() {
    let Some(folder) = copied("42-compare") else { return };
    let compared =
        |second: &str| pig(&["compare", &folder.at("in/a.csv"), &folder.at(&format!("in/{second}.csv")), "--json"]);
    let blank = json(&success(compared("blank")));
    assert_eq!((&blank["left_out"], &blank["difference"]["cases"]), (&1.into(), &9.into()));
    // Every case differs by 0.05.
    assert!((blank["difference"]["mean"].as_f64().unwrap() + 0.05).abs() < 1e-9, "{blank}");
    for name in ["nan", "NaN", "NA"] {
        assert_eq!(json(&success(compared(name))), blank, "{name}");
    }
    let whole = json(&success(compared("b")));
    assert_eq!((&whole["left_out"], &whole["difference"]["cases"]), (&0.into(), &10.into()));
    assert_eq!(json(&success(compared("bs"))), whole, "semicolons and decimal commas");
    for (name, parts) in [
        ("inf", &["inf.csv, line 5: dice is \"inf\"; expected a finite number"][..]),
        ("binf", &["binf.csv, line 5: dice is \"inf00000000000001\""]),
        ("bn", &["bn.csv, line 5: dice is \"nan00000000000001\""]),
        ("bm", &["bm.csv: no row with the id \"6\"", "4 case(s)"]),
    ] {
        let refused = compared(name);
        assert_eq!((refused.status.code(), stdout(&refused)), (Some(1), String::new()), "{name}");
        assert_says(&stderr(&refused), parts);
    }
}

/// `count` pictures of an input as a set of their own.
fn set(from: &Folder, to: &Path, count: usize) {
    for index in 0..count {
        copy(&from.path().join(format!("in/images/{index}.png")), &to.join(format!("{index}.png")));
    }
}

#[test]
fn a_set_is_at_distance_0_from_itself_and_the_extrapolation_is_not_read_first() {
    let Some(folder) = copied("24-csv/blank") else { return };
    let same = folder.path().join("same");
    set(&folder, &same, 6);
    copy(&same.join("0.png"), &same.join("._0.png"));
    let same = folder.at("same");
    let output = success(pig(&["fid", "calc", &same, &same, "--features", "radiomics"]));
    let (table, warnings) = (stdout(&output), stderr(&output));
    assert_says(&table, &["FID, biased by small N              0.0000", "FID, extrapolated, small N"]);
    assert!(!table.contains("-0.0000"), "{table}");
    let place = |words: &str| table.find(words).unwrap();
    assert!(place("KID") < place("FID, extrapolated") && place("FID, biased") < place("FID, extrapolated"), "{table}");
    let parts =
        ["use KID first; the extrapolated FID needs at least 1000 images", "Left out: 1 hidden or a system's own."];
    assert_says(&warnings, &parts);
    let said = json(&success(pig(&["fid", "calc", &same, &same, "--features", "radiomics", "--json"])));
    assert_eq!((&said["reference"], &said["other"], &said["few_images"]), (&6.into(), &6.into(), &true.into()));
    assert!(said["distances"]["frechet"].as_f64().unwrap().abs() < 1e-6, "{said}");
}

#[test]
fn sets_of_two_sizes_are_refused_without_resize() {
    let Some(folder) = copied("24-csv/blank") else { return };
    let Some(other) = copied("07-exif/rot90") else { return };
    let (ours, theirs) = (folder.at("in"), other.at("in"));
    let asked = ["fid", "calc", &ours, &theirs, "--features", "radiomics", "--diversity-pairs", "0", "--json"];
    let refused = pig(&asked);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(1), String::new()));
    assert_says(&stderr(&refused), &["6 picture(s) of 64 x 64 pixels", "4 picture(s) of 96 x 64 pixels", "--resize"]);
    let said = json(&success(pig(&[&asked[..], &["--resize"]].concat())));
    assert_says(said["definition"].as_str().unwrap(), &["resized to 64 x 64 pixels"]);
}

/// Predictions and truths with files that are no masks among them.
#[test]
fn what_is_no_mask_is_left_out_of_an_evaluation_and_counted() {
    let Some(folder) = copied("13-folders/upper") else { return };
    for name in ["0.png", "1.png", "2.png"] {
        copy(&folder.path().join("in/Masks").join(name), &folder.path().join("pred").join(name));
    }
    for name in ["pred/._0.png", "pred/Thumbs.db", "in/Masks/.DS_Store", "in/Masks/notes.odt"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let output = pig(&["segment", "evaluate", "--pred", &folder.at("pred"), "--truth", &folder.at("in"), "--json"]);
    let said = json(&success(output.clone()));
    assert_eq!((&said["cases"], &said["per_slice"]["dice"]["mean"]), (&3.into(), &1.0.into()));
    let parts = [
        "pred: Left out: 2 hidden or a system's own.",
        "Left out: 1 hidden or a system's own, 1 that are no pictures.",
    ];
    assert_says(&stderr(&output), &parts);
}
