//! `method = "controlnet"` (Zhang et al. 2023): an unconditional base is trained first, like the network of `ddpm`, and frozen.
//! Then a trainable copy of its encoder (the control) learns to steer it by the mask. At step 0 the control adds nothing, so that
//! base and control together give exactly the output of the base.

use crate::{
    Config, Result,
    batch::Batch,
    build::{build_control, control_channels, unet_flops},
    chains::Chains,
    load::{check_frozen, load_network, load_unet},
    methods::{
        condition,
        objective::{Context, Objective},
        refinements::image_loss,
        teachers::Teacher,
    },
    networks::{LoadedNetworks, Networks},
    role::Role,
    samples::Samples,
};
use burn::tensor::{Device, Gradients, Tensor};
use pig_nn::{
    control::{ControlNet, Controlled},
    cost::control_flops,
    dropout::Dropout,
    parameters::{self, name_hash},
    unet::UNet,
};
use std::path::Path;

/// The training of the control.
#[derive(Clone, Copy, Debug)]
pub struct ControlObjective<'a> {
    /// What the control shares with its base.
    pub context: Context<'a>,
}

impl ControlObjective<'_> {
    fn base(&self) -> &Teacher<UNet> {
        let base = self.context.teachers.unet(Role::Unconditional);
        base.expect("the base is trained before its control (`Method::roles`)")
    }

    fn network<'n>(&'n self, control: &'n ControlNet) -> Controlled<'n> {
        let config = self.context.config;
        Controlled::new(&self.base().network, control, config.unet(Role::Control))
            .with_precision(config.train.precision)
            .in_space(config.space(Role::Control))
    }

    fn loss_of(&self, network: &Controlled<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        let masks = condition::dropped(&self.context.config.train, batch, batch.masks.clone(), is_training);
        image_loss(network, self.context, batch, &masks)
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

    /// A copy of the base's encoder, with zero weights where the control joins the base and random weights where it reads the mask.
    fn start(&self, network: ControlNet) -> ControlNet {
        let seed = self.context.config.train.seed ^ name_hash(Role::Control.name());
        let network = parameters::initialise(network, seed);
        network.copy_of(&self.base().network).expect("base and control are built from one configuration")
    }

    fn loss(&self, control: &ControlNet, batch: &Batch) -> Tensor<1> {
        self.loss_of(&self.network(control), batch, false)
    }

    fn gradients(&self, control: &ControlNet, batch: &Batch, dropout: Dropout) -> (f32, Gradients) {
        let network = self.network(control).in_training(dropout);
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

    fn networks(&self, network: &ControlNet) -> Option<Box<dyn Networks>> {
        Some(Box::new(Steered { base: self.base().network.clone(), control: network.clone() }))
    }
}

/// The base and its control, ready for sampling.
#[derive(Debug)]
pub struct Steered {
    /// The frozen unconditional network.
    pub base: UNet,
    /// The network that steers it by the mask.
    pub control: ControlNet,
}

impl Networks for Steered {
    fn images_for(
        &self,
        chains: &Chains<'_>,
        masks: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        let config = chains.config;
        let network = Controlled::new(&self.base, &self.control, config.unet(Role::Control))
            .with_precision(config.sample.precision)
            .in_space(config.space(Role::Control));
        let network = chains.guided(network);
        Some(chains.images_by(&network, masks, ids, None, watch))
    }

    fn needs_masks(&self) -> bool {
        true
    }
}

/// The networks of a finished run.
pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<LoadedNetworks> {
    let (base, state_base) = load_unet(run, config, Role::Unconditional, device)?;
    let (control, state) = load_network(run, Role::Control, build_control(config, device)?)?;
    check_frozen(Role::Control, &state_base, &state)?;
    Ok(LoadedNetworks::of(Box::new(Steered { base, control }), &[&state_base, &state]))
}
