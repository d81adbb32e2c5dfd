//! `[preconditioning]`: strengths are measured once, stay with the run, and belong to its weights.

mod common;

use common::{LEARNED, StopAt, config, device, folder, trained};
use pig_data::{Pixels, png_file::read_png};
use pig_train::{
    checkpoint::Store,
    generation::{Request, generate},
    given::GivenSource,
    imported::Model,
    observer::{Outcome, Silent},
    run_dir::RunDir,
    training::{resume, train},
};
use std::path::Path;

const STRENGTH: &str = "preconditioning.kind=strength";
const HAAR: &str = "data.space=haar";

fn strengths(run: &Path) -> [Vec<f64>; 2] {
    let settings = RunDir::open(run).unwrap().config().unwrap().preconditioning;
    [settings.mask_strength, settings.image_strength]
}

/// The mean square of the bands is that of the pixels (Parseval), which for masks of -1 and 1 is 1.
#[test]
fn strengths_are_those_of_the_training_pairs() {
    let folder = folder();
    let [mask, image] = strengths(&trained(folder.path(), "haar", &config(&["train.steps=1", HAAR, STRENGTH])));
    let [whole, pixels] = strengths(&trained(folder.path(), "pixels", &config(&["train.steps=1", STRENGTH])));
    assert_eq!((mask.len(), image.len(), whole.len(), pixels.len()), (4, 4, 1, 1));
    let mean_square = |of: &[f64]| of.iter().map(|value| value * value).sum::<f64>() / of.len() as f64;
    assert!((mean_square(&mask) - 1.0).abs() < 1e-3 && (whole[0] - 1.0).abs() < 1e-4, "{mask:?} {whole:?}");
    assert!((mean_square(&image) - pixels[0] * pixels[0]).abs() < 1e-3, "{image:?} {pixels:?}");
    assert!(mask[0] > mask[1] && image[0] > image[1], "the means of blocks are the strongest: {mask:?} {image:?}");
}

#[test]
fn every_method_that_has_it_trains_and_samples_pictures() {
    let folder = folder();
    let colour = "data.channels=3";
    let independent = ["method=joint", "train.noise_levels=independent"];
    // In colour, two levels have 48 channels: more than the first level of the networks.
    let wide = [colour, "data.haar_levels=2"];
    let cases: [(&str, &[&str], GivenSource); 6] = [
        ("pig", &wide, GivenSource::Nothing),
        ("estimates", &["model_y.conditioning=xhat", "model_y.prediction_type=epsilon"], GivenSource::Nothing),
        ("joint", &["method=joint", colour], GivenSource::Nothing),
        ("independent", &independent, GivenSource::Nothing),
        ("ddim", &["method=ddim", "model_y.prediction_type=sample"], GivenSource::Nothing),
        ("seg-guided", &["method=seg-guided"], GivenSource::TrainingMasks),
    ];
    for (name, sets, source) in cases {
        let settings = config(&[&["train.steps=2", HAAR, STRENGTH], sets].concat());
        let run = trained(folder.path(), name, &settings);
        let out = folder.path().join(format!("{name}-pairs"));
        let asked = Request { source, ..Request::new(&run, &out, &[0]) };
        generate(&asked, &device(), &Silent).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(out.join("images").join("000000.png").is_file(), "{name}");
    }
}

