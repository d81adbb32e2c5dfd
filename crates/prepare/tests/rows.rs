//! Rows of a manifest that give an image a mask for each class.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use pig_data::classes::{Coding, names};
use pig_data::config::{MaskResize, MaskValue, MaskValues};
use pig_data::{ClassConfig, DataConfig, Dataset, class_source};
use pig_prepare::inspect::{Inspection, inspect};
use pig_prepare::pipeline::{Silent, plan};
use pig_prepare::settings::WindowRule;
use pig_prepare::sources::Cost;
use pig_prepare::{Layout, PrepareConfig};

/// Height and width of all pictures.
const SIZE: [usize; 2] = [8, 12];

/// The columns `left..left + width` of the first four rows have this value.
fn bar(left: usize, width: usize, value: u8) -> Vec<u8> {
    let inside = |i: usize| i / SIZE[1] < 4 && (left..left + width).contains(&(i % SIZE[1]));
    (0..SIZE[0] * SIZE[1]).map(|i| if inside(i) { value } else { 0 }).collect()
}

/// The sum of bars: left, width and label of each.
fn bars(bars: &[(usize, usize, u8)]) -> Vec<u16> {
    let all: Vec<Vec<u8>> = bars.iter().map(|&(left, width, label)| bar(left, width, label)).collect();
    (0..SIZE[0] * SIZE[1]).map(|i| all.iter().map(|bar| u16::from(bar[i])).sum()).collect()
}

/// Three pictures, and masks of lesion, in the folder `files`.
fn source() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (seed, name) in ["a", "b", "c"].into_iter().enumerate() {
        let path = dir.path().join(format!("files/{name}.png"));
        write_png(&path, SIZE[0], SIZE[1], picture(SIZE[0], SIZE[1], seed as u64));
    }
    for (name, left, width) in [("left", 0, 3), ("right", 6, 4), ("more", 10, 2), ("both", 2, 5), ("none", 0, 0)] {
        write_png(&dir.path().join(format!("files/{name}.png")), SIZE[0], SIZE[1], bar(left, width, 255));
    }
    dir
}

fn table(root: &Path, rows: &str) {
    let rows: Vec<String> = rows.lines().map(|row| row.trim().replace("f/", "files/") + "\n").collect();
    std::fs::write(root.join("manifest.csv"), format!("image,mask,kind\n{}", rows.concat())).unwrap();
}

/// Settings that change no pixel, with the column `kind`. Images without lesion are kept.
fn config() -> PrepareConfig {
    PrepareConfig {
        size: SIZE,
        window: WindowRule::Stored,
        empty_share: 1.0,
        class_column: Some("kind".to_owned()),
        ..PrepareConfig::default()
    }
}

/// The cells of a row of a manifest by column.
type Row = BTreeMap<String, String>;

/// The prepared masks by id, with the rows of the manifest.
fn prepared(out: &Path) -> BTreeMap<String, (Vec<u16>, Row)> {
    let mask = |row: &Row| read_gray(&out.join(&row["mask"])).2;
    manifest(out).into_iter().map(|row| (row["id"].clone(), (mask(&row), row))).collect()
}

/// The only error of a preparation that makes no pair.
fn refused(root: &Path, config: PrepareConfig) -> String {
    let out = tempfile::tempdir().unwrap();
    run(&request(root, out.path(), config)).unwrap_err().to_string()
}

fn class(name: &str) -> ClassConfig {
    ClassConfig { name: name.to_owned(), ..ClassConfig::default() }
}

