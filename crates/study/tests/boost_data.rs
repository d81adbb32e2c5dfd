//! `pig boost` and what it finds: patients without a lesion, pictures that were changed, an answer that holds or does not, another process.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{Cached, SIDE, StopAt, config, device, folder};
use pig_data::{Pixels, Splits, png_file::write_png};
use pig_device::testing;
use pig_metrics::contrast::expected::{Design, expected};
use pig_study::{
    boost::{CROSSVAL, Findings, PAGE, PLAN, Plan, Request, VARIATION, VERDICT, boost, planned},
    crossval::{Crossval, CrossvalFile},
};
use pig_train::{config::Layers, observer::Silent};
use std::path::{Path, PathBuf};

/// One of three folds, tiny networks, and one way to use pairs.
const CROSSVAL_FILE: &str = r#"
[data]
size = 16
validation_fraction = 0.25

[segment.network]
block_out_channels = [8, 16]
norm_num_groups = 4

[segment.train]
steps = 10
batch_size = 4
validate_every = 5

[crossval]
folds = 3
segmenter_seeds = [0, 1]

[[crossval.arms]]
name = "pig"
config = "generator.toml"
add = [2]
"#;

/// A request that follows a plan of seconds.
fn request(folder: &Path) -> Request {
    let mut generator = config(&["train.steps=4"]);
    (generator.sample.num_inference_steps, generator.sample.batch_size) = (4, 2);
    let crossval: CrossvalFile = toml::from_str(CROSSVAL_FILE).unwrap();
    let plan = Plan {
        program: "by hand".to_owned(),
        hours: 0.5,
        folds: 1,
        seconds: [1.0; 4],
        patients: [6, 2, 4],
        detectable: None,
        training_pairs: None,
        speeds: None,
        findings: Findings::default(),
        crossval,
        generator: generator.to_toml(),
    };
    let given = folder.join("by-hand");
    plan.write(&given).unwrap();
    Request { data: folder.join("data"), hours: None, size: None, plan: Some(given), out: folder.join("out") }
}

/// What page and verdict hold, and when they were written.
fn answer(out: &Path) -> [(Vec<u8>, std::time::SystemTime); 2] {
    [PAGE, VERDICT].map(|name| {
        let path = out.join(name);
        (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().modified().unwrap())
    })
}

fn refused(request: &Request) -> String {
    boost(request, &device(), &Silent).unwrap_err().to_string()
}

