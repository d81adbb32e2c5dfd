//! A segmenter of several classes: softmax over a background and the classes, label maps out, Dice by class.

use burn::tensor::Device;
use pig_data::{
    ClassConfig, DataConfig, Dataset, Pixels, Preparation,
    classes::Coding,
    config::Crop,
    png_file::{encode_class_png, encode_label_png, read_label_png, read_png, write_gray_png, write_png},
};
use pig_device::testing;
use pig_metrics::classes::class_dice;
use pig_segment::{
    Decision,
    config::SegmentFile,
    pairs::SegmentData,
    predict::{PredictRequest, SegmentModel, predict},
    run::{SegmentRequest, train},
    scores::dice_of,
    truth::TruthKeys,
};
use pig_train::{
    config::Layers,
    observer::{Event, Observer, Outcome, Silent},
    run_data::{RunData, prepared},
    run_dir::RunDir,
};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    sync::Mutex,
};

const SIDE: usize = 16;
const NAMES: [&str; 2] = ["mass", "calcification"];

fn device() -> Device {
    testing::device()
}

/// Twelve pairs: a bright square on the left is the first class, a dark one on the right the second.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["images", "masks"] {
        std::fs::create_dir_all(folder.path().join("data").join(part)).unwrap();
    }
    for index in 0..12_usize {
        let rows = index % 5 + 2..index % 5 + 9;
        let label = |i: usize| match (i % SIDE, rows.contains(&(i / SIDE))) {
            (2..=6, true) if index % 4 != 1 => 1,
            (9..=13, true) if index % 4 != 2 => 2,
            _ => 0,
        };
        let labels: Vec<u8> = (0..SIDE * SIDE).map(label).collect();
        let gray = labels.iter().enumerate().map(|(i, &l)| [100, 210, 10][usize::from(l)] + (i % SIDE) as u8).collect();
        let at = |part: &str| folder.path().join(format!("data/{part}/a{index:02}.png"));
        write_png(&at("images"), [SIDE, SIDE], 1, &Pixels::Eight(gray), &[]).unwrap();
        let bytes = encode_label_png(&at("masks"), [SIDE, SIDE], &labels, &NAMES, &[]).unwrap();
        std::fs::write(at("masks"), bytes).unwrap();
    }
    folder
}

fn file(kind: &str) -> SegmentFile {
    let sets = [
        "data.size=16",
        "data.validation_fraction=0.25",
        "segment.network.block_out_channels=[16, 32]",
        "segment.network.norm_num_groups=4",
        "segment.train.steps=120",
        "segment.train.batch_size=4",
        "segment.train.learning_rate=3e-3",
        "segment.train.validate_every=40",
        "segment.augment.rotation=0",
        "segment.augment.horizontal_flip=false",
    ];
    let kind = format!("segment.network.kind={kind}");
    let sets = sets.iter().map(|&set| set.to_owned()).chain([kind]).collect();
    Layers { file: None, sets }.load_as().unwrap()
}

fn asked(run: &Path, data: &Path, out: &Path) -> PredictRequest {
    let [run, data, out] = [run, data, out].map(Path::to_owned);
    PredictRequest { run, data, only: None, out, probabilities: false, truth: TruthKeys::default() }
}

fn dice_by_class(prediction: &[u8], truth: &[u8], coding: Coding) -> Vec<Option<f64>> {
    class_dice(&coding.masks(prediction), &coding.masks(truth))
}

fn stored(path: &Path) -> Vec<u8> {
    let Pixels::Eight(values) = read_label_png(path).unwrap().pixels else { panic!("8 bits") };
    values
}

