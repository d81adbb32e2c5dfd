//! Masks of several classes: what their values mean, how they are prepared, and how they are written and read again.

use std::path::Path;

use pig_data::classes::{Coding, names};
use pig_data::config::{ClassConfig, MaskValue, MaskValues};
use pig_data::png_file::encode_label_png;
use pig_data::read::{RawMask, read_mask};
use pig_data::{DataConfig, DataError, Dataset, PairRecord, PairWriter, Pixels, Preparation, Stamp, class_source};

fn class(name: &str, values: &[MaskValue]) -> ClassConfig {
    ClassConfig { name: name.to_owned(), values: MaskValues(values.to_vec()), code: None }
}

/// Mass is 1 or 7, calcification 2.
fn config() -> DataConfig {
    use MaskValue::Gray;
    let classes = vec![class("mass", &[Gray(1), Gray(7)]), class("calcification", &[Gray(2)])];
    DataConfig { classes, size: [4, 6], ..DataConfig::default() }
}

fn gray(path: &Path, width: u32, height: u32, values: &[u8]) {
    image::GrayImage::from_raw(width, height, values.to_vec()).unwrap().save(path).unwrap();
}

/// A PNG with a palette as pig writes it.
fn palette(path: &Path, size: [usize; 2], labels: &[u8], names: &[&str]) {
    std::fs::write(path, encode_label_png(path, size, labels, names, &[]).unwrap()).unwrap();
}

/// A PNG with a palette of two bits a pixel, as other tools write it.
fn small_palette(path: &Path, width: u32, rows: &[&[u8]]) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), width, rows.len() as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]);
    let mut writer = encoder.write_header().unwrap();
    let pack = |row: &&[u8]| {
        row.chunks(4).map(|four| four.iter().enumerate().fold(0, |byte, (at, &i)| byte | i << (6 - 2 * at))).collect()
    };
    let bytes: Vec<u8> = rows.iter().flat_map(pack as fn(&&[u8]) -> Vec<u8>).collect();
    writer.write_image_data(&bytes).unwrap();
}

fn read(path: &Path, config: &DataConfig) -> Result<RawMask, DataError> {
    read_mask(path, config)
}

#[test]
fn values_indices_and_colours_stand_for_classes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    gray(&path, 3, 2, &[0, 1, 2, 7, 2, 0]);
    assert_eq!(read(&path, &config()).unwrap().data, [0, 1, 2, 1, 2, 0]);
    // A palette's index is the value; five columns are not a whole number of bytes.
    small_palette(&path, 5, &[&[0, 1, 2, 1, 2], &[2, 2, 0, 0, 1]]);
    assert_eq!(read(&path, &config()).unwrap().data, [0, 1, 2, 1, 2, 2, 2, 0, 0, 1]);
    let colours =
        vec![class("green", &[MaskValue::Colour([0, 128, 0])]), class("red", &[MaskValue::Colour([128, 0, 0])])];
    let coloured = DataConfig { classes: colours, ..DataConfig::default() };
    assert_eq!(read(&path, &coloured).unwrap().data, [0, 2, 1, 2, 1, 1, 1, 0, 0, 2]);
    let picture = image::RgbImage::from_fn(3, 1, |x, _| image::Rgb([[0, 0, 0], [0, 128, 0], [128, 0, 0]][x as usize]));
    picture.save(&path).unwrap();
    assert_eq!(read(&path, &coloured).unwrap().data, [0, 1, 2]);
}

/// As for classes, a number is an index; one that the file has not is the gray that its palette shows.
#[test]
fn indices_and_colours_of_a_palette_stand_for_lesion() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    small_palette(&path, 5, &[&[0, 1, 2, 1, 2], &[2, 2, 0, 0, 1]]);
    let lesion = |values: &[MaskValue]| {
        let config = DataConfig { mask_values: Some(MaskValues(values.to_vec())), ..DataConfig::default() };
        read(&path, &config).unwrap().data
    };
    assert_eq!(lesion(&[MaskValue::Gray(1)]), [0, 1, 0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(lesion(&[MaskValue::Gray(1), MaskValue::Gray(2)]), [0, 1, 1, 1, 1, 1, 1, 0, 0, 1]);
    assert_eq!(lesion(&[MaskValue::Colour([0, 128, 0])]), [0, 0, 1, 0, 1, 1, 1, 0, 0, 0]);
    // Where a file names several classes, numbers are those of its classes alone.
    for (text, whites) in [(None, [[0, 1], [0, 1]]), (Some("[\"mass\", \"calcification\"]"), [[0, 1], [0, 0]])] {
        let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 2, 1);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(vec![0, 0, 0, 255, 255, 255]);
        if let Some(names) = text {
            encoder.add_text_chunk("classes".to_owned(), names.to_owned()).unwrap();
        }
        encoder.write_header().unwrap().write_image_data(&[0, 1]).unwrap();
        for (white, expected) in [1, 255].into_iter().zip(whites) {
            assert_eq!(lesion(&[MaskValue::Gray(white)]), expected, "{text:?}, {white}");
        }
    }
}

