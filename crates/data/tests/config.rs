//! The `[data]` section: valid TOML, invalid TOML, and what is written back.

use pig_data::config::{AugmentConfig, Crop, Intensity, MaskResize, MaskValue, MaskValues, Resize, SpaceKind};
use pig_data::{Channels, DataConfig, DataError};

fn parse(toml: &str) -> DataConfig {
    toml::from_str(toml).unwrap()
}

#[test]
fn everything_can_be_said() {
    let config = parse(
        r##"
        size = [96, 64]
        slices = 1
        channels = 3
        intensity = "window"
        window_center = 40
        window_width = 400.5
        group_column = "site"
        mask_values = [2, "#ff0080"]
        mask_resize = "nearest"
        crop = "blank-borders"
        resize = "pad"
        validation_fraction = 0.2
        space = "haar"
        haar_levels = 2
        [augment]
        horizontal_flip = true
        shift = 0.05
        "##,
    );
    let expected = DataConfig {
        size: [96, 64],
        slices: 1,
        space: SpaceKind::Haar,
        haar_levels: 2,
        channels: Channels::Count(3),
        intensity: Intensity::Window,
        window_center: Some(40.0),
        window_width: Some(400.5),
        group_column: Some("site".to_owned()),
        mask_values: Some(MaskValues(vec![MaskValue::Gray(2), MaskValue::Colour([255, 0, 128])])),
        mask_threshold: None,
        classes: Vec::new(),
        classes_overlap: false,
        class_column: None,
        background_values: None,
        mask_resize: MaskResize::Nearest,
        crop: Crop::BlankBorders,
        resize: Resize::Pad,
        validation_fraction: 0.2,
        augment: AugmentConfig { horizontal_flip: true, shift: 0.05, ..AugmentConfig::default() },
    };
    assert_eq!(config, expected);
    config.check().unwrap();
    assert_eq!(parse(&toml::to_string(&config).unwrap()), config, "the written file reads back as the same settings");
}

#[test]
fn short_forms_and_defaults() {
    assert_eq!(parse("size = 128").size, [128, 128]);
    assert_eq!(parse("mask_threshold = 128").mask_threshold, Some(128.0));
    assert!(!toml::to_string(&DataConfig::default()).unwrap().contains("mask_threshold"), "hashes of settings stay");
    assert_eq!(parse("mask_values = 3").mask_values, Some(MaskValues(vec![MaskValue::Gray(3)])));
    for (text, channels) in [("\"auto\"", Channels::Auto), ("1", Channels::Count(1)), ("3", Channels::Count(3))] {
        let config = parse(&format!("channels = {text}"));
        assert_eq!(config.channels, channels);
        config.check().unwrap();
        assert!(
            toml::to_string(&config).unwrap().contains(&format!("channels = {text}\n")),
            "it is written as it was read"
        );
    }
    assert!(toml::from_str::<DataConfig>("channels = \"both\"").unwrap_err().to_string().contains("\"auto\""));
    assert!(parse("channels = 2").check().unwrap_err().to_string().contains("\"auto\", 1 (gray) or 3 (colour)"));
    assert_eq!(parse("group_column = \"auto\""), DataConfig::default());
    let default = parse("");
    assert_eq!(default, DataConfig::default());
    default.check().unwrap();
    assert_eq!(parse(&toml::to_string(&default).unwrap()), default);
    for (word, intensity) in [
        ("auto", Intensity::Auto),
        ("dtype", Intensity::Dtype),
        ("dataset-percentile", Intensity::DatasetPercentile),
        ("window", Intensity::Window),
        ("per-image", Intensity::PerImage),
    ] {
        assert_eq!(parse(&format!("intensity = {word:?}")).intensity, intensity);
        assert_eq!(intensity.word(), word);
    }
}

#[test]
fn unknown_keys_and_words_are_refused() {
    for (toml, part) in [
        ("sise = 64", "sise"),
        ("intensity = \"best\"", "best"),
        ("[augment]\nrotate = true", "rotate"),
        ("size = \"big\"", "[height, width]"),
        ("mask_values = \"#ff00\"", "#rrggbb"),
        ("mask_values = 70000", "0 to 65535"),
        ("mask_values = \"#ff00é\"", "#rrggbb"),
    ] {
        let error = toml::from_str::<DataConfig>(toml).unwrap_err().to_string();
        assert!(error.contains(part), "{toml}: {error}");
    }
}

#[test]
fn values_out_of_range_name_their_key() {
    for (toml, expected) in [
        ("size = 0", "size"),
        ("size = [64, 9000]", "size"),
        ("channels = 2", "channels"),
        ("mask_values = []", "mask_values"),
        ("mask_threshold = -1.0", "mask_threshold"),
        ("mask_threshold = nan", "mask_threshold"),
        ("mask_threshold = 128\nmask_values = 1", "mask_threshold"),
        ("validation_fraction = 1.0", "validation_fraction"),
        ("validation_fraction = nan", "validation_fraction"),
        ("[augment]\nshift = 0.6", "augment.shift"),
        ("intensity = \"window\"", "window_center"),
        ("intensity = \"window\"\nwindow_center = 1.0", "window_width"),
        ("intensity = \"window\"\nwindow_center = 1.0\nwindow_width = 0.0", "window_width"),
        ("intensity = \"window\"\nwindow_center = inf\nwindow_width = 1.0", "window_center"),
        ("window_width = 1.0", "window_width"),
    ] {
        let error = parse(toml).check().unwrap_err();
        assert!(matches!(&error, DataError::InvalidConfig { key, .. } if *key == expected), "{toml}: {error}");
    }
}
