//! Which pairs are exported, under which names, and what is refused.

mod common;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use common::{DICOM_LABELMAP, DICOM_SEG, both, done, files, manifest, pair, phantoms, request, run};
use pig_data::curation::{Choice, set_choices};
use pig_export::{Amount, ExportError, Format, Request, Segmentation, export};

const FORMATS: [Format; 9] = [
    Format::Nnunet,
    Format::Monai,
    Format::Coco { segmentation: Segmentation::Rle },
    Format::Coco { segmentation: Segmentation::Polygon },
    Format::Nifti,
    DICOM_SEG,
    DICOM_LABELMAP,
    Format::Webdataset { shard_size: 4 },
    Format::Png,
];

#[test]
fn the_same_request_gives_the_same_bytes() {
    let (folder, generated, real) = both();
    for (index, format) in FORMATS.into_iter().enumerate() {
        let make = |name: &str| {
            // Some files contain the name of the output folder.
            let out = folder.path().join(name).join(format!("Dataset10{index}_X"));
            std::fs::create_dir_all(out.parent().unwrap()).unwrap();
            done(&Request {
                real: Some(real.clone()),
                amount: Amount::Share(0.4),
                seed: 3,
                ..request(&generated, &out, format)
            });
            files(&out)
        };
        let (first, second) = (make("first"), make("second"));
        assert!(first.len() > 2 && first == second, "{format:?}");
        assert_eq!(manifest(&folder.path().join(format!("first/Dataset10{index}_X"))).len(), 13, "{format:?}");
    }
}

#[test]
fn shares_and_counts_choose_generated_pairs_and_keep_all_real_ones() {
    let (folder, generated, real) = both();
    let chosen = |name: &str, amount, seed| {
        let out = folder.path().join(name);
        let summary =
            done(&Request { real: Some(real.clone()), amount, seed, ..request(&generated, &out, Format::Png) });
        let rows = manifest(&out);
        let of = |origin: &str| -> BTreeSet<String> {
            rows.iter().filter(|row| row["origin"] == origin).map(|row| row["id"].clone()).collect()
        };
        assert_eq!((summary.generated, summary.real), (of("generated").len(), of("real").len()));
        assert_eq!(summary.real, 8);
        assert!(of("generated").iter().all(|id| id.starts_with("generated_")));
        assert_eq!(rows.iter().filter(|row| row["empty_mask"] == "true").count(), summary.empty_masks);
        of("generated")
    };
    assert_eq!(chosen("all", Amount::All, 0).len(), 10);
    // 8 real pairs are half of 16 and 80 % of 10.
    assert_eq!(chosen("half", Amount::Share(0.5), 0).len(), 8);
    let few = chosen("few", Amount::Share(0.2), 0);
    assert_eq!(few.len(), 2);
    let three = chosen("three", Amount::Count(3), 0);
    assert!(three.is_superset(&few));
    assert_ne!(chosen("other", Amount::Count(3), 1), three);
    assert!(chosen("none", Amount::Share(0.0), 0).is_empty());
}

#[test]
fn pairs_keep_their_pixels_their_text_and_their_patients() {
    let (folder, generated, real) = both();
    let out = folder.path().join("out");
    done(&Request { real: Some(real.clone()), ..request(&generated, &out, Format::Png) });
    let patients: BTreeMap<String, String> =
        manifest(&real).into_iter().map(|row| (row["id"].clone(), row["patient"].clone())).collect();
    for row in manifest(&out) {
        let source = if row["origin"] == "real" { &real } else { &generated };
        for kind in ["images", "masks"] {
            let name = format!("{kind}/{}.png", row["id"]);
            let old = pig_data::png_file::read_png(&source.join(format!("{kind}/{}.png", row["source_id"]))).unwrap();
            assert_eq!(pig_data::png_file::read_png(&out.join(name)).unwrap(), old);
            assert_eq!(old.text["synthetic"], "yes");
        }
        if row["origin"] == "real" {
            assert_eq!(row["patient"], patients[&row["source_id"]]);
        } else {
            assert_eq!(row["patient"], row["id"], "a generated pair has no patient beside real ones");
        }
    }
    // The export is a data folder: exported again, it is the same except for its names.
    let again = folder.path().join("again");
    let summary = done(&request(&out, &again, Format::Png));
    assert_eq!((summary.generated, summary.real), (10, 8));
}

