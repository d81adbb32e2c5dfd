//! `pig segment evaluate` and `pig fid calc` as users call them.

mod common;

use common::{Folder, SIDE, json, picture, pig, stderr, stdout, success};
use std::{fmt::Write, fs};

/// Predictions of the masks in `data/`: each moved by a pixel, the last one empty, and a table of four patients.
fn predictions(folder: &Folder) -> String {
    let mut table = "id,patient\n".to_owned();
    for index in 0..8 {
        let name = format!("a{index:02}");
        picture(&folder.path().join("pred").join(format!("{name}.png")), SIDE, |x, y| {
            if index < 7 && (1..7).contains(&x) && y > index { 255 } else { 0 }
        });
        let _ = writeln!(table, "{name},p{}", index / 2);
    }
    fs::write(folder.path().join("data/manifest.csv"), table).unwrap();
    folder.at("pred")
}

#[test]
fn masks_are_measured_by_slice_patient_and_pool() {
    let folder = Folder::with_data();
    let (pred, truth, csv) = (predictions(&folder), folder.at("data"), folder.at("cases.csv"));
    let output = success(pig(&["segment", "evaluate", "--pred", &pred, "--truth", &truth, "--csv", &csv, "--json"]));
    let said = json(&output);
    assert_eq!((&said["cases"], &said["groups"], &said["empty"]["prediction"]), (&8.into(), &4.into(), &1.into()));
    // Five of six columns agree, whatever the number of rows.
    let dice = said["per_slice"]["dice"]["mean"].as_f64().unwrap();
    assert!((dice - 7.0 / 8.0 * 5.0 / 6.0).abs() < 1e-12, "{dice}");
    assert_eq!(said["detection"]["counts"]["found"], 7);
    assert!(said["definition"].as_str().unwrap().contains("4 patients"));
    // The table gives the mean again.
    let table = fs::read_to_string(&csv).unwrap();
    let column = table.lines().next().unwrap().split(',').position(|name| name == "dice").unwrap();
    let values: Vec<f64> =
        table.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse().unwrap()).collect();
    assert!((values.iter().sum::<f64>() / 8.0 - dice).abs() < 1e-12);

    let text = stdout(&success(pig(&["segment", "evaluate", "--pred", &pred, "--truth", &truth])));
    assert!(text.contains("Dice") && text.contains("per patient") && text.contains("0.7292"), "{text}");
}

#[test]
fn masks_without_a_partner_or_of_another_size_are_refused() {
    let folder = Folder::with_data();
    let (pred, truth) = (predictions(&folder), folder.at("data"));
    let refused = |extra: &[&str], words: &[&str]| {
        let output = pig(&[&["segment", "evaluate", "--pred", &pred, "--truth", &truth], extra].concat());
        assert_eq!(output.status.code(), Some(1));
        for word in words {
            assert!(stderr(&output).contains(word), "{word:?} is missing in {}", stderr(&output));
        }
    };
    refused(&["--min-iou", "0"], &["--min-iou 0", "above 0"]);
    refused(&["--tolerance", "-1"], &["--tolerance"]);
    fs::remove_file(folder.path().join("pred/a03.png")).unwrap();
    refused(&[], &["a03.png", "1 lack one"]);
    picture(&folder.path().join("pred/a03.png"), 8, |_, _| 0);
    refused(&[], &["a03.png", "8 x 8", "16 x 16"]);
    fs::write(folder.path().join("data/manifest.csv"), "id,patient\na00,p0\n").unwrap();
    refused(&[], &["manifest.csv", "7 pair(s) lack one"]);
}

#[test]
fn two_folders_are_compared_without_weights() {
    let folder = Folder::with_data();
    predictions(&folder);
    for index in 0..8 {
        let (x0, name) = (index % 3, format!("{index:06}.png"));
        picture(&folder.path().join("made/images").join(&name), SIDE, |x, y| (x * 7 + y * 2 + 3 * index) as u8);
        picture(&folder.path().join("made/masks").join(&name), SIDE, |x, y| {
            if index > 0 && (x0..x0 + 5).contains(&x) && y > 4 { 255 } else { 0 }
        });
    }
    let (real, made) = (folder.at("data"), folder.at("made"));
    let said = json(&success(pig(&["fid", "calc", &real, &made, "--features", "radiomics", "--json"])));
    assert_eq!((&said["reference"], &said["other"], &said["few_images"]), (&8.into(), &8.into(), &true.into()));
    assert_eq!((&said["floor"]["by_patient"], &said["left_out"]["other"]), (&true.into(), &0.into()));
    let frechet = said["distances"]["frechet"].as_f64().unwrap();
    assert!(frechet > said["floor"]["distances"]["frechet"].as_f64().unwrap(), "{said}");
    assert_eq!(said["extractor"]["hash"].as_str().unwrap().len(), 64);
    // Against itself every distance is gone.
    let said = json(&success(pig(&["fid", "calc", &real, &real, "--features", "radiomics", "--json"])));
    assert!(said["distances"]["frechet"].as_f64().unwrap().abs() < 1e-6, "{said}");

    let output = success(pig(&["fid", "calc", &real, &made, "--features", "lesion-radiomics"]));
    assert!(stderr(&output).contains("1 image(s) without a lesion"), "{}", stderr(&output));
    assert!(stderr(&output).contains("N is small") && stdout(&output).contains("disjoint patients"));
    let output =
        pig(&["fid", "calc", &real, &made, "--features", "radiomics", "--kid-subsets", "3", "--kid-subset-size", "9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("expected at least 9"), "{}", stderr(&output));
}
