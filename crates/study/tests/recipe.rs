//! `pig plan`: the configuration that it writes is valid, says why, and suits the data.

use pig_data::{
    Pixels,
    phantom::{PhantomConfig, write_dataset},
    png_file::write_png,
};
use pig_device::testing;
use pig_study::recipe::{Recipe, Request, recipe};
use pig_train::{Config, config::Layers, observer::Silent};
use std::path::Path;

fn planned(data: &Path, unlabelled: Option<&Path>, hours: f64) -> Recipe {
    let request = Request { data: data.to_owned(), unlabelled: unlabelled.map(Path::to_owned), hours, size: None };
    recipe(&request, &testing::device(), &Silent).unwrap()
}

/// The text as pig reads it.
fn read(recipe: &Recipe, folder: &Path) -> Config {
    let file = folder.join("plan.toml");
    std::fs::write(&file, &recipe.text).unwrap();
    Layers { file: Some(file), sets: Vec::new() }.load_for_training().unwrap()
}

#[test]
fn a_plan_of_phantoms_is_a_valid_configuration_with_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    write_dataset(&PhantomConfig { patients: 6, ..PhantomConfig::default() }, &data, &|_, _| {}).unwrap();
    let found = planned(&data, None, 0.05);
    let config = read(&found, folder.path());
    assert_eq!(config, found.config);
    config.check().unwrap();
    assert_eq!(config.data.group_column.as_deref(), Some("patient"));
    let steps = config.train.steps;
    assert_eq!(found.images, steps * config.train.batch_size);
    // One of six patients validates.
    assert!(config.model_y.unet.dropout > 0.0 && found.text.contains("10 training pairs are few"), "{}", found.text);
    assert!(found.text.contains("pig train --config THIS_FILE"), "{}", found.text);
    assert!(
        found
            .text
            .lines()
            .all(|line| line.starts_with('#') || line.starts_with('[') || line.is_empty() || line.contains(" # "))
    );

    // The forecast leaves time for previews and everything else, and does not exceed what was asked.
    let seconds_of =
        |network: &str| found.networks.iter().find(|other| other.cost.network == network).unwrap().seconds_a_step;
    let training =
        seconds_of("model_x") * config.train.model_x_steps.unwrap() as f64 + seconds_of("model_y") * steps as f64;
    assert!(training <= 3600.0 * 0.05 && found.hours <= 0.05 + 1e-9, "{training} s of training, {} hours", found.hours);
    assert!((config.train.planned_hours.unwrap() - found.hours).abs() < 1e-5);
}

#[test]
fn gray_masks_and_images_without_masks_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (data, more) = (folder.path().join("data"), folder.path().join("more"));
    for part in ["images", "masks"] {
        std::fs::create_dir_all(data.join(part)).unwrap();
    }
    std::fs::create_dir_all(&more).unwrap();
    let side = 40;
    let write = |path: &Path, value: &dyn Fn(usize) -> u8| {
        let pixels = Pixels::Eight((0..side * side).map(value).collect());
        write_png(path, [side, side], 1, &pixels, &[]).unwrap();
    };
    for index in 0..6 {
        let name = format!("{index}.png");
        write(&data.join("images").join(&name), &|i| (i * 7 + index) as u8);
        // A lesion with a soft edge, as a resampled mask has it.
        write(&data.join("masks").join(&name), &|i| {
            [0, 40, 90, 130, 170, 200, 230, 255, 255, 210, 180, 140, 100, 60, 20, 0][i % 16]
        });
        write(&more.join(&name), &|i| (i * 3 + index) as u8);
    }
    let found = planned(&data, Some(&more), 0.01);
    assert_eq!(found.config.data.mask_threshold, Some(127.5));
    assert_eq!(found.config.data.size, [32, 32]);
    assert_eq!((found.facts.unlabelled, found.config.train.unlabelled_share), (6, 0.55));
    assert!(found.text.contains("--unlabelled") && found.warning().is_some(), "{}", found.text);
}

/// A plan says what its size makes of lesions, and refuses what its training would refuse.
#[test]
fn small_lesions_are_told_and_leaks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, more) = (folder.path().join("data"), folder.path().join("more"));
    let side = 96;
    let write = |path: &Path, value: &dyn Fn(usize) -> u8| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pixels = Pixels::Eight((0..side * side).map(value).collect());
        write_png(path, [side, side], 1, &pixels, &[]).unwrap();
    };
    for index in 0..6 {
        let name = format!("{index}.png");
        for images in [data.join("images"), more.clone()] {
            write(&images.join(&name), &|i| (i * 7 + index) as u8);
        }
        // One pixel of nine, which is less than half of a pixel at 32 x 32.
        write(&data.join("masks").join(&name), &|i| if i == 50 * side + 50 { 255 } else { 0 });
    }
    let found = planned(&data, None, 0.001);
    assert_eq!(found.config.data.size, [32, 32]);
    assert!(found.warnings().iter().any(|text| text.starts_with("6 of 6 masks have lesion in the file but none")));
    assert!(found.text.contains("Warning: 6 of 6 masks have lesion in the file"), "{}", found.text);

    let refused = |size, unlabelled| {
        let request = Request { data: data.clone(), unlabelled, hours: 0.001, size };
        recipe(&request, &testing::device(), &Silent).unwrap_err().to_string()
    };
    // All six images have masks, too, and one of these pairs validates.
    let error = refused(None, Some(more));
    assert!(error.contains("1 image(s) show validating or testing patients"), "{error}");
    for size in [0, 20, 72] {
        let error = refused(Some(size), None);
        assert!(error.contains("--size") && error.contains("a multiple of"), "{error}");
    }
}

/// What cannot be trained is refused before a plan is written, with what is wrong.
#[test]
fn data_that_cannot_be_trained_get_no_plan() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let write = |name: &str, image: &Pixels, mask: &dyn Fn(usize) -> u8| {
        for part in ["images", "masks"] {
            std::fs::create_dir_all(data.join(part)).unwrap();
        }
        write_png(&data.join("images").join(name), [40, 40], 1, image, &[]).unwrap();
        let mask = Pixels::Eight((0..1600).map(mask).collect());
        write_png(&data.join("masks").join(name), [40, 40], 1, &mask, &[]).unwrap();
    };
    let refused = || {
        let request = Request { data: data.clone(), unlabelled: None, hours: 0.01, size: None };
        recipe(&request, &testing::device(), &Silent).unwrap_err().to_string()
    };
    let gray = |index: usize| Pixels::Eight((0..1600).map(|i| (i * 7 + index) as u8).collect());
    let half = |i: usize| if i % 40 < 20 { 255 } else { 0 };
    write("0.png", &gray(0), &half);
    let error = refused();
    assert!(error.contains("1 pair(s) of 1 patient(s)") && error.contains("at least two groups"), "{error}");
    // Labels are no gray edges: half of the greatest value would join some and drop others.
    write("1.png", &gray(1), &|i| (i % 40 / 14) as u8);
    write("2.png", &gray(2), &|i| (i % 40 / 14) as u8);
    let error = refused();
    assert!(error.contains("data.mask_values"), "{error}");
    std::fs::remove_dir_all(&data).unwrap();
    write("0.png", &gray(0), &half);
    write("1.png", &Pixels::Sixteen((0..1600).map(|i| i * 40).collect()), &half);
    let error = refused();
    assert!(error.contains("8 and of 16 bits"), "{error}");
    let request = Request { data: data.clone(), unlabelled: None, hours: 1e300, size: None };
    let error = recipe(&request, &testing::device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("--hours") && error.contains("87600"), "{error}");
}
