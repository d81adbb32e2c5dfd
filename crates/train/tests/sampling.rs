//! Sampling from trained runs: no pair depends on its batch, finished pairs are kept, given masks are not changed, and a model_y is used in
//! the way in which it was trained.

mod common;

use burn::tensor::Tensor;
use common::{SIDE, StopAt, config, device, folder, trained};
use pig_data::{
    Pixels,
    png_file::{read_png, write_png},
};
use pig_diffusion::noise::{NoiseSource, Stream};
use pig_nn::{parameters, unet::UNet};
use pig_train::{
    Error,
    generation::{Request, generate},
    given::GivenSource,
    loaded::LoadedRun,
    methods::pig::Pig,
    networks::Networks,
    observer::{Event, Observer, Outcome, Silent},
    role::Role,
    sampler::Sampler,
    samples::{Given, Samples},
    training::{resume, train},
};
use std::{
    any::Any,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

fn bits(tensor: Tensor<4>) -> Vec<u32> {
    tensor.into_data().try_into_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn noise_does_not_depend_on_the_batch() {
    let shape = [SIDE, SIDE, 1];
    let together = bits(NoiseSource::new(3, (0..8).collect(), &device()).draw(Stream::Y, 5, shape));
    let alone: Vec<u32> =
        (0..8).flat_map(|id| bits(NoiseSource::new(3, vec![id], &device()).draw(Stream::Y, 5, shape))).collect();
    assert_eq!(together, alone);
}

/// Asserts that values in [-1, 1] differ by at most 1e-3, and that at most 0.1 % of the 8-bit pixels differ, by one at most.
fn assert_alike(encode: impl Fn(&[f32]) -> Pixels, together: &[Vec<f32>], alone: &[Vec<f32>], what: &str) {
    let (together, alone) = (together.concat(), alone.concat());
    assert_eq!(together.len(), alone.len());
    let furthest = together.iter().zip(&alone).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let same = together.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
    println!("{what}: bit-identical: {same}, furthest {furthest:e}");
    assert!(furthest <= 1e-3, "{what}: {furthest}");
    let (Pixels::Eight(together), Pixels::Eight(alone)) = (encode(&together), encode(&alone)) else {
        panic!("8-bit data gave other pixels")
    };
    let off: Vec<u8> = together.iter().zip(&alone).map(|(a, b)| a.abs_diff(*b)).filter(|&d| d > 0).collect();
    assert!(off.iter().all(|&d| d == 1) && off.len() * 1000 <= together.len(), "{what}: {off:?}");
}

#[test]
fn pairs_do_not_depend_on_the_batch() {
    let folder = folder();
    for (name, sets) in [
        ("xhat", &["sample.eta=0.5"][..]),
        ("xprev", &["model_y.conditioning=xprev"]),
        ("joint", &["method=joint", "sample.sampler=ddpm"]),
    ] {
        let run = trained(folder.path(), name, &config(sets));
        let loaded = LoadedRun::open(&run, &[], &device()).unwrap();
        let device = device();
        let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap();
        let ids: Vec<u64> = (0..8).collect();
        let together = sampler.pairs(&ids, &mut |_| {}).unwrap();
        let mut alone = Samples { masks: Vec::new(), images: Vec::new() };
        for &id in &ids {
            let one = sampler.pairs(&[id], &mut |_| {}).unwrap();
            alone.masks.extend(one.masks);
            alone.images.extend(one.images);
        }
        assert_ne!(alone.images[0], alone.images[1], "{name}: two samples are alike");
        let encode = |values: &[f32]| loaded.preparation.encode(values);
        assert_alike(encode, &together.images, &alone.images, &format!("{name}, images"));
        assert_alike(encode, &together.masks, &alone.masks, &format!("{name}, masks"));
    }
}

#[test]
fn finished_samples_are_skipped_and_torn_ones_made_again() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["method=joint"]));
    let out = folder.path().join("pairs");
    let first = generate(&Request::new(&run, &out, &[0, 1, 2]), &device(), &Silent).unwrap();
    assert_eq!((first.made, first.skipped, first.finished.pairs), (3, 0, 3));
    let file = |seed: u64| out.join("images").join(format!("{seed:06}.png"));
    let before: Vec<Vec<u8>> = (0..3).map(|seed| std::fs::read(file(seed)).unwrap()).collect();
    let times = |seed| std::fs::metadata(file(seed)).unwrap().modified().unwrap();
    let (kept, torn) = (times(0), &before[1][..before[1].len() / 2]);
    std::fs::write(file(1), torn).unwrap();
    let second = generate(&Request::new(&run, &out, &[0, 1, 2, 3]), &device(), &Silent).unwrap();
    assert_eq!((second.made, second.skipped, second.finished.pairs), (2, 2, 4));
    assert_eq!(times(0), kept);
    let after: Vec<Vec<u8>> = (0..3).map(|seed| std::fs::read(file(seed)).unwrap()).collect();
    assert!(before == after, "a sample that was made again has changed");

    let other = Request { sets: vec!["sample.eta=1.0".to_owned()], ..Request::new(&run, &out, &[9]) };
    let message = generate(&other, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("settings_hash") && message.contains("choose another --out"), "{message}");
    assert!(message.contains("(sample.eta is 0.0 there and 1.0 here)"), "{message}");
    assert!(!file(9).exists());
}

