//! What a network is trained for, whatever its kind.

use super::{
    Frozen,
    controlnet::ControlObjective,
    ddpm, joint,
    ldm::{self, AutoencoderObjective, Reconstruction},
    pig, role_name, seg_guided,
};
use crate::{
    Config, Result,
    batch::Batch,
    config::{Conditioning, NoiseLevels},
    imported::model_y::ModelY,
    sampler::Models,
};
use burn::{
    module::Module,
    tensor::{Device, Gradients, Tensor},
};
use pig_diffusion::{schedule::Schedule, timesteps::Timesteps};
use pig_nn::{
    cost::{autoencoder_flops, forward_flops},
    network::{Network, Role},
    parameters::{self, name_hash},
    unet::UNet,
};

/// What all networks of a run share.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The experiment.
    pub config: &'a Config,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The kept timesteps of sampling, for a model_y conditioned on x_{t-1}.
    pub timesteps: &'a Timesteps,
    /// Networks that are trained to their end.
    pub frozen: &'a Frozen,
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
        parameters::initialise(network, self.context().config.train.seed ^ name_hash(role_name(self.role())))
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
    fn models(&self, network: &Self::Network) -> Option<Models>;
}

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

/// The U-Net of `role` with weights of zero.
pub(crate) fn build_unet(config: &Config, role: Role, device: &Device) -> Result<UNet> {
    let unet = role.build(config.unet(role), config.grid(role).1, device)?;
    let has_two_times = role == Role::Joint && config.train.noise_levels == NoiseLevels::Independent;
    Ok(if has_two_times { unet.with_second_time(config.unet(role)) } else { unet })
}

/// Floating-point operations of one image's forward pass through the U-Net of `role`.
pub(super) fn unet_flops(config: &Config, role: Role) -> f64 {
    let (_, channels) = config.grid(role);
    forward_flops(config.unet(role), role.channels(channels), config.extent(role))
}

/// Floating-point operations of one image through the autoencoder's encoder and decoder.
pub(super) fn latent_flops(config: &Config) -> [f64; 2] {
    autoencoder_flops(&config.autoencoder, config.data.channels, config.extent(Role::Autoencoder))
}

/// Something done with an objective, whatever its network.
pub trait ObjectiveTask {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<O: Objective>(self, objective: &O) -> Self::Output;
}

/// Does `task` with the objective of `role`.
pub fn with_objective<T: ObjectiveTask>(role: Role, context: Context<'_>, task: T) -> T::Output {
    match role {
        Role::Control => task.run(&ControlObjective { context }),
        Role::Autoencoder => task.run(&AutoencoderObjective { context }),
        _ => task.run(&UNetObjective { role, context }),
    }
}