/// How much neighbouring pixels differ, mean over the pictures of `folder/images`.
fn roughness(folder: &Path) -> f64 {
    let pictures = std::fs::read_dir(folder.join("images")).unwrap();
    let of = |path: std::path::PathBuf| {
        let picture = read_png(&path).unwrap();
        let Pixels::Eight(pixels) = picture.pixels else { panic!("{}: not 8 bits", path.display()) };
        let rows = pixels.chunks_exact(picture.width).flat_map(|row| row.windows(2));
        let steps: Vec<f64> = rows.map(|pair| f64::from(pair[0].abs_diff(pair[1]))).collect();
        steps.iter().sum::<f64>() / steps.len() as f64
    };
    let all: Vec<f64> = pictures.map(|entry| of(entry.unwrap().path())).collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// A network that is scaled in training but not in sampling leaves the noise of the fine bands in its pictures. After so short a training no
/// picture is as smooth as a real one, but with scaling it is much smoother than without.
#[test]
fn pictures_are_no_rougher_than_without() {
    let folder = folder();
    let cases: [(&str, GivenSource); 4] = [
        ("pig", GivenSource::Nothing),
        ("joint", GivenSource::Nothing),
        ("ddim", GivenSource::Nothing),
        ("seg-guided", GivenSource::TrainingMasks),
    ];
    for (method, source) in cases {
        let made = |name: &str, kind: &str| {
            let settings = config(&[&LEARNED[..], &[HAAR, kind, &format!("method={method}")]].concat());
            let run = trained(folder.path(), &format!("{method}-{name}"), &settings);
            let out = folder.path().join(format!("{method}-{name}-pairs"));
            generate(
                &Request { source: source.clone(), ..Request::new(&run, &out, &[0, 1, 2, 3]) },
                &device(),
                &Silent,
            )
            .unwrap();
            roughness(&out)
        };
        let (plain, scaled) = (made("plain", "preconditioning.kind=none"), made("scaled", STRENGTH));
        println!("{method}: {scaled} with scaling, {plain} without");
        assert!(scaled < 0.7 * plain, "{method}: {scaled} with scaling, {plain} without");
    }
}

/// An interrupted training goes on with the strengths that it began with, and makes the bits of an uninterrupted one.
#[test]
fn a_resumed_training_is_the_uninterrupted_one() {
    let folder = folder();
    let settings = config(&["train.steps=6", HAAR, STRENGTH]);
    let whole = trained(folder.path(), "whole", &settings);
    let parted = folder.path().join("parted");
    let data = folder.path().join("data");
    let outcome = train(&settings, &data, &parted, &device(), &StopAt::new("model_y", 3)).unwrap();
    assert_eq!(outcome, Outcome::Interrupted);
    assert_eq!(resume(&parted, None, &device(), &Silent).unwrap(), Outcome::Finished);
    let weights = |run: &Path| Store::new(run, "model_y").load_ema().unwrap().1;
    assert_eq!(weights(&whole), weights(&parted));
    assert_eq!(strengths(&whole), strengths(&parted));
}

/// Weights expect the strengths of their own training.
/// Without its scales a network would compute something else.
#[test]
fn networks_with_scales_are_no_models_of_their_own() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["train.steps=1", STRENGTH]));
    for network in ["model_x", "model_y"] {
        let message = Model::open(&run, Some(network)).unwrap_err().to_string();
        assert!(message.contains("preconditioning.kind") && message.contains("run"), "{message}");
    }
}

#[test]
fn a_start_from_another_run_keeps_its_strengths() {
    let folder = folder();
    let given = "preconditioning.image_strength=[2.5, 0.5, 0.5, 0.25]";
    let first = trained(folder.path(), "first", &config(&["train.steps=1", HAAR, STRENGTH, given]));
    let init = format!("train.init={}", first.display());
    let second = trained(folder.path(), "second", &config(&["train.steps=1", HAAR, STRENGTH, &init]));
    assert_eq!(strengths(&second)[1], [2.5, 0.5, 0.5, 0.25]);
    let plain = config(&["train.steps=1", HAAR, &init]);
    let data = folder.path().join("data");
    let error = train(&plain, &data, &folder.path().join("third"), &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("preconditioning.kind") && error.contains("\"strength\", as in train.init"), "{error}");
}

/// Two levels have 16 bands and one has 4: arrays that fit are taken, and strengths are those of these pairs.
#[test]
fn a_start_from_other_levels_measures_its_own_strengths() {
    let folder = folder();
    let given = "preconditioning.image_strength=[2.5, 0.5, 0.5, 0.25]";
    let first = trained(folder.path(), "first", &config(&["train.steps=1", HAAR, STRENGTH, given]));
    let init = format!("train.init={}", first.display());
    let levels = ["train.steps=1", HAAR, STRENGTH, "data.haar_levels=2"];
    let second = trained(folder.path(), "second", &config(&[&levels[..], &[&init]].concat()));
    let alone = trained(folder.path(), "alone", &config(&levels));
    assert_eq!(strengths(&second).map(|found| found.len()), [16, 16]);
    assert_eq!(strengths(&second), strengths(&alone));
}

#[test]
fn what_cannot_be_is_refused_by_its_key() {
    let refused = |sets: &[&str], words: &str| {
        let message = config(sets).check().unwrap_err().to_string();
        assert!(message.contains(words), "{sets:?}: {message}");
    };
    refused(&[STRENGTH, "method=controlnet"], "preconditioning.kind");
    refused(&["preconditioning.image_strength=[1.0]"], "preconditioning.kind");
    refused(&[STRENGTH, "preconditioning.image_strength=[1.0, 2.0]"], "1 numbers");
    refused(&[STRENGTH, HAAR, "preconditioning.mask_strength=[1.0]"], "4 numbers");
    refused(&[STRENGTH, "preconditioning.mask_strength=[-1.0]"], "0 or more");
    config(&[STRENGTH, HAAR, "data.haar_levels=1", "data.channels=3"]).check().unwrap();
}
