//! Masks of several classes through every method: trainings, previews, samplings, given masks, and what is refused.

mod common;

use common::{LEARNED, SIDE, config, device, trained};
use pig_data::{
    classes::Coding,
    png_file::{encode_label_png, read_label_png, write_png},
    read::read_mask,
};
use pig_device::testing;
use pig_train::{
    config::GivenKind,
    generation::{Request, Summary, generate},
    given::GivenSource,
    loaded::LoadedRun,
    observer::Silent,
    training::{resume, train},
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NAMES: [&str; 2] = ["mass", "calcification"];

/// Twelve pairs of 16 x 16 pixels: a bright square on the left, of the first class, and a dark one on the right, of the second. Of four pairs
/// one has no first square, one no second.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..12_usize {
        write_pair(&folder.path().join("data"), index, &NAMES);
    }
    folder
}

fn write_pair(data: &Path, index: usize, names: &[&str]) {
    let rows = index % 3 + 3..index % 3 + 9;
    let label = |i: usize| match (i % SIDE, rows.contains(&(i / SIDE))) {
        (2..=6, true) if index % 4 != 1 => 1,
        (9..=13, true) if index % 4 != 2 => 2,
        _ => 0,
    };
    let labels: Vec<u8> = (0..SIDE * SIDE).map(label).collect();
    let gray = |(i, &label): (usize, &u8)| [100, 210, 10][usize::from(label)] + (i % SIDE) as u8;
    let image = pig_data::Pixels::Eight(labels.iter().enumerate().map(gray).collect());
    for part in ["images", "masks"] {
        std::fs::create_dir_all(data.join(part)).unwrap();
    }
    let name = format!("a{index:02}.png");
    write_png(&data.join("images").join(&name), [SIDE, SIDE], 1, &image, &[]).unwrap();
    let path = data.join("masks").join(&name);
    std::fs::write(&path, encode_label_png(&path, [SIDE, SIDE], &labels, names, &[]).unwrap()).unwrap();
}

fn sampled(run: &Path, out: &Path, source: GivenSource, count: u64) -> Summary {
    let request = Request { source, ..Request::new(run, out, &(0..count).collect::<Vec<_>>()) };
    generate(&request, &device(), &Silent).unwrap()
}

fn labels(path: &Path) -> Vec<u8> {
    let pig_data::Pixels::Eight(values) = read_label_png(path).unwrap().pixels else { panic!("8 bits") };
    values
}

#[test]
fn every_method_learns_from_label_maps_and_writes_them() {
    let folder = folder();
    let data_masks = folder.path().join("data/masks");
    for (name, sets) in [
        ("pig", &[][..]),
        (
            "clean",
            &["model_y.conditioning=clean", "train.condition_augmentation=10", "sample.condition_augmentation=5"],
        ),
        ("xprev", &["model_y.conditioning=xprev"]),
        ("haar", &["data.space=haar", "model_x.attention_levels=[]", "model_y.attention_levels=[]"]),
        ("joint", &["method=joint"]),
        ("independent", &["method=joint", "train.noise_levels=independent"]),
        ("seg-guided", &["method=seg-guided", "train.mask_ablation_prob=0.5", "train.condition_dropout=0.2"]),
        ("controlnet", &["method=controlnet"]),
        ("ldm", &["method=ldm", "autoencoder.block_out_channels=[16, 16]", "autoencoder.norm_num_groups=8"]),
        ("weighted", &["model_y.loss_weight=sigmoid_guide", "sample.guide_threshold=true"]),
        ("told", &["data.augment.told.rotation=20", "data.augment.told.probability=0.5"]),
    ] {
        let config = config(&[&["train.preview_every=5", "train.watch_samples=8"], sets].concat());
        let run = trained(folder.path(), name, &config);
        let stored = LoadedRun::open(&run, &[], &device()).unwrap().config;
        assert_eq!(
            pig_data::classes::names(&stored.data.classes),
            NAMES,
            "{name}: the run stores what the data decided"
        );
        assert!(config.gives(&stored), "{name}");
        let out = folder.path().join(format!("{name}-pairs"));
        if config.method.makes_masks() {
            let summary = sampled(&run, &out.join("made"), GivenSource::Nothing, 4);
            assert_eq!((summary.made, summary.agreement_by_class.len()), (4, 2), "{name}");
            let found = labels(&out.join("made/masks/000000.png"));
            assert!(found.iter().all(|&label| label <= 2) && found.len() == SIDE * SIDE, "{name}");
        }
        if config.takes(GivenKind::Masks) {
            for (source, folder) in
                [(GivenSource::MaskFolder(data_masks.clone()), "given"), (GivenSource::TrainingMasks, "training")]
            {
                sampled(&run, &out.join(folder), source, 3);
            }
            // A given mask is kept as it is.
            for (index, stem) in ["a00", "a01", "a02"].into_iter().enumerate() {
                let written = labels(&out.join(format!("given/masks/{index:06}.png")));
                assert_eq!(written, labels(&data_masks.join(format!("{stem}.png"))), "{name}");
            }
        }
        if config.takes(GivenKind::Images) {
            let source = GivenSource::ImageFolder(folder.path().join("data/images"));
            sampled(&run, &out.join("completed"), source, 2);
            assert!(labels(&out.join("completed/masks/000001.png")).iter().all(|&label| label <= 2), "{name}");
        }
        let manifest = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path().join("manifest.csv");
        let text = std::fs::read_to_string(manifest).unwrap();
        assert!(text.lines().next().unwrap().ends_with("mask_pixels_mass,mask_pixels_calcification"), "{name}: {text}");
    }
}

