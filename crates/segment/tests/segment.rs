//! Tests segmenters: they learn the phantom, resume bit for bit, train with generated pairs, and write masks on the grid of the
//! files.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{Cached, StopAt, device, folder, folder_of_corners};
use pig_data::{
    Dataset, PreparedSet, Splits,
    phantom::{PhantomConfig, write_dataset},
    png_file::{read_png, write_gray_png},
};
use pig_device::testing;
use pig_segment::{
    Decision, SEGMENTER,
    config::{SegmentFile, SegmentTrainConfig},
    pairs::{self, Mixture, SegmentData},
    predict::{PredictRequest, SegmentModel, predict},
    run::{SegmentRequest, best_dice, charts, resume, train, train_on},
    scores::{case_scores, dice_of, evaluation, mean_dice},
    truth::TruthKeys,
};
use pig_train::{
    Error,
    config::Layers,
    metrics_log,
    observer::{Event, Observer, Outcome, Silent},
    run_data::RunData,
};
use std::path::Path;

/// A network and a training that take only a moment.
const TINY: [&str; 9] = [
    "data.size=16",
    "data.validation_fraction=0.25",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=10",
    "segment.train.batch_size=4",
    "segment.train.warmup_steps=2",
    "segment.train.validate_every=4",
    "segment.train.log_every=3",
];

fn file(sets: &[&str]) -> SegmentFile {
    Layers { file: None, sets: TINY.iter().chain(sets).map(|&set| set.to_owned()).collect() }.load_as().unwrap()
}

fn request(folder: &Path, name: &str) -> SegmentRequest {
    SegmentRequest { data: folder.join("data"), added: Vec::new(), splits: None, out: folder.join(name) }
}

fn trained(folder: &Path, name: &str, file: &SegmentFile) {
    assert_eq!(train(file, &request(folder, name), &device(), &Silent).unwrap(), Outcome::Finished);
}

/// Pairs of pictures that the data folders here do not have, under the names of generated ones.
fn others(to: &Path, count: usize) {
    let corners = folder_of_corners();
    for part in ["images", "masks"] {
        std::fs::create_dir_all(to.join(part)).unwrap();
        for index in 0..count {
            let from = corners.path().join("data").join(part).join(format!("a{index:02}.png"));
            std::fs::copy(from, to.join(part).join(format!("{index:06}.png"))).unwrap();
        }
    }
}

/// Collects the notes of a command.
#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl Observer for Notes {
    fn event(&self, event: Event) {
        if let Event::Note(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

/// The files of a checkpoint, and the lines of the log without the speed.
fn content(run: &Path) -> (Vec<Vec<u8>>, Vec<String>) {
    let step = run.join("checkpoints").join(SEGMENTER).join("step-000010");
    let files = ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"];
    let lines = metrics_log::read(run).unwrap().into_iter().map(|line| {
        format!("{} {:?} {:?} {:?} {:?}", line.step, line.loss, line.gradient_norm, line.validation, line.dice)
    });
    (files.map(|file| std::fs::read(step.join(file)).unwrap()).to_vec(), lines.collect())
}

#[test]
fn one_seed_one_segmenter_and_a_resumed_one_is_the_same() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let folder = folder();
    for kind in ["unet", "residual"] {
        let kind_set = format!("segment.network.kind={kind}");
        let config = file(&[&kind_set, "segment.network.dropout=0.1"]);
        let at = |name: &str| folder.path().join(format!("{kind}-{name}"));
        let name = |name: &str| format!("{kind}-{name}");
        trained(folder.path(), &name("one"), &config);
        trained(folder.path(), &name("two"), &config);
        assert_eq!(content(&at("one")), content(&at("two")));
        let stop = StopAt::new(SEGMENTER, 5);
        let interrupted = train(&config, &request(folder.path(), &name("parted")), &device(), &stop).unwrap();
        assert_eq!(interrupted, Outcome::Interrupted);
        assert_eq!(resume(&at("parted"), None, &device(), &Silent).unwrap(), Outcome::Finished);
        assert_eq!(content(&at("one")), content(&at("parted")));
        let other = file(&[&kind_set, "segment.network.dropout=0.1", "segment.train.seed=1"]);
        trained(folder.path(), &name("other"), &other);
        assert_ne!(content(&at("one")), content(&at("other")));
    }
    let message = train(&file(&[]), &request(folder.path(), "unet-one"), &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("never overwritten"), "{message}");
}

/// Real and generated pairs in files of the cache.
#[test]
fn pairs_in_files_train_the_same_segmenter() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let (folder, config) = (folder(), file(&[]));
    let generated = folder.path().join("generated");
    others(&generated, 4);
    let asked = |name: &str| SegmentRequest { added: vec![generated.clone()], ..request(folder.path(), name) };
    assert_eq!(train(&config, &asked("held"), &device(), &Silent).unwrap(), Outcome::Finished);
    let observer = Cached::new(&folder.path().join("cache"));
    for name in ["made", "found"] {
        assert_eq!(train(&config, &asked(name), &device(), &observer).unwrap(), Outcome::Finished);
        assert_eq!(content(&folder.path().join(name)), content(&folder.path().join("held")));
    }
    let said = observer.said.lock().unwrap().join("\n");
    assert_eq!((said.matches("are kept in").count(), said.matches("are read from").count()), (2, 2), "{said}");
}

