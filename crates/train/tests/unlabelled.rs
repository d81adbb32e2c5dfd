//! `pig train --unlabelled`: images without masks beside the pairs of a training.

mod common;

use burn::tensor::Tensor;
use common::{Cached, LEARNED, SIDE, StopAt, config, device, folder, trained};
use pig_data::{Dataset, Pixels, PreparedSet, png_file::write_png};
use pig_device::testing;
use pig_diffusion::schedule::Schedule;
use pig_nn::parameters;
use pig_train::{
    Config,
    batch::{Batch, Batches},
    checkpoint::Store,
    methods::{
        objective::{Context, Objective, ObjectiveTask},
        teachers::Teachers,
        with_objective,
    },
    observer::{Observer, Outcome, Silent},
    role::Role,
    run_data::RunData,
    run_dir::RunDir,
    training::{Resume, resume_with, train_on, train_with},
    unlabelled::Folders,
};
use std::path::{Path, PathBuf};

/// Pictures unlike those of the pairs: bright stripes.
fn stripes(folder: &Path, count: usize) -> PathBuf {
    let images = folder.join("more");
    std::fs::create_dir_all(&images).unwrap();
    for index in 0..count {
        let values =
            (0..SIDE * SIDE).map(|i| if (i / SIDE + index) % 4 < 2 { 250 } else { 120 + index as u8 }).collect();
        write_png(&images.join(format!("s{index}.png")), [SIDE, SIDE], 1, &Pixels::Eight(values), &[]).unwrap();
    }
    images
}

fn with(config: &mut Config) -> &Config {
    config.train.unlabelled = pig_train::config::Unlabelled::Folder;
    config
}

fn start(
    config: &Config,
    folder: &Path,
    name: &str,
    images: &Path,
    observer: &dyn Observer,
) -> pig_train::Result<PathBuf> {
    let (data, run) = (folder.join("data"), folder.join(name));
    let folders = Folders { unlabelled: Some(images), ..Folders::pairs(&data) };
    train_with(config, folders, &run, &device(), observer).map(|_| run)
}

fn weights(run: &Path, network: &'static str) -> Vec<f32> {
    Store::new(run, network).load_ema().unwrap().1.into_values().flat_map(|array| array.values).collect()
}

/// The loss of the network of `role` for images without a mask, under the null condition.
struct Alone<'a> {
    run: &'a Path,
    set: &'a PreparedSet,
}

impl ObjectiveTask for Alone<'_> {
    type Output = f32;

    fn run<O: Objective>(self, objective: &O) -> f32 {
        let (context, device) = (objective.context(), device());
        let (_, ema, _) = Store::new(self.run, objective.role().name()).load_ema().unwrap();
        let network = parameters::import(objective.build(&device).unwrap(), &ema).unwrap();
        let (set, augment) = (self.set, &context.config.data.augment);
        let batches = Batches { set, unlabelled: None, augment, schedule: context.schedule, device: &device };
        let indices: Vec<usize> = (0..set.len()).collect();
        let t = vec![context.schedule.num_train_timesteps() * 7 / 8; indices.len()];
        let batch = batches.fixed(0, &indices, (1000..).take(indices.len()).collect(), t).unwrap();
        let masks = Tensor::zeros_like(&batch.masks);
        objective.loss(&network, &Batch { masks, ..batch }).into_scalar()
    }
}

fn loss_alone(run: &Path, config: &Config, role: Role, set: &PreparedSet) -> f32 {
    let (schedule, timesteps) = (Schedule::new(&config.schedule).unwrap(), config.timesteps().unwrap());
    let mut teachers = Teachers::default();
    for &earlier in config.roles().iter().take_while(|&&earlier| earlier != role) {
        teachers.load(run, config, earlier, &device()).unwrap();
    }
    with_objective(
        role,
        Context { config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers },
        Alone { run, set },
    )
}