/// The same call on a finished folder changes nothing and says so, unless the pictures were changed, which it refuses.
#[test]
fn a_finished_boost_stays_as_it_is_and_refuses_changed_pictures() {
    if testing::skips("exact reproducibility of predictions is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let request = request(folder.path());
    boost(&request, &device(), &Silent).unwrap().unwrap();
    let before = answer(&request.out);
    let observer = Cached::new(&folder.path().join("cache"));
    let again = boost(&request, &device(), &observer).unwrap().unwrap();
    assert_eq!(answer(&request.out), before);
    let said = observer.said.lock().unwrap().join("\n");
    assert!(said.contains("all is done and nothing changed") && again.page.is_file(), "{said}");

    let fold = Splits::load(&request.out.join(CROSSVAL).join("fold-0/splits.json")).unwrap();
    for (part, id) in [("images", &fold.test[0]), ("masks", &fold.test[1]), ("masks", &fold.training[0])] {
        let path = request.data.join(part).join(format!("{id}.png"));
        let original = std::fs::read(&path).unwrap();
        write_png(&path, [SIDE, SIDE], 1, &Pixels::Eight(vec![0; SIDE * SIDE]), &[]).unwrap();
        let message = refused(&request);
        assert!(message.contains(&format!("{} has changed", path.display())), "{message}");
        std::fs::write(&path, original).unwrap();
    }
    // A page that is gone is made again, and a page that says something else.
    std::fs::remove_file(request.out.join(PAGE)).unwrap();
    boost(&request, &device(), &Silent).unwrap().unwrap();
    std::fs::write(request.out.join(PAGE), "something else").unwrap();
    boost(&request, &device(), &Silent).unwrap().unwrap();
    assert!(std::fs::read_to_string(request.out.join(PAGE)).unwrap().contains("Do not use generated pairs"));
}

/// While an edited plan is under way, nothing in the folder looks like its answer.
#[test]
fn an_answer_of_a_former_plan_is_set_aside_before_the_work_begins() {
    let folder = folder();
    let request = Request { plan: None, ..request(folder.path()) };
    let given = Request { plan: Some(folder.path().join("by-hand")), ..request.clone() };
    boost(&given, &device(), &Silent).unwrap().unwrap();
    let read = |name: &str| std::fs::read(request.out.join(name)).unwrap();
    let is_there = |name: &str| request.out.join(name).exists();
    let first = [read(PAGE), read(VERDICT)];
    let edit = |seeds: &str| {
        let text = CROSSVAL_FILE.replace("segmenter_seeds = [0, 1]", &format!("segmenter_seeds = {seeds}"));
        std::fs::write(request.out.join(PLAN).join("crossval.toml"), text).unwrap();
    };
    // What cannot be done takes the place of nothing.
    edit("[0, 1]\nseed = 1");
    assert!(refused(&request).contains("crossval.seed"));
    assert_eq!([read(PAGE), read(VERDICT)], first);

    // One more segmenter of each training set. Folders of the user's own stay.
    std::fs::create_dir(request.out.join("best")).unwrap();
    edit("[0, 1, 2]");
    assert!(boost(&request, &device(), &StopAt::new("segmenter", 4)).unwrap().is_none());
    assert!(!is_there(PAGE) && !is_there(VERDICT) && is_there("best"));
    assert_eq!([read("report-1.html"), read("verdict-1.json")], first);
    boost(&request, &device(), &Silent).unwrap().unwrap();
    assert!(is_there(PAGE) && is_there(VERDICT) && !is_there("report-2.html"));

    // Those of an answer that advised pairs go with it, under one number.
    std::fs::create_dir(request.out.join("pairs")).unwrap();
    std::fs::write(request.out.join(VERDICT), r#"{"advice": "with", "arm": "pig-add-2", "reason": ""}"#).unwrap();
    edit("[0, 1, 2, 3]");
    assert!(boost(&request, &device(), &StopAt::new("segmenter", 4)).unwrap().is_none());
    for (name, now) in [(PAGE, "report-2.html"), (VERDICT, "verdict-2.json"), ("best", "best-2"), ("pairs", "pairs-2")]
    {
        assert!(!is_there(name) && is_there(now), "{name}");
    }
}

#[test]
fn another_process_is_told_what_to_do_about_a_boost() {
    let folder = folder();
    let request = request(folder.path());
    assert!(boost(&request, &device(), &StopAt::new("segmenter", 4)).unwrap().is_none());
    let held = pig_files::lock(&request.out, &|_| false).unwrap().mine();
    assert!(held.is_some());
    let message = refused(&request);
    assert!(message.contains("is working on this boost; wait until it ends, or choose another --out"), "{message}");
    drop(held);
    assert!(boost(&request, &device(), &StopAt::new("segmenter", 6)).unwrap().is_none());
    // Without a plan, nothing is made.
    let missing = Request { plan: None, out: folder.path().join("new"), ..request };
    assert!(refused(&missing).contains("--hours") && !missing.out.exists());
}

/// Dice is measured on pictures with a lesion, so patients without one are not counted where it is said which gain could be found.
#[test]
fn patients_without_a_lesion_detect_nothing() {
    let folder = folder();
    let data = folder.path().join("data");
    let ask = |plan: Option<PathBuf>| {
        let hours = plan.is_none().then_some(0.0001);
        let size = plan.is_none().then_some(SIDE);
        let request = Request { data: data.clone(), hours, size, plan, out: folder.path().join("out") };
        planned(&request, &device(), &Silent).unwrap()
    };
    let all = ask(None);
    assert_eq!((all.patients, all.findings.tested), ([7, 2, 3], Some([3, 0])));
    assert!(!all.to_string().contains("no picture with a lesion"), "{all}");
    let given = folder.path().join("given");
    all.write(&given).unwrap();
    let layers = Layers { file: Some(given.join("crossval.toml")), sets: Vec::new() };
    let crossval = Crossval::open(&layers, &data, &folder.path().join("crossval"), &Silent).unwrap();

    let emptied = |id: &str| {
        let path = data.join("masks").join(format!("{id}.png"));
        write_png(&path, [SIDE, SIDE], 1, &Pixels::Eight(vec![0; SIDE * SIDE]), &[]).unwrap();
    };
    let design = |patients| Design { patients, folds: 1, trainings: 3, alike: 3 };
    emptied(&crossval.folds[0].test[0]);
    let fewer = ask(None);
    assert_eq!((fewer.patients, fewer.findings.tested), ([7, 2, 3], Some([3, 1])));
    assert_eq!(fewer.detectable, expected(VARIATION, design(2)).map(|found| found.detectable));
    assert!(fewer.detectable > all.detectable);
    let words = "1 of the 3 patients or groups that test have no picture with a lesion: Dice, and the gain that could be detected, are of the other 2";
    assert!(fewer.to_string().contains(words), "{fewer}");

    // The forecast of an edited plan counts them, too.
    emptied(&crossval.folds[0].test[1]);
    let mut file = all.crossval.clone();
    file.segment.train.steps = 100;
    std::fs::write(given.join("crossval.toml"), file.to_toml()).unwrap();
    let edited = ask(Some(given));
    assert_eq!((edited.findings.tested, edited.detectable), (Some([3, 2]), None));
    assert!(edited.to_string().contains("two patients that test and have pictures with a lesion"), "{edited}");
}
