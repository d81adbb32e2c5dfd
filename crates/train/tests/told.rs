//! `data.augment.told`: changes of training pairs of which the networks are told.

mod common;

use burn::module::Module;
use common::{LEARNED, StopAt, config, device, folder, trained};
use pig_data::PreparedSet;
use pig_device::testing;
use pig_diffusion::schedule::Schedule;
use pig_nn::{dropout::Dropout, parameters};
use pig_train::{
    Config,
    batch::{Batch, Batches},
    checkpoint::Store,
    generation::{Request, generate},
    imported::join::Join,
    loaded::LoadedRun,
    methods::{
        objective::{Context, Objective, ObjectiveTask},
        teachers::Teachers,
        with_objective,
    },
    metrics_log,
    observer::{Outcome, Silent},
    role::Role,
    run_data::RunData,
    run_dir::RunDir,
    sampler::Sampler,
    training::{resume, train},
};
use std::path::Path;

const TOLD: &str = "data.augment={told={rotation=90.0, scale=0.5, shift=0.3, gamma=0.5, probability=0.7}}";

/// The loss of changed training pairs, for a network that is told the truth and for one that is told that nothing was changed.
struct ToldAndNot<'a> {
    run: &'a Path,
    set: &'a PreparedSet,
}

impl ObjectiveTask for ToldAndNot<'_> {
    type Output = [f32; 2];

    fn run<O: Objective>(self, objective: &O) -> [f32; 2] {
        let (context, device) = (objective.context(), device());
        let (_, ema, _) = Store::new(self.run, objective.role().name()).load_ema().unwrap();
        let network = parameters::import(objective.build(&device).unwrap(), &ema).unwrap().train();
        let (train, set) = (&context.config.train, self.set);
        let augment = &context.config.data.augment;
        let batches = Batches { set, unlabelled: None, augment, schedule: context.schedule, device: &device };
        let mut sums = [0.0; 2];
        for step in 5000..5020 {
            let draws = batches.draws(train, step);
            let batch = batches.training(train, &draws, 0..draws.len()).unwrap();
            assert_eq!(batch.told.len(), 6 * draws.len());
            let nothing = Batch { told: vec![0.0; batch.told.len()], ..batch.clone() };
            for (sum, batch) in sums.iter_mut().zip([&batch, &nothing]) {
                *sum += objective.gradients(&network, batch, Dropout::off()).0;
            }
        }
        sums
    }
}

fn losses(run: &Path, config: &Config, data: &Path, role: Role) -> [f32; 2] {
    let run_data = RunData::of_run(data, &RunDir::open(run).unwrap(), &Silent).unwrap();
    let [training, _] = run_data.parts();
    let (schedule, timesteps) = (Schedule::new(&config.schedule).unwrap(), config.timesteps().unwrap());
    let teachers = Teachers::default();
    let context = Context { config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers };
    with_objective(role, context, ToldAndNot { run, set: &training })
}

#[test]
fn networks_use_what_they_are_told() {
    let folder = folder();
    let data = folder.path().join("data");
    // Shifts of every image: at much noise, only what it is told says where the square is.
    let told = "data.augment={told={shift=0.4, probability=1.0}}";
    let own = config(&[&LEARNED[..], &["method=ddim", told, "train.steps=300"]].concat());
    let run = trained(folder.path(), "run", &own);
    let [told, not] = losses(&run, &own, &data, Role::Unconditional);
    println!("loss {told} told, {not} not told");
    assert!(told < 0.98 * not, "{told} and {not}");
}

/// Gradient checkpointing, a second time as input, and a stop leave the training as it is.
#[test]
fn every_way_through_the_network_is_told() {
    let folder = folder();
    let data = folder.path().join("data");
    let sets = ["method=joint", TOLD, "train.log_every=1"];
    let whole = trained(folder.path(), "whole", &config(&sets));
    let losses =
        |run: &Path| -> Vec<f64> { metrics_log::read(run).unwrap().iter().filter_map(|line| line.loss).collect() };
    let saving =
        trained(folder.path(), "saving", &config(&[&sets[..], &["train.gradient_checkpointing=true"]].concat()));
    assert!(losses(&whole).iter().zip(losses(&saving)).all(|(a, b)| (a - b).abs() < 1e-4 * a), "{:?}", losses(&saving));
    let plain = trained(folder.path(), "plain", &config(&["method=joint", "train.log_every=1"]));
    assert_ne!(losses(&whole), losses(&plain));
    trained(folder.path(), "two", &config(&[&sets[..], &["train.noise_levels=independent"]].concat()));
    if !testing::skips("exact reproducibility of a training is promised on the CPU only") {
        let parted = folder.path().join("parted");
        let stop = StopAt::new("joint", 5);
        assert_eq!(train(&config(&sets), &data, &parted, &device(), &stop).unwrap(), Outcome::Interrupted);
        assert_eq!(resume(&parted, None, &device(), &Silent).unwrap(), Outcome::Finished);
        assert_eq!(losses(&whole), losses(&parted));
    }
}

/// A model of its own has no such input: what the input gives where nothing was changed is a part of its bias.
#[test]
fn a_model_of_its_own_makes_the_same_pairs() {
    let folder = folder();
    let run = trained(folder.path(), "run", &config(&[TOLD, "model_y.conditioning=clean"]));
    let device = device();
    let loaded = LoadedRun::open(&run, &[], &device).unwrap();
    let own =
        Sampler::new(&loaded.config, loaded.networks.as_ref(), &device).unwrap().pairs(&[0, 5], &mut |_| {}).unwrap();
    let out = folder.path().join("pairs");
    let join = Join { model_x: Some(run.clone()), model_y: Some(run.clone()) };
    generate(&Request { join, save_arrays: true, ..Request::new(&run, &out, &[0, 5]) }, &device, &Silent).unwrap();
    let arrays = pig_weights::npz::read(&out.join("arrays/000005.npz")).unwrap();
    let found = arrays["y_0"].to_f32();
    let furthest = own.images[1].iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest < 1e-3, "{furthest}");
}

#[test]
fn methods_that_are_not_told_refuse() {
    for method in ["method=controlnet", "method=ldm"] {
        let error = config(&[method, TOLD]).check().unwrap_err().to_string();
        assert!(error.contains("data.augment.told"), "{method}: {error}");
    }
    let error = config(&["data.augment={told={rotation=190.0}}"]).check().unwrap_err().to_string();
    assert!(error.contains("data.augment.told.rotation") && error.contains("0 to 180"), "{error}");
}