#[test]
fn a_value_without_a_class_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    gray(&path, 3, 2, &[0, 1, 2, 9, 9, 200]);
    let message = read(&path, &config()).unwrap_err().to_string();
    for words in ["a.png", "200 (1 pixel(s)), 9 (2 pixel(s))", "mass (1, 7), calcification (2)", "[[data.classes]]"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let ground = MaskValues(vec![MaskValue::Gray(9), MaskValue::Gray(200)]);
    let config = DataConfig { background_values: Some(ground), ..config() };
    assert_eq!(read(&path, &config).unwrap().data, [0, 1, 2, 0, 0, 0]);
}

#[test]
fn masks_that_name_their_classes_are_read_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    palette(&path, [1, 4], &[0, 1, 2, 2], &["calcification", "mass"]);
    assert_eq!(read(&path, &config()).unwrap().data, [0, 2, 1, 1]);
    // Nobody makes several classes one in silence.
    let message = read(&path, &DataConfig::default()).unwrap_err().to_string();
    assert!(message.contains("calcification, mass") && message.contains("data.mask_values = [1, 2]"), "{message}");
    let one = DataConfig { mask_values: Some(MaskValues(vec![MaskValue::Gray(2)])), ..DataConfig::default() };
    assert_eq!(read(&path, &one).unwrap().data, [0, 0, 1, 1]);
    let coloured = MaskValues(vec![MaskValue::Colour(pig_data::classes::colour(0))]);
    let one = DataConfig { mask_values: Some(coloured), ..DataConfig::default() };
    assert_eq!(read(&path, &one).unwrap().data, [0, 1, 0, 0]);
    palette(&path, [1, 4], &[0, 1, 2, 2], &["mass", "cyst"]);
    let message = read(&path, &config()).unwrap_err().to_string();
    assert!(message.contains("the classes mass, cyst; expected mass, calcification"), "{message}");
}