/// After some training, generated pairs have both classes, and their images are bright in the one and dark in the other.
#[test]
fn classes_are_learnt_apart() {
    let folder = folder();
    let sets = [&LEARNED[..], &["train.steps=300", "model_y.conditioning=clean"]].concat();
    let run = trained(folder.path(), "run", &config(&sets));
    let out = folder.path().join("pairs");
    let summary = sampled(&run, &out, GivenSource::Nothing, 16);
    let found: Vec<u8> = (0..16).flat_map(|seed| labels(&out.join(format!("masks/{seed:06}.png")))).collect();
    let areas = Coding::exclusive(2).areas(&found);
    assert!(areas.iter().all(|&pixels| pixels > 100), "{areas:?}");
    let contrast = |class: usize| summary.agreement_by_class[class].1.generated.estimate.unwrap().mean;
    assert!(contrast(0) > 0.1 && contrast(1) < -0.1, "{} {}", contrast(0), contrast(1));
}

#[test]
fn a_training_of_classes_resumes_and_does_not_depend_on_workers() {
    if testing::skips("independence of the number of workers is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let config = config(&["train.micro_batch_size=1", "train.checkpoint_every=4"]);
    let trained_by = |workers: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
        pool.install(|| trained(folder.path(), &format!("run-{workers}"), &config))
    };
    let weights = |run: &PathBuf, network: &str| {
        std::fs::read(run.join(format!("checkpoints/{network}/step-000010/ema.safetensors"))).unwrap()
    };
    let (one, three) = (trained_by(1), trained_by(3));
    let stopped = folder.path().join("stopped");
    let stop = common::StopAt::new("model_y", 5);
    train(&config, &folder.path().join("data"), &stopped, &device(), &stop).unwrap();
    resume(&stopped, None, &device(), &Silent).unwrap();
    for network in ["model_x", "model_y"] {
        assert!(weights(&one, network) == weights(&three, network), "{network}: workers");
        assert!(weights(&one, network) == weights(&stopped, network), "{network}: resumed");
    }
}

