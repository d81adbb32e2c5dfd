//! `pig train --dry-run`: what a training would do and cost, without starting it.

use crate::budget::{Budget, NetworkCost, budget};
use burn::{module::Module, tensor::Device};
use pig_data::PreparedSet;
use pig_diffusion::schedule::Schedule;
use pig_optim::Updates;
use pig_train::{
    Config, Result,
    batch::Batches,
    gradient::{add_gradient, workers_of},
    memory::{self, Needed},
    meter::MEASURED_STEPS,
    methods::{
        objective::{Context, Objective, ObjectiveTask},
        teachers::Teachers,
        with_objective,
    },
    observer::Observer,
    run_data::RunData,
    run_dir::RunDir,
    training,
};
use std::{path::Path, time::Instant};

/// The cost of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPlan {
    /// The cost that is counted without computing.
    pub cost: NetworkCost,
    /// Seconds of one training step, measured on this machine.
    pub seconds_a_step: f64,
}

/// What a training would do and cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Numbers of training and validation pairs.
    pub pairs: [usize; 2],
    /// Numbers of training and validation groups.
    pub groups: [usize; 2],
    /// Problems found in the data.
    pub warnings: Vec<String>,
    /// The networks in the order of training.
    pub networks: Vec<NetworkPlan>,
    /// The configuration with what the data decided.
    pub config: Config,
    /// The least memory that the training needs, by count.
    pub needed: Needed,
    /// The memory that the machine had available before the data were read, in bytes, if the system reports it.
    pub available_memory: Option<u64>,
    /// Largest resident memory of this process so far, in bytes, if the system reports it.
    pub peak_memory: Option<u64>,
}

impl Plan {
    /// The cost of the whole training by count.
    pub fn budget(&self) -> Budget {
        Budget { networks: self.networks.iter().map(|network| network.cost.clone()).collect() }
    }
}

/// Checks everything that a training would check, reads the data, and measures a few steps. Writes nothing.
pub fn plan(config: &Config, data: &Path, out: &Path, device: &Device, observer: &dyn Observer) -> Result<Plan> {
    RunDir::check_free(out)?;
    let available_memory = memory::available();
    let (mut config, frozen_model_y) = training::resolved(config, data, None, device)?;
    let run_data = RunData::new(data, &config, observer)?;
    config.data.channels = run_data.preparation.config.channels;
    let config = &config;
    let [training, _] = run_data.parts();
    let (schedule, timesteps) = (Schedule::new(&config.schedule)?, config.timesteps()?);
    let budget = budget(config, device)?;
    let (mut networks, mut teachers) = (Vec::new(), Teachers::default());
    if let Some(model) = &frozen_model_y {
        teachers.autoencoder = model.codec(config, device)?;
    }
    for (role, cost) in config.trained_roles().zip(budget.networks) {
        let context = Context { config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers };
        let seconds_a_step = with_objective(role, context, Measurement { training: &training, device })?;
        networks.push(NetworkPlan { cost, seconds_a_step });
        teachers.stand_in(config, role, device)?;
    }
    Ok(Plan {
        pairs: [run_data.splits.training.len(), run_data.splits.validation.len()],
        groups: [run_data.splits.training_groups, run_data.splits.validation_groups],
        warnings: run_data.warnings(),
        networks,
        needed: Needed::of(config, run_data.dataset.len()),
        config: config.clone(),
        available_memory,
        peak_memory: peak_memory(),
    })
}

/// Measures training steps of one newly initialised network.
struct Measurement<'a> {
    training: &'a PreparedSet,
    device: &'a Device,
}

impl ObjectiveTask for Measurement<'_> {
    /// Seconds of one step.
    type Output = Result<f64>;

    fn run<O: Objective>(self, objective: &O) -> Result<f64> {
        let Context { config, schedule, .. } = objective.context();
        let micro_batch = Some(config.train.micro_batch_size);
        let batches = Batches {
            set: self.training,
            augment: &config.data.augment,
            num_train_timesteps: schedule.num_train_timesteps(),
            device: self.device,
        };
        let network = objective.start(objective.build(self.device)?);
        let mut optimizer = Updates::new(&config.train.optim(), &network, self.device);
        let mut network = network.train();
        let workers = workers_of((config.train.images_in_step(), config.train.batch_size), micro_batch, &optimizer);
        let mut since = Instant::now();
        for step in 0..=MEASURED_STEPS {
            if step == 1 {
                since = Instant::now();
            }
            add_gradient(objective, &network, &batches, (micro_batch, step), &workers, &mut optimizer);
            optimizer.clip(config.train.clip_grad_norm);
            network = optimizer.step(network, 0.0, step);
        }
        Ok(since.elapsed().as_secs_f64() / MEASURED_STEPS as f64)
    }
}

/// The largest resident size of this process so far, in bytes; only Linux reports it without a library.
pub fn peak_memory() -> Option<u64> {
    let status = pig_files::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