#[test]
fn wrong_keys_are_refused() {
    for (config, words) in [
        (DataConfig { mask_threshold: Some(2.0), ..config() }, "data.mask_threshold = set"),
        (DataConfig { mask_values: Some(MaskValues(vec![MaskValue::Gray(1)])), ..config() }, "data.mask_values = set"),
        (
            DataConfig { classes: [config().classes, config().classes].concat(), ..config() },
            "two classes with the name",
        ),
    ] {
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let text = "classes = [{ name = \"mass\", values = 1 }, { name = \"cyst\", values = [2, \"#00ff00\"] }]";
    let read: DataConfig = toml::from_str(text).unwrap();
    assert_eq!((names(&read.classes), read.mask_channels()), (vec!["mass", "cyst"], 2));
    let again: DataConfig = toml::from_str(&toml::to_string_pretty(&read).unwrap()).unwrap();
    assert_eq!(again, read);
    let several = toml::to_string_pretty(&DataConfig { class_column: Some("kind".to_owned()), ..read }).unwrap();
    assert!(several.contains("[[classes]]") && several.contains("class_column = \"kind\""), "{several}");
}

/// Two pairs of 12 x 8 pixels in `images/` and `masks/`: mass in the left half of the first, a single pixel of calcification in both.
fn folder(dir: &Path, write: &dyn Fn(&Path, &[u8])) -> Dataset {
    for sub in ["images", "masks"] {
        std::fs::create_dir(dir.join(sub)).unwrap();
    }
    for (name, mass) in [("a", true), ("b", false)] {
        let image: Vec<u8> = (0..96).map(|i| (i * 2) as u8).collect();
        gray(&dir.join("images").join(format!("{name}.png")), 12, 8, &image);
        let label = |i: usize| if mass && i % 12 < 6 { 1 } else { 2 * u8::from(i == 95) };
        let labels: Vec<u8> = (0..96).map(label).collect();
        write(&dir.join("masks").join(format!("{name}.png")), &labels);
    }
    Dataset::discover(dir, &DataConfig::default()).unwrap()
}

#[test]
fn prepared_masks_have_a_channel_for_each_class_and_lost_classes_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = folder(dir.path(), &|path, labels| gray(path, 12, 8, labels));
    let preparation = Preparation::fit(&dataset, &dataset.ids(), &config()).unwrap();
    let set = preparation.load(&dataset, &|_, _| {}).unwrap();
    assert_eq!((set.classes, set.mask(0).unwrap().len(), set.labels(0).unwrap().len()), (2, 48, 24));
    let left: Vec<u8> = (0..24).map(|i| u8::from(i % 6 < 3)).collect();
    assert_eq!(set.labels(0).unwrap(), left);
    let expected: Vec<f32> = left.iter().flat_map(|&mass| [if mass > 0 { 1.0 } else { -1.0 }, -1.0]).collect();
    assert_eq!(set.mask(0).unwrap(), expected);
    assert_eq!(set.pairs_by_class(), [1, 0]);
    let lost = "2 of 2 masks have the class \"calcification\" in the file but none of it at this size";
    assert!(set.warnings.iter().any(|warning| warning.starts_with(lost)), "{:?}", set.warnings);
    // At the files' size nothing is lost, in memory or from the cache, and the hash knows the classes.
    let whole = DataConfig { size: [8, 12], ..config() };
    let preparation = Preparation::fit(&dataset, &dataset.ids(), &whole).unwrap();
    let (memory, cache) = (preparation.load(&dataset, &|_, _| {}).unwrap(), dir.path().join("cache"));
    let cached = || preparation.load_from(&dataset, &|_| true, Some(&cache), &|_| {}).unwrap();
    assert_eq!((cached().sha256().unwrap(), cached().masks_sha256().unwrap()), {
        (memory.sha256().unwrap(), memory.masks_sha256().unwrap())
    });
    assert_eq!((memory.pairs_by_class(), cached().pairs_by_class()), (vec![1, 2], vec![1, 2]));
    let lesion = cached().lesion(1).unwrap();
    assert_eq!(
        (memory.coding().areas(&memory.labels(1).unwrap()), lesion.iter().filter(|&&inside| inside).count()),
        (vec![0, 1], 1)
    );
    let exchanged = DataConfig { classes: whole.classes.iter().rev().cloned().collect(), ..whole };
    let exchanged = Preparation::fit(&dataset, &dataset.ids(), &exchanged).unwrap();
    let exchanged = exchanged.load_from(&dataset, &|_| true, Some(&cache), &|_| {}).unwrap();
    assert_eq!(exchanged.pairs_by_class(), [2, 1]);
    assert_ne!(exchanged.sha256().unwrap(), memory.sha256().unwrap());
}