#[test]
fn what_does_not_fit_the_classes_is_refused_with_its_name() {
    let folder = folder();
    let data = folder.path().join("data");
    let refused = |sets: &[&str], data: &Path| {
        train(&config(sets), data, &folder.path().join("refused"), &device(), &Silent).unwrap_err().to_string()
    };
    for (sets, words) in [
        (&["sample.class_thresholds={mass = 0.2}"][..], "unless data.classes_overlap"),
        (
            &["data.classes=[{name = \"mass\", values = 1}, {name = \"cyst\", values = 2}]"],
            "has the classes mass, calcification; expected mass, cyst",
        ),
    ] {
        let message = refused(sets, &data);
        assert!(message.contains(words), "{words}: {message}");
    }
    // A class that no training pair has.
    let third = &["mass", "calcification", "cyst"];
    let other = folder.path().join("third");
    (0..12).for_each(|index| write_pair(&other, index, third));
    let message = refused(&[], &other);
    assert!(message.contains("third") && message.contains("the class \"cyst\""), "{message}");
    // Masks of other classes, and masks of lesion alone, for a run of two classes.
    let run = trained(folder.path(), "run", &config(&["model_y.conditioning=clean"]));
    let given = |masks: &Path| {
        let source = GivenSource::MaskFolder(masks.to_owned());
        let request = Request { source, ..Request::new(&run, &folder.path().join("pairs"), &[0]) };
        generate(&request, &device(), &Silent).unwrap_err().to_string()
    };
    let message = given(&other.join("masks"));
    assert!(message.contains("the classes mass, calcification, cyst; expected mass, calcification"), "{message}");
    let plain = common::folder();
    let message = given(&plain.path().join("data/masks"));
    assert!(message.contains("255 (") && message.contains("stand for no class"), "{message}");
    // The configuration of a finished run cannot be changed, so the masks must be.
    assert!(message.contains("mass (1), calcification (2), since a finished run"), "{message}");
    assert!(!message.contains("data.classes"), "{message}");
    // And the other way round.
    let one = trained(plain.path(), "run", &config(&["model_y.conditioning=clean"]));
    let source = GivenSource::MaskFolder(data.join("masks"));
    let request = Request { source, ..Request::new(&one, &plain.path().join("pairs"), &[0]) };
    let message = generate(&request, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("tells the classes mass, calcification apart"), "{message}");
    let source = GivenSource::MasksFrom(run);
    let request = Request { source, ..Request::new(&one, &plain.path().join("pairs"), &[0]) };
    let message = generate(&request, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("mass, calcification") && message.contains("lesion"), "{message}");
}

/// Classes can be made one by saying so, and a class of one is what a mask of two values is.
#[test]
fn classes_made_one_are_a_lesion() {
    let (several, plain) = (folder(), tempfile::tempdir().unwrap());
    let data = plain.path().join("data");
    for index in 0..12 {
        write_pair(&data, index, &NAMES);
        let path = data.join(format!("masks/a{index:02}.png"));
        let lesion = labels(&path).into_iter().map(|label| if label > 0 { 255 } else { 0 }).collect();
        write_png(&path, [SIDE, SIDE], 1, &pig_data::Pixels::Eight(lesion), &[]).unwrap();
    }
    let merged = trained(several.path(), "run", &config(&["data.mask_values=[1, 2]"]));
    let same = trained(plain.path(), "run", &config(&[]));
    let named = trained(plain.path(), "named", &config(&["data.classes=[{name = \"lesion\", values = 255}]"]));
    let weights = |run: &Path| std::fs::read(run.join("checkpoints/model_y/step-000010/ema.safetensors")).unwrap();
    assert!(weights(&merged) == weights(&same) && weights(&named) == weights(&same));
    let out = plain.path().join("pairs");
    sampled(&named, &out, GivenSource::Nothing, 2);
    let mask = read_mask(&out.join("masks/000000.png"), &pig_data::DataConfig::default()).unwrap();
    assert_eq!(Coding::exclusive(1).areas(&mask.data)[0], mask.lesion_pixels());
}

/// One pair of twelve has the second class, and with balanced classes half of the samples with lesion have it; empty ones keep their share.
#[test]
fn balanced_classes_come_equally_often() {
    use pig_diffusion::schedule::{Schedule, ScheduleConfig};
    use pig_train::{batch::Batches, run_data::RunData};
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for index in 0..12 {
        write_pair(&data, index, &NAMES);
        let path = data.join(format!("masks/a{index:02}.png"));
        let keep = |label: u8| match index {
            0 => 2 * u8::from(label == 2),
            1..=3 => 0,
            _ => u8::from(label > 0),
        };
        let kept: Vec<u8> = labels(&path).into_iter().map(keep).collect();
        std::fs::write(&path, encode_label_png(&path, [SIDE, SIDE], &kept, &NAMES, &[]).unwrap()).unwrap();
    }
    let counts = |balance: &str| {
        let config = config(&[balance, "data.validation_fraction=0", "train.batch_size=8"]);
        let real = RunData::new(&data, &config, &Silent).unwrap();
        let (device, schedule) = (device(), Schedule::new(&ScheduleConfig::default()).unwrap());
        let augment = pig_data::AugmentConfig::default();
        let batches =
            Batches { set: &real.set, unlabelled: None, augment: &augment, schedule: &schedule, device: &device };
        let mut counts = [0; 3];
        for step in 0..60 {
            let draws = batches.draws(&config.train, step);
            let masks = batches.training(&config.train, &draws, 0..8).unwrap().masks;
            let values: Vec<f32> = masks.into_data().try_to_vec().unwrap();
            for mask in values.chunks_exact(2 * SIDE * SIDE) {
                let has = |class: usize| mask.iter().skip(class).step_by(2).any(|&value| value > 0.0);
                counts[usize::from(has(0)) + 2 * usize::from(has(1))] += 1;
            }
        }
        counts
    };
    assert_eq!(counts("train.balance_classes=false"), [120, 320, 40]);
    let [empty, first, second] = counts("train.balance_classes=true");
    // Standard error: sqrt(360 / 4) = 9.5.
    assert!(empty == 120 && first + second == 360 && (140..=220).contains(&second), "{empty} {first} {second}");
    let one = common::folder();
    let out = one.path().join("run");
    let refused = train(&config(&["train.balance_classes=true"]), &one.path().join("data"), &out, &device(), &Silent);
    assert!(refused.unwrap_err().to_string().contains("train.balance_classes"));
}

