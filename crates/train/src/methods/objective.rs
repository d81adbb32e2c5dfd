//! The training objective of a network of any kind.

use crate::{
    Config, Result, batch::Batch, latents::Reconstruction, methods::teachers::Teachers, networks::Networks, role::Role,
    sets::Sets,
};
use burn::{
    module::Module,
    tensor::{Device, Gradients, Tensor},
};
use pig_diffusion::{schedule::Schedule, timesteps::Timesteps};
use pig_nn::{
    dropout::Dropout,
    parameters::{self, name_hash},
};
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

/// The training objective of a network: its kind, its initial weights and its loss.
pub trait Objective: Sync {
    /// The kind of network.
    type Network: Module + Sync;

    /// Which network is trained.
    fn role(&self) -> Role;

    /// What the network shares with the others.
    fn context(&self) -> Context<'_>;

    /// The network with weights of zero.
    fn build(&self, device: &Device) -> Result<Self::Network>;

    /// Sets the weights before the first step: random, from another seed for each network of a method.
    fn start(&self, network: Self::Network) -> Self::Network {
        parameters::initialise(network, self.context().config.train.seed ^ name_hash(self.role().name()))
    }

    /// The mean loss of `batch` in evaluation, `[1]`.
    fn loss(&self, network: &Self::Network, batch: &Batch) -> Tensor<1>;

    /// The mean loss of `batch` in training, and its gradients. The mean runs over samples that do not depend on each other, so the
    /// gradient of a batch is the mean of those of its parts.
    fn gradients(&self, network: &Self::Network, batch: &Batch, dropout: Dropout) -> (f32, Gradients);

    /// Whether the loss depends on a timestep. If so, it is validated by quarter of the timesteps.
    fn is_timed(&self) -> bool {
        true
    }

    /// How well the images of a batch are reconstructed, if the network is an autoencoder.
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

    /// The kept timesteps of the training, in falling order, if the network can only be sampled with these.
    fn kept_timesteps(&self) -> Option<Vec<usize>> {
        None
    }

    /// The networks to sample previews with, given this network as it is now; `None` if nothing can be sampled yet.
    fn networks(&self, network: &Self::Network) -> Option<Box<dyn Networks>>;

    /// Measures what later networks need, after this network is finished in `run`. Returns a note for the user.
    fn finish(&self, _run: &Path, _sets: Sets<'_>, _device: &Device) -> Result<Option<String>> {
        Ok(None)
    }
}

/// A task that works with the objective of any kind of network.
pub trait ObjectiveTask {
    /// The result of the task.
    type Output;

    /// Runs the task.
    fn run<O: Objective>(self, objective: &O) -> Self::Output;
}