#[test]
fn classes_are_taken_from_dataset_json_or_from_palettes() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = folder(dir.path(), &|path, labels| palette(path, [8, 12], labels, &["mass", "calcification"]));
    let found = |config: &DataConfig| class_source::resolve(&dataset, config).map(|(config, _)| config.classes);
    assert_eq!(names(&found(&DataConfig::default()).unwrap()), ["mass", "calcification"]);
    let preparation = Preparation::fit(&dataset, &dataset.ids(), &DataConfig::default()).unwrap();
    assert_eq!(preparation.load(&dataset, &|_, _| {}).unwrap().classes, 2);
    let one = DataConfig { mask_values: Some(MaskValues(vec![MaskValue::Gray(1)])), ..DataConfig::default() };
    assert!(found(&one).unwrap().is_empty(), "a key that says what values mean goes first");
    let description = dir.path().join("dataset.json");
    std::fs::write(&description, r#"{"labels": {"background": 0, "calcification": 2, "mass": 1, "ignore": 3}}"#)
        .unwrap();
    assert_eq!(names(&found(&DataConfig::default()).unwrap()), ["mass", "calcification"]);
    std::fs::write(&description, r#"{"labels": {"background": 0, "whole": [1, 2], "core": 2}}"#).unwrap();
    let (config, said) = class_source::resolve(&dataset, &DataConfig::default()).unwrap();
    assert_eq!(
        (names(&config.classes), config.coding()),
        (vec!["whole", "core"], Coding { classes: 2, overlap: true })
    );
    assert!(said.unwrap().contains("may overlap"));
    std::fs::write(&description, "{").unwrap();
    assert!(found(&DataConfig::default()).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn generated_masks_of_several_classes_are_label_maps_that_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let stamp = || Stamp {
        version: "pig 0".to_owned(),
        model_hash: "m".to_owned(),
        settings_hash: "s".to_owned(),
        settings: String::new(),
        beside: &[],
    };
    let writer = PairWriter::create(dir.path(), stamp(), [2, 3], 1).unwrap().with_classes(&config().classes, false);
    let image = Pixels::Eight(vec![9; 6]);
    for (seed, mask) in [(0, [0, 1, 2, 2, 0, 0]), (1, [0; 6])] {
        writer.write(&PairRecord { seed, image: &image, mask: Some(&mask), given: None }).unwrap();
    }
    assert!(writer.is_finished(0));
    assert_eq!(writer.finish().unwrap().empty_masks, 1);
    let manifest = std::fs::read_to_string(dir.path().join("manifest.csv")).unwrap();
    let lines: Vec<&str> = manifest.lines().collect();
    assert!(lines[0].ends_with("mask_pixels_mass,mask_pixels_calcification"), "{manifest}");
    assert!(lines[1].ends_with(",1,2") && lines[2].ends_with(",0,0"), "{manifest}");
    assert_eq!(read(&dir.path().join("masks/000000.png"), &config()).unwrap().data, [0, 1, 2, 2, 0, 0]);
    let shown = image::open(dir.path().join("masks/000000.png")).unwrap().into_rgb8();
    assert_eq!([shown.get_pixel(0, 0).0, shown.get_pixel(1, 0).0], [[0; 3], pig_data::classes::colour(0)]);
}

#[test]
fn a_pixel_takes_the_class_that_covers_most_of_it() {
    use pig_data::resample::resize_labels_area;
    // Background covers 2 of 4, class 1 and 2 one each: lesion, and the first of equal classes.
    assert_eq!(resize_labels_area(&[0, 0, 1, 2], [2, 2], [1, 1], Coding::exclusive(2)), [1]);
    assert_eq!(resize_labels_area(&[2, 0, 1, 2], [2, 2], [1, 1], Coding::exclusive(2)), [2]);
    assert_eq!(resize_labels_area(&[0, 0, 0, 2], [2, 2], [1, 1], Coding::exclusive(2)), [0]);
    assert_eq!(resize_labels_area(&[0, 3, 1, 2], [2, 2], [2, 2], Coding::exclusive(3)), [0, 3, 1, 2]);
}

/// Masks of lesion, whose class a column of the manifest names.
#[test]
fn the_class_of_a_case_is_that_of_its_lesion() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), &|path, labels| {
        let is_first = path.ends_with("masks/a.png");
        gray(
            path,
            12,
            8,
            &labels.iter().map(|&label| if is_first && label == 1 { 255 } else { 0 }).collect::<Vec<_>>(),
        );
    });
    for kind in ["images", "masks"] {
        std::fs::copy(dir.path().join(kind).join("a.png"), dir.path().join(kind).join("c.png")).unwrap();
    }
    let table = |text: &str| std::fs::write(dir.path().join("manifest.csv"), text).unwrap();
    table("id,patient,class\na,1,malignant\nb,2,normal\nc,3,benign\n");
    let config = DataConfig { class_column: Some("class".to_owned()), size: [8, 12], ..DataConfig::default() };
    let set = |config: &DataConfig| {
        let dataset = Dataset::discover(dir.path(), config)?;
        let preparation = Preparation::fit(&dataset, &dataset.ids(), config)?;
        let cache = dir.path().join("cache");
        preparation.load_from(&dataset, &|_| true, Some(&cache), &|_| {}).map(|set| (preparation, set))
    };
    let (preparation, found) = set(&config).unwrap();
    // Cases without lesion give no class.
    assert_eq!(names(&preparation.config.classes), ["benign", "malignant"]);
    let labels: Vec<u8> = (0..3).map(|index| found.labels(index).unwrap().into_iter().max().unwrap()).collect();
    assert_eq!((labels, found.pairs_by_class()), (vec![2, 0, 1], vec![1, 1]));
    // Another class in the table is another mask, although the files are the same.
    table("id,patient,class\na,1,benign\nb,2,\nc,3,benign\n");
    let two = DataConfig { classes: vec![class("benign", &[]), class("malignant", &[])], ..config.clone() };
    assert_eq!(set(&two).unwrap().1.pairs_by_class(), [2, 0]);
    // Generated masks name their classes, and belong to no case.
    let path = dir.path().join("generated.png");
    palette(&path, [8, 12], &[2; 96], &["benign", "malignant"]);
    assert_eq!(read(&path, &preparation.config).unwrap().data, [2; 96]);
    let message = read(&dir.path().join("masks/a.png"), &preparation.config).unwrap_err().to_string();
    assert!(message.contains("no class in the column") && message.contains("benign, malignant"), "{message}");
    table("id,patient,class\na,1,\nb,2,normal\nc,3,benign\n");
    let message = set(&two).unwrap_err().to_string();
    assert!(message.contains("a.png") && message.contains("no class in the column"), "{message}");
    table("id,patient,class\na,1,cyst\nb,2,normal\nc,3,benign\n");
    assert!(set(&two).unwrap_err().to_string().contains("the class \"cyst\""));
    let wrong = DataConfig { class_column: Some("kind".to_owned()), ..config };
    let message = set(&wrong).unwrap_err().to_string();
    assert!(message.contains("\"kind\"") && message.contains("id, patient, class"), "{message}");
}

