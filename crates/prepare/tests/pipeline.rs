//! The prepared folder: `pig train` can read it, it is reproducible, work on it can resume, and its pairs map back to the source.

mod common;

use std::sync::atomic::AtomicUsize;

use common::*;
use pig_data::{DataConfig, Dataset, split_by_group};
use pig_prepare::prepared_folder::{read_description, transforms};
use pig_prepare::settings::{CropRule, LateralityRule, MissingMask};
use pig_prepare::{PrepareConfig, PrepareError, prepare};

fn folder_of_pairs() -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    for index in 0..8 {
        let radius = if index % 4 == 3 { 0.0 } else { 9.0 };
        write_pair(source.path(), &format!("p{index}"), 60 + index, 90, index as u64, radius);
    }
    let rows: String = (0..8)
        .map(|index| format!("p{index},patient-{},{}\n", index / 2, ["L", "R"][index % 2]))
        .collect::<Vec<_>>()
        .concat();
    std::fs::write(source.path().join("manifest.csv"), format!("id,patient,laterality\n{rows}")).unwrap();
    source
}

#[test]
fn the_trainer_reads_what_is_prepared_and_keeps_patients_apart() {
    let (source, out) = (folder_of_pairs(), tempfile::tempdir().unwrap());
    let mut request = request(source.path(), out.path(), PrepareConfig { empty_share: 1.0, ..small(64) });
    let error = run(&request).unwrap_err().to_string();
    assert!(error.contains("--key"), "{error}");
    request.key = Some(key(source.path()));
    let summary = run(&request).unwrap();
    assert_eq!((summary.description.pairs, summary.description.patients, summary.description.empty_masks), (8, 4, 2));
    let dataset = Dataset::discover(out.path(), &DataConfig::default()).unwrap();
    assert_eq!((dataset.len(), dataset.group_count()), (8, 4));
    assert!(dataset.warnings.is_empty(), "{:?}", dataset.warnings);
    let split = split_by_group(&dataset, 0.25, 7).unwrap();
    assert_eq!((split.training.len(), split.validation.len()), (6, 2));
    split.check(&dataset).unwrap();
    // Neither file names nor contents hold the patients' names.
    for (place, bytes) in contents(out.path()) {
        assert!(!place.contains("patient-"), "{place}");
        assert!(!bytes.windows(8).any(|window| window == b"patient-"), "{place}");
    }
}

#[test]
fn the_same_twice_with_any_number_of_threads() {
    let source = folder_of_pairs();
    let key = key(source.path());
    let made: Vec<_> = [1, 4]
        .into_iter()
        .map(|threads| {
            let out = tempfile::tempdir().unwrap();
            let mut request = request(source.path(), out.path(), PrepareConfig { empty_share: 0.5, ..small(48) });
            request.key = Some(key.clone());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&request)).unwrap();
            contents(out.path())
        })
        .collect();
    assert!(made[0].len() > 12);
    assert_eq!(made[0], made[1]);
}

