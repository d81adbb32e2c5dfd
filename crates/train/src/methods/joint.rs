//! `method = "joint"`: one network with two inputs and two outputs.

use super::{
    Objective,
    refinements::{image_noise, mean_error},
};
use crate::batch::Batch;
use burn::tensor::Tensor;
use pig_diffusion::{
    joint::{JointDenoiser, joint_errors, joint_loss},
    noise::Stream,
};
use pig_nn::network::Network;

/// The loss of the joint network on one batch, `[1]`.
pub fn loss(model: &Network<'_>, objective: &Objective<'_>, batch: &Batch) -> Tensor<1> {
    let (config, schedule) = (objective.config, objective.schedule);
    let eps_1 = batch.draw(Stream::TrainX, &batch.masks);
    let eps_2 = image_noise(config, batch);
    let pair = (&batch.masks, &batch.images);
    let (of_mask, of_image) = joint_errors(model, schedule, pair, (&eps_1, &eps_2), &batch.t);
    let mean = |error| mean_error(config, schedule, JointDenoiser::prediction_type(model), error, &batch.t);
    joint_loss(mean(of_mask), mean(of_image))
}
