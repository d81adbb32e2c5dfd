//! Writing pairs: lossless files with text chunks, resumed and shared folders, manifests.

use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use pig_data::curation::{Choice, choices, set_choices};
use pig_data::png_file::{read_png, read_png_text, write_gray_png, write_png};
use pig_data::read::{read_image, read_mask};
use pig_data::{DataConfig, DataError, Dataset, Finished, GivenFile, Layout, PairRecord, PairWriter, Pixels, Stamp};
use proptest::prelude::*;
use tempfile::tempdir;

fn stamp(model: &str) -> Stamp {
    Stamp {
        version: "pig 0.1.0".to_owned(),
        model_hash: model.to_owned(),
        settings_hash: "5e77".to_owned(),
        settings: "num_inference_steps = 256, eta = 0".to_owned(),
        beside: &[],
    }
}

fn writer(out: &Path) -> PairWriter {
    PairWriter::create(out, stamp("abc"), [4, 6], 1).unwrap()
}

/// A pair that depends on its seed; multiples of three have no lesion.
fn write(writer: &PairWriter, seed: u64) {
    let image = Pixels::Eight((0..24).map(|index| (index * 10 + seed % 7) as u8).collect());
    let mask: Vec<u8> = (0..24).map(|index| u8::from(!seed.is_multiple_of(3) && index < seed % 20)).collect();
    writer.write(&PairRecord { seed, image: &image, mask: Some(&mask), given: None }).unwrap();
}

/// The values of one column of the manifest.
fn column(out: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(out.join("manifest.csv")).unwrap();
    let position = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|record| record.unwrap()[position].to_owned()).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_pairs_and_both_manifests() {
    let dir = tempdir().unwrap();
    let out = dir.path().join("deep/out");
    let writer = writer(&out);
    for seed in [1_234_567, 17, 3] {
        assert!(!writer.is_finished(seed));
        write(&writer, seed);
        assert!(writer.is_finished(seed));
    }
    assert_eq!(writer.finish().unwrap(), Finished { pairs: 3, empty_masks: 1 });
    assert_eq!(files(&out.join("images")), ["000003.png", "000017.png", "1234567.png"]);
    assert_eq!(files(&out.join("images")), files(&out.join("masks")));
    assert_eq!(files(&out), [".manifest.lock", "images", "manifest.csv", "manifest.parquet", "masks"]);
    assert_eq!(column(&out, "id"), ["000003", "000017", "1234567"]);
    assert_eq!(column(&out, "mask"), ["masks/000003.png", "masks/000017.png", "masks/1234567.png"]);
    assert_eq!(column(&out, "mask_pixels"), ["0", "17", "7"]);
    assert_eq!(column(&out, "empty_mask"), ["true", "false", "false"]);
    assert_eq!(column(&out, "mask_fraction")[1].parse::<f64>().unwrap(), 17.0 / 24.0);
    assert_eq!(column(&out, "settings")[0], stamp("abc").settings);

    let text = read_png_text(&out.join("masks/000017.png")).unwrap();
    for (key, value) in [("synthetic", "yes"), ("version", "pig 0.1.0"), ("model_hash", "abc"), ("seed", "17")] {
        assert_eq!(text[key], value);
    }
    assert_eq!(read_image(&out.join("images/000017.png"), 1).unwrap().data[5], 53.0);
    assert_eq!(read_mask(&out.join("masks/000017.png"), &DataConfig::default()).unwrap().lesion_pixels(), 17);
    assert!(!text.contains_key("source_mask") && column(&out, "source_mask") == ["", "", ""]);
    // pig reads what it writes.
    let dataset = Dataset::discover(&out, &DataConfig::default()).unwrap();
    assert_eq!((dataset.layout, dataset.ids()), (Layout::Manifest, column(&out, "id")));
}

