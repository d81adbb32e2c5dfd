//! Training batches: the pairs, the timesteps and the noise. All are functions of (seed, position), so a resumed run draws the
//! same batches as an uninterrupted run.

use crate::{
    Result,
    config::{TimestepSampling, TrainConfig},
};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::{AugmentConfig, PreparedSet, augment::augment, told::augment_told};
use pig_diffusion::{
    level::Level,
    noise::{Draw, NoiseSource, Stream, keyed_rng, standard_normal, uniform},
    schedule::Schedule,
};
use std::ops::Range;

/// One batch of pairs with everything that Algorithm 1's line 2 draws.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Masks in [-1, 1], `[batch, height, width, classes]`: the paper's x_0.
    pub masks: Tensor<4>,
    /// Images in [-1, 1], `[batch, height, width, channels]`: the paper's y_0.
    pub images: Tensor<4>,
    /// One timestep per sample, in 1..=T.
    pub t: Vec<usize>,
    /// The noise of each sample, keyed by the sample's position in the whole training.
    pub noise: NoiseSource,
    /// Positions of the samples in the whole training; they key other random draws, too.
    pub positions: Vec<u64>,
    /// Which samples are images without masks. Their masks are the null condition, 0 at every pixel.
    pub unlabelled: Vec<bool>,
    /// What was changed in each sample, if networks are told; else empty.
    pub told: Vec<f32>,
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
    unlabelled: Vec<bool>,
    told: Vec<f32>,
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
    /// Images without masks, if the network learns from them.
    pub unlabelled: Option<&'a PreparedSet>,
    /// Random changes applied alike to image and mask.
    pub augment: &'a AugmentConfig,
    /// The noise schedule of training.
    pub schedule: &'a Schedule,
    /// The device of the tensors.
    pub device: &'a Device,
}

/// What the samples of an optimiser step are. It is drawn for the whole step, before the samples are divided among workers: timesteps
/// may be mirrored within a batch.
#[derive(Clone, Debug)]
pub struct Draws {
    positions: Vec<u64>,
    of: Vec<Drawn>,
    t: Vec<usize>,
}

