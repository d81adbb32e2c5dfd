//! How long a segmenter trains, and how it uses generated pairs: patience, pretraining, soft edges, mirrored predictions.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{StopAt, device, folder};
use pig_data::{DataConfig, Dataset, PreparedSet, png_file::write_png};
use pig_device::testing;
use pig_segment::{
    SEGMENTER, TestTimeFlips,
    config::SegmentFile,
    pairs::{self, SegmentData},
    predict::SegmentModel,
    run::train_on,
};
use pig_train::{
    config::Layers,
    metrics_log::{self, Line},
    observer::{Outcome, Silent},
    run_data::RunData,
};
use std::path::Path;

const TINY: [&str; 9] = [
    "data.size=16",
    "data.validation_fraction=0.25",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=12",
    "segment.train.batch_size=4",
    "segment.train.warmup_steps=2",
    "segment.train.validate_every=4",
    "segment.train.log_every=3",
];

fn file(sets: &[&str]) -> SegmentFile {
    let sets = TINY.iter().chain(sets).map(|&set| set.to_owned()).collect();
    let mut file: SegmentFile = Layers { file: None, sets }.load_as().unwrap();
    file.data.channels = pig_data::Channels::Count(1);
    file
}

fn real(folder: &Path) -> RunData {
    RunData::new(&folder.join("data"), &common::config(&["data.channels=1"]), &Silent).unwrap()
}

/// Pairs of another folder, which stand for generated ones.
fn generated(folder: &Path, real: &RunData, count: usize) -> PreparedSet {
    let set = pairs::folder(&folder.join("data"), "g", real, &Silent).unwrap();
    set.subset(&(0..count).collect::<Vec<_>>())
}

fn run(folder: &Path, name: &str, file: &SegmentFile, data: &SegmentData<'_>) {
    assert_eq!(train_on(file, data, &folder.join(name), &device(), &Silent).unwrap(), Outcome::Finished);
}

fn weights(run: &Path, step: usize) -> Vec<u8> {
    std::fs::read(run.join(format!("checkpoints/{SEGMENTER}/step-{step:06}/model.safetensors"))).unwrap()
}

fn lines(run: &Path) -> Vec<Line> {
    metrics_log::read(run).unwrap()
}

/// The step at which a training ends by the rule, from its validations alone: so many validations after the greatest Dice, but not
/// before `steps` are over if no validation found anything.
fn end_by_rule(lines: &[Line], patience: usize, every: usize, first: usize, steps: usize) -> usize {
    let mut best: Option<(usize, f64)> = None;
    for (step, dice) in lines.iter().filter_map(|line| Some((line.step, line.dice?))) {
        if best.is_none_or(|(_, greatest)| dice as f32 > greatest as f32) {
            best = Some((step, dice));
        }
        if let Some((at, greatest)) = best
            && greatest > 0.0
            && step >= at.max(first) + patience * every
        {
            return step;
        }
    }
    steps
}

#[test]
fn patience_ends_a_training_by_its_validations_alone_and_so_does_a_resumed_one() {
    let folder = folder();
    let real = real(folder.path());
    let data = SegmentData::with(&real, &pairs::none(&real.set));
    let sets = ["segment.train.steps=400", "segment.train.patience=3", "segment.train.learning_rate=5e-3"];
    let own = file(&sets);
    run(folder.path(), "one", &own, &data);
    let found = lines(&folder.path().join("one"));
    let last = found.last().unwrap().step;
    assert!(last < 400, "the training of twelve squares does not get better for 400 steps");
    assert_eq!(last, end_by_rule(&found, 3, 4, 0, 400));
    // The last checkpoint is that of the end.
    assert!(!weights(&folder.path().join("one"), last).is_empty());

    let endless = file(&["segment.train.steps=20", "segment.train.learning_rate=5e-3"]);
    run(folder.path(), "without", &endless, &data);
    assert_eq!(lines(&folder.path().join("without")).last().unwrap().step, 20);

    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    for step in [5, last - 1] {
        let stop = StopAt::new(SEGMENTER, step);
        let out = folder.path().join(format!("parted-{step}"));
        assert_eq!(train_on(&own, &data, &out, &device(), &stop).unwrap(), Outcome::Interrupted);
        run(folder.path(), &format!("parted-{step}"), &own, &data);
        assert_eq!(weights(&out, last), weights(&folder.path().join("one"), last));
        // A finished training stays as it is.
        run(folder.path(), &format!("parted-{step}"), &own, &data);
        assert_eq!(lines(&out).last().unwrap().step, last);
    }
}

/// The first steps are those of a training on the generated pairs alone, bit for bit.
#[test]
fn pretraining_is_a_training_on_generated_pairs_alone() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let folder = folder();
    let real = real(folder.path());
    let generated = generated(folder.path(), &real, 5);
    let alone = SegmentData::only(&real, generated.clone());
    // Few checkpoints, since old ones are removed.
    let few = "segment.train.validate_every=100";
    run(folder.path(), "alone", &file(&["segment.train.steps=8", few]), &alone);
    let both = SegmentData::with(&real, &generated);
    let own = file(&[
        "segment.train.pairs=pretrain",
        "segment.train.pretrain_steps=8",
        "segment.train.checkpoint_every=8",
        few,
    ]);
    run(folder.path(), "both", &own, &both);
    assert_eq!(weights(&folder.path().join("both"), 8), weights(&folder.path().join("alone"), 8));
    let rates: Vec<f64> = lines(&folder.path().join("both")).iter().filter_map(|line| line.learning_rate).collect();
    // The rate falls to nothing at step 8, rises again, to a half, and falls again.
    assert!(rates.iter().all(|&rate| rate <= 1e-3) && rates.last().unwrap() < &1e-4, "{rates:?}");
    // Without generated pairs the setting changes nothing.
    let none = SegmentData::with(&real, &pairs::none(&real.set));
    run(folder.path(), "plain", &file(&[few]), &none);
    run(folder.path(), "plain-too", &own, &none);
    assert_eq!(weights(&folder.path().join("plain"), 12), weights(&folder.path().join("plain-too"), 12));
    assert_ne!(weights(&folder.path().join("plain"), 12), weights(&folder.path().join("both"), 12));
}

