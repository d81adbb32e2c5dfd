//! `sample.match_contrast`: the scale of guidance that a training finds at its end.

mod common;

use common::{LEARNED, StopAt, config, device, folder_of_corners, trained};
use pig_train::{
    config::Layers,
    generation::{Request, generate},
    given::GivenSource,
    loaded::LoadedRun,
    matched::{self, Matched},
    matching::PAIRS,
    observer::{Outcome, Silent},
    run_dir::RunDir,
    training::{Resume, resume, resume_with, train},
};
use std::path::{Path, PathBuf};

const MATCHED: [&str; 3] = ["sample.match_contrast=true", "train.condition_dropout=0.2", "model_y.conditioning=clean"];

fn file(run: &Path) -> PathBuf {
    run.join("guidance.json")
}

fn kept(run: &Path) -> Matched {
    serde_json::from_str(&std::fs::read_to_string(file(run)).unwrap()).unwrap()
}

fn sets<'a>(more: &[&'a str]) -> Vec<&'a str> {
    MATCHED.iter().chain(more).copied().collect()
}

/// What is kept is what `pig sample` measures of the written pairs of the same ids: a file of 8 bits is all that differs. Methods that need masks
/// make images for those of the training pairs.
#[test]
fn the_contrasts_are_those_of_pairs_that_are_sampled_with_each_scale() {
    let folder = folder_of_corners();
    for (name, more, source) in [
        ("pig", &["sample.second_pass=true"][..], GivenSource::Nothing),
        ("seg-guided", &["method=seg-guided"], GivenSource::TrainingMasks),
    ] {
        let base = sets(&LEARNED);
        let own: Vec<&str> = if name == "pig" {
            base.iter().chain(more).copied().collect()
        } else {
            base.iter().chain(more).filter(|set| !set.starts_with("model_")).copied().collect()
        };
        let run = trained(folder.path(), name, &config(&own));
        let found = kept(&run);
        assert_eq!((found.pairs, found.tried), (PAIRS, [1.0, 2.0]), "{name}");
        let ids: Vec<u64> = (1_u64 << 40..).take(PAIRS).collect();
        for (scale, expected) in found.tried.iter().zip(found.contrast) {
            let asked = Request {
                sets: vec!["sample.match_contrast=false".to_owned(), format!("sample.guidance_scale={scale}")],
                source: source.clone(),
                ..Request::new(&run, &folder.path().join(format!("{name}-{scale}")), &ids)
            };
            let agreement = generate(&asked, &device(), &Silent).unwrap().agreement.unwrap();
            let mean = agreement.generated.estimate.unwrap().mean;
            assert!((mean - expected.unwrap()).abs() < 0.01, "{name}, scale {scale}: {mean}, kept {found:?}");
            let real = agreement.real.unwrap().estimate.unwrap().mean;
            assert!((real - found.contrast_real.unwrap()).abs() < 1e-9, "{name}: {real}, kept {found:?}");
        }
        let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
        assert_eq!(loaded.config.sample.guidance_scale, found.scale, "{name}");
    }
}

/// The scale stands in the record of the pairs, which are those of the same scale given by hand.
#[test]
fn a_found_scale_and_the_same_one_given_make_the_same_pairs() {
    let folder = folder_of_corners();
    let run = trained(folder.path(), "run", &config(&sets(&[])));
    let chosen = Matched { scale: 1.7, ..kept(&run) };
    std::fs::write(file(&run), serde_json::to_vec(&chosen).unwrap()).unwrap();
    let out = folder.path().join("pairs");
    let asked = Request::new(&run, &out, &[0, 1]);
    assert_eq!(generate(&asked, &device(), &Silent).unwrap().made, 2);
    assert!(std::fs::read_to_string(out.join("manifest.csv")).unwrap().contains("1.7"));
    let by_hand = ["sample.match_contrast=false", "sample.guidance_scale=1.7"].map(str::to_owned).to_vec();
    let again = generate(&Request { sets: by_hand, ..asked }, &device(), &Silent).unwrap();
    assert_eq!((again.made, again.skipped), (0, 2));
    let opened = RunDir::open(&run).unwrap();
    assert_eq!(matched::scale(&opened, &opened.config().unwrap()), 1.7);
}

/// A stop while the scale is looked for leaves a run that is not sampled before it is found, and going on finds the same.
#[test]
fn a_stop_and_going_on_find_the_same_scale() {
    let folder = folder_of_corners();
    let whole = trained(folder.path(), "whole", &config(&sets(&[])));
    let run = folder.path().join("stopped");
    let data = folder.path().join("data");
    let outcome = train(&config(&sets(&[])), &data, &run, &device(), &StopAt::new("guidance", 8)).unwrap();
    assert_eq!(outcome, Outcome::Interrupted);
    assert!(!file(&run).exists());
    let message = LoadedRun::open(&run, &[], &device()).unwrap_err().to_string();
    for expected in ["guidance.json", "pig train --resume", "sample.match_contrast=false"] {
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!(kept(&run), kept(&whole));
    // What is found is not looked for again, unless the networks are trained longer.
    let before = std::fs::metadata(file(&run)).unwrap().modified().unwrap();
    resume(&run, None, &device(), &Silent).unwrap();
    assert_eq!(std::fs::metadata(file(&run)).unwrap().modified().unwrap(), before);
    let longer = Resume { steps: Some(14), ..Resume::default() };
    let stopped = resume_with(&run, longer, &device(), &StopAt::new("model_y", 11)).unwrap();
    assert_eq!((stopped, file(&run).exists()), (Outcome::Interrupted, false));
    resume(&run, None, &device(), &Silent).unwrap();
    assert_ne!(kept(&run), kept(&whole));
}

#[test]
fn settings_that_cannot_be_matched_are_refused() {
    let refused = |sets: &[&str]| {
        let sets = sets.iter().map(|&set| set.to_owned()).collect();
        let config = Layers { file: None, sets }.load().unwrap();
        config.check().unwrap_err().to_string()
    };
    let message = refused(&["sample.match_contrast=true"]);
    assert!(message.contains("false without train.condition_dropout"), "{message}");
    let message = refused(&["sample.match_contrast=true", "train.condition_dropout=0.1", "sample.guidance_scale=2"]);
    assert!(message.starts_with("sample.guidance_scale = 2, expected 1 with sample.match_contrast"), "{message}");
}
