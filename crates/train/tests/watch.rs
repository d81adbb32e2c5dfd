//! What previews measure, and a training that ends because its pairs are copies.

mod common;

use common::{Cached, StopAt, config, device, trained};
use pig_data::{Pixels, png_file::write_png};
use pig_device::testing;
use pig_train::{
    checkpoint::Store,
    metrics_log,
    observer::{Outcome, Silent},
    training::{Resume, resume, resume_with, train},
    watch::Watched,
};
use std::path::Path;
use tempfile::TempDir;

/// Ninety pairs, of which twenty-two validate: enough to judge copies by.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..90_usize {
        let (left, top) = (1 + index % 7, 1 + index / 7 % 7);
        let inside = |i: usize| (left..left + 7).contains(&(i % 16)) && (top..top + 7).contains(&(i / 16));
        let image = (0..256).map(|i| ((i * (index + 3)) % 90) as u8 + if inside(i) { 120 } else { 0 }).collect();
        let mask = (0..256).map(|i| if inside(i) { 255 } else { 0 }).collect();
        for (part, values) in [("images", image), ("masks", mask)] {
            let place = folder.path().join("data").join(part);
            std::fs::create_dir_all(&place).unwrap();
            write_png(&place.join(format!("a{index:02}.png")), [16, 16], 1, &Pixels::Eight(values), &[]).unwrap();
        }
    }
    folder
}

fn watched(run: &Path, network: &str) -> Vec<(usize, Watched)> {
    let lines = metrics_log::read(run).unwrap();
    lines.iter().filter(|line| line.network == network).filter_map(|line| Some((line.step, line.watched?))).collect()
}

const WATCHED: [&str; 4] =
    ["method=joint", "train.preview_every=3", "train.watch_samples=12", "train.validate_every=0"];

#[test]
fn previews_measure_agreement_and_copies_and_draw_their_curves() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&WATCHED));
    let found = watched(&run, "joint");
    assert_eq!(found.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [3, 6, 9, 10]);
    for (_, watched) in &found {
        assert!(watched.contrast_real.unwrap() > 0.5, "{watched:?}");
        assert!((0.0..=1.0).contains(&watched.suspected_copies.unwrap()), "{watched:?}");
    }
    let curves = std::fs::read_to_string(run.join("curves.svg")).unwrap();
    assert!(curves.contains("do images fit their masks?") && curves.contains("copies of training images?"));
    // Without held-out pairs there is nothing to judge copies by.
    let all = trained(folder.path(), "all", &config(&[&WATCHED[..], &["data.validation_fraction=0"]].concat()));
    assert!(watched(&all, "joint").iter().all(|(_, w)| w.contrast_real.is_none() && w.suspected_copies.is_none()));
    // Images alone have no contrast; without samples, nothing is measured.
    let images = trained(folder.path(), "images", &config(&[&WATCHED[..], &["method=ddim"]].concat()));
    assert!(
        watched(&images, "unconditional").iter().all(|(_, w)| w.contrast.is_none() && w.suspected_copies.is_some())
    );
    let nothing = trained(folder.path(), "nothing", &config(&[&WATCHED[..], &["train.watch_samples=0"]].concat()));
    assert!(watched(&nothing, "joint").is_empty());
}

