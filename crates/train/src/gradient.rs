//! The gradient of one optimiser step, computed by workers.

use crate::{
    Error, Result,
    batch::{Batch, Batches, HostBatch},
    config::TrainConfig,
    methods::objective::Objective,
    ranks::Ranks,
    workers::{Workers, parts, threads_of_workers},
};
use burn::module::Module;
use pig_diffusion::noise::Draw;
use pig_nn::dropout::Dropout;
use pig_optim::{
    Updates,
    host::{NamedGradients, added, collected},
};
use std::ops::Range;

/// The number of samples that go through a network at once. `micro_batch` is that of the training's state: 0 stands for a whole batch, and
/// so does `None`, of trainings that began before batches were divided. Devices other than the CPU take whole batches, because
/// they are fast only with many samples.
pub fn samples_at_once(is_on_host: bool, micro_batch: Option<usize>, batch: usize) -> usize {
    match micro_batch {
        Some(size) if is_on_host => size_of_part(size, batch),
        Some(_) | None => batch,
    }
}

/// The number of samples in a part of a step, for a setting in which 0 stands for a whole batch.
pub fn size_of_part(micro_batch: usize, batch: usize) -> usize {
    if micro_batch == 0 { batch } else { micro_batch }
}

/// The number of images that are in work at the same time on the CPU with so many threads: what their layers keep for the backward pass
/// is in memory together.
pub fn images_in_work(train: &TrainConfig, threads: usize) -> usize {
    let size = size_of_part(train.micro_batch_size, train.batch_size);
    let workers = threads_of_workers(threads, train.images_in_step().div_ceil(size)).len();
    (workers * size).min(train.images_in_step())
}

/// The workers of a training: one for each part of a step, as far as there are threads. Devices other than the CPU have one.
/// A step takes `images` samples in batches of `batch`.
pub fn workers_of((images, batch): (usize, usize), micro_batch: Option<usize>, updates: &Updates) -> Workers {
    if !updates.is_on_host() {
        return Workers::default();
    }
    Workers::new(images.div_ceil(samples_at_once(updates.is_on_host(), micro_batch, batch)))
}

/// What the host makes while a device that is not the CPU computes: the parts of the next step with their noise, so that the device need
/// not wait for them.
#[derive(Debug, Default)]
pub struct Ahead {
    /// The step, counted from 0, and its parts.
    made: Option<(usize, Vec<HostBatch>)>,
    /// The noise that a part asks for: what the parts of the step before asked for.
    noise: Vec<Draw>,
}

