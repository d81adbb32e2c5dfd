//! Dropout with a keyed pattern, so that a resumed training continues bit for bit.

use burn::tensor::{Tensor, TensorData};
use pig_diffusion::noise::{Stream, keyed_rng, uniform};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;

/// Drops activations in training; otherwise it does nothing.
#[derive(Debug, Default)]
pub struct Dropout(
    /// A generator for each sample of the batch, or one for the whole batch; none if nothing is dropped.
    RefCell<Vec<ChaCha8Rng>>,
);

/// A position in the random patterns of a pass.
#[derive(Clone, Debug)]
pub struct Position(Vec<ChaCha8Rng>);

impl Dropout {
    /// No dropout, for validation and sampling.
    pub fn off() -> Self {
        Self::default()
    }

    /// The patterns of the samples at these positions of a training, whose patterns do not depend on the other samples of the batch.
    /// Each call of [`apply`](Self::apply) gets another pattern.
    pub fn of_samples(seed: u64, positions: &[u64]) -> Self {
        Self(RefCell::new(positions.iter().map(|&position| keyed_rng(seed, position, Stream::Dropout, 0)).collect()))
    }

    /// The patterns of a whole batch, keyed by the training step: those of trainings that began before batches were divided among
    /// workers.
    pub fn of_batch(seed: u64, step: u64) -> Self {
        Self(RefCell::new(vec![keyed_rng(seed, 0, Stream::Dropout, step)]))
    }

    /// The current position in the patterns, for [`restore`](Self::restore).
    pub fn position(&self) -> Position {
        Position(self.0.borrow().clone())
    }

    /// Returns to an earlier position, so that a part of the pass that is computed again drops the same values.
    pub fn restore(&self, position: &Position) {
        self.0.borrow_mut().clone_from(&position.0);
    }

    /// Whether activations are dropped at this rate.
    pub fn is_active(&self, rate: f64) -> bool {
        rate > 0.0 && !self.0.borrow().is_empty()
    }

    /// Inverted dropout: each value is set to zero with probability `rate`, and the others are divided by 1 - rate.
    pub fn apply(&self, x: Tensor<4>, rate: f64) -> Tensor<4> {
        if !self.is_active(rate) {
            return x;
        }
        let mut generators = self.0.borrow_mut();
        let dims = x.dims();
        let each = dims.iter().product::<usize>() / generators.len();
        let scale = (1.0 / (1.0 - rate)) as f32;
        let mut kept = Vec::with_capacity(each * generators.len());
        for rng in generators.iter_mut() {
            kept.extend((0..each).map(|_| if uniform(rng) < rate { 0.0 } else { scale }));
        }
        let device = x.device().without_autodiff();
        x * Tensor::from_data(TensorData::new(kept, dims), &device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn ones() -> Tensor<4> {
        Tensor::ones([2, 32, 32, 4], &Device::flex())
    }

    #[test]
    fn the_mean_is_kept_and_the_pattern_is_keyed() {
        let values_of = |dropout: Dropout| dropout.apply(ones(), 0.25).into_data().try_to_vec::<f32>().unwrap();
        let dropped = |seed| values_of(Dropout::of_samples(seed, &[6, 7]));
        let values = dropped(1);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        // The standard error of the mean is sqrt(rate / (1 - rate) / 8192) = 0.0064.
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(values, dropped(1));
        assert_ne!(values, dropped(2));
        assert_ne!(values, values_of(Dropout::of_samples(1, &[8, 9])));
        assert_ne!(values_of(Dropout::of_batch(1, 3)), values_of(Dropout::of_batch(1, 4)));
    }

    /// The pattern of a sample is the same alone and in any batch, in every layer.
    #[test]
    fn a_sample_s_pattern_is_its_own() {
        let two_layers = |positions: &[u64]| -> Vec<Vec<f32>> {
            let dropout = Dropout::of_samples(5, positions);
            let x = || Tensor::<4>::ones([positions.len(), 8, 8, 2], &Device::flex());
            let layer = |rate| dropout.apply(x(), rate).into_data().try_to_vec::<f32>().unwrap();
            let (first, second) = (layer(0.5), layer(0.1));
            (0..positions.len()).map(|i| [&first[i * 128..][..128], &second[i * 128..][..128]].concat()).collect()
        };
        let together = two_layers(&[3, 4, 9]);
        let alone: Vec<Vec<f32>> = [3, 4, 9].iter().flat_map(|&position| two_layers(&[position])).collect();
        assert_eq!(together, alone);
        assert_ne!(together[0], together[1]);
    }

    #[test]
    fn off_and_zero_change_nothing() {
        let expected = ones().into_data();
        assert_eq!(Dropout::off().apply(ones(), 0.5).into_data(), expected);
        assert_eq!(Dropout::of_samples(1, &[0, 1]).apply(ones(), 0.0).into_data(), expected);
    }
}
