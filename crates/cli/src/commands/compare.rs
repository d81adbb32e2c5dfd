//! `pig compare`.

use crate::args::{Args, Compare};
use anyhow::{Context, ensure};
use pig_data::{error::DataError, manifest::Manifest};
use pig_metrics::{
    bootstrap::Bootstrap,
    contrast::{Arm, Contrast, Run, Settings, Source, contrast},
    fixed::{fixed, signed},
    permutation::Permutations,
};
use pig_study::crossval::config::REAL;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    process::ExitCode,
};

/// What tables of other tools write where a case has no value, in lower case.
const NO_VALUE: [&str; 10] = ["", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "none", "null", "-"];

/// Measures of overlap: they are compared on the cases that have a lesion, if the table says which ones do, as only these have a value
/// whatever is predicted.
const OVERLAPS: [&str; 5] = ["dice", "iou", "precision", "recall", "surface_dice"];

/// What tells trainings apart: the columns of the fold (or draw), of the generator's and of the segmenter's seed. Empty if there is no such
/// column.
type Training = [String; 3];

/// The columns of [`Training`], and their other names.
const TRAINING: [&[&str]; 3] = [&["fold", "draw"], &["generator_seed"], &["seed", "segmenter_seed"]];

/// A case of one training.
struct Case {
    value: Option<f64>,
    /// Whether the true mask has a lesion, if the table says so.
    lesion: Option<bool>,
}

/// A table of cases.
struct Table {
    trainings: BTreeMap<Training, BTreeMap<String, Case>>,
    /// The patients of the cases, empty if unknown.
    groups: BTreeMap<String, String>,
    /// Whether the rows are of an arm with generated pairs, so that its generator's training matters even if no column names it.
    has_generator: bool,
}