/// A core within a whole: the masks of regions are learnt, written, measured and given again as sets of classes.
#[test]
fn regions_that_overlap_are_learnt_as_layers() {
    use pig_data::{ClassConfig, png_file::encode_class_png};
    let folder = folder();
    let data = folder.path().join("data");
    let class = |name: &str| ClassConfig { name: name.to_owned(), ..ClassConfig::default() };
    let classes = [class("whole"), class("core")];
    for index in 0..12 {
        let path = data.join(format!("masks/a{index:02}.png"));
        // The bright square is the core of a whole that also has the dark one.
        let sets: Vec<u8> = labels(&path).into_iter().map(|label| [0, 0b11, 0b01][usize::from(label)]).collect();
        std::fs::write(&path, encode_class_png(&path, [SIDE, SIDE], &sets, (&classes, true), &[]).unwrap()).unwrap();
    }
    let coding = Coding { classes: 2, overlap: true };
    let sets =
        [&LEARNED[..], &["train.steps=900", "model_y.conditioning=clean", "sample.class_thresholds={core = 0.1}"]];
    let asked = config(&sets.concat());
    let run = trained(folder.path(), "run", &asked);
    let stored = LoadedRun::open(&run, &[], &device()).unwrap().config;
    assert!(stored.data.coding() == coding && asked.gives(&stored));
    let out = folder.path().join("pairs");
    let summary = sampled(&run, &out.join("made"), GivenSource::Nothing, 16);
    let found: Vec<u8> = (0..16).flat_map(|seed| labels(&out.join(format!("made/masks/{seed:06}.png")))).collect();
    let count = |wanted: u8| found.iter().map(|&label| usize::from(label == wanted)).sum::<usize>();
    // The core lies within the whole, as in the data.
    assert!(count(0b11) > 100 && count(0b01) > 100 && count(0b10) * 10 < count(0b11), "{found:?}");
    let contrast = summary.agreement_by_class[1].1.generated.estimate.unwrap().mean;
    assert!(contrast > 0.1, "{contrast}");
    sampled(&run, &out.join("given"), GivenSource::MaskFolder(data.join("masks")), 2);
    assert_eq!(labels(&out.join("given/masks/000000.png")), labels(&data.join("masks/a00.png")));
    // The threshold of a class moves its own region alone.
    let request = Request {
        sets: vec!["sample.class_thresholds={core = 0.9}".to_owned()],
        ..Request::new(&run, &out.join("strict"), &(0..4).collect::<Vec<_>>())
    };
    generate(&request, &device(), &Silent).unwrap();
    for seed in 0..4 {
        let [loose, strict] = ["made", "strict"].map(|name| labels(&out.join(format!("{name}/masks/{seed:06}.png"))));
        let [wide, narrow] = [&loose, &strict].map(|labels| coding.areas(labels));
        assert!(wide[0] == narrow[0] && narrow[1] <= wide[1], "{wide:?} {narrow:?}");
    }
    let unknown = config(&["sample.class_thresholds={rim = 0.1}"]);
    let message = train(&unknown, &data, &folder.path().join("refused"), &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("sample.class_thresholds.rim") && message.contains("whole, core"), "{message}");
}