/// The image network learns what only the images without masks show, under the null condition; the guider is not touched by them.
#[test]
fn image_networks_learn_from_images_without_masks() {
    let folder = folder();
    let images = stripes(folder.path(), 6);
    for (method, role, steps) in [
        ("pig", Role::ModelY, "model_y.conditioning=clean"),
        ("seg-guided", Role::SegGuided, "train.log_every=10"),
        ("ddim", Role::Unconditional, "train.log_every=10"),
    ] {
        let asked = format!("method={method}");
        let plain = config(&[&LEARNED[..], &[&asked, steps]].concat());
        let alone = trained(folder.path(), &format!("{method}-alone"), &plain);
        let mut own = plain.clone();
        let both = start(with(&mut own), folder.path(), method, &images, &Silent).unwrap();
        let run_data = RunData::of_run(&folder.path().join("data"), &RunDir::open(&both).unwrap(), &Silent).unwrap();
        let set = run_data.preparation.load(&Dataset::of_images(&images, None).unwrap(), &|_, _| {}).unwrap();
        let [without, with] = [&alone, &both].map(|run| loss_alone(run, &plain, role, &set));
        println!("{method}: loss {without} without the images, {with} with them");
        assert!(with < 0.7 * without, "{method}: {with} and {without}");
        if method == "pig" && !testing::skips("bits are promised on the CPU only") {
            assert_eq!(weights(&alone, "model_x"), weights(&both, "model_x"));
        }
        let known = RunDir::open(&both).unwrap().provenance().unwrap().unlabelled.unwrap();
        assert_eq!((known.images, known.sha256), (6, set.sha256().unwrap()));
    }
}

#[test]
fn a_stop_changes_nothing_and_moved_images_are_found_again() {
    if testing::skips("exact reproducibility of a training is promised on the CPU only") {
        return;
    }
    let folder = folder();
    let images = stripes(folder.path(), 5);
    let mut own = config(&["train.condition_dropout=0.1", "model_y.loss_weight=sigmoid_guide"]);
    let config = with(&mut own);
    let whole = start(config, folder.path(), "whole", &images, &Silent).unwrap();
    let parted = start(config, folder.path(), "parted", &images, &StopAt::new("model_y", 5)).unwrap();
    let moved = folder.path().join("moved");
    std::fs::rename(&images, &moved).unwrap();
    let go_on = |unlabelled| resume_with(&parted, Resume { unlabelled, ..Resume::default() }, &device(), &Silent);
    let error = go_on(None).unwrap_err().to_string();
    assert!(error.contains("unlabelled-path.txt") && error.contains("--unlabelled DIR"), "{error}");
    assert_eq!(go_on(Some(moved.as_path())).unwrap(), Outcome::Finished);
    assert_eq!(weights(&whole, "model_y"), weights(&parted, "model_y"));
    stripes(folder.path(), 4);
    let error = go_on(Some(folder.path().join("more").as_path())).unwrap_err().to_string();
    assert!(error.contains("images without masks") && error.contains("have changed"), "{error}");
}

/// Images of held-out patients are found by the patient and by their pixels, whatever the file is called and however it is stored.
#[test]
fn images_of_held_out_patients_are_refused_with_the_list() {
    let folder = folder();
    let data = folder.path().join("data");
    let rows = (0..12).map(|i| format!("a{i:02},p{}\n", i / 2)).collect::<Vec<_>>().concat();
    std::fs::write(data.join("manifest.csv"), format!("id,patient\n{rows}")).unwrap();
    let mut own = config(&["method=ddim"]);
    let config = with(&mut own);
    let splits = pig_data::split_by_group(&Dataset::discover(&data, &config.data).unwrap(), 0.25, 0).unwrap();
    let (held_out, trained_id) = (&splits.validation[0], &splits.training[0]);
    let patient = format!("p{}", held_out[1..].parse::<usize>().unwrap() / 2);

    let images = stripes(folder.path(), 2);
    let gray = pig_data::read::read_image(&data.join(format!("images/{held_out}.png")), 1).unwrap();
    let colour = gray.data.iter().flat_map(|&value| [value as u8; 3]).collect();
    write_png(&images.join("other-name.png"), [SIDE, SIDE], 3, &Pixels::Eight(colour), &[]).unwrap();
    std::fs::copy(data.join(format!("images/{trained_id}.png")), images.join("known.png")).unwrap();
    let error = start(config, folder.path(), "run", &images, &Silent).unwrap_err().to_string();
    assert!(error.contains("1 image(s) show validating or testing patients"), "{error}");
    assert!(error.contains(&format!("other-name (the pixels of {held_out})")), "{error}");
    assert!(!folder.path().join("run").exists());
    std::fs::remove_file(images.join("other-name.png")).unwrap();

    let said = Cached::new(&folder.path().join("cache"));
    start(config, folder.path(), "run", &images, &said).unwrap();
    let said = said.said.into_inner().unwrap();
    assert!(said.iter().any(|text| text.contains("3 images without masks; 1 of them have masks, too")), "{said:?}");
    assert!(said.iter().any(|text| text.contains("patients are not named in both folders")), "{said:?}");

    let manifest = format!("id,patient\ns0,{patient}\ns1,new\nknown,new\n");
    std::fs::write(images.join("manifest.csv"), manifest).unwrap();
    let error = start(config, folder.path(), "other", &images, &Silent).unwrap_err().to_string();
    assert!(error.contains(&format!("s0 (the patient or group {patient})")) && !error.contains("s1"), "{error}");
}

