//! Weights of the loss that depend on the noise level.

use crate::{coefficient::scale, prediction::PredictionType, schedule::Schedule};
use burn::tensor::Tensor;

/// Min-SNR-gamma (Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", section 3.4), one
/// weight for each of `t` in 1..=T.
///
/// The squared error of x_0-hat has the weight min(SNR, gamma), where SNR = alpha_bar_t / (1 - alpha_bar_t). For the squared
/// error of the network's output, the weight is therefore min(SNR, gamma) if it predicts x_0, that value divided by SNR for
/// eps, and divided by SNR + 1 for v.
pub fn min_snr_weights(schedule: &Schedule, kind: PredictionType, gamma: f64, t: &[usize]) -> Vec<f64> {
    let weight = |&t: &usize| {
        let alpha_bar = schedule.alpha_bar(t);
        let snr = alpha_bar / (1.0 - alpha_bar);
        match kind {
            PredictionType::Epsilon => (gamma / snr).min(1.0),
            PredictionType::VPrediction => snr.min(gamma) / (snr + 1.0),
            PredictionType::Sample => snr.min(gamma),
        }
    };
    t.iter().map(weight).collect()
}

/// The weighted mean of squared errors `[batch, height, width, channels]`, as `[1]`: the errors of sample `i` are multiplied
/// by `weights[i]`, then averaged over all values.
pub fn weighted_mean(error: Tensor<4>, weights: &[f64]) -> Tensor<1> {
    scale(error, weights).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    /// Levels with SNR 1/9, 1, 4 and 99.
    fn schedule() -> Schedule {
        Schedule::from_betas(vec![0.5; 4]).with_alpha_bars(&[(1, 0.99), (2, 0.8), (3, 0.5), (4, 0.1)])
    }

    #[test]
    fn weights_are_the_paper_s() {
        let of = |kind| min_snr_weights(&schedule(), kind, 5.0, &[4, 3, 2, 1]);
        for (kind, wanted) in [
            (PredictionType::Sample, [1.0 / 9.0, 1.0, 4.0, 5.0]),
            (PredictionType::Epsilon, [1.0, 1.0, 1.0, 5.0 / 99.0]),
            (PredictionType::VPrediction, [0.1, 0.5, 0.8, 0.05]),
        ] {
            for (found, wanted) in of(kind).iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-12, "{kind:?}: {found}, expected {wanted}");
            }
        }
    }

    /// The three prediction types have the same objective: if e is the error of x_0-hat, the error of eps is -sqrt(SNR) e
    /// and the error of v is -sqrt(SNR + 1) e.
    #[test]
    fn the_three_predictions_weigh_the_same_error_alike() {
        for t in 1..=4 {
            let snr = schedule().alpha_bar(t) / (1.0 - schedule().alpha_bar(t));
            let weight = |kind| min_snr_weights(&schedule(), kind, 5.0, &[t])[0];
            let wanted = weight(PredictionType::Sample);
            assert!((weight(PredictionType::Epsilon) * snr - wanted).abs() < 1e-12);
            assert!((weight(PredictionType::VPrediction) * (snr + 1.0) - wanted).abs() < 1e-12);
        }
    }

    #[test]
    fn the_mean_is_weighed_by_sample() {
        let data = TensorData::new(vec![1.0, 3.0, 10.0, 20.0], [2, 1, 2, 1]);
        let error = Tensor::<4>::from_data(data, (&Device::flex(), DType::F64));
        let mean = |weights: &[f64]| weighted_mean(error.clone(), weights).into_scalar::<f64>();
        assert_eq!(mean(&[1.0, 1.0]), 8.5);
        assert_eq!(mean(&[2.0, 0.5]), (2.0 * 4.0 + 0.5 * 30.0) / 4.0);
    }
}
