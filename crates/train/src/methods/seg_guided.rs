//! `method = "seg-guided"` (Konz et al. 2024): pixel-space diffusion of the image with the mask as a further input channel,
//! at every step the same mask.

use crate::{
    batch::Batch,
    methods::{
        condition,
        objective::Context,
        refinements::{image_noise, mean_error},
    },
};
use burn::tensor::Tensor;
use pig_diffusion::{denoiser::Denoiser, noise::Stream, single::conditional_error};
use pig_nn::network::Network;

/// The mean squared error on one batch, `[1]`.
///
/// Mask-ablated training shows an empty mask (background everywhere) in place of the true one with probability
/// `train.mask_ablation_prob`. Konz et al. draw a random subset of the mask's classes; with lesion as the one class, that is the mask or
/// nothing, each with probability 1/2.
pub fn loss(network: &Network<'_>, context: Context<'_>, batch: &Batch, training: bool) -> Tensor<1> {
    let Context { config, schedule, .. } = context;
    let train = &config.train;
    let mut masks = batch.masks.clone();
    if training && train.mask_ablation_prob > 0.0 {
        let ablated = condition::chosen(train.seed, train.mask_ablation_prob, Stream::TrainAblation, batch);
        masks = condition::mixed(masks.clone(), masks.full_like(-1.0), &ablated);
    }
    let masks = condition::dropped(train, batch, masks, training);
    let eps = image_noise(config, batch);
    let error = conditional_error(network, schedule, &batch.images, &eps, &masks, &batch.t);
    mean_error(config, schedule, Denoiser::prediction_type(network), error, &batch.t)
}