/// A model of images for label maps that was trained elsewhere guides nothing, but a guider of both classes is trained for it, and models of
/// different runs are sampled together.
#[test]
fn frozen_and_joined_models_take_several_classes() {
    use pig_train::imported::join::Join;
    let folder = folder();
    let guided = trained(folder.path(), "guided", &config(&["method=seg-guided"]));
    let model = format!("model_y.frozen.model={:?}", guided.to_str().unwrap());
    let mut frozen = config(&[model.as_str(), "model_y.conditioning=clean"]);
    frozen.model_y.unet = pig_nn::config::UNetConfig::default();
    // The classes are found in the data, after the model was read.
    let run = trained(folder.path(), "frozen", &frozen);
    let out = folder.path().join("pairs");
    let summary = sampled(&run, &out.join("frozen"), GivenSource::Nothing, 2);
    assert_eq!(summary.agreement_by_class.len(), 2);
    sampled(&run, &out.join("given"), GivenSource::MaskFolder(folder.path().join("data/masks")), 2);
    let own = trained(folder.path(), "own", &config(&["model_y.conditioning=clean"]));
    let join = Join { model_x: None, model_y: Some(own.clone()) };
    let other = trained(folder.path(), "other", &config(&["model_y.conditioning=clean", "train.seed=5"]));
    let request = Request { join, ..Request::new(&other, &out.join("joined"), &[0, 1]) };
    generate(&request, &device(), &Silent).unwrap();
    assert!(labels(&out.join("joined/masks/000000.png")).iter().all(|&label| label <= 2));
    // A model for one lesion does not fit two classes, which is said when they are known.
    let plain = common::folder();
    let one = trained(plain.path(), "guided", &config(&["method=seg-guided"]));
    let model = format!("model_y.frozen.model={:?}", one.to_str().unwrap());
    let mut frozen = config(&[model.as_str(), "model_y.conditioning=clean"]);
    frozen.model_y.unet = pig_nn::config::UNetConfig::default();
    let refused = train(&frozen, &folder.path().join("data"), &out.join("refused"), &device(), &Silent);
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("channels of model_y") && message.contains("3 in, 1 out"), "{message}");
}

/// Two of four pairs are to hold the second class, whatever the run makes.
#[test]
fn pairs_are_chosen_by_their_classes() {
    use pig_train::by_class::ClassShares;
    let folder = folder();
    // Without specks of a few pixels, some of its masks lack a class.
    let sets = ["train.steps=300", "sample.min_component_area=16"];
    let run = trained(folder.path(), "run", &config(&[&LEARNED[..], &sets].concat()));
    let out = folder.path().join("pairs");
    let wanted = |share| ClassShares([("calcification".to_owned(), share)].into());
    let request = |share, out: &Path| Request { classes: wanted(share), ..Request::new(&run, out, &[0, 1, 2, 3]) };
    let summary = generate(&request(0.5, &out), &device(), &Silent).unwrap();
    let choice = summary.choice.unwrap();
    assert_eq!((summary.finished.pairs, choice.chosen.len()), (4, 4));
    let manifest = std::fs::read_to_string(out.join("manifest.csv")).unwrap();
    let holding = manifest.lines().skip(1).filter(|line| !line.ends_with(",0")).count();
    assert!(holding == 2 && manifest.contains("calcification") && manifest.contains("chosen"), "{manifest}");
    // The same pictures as without a choice, and a second time nothing is made.
    let plain = folder.path().join("plain");
    generate(&Request::new(&run, &plain, &choice.chosen), &device(), &Silent).unwrap();
    for seed in &choice.chosen {
        let name = format!("masks/{seed:06}.png");
        assert_eq!(labels(&out.join(&name)), labels(&plain.join(&name)));
    }
    assert_eq!(generate(&request(0.5, &out), &device(), &Silent).unwrap().made, 0);
    // Other shares are other settings, and a class must be there.
    let message = generate(&request(0.25, &out), &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("chosen.shares"), "{message}");
    let request = Request {
        classes: ClassShares([("cyst".to_owned(), 0.5)].into()),
        ..Request::new(&run, &folder.path().join("refused"), &[0])
    };
    let message = generate(&request, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("shares of mass, calcification"), "{message}");
    let source = GivenSource::MaskFolder(folder.path().join("data/masks"));
    let request = Request { source, classes: wanted(0.5), ..Request::new(&run, &folder.path().join("refused"), &[0]) };
    assert!(generate(&request, &device(), &Silent).unwrap_err().to_string().contains("makes masks from noise"));
}