/// A sample of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drawn {
    /// The pair at this index.
    Pair(usize),
    /// The image without a mask at this index.
    Image(usize),
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
        let in_batch = |batch: &[u64]| timesteps(config, self.schedule, batch);
        let t = positions.chunks(config.batch_size).flat_map(in_batch).collect();
        Draws { of: self.drawn(config, &positions), positions, t }
    }

    /// The pairs at `positions`, of which a random share gives way to images without masks. These have an endless, reshuffled sequence of
    /// their own.
    fn drawn(&self, config: &TrainConfig, positions: &[u64]) -> Vec<Drawn> {
        let pairs = shuffled_indices(config.seed, positions, self.set.len());
        let pairs = if config.balance_classes { self.balanced(config.seed, positions, pairs) } else { pairs };
        let pairs = pairs.into_iter().map(Drawn::Pair);
        let Some(images) = self.unlabelled else { return pairs.collect() };
        let images = shuffled_by(config.seed, Stream::TrainUnlabelledOrder, positions, images.len());
        let gives_way = |&position: &u64| {
            uniform(&mut keyed_rng(config.seed, position, Stream::TrainUnlabelled, 0)) < config.unlabelled_share
        };
        let chosen = positions.iter().zip(pairs).zip(images);
        chosen.map(|((position, pair), image)| if gives_way(position) { Drawn::Image(image) } else { pair }).collect()
    }

    /// Pairs for the positions, of which those with lesion give way to pairs of a class that is drawn with equal probabilities.
    fn balanced(&self, seed: u64, positions: &[u64], pairs: Vec<usize>) -> Vec<usize> {
        let members: Vec<Vec<usize>> =
            self.set.members_of_classes().into_iter().filter(|members| !members.is_empty()).collect();
        let mut has_lesion = vec![false; self.set.len()];
        members.iter().flatten().for_each(|&index| has_lesion[index] = true);
        let draw = |position: u64, step: u64, count: usize| {
            (uniform(&mut keyed_rng(seed, position, Stream::TrainClass, step)) * count as f64) as usize
        };
        let of = |(pair, &position): (usize, &u64)| {
            if !has_lesion[pair] {
                return pair;
            }
            let of_class = &members[draw(position, 1, members.len())];
            of_class[draw(position, 0, of_class.len())]
        };
        pairs.into_iter().zip(positions).map(of).collect()
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
        let batch = self.assemble(config.seed, &draws.of[range], positions, t, true)?;
        batch.noise.draw_ahead(ahead);
        Ok(batch)
    }

    /// A batch on the device.
    pub fn sent(&self, batch: HostBatch) -> Batch {
        let ([height, width], channels, classes, count) =
            (self.set.size, self.set.channels, self.set.classes, batch.len());
        let HostBatch { masks, images, t, noise, positions, unlabelled, told } = batch;
        Batch {
            masks: Tensor::from_data(TensorData::new(masks, [count, height, width, classes]), self.device),
            images: Tensor::from_data(TensorData::new(images, [count, height, width, channels]), self.device),
            t,
            noise,
            positions,
            unlabelled,
            told,
        }
    }

    /// The pairs `indices` without augmentation, at given timesteps. `positions` key their noise.
    ///
    /// # Errors
    /// When the pairs cannot be read.
    pub fn fixed(&self, seed: u64, indices: &[usize], positions: Vec<u64>, t: Vec<usize>) -> Result<Batch> {
        let of: Vec<Drawn> = indices.iter().map(|&index| Drawn::Pair(index)).collect();
        Ok(self.sent(self.assemble(seed, &of, positions, t, false)?))
    }

    fn assemble(
        &self,
        seed: u64,
        of: &[Drawn],
        positions: Vec<u64>,
        t: Vec<usize>,
        augmented: bool,
    ) -> Result<HostBatch> {
        let channels = self.set.channels;
        let (mut masks, mut images, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let unlabelled: Vec<bool> = of.iter().map(|of| matches!(of, Drawn::Image(_))).collect();
        for (&of, &position) in of.iter().zip(&positions) {
            let (set, index) = match (of, self.unlabelled) {
                (Drawn::Image(index), Some(images)) => (images, index),
                (Drawn::Pair(index) | Drawn::Image(index), _) => (self.set, index),
            };
            let (mut mask, mut image) = (set.mask(index)?, set.image(index)?);
            if augmented {
                let size = self.set.slice_size();
                augment(&mut image, &mut mask, size, channels, self.augment, [seed, position, 0]);
                if self.augment.told.is_on() {
                    let changes = &self.augment.told;
                    told.extend(augment_told(&mut image, &mut mask, size, channels, changes, [seed, position, 1]));
                }
            }
            if matches!(of, Drawn::Image(_)) {
                mask.fill(0.0);
            }
            masks.extend(mask);
            images.extend(image);
        }
        let noise = NoiseSource::new(seed, positions.clone(), self.device);
        Ok(HostBatch { masks, images, t, noise, positions, unlabelled, told })
    }
}

/// The indices of the pairs at `positions` of the endless sequence of `count` pairs, which is reshuffled in every epoch.
pub fn shuffled_indices(seed: u64, positions: &[u64], count: usize) -> Vec<usize> {
    shuffled_by(seed, Stream::TrainOrder, positions, count)
}

/// The same for a sequence whose order is drawn from `stream`.
fn shuffled_by(seed: u64, stream: Stream, positions: &[u64], count: usize) -> Vec<usize> {
    let mut epoch = (usize::MAX, Vec::new());
    let index = |&position: &u64| {
        let (number, offset) = (position as usize / count, position as usize % count);
        if epoch.0 != number {
            epoch = (number, shuffled(seed, stream, number, count));
        }
        epoch.1[offset]
    };
    positions.iter().map(index).collect()
}

/// The order of the pairs in epoch `number`, by the Fisher-Yates shuffle.
fn shuffled(seed: u64, stream: Stream, number: usize, count: usize) -> Vec<usize> {
    let mut rng = keyed_rng(seed, number as u64, stream, 0);
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, (uniform(&mut rng) * (i + 1) as f64) as usize);
    }
    order
}

