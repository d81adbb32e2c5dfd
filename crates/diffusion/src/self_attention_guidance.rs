//! Self-attention guidance (Hong et al. 2023, "Improving Sample Quality of Diffusion Models Using Self-Attention Guidance"): x_0-hat is
//! blurred where the network attends most, and sampling moves away from what the network predicts for it. It needs no condition and no
//! second network.

use crate::{
    denoiser::Denoiser,
    forward::add_noise,
    prediction::{Estimate, PredictionType, predict_x0},
    schedule::Schedule,
};
use burn::tensor::{Tensor, TensorData};

/// A network with self-attention guidance.
#[derive(Clone, Debug)]
pub struct SelfAttentionGuided<D, A> {
    /// The network.
    pub denoiser: D,
    /// Where the network attends most, as 1 in a mask of 0 and 1, `[batch, height, width, 1]`, of x_t and the timesteps. Hong et al. take the
    /// pixels whose summed self-attention is above its mean.
    pub attention: A,
    /// The predicted noise is eps + scale (eps - eps of the blurred estimate): 0 for none.
    pub scale: f64,
    /// Standard deviation of the blur in pixels; Hong et al. use 1.
    pub sigma: f64,
}

/// The guidance is in [`estimate`](Denoiser::estimate); [`predict`](Denoiser::predict) is the network's own output.
impl<D: Denoiser, A: Fn(&Tensor<4>, &[usize]) -> Tensor<4>> Denoiser for SelfAttentionGuided<D, A> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.denoiser.predict(noisy, guide, t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.denoiser.prediction_type()
    }

    fn estimate(&self, schedule: &Schedule, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Estimate {
        let plain = self.denoiser.estimate(schedule, noisy, guide, t);
        if self.scale == 0.0 {
            return plain;
        }
        let blurred = blur(&plain.x_0, self.sigma);
        let degraded = plain.x_0.clone() + (blurred - plain.x_0) * (self.attention)(noisy, t);
        let worse = self.denoiser.estimate(schedule, &add_noise(schedule, &degraded, &plain.eps, t), guide, t);
        let eps = plain.eps.clone() + (plain.eps - worse.eps).mul_scalar(self.scale);
        Estimate { x_0: predict_x0(schedule, noisy, &eps, t), eps }
    }
}

/// A Gaussian blur over four standard deviations in height and width; pixels at the edge are repeated beyond it.
fn blur(image: &Tensor<4>, sigma: f64) -> Tensor<4> {
    let reach = (4.0 * sigma).ceil() as usize;
    let weight = |offset: usize| libm::exp(-0.5 * (offset as f64 / sigma).powi(2));
    let total = 1.0 + 2.0 * (1..=reach).map(weight).sum::<f64>();
    let along = |image: Tensor<4>, axis: usize| {
        let size = image.dims()[axis];
        // The image moved by an offset along the axis, forwards and backwards.
        let moved = |offset: usize| {
            let (kept, lost) = (size.saturating_sub(offset), offset.min(size));
            let edge = |at: usize| image.clone().narrow(axis, at, 1).repeat_dim(axis, lost);
            let both = [(edge(0), 0), (edge(size - 1), lost)].map(|(edge, from)| (edge, from));
            let [(first, _), (last, from)] = both;
            if kept == 0 {
                return first + last;
            }
            let forwards = Tensor::cat(vec![first, image.clone().narrow(axis, 0, kept)], axis);
            let backwards = Tensor::cat(vec![image.clone().narrow(axis, from, kept), last], axis);
            forwards + backwards
        };
        let centre = image.clone().mul_scalar(1.0 / total);
        (1..=reach).fold(centre, |sum, offset| sum + moved(offset).mul_scalar(weight(offset) / total))
    };
    along(along(image.clone(), 1), 2)
}

