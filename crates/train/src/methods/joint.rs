//! `method = "joint"`: one network with two inputs and two outputs.

use crate::batch::Batch;
use burn::tensor::Tensor;
use pig_diffusion::{joint::joint_loss, noise::Stream, schedule::Schedule};
use pig_nn::network::Network;

/// The loss of the joint network on one batch, `[1]`.
pub fn loss(model: &Network<'_>, schedule: &Schedule, batch: &Batch) -> Tensor<1> {
    let eps_1 = batch.draw(Stream::TrainX, &batch.masks);
    let eps_2 = batch.draw(Stream::TrainY, &batch.images);
    joint_loss(model, schedule, (&batch.masks, &batch.images), (&eps_1, &eps_2), &batch.t)
}