/// Adds the gradient of the optimiser step `step` to `updates`. Returns the step's loss.
///
/// The result is a function of the configuration, the data and the step, whatever the number of workers and ranks and whatever was made ahead: the
/// draws of a sample are keyed by its position, and the parts' gradients are added in a fixed order. On a device that is not the CPU, ranks add in
/// another order than one process, so there the result is the same up to rounding.
///
/// # Errors
/// When the pairs cannot be read, or a rank is lost.
pub fn add_gradient<O: Objective>(
    objective: &O,
    network: &O::Network,
    batches: &Batches<'_>,
    (micro_batch, step): (Option<usize>, usize),
    (workers, ranks): (&Workers, Ranks<'_>),
    updates: &mut Updates,
    ahead: &mut Ahead,
) -> Result<f32> {
    let train = &objective.context().config.train;
    let draws = batches.draws(train, step);
    let parts = parts(draws.len(), samples_at_once(updates.is_on_host(), micro_batch, train.batch_size));
    let share = |part: &Range<usize>| part.len() as f32 / draws.len() as f32;
    let dropout = |batch: &Batch| match micro_batch {
        Some(_) => Dropout::of_samples(train.seed, &batch.positions),
        None => Dropout::of_batch(train.seed, step as u64),
    };
    let own = ranks.own(parts.len());
    if !updates.is_on_host() {
        let parts = &parts[own];
        // All steps have the same parts.
        let made = |step: usize, noise: &[Draw]| -> Result<Vec<HostBatch>> {
            let draws = batches.draws(train, step);
            parts.iter().map(|part| batches.on_host(train, &draws, part.clone(), noise)).collect()
        };
        let noise = std::mem::take(&mut ahead.noise);
        let own = match ahead.made.take() {
            Some((of, own)) if of == step => own,
            Some(_) | None => made(step, &noise)?,
        };
        // This thread waits for the device, and another one makes the next step.
        let loss = std::thread::scope(|scope| {
            let next = scope.spawn(|| made(step + 1, &noise));
            let (mut sum, mut asked) = (0.0, Vec::new());
            for (part, batch) in parts.iter().zip(own) {
                let batch = batches.sent(batch);
                let (loss, mut gradients) = objective.gradients(network, &batch, dropout(&batch));
                updates.accumulate(network, &mut gradients, share(part));
                sum += share(part) * loss;
                asked = batch.noise.asked();
            }
            let next = next.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            *ahead = Ahead { made: Some((step + 1, next)), noise: asked };
            Ok::<_, Error>(sum)
        })?;
        return over_ranks(ranks, loss, updates);
    }
    // Each part needs a graph of its own: Burn keeps graphs that share parameters under one lock. The values are shared.
    let values = network.valid();
    let of_part = |index: usize| {
        let part = &parts[index];
        let network = values.clone().train();
        let batch = batches.training(train, &draws, part.clone())?;
        let (loss, mut gradients) = objective.gradients(&network, &batch, dropout(&batch));
        Ok((share(part) * loss, collected(&network, &mut gradients, share(part))))
    };
    let add = |ours: Result<(f32, NamedGradients)>, theirs: Result<(f32, NamedGradients)>| {
        let ((a, first), (b, second)) = (ours?, theirs?);
        Ok((a + b, added(first, second)))
    };
    let Some(sum) = workers.sum(own.len(), add, |index| of_part(own.start + index)) else { return Ok(0.0) };
    let (loss, gradient) = ranks.sum(sum?, numbers, |(a, first), (b, second)| (a + b, added(first, second)))?;
    updates.add(gradient);
    Ok(loss)
}

/// The loss of all ranks, whose summed gradients take the place of this rank's in an optimiser on a device that is not the CPU.
fn over_ranks(ranks: Ranks<'_>, loss: f32, updates: &mut Updates) -> Result<f32> {
    let Updates::Device(optimizer) = updates else { return Ok(loss) };
    if ranks.count() == 1 {
        return Ok(loss);
    }
    let mut mine = optimizer.take_sum();
    mine.push(loss);
    let added = |mut first: Vec<f32>, second: Vec<f32>| {
        first.iter_mut().zip(second).for_each(|(sum, value)| *sum += value);
        first
    };
    let mut sum = ranks.sum(mine, |values| vec![values.as_mut_slice()], added)?;
    let loss = sum.pop().unwrap_or(loss);
    optimizer.put_sum(sum);
    Ok(loss)
}

/// The numbers that ranks send each other: the loss, and the gradient in the order of its names.
fn numbers((loss, gradient): &mut (f32, NamedGradients)) -> Vec<&mut [f32]> {
    std::iter::once(std::slice::from_mut(loss)).chain(gradient.values_mut().map(Vec::as_mut_slice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::tests::in_ranks;
    use burn::{
        nn::LinearConfig,
        tensor::{Device, Tensor},
    };
    use pig_optim::device::DeviceOptimizer;

    /// The gradient of the sum of `x * weight` is x, which is another one in each rank. The optimiser for devices runs on the CPU here.
    #[test]
    fn gradients_on_devices_are_added_over_ranks() {
        let found = in_ranks(4, |ranks| {
            let device = Device::flex();
            let network = LinearConfig::new(2, 1).with_bias(false).init(&device).train();
            let optimizer = DeviceOptimizer::new(&TrainConfig::default().optim(), &network);
            let mut updates = Updates::Device(Box::new(optimizer));
            let x = Tensor::<2>::from_floats([[1.0 + ranks.rank() as f32, 8.0]], &device);
            let mut gradients = network.forward(x).sum().backward();
            updates.accumulate(&network, &mut gradients, 0.25);
            let loss = over_ranks(ranks, ranks.rank() as f32, &mut updates).unwrap();
            let Updates::Device(mut optimizer) = updates else { panic!("the optimiser changed its place") };
            (loss, optimizer.take_sum())
        });
        assert_eq!(found, vec![(6.0, vec![2.5, 8.0]); 4]);
    }

    #[test]
    fn images_in_work_are_those_of_all_workers() {
        let train = |batch_size, micro_batch_size| TrainConfig { batch_size, micro_batch_size, ..Default::default() };
        assert_eq!(images_in_work(&train(8, 2), 2), 4);
        assert_eq!(images_in_work(&train(8, 2), 16), 8);
        assert_eq!(images_in_work(&train(8, 0), 2), 8);
        assert_eq!(images_in_work(&train(3, 2), 2), 3);
        assert_eq!(images_in_work(&train(2, 100), 4), 2);
    }
}