#[test]
fn segmenters_learn_classes_and_write_label_maps() {
    let folder = folder();
    for kind in ["unet", "residual"] {
        let run = folder.path().join(kind);
        let request =
            SegmentRequest { data: folder.path().join("data"), added: Vec::new(), splits: None, out: run.clone() };
        assert_eq!(train(&file(kind), &request, &device(), &Silent).unwrap(), Outcome::Finished);
        let model = SegmentModel::open(&run, &device()).unwrap();
        assert_eq!(pig_data::classes::names(&model.file.data.classes), NAMES, "the run stores what the data decided");
        let real = RunData::of_run(&folder.path().join("data"), &model.run, &Silent).unwrap();
        let [_, held_out] = real.parts();
        let both = |index: usize, found: Vec<f32>| {
            let decision = model.file.decision();
            let predicted = decision.labels(&found);
            let by_class = dice_by_class(&predicted, &held_out.labels(index)?, decision.coding);
            Ok((by_class, dice_of(&found, &held_out, index, &decision)?))
        };
        for (by_class, mean) in model.each(&held_out, &device(), both).unwrap() {
            let values: Vec<f64> = by_class.iter().flatten().copied().collect();
            assert!(!values.is_empty() && values.iter().all(|&dice| dice > 0.8), "{kind}: {by_class:?}");
            assert_eq!(mean, Some(values.iter().sum::<f64>() / values.len() as f64));
        }
        let out = folder.path().join(format!("{kind}-masks"));
        let request = PredictRequest { probabilities: true, ..asked(&run, &folder.path().join("data"), &out) };
        let summary = predict(&request, &device(), &Silent).unwrap();
        assert_eq!((summary.pictures, summary.unread_masks), (12, 0));
        let (found, truth) = (stored(&out.join("masks/a03.png")), stored(&folder.path().join("data/masks/a03.png")));
        assert!(
            dice_by_class(&found, &truth, Coding::exclusive(2)).into_iter().flatten().all(|dice| dice > 0.8),
            "{kind}"
        );
        // Where the mask has a class, its probability is above that of the other one.
        let probability = |name: &str| {
            let png = read_png(&out.join(format!("probabilities/{name}/a03.png"))).unwrap();
            let Pixels::Sixteen(values) = png.pixels else { panic!("16 bits") };
            values
        };
        let [mass, calcification] = NAMES.map(probability);
        for (index, label) in found.iter().enumerate() {
            let (first, second) = (mass[index], calcification[index]);
            assert!(u32::from(first) + u32::from(second) <= 65536);
            assert!(*label == 0 || (*label == 1) == (first >= second), "{index}: {label} {first} {second}");
        }
    }
}

#[test]
fn the_most_probable_class_is_taken_where_lesion_is_probable_enough() {
    let found = [0.3, 0.3, 0.1, 0.2, 0.1, 0.45, 0.6, 0.0];
    assert_eq!(Decision::exclusive(2, 0.5).labels(&found), [1, 0, 2, 1]);
    assert_eq!(Decision::exclusive(1, 0.25).labels(&found), [1, 1, 0, 0, 0, 1, 1, 0]);
    // Classes that overlap each have their own threshold.
    let regions = Decision { coding: Coding { classes: 2, overlap: true }, thresholds: vec![0.25, 0.15] };
    assert_eq!(regions.labels(&found), [0b11, 0b10, 0b10, 0b01]);
}

