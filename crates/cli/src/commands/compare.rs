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

/// The most values of a column that an error lists.
const MOST_LISTED: usize = 20;

/// What tells trainings apart: the columns of the fold (or draw), of the generator's and of the segmenter's seed. Empty if there is no such
/// column; if there are two, the values of both.
type Training = [String; 3];

/// The columns of [`Training`].
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
    let tables = [(&asked.first, &asked.first_arm, "--first-arm"), (&asked.second, &asked.second_arm, "--second-arm")]
        .map(|(path, arm, flag)| read(path, (arm.as_deref(), flag), &asked.rows, &asked.column));
    let [first, second] = tables;
    let (first, second) = (first?, second?);
    let both = [(&first, &asked.first), (&second, &asked.second)];
    check_cases(both)?;
    check_lesions(both)?;
    let groups = groups([&first, &second], asked)?;
    let has_groups = groups.values().all(|group| !group.is_empty());
    let patients = Patients(if has_groups { groups } else { BTreeMap::new() });
    let is_crossed = patients.check_folds([&first, &second], asked)?;
    let chosen = Chosen::new([&first, &second], &asked.column, is_crossed.then_some(&patients));
    let is_alike = vary_alike([&first, &second]);
    let arms = [&first, &second].map(|table| chosen.arm(table, &patients, is_alike));
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
        let unit = if has_groups { "patients" } else { "cases" };
        format!(
            "fewer than two {unit} have values of {:?} in both tables; an interval needs at least two",
            asked.column
        )
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
            "cases": if chosen.is_by_lesion { "lesion" } else { "both-values" }, "one_variance": is_alike,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(ExitCode::SUCCESS);
    }
    print(asked, &found, &chosen, has_groups, is_alike);
    if !has_groups && !args.machine.quiet {
        eprintln!(
            "warning: patients are not known for all cases (column group); if a patient has several slices, the interval and p are too small"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn print(asked: &Compare, found: &Contrast, chosen: &Chosen, has_groups: bool, is_alike: bool) {
    let (difference, test, is_by_training) = (found.difference, found.test, found.covers.len() > 1);
    let unit = if has_groups { "patients or groups" } else { "cases" };
    let arms = [(&asked.first, &asked.first_arm), (&asked.second, &asked.second_arm)];
    let width = asked.column.chars().count().max("difference".len()) + 2;
    for ((path, arm), mean) in arms.into_iter().zip(found.means) {
        let arm = arm.as_ref().map_or(String::new(), |arm| format!(" {arm}"));
        println!("{:<width$}{}  {}{arm}", asked.column, fixed(mean, 4), path.display());
    }
    if !asked.rows.is_empty() {
        println!("{:<width$}{}", "rows", described(&asked.rows));
    }
    let [middle, low, high] = [difference.mean, difference.low, difference.high].map(|value| signed(value, 4));
    println!("{:<width$}{middle} [{low}, {high}]", "difference");
    println!("{:<width$}{}", "p", if is_by_training { found.p_text() } else { test.p_text() });
    println!("{:<width$}{}", "detectable", fixed(found.detectable, 4));
    let arrangements = if test.exact { "all" } else { "random" };
    let which = if chosen.is_by_lesion { "cases with a lesion" } else { "cases with both values" };
    let is_by_fold = found.covers.contains(&Source::Folds);
    let variance = match (is_by_training && !is_by_fold, is_alike) {
        (false, _) => "",
        (true, true) => " Trainings of both tables are taken to vary alike.",
        (true, false) => " Each table has its own variance of trainings, since their numbers differ.",
    };
    println!(
        "\n{} {which}, {} left out; means within {unit}, then over {} {unit}. The 95 % bootstrap interval covers {}.{variance} Two-sided paired \
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
            let own_others = ours.trainings.iter().filter(same_fold).map(|other| (other, own));
            let mut others = theirs.trainings.iter().filter(same_fold).map(|other| (other, path)).peekable();
            ensure!(
                others.peek().is_some(),
                "{}: no row of the fold or draw {:?}, which {} has; measure both arms on the same folds",
                path.display(),
                training[0],
                own.display()
            );
            for ((name, other), path) in others.chain(own_others) {
                let lacking: Vec<&String> = cases.keys().filter(|id| !other.contains_key(*id)).collect();
                ensure!(
                    lacking.is_empty(),
                    "{}: no row with the id {:?} ({} case(s) of the other table are missing){}; measure both arms on the same cases",
                    path.display(),
                    lacking[0],
                    lacking.len(),
                    words(name)
                );
            }
        }
    }
    Ok(())
}

/// Which training it is, for messages; nothing if the table has one.
fn words(training: &Training) -> String {
    let named = ["fold", "generator_seed", "seed"].into_iter().zip(training).filter(|(_, value)| !value.is_empty());
    let named: Vec<String> = named.map(|(column, value)| format!("{column} {value:?}")).collect();
    if named.is_empty() { String::new() } else { format!(" in the training of {}", named.join(", ")) }
}

/// Refuses tables that disagree on which cases have a lesion: they were not measured on the same true masks.
fn check_lesions(tables: [(&Table, &std::path::PathBuf); 2]) -> anyhow::Result<()> {
    let mut known: BTreeMap<(&String, &String), bool> = BTreeMap::new();
    for (table, path) in tables {
        for (training, cases) in &table.trainings {
            for (id, case) in cases {
                let Some(lesion) = case.lesion else { continue };
                ensure!(
                    *known.entry((&training[0], id)).or_insert(lesion) == lesion,
                    "{}: {id:?} has {} lesion{}, but another row of it says the opposite; measure all rows on the same true masks",
                    path.display(),
                    if lesion { "a" } else { "no" },
                    words(training)
                );
            }
        }
    }
    Ok(())
}

/// The patient of each case. The tables may know the patients of different cases, but not different patients of a case.
fn groups(tables: [&Table; 2], asked: &Compare) -> anyhow::Result<BTreeMap<String, String>> {
    let [first, second] = tables;
    let mut groups = first.groups.clone();
    for (id, group) in &second.groups {
        let known = groups.entry(id.clone()).or_default();
        ensure!(
            known.is_empty() || group.is_empty() || known == group,
            "{}: {id:?} has the group {group:?}, but in {} it has {known:?}; expected the same patient in both",
            asked.second.display(),
            asked.first.display()
        );
        if known.is_empty() {
            known.clone_from(group);
        }
    }
    Ok(groups)
}

/// The patients of the cases; empty if they are not known, and every case is its own.
struct Patients(BTreeMap<String, String>);

impl Patients {
    fn of<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, String::as_str)
    }

    /// Whether all folds have the same patients. Refuses folds of which some share some of their patients: their patients are neither
    /// repeated measurements nor independent.
    fn check_folds(&self, tables: [&Table; 2], asked: &Compare) -> anyhow::Result<bool> {
        let mut folds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (training, cases) in tables.into_iter().flat_map(|table| &table.trainings) {
            folds.entry(&training[0]).or_default().extend(cases.keys().map(|id| self.of(id)));
        }
        let mut times: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (&fold, patients) in &folds {
            for &patient in patients {
                times.entry(patient).or_default().push(fold);
            }
        }
        let is_crossed = folds.len() > 1 && times.values().all(|own| own.len() == folds.len());
        let several: Vec<(&&str, &Vec<&str>)> = times.iter().filter(|(_, own)| own.len() > 1).collect();
        if let (false, Some((patient, own))) = (is_crossed, several.first()) {
            anyhow::bail!(
                "{}: {} of {} patients or groups are in several folds or draws, but not all in all of them: {patient:?} is in {} of {} \
                 ({}); expected either different patients in each fold, or the same ones in all; compare one fold after another",
                asked.first.display(),
                several.len(),
                times.len(),
                own.len(),
                folds.len(),
                own.join(", ")
            );
        }
        Ok(is_crossed)
    }
}

