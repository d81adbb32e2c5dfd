//! The methods: the loss of each network, and how the networks are loaded and sampled. One file per method.

pub mod controlnet;
pub mod ddpm;
pub mod joint;
pub mod ldm;
pub mod objective;
pub mod pig;
pub mod seg_guided;
pub mod teachers;
pub mod unet;

mod condition;
mod refinements;

use crate::{Config, Result, config::Method, networks::LoadedNetworks, role::Role};
use burn::tensor::Device;
use controlnet::ControlObjective;
use ldm::AutoencoderObjective;
use objective::{Context, ObjectiveTask};
use std::path::Path;
use unet::UNetObjective;

/// Runs `task` with the objective of `role`.
pub fn with_objective<T: ObjectiveTask>(role: Role, context: Context<'_>, task: T) -> T::Output {
    match role {
        Role::ModelX => task.run(&UNetObjective { learner: &pig::Guider, context }),
        Role::ModelY => task.run(&UNetObjective { learner: &pig::Conditional, context }),
        Role::Joint => task.run(&UNetObjective { learner: &joint::Both, context }),
        Role::Unconditional => task.run(&UNetObjective { learner: &ddpm::Plain, context }),
        Role::SegGuided => task.run(&UNetObjective { learner: &seg_guided::Guided, context }),
        Role::Latent => task.run(&UNetObjective { learner: &ldm::OnLatents, context }),
        Role::Control => task.run(&ControlObjective { context }),
        Role::Autoencoder => task.run(&AutoencoderObjective { context }),
    }
}

/// The networks of a finished run.
pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<LoadedNetworks> {
    match config.method {
        Method::Pig => pig::load(run, config, device),
        Method::Joint => joint::load(run, config, device),
        Method::Ddpm | Method::Ddim => ddpm::load(run, config, device),
        Method::SegGuided => seg_guided::load(run, config, device),
        Method::Controlnet => controlnet::load(run, config, device),
        Method::Ldm => ldm::load(run, config, device),
    }
}