/// The images of patients beyond the share that trains, without their masks.
#[test]
fn pairs_that_a_split_leaves_out_give_their_images() {
    let folder = folder();
    let data = folder.path().join("data");
    let config = config(&["method=seg-guided", "train.unlabelled=rest", "train.condition_dropout=0.1"]);
    let dataset = Dataset::discover(&data, &config.data).unwrap();
    let whole = pig_data::split_by_group(&dataset, 0.25, 0).unwrap();
    let run = folder.path().join("run");
    let error = train_on(&config, &data, &whole, &run, &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("leaves out no pair"), "{error}");
    let splits = whole.limited_to(&dataset, 0.5, 1);
    let stop = StopAt::new("seg_guided", 5);
    assert_eq!(train_on(&config, &data, &splits, &run, &device(), &stop).unwrap(), Outcome::Interrupted);
    assert_eq!(resume_with(&run, Resume::default(), &device(), &Silent).unwrap(), Outcome::Finished);
    let known = RunDir::open(&run).unwrap().provenance().unwrap().unlabelled.unwrap();
    assert_eq!(known.images, splits.unused.len());
    assert!(known.images > 0);
}

#[test]
fn settings_without_use_are_refused() {
    let folder = folder();
    let images = stripes(folder.path(), 2);
    let refused = |config: &Config| start(config, folder.path(), "run", &images, &Silent).unwrap_err().to_string();
    let error = refused(with(&mut config(&["method=joint"])));
    assert!(error.contains("train.unlabelled") && error.contains("joint"), "{error}");
    // A folder that the configuration does not ask for, and the other way round.
    let error = refused(&config(&["method=ddim"]));
    assert!(error.contains("train.unlabelled") && error.contains("--unlabelled DIR"), "{error}");
    let error = refused(with(&mut config(&["method=ddim", "train.unlabelled_share=1.0"])));
    assert!(error.contains("train.unlabelled_share = 1"), "{error}");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let error = start(with(&mut config(&["method=ddim"])), folder.path(), "run", &empty, &Silent).unwrap_err();
    assert!(error.to_string().contains("empty"), "{error}");
}

/// Images of another depth are refused whether they are read from their files or from the cache, which is the same for any depth.
#[test]
fn images_of_another_depth_are_refused_from_the_cache_too() {
    let folder = folder();
    let deep = folder.path().join("deep");
    for index in 0..8_usize {
        for (part, most) in [("images", 60_000_usize), ("masks", 255)] {
            let place = deep.join(part);
            std::fs::create_dir_all(&place).unwrap();
            let inside = |i: usize| (2 + index % 5..9).contains(&(i % SIDE)) && (3..9).contains(&(i / SIDE));
            let path = place.join(format!("d{index}.png"));
            let pixels = if part == "images" {
                Pixels::Sixteen((0..SIDE * SIDE).map(|i| (i * 97 + index * 31) as u16 % most as u16).collect())
            } else {
                Pixels::Eight((0..SIDE * SIDE).map(|i| if inside(i) { 255 } else { 0 }).collect())
            };
            write_png(&path, [SIDE, SIDE], 1, &pixels, &[]).unwrap();
        }
    }
    let images = stripes(folder.path(), 4);
    let said = Cached::new(&folder.path().join("cache"));
    let mut own = config(&["method=ddim"]);
    let own = with(&mut own);
    let of_deep = |name: &str| {
        let folders = Folders { unlabelled: Some(&images), ..Folders::pairs(&deep) };
        train_with(own, folders, &folder.path().join(name), &device(), &said).unwrap_err().to_string()
    };
    let before = of_deep("first");
    // With pairs of 8 bits the same images are right, and now lie in the cache.
    start(own, folder.path(), "shallow", &images, &said).unwrap();
    for error in [before, of_deep("second")] {
        assert!(error.contains("8 bits") && error.contains("16 bits"), "{error}");
    }
}

/// A run without such images has no use for the flag.
#[test]
fn a_folder_that_a_run_never_had_is_refused() {
    let folder = folder();
    let images = stripes(folder.path(), 2);
    let run = trained(folder.path(), "run", &config(&["method=ddim"]));
    let with = Resume { unlabelled: Some(&images), ..Resume::default() };
    let error = resume_with(&run, with, &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("--unlabelled") && error.contains("started without"), "{error}");
}