/// Compares two tables case by case.
pub(crate) fn run(args: &Args, asked: &Compare) -> anyhow::Result<ExitCode> {
    let tables = [(&asked.first, &asked.first_arm), (&asked.second, &asked.second_arm)]
        .map(|(path, arm)| read(path, arm.as_deref(), &asked.column));
    let [first, second] = tables;
    let (first, second) = (first?, second?);
    check_cases([(&first, &asked.first), (&second, &asked.second)])?;
    let has_groups = has_groups(&first, &second, asked)?;
    let chosen = Chosen::new([&first, &second], &asked.column);
    let arms = [&first, &second].map(|table| chosen.arm(table, has_groups));
    let settings = Settings {
        bootstrap: Bootstrap { seed: asked.seed, ..Bootstrap::default() },
        permutations: Permutations { resamples: asked.permutations, seed: asked.seed, ..Permutations::default() },
    };
    ensure!(
        !chosen.cases.is_empty(),
        "no case has a value of {:?} in both tables; choose another --column",
        asked.column
    );
    let mut found = contrast(&arms[0], &arms[1], &[&arms[0], &arms[1]], &settings).with_context(|| {
        let unit = if has_groups { "patient" } else { "case" };
        format!("only one {unit} has values of {:?} in both tables; an interval needs at least two", asked.column)
    })?;
    found.difference.cases = chosen.cases.len();
    // Without repeated trainings, the exact test by patient says the same as the interval.
    let is_by_training = found.covers.len() > 1;
    let (p_value, p_is_bound) =
        if is_by_training { (found.p_value, found.p_is_bound) } else { (found.test.p_value, found.test.is_bound()) };
    if args.machine.json {
        let json = json!({
            "column": asked.column, "first": found.means[0], "second": found.means[1], "difference": found.difference,
            "test": found.test, "left_out": chosen.left_out, "by_patient": has_groups,
            "p_value": p_value, "p_is_bound": p_is_bound, "standard_error": found.standard_error,
            "degrees_of_freedom": found.degrees_of_freedom, "satterthwaite": found.satterthwaite,
            "detectable": found.detectable, "covers": found.covers, "leaves_out": found.leaves_out,
            "cases": if chosen.is_by_lesion { "lesion" } else { "both-values" },
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(ExitCode::SUCCESS);
    }
    print(asked, &found, &chosen, has_groups, is_by_training);
    if !has_groups && !args.machine.quiet {
        eprintln!(
            "warning: patients are not known for all cases (column group); if a patient has several slices, the interval and p are too small"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn print(asked: &Compare, found: &Contrast, chosen: &Chosen, has_groups: bool, is_by_training: bool) {
    let (difference, test) = (found.difference, found.test);
    let unit = if has_groups { "patients or groups" } else { "cases" };
    let arms = [(&asked.first, &asked.first_arm), (&asked.second, &asked.second_arm)];
    let width = asked.column.chars().count().max("difference".len()) + 2;
    for ((path, arm), mean) in arms.into_iter().zip(found.means) {
        let arm = arm.as_ref().map_or(String::new(), |arm| format!(" {arm}"));
        println!("{:<width$}{}  {}{arm}", asked.column, fixed(mean, 4), path.display());
    }
    let [middle, low, high] = [difference.mean, difference.low, difference.high].map(|value| signed(value, 4));
    println!("{:<width$}{middle} [{low}, {high}]", "difference");
    println!("{:<width$}{}", "p", if is_by_training { found.p_text() } else { test.p_text() });
    println!("{:<width$}{}", "detectable", fixed(found.detectable, 4));
    let arrangements = if test.exact { "all" } else { "random" };
    let which = if chosen.is_by_lesion { "cases with a lesion" } else { "cases with both values" };
    println!(
        "\n{} {which}, {} left out; means within {unit}, then over {} {unit}. The 95 % bootstrap interval covers {}. Two-sided paired \
         permutation test with {} {arrangements} arrangements that exchange whole {unit}, which covers them alone: p {}. Detectable is the \
         true difference that is found with a power of 80 % at 5 %.",
        difference.cases,
        chosen.left_out,
        difference.units,
        if has_groups { found.sources() } else { found.sources().replace(Source::Patients.word(), "cases") },
        test.arrangements,
        test.p_text(),
    );
}

/// Refuses tables that were not measured on the same cases: in each fold, every training needs every case.
fn check_cases(tables: [(&Table, &std::path::PathBuf); 2]) -> anyhow::Result<()> {
    for (here, there) in [(0, 1), (1, 0)] {
        let ((ours, own), (theirs, path)) = (tables[here], tables[there]);
        for (training, cases) in &ours.trainings {
            let same_fold = |(other, _): &(&Training, &BTreeMap<String, Case>)| other[0] == training[0];
            let own_others = ours.trainings.iter().filter(same_fold).map(|(_, cases)| (cases, own));
            let mut others = theirs.trainings.iter().filter(same_fold).map(|(_, cases)| (cases, path)).peekable();
            ensure!(
                others.peek().is_some(),
                "{}: no row of the fold or draw {:?}, which {} has; measure both arms on the same folds",
                path.display(),
                training[0],
                own.display()
            );
            for (other, path) in others.chain(own_others) {
                let lacking: Vec<&String> = cases.keys().filter(|id| !other.contains_key(*id)).collect();
                ensure!(
                    lacking.is_empty(),
                    "{}: no row with the id {:?} ({} case(s) of the other table are missing); measure both arms on the same cases",
                    path.display(),
                    lacking[0],
                    lacking.len()
                );
            }
        }
    }
    Ok(())
}

/// The cases that are compared.
struct Chosen {
    /// Fold and id of each.
    cases: BTreeSet<(String, String)>,
    left_out: usize,
    is_by_lesion: bool,
    /// Numbers for the labels of folds and seeds.
    labels: BTreeMap<String, u64>,
}

impl Chosen {
    fn new(tables: [&Table; 2], column: &str) -> Self {
        let all = || tables.into_iter().flat_map(|table| &table.trainings);
        let is_known = all().all(|(_, cases)| cases.values().all(|case| case.lesion.is_some()));
        let is_by_lesion = is_known && OVERLAPS.contains(&column);
        let (mut cases, mut without) = (BTreeSet::new(), BTreeSet::new());
        for (training, own) in all() {
            for (id, case) in own {
                let is_left_out = case.value.is_none() || is_by_lesion && case.lesion == Some(false);
                let set = if is_left_out { &mut without } else { &mut cases };
                set.insert((training[0].clone(), id.clone()));
            }
        }
        let labels: BTreeSet<&String> = all().flat_map(|(training, _)| training).collect();
        let labels = labels.into_iter().cloned().zip(0..).collect();
        let left_out = without.len();
        Self { cases: &cases - &without, left_out, is_by_lesion, labels }
    }

    /// The trainings of a table, with the means of each patient's chosen cases. Without patients, every case is one.
    fn arm<'t>(&self, table: &'t Table, has_groups: bool) -> Arm<'t> {
        let run = |(training, cases): (&Training, &'t BTreeMap<String, Case>)| {
            let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
            for (id, case) in cases {
                if let (Some(value), true) = (case.value, self.cases.contains(&(training[0].clone(), id.clone()))) {
                    let group = if has_groups { &table.groups[id] } else { id };
                    let sum = sums.entry(group).or_default();
                    (sum.0, sum.1) = (sum.0 + value, sum.1 + 1.0);
                }
            }
            let named = (!training[1].is_empty()).then(|| self.labels[&training[1]]);
            let generator = named.or(table.has_generator.then_some(0));
            let values = sums.into_iter().map(|(group, (sum, count))| (group, sum / count)).collect();
            Run { fold: self.labels[&training[0]], generator, segmenter: self.labels[&training[2]], values }
        };
        Arm { runs: table.trainings.iter().map(run).collect(), is_alike: true }
    }
}

/// Whether every case has a patient. The second table must have the same patients as the first, or none.
fn has_groups(first: &Table, second: &Table, asked: &Compare) -> anyhow::Result<bool> {
    if first.groups.values().any(String::is_empty) {
        return Ok(false);
    }
    for (id, group) in &first.groups {
        let other = second.groups.get(id).map_or("", String::as_str);
        ensure!(
            other.is_empty() || other == group,
            "{}: {id:?} has the group {other:?}, but in {} it has {group:?}; expected the same patient in both",
            asked.second.display(),
            asked.first.display()
        );
    }
    Ok(true)
}

fn read(path: &Path, arm: Option<&str>, column: &str) -> anyhow::Result<Table> {
    let missing = || DataError::io(path, "read")(io::ErrorKind::NotFound.into());
    let table = Manifest::read(path)?.ok_or_else(missing)?;
    let needed = |name: &str| table.column(name).ok_or_else(|| table.missing_column(name));
    let measure = table.column(column).ok_or_else(|| table.missing(column, "name one of them with --column"))?;
    let (id, value, group) = (needed("id")?, measure, table.column("group"));
    let arm = arm.map(|arm| Ok::<_, DataError>((needed("arm")?, arm))).transpose()?;
    let training = TRAINING.map(|names| names.iter().find_map(|name| table.column(name)));
    let lesion = table.column("lesion");
    let pixels = table.column("true_positive").zip(table.column("false_negative"));
    let has_generator = arm.is_some_and(|(_, arm)| arm != REAL);
    let mut found = Table { trainings: BTreeMap::new(), groups: BTreeMap::new(), has_generator };
    let mut arms = BTreeSet::new();
    for row in table.rows() {
        if let Some((column, arm)) = arm {
            arms.insert(row.get(column).to_owned());
            if row.get(column) != arm {
                continue;
            }
        }
        let bad = |problem: String| DataError::BadManifest { path: path.to_path_buf(), line: row.line, problem };
        let text = row.get(value);
        let number = number(text).map_err(|expected| bad(format!("{column} is {text:?}; expected {expected}")))?;
        let has_lesion = match (lesion, pixels) {
            (Some(lesion), _) => Some(row.parse::<bool>(lesion, "true or false")?.unwrap_or(false)),
            (None, Some((hit, missed))) => {
                let count = |column| row.parse::<f64>(column, "a number of pixels");
                Some(count(hit)?.unwrap_or(0.0) + count(missed)?.unwrap_or(0.0) > 0.0)
            }
            (None, None) => None,
        };
        let key = training.map(|column| column.map_or(String::new(), |column| row.get(column).to_owned()));
        let group = group.map(|group| row.get(group).to_owned()).unwrap_or_default();
        let name = row.get(id).to_owned();
        let known = found.groups.entry(name.clone()).or_insert_with(|| group.clone());
        if *known != group {
            return Err(bad(format!("{name:?} has the groups {known:?} and {group:?}; expected one patient")).into());
        }
        let cases = found.trainings.entry(key).or_default();
        if cases.insert(name, Case { value: number, lesion: has_lesion }).is_some() {
            return Err(bad(format!(
                "the id {:?} is in two rows; expected one row for each case, or columns fold, generator_seed and seed that tell \
                 trainings apart, or an arm (--first-arm, --second-arm)",
                row.get(id)
            ))
            .into());
        }
    }
    if let Some((_, arm)) = arm {
        let known = arms.into_iter().collect::<Vec<_>>().join(", ");
        ensure!(!found.trainings.is_empty(), "{}: no row of the arm {arm:?}; expected one of {known}", path.display());
    }
    Ok(found)
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