/// Masks as a user could give them: a blob, a speck smaller than the least area, an empty mask, and a mask that is all lesion.
fn write_masks(folder: &Path) -> Vec<Vec<u8>> {
    let inside: [&dyn Fn(usize, usize) -> bool; 4] =
        [&|x, y| (3..9).contains(&x) && y > 10, &|x, y| (x, y) == (5, 5), &|_, _| false, &|_, _| true];
    std::fs::create_dir_all(folder).unwrap();
    let masks = inside
        .iter()
        .map(|inside| (0..SIDE * SIDE).map(|i| if inside(i % SIDE, i / SIDE) { 255 } else { 0 }).collect::<Vec<u8>>());
    let masks: Vec<Vec<u8>> = masks.collect();
    for (index, mask) in masks.iter().enumerate() {
        let path = folder.join(format!("m{index}.png"));
        write_png(&path, [SIDE, SIDE], 1, &Pixels::Eight(mask.clone()), &[]).unwrap();
    }
    masks
}

#[test]
fn given_masks_are_kept_exactly() {
    let folder = folder();
    let masks = write_masks(&folder.path().join("masks"));
    for conditioning in ["xhat", "clean", "xprev"] {
        let set = format!("model_y.conditioning={conditioning}");
        let run = trained(folder.path(), conditioning, &config(&[&set]));
        let out = folder.path().join(format!("pairs-{conditioning}"));
        let asked = Request {
            source: GivenSource::MaskFolder(folder.path().join("masks")),
            ..Request::new(&run, &out, &[0, 1, 2, 3, 4])
        };
        let summary = generate(&asked, &device(), &Silent).unwrap();
        assert_eq!((summary.made, summary.finished.empty_masks), (5, 1));
        let mut images = Vec::new();
        for seed in 0..5 {
            let read = |part: &str| read_png(&out.join(part).join(format!("{seed:06}.png"))).unwrap().pixels;
            assert_eq!(read("masks"), Pixels::Eight(masks[seed % masks.len()].clone()), "{conditioning}: {seed}");
            images.push(read("images"));
        }
        // The manifest says which mask each pair was made for; seed 4 begins again.
        let manifest = std::fs::read_to_string(out.join("manifest.csv")).unwrap();
        let head: Vec<&str> = manifest.lines().next().unwrap().split(',').collect();
        assert_eq!(head[head.len() - 2..], ["source_mask", "source_image"]);
        let sources: Vec<&str> = manifest.lines().skip(1).map(|line| line.rsplit(',').nth(1).unwrap()).collect();
        assert_eq!(sources, ["m0", "m1", "m2", "m3", "m0"]);
        // Seeds 0 and 4 share the mask, but nothing else.
        assert_ne!(images[0], images[4], "{conditioning}");
    }
}

#[test]
fn joint_takes_no_masks() {
    let folder = folder();
    write_masks(&folder.path().join("masks"));
    let run = trained(folder.path(), "run", &config(&["method=joint"]));
    let out = folder.path().join("pairs");
    let asked =
        Request { source: GivenSource::MaskFolder(folder.path().join("masks")), ..Request::new(&run, &out, &[0]) };
    let message = generate(&asked, &device(), &Silent).unwrap_err().to_string();
    assert!(message.contains("--given-mask") && message.contains("method = \"pig\""), "{message}");
    assert!(!out.exists());
}

