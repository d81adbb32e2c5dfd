//! What a network is trained for, whatever its kind.

use crate::{
    Config, Result, batch::Batch, latents::Reconstruction, methods::teachers::Teachers, networks::Networks, role::Role,
    sets::Sets,
};
use burn::{
    module::Module,
    tensor::{Device, Gradients, Tensor},
};
use pig_diffusion::{schedule::Schedule, timesteps::Timesteps};
use pig_nn::parameters::{self, name_hash};
use std::path::Path;

/// What all networks of a run share.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The experiment.
    pub config: &'a Config,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The kept timesteps of sampling, for a model_y conditioned on x_{t-1}.
    pub timesteps: &'a Timesteps,
    /// Finished networks that later ones learn from.
    pub teachers: &'a Teachers,
}

/// What a network is trained for: its kind, its start, and what a batch costs.
pub trait Objective {
    /// The kind of network.
    type Network: Module;

    /// Which network is trained.
    fn role(&self) -> Role;

    /// What it shares with the others.
    fn context(&self) -> Context<'_>;

    /// The network with weights of zero.
    fn build(&self, device: &Device) -> Result<Self::Network>;

    /// The weights before the first step: random, each network of a method from its own.
    fn start(&self, network: Self::Network) -> Self::Network {
        parameters::initialise(network, self.context().config.train.seed ^ name_hash(self.role().name()))
    }

    /// The mean loss of `batch` in evaluation, `[1]`.
    fn loss(&self, network: &Self::Network, batch: &Batch) -> Tensor<1>;

    /// The mean loss of `batch` in training, and the gradients of it. `step` keys what is random then.
    fn gradients(&self, network: &Self::Network, batch: &Batch, step: u64) -> (f32, Gradients);

    /// Whether the loss depends on a timestep; it is validated by quarters of them then.
    fn is_timed(&self) -> bool {
        true
    }

    /// How well the images of a batch are given back, where the network is there to do that.
    fn reconstruction(&self, _network: &Self::Network, _batch: &Batch) -> Option<Reconstruction> {
        None
    }

    /// Floating-point operations of one image's forward pass: of this network, and of the frozen ones that a training
    /// image passes through.
    fn flops(&self) -> [f64; 2];

    /// SHA-256 of the frozen network that this one learns from.
    fn frozen_sha256(&self) -> Option<&str> {
        None
    }

    /// Kept timesteps that the network is bound to by its training, falling.
    fn kept_timesteps(&self) -> Option<Vec<usize>> {
        None
    }

    /// What can be sampled with this network as it is now, for previews.
    fn networks(&self, network: &Self::Network) -> Option<Box<dyn Networks>>;

    /// Measures what later networks need, once this one is finished in `run`. Returns what to tell the user.
    fn finish(&self, _run: &Path, _sets: Sets<'_>, _device: &Device) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Something done with an objective, whatever its network.
pub trait ObjectiveTask {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<O: Objective>(self, objective: &O) -> Self::Output;
}
