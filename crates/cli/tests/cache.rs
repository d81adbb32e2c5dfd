//! Prepared pairs are kept between commands, listed and removed; what goes wrong with them is said.

mod common;

use common::{Folder, SIDE, command, json, picture, stderr, stdout, success};
use std::process::Output;

/// `pig train --dry-run` on eight pairs, which prepares them.
fn prepare(folder: &Folder, flags: &[&str]) -> Output {
    let (data, run) = (folder.at("data"), folder.at("run"));
    let arguments = ["train", "--data", &data, "--out", &run, "--dry-run"];
    let sets = common::TINY.iter().flat_map(|set| ["--set", set]);
    command(&arguments).args(sets).args(flags).env("PIG_CACHE_DIR", folder.at("cache")).output().unwrap()
}

fn cache(folder: &Folder, arguments: &[&str]) -> Output {
    command(&["cache"]).args(arguments).env("PIG_CACHE_DIR", folder.at("cache")).output().unwrap()
}

#[test]
fn pairs_are_prepared_once_listed_and_removed() {
    let folder = Folder::with_data();
    let said = stderr(&success(prepare(&folder, &[])));
    assert!(said.contains("the prepared pairs are kept in ") && said.contains(&folder.at("cache/pairs")), "{said}");
    assert!(stderr(&success(prepare(&folder, &[]))).contains("the prepared pairs are read from "));
    assert_eq!(stdout(&success(cache(&folder, &["dir"]))).trim(), folder.at("cache"));
    let listed = stdout(&success(cache(&folder, &["list"])));
    let of = format!("8 pairs of {SIDE} x {SIDE} of {}", folder.path().join("data").canonicalize().unwrap().display());
    assert!(
        listed.contains(&of) && listed.contains("last used 20") && listed.contains("1 set of prepared pairs"),
        "{listed}"
    );
    let entries = json(&success(cache(&folder, &["list", "--json"])));
    let entry = &entries["entries"][0];
    assert_eq!((&entry["of"]["pairs"], &entry["of"]["folder_exists"]), (&8.into(), &true.into()), "{entries}");
    assert!(entry["bytes"].as_u64().unwrap() > 1000 && entry["last_used"].is_string(), "{entries}");
    let kept = stdout(&success(cache(&folder, &["clear", "--older-than", "1"])));
    assert!(kept.contains("removed 0 sets") && kept.contains("1 set stay(s)"), "{kept}");
    let removed = stdout(&success(cache(&folder, &["clear"])));
    assert!(removed.contains("removed 1 set of prepared pairs"), "{removed}");
    assert!(stdout(&success(cache(&folder, &["list"]))).contains("0 sets of prepared pairs"));
}

#[test]
fn flags_choose_another_folder_or_none() {
    let folder = Folder::with_data();
    let said = stderr(&success(prepare(&folder, &["--no-cache"])));
    assert!(!said.contains("prepared pairs are") && !folder.path().join("cache").exists(), "{said}");
    let other = folder.at("other");
    let said = stderr(&success(prepare(&folder, &["--cache-dir", &other])));
    assert!(said.contains(&other) && !folder.path().join("cache").exists(), "{said}");
    let listed = json(&success(cache(&folder, &["list", "--json", "--cache-dir", &other])));
    assert_eq!(listed["entries"].as_array().unwrap().len(), 1);
    let data = folder.at("data");
    assert!(
        stdout(&success(cache(&folder, &["clear", "--cache-dir", &other, "--data", &data]))).contains("removed 1 set")
    );
    assert_eq!(prepare(&folder, &["--no-cache", "--cache-dir", &other]).status.code(), Some(1));
}

#[test]
fn what_is_wrong_with_the_cache_is_said() {
    let folder = Folder::with_data();
    success(prepare(&folder, &[]));
    let entries = json(&success(cache(&folder, &["list", "--json"])));
    let file = std::path::Path::new(entries["entries"][0]["path"].as_str().unwrap()).join("pairs.bin");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let said = stderr(&success(prepare(&folder, &[])));
    assert!(said.contains("warning: ") && said.contains("1 of its 8 pairs are damaged; it is made again"), "{said}");
    picture(&folder.path().join("data/images/a03.png"), SIDE, |x, y| (x * y) as u8);
    let said = stderr(&success(prepare(&folder, &[])));
    assert!(said.contains("1 of 8 pairs are new or have changed since it was made; it is made again"), "{said}");
    let blocked = folder.at("blocked");
    std::fs::write(&blocked, "no folder").unwrap();
    let said = stderr(&success(prepare(&folder, &["--cache-dir", &blocked])));
    assert!(said.contains("warning: the folder for prepared pairs") && said.contains("cannot be used"), "{said}");
}