#[test]
fn the_mask_of_each_row_keeps_its_class() {
    let (source, out) = (source(), tempfile::tempdir().unwrap());
    let rows = "f/a.png,f/left.png,mass\nf/b.png,f/left.png,cyst\nf/a.png,f/right.png,cyst\nf/a.png,f/more.png,mass
        f/c.png,f/none.png,normal";
    table(source.path(), rows);
    let summary = run(&request(source.path(), out.path(), config())).unwrap();
    assert_eq!((summary.description.pairs, summary.errors.len()), (3, 0), "{:?}", summary.errors);
    let notes = summary.notes.join("\n");
    for words in [
        "the cases have the classes cyst, mass (the column \"kind\"); 1 word(s) without lesion are no class: normal.",
        "1 of 3 image(s) have several rows in manifest.csv, 3 in all; the mask of each row keeps its class.",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    let found = prepared(out.path());
    // The first class by name has the label 1.
    assert_eq!(found["a"].0, bars(&[(0, 3, 2), (6, 4, 1), (10, 2, 2)]));
    assert_eq!(found["b"].0, bars(&[(0, 3, 1)]));
    assert_eq!(found["c"].0, bars(&[]));
    let column = |id: &str, name: &str| found[id].1[name].clone();
    assert_eq!([column("a", "mask_pixels_cyst"), column("a", "mask_pixels_mass")], ["16", "20"]);
    assert_eq!((column("a", "kind"), column("b", "kind")), ("mass; cyst".to_owned(), "cyst".to_owned()));
    // A training of the prepared folder knows the classes without any key.
    let dataset = Dataset::discover(out.path(), &DataConfig::default()).unwrap();
    let (known, _) = class_source::resolve(&dataset, &DataConfig::default()).unwrap();
    assert_eq!(names(&known.classes), ["cyst", "mass"]);
    let mask = dataset.pairs[0].mask.as_ref().unwrap().read(&known).unwrap();
    assert_eq!(mask.data.iter().map(|&label| u16::from(label)).collect::<Vec<_>>(), found["a"].0);
    // And it is what a training of the source reads.
    let own = DataConfig { class_column: Some("kind".to_owned()), ..DataConfig::default() };
    let raw = Dataset::discover(source.path(), &own).unwrap();
    let (own, _) = class_source::resolve(&raw, &own).unwrap();
    assert_eq!(raw.pairs[0].mask.as_ref().unwrap().read(&own).unwrap().data, mask.data);
    // A dry run and an inspection say the same.
    let said = plan(&request(source.path(), out.path(), config()), &Silent).unwrap().notes.join("\n");
    assert!(said.contains("the classes cyst, mass"), "{said}");
    let inspection = Inspection {
        source: source.path().to_path_buf(),
        layout: None,
        config: config(),
        cost: Cost::default(),
        near_bits: 0,
    };
    let counts = inspect(inspection, &Silent).unwrap().report.mask_classes;
    assert_eq!((counts["cyst"].slices, counts["cyst"].pixels, counts["mass"].pixels), (2, 16 + 12, 20));
    // Another class of a row is another mask, although the files are the same.
    table(source.path(), &rows.replace("f/right.png,cyst", "f/right.png,mass"));
    assert_eq!(run(&request(source.path(), out.path(), config())).unwrap().kept, 2);
    assert_eq!(prepared(out.path())["a"].0, bars(&[(0, 3, 2), (6, 4, 2), (10, 2, 2)]));
}

/// A mask that cannot be read does not show that its word is one without lesion.
#[test]
fn words_whose_masks_cannot_be_read_are_told_apart_from_those_without_lesion() {
    let (source, out) = (source(), tempfile::tempdir().unwrap());
    let at = |name: &str| source.path().join("files").join(name);
    let whole = std::fs::read(at("left.png")).unwrap();
    std::fs::write(at("cut.png"), &whole[..whole.len() / 2]).unwrap();
    table(source.path(), "f/a.png,f/left.png,mass\nf/b.png,f/cut.png,cyst\nf/c.png,f/none.png,normal");
    let summary = run(&request(source.path(), out.path(), config())).unwrap();
    assert!(summary.errors.len() == 1 && summary.errors[0].0.ends_with("b.png"), "{:?}", summary.errors);
    let notes = summary.notes.join("\n");
    for words in
        ["1 word(s) without lesion are no class: normal.", "cannot be read and may have lesion: cyst (1 row(s))."]
    {
        assert!(notes.contains(words), "{words}: {notes}");
    }
}

#[test]
fn masks_of_rows_overlap_as_in_a_training() {
    let source = source();
    // One column of four pixels is in both masks.
    table(source.path(), "f/a.png,f/left.png,mass\nf/a.png,f/both.png,cyst");
    let error = refused(source.path(), config());
    for words in ["both.png: 4 pixel(s)", "the class \"mass\"", "left.png", "set prepare.classes_overlap = true"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    let out = tempfile::tempdir().unwrap();
    let overlap = PrepareConfig { classes_overlap: true, ..config() };
    run(&request(source.path(), out.path(), overlap)).unwrap();
    let dataset = Dataset::discover(out.path(), &DataConfig::default()).unwrap();
    let (known, _) = class_source::resolve(&dataset, &DataConfig::default()).unwrap();
    assert_eq!((names(&known.classes), known.coding()), (vec!["cyst", "mass"], Coding { classes: 2, overlap: true }));
    // Bit 0 is the cyst, bit 1 the mass.
    assert_eq!(prepared(out.path())["a"].0, bars(&[(0, 3, 2), (2, 5, 1)]));
    // Two masks of one class may overlap, and a row that says the same again says nothing.
    table(
        source.path(),
        "f/a.png,f/left.png,cyst\nf/a.png,f/both.png,cyst\nf/a.png,f/left.png,cyst\nf/b.png,f/more.png,mass",
    );
    let out = tempfile::tempdir().unwrap();
    let summary = run(&request(source.path(), out.path(), config())).unwrap();
    assert_eq!(prepared(out.path())["a"].0, bars(&[(0, 7, 1)]));
    assert!(summary.notes.join("\n").contains("1 of 2 image(s) have several rows in manifest.csv, 2 in all"));
}

#[test]
fn rows_without_a_class_or_with_another_are_refused() {
    let source = source();
    let root = source.path();
    table(root, "f/a.png,f/left.png,mass\nf/a.png,f/right.png,\nf/b.png,f/none.png,");
    let error = refused(root, PrepareConfig { empty_share: 0.0, ..config() });
    let words = "right.png: the mask has lesion, but its case has no class in the column of prepare.class_column; expected one of mass";
    assert!(error.contains(words), "{error}");
    // The settings may name the classes; a word that they do not name is an error.
    let two = PrepareConfig { classes: vec![class("mass"), class("cyst")], ..config() };
    table(root, "f/a.png,f/left.png,mass\nf/b.png,f/left.png,tumour");
    let out = tempfile::tempdir().unwrap();
    let summary = run(&request(root, out.path(), two)).unwrap();
    assert_eq!(prepared(out.path())["a"].0, bars(&[(0, 3, 1)]));
    assert!(summary.errors[0].1.contains("the class \"tumour\"") && summary.errors[0].0.ends_with("b.png"));
    // One class alone is lesion.
    table(root, "f/a.png,f/left.png,mass\nf/a.png,f/right.png,mass");
    let out = tempfile::tempdir().unwrap();
    run(&request(root, out.path(), config())).unwrap();
    assert_eq!(prepared(out.path())["a"].0, bars(&[(0, 3, 255), (6, 4, 255)]));
    // A column that is not there, and layouts without one.
    let other = PrepareConfig { class_column: Some("type".to_owned()), ..config() };
    let error = refused(root, other.clone());
    assert!(error.contains("no column \"type\"") && error.contains("set prepare.class_column"), "{error}");
    std::fs::remove_file(root.join("manifest.csv")).unwrap();
    assert!(refused(root, other).contains("there is no manifest.csv"));
    let mut asked = request(root, out.path(), config());
    asked.layout = Some(Layout::Busi);
    let error = run(&asked).unwrap_err().to_string();
    assert!(error.contains("prepare.class_column = \"kind\" with the layout"), "{error}");
    let values = MaskValues(vec![MaskValue::Gray(1)]);
    let valued = PrepareConfig { classes: vec![ClassConfig { values, ..class("mass") }], ..config() };
    assert!(valued.check().unwrap_err().to_string().contains("the class \"mass\" with values"));
}

/// The column `class` is one that a prepared manifest has, too. Without the setting, rows of two classes are refused, and rows of other
/// columns are one lesion.
#[test]
fn the_column_class_may_name_them() {
    let source = source();
    table(source.path(), "f/a.png,f/left.png,mass\nf/a.png,f/right.png,cyst");
    let path = source.path().join("manifest.csv");
    let one = PrepareConfig { class_column: None, ..config() };
    let out = tempfile::tempdir().unwrap();
    let summary = run(&request(source.path(), out.path(), one.clone())).unwrap();
    assert_eq!(prepared(out.path())["a"].0, bars(&[(0, 3, 255), (6, 4, 255)]));
    let words = "1 image(s) have several rows in manifest.csv, whose masks are merged into one; prepare.class_column";
    assert!(summary.notes.join("\n").contains(words), "{:?}", summary.notes);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("kind", "class")).unwrap();
    let error = refused(source.path(), one);
    assert!(error.contains("line 3") && error.contains("prepare.class_column = \"class\""), "{error}");
    let out = tempfile::tempdir().unwrap();
    let by_class = PrepareConfig { class_column: Some("class".to_owned()), ..config() };
    run(&request(source.path(), out.path(), by_class)).unwrap();
    let found = prepared(out.path());
    assert_eq!((&found["a"].0, found["a"].1["class"].as_str()), (&bars(&[(0, 3, 2), (6, 4, 1)]), "mass; cyst"));
}

/// Masks that are volumes, slice by slice.
#[test]
fn rows_of_a_volume_are_one_label_map_in_each_slice() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let put = |name: &str, value: fn(usize) -> u8| {
        let voxels: Vec<u8> = (0..8 * 6 * 2).map(value).collect();
        std::fs::write(source.path().join(name), nifti([8, 6, 2], 2, 8, [1.0, 1.0, 1.0], &voxels)).unwrap();
    };
    put("v.nii", |i| i as u8);
    // The first has its lesion in both slices, the second in the second slice alone.
    put("mass.nii", |i| u8::from(i % 8 < 2));
    put("cyst.nii", |i| if i >= 48 && i % 8 == 5 { 7 } else { 0 });
    std::fs::write(source.path().join("manifest.csv"), "image,mask,kind\nv.nii,mass.nii,mass\nv.nii,cyst.nii,cyst\n")
        .unwrap();
    let config = PrepareConfig { size: [6, 8], mask_resize: MaskResize::Nearest, ..config() };
    run(&request(source.path(), out.path(), config)).unwrap();
    let mut rows = manifest(out.path());
    rows.sort_by_key(|row| row["slice"].clone());
    let masks: Vec<Vec<u16>> = rows.iter().map(|row| read_gray(&out.path().join(&row["mask"])).2).collect();
    let expected = |slice: usize| -> Vec<u16> {
        (0..48).map(|i| if i % 8 < 2 { 2 } else { u16::from(slice == 1 && i % 8 == 5) }).collect()
    };
    assert_eq!(masks, [expected(0), expected(1)]);
    assert_eq!((rows[1]["mask_pixels_cyst"].as_str(), rows[1]["mask_pixels_mass"].as_str()), ("6", "12"));
}

/// A table that lists no masks names the class of all masks of an image.
#[test]
fn a_table_of_ids_names_the_class_of_each_image() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, left) in [("a", 0), ("b", 6)] {
        let path = |folder: &str| source.path().join(format!("{folder}/{name}.png"));
        write_png(&path("images"), SIZE[0], SIZE[1], picture(SIZE[0], SIZE[1], left as u64));
        write_png(&path("masks"), SIZE[0], SIZE[1], bar(left, 2, 255));
    }
    let table = |text: &str| std::fs::write(source.path().join("manifest.csv"), text).unwrap();
    table("id,kind\na,mass\nb,cyst\n");
    run(&request(source.path(), out.path(), config())).unwrap();
    let found = prepared(out.path());
    assert_eq!((&found["a"].0, &found["b"].0), (&bars(&[(0, 2, 2)]), &bars(&[(6, 2, 1)])));
    table("id,kind\na,mass\nb,cyst\nb,mass\n");
    let error = refused(source.path(), config());
    assert!(error.contains("line 4") && error.contains("another class"), "{error}");
}
