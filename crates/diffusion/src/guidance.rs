//! Classifier-free guidance (Ho and Salimans 2022): a network was trained with and without its condition; sampling moves
//! its conditional output away from its unconditional output.
//!
//! The null condition is 0 at every pixel, halfway between background (-1) and lesion (+1). No mask looks like it, so "no
//! condition" differs from "no lesion".

use crate::{denoiser::Denoiser, level::Level, prediction::PredictionType, schedule::Schedule};
use burn::tensor::{Tensor, TensorData};

/// The null condition, shaped like `condition`.
pub fn null_condition(condition: &Tensor<4>) -> Tensor<4> {
    condition.zeros_like()
}

/// Condition dropout: replaces the condition of the `dropped` samples with the null condition. `condition` is
/// `[batch, height, width, channels]`.
pub fn drop_condition(condition: Tensor<4>, dropped: &[bool]) -> Tensor<4> {
    if !dropped.contains(&true) {
        return condition;
    }
    let kept: Vec<f32> = dropped.iter().map(|&dropped| if dropped { 0.0 } else { 1.0 }).collect();
    let kept = Tensor::<4>::from_data(TensorData::new(kept, [dropped.len(), 1, 1, 1]), &condition.device());
    condition * kept
}

/// The noise levels at which guidance acts (Kynkaanniemi et al. 2024, "Applying Guidance in a Limited Interval"). Outside of them the
/// network is used as it is, and no second pass is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// Whether guidance acts at each timestep in 0..=T; at all of them if there is no list.
    timesteps: Option<Vec<bool>>,
}

impl Interval {
    /// The timesteps of `schedule` whose sigma = sqrt(1 - alpha_bar) / sqrt(alpha_bar) is from `low` to `high`.
    pub fn of(schedule: &Schedule, [low, high]: [f64; 2]) -> Self {
        let acts = |t: usize| (low..=high).contains(&Level::at(schedule, t).ratio());
        Self { timesteps: Some((0..=schedule.num_train_timesteps()).map(acts).collect()) }
    }

    /// Whether guidance acts at the timesteps of a batch. In sampling they are equal.
    pub fn contains(&self, t: &[usize]) -> bool {
        self.timesteps.as_ref().is_none_or(|acts| t.iter().any(|&t| acts[t]))
    }
}

/// A conditional network with guidance: its output is null + scale (conditional - null). This works for every prediction
/// type, because at a given x_t each of the three is an affine function of the others.
///
/// Scale 1 returns the network's own output and costs one forward pass; any other scale costs two.
#[derive(Clone, Debug)]
pub struct Guided<D> {
    /// The network, trained with condition dropout.
    pub denoiser: D,
    /// `sample.guidance_scale`: 1 + w of Ho and Salimans.
    pub scale: f64,
    /// `sample.guidance_interval`.
    pub interval: Interval,
}

impl<D: Denoiser> Denoiser for Guided<D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let conditional = self.denoiser.predict(noisy, guide, t);
        if self.scale == 1.0 || !self.interval.contains(t) {
            return conditional;
        }
        let null = self.denoiser.predict(noisy, &null_condition(guide), t);
        null.clone() + (conditional - null).mul_scalar(self.scale)
    }

    fn prediction_type(&self) -> PredictionType {
        self.denoiser.prediction_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Returns 1 + 2 guide, so that the output for the null condition is 1.
    struct Linear;

    impl Denoiser for Linear {
        fn predict(&self, _noisy: &Tensor<4>, guide: &Tensor<4>, _t: &[usize]) -> Tensor<4> {
            guide.clone().mul_scalar(2.0).add_scalar(1.0)
        }

        fn prediction_type(&self) -> PredictionType {
            PredictionType::Epsilon
        }
    }

    fn tensor(values: &[f32]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len(), 1, 1, 1]), &Device::flex())
    }

    fn host(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_answer_moves_along_the_difference() {
        let guide = tensor(&[-1.0, 0.5]);
        let answer = |scale, interval, t| {
            host(Guided { denoiser: Linear, scale, interval }.predict(&tensor(&[0.0, 0.0]), &guide, &[t, t]))
        };
        assert_eq!(answer(0.0, Interval::default(), 1), [1.0, 1.0]);
        assert_eq!(answer(1.0, Interval::default(), 1), [-1.0, 2.0]);
        assert_eq!(answer(3.0, Interval::default(), 1), [-5.0, 4.0]);
        // alpha_bar is 0.8, 0.5 and 0.1, so sigma is 0.5, 1 and 3.
        let schedule = Schedule::from_betas(vec![0.2, 0.375, 0.8]);
        let interval = || Interval::of(&schedule, [0.9, 1.1]);
        assert_eq!([1, 2, 3].map(|t| interval().contains(&[t])), [false, true, false]);
        assert_eq!(answer(3.0, interval(), 2), [-5.0, 4.0]);
        assert_eq!(answer(3.0, interval(), 3), [-1.0, 2.0]);
    }

    #[test]
    fn only_dropped_conditions_become_null() {
        assert_eq!(host(drop_condition(tensor(&[-1.0, 1.0, -1.0]), &[false, true, false])), [-1.0, 0.0, -1.0]);
    }
}
