//! Several classes of lesion on the command line: measures by class, and commands that do not know several.

mod common;

use common::{Folder, json, pig, stderr, stdout, success};
use pig_data::{
    Pixels,
    png_file::{encode_label_png, write_gray_png},
};
use std::{fmt::Write, fs, path::Path};

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

/// Pairs with these label maps; the gray values of each class and of the background differ, and so do those of the pictures.
fn pairs(folder: &Path, rows: usize, shift: usize) {
    label_maps(&folder.join("masks"), rows);
    fs::create_dir_all(folder.join("images")).unwrap();
    for index in 0..4 {
        let pixels = Pixels::Eight((0..SIDE * SIDE).map(|i| ((i + shift) * (index + 3) % 251) as u8).collect());
        write_gray_png(&folder.join(format!("images/a{index}.png")), SIDE, SIDE, &pixels, &[]).unwrap();
    }
}

#[test]
fn folders_are_compared_class_by_class() {
    let folder = Folder::with_data();
    pairs(&folder.path().join("real"), 4, 0);
    pairs(&folder.path().join("made"), 2, 40);
    let (real, made) = (folder.at("real"), folder.at("made"));
    let asked = ["fid", "calc", "--features", "lesion-radiomics", &real, &made, "--diversity-pairs", "0"];
    let said = json(&success(pig(&[&asked[..], &["--json"]].concat())));
    let distance = |class: &str| said["classes"][class]["distances"]["frechet"].as_f64().unwrap();
    let mean = said["mean_frechet_of_classes"].as_f64().unwrap();
    assert!((mean - f64::midpoint(distance("mass"), distance("calcification"))).abs() < 1e-9, "{said}");
    // The first picture has none of the second class.
    assert_eq!(said["classes"]["calcification"]["left_out"], serde_json::json!({ "reference": 1, "other": 1 }));
    let masks = said["appearance"]["classes"].as_array().unwrap();
    let area = |class: usize| masks[class]["masks"]["area"].as_f64().unwrap();
    // The first class is the same in both; of the second, generated lesions have half the area: 8 of 256 pixels less.
    assert_eq!((masks[0]["class"].as_str(), masks[1]["class"].as_str()), (Some("mass"), Some("calcification")));
    assert!(area(0).abs() < 1e-12 && (area(1) - 8.0 / 256.0).abs() < 1e-9, "{masks:?}");
    let text = stdout(&success(pig(&asked)));
    for words in ["Class mass:", "Frechet distance in the mean of classes", "class calcification:"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // By features of whole pictures, those that hold a class are compared: the first picture has none of the second.
    let whole = ["fid", "calc", "--features", "radiomics", &real, &made, "--diversity-pairs", "0"];
    let said = json(&success(pig(&[&whole[..], &["--json"]].concat())));
    let pictures = &said["pictures_by_class"];
    assert_eq!((&pictures["mass"]["reference"], &pictures["mass"]["other"]), (&4.into(), &4.into()));
    assert_eq!(pictures["mass"]["distances"], said["distances"], "every picture has a mass");
    assert_eq!((&pictures["calcification"]["reference"], &pictures["calcification"]["other"]), (&3.into(), &3.into()));
    assert_eq!(pictures["calcification"]["left_out"], serde_json::json!({ "reference": 1, "other": 1 }));
    assert_ne!(pictures["calcification"]["distances"], said["distances"]);
    assert_eq!((said.get("classes"), said.get("mean_frechet_of_classes")), (None, None));
    let warnings = said["warnings"].to_string();
    assert!(warnings.contains("class calcification: 3 and 3 pictures hold it, fewer than the"), "{warnings}");
    assert!(stdout(&success(pig(&whole))).contains("Pictures with the class calcification:"));
    // One lesion, if somebody says so.
    let one = json(&success(pig(&[&asked[..], &["--json", "--set", "data.mask_values=[1, 2]"]].concat())));
    assert_eq!(one.get("classes"), None);
    let one = json(&success(pig(&[&whole[..], &["--json", "--set", "data.mask_values=[1, 2]"]].concat())));
    assert_eq!(one.get("pictures_by_class"), None);
    // Copies of each class.
    let copies = [
        "fid",
        "copies",
        "--train",
        &real,
        "--held-out",
        &made,
        "--generated",
        &real,
        "--json",
        "--set",
        "data.size=16",
    ];
    let found = json(&success(pig(&copies)));
    let spaces: Vec<&str> =
        found["searches"].as_array().unwrap().iter().map(|search| search["space"].as_str().unwrap()).collect();
    assert_eq!(spaces, ["pixels", "masks", "masks of the class mass", "masks of the class calcification"]);
    // Masks of other classes are refused by name.
    let other = folder.path().join("other");
    pairs(&other, 4, 0);
    for index in 0..4 {
        let path = other.join(format!("masks/a{index}.png"));
        fs::write(&path, encode_label_png(&path, [SIDE, SIDE], &[1; SIDE * SIDE], &["cyst", "mass"], &[]).unwrap())
            .unwrap();
    }
    let refused = pig(&["fid", "calc", "--features", "lesion-radiomics", &real, &folder.at("other")]);
    assert!(stderr(&refused).contains("the classes cyst, mass; expected mass, calcification"), "{}", stderr(&refused));
}

/// The same pictures as [`pairs`] makes, with a mask of lesion for each class and a row for each mask. The files lie in one folder.
fn rows(folder: &Path, rows: usize, shift: usize) {
    let files = folder.join("files");
    fs::create_dir_all(&files).unwrap();
    let write = |name: &str, pixels: Vec<u8>| {
        write_gray_png(&files.join(name), SIDE, SIDE, &Pixels::Eight(pixels), &[]).unwrap();
    };
    let square = |from: usize, rows: usize| -> Vec<u8> {
        let inside = |i: usize| (from..from + rows).contains(&(i / SIDE)) && (2..6).contains(&(i % SIDE));
        (0..SIDE * SIDE).map(|i| if inside(i) { 255 } else { 0 }).collect()
    };
    let mut table = "image,mask,patient,kind\n".to_owned();
    for index in 0..4 {
        write(&format!("a{index}.png"), (0..SIDE * SIDE).map(|i| ((i + shift) * (index + 3) % 251) as u8).collect());
        write(&format!("m{index}.png"), square(2, 4));
        let _ = writeln!(table, "files/a{index}.png,files/m{index}.png,p{index},mass");
        if index > 0 {
            write(&format!("c{index}.png"), square(8, rows));
            let _ = writeln!(table, "files/a{index}.png,files/c{index}.png,p{index},calcification");
        }
    }
    fs::write(folder.join("manifest.csv"), table).unwrap();
}

/// Rows of an image are read as a training reads them: the numbers are those of the same label maps, and of the shapes.
#[test]
fn rows_of_one_image_are_measured_as_its_label_map_is() {
    let folder = Folder::with_data();
    rows(&folder.path().join("rows"), 4, 0);
    label_maps(&folder.path().join("truth"), 4);
    label_maps(&folder.path().join("pred"), 2);
    pairs(&folder.path().join("real"), 4, 0);
    fs::write(folder.path().join("real/manifest.csv"), "id,patient\na0,p0\na1,p1\na2,p2\na3,p3\n").unwrap();
    pairs(&folder.path().join("made"), 2, 40);
    let [by_rows, truth, pred, real, made] = ["rows", "truth", "pred", "real", "made"].map(|name| folder.at(name));
    let column = ["--set", "data.class_column=kind"];
    let evaluate = |truth: &str, more: &[&str]| {
        pig(&[&["segment", "evaluate", "--pred", &pred, "--truth", truth, "--json"], more].concat())
    };
    let output = success(evaluate(&by_rows, &column));
    let words = "3 of 4 image(s) have several rows in manifest.csv, 6 in all; the mask of each row keeps its class";
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
    let said = json(&output);
    let dice = |class: &str| said["classes"][class]["per_slice"]["dice"]["mean"].as_f64().unwrap();
    // Half of the second class is found: 2 x 8 / (8 + 16). The first picture has none of it.
    assert!((dice("mass") - 1.0).abs() < 1e-12 && (dice("calcification") - 2.0 / 3.0).abs() < 1e-12, "{said}");
    assert_eq!(said["classes"]["mass"]["groups"], 4, "patients come from the rows");
    let same = json(&success(evaluate(&truth, &[])));
    let (ours, theirs) = (&said["mean_dice"]["mean"], &same["mean_dice"]["mean"]);
    assert!((ours.as_f64().unwrap() - theirs.as_f64().unwrap()).abs() < 1e-12, "{ours} {theirs}");
    // Classes that exclude each other do not overlap, and a column must be there.
    let refused = |output: std::process::Output, words: &[&str]| {
        assert_eq!(output.status.code(), Some(1));
        assert!(words.iter().all(|words| stderr(&output).contains(words)), "{words:?}: {}", stderr(&output));
    };
    refused(
        evaluate(&by_rows, &["--set", "data.class_column=type"]),
        &["no column \"type\"", "image, mask, patient, kind"],
    );
    let one = folder.path().join("rows/manifest.csv");
    let table = fs::read_to_string(&one).unwrap();
    fs::write(&one, table.replace("files/c1.png", "files/m2.png")).unwrap();
    refused(evaluate(&by_rows, &column), &["m2.png: 16 pixel(s)", "the class \"mass\"", "data.classes_overlap = true"]);
    fs::write(&one, table).unwrap();

    let calc = |reference: &str, features: &str, more: &[&str]| {
        let asked = ["fid", "calc", "--features", features, reference, &made, "--diversity-pairs", "0", "--json"];
        json(&success(pig(&[&asked[..], more].concat())))
    };
    for features in ["lesion-radiomics", "radiomics"] {
        let (ours, theirs) = (calc(&by_rows, features, &column), calc(&real, features, &[]));
        assert_eq!(ours["distances"], theirs["distances"], "{features}");
        for class in ["mass", "calcification"] {
            let part = if features == "radiomics" { "pictures_by_class" } else { "classes" };
            assert_eq!(ours[part][class]["distances"], theirs[part][class]["distances"], "{features}, {class}");
            assert_eq!(ours[part][class]["left_out"], theirs[part][class]["left_out"], "{features}, {class}");
        }
        assert_eq!(ours["appearance"]["masks"], theirs["appearance"]["masks"], "{features}");
        assert!(ours["notes"].to_string().contains(words), "{}", ours["notes"]);
        assert_eq!(theirs["notes"], serde_json::json!([]));
    }
    let copies = ["fid", "copies", "--train", &by_rows, "--held-out", &made, "--generated", &by_rows];
    let asked = [&copies[..], &column].concat();
    let found = json(&success(pig(&[&asked[..], &["--json"]].concat())));
    let spaces: Vec<&str> =
        found["searches"].as_array().unwrap().iter().map(|search| search["space"].as_str().unwrap()).collect();
    assert_eq!(spaces, ["pixels", "masks", "masks of the class calcification", "masks of the class mass"]);
    // One folder holds both the training and the generated pictures, so its rows are said once.
    assert_eq!(found["notes"].as_array().unwrap().len(), 1, "{}", found["notes"]);
    let said = stderr(&success(pig(&asked)));
    assert!(said.contains(&format!("note: {by_rows}: {words}")), "{said}");
    assert!(!stderr(&success(pig(&[&asked[..], &["--quiet"]].concat()))).contains(words));
    let images = format!("{made}/images");
    let alone = ["fid", "copies", "--train", &by_rows, "--held-out", &images, "--generated", &by_rows];
    refused(pig(&[&alone[..], &["--set", "data.class_column=type"]].concat()), &["no column \"type\""]);
}

/// Settings of a segmenter that takes only moments.
const TINY: [&str; 7] = [
    "data.size=16",
    "data.validation_fraction=0.25",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=2",
    "segment.train.batch_size=2",
    "segment.train.validate_every=2",
];

#[test]
fn true_masks_of_rows_are_read_by_the_column_that_is_given() {
    let folder = Folder::new();
    pairs(&folder.path().join("real"), 4, 0);
    rows(&folder.path().join("rows"), 4, 0);
    let [real, by_rows, run] = ["real", "rows", "run"].map(|name| folder.at(name));
    let train = ["segment", "train", "--data", &real, "--out", &run];
    success(pig(&train.into_iter().chain(TINY.into_iter().flat_map(|set| ["--set", set])).collect::<Vec<_>>()));
    let predict = |out: &str, more: &[&str]| {
        let out = folder.at(out);
        let asked = ["segment", "predict", "--run", &run, "--data", &by_rows, "--out", &out, "--json"];
        pig(&[&asked[..], more].concat())
    };
    let found = json(&success(predict("shown", &["--set", "data.class_column=kind"])));
    assert_eq!((&found["pictures"], &found["unread_masks"]), (&4.into(), &0.into()));
    // Without the column, the masks are not read, and they are no pictures to predict for.
    assert_eq!(json(&success(predict("all", &[])))["pictures"], 4);
    // Only keys about masks can be given.
    let refused = predict("refused", &["--set", "data.size=8"]);
    let said = stderr(&refused);
    assert!(refused.status.code() == Some(1) && said.contains("`size`") && said.contains("`class_column`"), "{said}");
}

/// A run of one class by a column predicts masks of two values, as those of folders without the column are.
#[test]
fn one_class_of_a_column_is_all_lesion_elsewhere() {
    let folder = Folder::with_data();
    rows(&folder.path().join("rows"), 4, 0);
    let table = folder.path().join("rows/manifest.csv");
    let text = fs::read_to_string(&table).unwrap();
    let one: Vec<&str> = text.lines().filter(|line| !line.ends_with("calcification")).collect();
    fs::write(&table, one.join("\n")).unwrap();
    let truth = folder.path().join("truth");
    fs::create_dir_all(&truth).unwrap();
    for index in 0..4 {
        fs::copy(folder.path().join(format!("rows/files/m{index}.png")), truth.join(format!("a{index}.png"))).unwrap();
    }
    let [by_rows, truth, data, run] = ["rows", "truth", "data", "run"].map(|name| folder.at(name));
    let column = ["--set", "data.class_column=kind"];
    let train = ["segment", "train", "--data", &by_rows, "--out", &run];
    let sets = column.into_iter().chain(TINY.into_iter().flat_map(|set| ["--set", set]));
    success(pig(&train.into_iter().chain(sets).collect::<Vec<_>>()));
    let predict = |data: &str, out: &str| {
        json(&success(pig(&["segment", "predict", "--run", &run, "--data", data, "--out", out, "--json"])))
    };
    assert_eq!(predict(&data, &folder.at("elsewhere"))["unread_masks"], 0);
    let masks = folder.at("masks");
    assert_eq!(predict(&by_rows, &masks)["unread_masks"], 0);
    let evaluate = |truth: &str, more: &[&str]| {
        let asked = ["segment", "evaluate", "--pred", &masks, "--truth", truth, "--json"];
        json(&success(pig(&[&asked[..], more].concat())))
    };
    let (ours, theirs) = (evaluate(&by_rows, &column), evaluate(&truth, &[]));
    for measure in ["dice", "precision", "recall"] {
        let mean = |found: &serde_json::Value| found["per_slice"][measure]["mean"].clone();
        assert_eq!(mean(&ours), mean(&theirs), "{measure}");
    }
}

#[test]
fn shares_of_classes_need_a_count_and_a_name() {
    for (arguments, words) in [
        (&["--classes", "mass=40%"][..], "--count"),
        (&["--count", "4", "--classes", "mass"], "the share of a class"),
        (&["--count", "4", "--classes", "mass=140%"], "from 0 to 100 %"),
        (&["--count", "4", "--shard", "0/2", "--classes", "mass=40%"], "cannot be used with"),
    ] {
        let refused = pig(&[&["sample", "--run", "run", "--out", "out"], arguments].concat());
        assert!(refused.status.code() == Some(1) && stderr(&refused).contains(words), "{words}: {}", stderr(&refused));
    }
}