#[test]
fn other_files_become_png_and_ids_become_safe_names() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for kind in ["images", "masks"] {
        std::fs::create_dir_all(data.join(kind)).unwrap();
        let colour = image::RgbImage::from_fn(4, 4, |x, _| {
            if kind == "masks" { image::Rgb([if x == 1 { 255 } else { 0 }; 3]) } else { image::Rgb([9, 90, 200]) }
        });
        colour.save(data.join(format!("{kind}/a.tif"))).unwrap();
        image::DynamicImage::from(colour).to_luma8().save(data.join(format!("{kind}/b.png"))).unwrap();
    }
    let rows = "id,image,mask\nein fall.1,images/a.tif,masks/a.tif\nein/fall 1,images/b.png,masks/b.png\n";
    std::fs::write(data.join("manifest.csv"), rows).unwrap();
    let out = folder.path().join("out");
    let summary = done(&request(&data, &out, Format::Png));
    let warned =
        "1 image(s) of 2 are in colour: the 1 gray ones are copied to three channels, so that no colour is lost.";
    assert_eq!(summary.warnings, [warned]);
    let ids: Vec<String> = manifest(&out).into_iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["ein_fall_1", "ein_fall_1-2"]);
    // The gray picture was made by Rec. 709: 0.2126 * 9 + 0.7152 * 90 + 0.0722 * 200 is 81 in whole numbers.
    for (id, colour) in [("ein_fall_1", [9, 90, 200]), ("ein_fall_1-2", [81; 3])] {
        let read = pig_data::png_file::read_png(&out.join("images").join(format!("{id}.png"))).unwrap();
        assert_eq!((read.channels, read.pixels), (3, pig_data::Pixels::Eight(colour.repeat(16))));
    }
    assert_eq!(manifest(&out)[0]["mask_pixels"], "4");
}

#[test]
fn what_would_mislead_is_refused() {
    let (folder, generated, real) = both();
    let out = folder.path().join("out");
    let unmarked = folder.path().join("unmarked");
    pair(&unmarked, "a", [4, 4], &[], |x, _| x as u16, |_, _| false);
    let made = folder.path().join("made");
    pair(
        &made,
        "a",
        [4, 4],
        &[("synthetic", "yes"), ("model_hash", "0123456789abcdef")],
        |x, _| x as u16,
        |_, _| false,
    );
    let refused = |request: Request, words: &[&str]| {
        let error = run(&request).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word:?} is missing in {error}");
        }
        assert!(!out.exists(), "something was written");
    };
    let joined = |pairs: &Path, real: &Path| Request { real: Some(real.into()), ..request(pairs, &out, Format::Png) };
    refused(joined(&unmarked, &real), &["a.png", "1 such pair", "synthetic = yes", "--real", "pig sample"]);
    refused(joined(&generated, &made), &["a.png", "0123456789ab", "real pairs", "remove the generated pairs"]);
    refused(joined(&made, &real), &["16", "8", "a.png", "one bit depth", "convert them"]);
    let share = |share| Request { amount: Amount::Share(share), ..joined(&generated, &real) };
    refused(share(0.9), &["10 generated pair(s)", "at least 72", "--share 0.9 with 8", "pig sample"]);
    refused(share(1.0), &["--share = 1", "below 1"]);
    refused(share(f64::NAN), &["--share = NaN"]);
    refused(Request { real: None, ..share(0.5) }, &["--share", "--real"]);
    refused(Request { folds: 1, ..joined(&generated, &real) }, &["--folds = 1", "at least 2"]);
    let spacing = Some([0.0, 1.0]);
    refused(Request { spacing, ..joined(&generated, &real) }, &["--spacing", "above 0"]);
    refused(request(&generated, &out, Format::Webdataset { shard_size: 0 }), &["--shard-size", "at least 1"]);
    let nowhere = folder.path().join("nowhere");
    refused(request(&nowhere, &out, Format::Png), &["nowhere", "cannot list", "check that the path"]);
    let rows = std::fs::read_to_string(real.join("manifest.csv")).unwrap();
    let rows = rows.lines().enumerate().map(|(i, row)| format!("{row},{}", ["pixel_width_mm", "wide"][i.min(1)]));
    std::fs::write(real.join("manifest.csv"), rows.collect::<Vec<_>>().join("\n")).unwrap();
    refused(joined(&generated, &real), &["manifest.csv", "pixel_width_mm", "\"wide\"", "p0000_cc", "millimetres"]);
}