/// A picture with lesions of two classes has a row of the manifest for each mask: it is one pair, each mask under its class.
#[test]
fn rows_of_one_image_are_one_pair_with_a_mask_for_each_class() {
    let dir = tempfile::tempdir().unwrap();
    let square = |left: usize, width: usize| -> Vec<u8> {
        (0..96).map(|i| if i / 12 < 4 && (left..left + width).contains(&(i % 12)) { 255 } else { 0 }).collect()
    };
    std::fs::create_dir(dir.path().join("files")).unwrap();
    let file = |name: &str| dir.path().join("files").join(name);
    for name in ["a.png", "b.png"] {
        gray(&file(name), 12, 8, &(0..96).map(|i| i as u8).collect::<Vec<_>>());
    }
    for (name, left, width) in [("left.png", 0, 3), ("right.png", 6, 4), ("more.png", 10, 2), ("both.png", 2, 5)] {
        gray(&file(name), 12, 8, &square(left, width));
    }
    let table = |rows: &str| {
        let rows: Vec<String> = rows.lines().map(|row| row.trim().replace("f/", "files/")).collect();
        let rows = rows.join("\n") + "\n";
        std::fs::write(dir.path().join("manifest.csv"), format!("image,mask,patient,kind\n{rows}")).unwrap();
    };
    let config = DataConfig { class_column: Some("kind".to_owned()), size: [8, 12], ..DataConfig::default() };
    let read = |config: &DataConfig| {
        let dataset = Dataset::discover(dir.path(), config)?;
        let preparation = Preparation::fit(&dataset, &dataset.ids(), config)?;
        let memory = preparation.load(&dataset, &|_, _| {})?;
        let cache = dir.path().join("cache");
        let cached = preparation.load_from(&dataset, &|_| true, Some(&cache), &|_| {})?;
        for index in 0..memory.len() {
            assert_eq!(memory.labels(index).unwrap(), cached.labels(index).unwrap());
        }
        Ok::<_, DataError>((
            names(&preparation.config.classes).into_iter().map(str::to_owned).collect::<Vec<_>>(),
            memory,
        ))
    };
    let labels = |masks: &[(usize, usize, u8)]| -> Vec<u8> {
        let of = |at: usize| masks.iter().map(|&(left, width, label)| square(left, width)[at] / 255 * label).sum();
        (0..96).map(of).collect()
    };
    // The class of a has three rows: two masks of one class, and one of the other.
    table(
        "f/a.png,f/left.png,1,mass\nf/b.png,f/left.png,2,cyst\nf/a.png,f/right.png,1,cyst\nf/a.png,f/more.png,1,mass",
    );
    let (classes, set) = read(&config).unwrap();
    assert_eq!(
        (classes, set.ids.clone()),
        (vec!["cyst".to_owned(), "mass".to_owned()], vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(set.labels(0).unwrap(), labels(&[(0, 3, 2), (6, 4, 1), (10, 2, 2)]));
    assert_eq!((set.labels(1).unwrap(), set.pairs_by_class()), (labels(&[(0, 3, 1)]), vec![2, 1]));
    // Another class of the second row is another mask, also in the cache.
    table("f/a.png,f/left.png,1,mass\nf/b.png,f/left.png,2,cyst\nf/a.png,f/right.png,1,mass");
    assert_eq!(read(&config).unwrap().1.labels(0).unwrap(), labels(&[(0, 3, 2), (6, 4, 2)]));
    let refused = |rows: &str, config: &DataConfig, words: &[&str]| {
        table(rows);
        let message = read(config).map(|_| ()).unwrap_err().to_string();
        assert!(words.iter().all(|words| message.contains(words)), "{words:?}: {message}");
    };
    let two = DataConfig { classes: vec![class("cyst", &[]), class("mass", &[])], ..config.clone() };
    refused(
        "f/a.png,f/left.png,1,mass\nf/a.png,f/right.png,1,",
        &two,
        &["right.png", "no class in the column of data.class_column", "cyst, mass"],
    );
    refused("f/a.png,f/left.png,1,mass\nf/a.png,f/right.png,1,tumour", &two, &["right.png", "the class \"tumour\""]);
    refused(
        "f/a.png,f/left.png,1,mass\nf/a.png,f/right.png,2,cyst",
        &two,
        &["line 3", "\"2\" in the column \"patient\"", "\"1\" in a row before"],
    );
    // One column of the first mask is in the third, too: 4 pixels. Classes that may overlap keep both.
    let clash = "f/a.png,f/left.png,1,mass\nf/a.png,f/both.png,1,cyst";
    refused(clash, &two, &["both.png: 4 pixel(s)", "the class \"mass\"", "left.png", "data.classes_overlap = true"]);
    let overlap = DataConfig { classes_overlap: true, ..two.clone() };
    let (_, set) = read(&overlap).unwrap();
    assert_eq!(set.coding(), Coding { classes: 2, overlap: true });
    assert_eq!(set.labels(0).unwrap(), labels(&[(0, 3, 2), (2, 5, 1)]));
    gray(&file("small.png"), 2, 2, &[0, 255, 0, 0]);
    refused("f/a.png,f/left.png,1,mass\nf/a.png,f/small.png,1,cyst", &two, &["small.png", "2 x 2", "12 x 8"]);
    // Without the column, an image has one row.
    let one = DataConfig::default();
    refused(clash, &one, &["lines 2 and 3", "set data.class_column"]);
    std::fs::write(
        dir.path().join("manifest.csv"),
        "id,image,mask,kind\na,files/a.png,files/left.png,mass\nb,files/a.png,files/right.png,cyst\n",
    )
    .unwrap();
    let message = read(&config).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("line 3") && message.contains("the id \"a\" instead of \"b\""), "{message}");
}

/// Regions of nnU-Net, which overlap: from the values of a file to channels, through a resize, to files that pig writes, and back.
#[test]
fn regions_are_kept_as_layers() {
    use MaskValue::Gray;
    use pig_data::resample::resize_labels_area;
    let dir = tempfile::tempdir().unwrap();
    let both = Coding { classes: 2, overlap: true };
    let classes = vec![class("whole", &[Gray(1), Gray(2)]), class("core", &[Gray(2)])];
    let regions = DataConfig { classes, classes_overlap: true, size: [2, 2], ..DataConfig::default() };
    regions.check().unwrap();
    let path = dir.path().join("a.png");
    gray(&path, 3, 2, &[0, 1, 2, 2, 1, 0]);
    assert_eq!(read(&path, &regions).unwrap().data, [0, 1, 3, 3, 1, 0]);
    gray(&path, 2, 1, &[0, 5]);
    assert!(read(&path, &regions).unwrap_err().to_string().contains("5 (1 pixel(s))"));
    // A value of two classes needs this key, and classes of a column have no values.
    for (config, words) in [
        (DataConfig { classes_overlap: false, ..regions.clone() }, "the value 2 for whole and for core"),
        (DataConfig { class_column: Some("class".to_owned()), ..regions.clone() }, "the class \"whole\" with values"),
    ] {
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
    // Each region is resized by its own area: of four pixels, two are whole and one is core.
    assert_eq!(resize_labels_area(&[1, 3, 0, 0], [2, 2], [1, 1], both), [1]);
    assert_eq!(resize_labels_area(&[2, 3, 0, 0], [2, 2], [1, 1], both), [2]);
    assert_eq!(resize_labels_area(&[1, 3, 3, 0], [2, 2], [1, 1], both), [3]);
    // Specks are removed from each region separately, and each has its own threshold.
    let x_0 = [0.9, 0.1, 0.9, 0.9, -1.0, -1.0, 0.3, 0.9];
    let clean = |thresholds: &[f32], area| pig_data::clean_labels(&x_0, [1, 4], both, thresholds, area);
    assert_eq!(clean(&[0.0, 0.0], 0).mask, [3, 3, 0, 3]);
    assert_eq!(clean(&[0.5, 0.5], 0).mask, [1, 3, 0, 2]);
    let found = clean(&[0.5, 0.5], 2);
    assert_eq!((found.mask, found.removed_components, found.lesion_pixels), (vec![1, 1, 0, 0], 2, 2));
    // Prepared, cached, and written again.
    for kind in ["images", "masks"] {
        std::fs::create_dir_all(dir.path().join(kind)).unwrap();
    }
    gray(&dir.path().join("images/a.png"), 2, 2, &[1, 2, 3, 4]);
    gray(&dir.path().join("masks/a.png"), 2, 2, &[0, 1, 2, 0]);
    let dataset = Dataset::discover(dir.path(), &regions).unwrap();
    let preparation = Preparation::fit(&dataset, &dataset.ids(), &regions).unwrap();
    let cache = dir.path().join("cache");
    for _ in 0..2 {
        let set = preparation.load_from(&dataset, &|_| true, Some(&cache), &|_| {}).unwrap();
        assert_eq!((set.labels(0).unwrap(), set.coding()), (vec![0, 1, 3, 0], both));
        assert_eq!(set.mask(0).unwrap(), both.channels(&[0, 1, 3, 0]));
        assert_eq!(set.class_masks(0).unwrap()[1], [false, false, true, false]);
        assert_eq!((set.pairs_by_class(), set.lesion(0).unwrap()), (vec![1, 1], vec![false, true, true, false]));
    }
    let out = dir.path().join("generated");
    let stamp = Stamp {
        version: "pig 0".to_owned(),
        model_hash: "m".to_owned(),
        settings_hash: "s".to_owned(),
        settings: String::new(),
        beside: &[],
    };
    let writer = PairWriter::create(&out, stamp, [2, 2], 1).unwrap().with_classes(&regions.classes, true);
    let image = Pixels::Eight(vec![9; 4]);
    writer.write(&PairRecord { seed: 0, image: &image, mask: Some(&[0, 1, 3, 2]), given: None }).unwrap();
    writer.finish().unwrap();
    let manifest = std::fs::read_to_string(out.join("manifest.csv")).unwrap();
    assert!(manifest.lines().nth(1).unwrap().ends_with(",2,2"), "{manifest}");
    let mask = out.join("masks/000000.png");
    assert_eq!(read(&mask, &preparation.of_generated().config).unwrap().data, [0, 1, 3, 2]);
    let found =
        class_source::resolve(&Dataset::discover(&out, &DataConfig::default()).unwrap(), &DataConfig::default());
    let found = found.unwrap().0;
    assert_eq!((names(&found.classes), found.coding()), (vec!["whole", "core"], both));
    // Masks of regions are no masks of classes that exclude each other, and the other way round.
    let exclusive = DataConfig { classes: vec![class("whole", &[Gray(1)]), class("core", &[Gray(2)])], ..config() };
    let message = read(&mask, &exclusive).unwrap_err().to_string();
    assert!(message.contains("whole, core (which may overlap); expected whole, core"), "{message}");
    palette(&path, [1, 2], &[1, 2], &["whole", "core"]);
    assert!(read(&path, &regions).unwrap_err().to_string().contains("expected whole, core (which may overlap)"));
}

/// Codes of classes are kept in the files that pig writes.
#[test]
fn codes_are_kept_with_the_names() {
    use pig_data::classes::ClassCode;
    let dir = tempfile::tempdir().unwrap();
    let [value, scheme, meaning] = ["4147007", "SCT", "Mass"].map(str::to_owned);
    let mass = ClassConfig { code: Some(ClassCode { value, scheme, meaning }), ..class("mass", &[MaskValue::Gray(1)]) };
    let classes = [mass, class("cyst", &[MaskValue::Gray(2)])];
    let path = dir.path().join("a.png");
    let bytes = pig_data::png_file::encode_class_png(&path, [1, 2], &[1, 2], (&classes, false), &[]).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let (found, _) = class_source::of_files(dir.path(), [path.as_path()]).unwrap().unwrap();
    assert_eq!(found.classes, classes);
}
