//! Folders of pictures that need not be pairs: parts of a split, and tables with several rows for an image.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{gray8, text};
use pig_data::class_source::for_folder;
use pig_data::classes::{Coding, names};
use pig_data::folder::{Groups, Kind};
use pig_data::{CaseMask, Chosen, ClassConfig, DataConfig, Dataset, Part, Source, split_by_group};

fn ids<T>(found: &BTreeMap<String, T>) -> Vec<&str> {
    found.keys().map(String::as_str).collect()
}

#[test]
fn pictures_of_a_folder_are_those_of_the_part() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    common::folders(&data, 4);
    text(&data.join("manifest.csv"), "id,split\na00,train\na01,train\na02,test\na03,train\n");
    let splits = dir.path().join("splits.json");
    let dataset = Dataset::discover(&data, &DataConfig::default()).unwrap();
    split_by_group(&dataset, 0.0, 0).unwrap().save(&splits).unwrap();
    let chosen = Chosen::read(&splits, Part::Training).unwrap();
    let config = DataConfig::default();
    let part = Source { only: Some(&chosen), ..Source::all(&data, &config) };
    assert_eq!(ids(&part.images().unwrap()), ["a00", "a01", "a03"]);
    assert_eq!(ids(&part.masks().unwrap()), ["a00", "a01", "a03"]);
    assert_eq!(Source::all(&data, &config).images().unwrap().len(), 4);
}

/// Pictures of 4 x 2 pixels, masks in one folder with them, and a table of these rows.
fn rows(root: &Path, table: &str) {
    for name in ["a.png", "b.png", "spare.png"] {
        gray8(&root.join("files").join(name), 4, 2, |x, y| (40 * x + y) as u8);
    }
    let mask = |name: &str, inside: fn(u32, u32) -> bool| {
        gray8(&root.join("files").join(name), 4, 2, |x, y| if inside(x, y) { 255 } else { 0 });
    };
    mask("left.png", |x, _| x == 0);
    mask("right.png", |x, y| x > 1 && y == 1);
    mask("wide.png", |x, _| x < 2);
    mask("none.png", |_, _| false);
    text(&root.join("manifest.csv"), &format!("image,mask,kind,patient\n{}\n", table.replace("f/", "files/")));
}

#[test]
fn a_table_with_classes_says_which_files_are_images_and_which_are_masks() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    rows(root, "f/a.png,f/left.png,mass,p1\nf/b.png,f/none.png,normal,p2\nf/a.png,f/right.png,cyst,p1");
    let config = DataConfig { class_column: Some("kind".to_owned()), ..DataConfig::default() };
    let source = Source::all(root, &config);
    let images = source.images().unwrap();
    assert_eq!((ids(&images), &images["a"]), (vec!["a", "b"], &root.join("files/a.png")));
    let masks = source.masks().unwrap();
    let layers = |mask: &CaseMask| -> Vec<(String, Option<String>)> {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        mask.layers().map(|layer| (name(&layer.path), layer.class.clone())).collect()
    };
    let layer = |file: &str, class: &str| (file.to_owned(), Some(class.to_owned()));
    assert_eq!(layers(&masks["a"]), [layer("left.png", "mass"), layer("right.png", "cyst")]);
    assert_eq!(layers(&masks["b"]), [layer("none.png", "normal")]);
    assert!(source.has_masks().unwrap());
    // A word without lesion is no class.
    let named = source.classes(&config).unwrap().unwrap();
    assert_eq!((names(&named.classes), named.overlap), (vec!["cyst", "mass"], false));
    let known = DataConfig { classes: named.classes, ..config.clone() };
    assert_eq!(masks["a"].read(&known).unwrap().data, [2, 0, 0, 0, 2, 0, 1, 1]);
    assert_eq!(masks["b"].read(&known).unwrap().data, [0; 8]);
    // What is said: one image has two rows, and two of seven pictures are in no row.
    let said = source.rows().unwrap().unwrap();
    assert!(said.ends_with(
        ": 1 of 2 image(s) have several rows in manifest.csv, 2 in all; the mask of each row keeps its class"
    ));
    let left_out = source.left_out(Kind::Images).unwrap().unwrap();
    assert!(left_out.ends_with(": Left out: 2 picture(s) that manifest.csv does not list."), "{left_out}");
    let groups = Groups::of_folder(root, None, Some("kind")).unwrap().unwrap();
    assert_eq!(groups.of(["a", "b"]).unwrap(), ["p1", "p2"]);
    assert!(Groups::of_folder(root, None, None).unwrap_err().to_string().contains("the id \"a\" occurs twice"));
    // Without the column, the images are those of the table, too, but which mask is meant is not known.
    let plain = DataConfig::default();
    assert_eq!(ids(&Source::all(root, &plain).images().unwrap()), ["a", "b"]);
    assert_eq!(
        (Source::all(root, &plain).rows().unwrap(), Source::all(root, &plain).has_masks().unwrap()),
        (None, false)
    );
    // Masks that overlap need classes that may, and rows must agree in all else.
    rows(root, "f/a.png,f/left.png,mass,p1\nf/a.png,f/wide.png,cyst,p9");
    let masks = source.masks().unwrap();
    let clash = masks["a"].read(&known).unwrap_err().to_string();
    assert!(clash.contains("wide.png: 2 pixel(s)") && clash.contains("data.classes_overlap = true"), "{clash}");
    let both = DataConfig { classes_overlap: true, ..known };
    assert_eq!(both.coding(), Coding { classes: 2, overlap: true });
    assert_eq!(masks["a"].read(&both).unwrap().data, [3, 1, 0, 0, 3, 1, 0, 0]);
    let error = Groups::of_folder(root, None, Some("kind")).unwrap_err().to_string();
    assert!(error.contains("\"p9\" in the column \"patient\", and \"p1\" in a row before"), "{error}");
}

