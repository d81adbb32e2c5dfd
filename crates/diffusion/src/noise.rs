//! Noise keyed by (seed, sample, stream, step).
//!
//! Every draw has its own ChaCha key and is made on the host, so a sample's noise does not depend on its batch, the order of
//! the work, the number of threads or the device. Noise for a GPU may be drawn before it is asked for ([`NoiseSource::draw_ahead`]).

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The purpose of a draw. Two streams never share noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Noise of x: at step 0 the start x_T, at step t the variance noise of the move that starts at t.
    X = 1,
    /// Noise of y, with the same steps.
    Y = 2,
    /// eps_1 of Algorithm 1, line 2.
    TrainX = 3,
    /// eps_2 of Algorithm 1, line 2.
    TrainY = 4,
    /// t of Algorithm 1, line 2.
    TrainTime = 5,
    /// The order of the training samples, and so which samples form a batch.
    TrainOrder = 6,
    /// Whether model_y receives the clean mask instead of x_0-hat for a training sample.
    TrainCondition = 7,
    /// The noise that makes x_{t-1} from x_0 when model_y is trained on x_{t-1}.
    TrainPrevious = 8,
    /// The initial weights of a network.
    Initialisation = 9,
    /// Dropout patterns.
    Dropout = 10,
    /// The additional draw for offset noise, one value per image and channel.
    TrainOffset = 11,
    /// The level (step 1) and the values (step 0) of the noise on model_y's condition in training.
    TrainConditionNoise = 12,
    /// The noise on model_y's condition in sampling.
    Condition = 13,
    /// Whether a training sample's condition is dropped.
    TrainNull = 14,
    /// Whether a training sample's mask is replaced with an empty mask.
    TrainAblation = 15,
    /// The noise of sampled latents in training.
    TrainLatent = 16,
    /// The image's timestep, if mask and image have independent timesteps.
    TrainTimeY = 17,
    /// Which member of a training pair is clean, if any.
    TrainCleanLevel = 18,
    /// The noise of sampled latents when their scale is measured.
    LatentScale = 19,
    /// The noise that returns x to the start of a move when [`crate::resample`] repeats it.
    Resample = 20,
    /// Whether a training sample is an image without a mask.
    TrainUnlabelled = 21,
    /// The order of the images without masks.
    TrainUnlabelledOrder = 22,
    /// Which pair is drawn for a class, if classes are balanced (step 0), and for which class (step 1).
    TrainClass = 23,
}

/// A generator for one (seed, sample, stream, step).
pub fn keyed_rng(seed: u64, sample: u64, stream: Stream, step: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    for (bytes, value) in key.chunks_exact_mut(8).zip([seed, sample, stream as u64, step]) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A number in [0, 1) with 53 random bits.
pub fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// `count` standard normal values by Box and Muller's method.
///
/// It uses `libm` and not the platform's functions, so that the same key gives the same picture on every machine.
pub fn standard_normal(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - uniform(rng)));
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * uniform(rng));
        values.extend([radius * cos, radius * sin]);
    }
    values.truncate(count);
    values
}

/// What a batch asks noise for: the purpose, the step, and the shape of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Draw {
    stream: Stream,
    step: usize,
    shape: [usize; 3],
}

/// The draws that a batch asked for, and those that were made before.
#[derive(Debug, Default)]
struct Draws {
    asked: Vec<Draw>,
    made: HashMap<Draw, Vec<f32>>,
}

/// The noise of a batch: one key per sample. Clones share what was drawn ahead.
#[derive(Clone, Debug)]
pub struct NoiseSource {
    seed: u64,
    samples: Vec<u64>,
    device: Device,
    dtype: DType,
    draws: Arc<Mutex<Draws>>,
}

impl NoiseSource {
    /// Noise for the samples with these ids, in f32 on `device`.
    pub fn new(seed: u64, samples: Vec<u64>, device: &Device) -> Self {
        Self { seed, samples, device: device.clone(), dtype: DType::F32, draws: Arc::default() }
    }

