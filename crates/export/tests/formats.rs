//! The content of the exports for training tools.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use common::{both, done, files, manifest, pair, request};
use pig_data::png_file::read_png;
use pig_data::{Pixels, split_by_group};
use pig_export::{Format, Request, Segmentation};
use serde_json::{Value, json};

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The patients of the real ids, and the generated ids.
fn who(out: &Path) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (real, generated): (Vec<_>, Vec<_>) = manifest(out).into_iter().partition(|row| row["origin"] == "real");
    let patients = real.into_iter().map(|row| (row["id"].clone(), row["patient"].clone())).collect();
    (patients, generated.into_iter().map(|row| row["id"].clone()).collect())
}

fn words(list: &Value) -> BTreeSet<String> {
    let words: Vec<String> = serde_json::from_value(list.clone()).unwrap();
    let set: BTreeSet<String> = words.iter().cloned().collect();
    assert_eq!(set.len(), words.len(), "a name occurs twice");
    set
}

#[test]
fn nnunet_has_labels_from_zero_and_splits_by_patient() {
    let (folder, generated, real) = both();
    let out = folder.path().join("Dataset007_Masses");
    let summary = done(&Request { real: Some(real), folds: 3, ..request(&generated, &out, Format::Nnunet) });
    let about = read_json(&out.join("dataset.json"));
    assert_eq!(about["channel_names"], json!({ "0": "image" }));
    assert_eq!(about["labels"], json!({ "background": 0, "lesion": 1 }));
    assert_eq!((&about["numTraining"], &about["file_ending"]), (&json!(18), &json!(".png")));
    let (patients, made) = who(&out);
    let all: BTreeSet<String> = patients.keys().chain(&made).cloned().collect();
    let expected: BTreeSet<String> = all
        .iter()
        .flat_map(|id| [format!("imagesTr/{id}_0000.png"), format!("labelsTr/{id}.png")])
        .chain(["dataset.json", "manifest.csv", "splits_final.json"].map(str::to_owned))
        .collect();
    assert_eq!(files(&out).into_keys().collect::<BTreeSet<_>>(), expected);
    let label = read_png(&out.join("labelsTr/real_p0000_cc.png")).unwrap();
    let Pixels::Eight(values) = label.pixels else { panic!("a 16-bit label") };
    assert!(values.iter().all(|&value| value < 2) && label.text["synthetic"] == "yes");
    let splits = read_json(&out.join("splits_final.json"));
    let mut validated = BTreeSet::new();
    for split in splits.as_array().unwrap() {
        let (training, validation) = (words(&split["train"]), words(&split["val"]));
        assert!(training.is_superset(&made) && training.is_disjoint(&validation));
        assert_eq!(training.union(&validation).cloned().collect::<BTreeSet<_>>(), all);
        let of = |ids: &BTreeSet<String>| ids.iter().filter_map(|id| patients.get(id)).collect::<BTreeSet<_>>();
        assert!(of(&training).is_disjoint(&of(&validation)), "a patient is in both training and validation");
        validated.extend(validation);
    }
    assert_eq!(splits.as_array().unwrap().len(), 3);
    assert_eq!(validated, patients.into_keys().collect());
    assert!(summary.notes[0].contains("nnUNet_preprocessed/Dataset007_Masses"));
    assert!(summary.warnings.iter().any(|warning| warning.contains("--splits")));
}

#[test]
fn nobody_validates_on_generated_pairs() {
    let (folder, generated, _) = both();
    let out = folder.path().join("out");
    let summary = done(&request(&generated, &out, Format::Nnunet));
    assert!(!out.join("splits_final.json").exists());
    for words in ["too few for a validation part", "Dataset101_Lesions"] {
        assert!(summary.warnings.iter().any(|warning| warning.contains(words)), "{:?}", summary.warnings);
    }
    let out = folder.path().join("monai");
    done(&request(&generated, &out, Format::Monai));
    let list = read_json(&out.join("datalist.json"));
    assert_eq!((list["training"].as_array().unwrap().len(), &list["validation"]), (10, &json!([])));
}

#[test]
fn the_split_of_a_run_can_be_kept() {
    let (folder, generated, real) = both();
    let dataset = pig_data::Dataset::discover(&real, &pig_data::DataConfig::default()).unwrap();
    let split = split_by_group(&dataset, 0.25, 9).unwrap();
    let path = folder.path().join("splits.json");
    split.save(&path).unwrap();
    let out = folder.path().join("out");
    let joined = Request { real: Some(real), splits: Some(path), ..request(&generated, &out, Format::Monai) };
    let summary = done(&joined);
    let list = read_json(&out.join("datalist.json"));
    let validation: BTreeSet<String> = list["validation"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["image"].as_str().unwrap().replace("images/real_", "").replace(".png", ""))
        .collect();
    assert_eq!(validation, split.validation.into_iter().collect());
    assert!(!summary.warnings.iter().any(|warning| warning.contains("--splits")));
    // A split of other data is refused.
    let other = common::phantoms(&folder.path().join("other"), 3, 4);
    let error = common::run(&Request { real: Some(other), out: folder.path().join("x"), ..joined }).unwrap_err();
    assert!(error.to_string().contains("the split does not fit"), "{error}");
}