/// Whether the trainings of both tables share one variance. With equal numbers a common one gives right intervals even if one table varies
/// more, and more degrees of freedom; with other numbers it gives wrong ones. A table without repetitions can only borrow that of the other.
fn vary_alike(tables: [&Table; 2]) -> bool {
    let [first, second] = tables.map(|table| {
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        for training in table.trainings.keys() {
            *counts.entry(&training[0]).or_default() += 1;
        }
        counts
    });
    let repeats = |counts: &BTreeMap<&String, usize>| counts.values().any(|&count| count > 1);
    first == second || !repeats(&first) || !repeats(&second)
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
    /// With `crossed`, all folds have the same patients, and a patient counts who has cases in each of them.
    fn new(tables: [&Table; 2], column: &str, crossed: Option<&Patients>) -> Self {
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
        let all_cases = cases.union(&without).count();
        let mut cases = &cases - &without;
        if let Some(patients) = crossed {
            let folds: BTreeSet<&String> = all().map(|(training, _)| &training[0]).collect();
            let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (fold, id) in &cases {
                found.entry(patients.of(id).to_owned()).or_default().insert(fold.clone());
            }
            cases.retain(|(_, id)| found.get(patients.of(id)).is_some_and(|own| own.len() == folds.len()));
        }
        let left_out = all_cases - cases.len();
        Self { cases, left_out, is_by_lesion, labels }
    }

    /// The trainings of a table, with the means of each patient's chosen cases.
    fn arm<'t>(&self, table: &'t Table, patients: &'t Patients, is_alike: bool) -> Arm<'t> {
        let run = |(training, cases): (&Training, &'t BTreeMap<String, Case>)| {
            let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
            for (id, case) in cases {
                if let (Some(value), true) = (case.value, self.cases.contains(&(training[0].clone(), id.clone()))) {
                    let sum = sums.entry(patients.of(id)).or_default();
                    (sum.0, sum.1) = (sum.0 + value, sum.1 + 1.0);
                }
            }
            let named = (!training[1].is_empty()).then(|| self.labels[&training[1]]);
            let generator = named.or(table.has_generator.then_some(0));
            let values = sums.into_iter().map(|(group, (sum, count))| (group, sum / count)).collect();
            Run { fold: self.labels[&training[0]], generator, segmenter: self.labels[&training[2]], values }
        };
        Arm { runs: table.trainings.iter().map(run).collect(), is_alike }
    }
}

