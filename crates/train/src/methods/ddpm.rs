//! `method = "ddpm"` (Ho et al. 2020) and `method = "ddim"` (Song et al. 2021): images without masks. Both train the same
//! network in the same way and differ in how it is sampled: ancestral steps at all T timesteps, or DDIM's at any number of
//! them with any eta. A run of one can be sampled as the other.

use crate::{
    batch::Batch,
    methods::{
        objective::Context,
        refinements::{image_noise, mean_error},
    },
};
use burn::tensor::Tensor;
use pig_diffusion::{denoiser::Denoiser, single::conditional_error};
use pig_nn::network::Network;

/// The mean squared error of an unconditional model (a network without a guide) on one batch, `[1]`: Ho et al.'s L_simple.
pub fn loss(network: &Network<'_>, context: Context<'_>, batch: &Batch) -> Tensor<1> {
    let Context { config, schedule, .. } = context;
    let eps = image_noise(config, batch);
    // The network is told nothing; the loop hands it the masks, which it does not look at.
    let error = conditional_error(network, schedule, &batch.images, &eps, &batch.masks, &batch.t);
    mean_error(config, schedule, Denoiser::prediction_type(network), error, &batch.t)
}
