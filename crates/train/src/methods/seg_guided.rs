//! `method = "seg-guided"` (Konz et al. 2024): pixel-space diffusion of the image. The mask is a further input channel, the same at
//! every step.

use crate::{
    Config, Result,
    batch::Batch,
    chains::Chains,
    load::load_unet,
    methods::{condition, objective::Context, refinements::image_loss, unet::Learner},
    networks::{LoadedNetworks, Networks},
    role::Role,
    samples::Samples,
};
use burn::tensor::{Device, Tensor};
use pig_diffusion::noise::Stream;
use pig_nn::{network::Network, unet::UNet};
use std::path::Path;

/// What the network learns: the mean squared error.
///
/// Mask-ablated training replaces the true mask by an empty one (background everywhere) with probability `train.mask_ablation_prob`.
/// Konz et al. draw a random subset of the mask's classes: each class is removed independently. With lesion as the only class, that is the
/// mask or nothing, each with probability 1/2.
#[derive(Clone, Copy, Debug)]
pub struct Guided;

impl Learner for Guided {
    fn role(&self) -> Role {
        Role::SegGuided
    }

    fn loss(&self, network: &Network<'_>, context: Context<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        let train = &context.config.train;
        let mut masks = batch.masks.clone();
        if is_training && train.mask_ablation_prob > 0.0 {
            let classes = (0..masks.dims()[3]).map(|class| {
                let mask = masks.clone().narrow(3, class, 1);
                let ablated = condition::chosen_at(
                    train.seed,
                    train.mask_ablation_prob,
                    Stream::TrainAblation,
                    class as u64,
                    batch,
                );
                condition::mixed(mask.clone(), mask.full_like(-1.0), &ablated)
            });
            masks = Tensor::cat(classes.collect(), 3);
        }
        let masks = condition::dropped(train, batch, masks, is_training);
        image_loss(network, context, batch, &masks)
    }

    fn networks(&self, _context: Context<'_>, unet: UNet) -> Option<Box<dyn Networks>> {
        Some(Box::new(SegGuided(unet)))
    }
}

/// The network, ready for sampling.
#[derive(Debug)]
pub struct SegGuided(pub UNet);

impl Networks for SegGuided {
    fn images_for(
        &self,
        chains: &Chains<'_>,
        masks: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        let network = chains.guided(chains.network(&self.0, Role::SegGuided));
        Some(chains.images_by(&network, masks, ids, None, watch))
    }

    fn needs_masks(&self) -> bool {
        true
    }
}

/// The network of a finished run.
pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<LoadedNetworks> {
    let (unet, state) = load_unet(run, config, Role::SegGuided, device)?;
    Ok(LoadedNetworks::of(Box::new(SegGuided(unet)), &[&state]))
}
