//! Several classes of lesion on the command line: measures by class, and commands that do not know several.

mod common;

use common::{Folder, json, pig, stderr, stdout, success};
use pig_data::{
    Pixels,
    png_file::{encode_label_png, write_gray_png},
};
use std::{fs, path::Path};

const SIDE: usize = 16;

/// Label maps of two classes: a square of the first, and below it `rows` rows of the second.
fn label_maps(folder: &Path, rows: usize) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..4 {
        let label = |i: usize| match (i / SIDE, i % SIDE) {
            (2..6, 2..6) => 1,
            (row, 2..6) if (8..8 + rows).contains(&row) && index > 0 => 2,
            _ => 0,
        };
        let labels: Vec<u8> = (0..SIDE * SIDE).map(label).collect();
        let path = folder.join(format!("a{index}.png"));
        let bytes = encode_label_png(&path, [SIDE, SIDE], &labels, &["mass", "calcification"], &[]).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn predictions_are_measured_by_class_and_in_the_mean() {
    let folder = Folder::with_data();
    label_maps(&folder.path().join("truth"), 4);
    label_maps(&folder.path().join("pred"), 2);
    let (truth, pred, csv) = (folder.at("truth"), folder.at("pred"), folder.at("cases.csv"));
    let asked = ["segment", "evaluate", "--pred", &pred, "--truth", &truth, "--csv", &csv];
    let said = json(&success(pig(&[&asked[..], &["--json"]].concat())));
    let dice = |class: &str| said["classes"][class]["per_slice"]["dice"]["mean"].as_f64().unwrap();
    // Half of the second class is found: 2 x 8 / (8 + 16). The first picture has none of it.
    assert!((dice("mass") - 1.0).abs() < 1e-12 && (dice("calcification") - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(said["classes"]["calcification"]["empty"]["both"], 1);
    let mean = said["mean_dice"]["mean"].as_f64().unwrap();
    assert!((mean - (1.0 + 3.0 * (1.0 + 2.0 / 3.0) / 2.0) / 4.0).abs() < 1e-12, "{mean}");
    assert!(said["mean_definition"].as_str().unwrap().contains("for each picture"));
    for class in ["mass", "calcification"] {
        let table = fs::read_to_string(folder.path().join(format!("cases-{class}.csv"))).unwrap();
        assert_eq!(table.lines().count(), 5);
    }
    let text = stdout(&success(pig(&asked)));
    assert!(text.contains("Class mass:") && text.contains("Dice in the mean of classes"), "{text}");
    // Masks of other classes are refused by name.
    let classes = "data.classes=[{name = \"mass\", values = 1}, {name = \"cyst\", values = 2}]";
    let refused = pig(&[&asked[..], &["--set", classes]].concat());
    assert!(
        refused.status.code() == Some(1) && stderr(&refused).contains("expected mass, cyst"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn what_does_not_know_several_classes_says_so() {
    let folder = Folder::with_data();
    let data = folder.path().join("pairs");
    label_maps(&data.join("masks"), 4);
    fs::create_dir_all(data.join("images")).unwrap();
    for index in 0..4 {
        let pixels = Pixels::Eight((0..SIDE * SIDE).map(|i| (i * (index + 3)) as u8).collect());
        write_gray_png(&data.join(format!("images/a{index}.png")), SIDE, SIDE, &pixels, &[]).unwrap();
    }
    let (data, out) = (folder.at("pairs"), folder.at("out"));
    let refused = |arguments: &[&str], words: &str| {
        let output = pig(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{words:?} is missing in {}", stderr(&output));
    };
    let several = "does not know several classes yet; the data have mass, calcification";
    let sets = ["--set", "data.size=16", "--set", "crossval.folds=2"];
    refused(&[&["crossval", "--data", &data, "--out", &out], &sets[..]].concat(), several);
    refused(
        &["fid", "calc", "--features", "lesion-radiomics", &data, &data],
        "make them one with data.mask_values = [1, 2]",
    );
    let weight = ["--set", "model_y.loss_weight=sigmoid_guide", "--set", "data.size=32"];
    let train = ["train", "--data", &data, "--out", &out, "--dry-run"];
    refused(&[&train[..], &weight].concat(), "model_y.loss_weight");
}
