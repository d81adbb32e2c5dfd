//! `pig compare` on tables that are easily read wrongly: several arms in one, folds that share patients, patients that one table alone
//! knows, lesions on which rows disagree, unequal numbers of trainings.

mod common;

use common::{Folder, json, pig, stderr, stdout, success};
use serde_json::Value;
use std::{fmt::Write as _, fs};

/// A table with the columns fold, seed, id, group and dice: folds with their patients, each with the trainings of `seeds`.
fn table(folder: &Folder, name: &str, folds: &[&[usize]], seeds: &[(usize, f64)], gain: f64) -> String {
    let mut text = "fold,seed,id,group,dice\n".to_owned();
    for (fold, patients) in folds.iter().enumerate() {
        for &(seed, level) in seeds {
            for &patient in *patients {
                let dice = 0.5 + gain + level + 0.01 * f64::from(u8::try_from((patient * 7 + seed * 3) % 5).unwrap());
                writeln!(text, "{fold},{seed},c{patient},p{patient},{dice}").unwrap();
            }
        }
    }
    fs::write(folder.path().join(name), text).unwrap();
    folder.at(name)
}

#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    let output = pig(&[&["compare"][..], arguments].concat());
    assert_eq!(output.status.code(), Some(1));
    for word in words {
        assert!(stderr(&output).contains(word), "{word:?}: {}", stderr(&output));
    }
}

fn compared(arguments: &[&str]) -> Value {
    json(&success(pig(&[&["compare"][..], arguments, &["--json"]].concat())))
}

#[test]
fn folds_share_all_patients_or_none() {
    let folder = Folder::new();
    let seeds = [(0, 0.0), (1, 0.02)];
    let both = |name: &str, folds: &[&[usize]]| {
        [("first", 0.01), ("second", 0.0)]
            .map(|(arm, gain)| table(&folder, &format!("{name}-{arm}.csv"), folds, &seeds, gain))
    };
    // Random test sets: before, patients that were not in all of them were left out in silence.
    let [first, second] = both("random", &[&[0, 1, 2, 3], &[2, 3, 4, 5], &[0, 3, 4, 5]]);
    let words = [
        "random-first.csv: 5 of 6 patients or groups are in several folds",
        "\"p0\" is in 2 of 3 (0, 2)",
        "the same ones in all",
    ];
    refused(&[&first, &second], &words);
    // A patient in two folds of a cross-validation: before, "only one patient has values".
    let [first, second] = both("leak", &[&[0, 1, 2, 3], &[3, 4, 5, 6]]);
    refused(&[&first, &second], &["1 of 7 patients or groups", "\"p3\" is in 2 of 2 (0, 1)"]);

    let [first, second] = both("crossed", &[&[0, 1, 2, 3], &[0, 1, 2, 3], &[0, 1, 2, 3]]);
    let said = compared(&[&first, &second]);
    assert_eq!((&said["difference"]["units"], &said["left_out"]), (&4.into(), &0.into()));
    // A patient without a value in one draw counts in none, and its cases are counted.
    let text = fs::read_to_string(&first).unwrap();
    let without: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("1,0,c2,p2,") {
            Some(_) => "1,0,c2,p2,".to_owned(),
            None => line.to_owned(),
        })
        .collect();
    fs::write(&first, without.join("\n")).unwrap();
    let said = compared(&[&first, &second]);
    assert_eq!(
        (&said["difference"]["units"], &said["difference"]["cases"], &said["left_out"]),
        (&3.into(), &9.into(), &3.into())
    );
    assert!((said["difference"]["mean"].as_f64().unwrap() - 0.01).abs() < 1e-12, "{said}");
}

#[test]
fn an_arm_is_chosen_and_a_single_one_is_known() {
    let folder = Folder::new();
    let mut text = "arm,id,group,dice\n".to_owned();
    for (arm, gain) in [("real", 0.0), ("more", 0.1)] {
        for case in 0..6 {
            writeln!(text, "{arm},c{case},p{case},{}", 0.5 + gain).unwrap();
        }
    }
    fs::write(folder.path().join("both.csv"), &text).unwrap();
    let more: Vec<&str> = text.lines().filter(|line| !line.starts_with("real")).collect();
    fs::write(folder.path().join("more.csv"), more.join("\n")).unwrap();
    let (both, more) = (folder.at("both.csv"), folder.at("more.csv"));
    refused(&[&both, &both], &["both.csv: the rows are of several arms; choose one of more, real with --first-arm"]);
    refused(&[&more, &both], &["choose one of more, real with --second-arm"]);
    let said = compared(&[&more, &both, "--second-arm", "real"]);
    assert_eq!(said["leaves_out"], serde_json::json!(["segmenters", "generators", "folds"]), "the arm has a generator");
}

