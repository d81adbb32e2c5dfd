//! Random changes of an image network's condition in training.

use crate::{batch::Batch, config::TrainConfig};
use burn::tensor::{Tensor, TensorData};
use pig_diffusion::{
    guidance::drop_condition,
    noise::{Stream, keyed_rng, uniform},
};

/// Chooses samples of a batch with this probability. The choice is keyed by their positions.
pub(super) fn chosen(seed: u64, probability: f64, stream: Stream, batch: &Batch) -> Vec<bool> {
    chosen_at(seed, probability, stream, 0, batch)
}

/// The same for the draw `number` of several from one stream.
pub(super) fn chosen_at(seed: u64, probability: f64, stream: Stream, number: u64, batch: &Batch) -> Vec<bool> {
    let draw = |&position: &u64| uniform(&mut keyed_rng(seed, position, stream, number)) < probability;
    batch.positions.iter().map(draw).collect()
}

/// `other` for the samples that are `chosen`, `condition` for the rest; both `[batch, height, width, channels]`.
pub(super) fn mixed(condition: Tensor<4>, other: Tensor<4>, chosen: &[bool]) -> Tensor<4> {
    if !chosen.contains(&true) {
        return condition;
    }
    let share: Vec<f32> = chosen.iter().map(|&chosen| if chosen { 1.0 } else { 0.0 }).collect();
    let share = Tensor::<4>::from_data(TensorData::new(share, [chosen.len(), 1, 1, 1]), &condition.device());
    condition.clone() + (other - condition) * share
}

/// Condition dropout in training, where images without masks always have the null condition. Validation always uses the condition.
pub(super) fn dropped(config: &TrainConfig, batch: &Batch, condition: Tensor<4>, training: bool) -> Tensor<4> {
    if !training || (config.condition_dropout == 0.0 && !batch.unlabelled.contains(&true)) {
        return condition;
    }
    let chosen = chosen(config.seed, config.condition_dropout, Stream::TrainNull, batch);
    let dropped: Vec<bool> = chosen.iter().zip(&batch.unlabelled).map(|(&chosen, &alone)| chosen || alone).collect();
    drop_condition(condition, &dropped)
}
