//! `pig plan` and `pig train --plan-hours`: a training without a key, its forecast in the report, and a training that goes on.

mod common;

use common::{Folder, json, pig, stderr, stdout, success};

/// Twelve seconds of training: the networks for pictures of 16 x 16 are made small, everything else is planned.
const HOURS: &str = "0.003";

#[test]
fn a_plan_is_written_once_and_can_be_trained() {
    let folder = Folder::with_data();
    let (data, file) = (folder.at("data"), folder.at("plan.toml"));
    let output = success(pig(&["plan", &data, "--hours", HOURS, "--out", &file, "--json"]));
    let plan = json(&output);
    let keys: Vec<&str> = plan["settings"].as_array().unwrap().iter().map(|s| s["key"].as_str().unwrap()).collect();
    for key in ["data.size", "model_x.block_out_channels", "train.steps", "sample.sampler"] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    assert!(plan["networks"][0]["seconds_a_step"].as_f64().unwrap() > 0.0);
    assert!(stderr(&output).contains("then: pig train --config"), "{}", stderr(&output));
    let text = std::fs::read_to_string(&file).unwrap();
    success(pig(&["config", "check", "--config", &file]));
    let again = pig(&["plan", &data, "--hours", HOURS, "--out", &file]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is not overwritten"), "{}", stderr(&again));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    // Without a file, the plan is printed.
    let printed = stdout(&success(pig(&["plan", &data, "--hours", HOURS, "--workers", "1"])));
    assert!(printed.starts_with("# A plan for ") && printed.contains("with 1 thread: "), "{printed}");
    assert!(printed.contains("batch_size = 8 # the least that is planned"), "{printed}");
    assert_eq!(pig(&["plan", &data, "--hours", "0"]).status.code(), Some(1));
}

#[test]
fn a_planned_training_is_reported_beside_its_forecast_and_goes_on() {
    let folder = Folder::with_data();
    let (data, run, page) = (folder.at("data"), folder.at("run"), folder.at("report.html"));
    let arguments = ["train", "--plan-hours", HOURS, "--data", &data, "--out", &run, "--set", "train.preview_every=0"];
    let output = success(pig(&arguments));
    assert!(stderr(&output).contains("the plan:"), "{}", stderr(&output));
    success(pig(&["report", &run, "--out", &page, "--count", "2"]));
    let report = std::fs::read_to_string(&page).unwrap();
    // 0.003 hours are 0.18 minutes, of which a tenth is a margin.
    assert!(report.contains("pig plan forecast 0.16 minutes of training; it took "), "no forecast");

    let config = std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let steps: usize = config.lines().find_map(|line| line.strip_prefix("steps = ")).unwrap().parse().unwrap();
    let longer = (steps + 2).to_string();
    success(pig(&["train", "--resume", &run, "--steps", &longer]));
    let refused = pig(&["train", "--resume", &run, "--steps", &longer]);
    assert!(stderr(&refused).contains(&format!("more than its {longer} steps")), "{}", stderr(&refused));
    // --steps belongs to --resume.
    assert_eq!(pig(&["train", "--data", &data, "--out", &folder.at("other"), "--steps", "5"]).status.code(), Some(1));
}

/// The programs that plan around pig read these keys.
#[test]
fn a_dry_run_names_its_networks_for_programs() {
    let folder = Folder::with_data();
    let sets: Vec<&str> = common::TINY.iter().flat_map(|set| ["--set", *set]).collect();
    let (data, out) = (folder.at("data"), folder.at("run"));
    let arguments = [&["train", "--data", &data, "--out", &out, "--dry-run", "--json"][..], &sets].concat();
    let networks = json(&success(pig(&arguments)))["networks"].clone();
    assert_eq!((&networks[0]["name"], &networks[1]["name"]), (&"model_x".into(), &"model_y".into()));
    for key in ["parameters", "steps", "seconds_a_step"] {
        assert!(networks[0][key].as_f64().unwrap() > 0.0, "{key}");
    }
}