#[test]
fn an_interrupted_preparation_goes_on_and_ends_the_same() {
    let source = folder_of_pairs();
    let (out, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut request = request(source.path(), whole.path(), PrepareConfig { empty_share: 1.0, ..small(48) });
    request.key = Some(key(source.path()));
    run(&request).unwrap();
    request.out = out.path().to_path_buf();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let stopped = pool.install(|| prepare(&request, &StopAfter(3, AtomicUsize::new(0)))).unwrap();
    assert!(stopped.stopped && !read_description(out.path()).unwrap().complete);
    // A finished pair that was damaged meanwhile is made again.
    let damaged = std::fs::read_dir(out.path().join("images")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&damaged, b"cut short").unwrap();
    let resumed = run(&request).unwrap();
    assert_eq!((resumed.kept, resumed.stopped), (2, false));
    assert_eq!(contents(out.path()), contents(whole.path()));
    // A third run keeps everything; a changed source is prepared again.
    assert_eq!(run(&request).unwrap().kept, 8);
    write_pair(source.path(), "p0", 60, 90, 77, 5.0);
    assert_eq!(run(&request).unwrap().kept, 7);
    assert_ne!(contents(out.path()), contents(whole.path()));
}

#[test]
fn a_prepared_folder_from_elsewhere_cannot_reach_out_of_itself() {
    let (source, parent) = (folder_of_pairs(), tempfile::tempdir().unwrap());
    let out = parent.path().join("out");
    let mut request = request(source.path(), &out, small(48));
    request.key = Some(key(source.path()));
    run(&request).unwrap();
    let whole = contents(&out);
    let victim = parent.path().join("victim.png");
    std::fs::write(&victim, "not to be removed").unwrap();
    for entry in std::fs::read_dir(out.join(".cases")).unwrap() {
        let path = entry.unwrap().path();
        let mut state: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for record in state["records"].as_array_mut().unwrap() {
            record["image"] = "../victim.png".into();
            record["mask"] = "../victim.png".into();
        }
        // Another source hash, so that the files it names would be removed.
        state["source_sha256"] = "0".into();
        std::fs::write(&path, state.to_string()).unwrap();
    }
    run(&request).unwrap();
    assert!(victim.exists(), "other files must stay");
    assert_eq!(contents(&out), whole);
    // A transform that leads outside its picture is refused.
    let manifest = out.join("manifest.csv");
    let table = std::fs::read_to_string(&manifest).unwrap();
    let columns: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let at = columns.iter().position(|column| *column == "crop_top").unwrap();
    let changed = table.lines().enumerate().map(|(line, text)| {
        let mut fields: Vec<&str> = text.split(',').collect();
        if line == 1 {
            fields[at] = "59";
        }
        fields.join(",")
    });
    std::fs::write(&manifest, changed.collect::<Vec<_>>().join("\n")).unwrap();
    let error = transforms(&out).unwrap_err().to_string();
    assert!(error.contains("line 2: the crop or the padding does not fit"), "{error}");
}

#[test]
fn other_settings_keys_and_folders_are_refused() {
    let (source, out) = (folder_of_pairs(), tempfile::tempdir().unwrap());
    let mut request = request(source.path(), out.path(), small(48));
    request.key = Some(key(source.path()));
    run(&request).unwrap();
    request.config.size = [40, 40];
    let error = run(&request).unwrap_err().to_string();
    assert!(error.contains("prepare.size = [48, 48]; expected [40, 40]"), "{error}");
    request.config.size = [48, 48];
    request.key = Some(pig_prepare::Key::create(&source.path().join("second.key")).unwrap());
    assert!(run(&request).unwrap_err().to_string().contains("another key"));
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("thesis.txt"), "mine").unwrap();
    request.out = foreign.path().to_path_buf();
    assert!(matches!(run(&request), Err(PrepareError::Foreign { .. })));
    request.out = source.path().join("prepared");
    assert!(matches!(run(&request), Err(PrepareError::Foreign { .. })));
}

#[test]
fn one_bad_file_is_listed_and_the_others_go_on() {
    let (source, out) = (folder_of_pairs(), tempfile::tempdir().unwrap());
    std::fs::remove_file(source.path().join("manifest.csv")).unwrap();
    let png = std::fs::read(source.path().join("images/p1.png")).unwrap();
    std::fs::write(source.path().join("images/p1.png"), &png[..png.len() / 2]).unwrap();
    std::fs::remove_file(source.path().join("masks/p2.png")).unwrap();
    write_png(&source.path().join("masks/p4.png"), 10, 10, vec![0; 100]);
    let mut request = request(source.path(), out.path(), PrepareConfig { empty_share: 1.0, ..small(48) });
    let summary = run(&request).unwrap();
    assert_eq!((summary.description.pairs, summary.errors.len()), (5, 3));
    let reasons = std::fs::read_to_string(out.path().join("errors.csv")).unwrap();
    for (file, reason) in [("p1.png", "cannot be read"), ("p2.png", "no mask found"), ("p4.png", "differs in size")] {
        let line = reasons.lines().find(|line| line.starts_with(&format!("images/{file}"))).unwrap();
        assert!(line.contains(reason), "{line}");
    }
    assert!(!reasons.contains(source.path().to_str().unwrap()), "{reasons}");
    Dataset::discover(out.path(), &DataConfig::default()).unwrap();
    request.strict = true;
    request.out = out.path().join("strict");
    assert!(run(&request).is_err());
    // Settings can leave out images without a mask, or treat them as free of lesion.
    request.strict = false;
    for (rule, pairs, left_out) in [(MissingMask::Skip, 5, 1), (MissingMask::Empty, 6, 0)] {
        request.config.missing_mask = rule;
        request.out = out.path().join(format!("{rule:?}"));
        let summary = run(&request).unwrap();
        assert_eq!((summary.description.pairs, summary.description.left_out_without_mask), (pairs, left_out));
    }
}