/// Timesteps uniform in 1..=T, or in mirrored pairs (in an odd batch the middle sample has no partner), or of log-normal noise levels.
fn timesteps(config: &TrainConfig, schedule: &Schedule, positions: &[u64]) -> Vec<usize> {
    let last = schedule.num_train_timesteps();
    let rng = |position: u64| keyed_rng(config.seed, position, Stream::TrainTime, 0);
    let draw = |position: u64| 1 + (uniform(&mut rng(position)) * last as f64) as usize;
    match config.timestep_sampling {
        TimestepSampling::Uniform => positions.iter().map(|&p| draw(p)).collect(),
        TimestepSampling::Antithetic => {
            let half = positions.len().div_ceil(2);
            let first: Vec<usize> = positions[..half].iter().map(|&p| draw(p)).collect();
            let mirrored = first.iter().map(|t| last + 1 - t);
            first.iter().copied().chain(mirrored).take(positions.len()).collect()
        }
        TimestepSampling::LogNormal => {
            // lambda = -ln(sigma) falls with the timestep.
            let lambdas: Vec<f64> = (1..=last).map(|t| Level::at(schedule, t).lambda()).collect();
            let draw = |&position: &u64| {
                let normal = standard_normal(&mut rng(position), 1)[0];
                nearest(&lambdas, -(config.log_normal_mean + config.log_normal_std * normal)) + 1
            };
            positions.iter().map(draw).collect()
        }
    }
}

/// The position of the value nearest to `wanted` in `falling` values.
fn nearest(falling: &[f64], wanted: f64) -> usize {
    let after = falling.partition_point(|&value| value > wanted);
    match (after.checked_sub(1), falling.get(after)) {
        (Some(before), Some(value)) if falling[before] - wanted > wanted - value => after,
        (Some(before), _) => before,
        (None, _) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_diffusion::schedule::ScheduleConfig;

    fn schedule(num_train_timesteps: usize) -> Schedule {
        Schedule::new(&ScheduleConfig { num_train_timesteps, ..ScheduleConfig::default() }).unwrap()
    }

    /// Mean and deviation of ln(sigma) are those asked for, up to the steps between timesteps. Standard errors: 1.2 / sqrt(8000) = 0.013 of
    /// the mean, and 0.009 of the deviation.
    #[test]
    fn log_normal_timesteps_have_the_levels_that_were_asked_for() {
        let config = TrainConfig { timestep_sampling: TimestepSampling::LogNormal, ..Default::default() };
        let schedule = schedule(1024);
        let t = timesteps(&config, &schedule, &(0..8000).collect::<Vec<_>>());
        let logs: Vec<f64> = t.iter().map(|&t| -Level::at(&schedule, t).lambda()).collect();
        let mean = logs.iter().sum::<f64>() / 8000.0;
        let deviation = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / 8000.0).sqrt();
        assert!((mean + 1.2).abs() < 0.06 && (deviation - 1.2).abs() < 0.06, "{mean} {deviation}");
        assert_eq!([9.0, 2.9, 2.0, 1.4, -5.0].map(|wanted| nearest(&[3.0, 2.0, 1.0], wanted)), [0, 0, 1, 2, 2]);
    }

    #[test]
    fn an_epoch_is_a_permutation_and_epochs_differ() {
        let shuffled = |number| shuffled(1, Stream::TrainOrder, number, 50);
        let mut first = shuffled(0);
        assert_ne!(first, shuffled(1));
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn antithetic_timesteps_mirror() {
        let config = TrainConfig { timestep_sampling: TimestepSampling::Antithetic, ..Default::default() };
        for batch in [6_usize, 7] {
            let t = timesteps(&config, &schedule(1024), &(0..batch as u64).collect::<Vec<_>>());
            assert_eq!(t.len(), batch);
            let half = batch.div_ceil(2);
            assert!((0..batch - half).all(|i| t[i] + t[half + i] == 1025));
        }
    }

    #[test]
    fn uniform_timesteps_reach_both_ends() {
        let t = timesteps(&TrainConfig::default(), &schedule(16), &(0..2000).collect::<Vec<_>>());
        assert_eq!((t.iter().min(), t.iter().max()), (Some(&1), Some(&16)));
        let mean = t.iter().sum::<usize>() as f64 / 2000.0;
        // Standard error: 4.61 / sqrt(2000) = 0.10.
        assert!((mean - 8.5).abs() < 0.5, "{mean}");
    }
}