/// A run that stops in between has the same curves.
#[test]
fn a_stop_changes_no_curve() {
    if testing::skips("exact reproducibility of a training is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let own = config(&WATCHED);
    let whole = trained(folder.path(), "whole", &own);
    let parted = folder.path().join("parted");
    let stopped = train(&own, &folder.path().join("data"), &parted, &device(), &StopAt::new("joint", 7)).unwrap();
    assert_eq!(stopped, Outcome::Interrupted);
    // As if it had been killed between the picture of its last preview and the line.
    let path = parted.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let mark = Store::new(&parted, "joint").load_last().unwrap().state.metrics.unwrap().lines;
    assert!(text.lines().count() >= mark && parted.join("previews/joint-step-000006.png").is_file());
    assert_eq!(resume(&parted, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!(watched(&whole, "joint"), watched(&parted, "joint"));
    let killed = folder.path().join("killed");
    train(&own, &folder.path().join("data"), &killed, &device(), &StopAt::new("joint", 6)).unwrap();
    std::fs::create_dir_all(killed.join("previews")).unwrap();
    std::fs::write(killed.join("previews/joint-step-000009.png"), "torn").unwrap();
    assert_eq!(resume(&killed, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!(watched(&whole, "joint"), watched(&killed, "joint"));
}

/// An untrained network that predicts the sample makes grays that are far nearer to the few gray training images than to the others. The training ends at its first
/// preview, goes on neither by itself nor when it is resumed, and can be asked to.
#[test]
fn a_training_whose_pairs_are_copies_ends() {
    let folder = folder();
    let images = folder.path().join("data/images");
    for index in 0..90_usize {
        let mut state = index as u64 + 1;
        let noise = (0..256).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if state >> 63 == 0 { 0 } else { 255 }
        });
        let values = if index < 2 { vec![128; 256] } else { noise.collect() };
        write_png(&images.join(format!("a{index:02}.png")), [16, 16], 1, &Pixels::Eight(values), &[]).unwrap();
    }
    let sets = ["train.stop_on_copies=0.5", "model_x.prediction_type=sample", "train.learning_rate=1e-6"];
    let own = config(&[&WATCHED[..], &sets].concat());
    let (run, data) = (folder.path().join("run"), folder.path().join("data"));
    let said = Cached::new(&folder.path().join("cache"));
    assert_eq!(train(&own, &data, &run, &device(), &said).unwrap(), Outcome::Finished);
    let texts = said.said.into_inner().unwrap();
    let told = texts.iter().find(|text| text.contains("train.stop_on_copies"));
    assert!(told.is_some_and(|text| text.contains("ends at step 3")), "{texts:?} {:?}", watched(&run, "joint"));
    let state = || Store::new(&run, "joint").load_last().unwrap().state;
    assert_eq!((state().has_ended, state().step), (true, 3));
    let shown = watched(&run, "joint");
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!((state().step, watched(&run, "joint")), (3, shown));
    // It is finished, so it can be trained longer; and it ends again.
    let longer = Resume { steps: Some(20), ..Resume::default() };
    assert_eq!(resume_with(&run, longer, &device(), &Silent).unwrap(), Outcome::Finished);
    assert!(state().has_ended && state().step > 3);
}

#[test]
fn an_ended_training_goes_back_to_a_kept_checkpoint() {
    let folder = folder();
    let sets = ["train.checkpoint_every=3", "train.keep_checkpoints=[3, 6]", "train.validate_every=4"];
    let run = trained(folder.path(), "run", &config(&[&WATCHED[..], &sets].concat()));
    let store = Store::new(&run, "joint");
    store.end_at(Some(6)).unwrap();
    let state = store.load_last().unwrap().state;
    assert_eq!((state.step, state.has_ended), (6, true));
    assert!(store.load_ema_at(9).is_err() && store.load_ema_at(3).is_ok());
    // Whatever was best is there, or gives way.
    assert!(store.load_best_ema().unwrap().0.step <= 6);
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!(store.load_last().unwrap().state.step, 6);
    // Without an earlier one it stays where it is.
    store.end_at(None).unwrap();
    assert_eq!(store.load_last().unwrap().state.step, 6);
}

#[test]
fn settings_that_watch_nothing_are_refused() {
    for (sets, expected) in [
        (&["train.stop_on_copies=0.5"][..], "without train.preview_every"),
        (&["train.stop_on_copies=0.01", "train.preview_every=3"], "above 0.05"),
        (
            &["train.stop_on_copies=0.5", "train.preview_every=3", "train.watch_samples=0"],
            "without train.preview_every",
        ),
    ] {
        let error = config(&[&["method=joint"], sets].concat()).check().unwrap_err().to_string();
        assert!(error.contains("train.stop_on_copies") && error.contains(expected), "{error}");
    }
}
