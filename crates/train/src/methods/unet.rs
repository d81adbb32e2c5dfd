//! The objectives of U-Nets.

use crate::{
    Result,
    batch::Batch,
    build::{build_unet, latent_flops, unet_flops},
    config::Conditioning,
    imported::model_y::ModelY,
    methods::{
        ddpm, joint, ldm,
        objective::{Context, Objective},
        pig, seg_guided,
    },
    models::Models,
};
use burn::tensor::{Device, Gradients, Tensor};
use pig_nn::{
    network::{Network, Role},
    unet::UNet,
};

/// What [`with_objective`] makes sure of.
const NO_UNET: &str = "this role's network is no U-Net";

/// The objective of a U-Net.
#[derive(Clone, Copy, Debug)]
pub struct UNetObjective<'a> {
    /// Which network is trained.
    pub role: Role,
    /// What it shares with the others.
    pub context: Context<'a>,
}

impl UNetObjective<'_> {
    /// The network with its guide, or without one.
    fn told<'n>(&self, network: Network<'n>) -> Network<'n> {
        if self.role == Role::Unconditional { network.without_guide() } else { network }
    }

    fn loss_of(&self, network: &Network<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        match self.role {
            Role::ModelX => match &self.context.frozen.autoencoder {
                Some(codec) => {
                    let batch = ldm::on_latents(&codec.network, self.context.config, batch);
                    pig::model_x_loss(network, self.context, &batch)
                }
                None => pig::model_x_loss(network, self.context, batch),
            },
            Role::ModelY => pig::model_y_loss(network, self.context, batch, is_training),
            Role::Joint => joint::loss(network, self.context, batch, is_training),
            Role::Unconditional => ddpm::loss(network, self.context, batch),
            Role::SegGuided => seg_guided::loss(network, self.context, batch, is_training),
            Role::Latent => ldm::loss(network, self.context, batch, is_training),
            Role::Control | Role::Autoencoder => unreachable!("{NO_UNET}"),
        }
    }
}

impl Objective for UNetObjective<'_> {
    type Network = UNet;

    fn role(&self) -> Role {
        self.role
    }

    fn context(&self) -> Context<'_> {
        self.context
    }

    fn build(&self, device: &Device) -> Result<UNet> {
        build_unet(self.context.config, self.role, device)
    }

    fn loss(&self, unet: &UNet, batch: &Batch) -> Tensor<1> {
        let config = self.context.config;
        let network = Network::new(unet, config.unet(self.role)).with_precision(config.train.precision);
        let network = network.on_volumes(config.volume());
        self.loss_of(&self.told(network), batch, false)
    }

    fn gradients(&self, unet: &UNet, batch: &Batch, step: u64) -> (f32, Gradients) {
        let (config, train) = (self.context.config, &self.context.config.train);
        let network = Network::training(unet, config.unet(self.role), train.seed, step)
            .with_precision(train.precision)
            .with_gradient_checkpointing(train.gradient_checkpointing)
            .on_volumes(config.volume());
        let network = self.told(network);
        let loss = self.loss_of(&network, batch, true);
        let gradients = network.backward(&loss);
        (loss.inner().into_scalar(), gradients)
    }

    fn flops(&self) -> [f64; 2] {
        let config = self.context.config;
        let own = unet_flops(config, self.role);
        let frozen = match self.role {
            Role::ModelY if config.model_y.conditioning == Conditioning::Xhat => unet_flops(config, Role::ModelX),
            Role::Latent => latent_flops(config)[0],
            Role::ModelX if config.has_latents() => latent_flops(config)[0],
            _ => 0.0,
        };
        [own, frozen]
    }

    fn frozen_sha256(&self) -> Option<&str> {
        let Context { config, frozen, .. } = self.context;
        match self.role {
            Role::ModelY if config.model_y.conditioning == Conditioning::Xhat => {
                frozen.model_x.as_ref().map(|frozen| frozen.sha256.as_str())
            }
            Role::Latent | Role::ModelX => frozen.autoencoder.as_ref().map(|frozen| frozen.sha256.as_str()),
            _ => None,
        }
    }

    fn kept_timesteps(&self) -> Option<Vec<usize>> {
        let bound = self.role == Role::ModelY && self.context.config.model_y.conditioning == Conditioning::Xprev;
        bound.then(|| self.context.timesteps.iter().map(|at| at.t).collect())
    }

    fn models(&self, network: &UNet) -> Option<Models> {
        let network = network.clone();
        match self.role {
            Role::ModelX => None,
            Role::ModelY => {
                let model_x = self.context.frozen.model_x.as_ref()?.network.clone();
                Some(Models::Pig { model_x, model_y: ModelY::own(network) })
            }
            Role::Joint => Some(Models::Joint(network)),
            Role::Unconditional => Some(Models::Unconditional(network)),
            Role::SegGuided => Some(Models::SegGuided(network)),
            Role::Latent => {
                let codec = self.context.frozen.autoencoder.as_ref()?.network.clone();
                Some(Models::Latent { codec, unet: network })
            }
            Role::Control | Role::Autoencoder => unreachable!("{NO_UNET}"),
        }
    }
}