#[test]
fn empty_images_are_drawn_one_by_one() {
    let source = tempfile::tempdir().unwrap();
    for index in 0..60 {
        write_pair(source.path(), &format!("p{index:02}"), 20, 20, index, if index < 10 { 4.0 } else { 0.0 });
    }
    let ids = |share: f64, seed: u64| {
        let out = tempfile::tempdir().unwrap();
        let config = PrepareConfig { empty_share: share, seed, ..small(20) };
        let summary = run(&request(source.path(), out.path(), config)).unwrap();
        assert_eq!(summary.description.pairs + summary.description.left_out_empty, 60);
        manifest(out.path()).into_iter().map(|row| row["id"].clone()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!((ids(0.0, 0).len(), ids(1.0, 0).len()), (10, 60));
    let (some, more, other) = (ids(0.3, 0), ids(0.6, 0), ids(0.3, 1));
    // Expected 10 + 0.3 * 50 and 10 + 0.6 * 50; the bounds are four standard deviations.
    assert!((12..=38).contains(&some.len()) && (26..=54).contains(&more.len()), "{} {}", some.len(), more.len());
    assert!(some.is_subset(&more) && some != other);
}

#[test]
fn prepared_pairs_go_back_to_their_source_and_to_millimetres() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (height, width) = (120, 200);
    // A smooth image that is bright only in one part, so that there is something to crop.
    let bright = |row: usize, column: usize| (20..100).contains(&row) && (30..170).contains(&column);
    let values: Vec<u8> = (0..height * width)
        .map(|index| {
            let (row, column) = (index / width, index % width);
            if bright(row, column) { (100.0 + 60.0 * (row as f64 / 30.0).sin() + 0.3 * column as f64) as u8 } else { 0 }
        })
        .collect();
    let mask = disc(height, width, [50.0, 120.0], 14.0);
    write_png(&source.path().join("images/a.png"), height, width, values.clone());
    write_png(&source.path().join("masks/a.png"), height, width, mask.clone());
    let manifest_text = "id,laterality,pixel_height_mm,pixel_width_mm\na,right,0.1,0.2\n";
    std::fs::write(source.path().join("manifest.csv"), manifest_text).unwrap();
    let config = PrepareConfig {
        crop: CropRule::LargestComponent,
        laterality: LateralityRule::Left,
        bit_depth: 16,
        ..small(256)
    };
    run(&request(source.path(), out.path(), config)).unwrap();
    let row = &manifest(out.path())[0];
    assert_eq!((row["mirrored"].as_str(), row["source_pixel_width_mm"].as_str()), ("true", "0.2"));
    let transform = transforms(out.path()).unwrap()[&row["id"]];
    assert!(transform.crop_size[0] < 90 && transform.crop_size[1] < 150, "{transform:?}");
    // The lesion's centre, measured in the prepared mask, maps to its position in the source.
    let (_, prepared_width, prepared_mask) = read_gray(&out.path().join(&row["mask"]));
    let lesion: Vec<usize> = (0..prepared_mask.len()).filter(|&i| prepared_mask[i] != 0).collect();
    let centre = [0, 1].map(|axis| {
        let place = |i: usize| [i / prepared_width, i % prepared_width][axis] as f64 + 0.5;
        lesion.iter().map(|&i| place(i)).sum::<f64>() / lesion.len() as f64
    });
    let millimetres = transform.to_millimetres(centre).unwrap();
    assert!((millimetres[0] - 5.0).abs() < 0.03 && (millimetres[1] - 24.0).abs() < 0.06, "{millimetres:?}");
    // Its area in mm2 is that of the disc (an ellipse in millimetres).
    let spacing = transform.prepared_spacing().unwrap();
    let area = lesion.len() as f64 * spacing[0] * spacing[1];
    let expected = mask.iter().filter(|&&value| value != 0).count() as f64 * 0.1 * 0.2;
    assert!((area / expected - 1.0).abs() < 0.02, "{area} {expected}");
    // Mapped back to the source's grid, mask and image equal those of the source.
    let binary: Vec<u8> = prepared_mask.iter().map(|&value| u8::from(value != 0)).collect();
    let restored = transform.restore_mask(&binary, pig_data::classes::Coding::exclusive(1));
    let differing = restored.iter().zip(&mask).filter(|(a, b)| (**a != 0) != (**b != 0)).count();
    assert!(differing <= 12, "{differing}");
    let (_, _, image) = read_gray(&out.path().join(&row["image"]));
    let image: Vec<f32> = image.iter().map(|&value| f32::from(value) / 257.0).collect();
    let restored = transform.restore_image(&image);
    for index in 0..values.len() {
        let (row, column) = (index / width, index % width);
        if (24..96).contains(&row) && (34..166).contains(&column) {
            assert!((restored[index] - f32::from(values[index])).abs() < 2.5, "{row} {column}");
        }
    }
}

#[test]
fn pictures_keep_their_values_at_their_own_size() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pair(source.path(), "a", 64, 64, 3, 8.0);
    run(&request(source.path(), out.path(), small(64))).unwrap();
    let original = contents(source.path());
    for folder in ["images", "masks"] {
        let source = read_gray(&source.path().join(folder).join("a.png"));
        assert_eq!(source, read_gray(&out.path().join(folder).join("a.png")));
    }
    assert_eq!(original, contents(source.path()), "the source is never written to");
}
