//! Training batches: the pairs, the timesteps and the noise. All are functions of (seed, position), so a resumed run draws the
//! same batches as an uninterrupted run.

use crate::{
    Result,
    config::{TimestepSampling, TrainConfig},
};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::{AugmentConfig, PreparedSet, augment::augment};
use pig_diffusion::noise::{Draw, NoiseSource, Stream, keyed_rng, uniform};
use std::ops::Range;

/// One batch of pairs with everything that Algorithm 1's line 2 draws.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Masks in [-1, 1], `[batch, height, width, 1]`: the paper's x_0.
    pub masks: Tensor<4>,
    /// Images in [-1, 1], `[batch, height, width, channels]`: the paper's y_0.
    pub images: Tensor<4>,
    /// One timestep per sample, in 1..=T.
    pub t: Vec<usize>,
    /// The noise of each sample, keyed by the sample's position in the whole training.
    pub noise: NoiseSource,
    /// Positions of the samples in the whole training; they key other random draws, too.
    pub positions: Vec<u64>,
}

impl Batch {
    /// Noise with the shape of `like`.
    pub fn draw(&self, stream: Stream, like: &Tensor<4>) -> Tensor<4> {
        let [_, height, width, channels] = like.dims();
        self.noise.draw(stream, 0, [height, width, channels])
    }
}

/// The values of a batch on the host, before they are sent to the device.
#[derive(Debug)]
pub struct HostBatch {
    masks: Vec<f32>,
    images: Vec<f32>,
    t: Vec<usize>,
    noise: NoiseSource,
    positions: Vec<u64>,
}

impl HostBatch {
    /// The number of samples.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }
}

/// Draws batches from prepared pairs.
#[derive(Debug)]
pub struct Batches<'a> {
    /// The pairs.
    pub set: &'a PreparedSet,
    /// Random changes applied alike to image and mask.
    pub augment: &'a AugmentConfig,
    /// T.
    pub num_train_timesteps: usize,
    /// The device of the tensors.
    pub device: &'a Device,
}

/// What the samples of an optimiser step are. It is drawn for the whole step, before the samples are divided among workers: timesteps
/// may be mirrored within a batch.
#[derive(Clone, Debug)]
pub struct Draws {
    positions: Vec<u64>,
    indices: Vec<usize>,
    t: Vec<usize>,
}

impl Draws {
    /// The number of samples in the step.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }
}

impl Batches<'_> {
    /// The samples of the optimiser step `step`, which counts from 0: the next `gradient_accumulation_steps` batches of the endless,
    /// reshuffled sequence of training pairs.
    pub fn draws(&self, config: &TrainConfig, step: usize) -> Draws {
        let count = config.images_in_step();
        let positions: Vec<u64> = (step * count..(step + 1) * count).map(|p| p as u64).collect();
        let in_batch = |batch: &[u64]| timesteps(config, self.num_train_timesteps, batch);
        let t = positions.chunks(config.batch_size).flat_map(in_batch).collect();
        let indices = shuffled_indices(config.seed, &positions, self.set.len());
        Draws { positions, indices, t }
    }

    /// The samples `range` of a step.
    ///
    /// # Errors
    /// When the pairs cannot be read.
    pub fn training(&self, config: &TrainConfig, draws: &Draws, range: Range<usize>) -> Result<Batch> {
        Ok(self.sent(self.on_host(config, draws, range, &[])?))
    }

    /// The samples `range` of a step on the host, with the noise for `ahead`.
    ///
    /// # Errors
    /// When the pairs cannot be read.
    pub fn on_host(
        &self,
        config: &TrainConfig,
        draws: &Draws,
        range: Range<usize>,
        ahead: &[Draw],
    ) -> Result<HostBatch> {
        let positions = draws.positions[range.clone()].to_vec();
        let t = draws.t[range.clone()].to_vec();
        let batch = self.assemble(config.seed, &draws.indices[range], positions, t, true)?;
        batch.noise.draw_ahead(ahead);
        Ok(batch)
    }

    /// A batch on the device.
    pub fn sent(&self, batch: HostBatch) -> Batch {
        let ([height, width], channels, count) = (self.set.size, self.set.channels, batch.len());
        let HostBatch { masks, images, t, noise, positions } = batch;
        Batch {
            masks: Tensor::from_data(TensorData::new(masks, [count, height, width, 1]), self.device),
            images: Tensor::from_data(TensorData::new(images, [count, height, width, channels]), self.device),
            t,
            noise,
            positions,
        }
    }

    /// The pairs `indices` without augmentation, at given timesteps. `positions` key their noise.
    ///
    /// # Errors
    /// When the pairs cannot be read.
    pub fn fixed(&self, seed: u64, indices: &[usize], positions: Vec<u64>, t: Vec<usize>) -> Result<Batch> {
        Ok(self.sent(self.assemble(seed, indices, positions, t, false)?))
    }

    fn assemble(
        &self,
        seed: u64,
        indices: &[usize],
        positions: Vec<u64>,
        t: Vec<usize>,
        augmented: bool,
    ) -> Result<HostBatch> {
        let channels = self.set.channels;
        let (mut masks, mut images) = (Vec::new(), Vec::new());
        for (&index, &position) in indices.iter().zip(&positions) {
            let (mut mask, mut image) = (self.set.mask(index)?, self.set.image(index)?);
            if augmented {
                let size = self.set.slice_size();
                augment(&mut image, &mut mask, size, channels, self.augment, [seed, position, 0]);
            }
            masks.extend(mask);
            images.extend(image);
        }
        let noise = NoiseSource::new(seed, positions.clone(), self.device);
        Ok(HostBatch { masks, images, t, noise, positions })
    }
}