#[test]
fn an_output_that_holds_something_stays_as_it_is() {
    let (folder, generated, _) = both();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    done(&request(&generated, &out, Format::Png));
    let before = files(&out);
    let error = run(&request(&generated, &out, Format::Monai)).unwrap_err();
    assert!(matches!(error, ExportError::OutputTaken { .. }) && error.to_string().contains("choose another --out"));
    assert_eq!(files(&out), before);
    let file = folder.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    assert!(run(&request(&generated, &file, Format::Png)).unwrap_err().to_string().contains("this is a file"));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_stop_or_a_broken_pair_leaves_nothing() {
    let (folder, generated, _) = both();
    for format in FORMATS {
        let calls = Cell::new(0);
        let out = folder.path().join("out");
        let stop = |done: usize, total: usize| {
            assert!(done <= total && total == 10);
            calls.set(calls.get() + 1);
            if calls.get() == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let error = export(&request(&generated, &out, format), &stop).unwrap_err();
        assert!(matches!(error, ExportError::Interrupted { .. }), "{error}");
        assert_eq!(calls.get(), 4);
    }
    let mask = generated.join("masks/p0004_mlo.png");
    let whole = std::fs::read(&mask).unwrap();
    std::fs::write(&mask, &whole[..whole.len() - 30]).unwrap();
    for format in FORMATS {
        let error = run(&request(&generated, &folder.path().join("out"), format)).unwrap_err().to_string();
        assert!(error.contains("p0004_mlo.png"), "{error}");
    }
    let left: BTreeSet<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["generated", "real"].map(Into::into).into());
}

#[test]
fn sizes_that_differ_are_told() {
    let (folder, generated, _) = both();
    let real = folder.path().join("larger");
    let config = pig_data::phantom::PhantomConfig { patients: 2, size: [64, 64], ..Default::default() };
    pig_data::phantom::write_dataset(&config, &real, &|_, _| {}).unwrap();
    let summary = done(&Request { real: Some(real), ..request(&generated, &folder.path().join("out"), Format::Png) });
    assert!(summary.warnings.iter().any(|w| w.contains("2 sizes, from 40 x 33 to 64 x 64")), "{:?}", summary.warnings);
    let alike = phantoms(&folder.path().join("alike"), 2, 5);
    let summary = done(&Request { real: Some(alike), ..request(&generated, &folder.path().join("out2"), Format::Png) });
    assert!(!summary.warnings.iter().any(|warning| warning.contains("sizes")), "{:?}", summary.warnings);
}

#[test]
fn decisions_of_the_manifest_are_honoured_and_what_they_leave_out_is_said() {
    let (folder, generated, real) = both();
    let ids: Vec<String> = manifest(&generated).into_iter().map(|row| row["id"].clone()).collect();
    let decide = |choices: &[(&str, Choice)]| {
        let changes = choices.iter().map(|(id, choice)| ((*id).to_owned(), Some(*choice))).collect();
        assert_eq!(set_choices(&generated, &changes).unwrap(), None);
    };
    decide(&[(&ids[1], Choice::Reject), (&ids[2], Choice::Keep), (&ids[4], Choice::Reject)]);
    for (index, format) in FORMATS.into_iter().enumerate() {
        let exported = |name: &str, only_kept, real| {
            let out = folder.path().join(name).join(format!("Dataset10{index}_X"));
            std::fs::create_dir_all(out.parent().unwrap()).unwrap();
            let summary = done(&Request { only_kept, real, ..request(&generated, &out, format) });
            let rows = manifest(&out);
            let made = rows.iter().filter(|row| row["origin"] == "generated").map(|row| row["source_id"].clone());
            (made.collect::<BTreeSet<String>>(), summary)
        };
        let (all, summary) = exported("all", false, None);
        assert_eq!(
            all,
            ids.iter().enumerate().filter(|(at, _)| *at != 1 && *at != 4).map(|(_, id)| id.clone()).collect()
        );
        assert!(summary.notes[0].contains("2 pair(s) are marked \"reject\""), "{:?}", summary.notes);
        let (kept, summary) = exported("kept", true, Some(real.clone()));
        assert_eq!((kept, summary.real), (BTreeSet::from([ids[2].clone()]), 8));
        assert!(summary.notes[0].contains("9 pair(s) are not marked \"keep\""), "{:?}", summary.notes);
    }
    decide(&ids.iter().map(|id| (id.as_str(), Choice::Reject)).collect::<Vec<_>>());
    let message = run(&request(&generated, &folder.path().join("none"), Format::Png)).unwrap_err().to_string();
    assert!(message.contains("leaves out all 10 pair(s)") && !folder.path().join("none").exists(), "{message}");
}