/// A core within a whole: a sigmoid for each region, which learn both, and write sets of classes.
#[test]
fn segmenters_learn_regions_that_overlap() {
    let folder = folder();
    let regions = Coding { classes: 2, overlap: true };
    let class = |name: &str| ClassConfig { name: name.to_owned(), ..ClassConfig::default() };
    let classes = [class("whole"), class("core")];
    for index in 0..12 {
        let path = folder.path().join(format!("data/masks/a{index:02}.png"));
        // The bright square is the core of a whole that also has the dark one.
        let labels: Vec<u8> = stored(&path).into_iter().map(|label| [0, 0b11, 0b01][usize::from(label)]).collect();
        let bytes = encode_class_png(&path, [SIDE, SIDE], &labels, (&classes, true), &[]).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    for kind in ["unet", "residual"] {
        let run = folder.path().join(kind);
        let data = folder.path().join("data");
        let mut file = file(kind);
        file.segment.class_thresholds.insert("core".to_owned(), 0.4);
        file.segment.train.steps = 240;
        let request = SegmentRequest { data: data.clone(), added: Vec::new(), splits: None, out: run.clone() };
        assert_eq!(train(&file, &request, &device(), &Silent).unwrap(), Outcome::Finished);
        let model = SegmentModel::open(&run, &device()).unwrap();
        let decision = model.file.decision();
        assert_eq!((decision.coding, decision.thresholds), (regions, vec![0.5, 0.4]));
        let out = folder.path().join(format!("{kind}-masks"));
        let request = PredictRequest { probabilities: true, ..asked(&run, &data, &out) };
        assert_eq!(predict(&request, &device(), &Silent).unwrap().unread_masks, 0);
        for index in 0..12 {
            let name = format!("masks/a{index:02}.png");
            let dice = dice_by_class(&stored(&out.join(&name)), &stored(&data.join(&name)), regions);
            assert!(dice.iter().flatten().all(|&dice| dice > 0.8), "{kind} {index}: {dice:?}");
        }
        file.segment.class_thresholds.insert("rim".to_owned(), 0.4);
        let request = SegmentRequest { data, added: Vec::new(), splits: None, out: folder.path().join("refused") };
        let message = train(&file, &request, &device(), &Silent).unwrap_err().to_string();
        assert!(message.contains("segment.class_thresholds.rim") && message.contains("whole, core"), "{message}");
    }
}

/// The pictures of [`folder`] with a mask of lesion and a row for each class, in one folder of files. `mass` is the word for the first
/// class; where a class has no pixel, the word is normal.
fn rows(folder: &Path, mass: &str) -> PathBuf {
    let root = folder.join("rows");
    let files = root.join("files");
    std::fs::create_dir_all(&files).unwrap();
    let mut table = "image,mask,kind\n".to_owned();
    for index in 0..12 {
        let name = format!("a{index:02}.png");
        std::fs::copy(folder.join("data/images").join(&name), files.join(&name)).unwrap();
        let labels = stored(&folder.join("data/masks").join(&name));
        for (label, word) in [(1, mass), (2, NAMES[1])] {
            let mask: Vec<u8> = labels.iter().map(|&own| if own == label { 255 } else { 0 }).collect();
            let word = if mask.contains(&255) { word } else { "normal" };
            let file = format!("m{index:02}-{label}.png");
            write_gray_png(&files.join(&file), SIDE, SIDE, &Pixels::Eight(mask), &[]).unwrap();
            let _ = writeln!(table, "files/{name},files/{file},{word}");
        }
    }
    std::fs::write(root.join("manifest.csv"), table).unwrap();
    root
}

/// The same folder with a black border around each picture.
fn bordered(folder: &Path, from: &Path) -> PathBuf {
    let root = folder.join("bordered");
    std::fs::create_dir_all(root.join("files")).unwrap();
    std::fs::copy(from.join("manifest.csv"), root.join("manifest.csv")).unwrap();
    let (border, side) = (4, SIDE + 8);
    for entry in std::fs::read_dir(from.join("files")).unwrap() {
        let path = entry.unwrap().path();
        let Pixels::Eight(values) = read_png(&path).unwrap().pixels else { panic!("8 bits") };
        let mut wide = vec![0; side * side];
        for (row, line) in values.chunks_exact(SIDE).enumerate() {
            let start = (border + row) * side + border;
            wide[start..start + SIDE].copy_from_slice(line);
        }
        let to = root.join("files").join(path.file_name().unwrap());
        write_gray_png(&to, side, side, &Pixels::Eight(wide), &[]).unwrap();
    }
    root
}

/// A further folder of real pairs is read as the data are: an image has several rows, and blank borders are cut off.
#[test]
fn real_pairs_are_added_as_the_data_are_read() {
    let folder = folder();
    let data = rows(folder.path(), NAMES[0]);
    let more = bordered(folder.path(), &data);
    let mut file = file("unet");
    (file.segment.train.steps, file.segment.train.validate_every) = (4, 2);
    (file.data.crop, file.data.class_column) = (Crop::BlankBorders, Some("kind".to_owned()));
    let out = folder.path().join("run");
    let request = SegmentRequest { data: data.clone(), added: vec![more.clone()], splits: None, out: out.clone() };
    let notes = Notes::default();
    assert_eq!(train(&file, &request, &device(), &notes).unwrap(), Outcome::Finished);
    let notes = notes.0.into_inner().unwrap();
    let words = "training with 0 generated pairs, 12 pairs that no manifest.csv calls generated";
    assert!(notes.iter().any(|note| note.starts_with(words)), "{notes:?}");

    let run = RunDir::open(&out).unwrap();
    let real = RunData::of_run(&data, &run, &Silent).unwrap();
    let dataset = Dataset::discover(&more, &real.preparation.config).unwrap();
    let mut set = prepared(&dataset, &|_| true, &real.preparation, &Silent).unwrap();
    set.ids.iter_mut().for_each(|id| *id = format!("added-0/{id}"));
    set.groups.fill("generated".to_owned());
    let from = run.provenance().unwrap();
    assert_eq!(from.added, Some(12));
    assert_eq!(from.data_sha256, SegmentData::with(&real, &set).sha256().unwrap());
    // The crop counts: without it, other pictures would be read.
    let config = DataConfig { crop: Crop::None, ..real.preparation.config.clone() };
    let preparation = Preparation { config, ..real.preparation };
    let whole = prepared(&dataset, &|_| true, &preparation, &Silent).unwrap();
    assert_ne!(whole.image(0).unwrap(), set.image(0).unwrap());
}

/// Collects the notes of a command.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn event(&self, event: Event) {
        if let Event::Note(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

/// A run on label maps shows the true masks of a folder with a row for each class as those of its own pairs.
#[test]
fn true_masks_are_read_by_a_column_of_their_own() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let (run, data) = (at("run"), at("data"));
    let mut file = file("unet");
    file.segment.train.steps = 4;
    file.segment.train.validate_every = 2;
    let request = SegmentRequest { data: data.clone(), added: Vec::new(), splits: None, out: run.clone() };
    assert_eq!(train(&file, &request, &device(), &Silent).unwrap(), Outcome::Finished);
    let by_rows = rows(folder.path(), NAMES[0]);
    let by_column = |column: &str, out: &str| {
        let truth = TruthKeys { class_column: Some(column.to_owned()), ..TruthKeys::default() };
        PredictRequest { truth, ..asked(&run, &by_rows, &at(out)) }
    };
    let notes = Notes::default();
    let found = predict(&by_column("kind", "by-rows"), &device(), &notes).unwrap();
    assert_eq!((found.pictures, found.unread_masks), (12, 0));
    let notes = notes.0.into_inner().unwrap();
    assert!(notes.iter().any(|note| note.contains("12 of 12 image(s) have several rows")), "{notes:?}");
    for (pictures, out) in [(data.clone(), "by-labels"), (data.join("images"), "without")] {
        assert_eq!(predict(&asked(&run, &pictures, &at(out)), &device(), &Silent).unwrap().pictures, 12);
    }
    for index in 0..12 {
        let name = format!("overlays/a{index:02}.png");
        let read = |out: &str| std::fs::read(at(out).join(&name)).unwrap();
        let [rows, labels, without] = ["by-rows", "by-labels", "without"].map(read);
        assert!(rows == labels && rows != without, "{name}");
    }
    // Without the column, the masks are not read, and it is said how that changes.
    let notes = Notes::default();
    assert_eq!(predict(&asked(&run, &by_rows, &at("all")), &device(), &notes).unwrap().pictures, 12);
    let notes = notes.0.into_inner().unwrap();
    assert!(notes.iter().any(|note| note.contains("no true masks") && note.contains("data.class_column")), "{notes:?}");
    // A column that is given must be there, and its words must be classes of the run; a word without lesion need not be.
    let refusal = |column: &str| predict(&by_column(column, "refused"), &device(), &Silent).unwrap_err().to_string();
    let message = refusal("type");
    assert!(message.contains("no column \"type\"") && message.contains("image, mask, kind"), "{message}");
    rows(folder.path(), "cyst");
    let message = refusal("kind");
    assert!(message.contains("the classes cyst; expected") && message.contains("mass, calcification"), "{message}");
    assert!(!at("refused").exists());
}
