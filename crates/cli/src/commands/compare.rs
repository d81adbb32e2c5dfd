//! `pig compare`.

use crate::args::{Args, Compare};
use anyhow::{Context, ensure};
use pig_data::{error::DataError, manifest::Manifest};
use pig_metrics::{
    bootstrap::{Bootstrap, group_ids},
    fixed::{fixed, signed},
    permutation::{Permutations, paired_comparison},
};
use serde_json::json;
use std::{collections::BTreeMap, io, path::Path, process::ExitCode};

/// By id: the value of a case, none if the measure does not exist for it, and the patient, empty if unknown.
type Cases = BTreeMap<String, (Option<f64>, String)>;

/// What tables of other tools write where a case has no value, in lower case.
const NO_VALUE: [&str; 10] = ["", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "none", "null", "-"];

/// Compares two tables case by case.
pub(crate) fn run(args: &Args, asked: &Compare) -> anyhow::Result<ExitCode> {
    let (first, second) = (read(&asked.first, &asked.column)?, read(&asked.second, &asked.column)?);
    for (ours, theirs, path) in [(&first, &second, &asked.second), (&second, &first, &asked.first)] {
        let lacking: Vec<&String> = ours.keys().filter(|id| !theirs.contains_key(*id)).collect();
        ensure!(
            lacking.is_empty(),
            "{}: no row with the id {:?} ({} case(s) of the other table are missing); measure both arms on the same cases",
            path.display(),
            lacking[0],
            lacking.len()
        );
    }
    let values = |cases: &Cases| cases.values().map(|(value, _)| *value).collect::<Vec<_>>();
    let groups = groups(&first, &second, asked)?;
    let bootstrap = Bootstrap { seed: asked.seed, ..Bootstrap::default() };
    let permutations = Permutations { resamples: asked.permutations, seed: asked.seed };
    let (ours, theirs) = (values(&first), values(&second));
    let found = paired_comparison(&ours, &theirs, groups.as_deref(), &bootstrap, permutations).with_context(|| {
        format!("no case has a value of {:?} in both tables; choose another --column", asked.column)
    })?;
    let mean = |cases: &[Option<f64>]| {
        let with_both = cases.iter().enumerate().filter(|(at, _)| ours[*at].is_some() && theirs[*at].is_some());
        with_both.filter_map(|(_, value)| *value).sum::<f64>() / found.difference.cases as f64
    };
    let means = [mean(&ours), mean(&theirs)];
    if args.machine.json {
        let json = json!({
            "column": asked.column, "first": means[0], "second": means[1], "difference": found.difference, "test": found.test,
            "left_out": found.left_out, "by_patient": groups.is_some(),
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (difference, test) = (found.difference, found.test);
    let unit = if groups.is_some() { "patients or groups" } else { "cases" };
    for (path, mean) in [&asked.first, &asked.second].into_iter().zip(means) {
        println!("{:<12}{}  {}", asked.column, fixed(mean, 4), path.display());
    }
    let [middle, low, high] = [difference.mean, difference.low, difference.high].map(|value| signed(value, 4));
    println!("difference  {middle} [{low}, {high}]");
    println!("p           {:.4}", test.p_value);
    let arrangements = if test.exact { "all" } else { "random" };
    println!(
        "\n{} cases with both values, {} left out; 95 % bootstrap interval over {} {unit}; two-sided paired permutation test with {} \
         {arrangements} arrangements that exchange whole {unit}.",
        difference.cases, found.left_out, difference.units, test.arrangements
    );
    if groups.is_none() && !args.machine.quiet {
        eprintln!(
            "warning: patients are not known for all cases (column group); if a patient has several slices, the interval and p are too small"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The patients of the cases in order, if every case of the first table has one. The second table must have the same patients, or none.
fn groups(first: &Cases, second: &Cases, asked: &Compare) -> anyhow::Result<Option<Vec<usize>>> {
    if first.values().any(|(_, group)| group.is_empty()) {
        return Ok(None);
    }
    for (id, (_, group)) in first {
        let other = &second[id].1;
        ensure!(
            other.is_empty() || other == group,
            "{}: {id:?} has the group {other:?}, but in {} it has {group:?}; expected the same patient in both",
            asked.second.display(),
            asked.first.display()
        );
    }
    Ok(Some(group_ids(&first.values().map(|(_, group)| group).collect::<Vec<_>>())))
}

fn read(path: &Path, column: &str) -> anyhow::Result<Cases> {
    let missing = || DataError::io(path, "read")(io::ErrorKind::NotFound.into());
    let table = Manifest::read(path)?.ok_or_else(missing)?;
    let needed = |name: &str| table.column(name).ok_or_else(|| table.missing_column(name));
    let (id, value, group) = (needed("id")?, needed(column)?, table.column("group"));
    let mut cases = Cases::new();
    for row in table.rows() {
        let bad = |problem: String| DataError::BadManifest { path: path.to_path_buf(), line: row.line, problem };
        let text = row.get(value);
        let number = number(text).map_err(|expected| bad(format!("{column} is {text:?}; expected {expected}")))?;
        let group = group.map(|group| row.get(group).to_owned()).unwrap_or_default();
        if cases.insert(row.get(id).to_owned(), (number, group)).is_some() {
            return Err(bad(format!("the id {:?} is in two rows; expected one row for each case", row.get(id))).into());
        }
    }
    Ok(cases)
}

/// The value of a cell, none where it says that there is none. The error says what was expected.
fn number(text: &str) -> Result<Option<f64>, &'static str> {
    if NO_VALUE.contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    match with_point(text).parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err("a finite number, or nothing (an empty cell, nan, NA)"),
    }
}

/// Replaces a decimal comma, as in tables with semicolons, by a point. A comma that may separate thousands, as in 12,345, stays.
fn with_point(text: &str) -> String {
    match text.split_once(',') {
        Some((whole, decimals))
            if !whole.contains('.')
                && !decimals.contains([',', '.'])
                && (decimals.len() != 3 || whole.trim_start_matches(['-', '+']) == "0") =>
        {
            format!("{whole}.{decimals}")
        }
        _ => text.to_owned(),
    }
}
