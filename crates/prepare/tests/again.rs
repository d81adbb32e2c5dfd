//! Preparing again: after a kill in the first moment, after images were taken away, and with files that may not be read or kept.

mod common;

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use common::dicom::{Dicom, MULTI_FRAME_WORD};
use common::*;
use pig_prepare::inspect::privacy::privacy;
use pig_prepare::inspect::{Inspection, NEAR_BITS, inspect};
use pig_prepare::pipeline::Silent;
use pig_prepare::settings::{MissingMask, Names};
use pig_prepare::sources::Cost;
use pig_prepare::{PrepareConfig, PrepareError};

fn pairs(names: &[&str]) -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    for (index, name) in names.iter().enumerate() {
        write_pair(source.path(), name, 40, 40, index as u64, 6.0);
    }
    source
}

fn files(folder: &Path, part: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(part)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_that_was_only_begun_is_continued() {
    let (source, out) = (pairs(&["a"]), tempfile::tempdir().unwrap());
    for part in ["images", "masks", ".cases"] {
        std::fs::create_dir(out.path().join(part)).unwrap();
    }
    let left = out.path().join(".dataset.toml.0123456789abcdef-0.tmp");
    std::fs::write(&left, "for").unwrap();
    std::fs::write(out.path().join("images/.a.png.0123456789abcdef-7.tmp"), "half").unwrap();
    let error = run(&request(source.path(), out.path(), small(32))).unwrap_err();
    assert!(matches!(error, PrepareError::Foreign { .. }), "images/ is not empty: {error}");
    std::fs::remove_file(out.path().join("images/.a.png.0123456789abcdef-7.tmp")).unwrap();
    run(&request(source.path(), out.path(), small(32))).unwrap();
    // What a killed preparation left beside its files goes, too.
    std::fs::write(out.path().join("images/.a.png.0123456789abcdef-7.tmp"), "half").unwrap();
    run(&request(source.path(), out.path(), small(32))).unwrap();
    assert!(!left.exists());
    assert_eq!((files(out.path(), "images"), files(out.path(), "masks")), (vec!["a.png".into()], vec!["a.png".into()]));
}

#[test]
fn images_that_are_gone_from_the_source_are_told_and_removed_on_request() {
    let (source, out) = (pairs(&["a", "b", "c"]), tempfile::tempdir().unwrap());
    let mut request = request(source.path(), out.path(), small(32));
    assert!(run(&request).unwrap().warnings.is_empty());
    for part in ["images", "masks"] {
        std::fs::remove_file(source.path().join(part).join("b.png")).unwrap();
    }
    let summary = run(&request).unwrap();
    let told = &summary.warnings[0];
    assert!(
        told.starts_with("1 image(s) or volume(s)") && told.contains("1 pair(s)") && told.contains("--prune"),
        "{told}"
    );
    assert_eq!((summary.description.pairs, manifest(out.path()).len(), files(out.path(), "images").len()), (2, 2, 3));
    // A case that fails is still in the source, and stays.
    let image = std::fs::read(source.path().join("images/c.png")).unwrap();
    std::fs::write(source.path().join("images/c.png"), &image[..60]).unwrap();
    request.prune = true;
    let summary = run(&request).unwrap();
    assert_eq!((summary.description.pairs, summary.errors.len(), summary.warnings.len()), (1, 1, 0));
    assert!(summary.notes.iter().any(|note| note.ends_with("their 1 pair(s) were removed.")), "{:?}", summary.notes);
    assert!(!out.path().join("images/b.png").exists() && !out.path().join(".cases/b.json").exists());
    std::fs::write(source.path().join("images/c.png"), image).unwrap();
    assert_eq!(run(&request).unwrap().description.pairs, 2);
}

#[test]
fn reasons_are_told_and_advice_fits_the_cause() {
    let told = |source: &Path, config: PrepareConfig| {
        let out = tempfile::tempdir().unwrap();
        run(&request(source, out.path(), config)).unwrap_err().to_string()
    };
    let unmasked = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        write_png(&unmasked.path().join(format!("images/{name}.png")), 20, 20, picture(20, 20, 1));
    }
    let text = told(unmasked.path(), small(16));
    assert!(text.contains("2 of 2 image(s)") && text.contains("the first: images/a.png: no mask found"), "{text}");
    assert!(text.contains("errors.csv") && !text.contains("empty_share"), "{text}");
    let text = told(unmasked.path(), PrepareConfig { missing_mask: MissingMask::Skip, ..small(16) });
    assert!(
        text.contains("0 of 2") && text.contains("2 without a mask") && text.contains("prepare.missing_mask"),
        "{text}"
    );
    let empty = tempfile::tempdir().unwrap();
    write_pair(empty.path(), "a", 20, 20, 1, 0.0);
    let text = told(empty.path(), small(16));
    assert!(text.contains("prepare.empty_share"), "{text}");
    // A file that could not even be recognised counts among all files.
    let broken = tempfile::tempdir().unwrap();
    std::fs::write(broken.path().join("a.dcm"), "no DICOM").unwrap();
    let text = told(broken.path(), small(16));
    assert!(text.contains("1 of 1 image(s)") && text.contains("the first: a.dcm"), "{text}");
}