/// The rows of both manifests are the same.
fn compare(dir: &Path) {
    let open = || SerializedFileReader::new(std::fs::File::open(dir.join("manifest.parquet")).unwrap()).unwrap();
    let rows: Vec<_> = open().get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let mut reader = csv::Reader::from_path(dir.join("manifest.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        assert_eq!(row.get_column_iter().count(), headers.len());
        for ((name, field), (header, text)) in row.get_column_iter().zip(headers.iter().zip(record)) {
            assert_eq!(name, header);
            let value = match field {
                Field::Str(value) => value.clone(),
                Field::ULong(value) => value.to_string(),
                Field::Double(value) => value.to_string(),
                Field::Bool(value) => value.to_string(),
                other => panic!("{name} is {other:?}"),
            };
            assert_eq!(value, text, "{name}");
        }
    }
}

#[test]
fn decisions_are_in_both_manifests_and_stay_when_pairs_are_added() {
    let dir = tempdir().unwrap();
    let writer = writer(dir.path());
    for seed in [4, 5, 6] {
        write(&writer, seed);
    }
    writer.finish().unwrap();
    let decide = |id: &str, choice| set_choices(dir.path(), &[(id.to_owned(), choice)].into()).unwrap();
    assert_eq!(decide("000005", Some(Choice::Reject)), None);
    assert_eq!(decide("000006", Some(Choice::Keep)), None);
    assert_eq!(column(dir.path(), "curated"), ["", "reject", "keep"]);
    compare(dir.path());
    write(&writer, 3);
    writer.finish().unwrap();
    assert_eq!(column(dir.path(), "curated"), ["", "", "reject", "keep"]);
    compare(dir.path());
    assert_eq!(decide("000005", None), None);
    assert_eq!(choices(dir.path()).unwrap(), [("000006".to_owned(), Choice::Keep)].into());
    compare(dir.path());
    // A Parquet file with other rows is left as it is, which is said.
    let manifest = std::fs::read_to_string(dir.path().join("manifest.csv")).unwrap();
    let fewer: Vec<&str> = manifest.lines().take(4).collect();
    std::fs::write(dir.path().join("manifest.csv"), fewer.join("\n")).unwrap();
    let before = std::fs::read(dir.path().join("manifest.parquet")).unwrap();
    assert!(decide("000004", Some(Choice::Keep)).unwrap().contains("manifest.parquet"));
    assert_eq!(std::fs::read(dir.path().join("manifest.parquet")).unwrap(), before);
    assert_eq!(column(dir.path(), "curated"), ["", "keep", ""]);
}

#[test]
fn parquet_holds_the_same_rows() {
    let dir = tempdir().unwrap();
    let writer = writer(dir.path());
    writer.finish().unwrap();
    let open = || SerializedFileReader::new(std::fs::File::open(dir.path().join("manifest.parquet")).unwrap()).unwrap();
    assert_eq!(open().metadata().file_metadata().num_rows(), 0, "without samples, the table is empty");
    for seed in [u64::MAX, 5, 6] {
        write(&writer, seed);
    }
    writer.finish().unwrap();
    assert_eq!(open().metadata().file_metadata().num_rows(), 3);
    compare(dir.path());
}

#[test]
fn broken_or_half_pairs_are_not_finished_and_are_written_again() {
    let dir = tempdir().unwrap();
    let out = dir.path();
    for seed in 0..4 {
        write(&writer(out), seed);
    }
    std::fs::remove_file(out.join("masks/000001.png")).unwrap();
    let image = out.join("images/000002.png");
    let bytes = std::fs::read(&image).unwrap();
    std::fs::write(&image, &bytes[..bytes.len() - 30]).unwrap();
    // A file under another seed's name.
    std::fs::copy(out.join("images/000000.png"), out.join("images/000003.png")).unwrap();
    let writer = writer(out);
    assert_eq!((0..5).map(|seed| writer.is_finished(seed)).collect::<Vec<_>>(), [true, false, false, false, false]);
    assert_eq!(writer.finish().unwrap().pairs, 1);
    for seed in 1..4 {
        write(&writer, seed);
    }
    assert_eq!(writer.finish().unwrap().pairs, 4);
    // One flipped bit anywhere, also in the text, is damage.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        std::fs::write(&image, &flipped).unwrap();
        assert!(!writer.is_finished(2), "byte {at} of {}", bytes.len());
    }
    for length in 0..bytes.len() {
        std::fs::write(&image, &bytes[..length]).unwrap();
        // Without its closing chunk of 12 bytes a PNG still has every pixel; if more is missing, it does not.
        assert!(!writer.is_finished(2) || length >= bytes.len() - 12, "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn samples_of_others_are_refused() {
    let dir = tempdir().unwrap();
    write(&writer(dir.path()), 1);
    let error = PairWriter::create(dir.path(), stamp("other"), [4, 6], 1).unwrap_err();
    let DataError::ForeignSample { what, found, expected, .. } = &error else { panic!("{error}") };
    assert_eq!((*what, found.as_str(), expected.as_str()), ("model_hash", "abc", "other"));
    let changed = Stamp { settings_hash: "1234".to_owned(), ..stamp("abc") };
    let error = PairWriter::create(dir.path(), changed, [4, 6], 1).unwrap_err();
    assert!(matches!(error, DataError::ForeignSample { what: "settings_hash", .. }), "{error}");
    let with = |hash: &str, settings: &str| Stamp {
        settings_hash: hash.to_owned(),
        settings: settings.to_owned(),
        beside: &["sample.batch"],
        ..stamp("abc")
    };
    let settled = tempdir().unwrap();
    let first = with("1", r#"{"method":"pig","sample":{"eta":0.5,"batch":1,"steps":8},"given":null}"#);
    write(&PairWriter::create(settled.path(), first, [4, 6], 1).unwrap(), 1);
    let second = with("2", r#"{"method":"ddim","sample":{"eta":0.5,"batch":2,"steps":9},"given":null}"#);
    let message = PairWriter::create(settled.path(), second, [4, 6], 1).unwrap_err().to_string();
    let expected = r#" (method is "pig" there and "ddim" here, sample.steps is 8 there and 9 here); choose"#;
    assert!(message.contains(expected), "{message}");
    let third =
        with("3", r#"{"method":"pig","sample":{"eta":0.5,"batch":1,"steps":8,"second_pass":true},"given":null}"#);
    let message = PairWriter::create(settled.path(), third, [4, 6], 1).unwrap_err().to_string();
    assert!(message.contains(" (sample.second_pass is not set there and true here); choose"), "{message}");
    let batch = Stamp { settings: "batch_size = 2".to_owned(), ..stamp("abc") };
    assert!(PairWriter::create(dir.path(), batch, [4, 6], 1).unwrap().is_finished(1), "the text is not compared");

    let real = tempdir().unwrap();
    let path = real.path().join("images/000001.png");
    std::fs::create_dir(real.path().join("images")).unwrap();
    write_gray_png(&path, 6, 4, &Pixels::Eight(vec![1; 24]), &[]).unwrap();
    let error = PairWriter::create(real.path(), stamp("abc"), [4, 6], 1).unwrap_err();
    assert!(matches!(error, DataError::NotGenerated { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("000001.png: this picture was not generated by pig; expected")
            && message.contains("choose another --out"),
        "{message}"
    );
}

#[test]
fn a_sample_that_another_run_writes_meanwhile_is_not_ours() {
    for other in [stamp("other"), Stamp { settings_hash: "1234".to_owned(), ..stamp("abc") }] {
        let dir = tempdir().unwrap();
        let (ours, theirs) = (writer(dir.path()), PairWriter::create(dir.path(), other, [4, 6], 1).unwrap());
        write(&theirs, 1);
        assert!(theirs.is_finished(1) && !ours.is_finished(1));
        assert_eq!(ours.finish().unwrap().pairs, 0);
    }
}

#[test]
fn an_unwritable_place_is_an_error() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(PairWriter::create(&file, stamp("abc"), [4, 6], 1), Err(DataError::Io { action: "create", .. })));
    let error = write_gray_png(&file.join("x.png"), 1, 1, &Pixels::Eight(vec![0]), &[]).unwrap_err();
    assert!(matches!(&error, DataError::File(file) if file.action == "write"), "{error}");
    let error = write_gray_png(&dir.path().join("x.png"), 1, 1, &Pixels::Eight(vec![0]), &[("", "x")]).unwrap_err();
    assert!(matches!(error, DataError::Encode { .. }), "{error}");
}

#[test]
fn shards_at_the_same_time_leave_a_full_manifest() {
    let dir = tempdir().unwrap();
    std::thread::scope(|scope| {
        for shard in 0..4u64 {
            let out = dir.path();
            scope.spawn(move || {
                let writer = writer(out);
                for seed in (0..40).filter(|seed| seed % 4 == shard) {
                    write(&writer, seed);
                }
                writer.finish().unwrap();
            });
        }
    });
    let seeds: Vec<u64> = column(dir.path(), "seed").iter().map(|seed| seed.parse().unwrap()).collect();
    assert_eq!(seeds, (0..40).collect::<Vec<_>>());
    assert!(files(dir.path()).iter().all(|name| !name.contains(".tmp")));
}

#[test]
fn finishing_waits_for_its_turn_and_then_lists_everything() {
    let dir = tempdir().unwrap();
    let writer = writer(dir.path());
    write(&writer, 1);
    let turn = std::fs::File::create(dir.path().join(".manifest.lock")).unwrap();
    turn.lock().unwrap();
    std::thread::scope(|scope| {
        let finished = scope.spawn(|| writer.finish().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!dir.path().join("manifest.csv").exists(), "another process holds the manifest's lock");
        write(&writer, 2);
        turn.unlock().unwrap();
        assert_eq!(finished.join().unwrap().pairs, 2, "the pair written while waiting is listed");
    });
}

#[test]
fn sixteen_bits_and_colour_are_kept() {
    let dir = tempdir().unwrap();
    let writer = PairWriter::create(dir.path(), stamp("abc"), [2, 3], 3).unwrap();
    let image = Pixels::Sixteen((0..18).map(|index| index * 3641).collect());
    writer.write(&PairRecord { seed: 8, image: &image, mask: Some(&[0, 1, 2, 0, 255, 0]), given: None }).unwrap();
    let stored = read_png(&dir.path().join("images/000008.png")).unwrap();
    assert_eq!((stored.width, stored.height, stored.channels, &stored.pixels), (3, 2, 3, &image));
    let raw = read_image(&dir.path().join("images/000008.png"), 3).unwrap();
    assert_eq!((raw.maximum, raw.data[17]), (u16::MAX, 17.0 * 3641.0));
    let mask = read_png(&dir.path().join("masks/000008.png")).unwrap();
    assert_eq!(mask.pixels, Pixels::Eight(vec![0, 255, 255, 0, 255, 0]));
    assert!(writer.is_finished(8));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        size in [1usize..20, 1usize..20], channels in prop_oneof![Just(1usize), Just(3)], sixteen in any::<bool>(),
        seed in any::<u32>(), words in "[ -~é漢]{0,40}"
    ) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("p.png");
        let value = |index: usize| (index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16;
        let count = size[0] * size[1] * channels;
        let pixels = if sixteen {
            Pixels::Sixteen((0..count).map(|index| value(index) as u16).collect())
        } else {
            Pixels::Eight((0..count).map(|index| value(index) as u8).collect())
        };
        write_png(&path, size, channels, &pixels, &[("synthetic", "yes"), ("settings", &words)]).unwrap();
        let stored = read_png(&path).unwrap();
        prop_assert_eq!((stored.height, stored.width, stored.channels), (size[0], size[1], channels));
        prop_assert_eq!(stored.pixels, pixels);
        prop_assert_eq!(&stored.text["settings"], &words);
        prop_assert_eq!(read_png_text(&path).unwrap(), stored.text);
    }
}

#[test]
fn images_alone_have_neither_masks_nor_their_columns() {
    let dir = tempdir().unwrap();
    let writer = PairWriter::create_for_images(dir.path(), stamp("abc"), [4, 6], 1).unwrap();
    let image = Pixels::Eight((0..24).collect());
    for seed in [2, 1] {
        assert!(!writer.is_finished(seed));
        writer.write(&PairRecord { seed, image: &image, mask: None, given: None }).unwrap();
        assert!(writer.is_finished(seed));
    }
    assert_eq!(writer.finish().unwrap(), Finished { pairs: 2, empty_masks: 0 });
    assert_eq!(files(dir.path()), [".manifest.lock", "images", "manifest.csv", "manifest.parquet"]);
    assert_eq!(column(dir.path(), "has_mask"), ["false", "false"]);
    let manifest = std::fs::read_to_string(dir.path().join("manifest.csv")).unwrap();
    assert!(!manifest.lines().next().unwrap().split(',').any(|name| name == "mask" || name == "empty_mask"));
    // The folder is not mistaken for one of pairs.
    let error = Dataset::discover(dir.path(), &DataConfig::default()).unwrap_err().to_string();
    assert!(error.contains("mask"), "{error}");
}

#[test]
fn a_pair_tells_the_file_that_it_was_made_for() {
    let dir = tempdir().unwrap();
    let writer = writer(dir.path());
    let image = Pixels::Eight(vec![7; 24]);
    for (seed, given) in
        [(1, Some(GivenFile::Mask("lesion, \u{fc}ber 3"))), (2, Some(GivenFile::Image("\u{3b1}"))), (3, None)]
    {
        writer.write(&PairRecord { seed, image: &image, mask: Some(&[1; 24]), given }).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(column(dir.path(), "source_mask"), ["lesion, \u{fc}ber 3", "", ""]);
    assert_eq!(column(dir.path(), "source_image"), ["", "\u{3b1}", ""]);
    assert_eq!(column(dir.path(), "id"), ["000001", "000002", "000003"]);
}
