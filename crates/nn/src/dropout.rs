//! Dropout with a keyed pattern, so that a resumed training continues bit for bit.

use burn::tensor::{Tensor, TensorData};
use pig_diffusion::noise::{Stream, keyed_rng, uniform};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;

/// Drops activations in training; otherwise it does nothing.
#[derive(Debug, Default)]
pub struct Dropout(Option<RefCell<ChaCha8Rng>>);

/// A position in the random patterns of a pass.
#[derive(Clone, Debug)]
pub struct Position(Option<ChaCha8Rng>);

impl Dropout {
    /// No dropout, for validation and sampling.
    pub fn off() -> Self {
        Self(None)
    }

    /// The patterns of one training step; each call of [`apply`](Self::apply) gets another pattern.
    pub fn training(seed: u64, step: u64) -> Self {
        Self(Some(RefCell::new(keyed_rng(seed, 0, Stream::Dropout, step))))
    }

    /// The current position in the patterns, for [`restore`](Self::restore).
    pub fn position(&self) -> Position {
        Position(self.0.as_ref().map(|rng| rng.borrow().clone()))
    }

    /// Returns to an earlier position, so that a part of the pass that is computed again drops the same values.
    pub fn restore(&self, position: &Position) {
        if let (Some(rng), Some(then)) = (&self.0, &position.0) {
            rng.borrow_mut().clone_from(then);
        }
    }

    /// Whether activations are dropped at this rate.
    pub fn is_active(&self, rate: f64) -> bool {
        self.0.is_some() && rate > 0.0
    }

    /// Inverted dropout: each value is set to zero with probability `rate`, and the others are divided by 1 - rate.
    pub fn apply(&self, x: Tensor<4>, rate: f64) -> Tensor<4> {
        let Some(rng) = self.0.as_ref().filter(|_| self.is_active(rate)) else { return x };
        let mut rng = rng.borrow_mut();
        let dims = x.dims();
        let scale = (1.0 / (1.0 - rate)) as f32;
        let kept: Vec<f32> =
            (0..dims.iter().product()).map(|_| if uniform(&mut rng) < rate { 0.0 } else { scale }).collect();
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
        let dropped = |seed| Dropout::training(seed, 3).apply(ones(), 0.25).into_data().try_to_vec::<f32>().unwrap();
        let values = dropped(1);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        // The standard error of the mean is sqrt(rate / (1 - rate) / 8192) = 0.0064.
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(values, dropped(1));
        assert_ne!(values, dropped(2));
    }

    #[test]
    fn off_and_zero_change_nothing() {
        let expected = ones().into_data();
        assert_eq!(Dropout::off().apply(ones(), 0.5).into_data(), expected);
        assert_eq!(Dropout::training(1, 1).apply(ones(), 0.0).into_data(), expected);
    }
}