/// Soft Dice sums over the batch, so the workers' parts of a step depend on each other through the loss.
#[test]
fn the_number_of_workers_changes_no_bit() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let folder = folder();
    for (kind, sums) in [("unet", "batch"), ("residual", "batch"), ("residual", "image")] {
        let sets = [
            format!("segment.network.kind={kind}"),
            format!("segment.train.dice_sums={sums}"),
            "segment.network.dropout=0.1".to_owned(),
            "segment.train.batch_size=5".to_owned(),
            "segment.train.micro_batch_size=1".to_owned(),
        ];
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let of = |workers: usize| {
            let name = format!("{kind}-{sums}-{workers}");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
            pool.install(|| trained(folder.path(), &name, &file(&sets)));
            content(&folder.path().join(name))
        };
        let one = of(1);
        for workers in [2, 3, 4, 8] {
            assert!(of(workers) == one, "{kind}, {sums}: {workers} workers give another segmenter");
        }
    }
}

/// The first loss is that of whole batches: the parts are joined before Dice is computed.
#[test]
fn micro_batches_change_the_loss_by_rounding_alone() {
    let folder = folder();
    let first_loss = |size: usize| {
        let name = format!("micro-{size}");
        let sets = [format!("segment.train.micro_batch_size={size}"), "segment.train.log_every=1".to_owned()];
        trained(folder.path(), &name, &file(&sets.each_ref().map(String::as_str)));
        metrics_log::read(&folder.path().join(name)).unwrap()[0].loss.unwrap()
    };
    let whole = first_loss(0);
    for size in [1, 2, 3] {
        let loss = first_loss(size);
        assert!((loss - whole).abs() < 1e-6 * whole.abs(), "micro-batches of {size}: {loss}, whole batches: {whole}");
    }
}

