//! Commands with networks, which train for a few steps.

use crate::{
    common::{Folder, json, pig, stderr, success},
    input::{assert_says, copied, copy, files, lesion, tiny},
};

const SEGMENTER: [&str; 6] = [
    "data.size=16",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=4",
    "segment.train.batch_size=2",
    "segment.train.validate_every=2",
];

/// The runs `generator` and `segmenter`, both trained on the pictures that an EXIF tag turns.
fn runs() -> Option<Folder> {
    let folder = copied("07-exif/rot90")?;
    let (data, generator, segmenter) = (folder.at("in"), folder.at("generator"), folder.at("segmenter"));
    let trained = success(tiny(&["train", "--data", &data, "--out", &generator], &[]));
    // Turned in training as in preparation, and said.
    assert_says(&stderr(&trained), &["4 of 4 images carry an orientation tag and were turned as it says"]);
    success(pig(&segment(&["segment", "train", "--data", &data, "--out", &segmenter])));
    Some(folder)
}

/// One training serves all of them.
#[test]
fn rows_07_08_and_37_commands_with_a_run() {
    let Some(runs) = runs() else { return };
    pictures_were_trained_on_as_their_tags_turn_them(&runs);
    a_cut_jpeg_is_an_error_in_predict(&runs);
    hidden_files_are_no_given_masks(&runs);
}

fn segment<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().copied().chain(SEGMENTER.iter().flat_map(|set| ["--set", set])).collect()
}

/// A training that is refused with all of `parts`, and leaves no run.
#[track_caller]
fn assert_refused(folder: &Folder, sets: &[&str], parts: &[&str]) {
    let output = tiny(&["train", "--data", &folder.at("in"), "--out", &folder.at("run")], sets);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_says(&stderr(&output), parts);
    assert!(!folder.path().join("run").exists());
}

/// The plan of a training in JSON, and what is said beside it.
fn plan(folder: &Folder, sets: &[&str]) -> (serde_json::Value, String) {
    let asked = ["train", "--data", &folder.at("in"), "--out", &folder.at("run"), "--dry-run", "--json"];
    let output = success(tiny(&asked, sets));
    (json(&output), stderr(&output))
}

fn pictures_were_trained_on_as_their_tags_turn_them(folder: &Folder) {
    // Turned the other way, height and width would not fit the masks. What was trained on is the contrast of the turned pictures.
    let asked = ["sample", "--run", &folder.at("generator"), "--out", &folder.at("pairs"), "--count", "4", "--json"];
    let real = json(&success(pig(&asked)))["agreement"]["real"].clone();
    let contrast = real["estimate"]["mean"].as_f64().unwrap();
    assert!((0.4..0.6).contains(&contrast), "lesions are brighter than what surrounds them by {contrast}");
}

#[test]
fn row_08_a_cut_jpeg_is_an_error_in_train() {
    let Some(folder) = copied("08-truncated/jpg") else { return };
    assert_refused(&folder, &[], &["images/cut.jpg", "the JPEG is not whole: it ends within its picture"]);
}

fn a_cut_jpeg_is_an_error_in_predict(runs: &Folder) {
    let Some(folder) = copied("08-truncated/jpg") else { return };
    let (run, out) = (runs.at("segmenter"), folder.at("predicted"));
    let output = pig(&["segment", "predict", "--run", &run, "--data", &folder.at("in"), "--out", &out]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_says(&stderr(&output), &["images/cut.jpg", "the JPEG is not whole: it ends within its picture"]);
    assert_eq!(files(folder.path(), "cut.png").len(), 1, "no mask but the given one");
    // Of what is whole, masks are predicted on the files' own grid.
    std::fs::remove_file(folder.path().join("in/images/cut.jpg")).unwrap();
    std::fs::remove_file(folder.path().join("in/masks/cut.png")).unwrap();
    let out = folder.at("again");
    success(pig(&["segment", "predict", "--run", &run, "--data", &folder.at("in"), "--out", &out]));
    assert_eq!(lesion(&folder.path().join("again/masks/ok.png")).len(), 128 * 128);
}

#[test]
fn row_24_patients_of_a_table_stay_on_one_side() {
    for name in ["semicolon", "blank"] {
        let Some(folder) = copied(&format!("24-csv/{name}")) else { return };
        let (plan, said) = plan(&folder, &[]);
        assert_says(&said, &["6 pairs in 3 groups", "manifest.csv", "the split is by the column \"patient\""]);
        assert_eq!(plan["pairs"], serde_json::json!({ "training": 4, "validation": 2 }), "{name}");
        assert_eq!(said.contains("1 empty row(s) of manifest.csv were left out"), name == "blank", "{said}");
    }
}

#[test]
fn row_01_masks_saved_as_jpeg_are_read_with_a_threshold() {
    let Some(folder) = copied("01-jpeg-masks/src") else { return };
    assert_refused(
        &folder,
        &[],
        &["masks/cju0.jpg", "found 25 value(s)", "set data.mask_threshold", "data.mask_values"],
    );
    let (plan, _) = plan(&folder, &["data.mask_threshold=128"]);
    assert_eq!(plan["pairs"], serde_json::json!({ "training": 5, "validation": 1 }));
    let data = folder.at("in");
    let evaluate = ["segment", "evaluate", "--pred", &data, "--truth", &data, "--json"];
    let output = pig(&evaluate);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&stderr(&output), &["masks/cju0.jpg", "set data.mask_threshold"]);
    assert!(!stderr(&output).contains("prepare."), "{}", stderr(&output));
    let said = json(&success(pig(&[&evaluate[..], &["--set", "data.mask_threshold=128"]].concat())));
    let found: Vec<&serde_json::Value> =
        said["per_case"].as_array().unwrap().iter().map(|case| &case["counts"]["true_positive"]).collect();
    assert_eq!(found, [797; 6]);
}