    /// The same noise in another floating-point type.
    #[must_use]
    pub fn with_dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        self
    }

    /// The number of samples in the batch.
    pub fn batch(&self) -> usize {
        self.samples.len()
    }

    /// The samples' ids.
    pub fn samples(&self) -> &[u64] {
        &self.samples
    }

    /// Standard normal noise of shape `[batch, shape..]` for `stream` at `step`.
    pub fn draw(&self, stream: Stream, step: usize, shape: [usize; 3]) -> Tensor<4> {
        let draw = Draw { stream, step, shape };
        let dims = [self.batch(), shape[0], shape[1], shape[2]];
        let data = if self.dtype == DType::F32 {
            let made = self.draws().made.remove(&draw);
            TensorData::new(made.unwrap_or_else(|| self.values(draw, |value| value as f32)), dims)
        } else {
            TensorData::new(self.values(draw, |value| value), dims).convert_dtype(self.dtype)
        };
        self.draws().asked.push(draw);
        Tensor::from_data(data, (&self.device, self.dtype))
    }

    /// Draws noise on the host before it is asked for, such as while a device is busy. It changes no value: what was not drawn ahead is
    /// drawn when it is asked for.
    pub fn draw_ahead(&self, draws: &[Draw]) {
        for &draw in draws {
            let values = self.values(draw, |value| value as f32);
            self.draws().made.insert(draw, values);
        }
    }

    /// What the batch asked for so far. The batches of a training ask for the same in every step.
    pub fn asked(&self) -> Vec<Draw> {
        self.draws().asked.clone()
    }

    /// The values of a draw, sample after sample. The samples are drawn in parallel; each has its own key.
    fn values<T: Clone + Send>(&self, draw: Draw, convert: impl Fn(f64) -> T + Sync) -> Vec<T> {
        let Draw { stream, step, shape } = draw;
        let of_sample = |&sample: &u64| -> Vec<T> {
            let mut rng = keyed_rng(self.seed, sample, stream, step as u64);
            standard_normal(&mut rng, shape.iter().product()).into_iter().map(&convert).collect()
        };
        self.samples.par_iter().map(of_sample).collect::<Vec<_>>().concat()
    }

    fn draws(&self) -> MutexGuard<'_, Draws> {
        self.draws.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(samples: Vec<u64>, stream: Stream, step: usize) -> Vec<f32> {
        let noise = NoiseSource::new(7, samples, &Device::flex());
        noise.draw(stream, step, [4, 4, 1]).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_sample_s_noise_is_its_own() {
        let together = values(vec![3, 4, 5], Stream::X, 9);
        let alone: Vec<f32> = [3, 4, 5].into_iter().flat_map(|s| values(vec![s], Stream::X, 9)).collect();
        assert_eq!(together, alone);
        let reversed: Vec<f32> = [5, 4, 3].into_iter().flat_map(|s| values(vec![s], Stream::X, 9)).collect();
        assert_ne!(together, reversed);
    }

    #[test]
    fn streams_steps_and_seeds_differ() {
        let base = values(vec![3], Stream::X, 9);
        assert_ne!(base, values(vec![3], Stream::Y, 9));
        assert_ne!(base, values(vec![3], Stream::X, 8));
        let other = NoiseSource::new(8, vec![3], &Device::flex()).draw(Stream::X, 9, [4, 4, 1]);
        assert_ne!(base, other.into_data().try_to_vec::<f32>().unwrap());
    }

    #[test]
    fn noise_that_is_drawn_ahead_is_the_same_noise() {
        let noise = || NoiseSource::new(7, vec![3, 9], &Device::flex());
        let draw = |noise: &NoiseSource, stream| -> Vec<f32> {
            noise.draw(stream, 2, [4, 4, 1]).into_data().try_to_vec().unwrap()
        };
        let at_once = noise();
        let expected = [Stream::TrainX, Stream::TrainY].map(|stream| draw(&at_once, stream));
        let asked = at_once.asked();
        assert_eq!(asked.len(), 2);
        let ahead = noise();
        // The second draw is not made ahead; the first is taken by its first use.
        ahead.draw_ahead(&asked[..1]);
        assert_eq!(ahead.draws().made.len(), 1);
        assert_eq!([Stream::TrainX, Stream::TrainY].map(|stream| draw(&ahead, stream)), expected);
        assert!(ahead.draws().made.is_empty());
        assert_eq!(draw(&ahead, Stream::TrainX), expected[0]);
        assert_eq!(ahead.asked().len(), 3);
    }

    /// The moments of a million values are those of the standard normal, to within five standard errors.
    #[test]
    fn moments_are_standard_normal() {
        let n = 1_000_000;
        let values = standard_normal(&mut keyed_rng(0, 0, Stream::X, 0), n);
        let moment = |k: i32| values.iter().map(|v| v.powi(k)).sum::<f64>() / n as f64;
        for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let bound = 5.0 * (variance / n as f64).sqrt();
            assert!((moment(k) - expected).abs() < bound, "moment {k}: {}", moment(k));
        }
    }

    /// The first values of one key, computed with an independent implementation of ChaCha8, so that neither an upgrade nor a
    /// mistake can change pictures unnoticed.
    #[test]
    fn values_never_change() {
        let values = standard_normal(&mut keyed_rng(1, 2, Stream::Y, 3), 3);
        let expected = PINNED;
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-15, "{values:?}");
        }
    }

    const PINNED: [f64; 3] = [0.211_860_040_185_402_14, 1.019_635_157_661_969_5, -0.377_838_035_897_875_7];
}