#[test]
fn a_mixture_draws_every_pair_and_a_pretraining_each_kind_in_its_time() {
    let folder = folder();
    let real = real(folder.path());
    let data = SegmentData::with(&real, &generated(folder.path(), &real, 5));
    let train = |sets: &[&str]| file(sets).segment.train;
    // Nine real pairs and five generated ones; four are drawn in a step.
    assert_eq!(data.mixture().drawn(&train(&[]), 4), 5);
    let sets = ["segment.train.pairs=pretrain", "segment.train.pretrain_steps=1", "segment.train.steps=40"];
    let pretrained = train(&sets);
    assert_eq!([1, 40].map(|steps| data.mixture().drawn(&pretrained, steps)), [4, 4], "none is drawn after one step");
    let longer = train(&[sets[0], "segment.train.pretrain_steps=2", sets[2]]);
    assert_eq!(data.mixture().drawn(&longer, 40), 5);
}

/// Soft edges change the masks of generated pairs alone.
#[test]
fn soft_edges_are_those_of_generated_pairs() {
    if testing::skips("identical bits are promised only on the CPU") {
        return;
    }
    let folder = folder();
    let real = real(folder.path());
    let (plain, soft) = (file(&[]), file(&["segment.train.soft_edges=1.5"]));
    let none = SegmentData::with(&real, &pairs::none(&real.set));
    let some = SegmentData::with(&real, &generated(folder.path(), &real, 5));
    for (name, own, data) in
        [("real", &plain, &none), ("real-soft", &soft, &none), ("mixed", &plain, &some), ("mixed-soft", &soft, &some)]
    {
        run(folder.path(), name, own, data);
    }
    let at = |name: &str| weights(&folder.path().join(name), 12);
    assert_eq!(at("real"), at("real-soft"));
    assert_ne!(at("mixed"), at("mixed-soft"));
}

/// A prediction that is averaged over a picture and its mirror image is mirrored with the picture.
#[test]
fn averaged_predictions_do_not_know_left_from_right() {
    let folder = folder();
    let real = real(folder.path());
    let data = SegmentData::with(&real, &pairs::none(&real.set));
    run(folder.path(), "run", &file(&["segment.augment.horizontal_flip=false", "segment.train.steps=30"]), &data);
    let mirror =
        |values: &[f32]| -> Vec<f32> { values.chunks_exact(16).flat_map(|row| row.iter().rev().copied()).collect() };
    // The same pictures, mirrored, in another folder.
    let (from, to) = (folder.path().join("data"), folder.path().join("mirrored"));
    for pair in Dataset::discover(&from, &DataConfig::default()).unwrap().pairs {
        for (part, path) in [("images", pair.image), ("masks", pair.mask.unwrap().first.path)] {
            let picture = pig_data::png_file::read_png(&path).unwrap();
            let pig_data::Pixels::Eight(values) = picture.pixels else { panic!("eight bits") };
            let values = values.chunks_exact(16).flat_map(|row| row.iter().rev().copied()).collect();
            std::fs::create_dir_all(to.join(part)).unwrap();
            let target = to.join(part).join(path.file_name().unwrap());
            write_png(&target, [16, 16], 1, &pig_data::Pixels::Eight(values), &[]).unwrap();
        }
    }
    let of = |folder: &Path, flips: TestTimeFlips| -> Vec<Vec<f32>> {
        let mut model = SegmentModel::open(&from.with_file_name("run"), &device()).unwrap();
        model.file.segment.test_time_flips = flips;
        let set = pairs::folder(folder, "g", &real, &Silent).unwrap();
        model.each(&set, &device(), |_, found| Ok(found)).unwrap()
    };
    let difference = |flips: TestTimeFlips| {
        let (ours, theirs) = (of(&from, flips), of(&to, flips));
        let pairs = ours.iter().zip(&theirs);
        let one = |(ours, theirs): (&Vec<f32>, &Vec<f32>)| {
            mirror(ours).iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        pairs.map(one).fold(0.0, f32::max)
    };
    assert!(difference(TestTimeFlips::None) > 1e-3, "the network itself knows left from right");
    for flips in [TestTimeFlips::Horizontal, TestTimeFlips::Both] {
        assert!(difference(flips) < 1e-5, "{flips:?}: {}", difference(flips));
    }
}

/// The preset is valid, and has what it says.
#[test]
fn the_preset_of_a_good_segmenter_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/segment/good.toml");
    let file: SegmentFile = Layers { file: Some(path.into()), sets: Vec::new() }.load_as().unwrap();
    file.check().unwrap();
    let train = &file.segment.train;
    assert!(train.patience > 0 && train.steps > 10 * train.patience * 10);
    assert_eq!(file.segment.network.kind, pig_nn::segmentation::SegmentationKind::Residual);
    assert_ne!(file.segment.test_time_flips, TestTimeFlips::None);
}