/// The table of low-data, in which every share of the patients has its own trainings.
#[test]
fn rows_are_chosen_by_any_column() {
    let folder = Folder::new();
    let mut text = "share,arm,seed,id,group,dice\n".to_owned();
    for (share, gain) in [("0.1", 0.02), ("0.25", -0.03)] {
        for (arm, gain) in [("real", 0.0), ("more", gain)] {
            for (seed, case) in (0..2).flat_map(|seed| (0..6).map(move |case| (seed, case))) {
                writeln!(text, "{share},{arm},{seed},c{case},p{case},{}", 0.5 + gain).unwrap();
            }
        }
    }
    fs::write(folder.path().join("cases.csv"), text).unwrap();
    let cases = folder.at("cases.csv");
    let arms = [&cases[..], &cases, "--first-arm", "more", "--second-arm", "real"];
    let chosen = |rows: &[&'static str]| [&arms[..], rows].concat();
    refused(&arms, &["is in two rows", "--where COLUMN=VALUE"]);
    for (rows, mean) in [("share=0.1", 0.02), ("share=0.250", -0.03)] {
        let said = compared(&chosen(&["--where", rows]));
        assert!((said["difference"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{said}");
        assert_eq!(said["difference"]["cases"], 6);
    }
    let one = chosen(&["--where", "share=0.1", "--where", "seed=1"]);
    assert!(stdout(&success(pig(&[&["compare"][..], &one].concat()))).contains("share=0.1 and seed=1"));
    refused(&chosen(&["--where", "share=0.5"]), &["no row has \"0.5\" in the column \"share\"", "one of 0.1, 0.25"]);
    refused(&chosen(&["--where", "part=1"]), &["\"part\""]);
    refused(&chosen(&["--where", "share=0.1", "--where", "share=0.25"]), &["no row has share=0.1 and share=0.25"]);
}

#[test]
fn patients_of_either_table_are_those_of_both() {
    let folder = Folder::new();
    let write = |name: &str, has_groups: bool, gain: f64| {
        let mut text = if has_groups { "id,group,dice\n" } else { "id,dice\n" }.to_owned();
        for case in 0..12 {
            let group = if has_groups { format!(",p{}", case / 3) } else { String::new() };
            writeln!(text, "c{case}{group},{}", 0.5 + gain + 0.01 * f64::from(case % 4)).unwrap();
        }
        fs::write(folder.path().join(name), text).unwrap();
        folder.at(name)
    };
    let (with, without) = (write("with.csv", true, 0.1), write("without.csv", false, 0.0));
    for arguments in [[&with, &without], [&without, &with]] {
        let said = compared(&arguments.map(String::as_str));
        assert_eq!((&said["by_patient"], &said["difference"]["units"]), (&true.into(), &4.into()), "{arguments:?}");
    }
}

#[test]
fn lesions_are_told_once_and_in_the_words_of_python() {
    let folder = Folder::new();
    let write = |name: &str, lesion: &dyn Fn(usize) -> &'static str| {
        let mut text = "id,dice,lesion\n".to_owned();
        for case in 0..6 {
            writeln!(text, "c{case},0.5,{}", lesion(case)).unwrap();
        }
        fs::write(folder.path().join(name), text).unwrap();
        folder.at(name)
    };
    let pig = write("pig.csv", &|case| if case < 4 { "true" } else { "false" });
    for words in [["True", "False"], ["1", "0"]] {
        let python = write("python.csv", &|case| words[usize::from(case >= 4)]);
        let said = compared(&[&pig, &python]);
        assert_eq!((&said["cases"], &said["difference"]["cases"]), (&"lesion".into(), &4.into()), "{words:?}");
    }
    let other = write("other.csv", &|case| if case < 5 { "true" } else { "false" });
    refused(
        &[&pig, &other],
        &["other.csv: \"c4\" has a lesion, but another row of it says the opposite", "true masks"],
    );
    let blank = write("blank.csv", &|case| if case < 4 { "true" } else { "" });
    refused(&[&pig, &blank], &["blank.csv, line 6", "\"lesion\" is \"\"; expected true or false"]);
}

#[test]
fn unequal_numbers_of_trainings_have_a_variance_each() {
    let folder = Folder::new();
    let patients: &[usize] = &[0, 1, 2, 3, 4, 5];
    let calm =
        |count: usize| (0..count).map(|seed| (seed, if seed % 2 == 0 { 0.001 } else { -0.001 })).collect::<Vec<_>>();
    let six = table(&folder, "six.csv", &[patients], &calm(6), 0.0);
    let wild = table(&folder, "wild.csv", &[patients], &[(0, 0.2), (1, -0.2)], 0.0);
    let said = compared(&[&wild, &six]);
    assert_eq!(said["one_variance"], false);
    // Of two trainings whose means are 0.4 apart, the variance of the mean is 0.4^2 / 2 / 2, with one degree of freedom.
    let error = said["standard_error"].as_f64().unwrap();
    assert!((error - 0.2).abs() < 0.02, "{said}");
    assert!(said["degrees_of_freedom"].as_f64().unwrap() < 1.2, "{said}");
    let text = stdout(&success(pig(&["compare", &wild, &six])));
    assert!(text.contains("Each table has its own variance of trainings, since their numbers differ."), "{text}");
    // A table with one training takes the other's.
    let one = table(&folder, "one.csv", &[patients], &[(0, 0.0)], 0.0);
    let said = compared(&[&one, &six]);
    assert_eq!(
        (&said["one_variance"], &said["covers"]),
        (&true.into(), &serde_json::json!(["patients", "segmenters"]))
    );
}