#[test]
fn generated_pairs_train_and_never_validate() {
    let folder = folder();
    let generated = folder.path().join("pairs");
    others(&generated, 8);
    let config = file(&["segment.train.equal_epochs=true"]);
    let asked = SegmentRequest { added: vec![generated.clone()], ..request(folder.path(), "run") };
    train(&config, &asked, &device(), &Silent).unwrap();
    // With 9 real pairs and 8 generated ones, 10 steps become 19.
    assert_eq!(metrics_log::read(&asked.out).unwrap().last().unwrap().step, 19);
    let splits = Splits::load(&asked.out.join("splits.json")).unwrap();
    assert_eq!((splits.training.len(), splits.validation.len()), (9, 3));
    let provenance = std::fs::read_to_string(asked.out.join("provenance.json")).unwrap();
    assert!(provenance.contains("\"added\": 8"), "{provenance}");

    let real = RunData::split(&asked.data, &config.data, |_| Ok(splits.clone()), &Silent).unwrap();
    let chosen = pairs::of_seeds(&generated, &[5, 2], "g", &real, &Silent).unwrap();
    assert_eq!(chosen.ids, ["g/000005", "g/000002"]);
    let shuffled = pairs::shuffled(&chosen);
    let of = |set: &PreparedSet, read: fn(&PreparedSet, usize) -> pig_data::Result<Vec<f32>>| {
        [read(set, 0).unwrap(), read(set, 1).unwrap()]
    };
    let [first, second] = of(&chosen, PreparedSet::mask);
    assert_eq!(of(&shuffled, PreparedSet::mask), [second, first]);
    assert_eq!(of(&shuffled, PreparedSet::image), of(&chosen, PreparedSet::image));
    // Another split is rejected: the training data of a run must not change.
    let other = RunData::new(&asked.data, &common::config(&["train.seed=5"]), &Silent).unwrap();
    let error = train_on(&config, &SegmentData::only(&other, chosen), &asked.out, &device(), &Silent).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

#[test]
fn masks_are_written_on_the_files_grid_with_overlays() {
    let folder = folder();
    let config = file(&["data.size=8", "segment.train.steps=60", "segment.train.learning_rate=1e-2"]);
    trained(folder.path(), "run", &config);
    let request = PredictRequest {
        run: folder.path().join("run"),
        data: folder.path().join("data"),
        only: None,
        out: folder.path().join("masks"),
        probabilities: true,
        truth: TruthKeys::default(),
    };
    let summary = predict(&request, &device(), &Silent).unwrap();
    assert_eq!((summary.outcome, summary.pictures), (Outcome::Finished, 12));
    for name in ["a00.png", "a11.png"] {
        let mask = read_png(&request.out.join("masks").join(name)).unwrap();
        assert_eq!((mask.width, mask.height, mask.channels), (16, 16, 1));
        let pig_data::Pixels::Eight(values) = &mask.pixels else { panic!("masks must have 8 bits") };
        assert!(values.iter().all(|&value| value == 0 || value == 255));
        let probabilities = read_png(&request.out.join("probabilities").join(name)).unwrap();
        let pig_data::Pixels::Sixteen(levels) = &probabilities.pixels else { panic!("must have 16 bits") };
        assert!(levels.iter().zip(values).all(|(&level, &value)| (level > 32768) == (value == 255) || level == 32768));
        assert!(request.out.join("overlays").join(name).is_file());
    }
    // A folder of images without masks is sufficient.
    let images =
        PredictRequest { data: request.data.join("images"), out: folder.path().join("alone"), ..request.clone() };
    let alone = Notes::default();
    assert_eq!(predict(&images, &device(), &alone).unwrap().pictures, 12);
    let alone = alone.0.into_inner().unwrap();
    assert!(alone.iter().any(|note| note == "no true masks: overlays show predictions alone"), "{alone:?}");
    let again = predict(&images, &device(), &Silent).unwrap_err().to_string();
    assert!(
        again.contains("never overwritten") && again.contains("another --out") && !again.contains("--resume"),
        "{again}"
    );

    // Masks that cannot be read take nothing from the predictions: many gray values, another size, no picture at all.
    let unclear = folder.path().join("unclear");
    for part in ["images", "masks"] {
        std::fs::create_dir_all(unclear.join(part)).unwrap();
        for index in 0..12 {
            let name = format!("{part}/a{index:02}.png");
            std::fs::copy(request.data.join(&name), unclear.join(&name)).unwrap();
        }
    }
    let gray = |name: &str, side: usize| {
        let pixels = pig_data::Pixels::Eight((0..side * side).map(|value| (value % 251) as u8).collect());
        write_gray_png(&unclear.join("masks").join(name), side, side, &pixels, &[]).unwrap();
    };
    gray("a00.png", 16);
    let square = pig_data::Pixels::Eight((0..64).map(|value| if value % 8 < 4 { 255 } else { 0 }).collect());
    write_gray_png(&unclear.join("masks/a01.png"), 8, 8, &square, &[]).unwrap();
    std::fs::write(unclear.join("masks/a02.png"), "no picture").unwrap();
    let asked = PredictRequest { data: unclear.clone(), out: folder.path().join("unclear-out"), ..request.clone() };
    let notes = Notes::default();
    let found = predict(&asked, &device(), &notes).unwrap();
    assert_eq!((found.pictures, found.unread_masks, summary.unread_masks), (12, 3, 0));
    let notes = notes.0.into_inner().unwrap();
    assert!(notes.iter().any(|note| note.contains("3 of 12 overlays") && note.contains("a00.png")), "{notes:?}");
    for index in 0..12 {
        let name = format!("a{index:02}.png");
        let [ours, theirs] =
            [&asked, &request].map(|asked| std::fs::read(asked.out.join("masks").join(&name)).unwrap());
        assert_eq!(ours, theirs, "{name}");
        let [ours, theirs] =
            [&asked, &request].map(|asked| std::fs::read(asked.out.join("overlays").join(&name)).unwrap());
        // The outline of the true mask is missing from three overlays alone.
        assert_eq!(ours == theirs, index > 2, "{name}");
    }
    assert!(matches!(SegmentModel::open(&folder.path().join("data"), &device()), Err(Error::NotARun { .. })));
}

/// A picture that cannot be read ends the command; when it is mended, the same command works.
#[test]
fn a_prediction_that_failed_leaves_nothing_behind() {
    let folder = folder();
    trained(folder.path(), "run", &file(&[]));
    let request = PredictRequest {
        run: folder.path().join("run"),
        data: folder.path().join("data/images"),
        only: None,
        out: folder.path().join("deep/masks"),
        probabilities: false,
        truth: TruthKeys::default(),
    };
    let image = request.data.join("a03.png");
    let whole = std::fs::read(&image).unwrap();
    // Its beginning and its end are those of a picture, so that it is found out when it is read.
    let mut hurt = whole.clone();
    hurt[whole.len() / 2] ^= 0x55;
    std::fs::write(&image, &hurt).unwrap();
    let error = predict(&request, &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("a03.png"), "{error}");
    let beside = || std::fs::read_dir(folder.path().join("deep")).map_or(0, Iterator::count);
    assert_eq!(beside(), 0, "neither the folder nor a temporary one stays");
    std::fs::write(&image, &whole).unwrap();
    assert_eq!(predict(&request, &device(), &Silent).unwrap().pictures, 12);
    assert_eq!(std::fs::read_dir(request.out.join("masks")).unwrap().count(), 12);
    assert_eq!(beside(), 1);
}

/// The bytes of all files that a prediction wrote, on this number of threads.
fn predicted_on(threads: usize, request: &PredictRequest) -> Vec<Vec<u8>> {
    let out = request.out.with_file_name(format!("threads-{threads}"));
    let asked = PredictRequest { out: out.clone(), ..request.clone() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    assert_eq!(pool.install(|| predict(&asked, &device(), &Silent)).unwrap().outcome, Outcome::Finished);
    let mut files = Vec::new();
    for part in ["masks", "overlays", "probabilities"] {
        let names = (0..request_pictures(request)).map(|index| format!("a{index:02}.png"));
        files.extend(names.map(|name| std::fs::read(out.join(part).join(name)).unwrap()));
    }
    files
}

fn request_pictures(request: &PredictRequest) -> usize {
    std::fs::read_dir(request.data.join("images")).unwrap().count()
}

#[test]
fn predictions_do_not_depend_on_the_number_of_threads() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let folder = folder();
    trained(folder.path(), "run", &file(&["segment.train.learning_rate=1e-2"]));
    let request = PredictRequest {
        run: folder.path().join("run"),
        data: folder.path().join("data"),
        only: None,
        out: folder.path().join("masks"),
        probabilities: true,
        truth: TruthKeys::default(),
    };
    let one = predicted_on(1, &request);
    assert_eq!(one.len(), 3 * 12);
    for threads in [2, 3, 5] {
        assert!(predicted_on(threads, &request) == one, "{threads} threads");
    }
}

#[test]
fn drawn_pairs_are_counted_by_the_rule_of_the_batches() {
    let train = SegmentTrainConfig { batch_size: 2, seed: 3, ..SegmentTrainConfig::default() };
    let mixture = Mixture { real: 6, training: 10, generated: 4 };
    // Ten pairs in five steps of two: an epoch draws each of them once.
    assert_eq!((mixture.drawn(&train, 0), mixture.drawn(&train, 5), mixture.drawn(&train, 50)), (0, 4, 4));
    let counts: Vec<usize> = (0..=5).map(|steps| mixture.drawn(&train, steps)).collect();
    assert!(counts.windows(2).all(|two| two[0] <= two[1] && two[1] <= two[0] + 2), "{counts:?}");
    // All pairs are generated: every draw is one of them.
    assert_eq!(Mixture { real: 6, training: 4, generated: 4 }.drawn(&train, 1), 2);
    assert_eq!(Mixture { real: 6, training: 6, generated: 0 }.drawn(&train, 5), 0);
}

#[test]
fn the_best_dice_is_the_first_of_the_greatest() {
    let line = |step, dice| metrics_log::Line { step, dice, ..metrics_log::Line::default() };
    let lines = [line(1, Some(0.5)), line(2, None), line(3, Some(0.75)), line(4, Some(0.75)), line(5, Some(0.25))];
    assert_eq!(best_dice(&lines), Some((3, 0.75)));
    assert_eq!(best_dice(&lines[1..2]), None);
    let charts = charts(&lines);
    let shown = charts.iter().find(|chart| chart.title == "segmenter: validation").unwrap();
    assert_eq!(shown.series[0].points, [(1.0, 0.5), (3.0, 0.75), (4.0, 0.75), (5.0, 0.25)]);
}

/// A training that is killed after `last` was written and before `best` was: the newest checkpoint knows which is the best one.
#[test]
fn a_best_that_was_left_behind_is_mended() {
    let folder = folder();
    let config = file(&["segment.train.validate_every=2", "segment.train.learning_rate=1e-2"]);
    trained(folder.path(), "run", &config);
    let run = folder.path().join("run");
    let store = run.join("checkpoints").join(SEGMENTER);
    let (best, lost) = SegmentModel::open(&run, &device()).unwrap().state.best.unwrap();
    let named = format!("step-{best:06}");
    assert_eq!(std::fs::read_to_string(store.join("best")).unwrap(), named);
    // Another checkpoint that is kept, and a best that is no name at all.
    let other = std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let other = other.into_iter().find(|name| name.starts_with("step-") && *name != named).unwrap();
    for text in [other.as_str(), "step-9", ""] {
        std::fs::write(store.join("best"), text).unwrap();
        let state = SegmentModel::open(&run, &device()).unwrap().state;
        assert_eq!((state.step, state.best), (best, Some((best, lost))), "{text:?}");
        assert_eq!(std::fs::read_to_string(store.join("best")).unwrap(), named, "{text:?}");
    }
    std::fs::remove_file(store.join("best")).unwrap();
    assert_eq!(resume(&run, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!(std::fs::read_to_string(store.join("best")).unwrap(), named);
}

#[test]
fn a_segmenter_that_is_being_trained_or_whose_data_moved_is_not_resumed() {
    let folder = folder();
    trained(folder.path(), "run", &file(&[]));
    let run = folder.path().join("run");
    let lock = std::fs::File::open(run.join(".lock")).unwrap();
    lock.try_lock().unwrap();
    let refusal = |data| resume(&run, data, &device(), &Silent).unwrap_err().to_string();
    assert!(refusal(None).contains("another process is training this run"), "{}", refusal(None));
    drop(lock);
    let (there, moved) = (folder.path().join("data"), folder.path().join("moved"));
    std::fs::rename(&there, &moved).unwrap();
    assert!(
        refusal(None).contains(there.to_str().unwrap()) && refusal(None).contains("--data DIR"),
        "{}",
        refusal(None)
    );
    assert_eq!(resume(&run, Some(&moved), &device(), &Silent).unwrap(), Outcome::Finished);
    let path = run.join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("threshold = 0.5", "threshold = 0.6")).unwrap();
    assert!(refusal(Some(&moved)).contains("config.toml: its SHA-256 is"), "{}", refusal(Some(&moved)));
    let error = SegmentModel::open(&run, &device()).unwrap_err().to_string();
    assert!(error.contains("config.toml: its SHA-256 is"), "{error}");
}

/// Phantoms with masses that a threshold on brightness segments badly. The segmenter must be much better than the best threshold,
/// which is chosen with the held-out true masks.
#[test]
fn a_segmenter_learns_the_phantom() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let phantom =
        PhantomConfig { patients: 100, size: [128, 128], mass_contrast: [0.1, 0.25], ..PhantomConfig::default() };
    write_dataset(&phantom, &data, &|_, _| {}).unwrap();
    let config: SegmentFile = Layers {
        file: None,
        sets: [
            "data.size=32",
            "data.validation_fraction=0.2",
            "segment.network.block_out_channels=[16, 32, 64]",
            "segment.train.learning_rate=3e-3",
            "segment.train.steps=250",
            "segment.train.batch_size=8",
            "segment.train.validate_every=50",
        ]
        .map(str::to_owned)
        .to_vec(),
    }
    .load_as()
    .unwrap();
    trained(folder.path(), "run", &config);
    let run = folder.path().join("run");
    let model = SegmentModel::open(&run, &device()).unwrap();
    let held_out = Splits::load(&run.join("splits.json")).unwrap().validation;
    let mut dataset = Dataset::discover(&data, &config.data).unwrap();
    dataset.pairs.retain(|pair| held_out.contains(&pair.id));
    let set = model.preparation.load(&dataset, &|_, _| {}).unwrap();
    let found = model.each(&set, &device(), |_, found| Ok(found)).unwrap();
    let dice_by = |pictures: &[Vec<f32>], threshold: f64| {
        let dice = |(index, picture): (usize, &Vec<f32>)| {
            dice_of(picture, &set, index, &Decision::exclusive(1, threshold)).unwrap()
        };
        mean_dice(&pictures.iter().enumerate().map(dice).collect::<Vec<_>>()).unwrap()
    };
    let dice = dice_by(&found, 0.5);
    let best = model.state.best.unwrap();
    assert!((1.0 - f64::from(best.1) - dice).abs() < 1e-6, "the loaded checkpoint must be the best one");
    let cases = found
        .iter()
        .enumerate()
        .map(|(index, found)| case_scores(found, &set, index, &Decision::exclusive(1, 0.5)).unwrap())
        .collect();
    let evaluation = evaluation(cases);
    assert!((evaluation.per_slice.dice.unwrap().mean - dice).abs() < 1e-12);
    let pictures: Vec<Vec<f32>> = (0..set.len()).map(|index| set.image(index).unwrap()).collect();
    let by_brightness = (0..40).map(|step| dice_by(&pictures, f64::from(step) * 0.05 - 1.0)).fold(0.0, f64::max);
    println!("Dice {dice:.3} at step {}, with the best threshold on brightness {by_brightness:.3}", best.0);
    assert!(dice > 0.5 && dice > by_brightness + 0.12, "Dice {dice}, with a threshold on brightness {by_brightness}");
}