#[test]
fn a_table_without_paths_names_the_class_of_each_mask() {
    let dir = tempfile::tempdir().unwrap();
    common::folders(dir.path(), 2);
    text(&dir.path().join("manifest.csv"), "id,kind\na00,mass\na01,cyst\n");
    let config = DataConfig { class_column: Some("kind".to_owned()), ..DataConfig::default() };
    let masks = Source::all(dir.path(), &config).masks().unwrap();
    let classes: Vec<Option<&str>> = masks.values().map(|mask| mask.first.class.as_deref()).collect();
    assert_eq!(classes, [Some("mass"), Some("cyst")]);
    let class = |name: &str| ClassConfig { name: name.to_owned(), ..ClassConfig::default() };
    let known = DataConfig { classes: vec![class("cyst"), class("mass")], ..config.clone() };
    // The upper left quarter, 4 x 3 of 8 x 6 pixels.
    let expected: Vec<u8> = (0..48).map(|i| if i % 8 < 4 && i / 8 < 3 { 2 } else { 0 }).collect();
    assert_eq!(masks["a00"].read(&known).unwrap().data, expected);
    text(&dir.path().join("manifest.csv"), "id,kind\na00,mass\na01,cyst\na00,cyst\n");
    let error = Source::all(dir.path(), &config).masks().unwrap_err().to_string();
    assert!(error.contains("line 4") && error.contains("the id \"a00\" occurs twice"), "{error}");
    // A column that no folder has is no column of classes.
    let other = DataConfig { class_column: Some("type".to_owned()), ..DataConfig::default() };
    let sources = [Source::all(dir.path(), &other); 2];
    let error = Source::check_class_column(&sources).unwrap_err().to_string();
    assert!(error.contains("no column \"type\"") && error.contains("id, kind"), "{error}");
    Source::check_class_column(&[Source::all(dir.path(), &config)]).unwrap();
    Source::check_class_column(&[Source::all(dir.path(), &DataConfig::default())]).unwrap();
}

/// A folder of masks of two values beside one whose column names classes, such as what a run of a single class predicts.
#[test]
fn masks_of_a_folder_without_the_column_are_of_the_only_class() {
    let dir = tempfile::tempdir().unwrap();
    common::folders(dir.path(), 1);
    let class = |name: &str| ClassConfig { name: name.to_owned(), ..ClassConfig::default() };
    let one =
        DataConfig { class_column: Some("kind".to_owned()), classes: vec![class("mass")], ..DataConfig::default() };
    let masks = Source::all(dir.path(), &one).masks().unwrap();
    // The upper left quarter, 4 x 3 of 8 x 6 pixels.
    let expected: Vec<u8> = (0..48).map(|i| u8::from(i % 8 < 4 && i / 8 < 3)).collect();
    assert_eq!(masks["a00"].read(&for_folder(&one, dir.path()).unwrap()).unwrap().data, expected);
    // Which of two classes it is, nothing says.
    let two = DataConfig { classes: vec![class("cyst"), class("mass")], ..one };
    let error = masks["a00"].read(&for_folder(&two, dir.path()).unwrap()).unwrap_err();
    let said = error.to_string();
    for words in ["a00.png", "does not say of which class: 255 (12 pixel(s))", "data.class_column", "cyst, mass"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = error.for_run().to_string();
    assert!(said.contains("among cyst, mass, since a finished run") && !said.contains("data."), "{said}");
}
