//! `pig train --dry-run`: what a training would do and cost, before it is begun.

use crate::{
    Config, Result,
    batch::Batches,
    config::Conditioning,
    methods::{Objective, role_name},
    observer::Observer,
    run_dir::RunDir,
    train::RunData,
    updates::Updates,
};
use burn::{module::Module, tensor::Device};
use pig_diffusion::schedule::Schedule;
use pig_nn::{cost::forward_flops, network::Role, parameters};
use std::{path::Path, time::Instant};

/// What one network costs.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPlan {
    /// Its name.
    pub network: &'static str,
    /// Number of parameters.
    pub parameters: usize,
    /// Floating-point operations of one image's forward pass.
    pub forward_flops: f64,
    /// Optimiser steps.
    pub steps: usize,
    /// Seconds of one step, measured here.
    pub seconds_a_step: f64,
}

/// What a training would do and cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Pairs that train and that validate.
    pub pairs: [usize; 2],
    /// Groups that train and that validate.
    pub groups: [usize; 2],
    /// Problems that were found in the data.
    pub warnings: Vec<String>,
    /// Each network in the order of training.
    pub networks: Vec<NetworkPlan>,
    /// Largest resident memory of this process so far, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

/// Measured steps; one more goes before them.
const MEASURED_STEPS: usize = 2;

/// Checks everything that a training would check, reads the data, and measures a few steps. Writes nothing.
pub fn plan(config: &Config, data: &Path, out: &Path, device: &Device, observer: &dyn Observer) -> Result<Plan> {
    config.check()?;
    RunDir::check_free(out)?;
    let run_data = RunData::new(data, config, observer)?;
    let [training, _] = run_data.parts();
    let (schedule, timesteps) = (Schedule::new(&config.schedule)?, config.timesteps()?);
    let mut networks = Vec::new();
    let mut guider = None;
    for &role in config.roles() {
        let channels = role.channels(config.data.channels);
        let unet = role.build(config.unet(role), config.data.channels, device)?;
        let unet = parameters::initialise(unet, config.train.seed);
        let needs_guider = role == Role::ModelY && config.model_y.conditioning == Conditioning::Xhat;
        let model_x = guider.as_ref().filter(|_| needs_guider);
        let objective = Objective::new(role, config, &schedule, &timesteps, model_x);
        let batches = Batches {
            set: &training,
            augment: &config.data.augment,
            num_train_timesteps: schedule.num_train_timesteps(),
            device,
        };
        let mut optimizer = Updates::new(&config.train, &unet, device);
        let mut network = unet.clone().train();
        let mut since = Instant::now();
        for step in 0..=MEASURED_STEPS {
            if step == 1 {
                since = Instant::now();
            }
            for part in 0..config.train.gradient_accumulation_steps {
                let first = (step * config.train.gradient_accumulation_steps + part) * config.train.batch_size;
                let batch = batches.training(&config.train, first);
                let (_, mut computed) = objective.gradients(&network, &batch, step as u64);
                optimizer.accumulate(&network, &mut computed, 1.0);
            }
            optimizer.clip(config.train.clip_grad_norm);
            network = optimizer.step(network, 0.0, step);
        }
        networks.push(NetworkPlan {
            network: role_name(role),
            parameters: parameters::count(&unet),
            forward_flops: forward_flops(config.unet(role), channels, config.data.size),
            steps: config.steps(role),
            seconds_a_step: since.elapsed().as_secs_f64() / MEASURED_STEPS as f64,
        });
        guider = Some(unet);
    }
    Ok(Plan {
        pairs: [run_data.splits.training.len(), run_data.splits.validation.len()],
        groups: [run_data.splits.training_groups, run_data.splits.validation_groups],
        warnings: run_data.dataset.warnings.iter().chain(&run_data.set.warnings).cloned().collect(),
        networks,
        peak_memory: peak_memory(),
    })
}

/// The largest resident size of this process so far, in bytes; Linux alone tells it without a library.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
