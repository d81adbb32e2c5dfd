//! The methods: what each network's loss is. One file a method.

pub mod joint;
pub mod pig;

mod refinements;

use crate::{Config, batch::Batch};
use burn::tensor::{Gradients, Tensor};
use pig_diffusion::{schedule::Schedule, timesteps::Timesteps};
use pig_nn::{
    network::{Network, Role},
    unet::UNet,
};

/// The name of a role in files and logs.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::ModelX => "model_x",
        Role::ModelY => "model_y",
        Role::Joint => "joint",
    }
}

/// What a network is trained for: turns a batch into a loss.
#[derive(Debug)]
pub struct Objective<'a> {
    /// Which network is trained.
    pub role: Role,
    /// The experiment.
    pub config: &'a Config,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The frozen guider, for a model_y conditioned on x_0-hat.
    pub model_x: Option<&'a UNet>,
    /// The kept timesteps of sampling, for a model_y conditioned on x_{t-1}.
    pub timesteps: &'a Timesteps,
}

impl<'a> Objective<'a> {
    /// What `role` is trained for under `config`.
    pub fn new(
        role: Role,
        config: &'a Config,
        schedule: &'a Schedule,
        timesteps: &'a Timesteps,
        model_x: Option<&'a UNet>,
    ) -> Self {
        Self { role, config, schedule, model_x, timesteps }
    }

    /// The mean loss of `batch` in evaluation, `[1]`.
    pub fn loss(&self, unet: &UNet, batch: &Batch) -> Tensor<1> {
        let network = Network::new(unet, self.config.unet(self.role)).with_precision(self.config.train.precision);
        self.loss_of(&network, batch, false)
    }

    /// The mean loss of `batch` in training, and the gradients of it. `step` keys the dropout.
    pub fn gradients(&self, unet: &UNet, batch: &Batch, step: u64) -> (f32, Gradients) {
        let train = &self.config.train;
        let network = Network::training(unet, self.config.unet(self.role), train.seed, step)
            .with_precision(train.precision)
            .with_gradient_checkpointing(train.gradient_checkpointing);
        let loss = self.loss_of(&network, batch, true);
        let gradients = network.backward(&loss);
        (loss.inner().into_scalar(), gradients)
    }

    fn loss_of(&self, network: &Network<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        match self.role {
            Role::ModelX => pig::model_x_loss(network, self, batch),
            Role::ModelY => pig::model_y_loss(network, self, batch, is_training),
            Role::Joint => joint::loss(network, self, batch),
        }
    }
}
