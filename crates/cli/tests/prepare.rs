//! `pig prepare` and `pig inspect` on the command line: what they print, what they write, their exit codes.

mod common;

use common::{TINY, json, pig, stdout, success};
use std::path::Path;

/// Pictures with masks. If `broken`, one of the pictures cannot be read.
fn source(root: &Path, broken: bool) {
    for folder in ["images", "masks"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for name in ["a", "b", "c"] {
        let side = 40_u32;
        let shade = name.as_bytes()[0];
        let image: Vec<u8> = (0..side * side).map(|i| (i % 200) as u8 ^ shade).collect();
        let mask: Vec<u8> = (0..side * side).map(|i| if i % side > 20 && i / side > 25 { 255 } else { 0 }).collect();
        for (folder, values) in [("images", image), ("masks", mask)] {
            let path = root.join(folder).join(format!("{name}.png"));
            image::save_buffer(path, &values, side, side, image::ColorType::L8).unwrap();
        }
    }
    if broken {
        std::fs::write(root.join("images/b.png"), "no picture").unwrap();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_prepared_folder_is_what_train_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("source"), folder.path().join("out"));
    source(&from, false);
    let made = stdout(&success(pig(&["prepare", text(&from), text(&out), "--set", "prepare.size=32"])));
    assert!(made.contains("3 pairs of 3 image(s)"), "{made}");
    let again = json(&success(pig(&["prepare", text(&from), text(&out), "--set", "prepare.size=32", "--json"])));
    assert_eq!((&again["kept"], &again["description"]["pairs"]), (&3.into(), &3.into()));
    let run = folder.path().join("run");
    let mut arguments = vec!["train", "--data", text(&out), "--out", text(&run), "--dry-run", "--json"];
    arguments.extend(TINY.iter().flat_map(|set| ["--set", *set]));
    let plan = json(&success(pig(&arguments)));
    assert_eq!(plan["pairs"], serde_json::json!({ "training": 2, "validation": 1 }));
}

#[test]
fn bad_files_and_bad_words_end_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("source"), folder.path().join("out"));
    source(&from, true);
    let output = pig(&["prepare", text(&from), text(&out), "--set", "prepare.size=32"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("2 pairs"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("images/b.png") && errors.contains("errors.csv"), "{errors}");
    assert!(std::fs::read_to_string(out.join("errors.csv")).unwrap().contains("images/b.png"));
    let strict = folder.path().join("strict");
    let output = pig(&["prepare", text(&from), text(&strict), "--strict"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!strict.join("manifest.csv").exists());
    for (set, word) in [("prepare.sise=3", "did you mean `size`"), ("prepare.bit_depth=12", "expected 8 or 16")] {
        let output = pig(&["prepare", text(&from), text(&folder.path().join("x")), "--set", set]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && errors.contains(word), "{errors}");
    }
    let output = pig(&["inspect", text(&from)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("unreadable: 1"));
}

#[test]
fn inspect_prints_a_table_json_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("source");
    source(&from, false);
    let page = folder.path().join("page.html");
    let table = stdout(&success(pig(&["inspect", text(&from), "--page", text(&page)])));
    assert!(table.contains("40 x 40: 3") && table.contains("lesions per image 1: 3"), "{table}");
    assert!(std::fs::read_to_string(&page).unwrap().contains("<img "));
    let report = json(&success(pig(&["inspect", text(&from), "--json", "--layout", "generic"])));
    assert_eq!(report["lesion_pixels"]["median"], 19.0 * 14.0);
    let tags = json(&success(pig(&["inspect", text(&from), "--privacy", "--json"])));
    let left_out = serde_json::json!({ "file(s) that are not DICOM by their content": 6 });
    assert_eq!(tags, serde_json::json!({ "files": 0, "tags": [], "unreadable": [], "left_out": left_out }));
}

#[cfg(unix)]
#[test]
fn many_dicom_files_need_few_handles() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("source");
    std::fs::create_dir_all(&from).unwrap();
    for index in 0..300 {
        let file = common::dicom(&format!("1.2.3.{index}"), &[]);
        std::fs::write(from.join(format!("{index}.dcm")), file).unwrap();
    }
    let script = format!("ulimit -n 100; exec {} inspect {} --json", env!("CARGO_BIN_EXE_pig"), from.display());
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let report = json(&success(output));
    assert_eq!((&report["cases"], report["unreadable"].as_array().unwrap().len()), (&300.into(), 0));
}