/// Images for one mask, with the run's own model_x and with a model_x that has other weights.
fn images_under_two_guiders(folder: &Path, name: &str, sets: &[&str]) -> [Vec<f32>; 2] {
    let config = config(sets);
    let run = trained(folder, name, &config);
    let mut loaded = LoadedRun::open(&run, &[], &device()).unwrap();
    let mask: Vec<f32> = (0..SIDE * SIDE).map(|i| if i % SIDE < 6 { 1.0 } else { -1.0 }).collect();
    let images = |networks: &dyn Networks| {
        let device = device();
        Sampler::new(&config, networks, &device)
            .unwrap()
            .sample(Given::Masks(&[&mask]), &[7], &mut |_| {})
            .unwrap()
            .images
            .remove(0)
    };
    let own = images(loaded.networks.as_ref());
    let networks: &mut dyn Any = loaded.networks.as_mut();
    let other = UNet::new(config.unet(Role::ModelX), Role::ModelX.channels(1, 1), &device()).unwrap();
    networks.downcast_mut::<Pig>().unwrap().model_x = parameters::initialise(other, 99);
    [own, images(loaded.networks.as_ref())]
}

#[test]
fn only_models_trained_on_clean_masks_take_them_directly() {
    let folder = folder();
    let learned = ["train.learning_rate=1e-2", "train.ema_decay=0"];
    let with = |name: &str, set: &str| images_under_two_guiders(folder.path(), name, &[learned[0], learned[1], set]);
    let [own, other] = with("clean", "model_y.conditioning=clean");
    assert_eq!(own, other, "clean: model_x was evaluated");
    let [own, other] = with("mixed", "train.clean_condition_prob=0.5");
    assert_eq!(own, other, "xhat with clean masks: model_x was evaluated");
    let [own, other] = with("xhat", "model_y.conditioning=xhat");
    assert_ne!(own, other, "xhat: model_x was not evaluated");
}

#[test]
fn xprev_refuses_another_stride() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["model_y.conditioning=xprev"]));
    for set in ["sample.num_inference_steps=4", "sample.timestep_spacing=leading"] {
        let message = LoadedRun::open(&run, &[set.to_owned()], &device()).unwrap_err().to_string();
        assert!(message.contains("8 steps") && message.contains("num_inference_steps"), "{set}: {message}");
    }
    assert!(LoadedRun::open(&run, &["sample.eta=0.5".to_owned()], &device()).is_ok());
}

#[test]
fn another_model_x_is_refused() {
    let folder = folder();
    let (data, config_0) = (folder.path().join("data"), config(&[]));
    let run = folder.path().join("run");
    let stopped = train(&config_0, &data, &run, &device(), &StopAt::new("model_y", 5)).unwrap();
    assert_eq!(stopped, Outcome::Interrupted);
    let mut config_1 = config_0;
    config_1.train.seed = 1;
    let other = trained(folder.path(), "other", &config_1);
    let model_x = |run: &Path| run.join("checkpoints/model_x");
    std::fs::remove_dir_all(model_x(&run)).unwrap();
    std::fs::rename(model_x(&other), model_x(&run)).unwrap();
    let refused = |result: Result<(), Error>| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains("model_x") && message.contains("train"), "{message}");
    };
    refused(resume(&run, None, &device(), &Silent).map(|_| ()));
    refused(LoadedRun::open(&run, &[], &device()).map(|_| ()));
}

/// Asks to stop once there were `most` turns, and counts those that come all the same.
struct Turns {
    most: usize,
    seen: AtomicUsize,
}