#[test]
fn monai_lists_files_that_are_there() {
    let (folder, generated, real) = both();
    let out = folder.path().join("out");
    done(&Request { real: Some(real), ..request(&generated, &out, Format::Monai) });
    let list = read_json(&out.join("datalist.json"));
    let mut seen = 0;
    for part in ["training", "validation"] {
        for item in list[part].as_array().unwrap() {
            seen += 1;
            assert!(part == "training" || item["origin"] == "real");
            for key in ["image", "label"] {
                let path = item[key].as_str().unwrap();
                assert!(!path.starts_with('/') && out.join(path).is_file());
            }
        }
    }
    assert_eq!((seen, &list["numTraining"], &list["numValidation"]), (18, &json!(16), &json!(2)));
}

#[test]
fn coco_has_an_instance_for_each_component() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // A 2 x 2 square, and a ring of 3 x 3 around a hole.
    let inside =
        |x: usize, y: usize| (x < 2 && y < 2) || ((4..7).contains(&x) && (2..5).contains(&y) && (x, y) != (5, 3));
    pair(&data, "a", [8, 6], &[("synthetic", "yes")], |x, _| x as u16, inside);
    pair(&data, "b", [8, 6], &[("synthetic", "yes")], |x, _| x as u16, |_, _| false);
    let read = |name: &str, segmentation| {
        let out = folder.path().join(name);
        done(&request(&data, &out, Format::Coco { segmentation }));
        read_json(&out.join("annotations.json"))
    };
    let (rle, polygon) = (read("rle", Segmentation::Rle), read("polygon", Segmentation::Polygon));
    for file in [&rle, &polygon] {
        assert_eq!(file["categories"], json!([{ "id": 1, "name": "lesion", "supercategory": "finding" }]));
        let images = file["images"].as_array().unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(
            images[0],
            json!({
                "id": 1, "file_name": "images/a.png", "width": 8, "height": 6, "origin": "generated", "synthetic": true
            })
        );
        let facts: Vec<Value> = file["annotations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| json!([a["id"], a["image_id"], a["area"], a["bbox"], a["category_id"], a["iscrowd"]]))
            .collect();
        assert_eq!(facts, [json!([1, 1, 4, [0, 0, 2, 2], 1, 0]), json!([2, 1, 8, [4, 2, 3, 3], 1, 0])]);
    }
    // Runs 0 2 4 2 40: the text of each count itself up to the third, then of the difference to the count two places before.
    assert_eq!(rle["annotations"][0]["segmentation"], json!({ "size": [6, 8], "counts": "0240T1" }));
    let polygons = polygon["annotations"][1]["segmentation"].clone();
    assert_eq!(polygons, json!([[4, 2, 7, 2, 7, 3, 4, 3], [4, 3, 5, 3, 5, 4, 6, 4, 6, 3, 7, 3, 7, 5, 4, 5]]));
}

#[test]
fn shards_hold_whole_samples_without_owner_or_time() {
    let (folder, generated, real) = both();
    let out = folder.path().join("out");
    let shards = Format::Webdataset { shard_size: 7 };
    done(&Request { real: Some(real), ..request(&generated, &out, shards) });
    let rows: BTreeMap<String, BTreeMap<String, String>> =
        manifest(&out).into_iter().map(|row| (row["id"].clone(), row)).collect();
    let mut keys = Vec::new();
    for (name, count) in [("pairs-000000.tar", 7), ("pairs-000001.tar", 7), ("pairs-000002.tar", 4)] {
        let mut archive = tar::Archive::new(std::fs::File::open(out.join(name)).unwrap());
        let mut members = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
            assert_eq!(header.mode().unwrap(), 0o644);
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            members.push((path, bytes));
        }
        assert_eq!(members.len(), 3 * count);
        for sample in members.chunks(3) {
            let about: Value = serde_json::from_slice(&sample[2].1).unwrap();
            let id = about["id"].as_str().unwrap();
            let names: Vec<&str> = sample.iter().map(|(name, _)| name.strip_prefix(id).unwrap()).collect();
            assert_eq!(names, [".image.png", ".mask.png", ".json"]);
            assert_eq!(about["origin"].as_str().unwrap(), rows[id]["origin"]);
            assert_eq!(rows[id]["image"], format!("{name}/{id}.image.png"));
            assert_eq!(about["text"]["synthetic"], "yes");
            keys.push(id.to_owned());
        }
    }
    assert_eq!(keys.iter().cloned().collect::<BTreeSet<_>>(), rows.into_keys().collect());
    assert!(!keys.is_sorted(), "samples are shuffled");
}