#[test]
fn ids_differ_whatever_the_names_are() {
    let source = tempfile::tempdir().unwrap();
    let volume = |name: &str, instance: &str| {
        let mut dicom = Dicom::new(MULTI_FRAME_WORD, 2, 20, 20);
        dicom.instance = instance.to_owned();
        dicom.write(&source.path().join(format!("{name}.dcm")), |_, row, _| row as u16);
    };
    volume("v", "1.2.3");
    for name in ["v_0000", "a", "A"] {
        write_png(&source.path().join(format!("{name}.png")), 20, 20, picture(20, 20, 1));
    }
    let (out, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config =
        PrepareConfig { names: Names::Source, missing_mask: MissingMask::Empty, empty_share: 1.0, ..small(16) };
    let mut request = request(source.path(), out.path(), config);
    request.key = Some(key(keys.path()));
    let summary = run(&request).unwrap();
    let images = files(out.path(), "images");
    assert_eq!((summary.description.pairs, images.len()), (5, 5), "{images:?}");
    let lower: std::collections::BTreeSet<String> = images.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(lower.len(), 5, "{images:?}");
    assert!(["A.png", "v_0000.png", "v_0001.png"].iter().all(|name| images.iter().any(|image| image == name)));
}

#[test]
fn a_picture_that_needs_more_memory_than_allowed_is_refused() {
    let source = tempfile::tempdir().unwrap();
    let folders = ["images", "masks"].map(|part| source.path().join(part));
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
    }
    let side = 2500_u32;
    let gray = image::GrayImage::from_fn(side, side, |x, _| image::Luma([if x < 900 { 0 } else { 200 }]));
    gray.save(folders[0].join("a.jpg")).unwrap();
    gray.save(folders[1].join("a.png")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut request = request(source.path(), out.path(), small(16));
    request.cost = Cost::of_bytes(64_000_000);
    let error = run(&request).unwrap_err().to_string();
    assert!(error.contains("a.jpg: the picture would take 125000000 bytes") && error.contains("--memory"), "{error}");
    request.cost = Cost::of_bytes(400_000_000);
    assert_eq!(run(&request).unwrap().description.pairs, 1);
}

#[test]
fn an_inspection_that_was_stopped_says_so() {
    let source = tempfile::tempdir().unwrap();
    for number in 0..6 {
        let mut dicom = Dicom::new(MULTI_FRAME_WORD, 1, 20, 20);
        dicom.instance = format!("1.2.3.{number}");
        dicom.write(&source.path().join(number.to_string()), |_, row, _| row as u16);
    }
    std::fs::write(source.path().join("notes.txt"), "none").unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let stop = || StopAfter(2, AtomicUsize::new(0));
    let report = pool.install(|| privacy(source.path(), &Cost::default(), &stop())).unwrap();
    assert_eq!((report.files, report.stopped), (2, 4));
    let report = privacy(source.path(), &Cost::default(), &Silent).unwrap();
    assert_eq!((report.files, report.stopped), (6, 0));
    assert!(report.text().contains("not read: 1 file(s) that are not DICOM by their content"), "{}", report.text());
    let inspection = || Inspection {
        source: source.path().to_path_buf(),
        layout: None,
        config: PrepareConfig::default(),
        cost: Cost::default(),
        near_bits: NEAR_BITS,
    };
    assert_eq!(pool.install(|| inspect(inspection(), &stop())).unwrap().stopped, 4);
    assert_eq!(inspect(inspection(), &Silent).unwrap().stopped, 0);
}
