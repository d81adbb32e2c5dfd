//! `method = "controlnet"` (Zhang et al. 2023): an unconditional base is trained first, as `ddpm`'s network is, and frozen;
//! then a trainable copy of its encoder learns to steer it by the mask. At its step 0 the control adds nothing, so that
//! the pair gives exactly what the base gives.

use crate::{
    Result,
    batch::Batch,
    build::{build_control, control_channels, unet_flops},
    methods::{
        condition,
        frozen::FrozenNetwork,
        objective::{Context, Objective},
        refinements::{image_noise, mean_error},
    },
    models::Models,
    role::role_name,
};
use burn::tensor::{Device, Gradients, Tensor};
use pig_diffusion::{denoiser::Denoiser, single::conditional_error};
use pig_nn::{
    control::{ControlNet, Controlled},
    cost::control_flops,
    network::Role,
    parameters::{self, name_hash},
    unet::UNet,
};

/// The training of the control.
#[derive(Clone, Copy, Debug)]
pub struct ControlObjective<'a> {
    /// What it shares with its base.
    pub context: Context<'a>,
}

impl ControlObjective<'_> {
    fn base(&self) -> &FrozenNetwork<UNet> {
        self.context.frozen.unconditional.as_ref().expect("roles put the base before its control")
    }

    fn network<'n>(&'n self, control: &'n ControlNet) -> Controlled<'n> {
        let config = self.context.config;
        Controlled::new(&self.base().network, control, config.unet(Role::Control))
            .with_precision(config.train.precision)
    }

    fn loss_of(&self, network: &Controlled<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        let Context { config, schedule, .. } = self.context;
        let masks = condition::dropped(&config.train, batch, batch.masks.clone(), is_training);
        let eps = image_noise(config, batch);
        let error = conditional_error(network, schedule, &batch.images, &eps, &masks, &batch.t);
        mean_error(config, schedule, network.prediction_type(), error, &batch.t)
    }
}

impl Objective for ControlObjective<'_> {
    type Network = ControlNet;

    fn role(&self) -> Role {
        Role::Control
    }

    fn context(&self) -> Context<'_> {
        self.context
    }

    fn build(&self, device: &Device) -> Result<ControlNet> {
        build_control(self.context.config, device)
    }

    /// The base's encoder copied, zeros where the control joins the base, and random weights where it reads the mask.
    fn start(&self, network: ControlNet) -> ControlNet {
        let seed = self.context.config.train.seed ^ name_hash(role_name(Role::Control));
        let network = parameters::initialise(network, seed);
        network.copy_of(&self.base().network).expect("base and control are built from one configuration")
    }

    fn loss(&self, control: &ControlNet, batch: &Batch) -> Tensor<1> {
        self.loss_of(&self.network(control), batch, false)
    }

    fn gradients(&self, control: &ControlNet, batch: &Batch, step: u64) -> (f32, Gradients) {
        let network = self.network(control).in_training(self.context.config.train.seed, step);
        let loss = self.loss_of(&network, batch, true);
        let gradients = loss.backward();
        (loss.inner().into_scalar(), gradients)
    }

    fn flops(&self) -> [f64; 2] {
        let config = self.context.config;
        let own = control_flops(
            config.unet(Role::Control),
            &config.control,
            control_channels(config),
            config.extent(Role::Control),
        );
        [own, unet_flops(config, Role::Unconditional)]
    }

    fn frozen_sha256(&self) -> Option<&str> {
        Some(&self.base().sha256)
    }

    fn models(&self, network: &ControlNet) -> Option<Models> {
        Some(Models::Control { base: self.base().network.clone(), control: network.clone() })
    }
}
