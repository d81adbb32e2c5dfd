//! Checks PAPER.md: every file, function and test that it names exists, every proof is a test, and every equation, algorithm
//! line, table and figure of the paper has a row.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn paper() -> String {
    std::fs::read_to_string(root().join("PAPER.md")).unwrap()
}

/// Every `path.rs::item` between backticks in `text`.
fn names(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once("::")).collect()
}

/// The cells of every table row of PAPER.md: [paper, what, code, proof].
fn rows(text: &str) -> Vec<[&str; 4]> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .filter_map(|line| line.split(" | ").collect::<Vec<_>>().try_into().ok())
        .filter(|cells: &[&str; 4]| cells[0] != "paper")
        .collect()
}

/// The text of a source file in `crates/`.
fn source(path: &str) -> String {
    let file = root().join("crates").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("PAPER.md names crates/{path}: {error}"))
}

/// Whether `source` defines a function or type called `item`.
fn defines(source: &str, item: &str) -> bool {
    ["fn", "struct", "enum", "trait"].iter().any(|keyword| {
        let definition = format!("{keyword} {item}");
        source.match_indices(&definition).any(|(at, _)| {
            source[at + definition.len()..].starts_with(|next: char| !next.is_alphanumeric() && next != '_')
        })
    })
}

/// Whether `source` defines a test called `item`.
fn tests(source: &str, item: &str) -> bool {
    source.split("#[test]").skip(1).any(|after| after.trim_start().starts_with(&format!("fn {item}()")))
}

#[test]
fn every_name_exists() {
    let text = paper();
    let mut sources = BTreeMap::new();
    let found = names(&text);
    assert!(found.len() > 80, "found only {} names in PAPER.md, expected more than 80", found.len());
    for (path, item) in found {
        let source = sources.entry(path).or_insert_with(|| source(path));
        assert!(defines(source, item), "PAPER.md names {item} in crates/{path}, which does not define it");
    }
}

#[test]
fn every_proof_is_a_test_and_every_row_has_one_or_says_why_not() {
    let text = paper();
    for [paper, _, code, proof] in rows(&text) {
        for (path, item) in names(proof) {
            assert!(tests(&source(path), item), "{paper}: {item} in crates/{path} is not a test");
        }
        let proven = !names(proof).is_empty() && !names(code).is_empty();
        let explained = paper == "Fig. 1";
        assert!(proven || explained, "{paper} has neither code with a test nor a reason for having none");
    }
    let (_, prose) = text.split_once("## What follows").unwrap();
    for (path, item) in names(prose) {
        assert!(tests(&source(path), item), "{item} in crates/{path} is not a test");
    }
}

#[test]
fn the_map_is_complete() {
    let text = paper();
    let found: BTreeSet<String> = rows(&text).iter().map(|cells| cells[0].to_owned()).collect();
    let mut wanted: Vec<String> = (1..=12).map(|i| format!("Eq. ({i})")).collect();
    wanted.extend((1..=9).flat_map(|i| [1, 2].map(|n| format!("Algorithm {n}, line {i}"))));
    wanted.extend(["Table 1", "Table 2", "Fig. 1", "Fig. 2", "Fig. 3"].map(str::to_owned));
    for row in wanted {
        assert!(found.contains(&row), "PAPER.md has no row for {row}");
    }
}

/// The checks above can fail.
#[test]
fn missing_names_are_noticed() {
    let source = "#[test]\nfn proven() {}\nfn helper_long() {}\nstruct Kind;\n";
    assert!(defines(source, "proven") && defines(source, "Kind") && defines(source, "helper_long"));
    assert!(!defines(source, "helper") && !defines(source, "Kin") && !defines(source, "absent"));
    assert!(tests(source, "proven") && !tests(source, "helper_long") && !tests(source, "prove"));
    assert_eq!(names("see `a/b.rs::c` and `d`, `e.rs::f`"), [("a/b.rs", "c"), ("e.rs", "f")]);
}