impl Observer for Turns {
    fn event(&self, event: Event) {
        if let Event::Progress { .. } = event {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stop_requested(&self) -> bool {
        self.seen.load(Ordering::Relaxed) >= self.most
    }
}

/// A stop is heard at every turn of every loop: no turn is made after it, the batches before it are kept, and going on gives the same pairs.
#[test]
fn a_stop_is_heard_at_every_turn() {
    let folder = folder();
    write_masks(&folder.path().join("masks"));
    let masks = || GivenSource::MaskFolder(folder.path().join("masks"));
    let latents = [
        "method=ldm",
        "autoencoder.block_out_channels=[16, 16]",
        "autoencoder.norm_num_groups=8",
        "model_y.block_out_channels=[16]",
        "model_y.attention_levels=[]",
    ];
    let pig = trained(folder.path(), "pig", &config(&[]));
    for (name, sets, source, turns) in [
        ("pig", &[][..], GivenSource::Nothing, 8),
        ("pig", &["sample.sampler=heun"], GivenSource::Nothing, 15),
        ("pig", &[], masks(), 8),
        ("pig", &["sample.jump_n_sample=3"], GivenSource::ImageFolder(folder.path().join("data/images")), 24),
        ("pig", &["sample.second_pass=true"], GivenSource::Nothing, 16),
        ("joint", &["method=joint"], GivenSource::Nothing, 8),
        ("ddpm", &["method=ddim"], GivenSource::Nothing, 8),
        ("ldm", &latents, masks(), 8),
        ("from-pig", &["method=seg-guided"], GivenSource::MasksFrom(pig.clone()), 16),
    ] {
        let run = folder.path().join(name);
        if !run.exists() {
            trained(folder.path(), name, &config(sets));
        }
        let sampled: Vec<String> =
            sets.iter().filter(|set| set.starts_with("sample.")).map(|&set| set.to_owned()).collect();
        let asked = |out: &str| Request {
            source: source.clone(),
            sets: sampled.iter().cloned().chain(["sample.batch_size=2".to_owned()]).collect(),
            ..Request::new(
                &run,
                &folder.path().join(format!("{name}-{turns}-{out}-{}", source.kind() as u8)),
                &[0, 1, 2, 3],
            )
        };
        let (whole, parted) = (asked("whole"), asked("parted"));
        assert_eq!(generate(&whole, &device(), &Silent).unwrap().made, 4);
        // In the first batch, in the second, and in the last turn of the first, whose pairs are there.
        for (out, most, made) in [(&parted, 3, 0), (&parted, turns + 3, 2), (&asked("last"), turns, 2)] {
            let observer = Turns { most, seen: AtomicUsize::new(0) };
            let summary = generate(out, &device(), &observer).unwrap();
            assert_eq!((summary.outcome, summary.made), (Outcome::Interrupted, made), "{name} after {most} turns");
            assert_eq!(observer.seen.into_inner(), most, "{name}: turns after the stop");
            assert_eq!(std::fs::read_dir(out.out.join("images")).unwrap().count(), made, "{name} after {most} turns");
        }
        let rest = generate(&parted, &device(), &Silent).unwrap();
        assert_eq!((rest.outcome, rest.made, rest.skipped), (Outcome::Finished, 2, 2));
        for seed in 0..4 {
            let file = |asked: &Request| std::fs::read(asked.out.join(format!("images/{seed:06}.png"))).unwrap();
            assert!(file(&whole) == file(&parted), "{name}: sample {seed} differs");
        }
    }
}

/// Keeps what is told of progress.
#[derive(Default)]
struct Told(Mutex<Vec<(usize, String)>>);

impl Observer for Told {
    fn event(&self, event: Event) {
        if let Event::Progress { done, message } = event {
            self.0.lock().unwrap().push((done, message));
        }
    }
}

/// Pairs are counted once they are written, so the last line of a batch has those of the batch.
#[test]
fn the_last_line_of_progress_counts_all_pairs() {
    let folder = folder();
    let run = trained(folder.path(), "joint", &config(&["method=joint"]));
    let asked = Request {
        sets: vec!["sample.batch_size=2".to_owned()],
        ..Request::new(&run, &folder.path().join("pairs"), &[0, 1, 2])
    };
    let told = Told::default();
    generate(&asked, &device(), &told).unwrap();
    let told = told.0.into_inner().unwrap();
    let counts: Vec<usize> = told.iter().map(|(done, _)| *done).collect();
    assert_eq!(counts, (1..=16).collect::<Vec<_>>());
    for (done, expected) in [(7, "0 of 3 pairs"), (8, "2 of 3 pairs"), (15, "2 of 3 pairs"), (16, "3 of 3 pairs")] {
        assert_eq!(told[done - 1].1, expected, "turn {done}");
    }
}

/// The second pass makes the images that a run makes for its own finished masks, and leaves the masks as they are. That of a run whose masks are
/// given, and that of a run that gives masks, changes nothing.
#[test]
fn a_second_pass_makes_images_for_the_finished_masks() {
    let folder = folder();
    for (name, sets) in [
        ("clean", &["model_y.conditioning=clean"][..]),
        ("xhat", &[]),
        ("xprev", &["model_y.conditioning=xprev"]),
        ("joint", &["method=joint", "train.noise_levels=independent"]),
    ] {
        let twice = "sample.second_pass=true";
        let run = trained(folder.path(), name, &config(sets));
        let own = trained(folder.path(), &format!("{name}-twice"), &config(&[sets, &[twice]].concat()));
        let made = |run: &Path, out: &str, source: &GivenSource, sets: &[&str]| {
            let asked = Request {
                source: source.clone(),
                sets: sets.iter().map(|&set| set.to_owned()).collect(),
                ..Request::new(run, &folder.path().join(format!("{name}-{out}")), &[0, 1, 2])
            };
            assert_eq!(generate(&asked, &device(), &Silent).unwrap().made, 3);
            // The files' texts name the settings, so pixels are compared.
            ["masks", "images"].map(|kind| {
                let picture = |seed: u64| read_png(&asked.out.join(format!("{kind}/{seed:06}.png"))).unwrap().pixels;
                (0..3).map(picture).collect::<Vec<Pixels>>()
            })
        };
        let nothing = GivenSource::Nothing;
        let once = made(&run, "once", &nothing, &[]);
        let again = made(&run, "again", &nothing, &[twice]);
        assert!(again[0] == once[0], "{name}: the masks");
        assert!(again[1] != once[1], "{name}: the images");
        let from = |run: &Path| GivenSource::MasksFrom(run.to_owned());
        assert!(made(&run, "from", &from(&run), &[]) == again, "{name}: masks from the run itself");
        assert!(made(&own, "own", &nothing, &[]) == again, "{name}: the run's own setting");
        assert!(made(&own, "own-from", &from(&own), &[]) == again, "{name}: masks from a run with a second pass");
    }
}

/// Where masks or images are given, the key changes nothing, so what lies there is that of the same settings, and no file names it.
#[test]
fn a_second_pass_is_not_recorded_where_it_does_nothing() {
    let folder = folder();
    write_masks(&folder.path().join("masks"));
    let run = trained(folder.path(), "run", &config(&["model_y.conditioning=clean"]));
    let twice = ["sample.second_pass=true".to_owned()];
    for (name, source) in [
        ("masks", GivenSource::MaskFolder(folder.path().join("masks"))),
        ("training", GivenSource::TrainingMasks),
        ("from", GivenSource::MasksFrom(run.clone())),
        ("images", GivenSource::ImageFolder(folder.path().join("data/images"))),
    ] {
        let out = folder.path().join(format!("for-{name}"));
        let asked = Request { source, ..Request::new(&run, &out, &[0, 1]) };
        let with = Request { sets: twice.to_vec(), ..asked.clone() };
        assert_eq!(generate(&with, &device(), &Silent).unwrap().made, 2, "{name}");
        let again = generate(&asked, &device(), &Silent).unwrap();
        assert_eq!((again.made, again.skipped), (0, 2), "{name}");
        assert!(!std::fs::read_to_string(out.join("manifest.csv")).unwrap().contains("second_pass"), "{name}");
    }
    // From noise, it is recorded.
    let out = folder.path().join("pairs");
    generate(&Request { sets: twice.to_vec(), ..Request::new(&run, &out, &[0]) }, &device(), &Silent).unwrap();
    assert!(std::fs::read_to_string(out.join("manifest.csv")).unwrap().contains("second_pass"));
}

/// The strips are drawn last: a stop while they are sampled leaves the pairs, and the same command draws them.
#[test]
fn strips_are_stopped_too() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&["method=joint"]));
    let out = folder.path().join("pairs");
    let asked = Request { progress_strips: true, ..Request::new(&run, &out, &[0, 1]) };
    let summary = generate(&asked, &device(), &Turns { most: 8, seen: AtomicUsize::new(0) }).unwrap();
    assert_eq!((summary.outcome, summary.made), (Outcome::Interrupted, 2));
    assert!(!out.join("progress.png").exists());
    assert_eq!(generate(&asked, &device(), &Silent).unwrap().outcome, Outcome::Finished);
    assert!(out.join("progress.png").is_file());
}
