//! `method = "ddpm"` (Ho et al. 2020) and `method = "ddim"` (Song et al. 2021): images without masks. Both train the same
//! network in the same way and differ in how it is sampled: ancestral steps at all T timesteps, or DDIM steps at any number of
//! timesteps with any eta. A run of one can be sampled as the other.

use crate::{
    Config, Result,
    batch::Batch,
    chains::Chains,
    load::load_unet,
    methods::{objective::Context, refinements::image_loss, unet::Learner},
    networks::{LoadedNetworks, Networks},
    role::Role,
    samples::Samples,
};
use burn::tensor::{Device, Tensor};
use pig_diffusion::noise::Stream;
use pig_nn::{network::Network, unet::UNet};
use std::path::Path;

/// What the network learns: Ho et al.'s L_simple, the mean squared error of an unconditional model.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Learner for Plain {
    fn role(&self) -> Role {
        Role::Unconditional
    }

    fn is_guided(&self) -> bool {
        false
    }

    fn loss(&self, network: &Network<'_>, context: Context<'_>, batch: &Batch, _is_training: bool) -> Tensor<1> {
        // A network without a guide ignores the masks.
        image_loss(network, context, batch, &batch.masks)
    }

    fn networks(&self, _context: Context<'_>, unet: UNet) -> Option<Box<dyn Networks>> {
        Some(Box::new(Unconditional(unet)))
    }
}

/// The network, ready for sampling.
#[derive(Debug)]
pub struct Unconditional(pub UNet);

impl Networks for Unconditional {
    fn images(&self, chains: &Chains<'_>, ids: &[u64], watch: &mut dyn FnMut(usize)) -> Option<Samples> {
        let noise = chains.noise(ids);
        let y_start = chains.start(&noise, Stream::Y);
        let network = chains.clipped(chains.unconditional(&self.0, Role::Unconditional));
        let nothing = y_start.zeros_like();
        let y_0 = chains.conditional(&network, &nothing, (&noise, Stream::Y), y_start, watch);
        Some(Samples { masks: Vec::new(), images: chains.images_of(y_0, None) })
    }
}

/// The network of a finished run.
pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<LoadedNetworks> {
    let (unet, state) = load_unet(run, config, Role::Unconditional, device)?;
    Ok(LoadedNetworks::of(Box::new(Unconditional(unet)), &[&state]))
}
