//! Experiments from end to end on phantoms, at the smoke budget: an interrupted experiment gives the same tables when it is continued, the
//! tables can be recomputed from the tables of cases, and pages need no other files.

mod common;

use common::{Folder, assert_script, interruptible, json, pig, stderr, success};
use pig_data::phantom::{PhantomConfig, write_dataset};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

/// A folder with phantoms in `data/`.
fn phantoms() -> Folder {
    let folder = Folder::new();
    let config = PhantomConfig { patients: 12, size: [32, 32], ..PhantomConfig::default() };
    write_dataset(&config, &folder.path().join("data"), &|_, _| {}).unwrap();
    folder
}

fn experiment(folder: &Folder, name: &str, out: &str, more: &[&str]) -> Vec<String> {
    let (data, out) = (folder.at("data"), folder.at(out));
    let fixed = ["experiment", name, "--data", &data, "--out", &out, "--budget", "smoke", "--quiet"];
    fixed.iter().chain(more).map(|&argument| argument.to_owned()).collect()
}

fn run(arguments: &[String]) -> std::process::Output {
    pig(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn read(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap()
}

/// A page needs no other files, and every table of measures has a definition of its numbers.
#[track_caller]
fn assert_page(path: &Path) {
    let page = std::fs::read_to_string(path).unwrap();
    for outside in ["http:", "https:", "<script", "src=\"/", "<link", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{}: {outside}", path.display());
    }
    let sections = page.matches("<section class=\"measures\">").count();
    assert!(sections > 0, "{}", path.display());
    let defined = page.split("<section class=\"measures\">").skip(1).filter(|section| {
        let text = section.split_once("definition\">").map_or("", |(_, rest)| rest.split('<').next().unwrap_or(""));
        text.len() > 40
    });
    assert_eq!(defined.count(), sections, "{}", path.display());
}

/// Mean over folds of the fold means of one column, in per cent, by training set: as a reader would compute it from the table of cases.
fn recomputed(cases: &str, column: &str) -> BTreeMap<String, String> {
    let mut lines = cases.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name: &str| head.iter().position(|other| *other == name).unwrap();
    let (arm, fold, value) = (place("arm"), place("fold"), place(column));
    let mut folds: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let values = folds.entry((cells[arm].to_owned(), cells[fold].to_owned())).or_default();
        values.extend(cells[value].parse::<f64>().ok());
    }
    let mut means: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for ((arm, _), values) in folds.into_iter().filter(|(_, values)| !values.is_empty()) {
        means.entry(arm).or_default().push(values.iter().sum::<f64>() / values.len() as f64);
    }
    means
        .into_iter()
        .map(|(arm, means)| (arm, format!("{:.2}", 100.0 * means.iter().sum::<f64>() / means.len() as f64)))
        .collect()
}

#[test]
fn table2_is_the_same_when_it_was_stopped_and_follows_from_its_cases() {
    let folder = phantoms();
    success(run(&experiment(&folder, "table2", "whole", &[])));
    let arguments = experiment(&folder, "table2", "parted", &[]);
    stopped(&arguments, &folder.path().join("parted/fold-0/generators"));
    success(run(&arguments));
    for file in ["cases.csv", "table.md", "table.tex", "results.json"] {
        assert_eq!(read(&folder, &format!("whole/{file}")), read(&folder, &format!("parted/{file}")), "{file}");
    }
    let (cases, table) = (read(&folder, "whole/cases.csv"), read(&folder, "whole/table.md"));
    let (_, paper) = table.split_once("As the paper prints it").unwrap();
    for (column, place) in [("dice", 3), ("iou", 4), ("precision", 5), ("recall", 6)] {
        for (arm, expected) in recomputed(&cases, column) {
            let line = paper.lines().find(|line| line.starts_with(&format!("| {arm} |"))).unwrap();
            let cell = line.split('|').nth(place).unwrap().trim();
            assert_eq!(cell.split(' ').next(), Some(expected.as_str()), "{arm} {column}");
        }
    }
    assert_eq!(recomputed(&cases, "dice").len(), 1 + 5 * 2 + 2);
    assert!(table.contains("pig-only-4 against pig-shuffled-4"), "{table}");
    assert_script(&folder.path().join("whole"));
    assert_page(&folder.path().join("whole/report.html"));
    let shown =
        json(&success(pig(&["report", &folder.at("whole"), "--data", &folder.at("data"), "--json", "--quiet"])));
    assert_eq!(shown["arms"].as_array().unwrap().len(), 13);
    let error = stderr(&run(&experiment(&folder, "table2", "whole", &["--set", "experiment.add=[3]"])));
    assert!(error.contains("whose settings differ"), "{error}");
    // fig3 can use what table2 trained.
    success(run(&experiment(&folder, "fig3", "fig3", &["--reuse", &folder.at("whole")])));
    assert!(!folder.path().join("fig3/fold-0/generators/pig").exists());
    assert_page(&folder.path().join("fig3/report.html"));
    let cases = read(&folder, "fig3/cases.csv");
    // Four pairs at eight timesteps; at the last timestep, the estimated mask is the finished mask.
    assert_eq!(cases.lines().count(), 1 + 4 * 8);
    let last: Vec<&str> = cases.lines().skip(1).filter(|line| line.split(',').nth(1) == Some("128")).collect();
    assert_eq!(last.len(), 4);
    assert!(last.iter().all(|line| matches!(line.split(',').nth(2), Some("1" | ""))), "{last:?}");
}

#[test]
fn few_patients_and_images_alone() {
    let folder = phantoms();
    success(run(&experiment(&folder, "low-data", "low", &[])));
    let table = read(&folder, "low/table.md");
    for start in ["| 25 | 1.0 |", "| 100 | "] {
        assert_eq!(table.lines().filter(|line| line.starts_with(start)).count(), 2, "{start}\n{table}");
    }
    assert_script(&folder.path().join("low"));
    assert_page(&folder.path().join("low/report.html"));

    let arguments = experiment(&folder, "table1", "table1", &[]);
    success(run(&arguments));
    let table = read(&folder, "table1/table.md");
    for row in [
        "| DDPM, 16 steps | all real lesion slices | 6 |",
        "| DDIM, 4 steps | held-out patients | 6 |",
        "| PIG, 8 steps |",
    ] {
        assert!(table.contains(row), "{row}\n{table}");
    }
    assert!(table.contains("NOT the FID") && table.contains("real against real"), "{table}");
    let csv = read(&folder, "table1/table.csv");
    success(run(&arguments));
    assert_eq!(read(&folder, "table1/table.csv"), csv);
    assert_page(&folder.path().join("table1/report.html"));
    let run_page = folder.at("run.html");
    success(pig(&[
        "report",
        &folder.at("table1/fold-0/generators/pig/run"),
        "--count",
        "4",
        "--out",
        &run_page,
        "--quiet",
    ]));
    assert_page(Path::new(&run_page));
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = phantoms();
    let output = success(run(&experiment(&folder, "table2", "out", &["--dry-run"])));
    let text = common::stdout(&output);
    assert!(
        text.contains("[crossval]") && text.contains("pig-add-4") && text.contains("numbers say nothing"),
        "{text}"
    );
    assert!(text.find("pig-add-4") < text.find("[crossval]"), "the configuration comes before the answer: {text}");
    assert!(!folder.path().join("out").exists());
    let output = run(&experiment(&folder, "table2", "out", &["--arm", "unknown"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("pig-generator"), "{}", stderr(&output));
    let error = stderr(&pig(&["report", &folder.at("data")]));
    assert!(error.contains("neither a run nor"), "{error}");
}

/// Starts a command and interrupts it with SIGINT once the path `sign` exists.
fn stopped(arguments: &[String], sign: &Path) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut child = interruptible(&arguments).spawn().unwrap();
    let since = Instant::now();
    while !sign.exists() && since.elapsed() < Duration::from_mins(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// A copy of committed results that docs/RESULTS.md describes, and the arguments of the call that continues them.
struct Committed {
    results: PathBuf,
    folder: Folder,
    call: Vec<String>,
}

impl Committed {
    /// None if the data of the results are not there.
    fn copy(name: &str, experiment: &[&str]) -> Option<Self> {
        let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let data = pig_testing::shared("data/lgg")?;
        let (results, folder) = (repository.join("results").join(name), Folder::new());
        copy(&results, folder.path());
        let common = ["--data", data.to_str().unwrap(), "--out", &folder.at(""), "--fold", "0", "--quiet"];
        let call = ["experiment"].iter().chain(experiment).chain(&common).map(|&word| word.to_owned()).collect();
        Some(Self { results, folder, call })
    }

    fn call(&self, more: &[&str]) -> Output {
        pig(&self.call.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
    }

    fn jobs(&self) -> String {
        String::from_utf8(success(self.call(&["--jobs"])).stdout).unwrap()
    }

    /// The tables are equal when they are made again from the pieces alone.
    #[track_caller]
    fn assert_same_tables(&self) {
        success(self.call(&["--arm", "real"]));
        for name in ["cases.csv", "table.md"] {
            let found = std::fs::read_to_string(self.folder.path().join(name)).unwrap();
            assert_eq!(found, std::fs::read_to_string(self.results.join(name)).unwrap(), "{name}");
        }
    }
}

#[test]
fn committed_results_are_gone_on_with() {
    let Some(committed) = Committed::copy("lgg-small", &["table2"]) else { return };
    let jobs = committed.jobs();
    let names = |folder: &Path| {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let segmenters = committed.results.join("fold-0/segmenters");
    let arms = names(&segmenters);
    assert!(arms.iter().any(|arm| arm == "real") && arms.iter().any(|arm| arm == "pig-add-0.29"), "{arms:?}");
    for arm in arms {
        for seed in names(&segmenters.join(&arm)) {
            let line = format!("done   --fold 0 --arm {arm} --seed {} ", seed.replace("seed-", ""));
            assert!(jobs.contains(&line), "{line:?} is missing in:\n{jobs}");
        }
    }
    committed.assert_same_tables();

    std::fs::remove_dir_all(committed.folder.path().join("fold-0/agreement/pig/seed-0")).unwrap();
    let refused = committed.call(&["--arm", "pig-agreement", "--seed", "0"]);
    assert_eq!(refused.status.code(), Some(1));
    let message = stderr(&refused);
    assert!(message.contains("segmenters/real/seed-0: ") && message.contains("run/ is missing"), "{message}");
    assert!(message.contains("remove the folder of the piece"), "{message}");
}

#[test]
fn committed_low_data_is_gone_on_with() {
    // They are of a version in which one patient could validate.
    let validating = "crossval.min_validation_patients=1";
    let shares = ["low-data", "--set", "experiment.shares=[0.1,0.25]", "--set", validating];
    let Some(committed) = Committed::copy("lgg-small-low-data", &shares) else { return };
    let jobs = committed.jobs();
    assert_eq!(jobs.lines().filter(|line| line.starts_with("done ")).count(), 20, "{jobs}");
    committed.assert_same_tables();
}