/// The indices of the pairs at `positions` of the endless sequence of `count` pairs, which is reshuffled in every epoch.
pub fn shuffled_indices(seed: u64, positions: &[u64], count: usize) -> Vec<usize> {
    let mut epoch = (usize::MAX, Vec::new());
    let index = |&position: &u64| {
        let (number, offset) = (position as usize / count, position as usize % count);
        if epoch.0 != number {
            epoch = (number, shuffled(seed, number, count));
        }
        epoch.1[offset]
    };
    positions.iter().map(index).collect()
}

/// The order of the pairs in epoch `number`, by the Fisher-Yates shuffle.
fn shuffled(seed: u64, number: usize, count: usize) -> Vec<usize> {
    let mut rng = keyed_rng(seed, number as u64, Stream::TrainOrder, 0);
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, (uniform(&mut rng) * (i + 1) as f64) as usize);
    }
    order
}

/// Timesteps uniform in 1..=T, or in mirrored pairs; in an odd batch the middle sample has no partner.
fn timesteps(config: &TrainConfig, last: usize, positions: &[u64]) -> Vec<usize> {
    let draw = |position: u64| {
        let mut rng = keyed_rng(config.seed, position, Stream::TrainTime, 0);
        1 + (uniform(&mut rng) * last as f64) as usize
    };
    match config.timestep_sampling {
        TimestepSampling::Uniform => positions.iter().map(|&p| draw(p)).collect(),
        TimestepSampling::Antithetic => {
            let half = positions.len().div_ceil(2);
            let first: Vec<usize> = positions[..half].iter().map(|&p| draw(p)).collect();
            let mirrored = first.iter().map(|t| last + 1 - t);
            first.iter().copied().chain(mirrored).take(positions.len()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_permutation_and_epochs_differ() {
        let mut first = shuffled(1, 0, 50);
        assert_ne!(first, shuffled(1, 1, 50));
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn antithetic_timesteps_mirror() {
        let config = TrainConfig { timestep_sampling: TimestepSampling::Antithetic, ..Default::default() };
        for batch in [6_usize, 7] {
            let t = timesteps(&config, 1024, &(0..batch as u64).collect::<Vec<_>>());
            assert_eq!(t.len(), batch);
            let half = batch.div_ceil(2);
            assert!((0..batch - half).all(|i| t[i] + t[half + i] == 1025));
        }
    }

    #[test]
    fn uniform_timesteps_reach_both_ends() {
        let t = timesteps(&TrainConfig::default(), 16, &(0..2000).collect::<Vec<_>>());
        assert_eq!((t.iter().min(), t.iter().max()), (Some(&1), Some(&16)));
        let mean = t.iter().sum::<usize>() as f64 / 2000.0;
        // Standard error: 4.61 / sqrt(2000) = 0.10.
        assert!((mean - 8.5).abs() < 0.5, "{mean}");
    }
}