/// Reads the rows of an arm that have the values `wanted`; without an arm, those of the only one, if there is a column of arms.
fn read(
    path: &Path,
    (arm, flag): (Option<&str>, &str),
    wanted: &[(String, String)],
    column: &str,
) -> anyhow::Result<Table> {
    let missing = || DataError::io(path, "read")(io::ErrorKind::NotFound.into());
    let table = Manifest::read(path)?.ok_or_else(missing)?;
    let needed = |name: &str| table.column(name).ok_or_else(|| table.missing_column(name));
    let mut filters = Vec::new();
    for (name, value) in wanted {
        let column = needed(name)?;
        let found: BTreeSet<&str> = table.rows().map(|row| row.get(column)).collect();
        ensure!(
            found.iter().any(|&found| is_same(found, value)),
            "{}: no row has {value:?} in the column {name:?}; expected one of {}",
            path.display(),
            found.into_iter().take(MOST_LISTED).collect::<Vec<_>>().join(", ")
        );
        filters.push((column, value));
    }
    let rows = || table.rows().filter(|row| filters.iter().all(|&(column, value)| is_same(row.get(column), value)));
    ensure!(wanted.is_empty() || rows().next().is_some(), "{}: no row has {}", path.display(), described(wanted));
    let measure = table.column(column).ok_or_else(|| table.missing(column, "name one of them with --column"))?;
    let (id, value, group) = (needed("id")?, measure, table.column("group"));
    let arm_column = if arm.is_some() { Some(needed("arm")?) } else { table.column("arm") };
    let arms: BTreeSet<&str> = arm_column.map(|column| rows().map(|row| row.get(column)).collect()).unwrap_or_default();
    let known = arms.iter().copied().collect::<Vec<_>>().join(", ");
    let arm = match arm {
        None => {
            ensure!(
                arms.len() < 2,
                "{}: the rows are of several arms; choose one of {known} with {flag}",
                path.display()
            );
            arms.first().copied().filter(|arm| !arm.is_empty())
        }
        Some(arm) => {
            ensure!(arms.contains(arm), "{}: no row of the arm {arm:?}; expected one of {known}", path.display());
            Some(arm)
        }
    };
    let training = TRAINING.map(|names| names.iter().filter_map(|name| table.column(name)).collect::<Vec<_>>());
    let lesion = table.column("lesion");
    let pixels = table.column("true_positive").zip(table.column("false_negative"));
    let has_generator = arm.is_some_and(|arm| arm != REAL);
    let mut found = Table { trainings: BTreeMap::new(), groups: BTreeMap::new(), has_generator };
    for row in rows() {
        if arm_column.zip(arm).is_some_and(|(column, arm)| row.get(column) != arm) {
            continue;
        }
        let bad = |problem: String| DataError::BadManifest { path: path.to_path_buf(), line: row.line, problem };
        let text = row.get(value);
        let number = number(text).map_err(|expected| bad(format!("{column} is {text:?}; expected {expected}")))?;
        let has_lesion = match (lesion, pixels) {
            (Some(lesion), _) => Some(flag_of(row.get(lesion)).ok_or_else(|| {
                bad(format!("the column \"lesion\" is {:?}; expected true or false", row.get(lesion)))
            })?),
            (None, Some((hit, missed))) => {
                let count = |column| row.parse::<f64>(column, "a number of pixels");
                count(hit)?.zip(count(missed)?).map(|(hit, missed)| hit + missed > 0.0)
            }
            (None, None) => None,
        };
        let key = training
            .each_ref()
            .map(|columns| columns.iter().map(|&column| row.get(column)).collect::<Vec<_>>().join("/"));
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
                 trainings apart, an arm (--first-arm, --second-arm), or rows chosen by another column (--where COLUMN=VALUE)",
                row.get(id)
            ))
            .into());
        }
    }
    Ok(found)
}

/// The rows that are wanted, in words.
fn described(wanted: &[(String, String)]) -> String {
    wanted.iter().map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(" and ")
}

/// Whether a cell has the value that is wanted; 0.10 is 0.1.
fn is_same(cell: &str, wanted: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    cell == wanted || number(cell).zip(number(wanted)).is_some_and(|(cell, wanted)| cell == wanted)
}

/// True or false as pig, Python and R write it, or as 1 or 0; none for anything else.
fn flag_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
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
