//! The objectives of U-Nets.

use crate::{
    Config, Result,
    batch::Batch,
    build::{build_unet, in_place, unet_flops},
    methods::objective::{Context, Objective},
    networks::Networks,
    role::Role,
};
use burn::tensor::{Device, Gradients, Tensor};
use pig_nn::{dropout::Dropout, network::Network, unet::UNet};
use std::fmt::Debug;

/// What a method's U-Net learns. It is used as a trait object, so that the trainer is compiled once for all U-Nets.
pub trait Learner: Debug + Sync {
    /// The network.
    fn role(&self) -> Role;

    /// Whether the network reads a guide beside its noisy input.
    fn is_guided(&self) -> bool {
        true
    }

    /// The mean loss of `batch`, `[1]`.
    fn loss(&self, network: &Network<'_>, context: Context<'_>, batch: &Batch, is_training: bool) -> Tensor<1>;

    /// Floating-point operations of the frozen networks that a training image passes through.
    fn frozen_flops(&self, _config: &Config) -> f64 {
        0.0
    }

    /// SHA-256 of the frozen network that this one learns from.
    fn frozen_sha256<'a>(&self, _context: Context<'a>) -> Option<&'a str> {
        None
    }

    /// The kept timesteps of the training, in falling order, if the network can only be sampled with these.
    fn kept_timesteps(&self, _context: Context<'_>) -> Option<Vec<usize>> {
        None
    }

    /// The networks to sample previews with, given this network as it is now; `None` if nothing can be sampled yet.
    fn networks(&self, context: Context<'_>, unet: UNet) -> Option<Box<dyn Networks>>;
}

/// The objective of a U-Net.
#[derive(Clone, Copy, Debug)]
pub struct UNetObjective<'a> {
    /// What the network learns.
    pub learner: &'a dyn Learner,
    /// What the network shares with the others.
    pub context: Context<'a>,
}

impl UNetObjective<'_> {
    /// The network with its guide, or without one.
    fn guided<'n>(&self, network: Network<'n>) -> Network<'n> {
        if self.learner.is_guided() { network } else { network.without_guide() }
    }
}

impl Objective for UNetObjective<'_> {
    type Network = UNet;

    fn role(&self) -> Role {
        self.learner.role()
    }

    fn context(&self) -> Context<'_> {
        self.context
    }

    fn build(&self, device: &Device) -> Result<UNet> {
        build_unet(self.context.config, self.role(), device)
    }

    fn loss(&self, unet: &UNet, batch: &Batch) -> Tensor<1> {
        let config = self.context.config;
        let network = Network::new(unet, config.unet(self.role())).with_precision(config.train.precision);
        let network = self.guided(in_place(network, config, self.role(), self.context.schedule));
        self.learner.loss(&network, self.context, batch, false)
    }

    fn gradients(&self, unet: &UNet, batch: &Batch, dropout: Dropout) -> (f32, Gradients) {
        let (config, train) = (self.context.config, &self.context.config.train);
        let network = Network::training(unet, config.unet(self.role()), dropout)
            .with_precision(train.precision)
            .with_gradient_checkpointing(train.gradient_checkpointing)
            .told(&batch.told);
        let network = self.guided(in_place(network, config, self.role(), self.context.schedule));
        let loss = self.learner.loss(&network, self.context, batch, true);
        let gradients = network.backward(&loss);
        (loss.inner().into_scalar(), gradients)
    }

    fn flops(&self) -> [f64; 2] {
        let config = self.context.config;
        [unet_flops(config, self.role()), self.learner.frozen_flops(config)]
    }

    fn frozen_sha256(&self) -> Option<&str> {
        self.learner.frozen_sha256(self.context)
    }

    fn kept_timesteps(&self) -> Option<Vec<usize>> {
        self.learner.kept_timesteps(self.context)
    }

    fn networks(&self, network: &UNet) -> Option<Box<dyn Networks>> {
        self.learner.networks(self.context, network.clone())
    }
}