/// The pixels whose attention is above its mean, as 1 in a mask of 0 and 1: `attention` has a value for each of `height * width` pixels of
/// each sample.
pub fn above_mean(attention: &[Vec<f32>], [height, width]: [usize; 2], like: &Tensor<4>) -> Tensor<4> {
    let values: Vec<f32> = attention
        .iter()
        .flat_map(|values| {
            let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
            values.iter().map(move |&value| if value > mean { 1.0 } else { 0.0 })
        })
        .collect();
    let data = TensorData::new(values, [attention.len(), height, width, 1]).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::ScheduleConfig;
    use burn::tensor::{DType, Device};

    const SIDE: usize = 6;
    const FACTOR: f64 = 0.6;

    /// Predicts a share of the noisy image as noise.
    struct Share;

    impl Denoiser for Share {
        fn predict(&self, noisy: &Tensor<4>, _guide: &Tensor<4>, _t: &[usize]) -> Tensor<4> {
            noisy.clone().mul_scalar(FACTOR)
        }

        fn prediction_type(&self) -> PredictionType {
            PredictionType::Epsilon
        }
    }

    fn image(value: impl Fn(usize, usize) -> f64) -> Tensor<4> {
        let values: Vec<f64> = (0..SIDE * SIDE).map(|i| value(i / SIDE, i % SIDE)).collect();
        Tensor::from_data(TensorData::new(values, [1, SIDE, SIDE, 1]), (&Device::flex(), DType::F64))
    }

    fn values(tensor: Tensor<4>) -> Vec<f64> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// The blur as a sum over all pixels.
    fn blurred(image: &[f64], sigma: f64) -> Vec<f64> {
        let reach = (4.0 * sigma).ceil() as isize;
        let weight = |offset: isize| (-0.5 * (offset as f64 / sigma).powi(2)).exp();
        let total: f64 = (-reach..=reach).map(weight).sum();
        let at = |row: isize, column: isize| {
            let inside = |value: isize| value.clamp(0, SIDE as isize - 1) as usize;
            image[inside(row) * SIDE + inside(column)]
        };
        let pixel = |index: usize| {
            let (row, column) = ((index / SIDE) as isize, (index % SIDE) as isize);
            let line = |y: isize| (-reach..=reach).map(|x| weight(x) * at(row + y, column + x)).sum::<f64>();
            (-reach..=reach).map(|y| weight(y) * line(y)).sum::<f64>() / (total * total)
        };
        (0..SIDE * SIDE).map(pixel).collect()
    }

    #[test]
    fn the_blur_is_a_gaussian_that_repeats_the_edge() {
        let picture = image(|y, x| ((3 * y + 5 * x) % 7) as f64);
        for sigma in [0.5, 1.0, 2.0] {
            let (found, expected) = (values(blur(&picture, sigma)), blurred(&values(picture.clone()), sigma));
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{sigma}: {found:?}");
        }
    }

    /// With eps = a x_t, everything is known: x_0-hat = (1 - n a) x_t / s, the degraded noisy image is s d + n a x_t, and the answer is
    /// a x_t + scale a (x_t - degraded).
    #[test]
    fn the_noise_moves_away_from_that_of_the_blurred_estimate() {
        let (schedule, t) = (Schedule::new(&ScheduleConfig::default()).unwrap(), 300);
        let (signal, noise) = (schedule.alpha_bar(t).sqrt(), (1.0 - schedule.alpha_bar(t)).sqrt());
        let x_t = image(|y, x| if (y, x) == (2, 3) { 4.0 } else { 0.1 * x as f64 });
        let half = |_: &Tensor<4>, _: &[usize]| image(|y, _| if y < 3 { 1.0 } else { 0.0 });
        let guided = SelfAttentionGuided { denoiser: Share, attention: half, scale: 1.5, sigma: 1.0 };
        let found = values(guided.estimate(&schedule, &x_t, &x_t, &[t]).eps);
        let x = values(x_t.clone());
        let x_0: Vec<f64> = x.iter().map(|x| (1.0 - noise * FACTOR) * x / signal).collect();
        let soft = blurred(&x_0, 1.0);
        for (index, found) in found.iter().enumerate() {
            let degraded = if index / SIDE < 3 { soft[index] } else { x_0[index] };
            let noisy = signal * degraded + noise * FACTOR * x[index];
            let expected = FACTOR * x[index] + 1.5 * FACTOR * (x[index] - noisy);
            assert!((found - expected).abs() < 1e-12, "{index}: {found} and {expected}");
        }
        let off = SelfAttentionGuided { scale: 0.0, ..guided };
        assert_eq!(values(off.estimate(&schedule, &x_t, &x_t, &[t]).eps), values(x_t.mul_scalar(FACTOR)));
    }

    #[test]
    fn attention_above_its_mean_is_marked() {
        let like = image(|_, _| 0.0);
        let mask = above_mean(&[vec![0.0, 1.0, 2.0, 5.0], vec![1.0; 4]], [2, 2], &like);
        assert_eq!(values(mask), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
