//! What a network predicts, and the exact conversions between the three prediction types.

use crate::{coefficient::scale, schedule::Schedule};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the network's output represents; names as in diffusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise eps, as in the paper.
    #[default]
    Epsilon,
    /// v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0 (Salimans and Ho 2022).
    VPrediction,
    /// The clean image x_0.
    Sample,
}

/// A network's output at one timestep, as noise and as clean image: every reverse step needs both.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// The predicted noise, `[batch, height, width, channels]`.
    pub eps: Tensor<4>,
    /// The predicted clean image x_0-hat, same shape.
    pub x_0: Tensor<4>,
}

impl Estimate {
    /// Converts `output`, the network's output of the type `kind` for `x_t` at `t`.
    ///
    /// At alpha_bar_t = 0 (zero terminal SNR) eps does not determine x_0 and Eq. (6) divides by zero: configurations that
    /// combine the two are rejected before any work starts.
    pub fn new(schedule: &Schedule, kind: PredictionType, x_t: &Tensor<4>, output: Tensor<4>, t: &[usize]) -> Self {
        match kind {
            PredictionType::Epsilon => Self { x_0: predict_x0(schedule, x_t, &output, t), eps: output },
            PredictionType::VPrediction => {
                let (signal, noise) = (schedule.signal(t), schedule.noise(t));
                Self {
                    eps: scale(output.clone(), &signal) + scale(x_t.clone(), &noise),
                    x_0: scale(x_t.clone(), &signal) - scale(output, &noise),
                }
            }
            PredictionType::Sample => Self { eps: predict_eps(schedule, x_t, &output, t), x_0: output },
        }
    }

    /// The estimate whose x_0-hat is `x_0`, with eps recomputed so that both together still give `x_t`.
    pub fn from_x0(schedule: &Schedule, x_t: &Tensor<4>, x_0: Tensor<4>, t: &[usize]) -> Self {
        Self { eps: predict_eps(schedule, x_t, &x_0, t), x_0 }
    }
}

/// x_0-hat = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t). Eq. (6).
pub fn predict_x0(schedule: &Schedule, x_t: &Tensor<4>, eps: &Tensor<4>, t: &[usize]) -> Tensor<4> {
    let inverse: Vec<f64> = schedule.signal(t).iter().map(|s| 1.0 / s).collect();
    scale(x_t.clone() - scale(eps.clone(), &schedule.noise(t)), &inverse)
}

/// Eq. (6) solved for eps.
fn predict_eps(schedule: &Schedule, x_t: &Tensor<4>, x_0: &Tensor<4>, t: &[usize]) -> Tensor<4> {
    let inverse: Vec<f64> = schedule.noise(t).iter().map(|n| 1.0 / n).collect();
    scale(x_t.clone() - scale(x_0.clone(), &schedule.signal(t)), &inverse)
}

/// The correct output of the network: the regression target of training.
pub fn target(schedule: &Schedule, kind: PredictionType, x_0: &Tensor<4>, eps: &Tensor<4>, t: &[usize]) -> Tensor<4> {
    match kind {
        PredictionType::Epsilon => eps.clone(),
        PredictionType::VPrediction => scale(eps.clone(), &schedule.signal(t)) - scale(x_0.clone(), &schedule.noise(t)),
        PredictionType::Sample => x_0.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{forward::add_noise, noise::NoiseSource, noise::Stream, schedule::ScheduleConfig};
    use burn::tensor::{DType, Device};

    #[test]
    fn the_three_predictions_say_the_same() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let noise = NoiseSource::new(1, vec![0, 1], &Device::flex()).with_dtype(DType::F64);
        let (x_0, eps) = (noise.draw(Stream::X, 1, [3, 3, 1]), noise.draw(Stream::Y, 1, [3, 3, 1]));
        for t in [[1, 1], [3, 700], [1024, 1024]] {
            let x_t = add_noise(&schedule, &x_0, &eps, &t);
            for kind in [PredictionType::Epsilon, PredictionType::VPrediction, PredictionType::Sample] {
                let output = target(&schedule, kind, &x_0, &eps, &t);
                let estimate = Estimate::new(&schedule, kind, &x_t, output, &t);
                let error = (estimate.x_0 - x_0.clone()).abs().max().into_scalar::<f64>();
                assert!(error < 1e-11, "{kind:?} at {t:?}: x_0 off by {error}");
                let error = (estimate.eps - eps.clone()).abs().max().into_scalar::<f64>();
                assert!(error < 1e-11, "{kind:?} at {t:?}: eps off by {error}");
            }
        }
    }
}
