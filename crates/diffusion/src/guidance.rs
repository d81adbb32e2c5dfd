//! Classifier-free guidance (Ho and Salimans 2022): a network that learned with and without its condition is pushed away
//! from what it would answer without.
//!
//! The null condition is 0 at every pixel, halfway between background (-1) and lesion (+1): no mask looks like it, so that
//! "nothing is said" differs from "there is no lesion".

use crate::{denoiser::Denoiser, prediction::PredictionType};
use burn::tensor::{Tensor, TensorData};

/// The condition that says nothing, shaped like `condition`.
pub fn null_condition(condition: &Tensor<4>) -> Tensor<4> {
    condition.zeros_like()
}

/// Condition dropout: the null condition for the samples that are `dropped`. `condition` is `[batch, height, width, channels]`.
pub fn drop_condition(condition: Tensor<4>, dropped: &[bool]) -> Tensor<4> {
    if !dropped.contains(&true) {
        return condition;
    }
    let kept: Vec<f32> = dropped.iter().map(|&dropped| if dropped { 0.0 } else { 1.0 }).collect();
    let kept = Tensor::<4>::from_data(TensorData::new(kept, [dropped.len(), 1, 1, 1]), &condition.device());
    condition * kept
}

/// A conditional network under guidance: null + scale (conditional - null), on its outputs, whatever they stand for (all
/// three are linear in each other at given x_t).
///
/// Scale 1 is the network itself and costs one forward pass; any other scale costs two.
#[derive(Clone, Debug)]
pub struct Guided<D> {
    /// The network, trained with condition dropout.
    pub denoiser: D,
    /// `sample.guidance_scale`: 1 + w of the paper.
    pub scale: f64,
}

impl<D: Denoiser> Denoiser for Guided<D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let conditional = self.denoiser.predict(noisy, guide, t);
        if self.scale == 1.0 {
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

    /// Answers 1 + 2 guide, so that the null answer is 1.
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
        let answer = |scale| host(Guided { denoiser: Linear, scale }.predict(&tensor(&[0.0, 0.0]), &guide, &[1, 1]));
        assert_eq!(answer(0.0), [1.0, 1.0]);
        assert_eq!(answer(1.0), [-1.0, 2.0]);
        assert_eq!(answer(3.0), [-5.0, 4.0]);
    }

    #[test]
    fn only_dropped_conditions_become_null() {
        assert_eq!(host(drop_condition(tensor(&[-1.0, 1.0, -1.0]), &[false, true, false])), [-1.0, 0.0, -1.0]);
    }
}