#[test]
fn row_11b_names_in_two_forms_of_unicode_pair_in_train() {
    let Some(folder) = copied("11b-nfd/src") else { return };
    let (plan, said) = plan(&folder, &[]);
    assert_says(&said, &["3 pairs in 3 groups"]);
    assert_eq!(plan["pairs"], serde_json::json!({ "training": 2, "validation": 1 }));
}

/// The given masks are the samples' masks, in the order of their names; what is no mask is left out and counted.
fn hidden_files_are_no_given_masks(runs: &Folder) {
    let Some(folder) = copied("37-given/m") else { return };
    let (run, masks, out) = (runs.at("generator"), folder.at("in"), folder.at("pairs"));
    // Files that are told by their content: a picture without an ending, and one that is none.
    copy(&folder.path().join("in/c.png"), &folder.path().join("in/d.0001"));
    std::fs::write(folder.path().join("in/e.dat"), "no picture").unwrap();
    let output = success(pig(&["sample", "--run", &run, "--given-mask", &masks, "--out", &out, "--json"]));
    assert_eq!((&json(&output)["made"], &json(&output)["pairs"]), (&4.into(), &4.into()));
    assert_says(&stderr(&output), &["--given-mask", "Left out: 2 hidden or a system's own, 1 that are no pictures."]);
    let sampled = |index: usize| lesion(&folder.path().join(format!("pairs/masks/{index:06}.png")));
    for (index, name) in [(0, "a.png"), (2, "c.png"), (3, "d.0001")] {
        // 64 to 16: lesion where at least half of four by four pixels is lesion.
        let whole = lesion(&folder.path().join("in").join(name));
        let count = |row: usize, column: usize| {
            (0..16).filter(|at| whole[(4 * row + at / 4) * 64 + 4 * column + at % 4]).count()
        };
        let expected: Vec<bool> = (0..256).map(|at| count(at / 16, at % 16) >= 8).collect();
        assert_eq!(sampled(index), expected, "{name}");
    }
    assert!(sampled(1).contains(&true), "b.png has the values 0 and 1");
    for name in ["a.png", "b.png", "c.png", "d.0001"] {
        std::fs::remove_file(folder.path().join("in").join(name)).unwrap();
    }
    let output = pig(&["sample", "--run", &run, "--given-mask", &masks, "--out", &folder.at("other")]);
    assert_eq!(output.status.code(), Some(1));
    let parts = ["--given-mask found no PNG, JPEG, TIFF or BMP file", "Left out: 2 hidden", "1 that are no pictures"];
    assert_says(&stderr(&output), &parts);
}

/// A folder of NAME.png beside NAME_mask.png.
fn beside() -> Option<Folder> {
    let folder = copied("24-csv/blank")?;
    for index in 0..6 {
        copy(&folder.path().join(format!("in/images/{index}.png")), &folder.path().join(format!("data/{index}.png")));
        copy(
            &folder.path().join(format!("in/masks/{index}.png")),
            &folder.path().join(format!("data/{index}_mask.png")),
        );
    }
    Some(folder)
}

#[test]
fn a_run_inside_its_data_folder_goes_on_and_is_no_data() {
    let Some(folder) = beside() else { return };
    let (data, run) = (folder.at("data"), folder.at("data/run"));
    let previews = ["train.preview_every=1", "method=joint"];
    success(tiny(&["train", "--data", &data, "--out", &run], &previews));
    assert!(!files(&folder.path().join("data/run"), ".png").is_empty(), "no previews: nothing is tested");
    let resumed = success(pig(&["train", "--resume", &run]));
    assert_says(&stderr(&resumed), &["6 pairs", "Left out: 1 runs of pig."]);
    let again = success(tiny(&["train", "--data", &data, "--out", &folder.at("data/second")], &previews));
    assert_says(&stderr(&again), &["6 pairs", "Left out: 1 runs of pig."]);
}

#[test]
fn data_that_moved_are_asked_for() {
    let Some(folder) = beside() else { return };
    let (data, run) = (folder.at("data"), folder.at("run"));
    success(tiny(&["train", "--data", &data, "--out", &run], &["method=joint"]));
    std::fs::rename(&data, folder.path().join("moved")).unwrap();
    let output = pig(&["train", "--resume", &run]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&stderr(&output), &[&data, "say where they are: --data DIR"]);
    success(pig(&["train", "--resume", &run, "--data", &folder.at("moved")]));
}

/// With 3 patients in 2 folds, one fold's training has a single patient: none is left to validate.
#[test]
fn three_patients_in_two_folds_are_refused_with_their_numbers() {
    let Some(folder) = copied("24-csv/semicolon") else { return };
    let asked = ["crossval", "--data", &folder.at("in"), "--out", &folder.at("out"), "--set", "crossval.folds=2"];
    let output = pig(&segment(&asked));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let parts =
        ["3 group(s) (by the column \"patient\") in 2 folds leave 1 beside the test set of fold 0", "at least 2"];
    assert_says(&stderr(&output), &parts);
    // Three folds leave two patients beside each test set.
    let asked = ["crossval", "--data", &folder.at("in"), "--out", &folder.at("out"), "--jobs", "--json"];
    let jobs = json(&success(pig(&segment(&[&asked[..], &["--set", "crossval.folds=3"]].concat()))));
    let folds: std::collections::BTreeSet<u64> =
        jobs.as_array().unwrap().iter().map(|job| job["fold"].as_u64().unwrap()).collect();
    assert_eq!(folds.len(), 3, "{jobs}");
}
