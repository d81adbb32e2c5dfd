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
    let request = Request { data: data.to_owned(), unlabelled: unlabelled.map(Path::to_owned), hours };
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
    // Twelve pairs are few.
    assert!(config.model_y.unet.dropout > 0.0 && found.text.contains("12 pairs are few"), "{}", found.text);
    assert!(found.text.contains("pig train --config THIS_FILE"), "{}", found.text);
    assert!(
        found
            .text
            .lines()
            .all(|line| line.starts_with('#') || line.starts_with('[') || line.is_empty() || line.contains(" # "))
    );

    // The forecast is what the measured steps add up to, with a margin for everything else.
    let seconds: f64 =
        found.networks.iter().map(|network| network.seconds_a_step * config.train.steps as f64).sum::<f64>();
    let hours = seconds / 3600.0;
    assert!(hours < 2.0 * found.hours, "{hours} and {}", found.hours);
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
        write(&data.join("masks").join(&name), &|i| [0, 90, 170, 255, 255, 170, 90, 0][i % 8]);
        write(&more.join(&name), &|i| (i * 3 + index) as u8);
    }
    let found = planned(&data, Some(&more), 0.01);
    assert_eq!(found.config.data.mask_threshold, Some(128.0));
    assert_eq!(found.config.data.size, [32, 32]);
    assert_eq!((found.facts.unlabelled, found.config.train.unlabelled_share), (6, 0.5));
    assert!(found.text.contains("--unlabelled") && found.warning().is_some(), "{}", found.text);
}
