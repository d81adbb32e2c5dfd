//! Guidance by the gradient of a classifier or a segmenter (Dhariwal and Nichol 2021, Algorithm 2; Liu et al. 2023): the noise that a
//! network predicts is moved so that the sample becomes likelier under a second model, which was trained on noisy images.

use crate::{
    coefficient::scale,
    denoiser::Denoiser,
    prediction::{Estimate, PredictionType, predict_x0},
    schedule::Schedule,
};
use burn::tensor::Tensor;

/// A network whose estimate is guided by a gradient: eps - scale sqrt(1 - alpha_bar_t) gradient.
#[derive(Clone, Debug)]
pub struct GradientGuided<D, G> {
    /// The network.
    pub denoiser: D,
    /// The gradient of log p(c | x_t) with respect to x_t, in the shape of x_t, of x_t and the timesteps: of a class c, or of a mask.
    pub gradient: G,
    /// How strongly the gradient counts; 1 gives the conditional distribution if both models are exact.
    pub scale: f64,
}

/// The guidance is in [`estimate`](Denoiser::estimate); [`predict`](Denoiser::predict) is the network's own output.
impl<D: Denoiser, G: Fn(&Tensor<4>, &[usize]) -> Tensor<4>> Denoiser for GradientGuided<D, G> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.denoiser.predict(noisy, guide, t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.denoiser.prediction_type()
    }

    fn estimate(&self, schedule: &Schedule, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Estimate {
        let plain = self.denoiser.estimate(schedule, noisy, guide, t);
        let noise: Vec<f64> = schedule.noise(t).iter().map(|noise| noise * self.scale).collect();
        let eps = plain.eps - scale((self.gradient)(noisy, t), &noise);
        Estimate { x_0: predict_x0(schedule, noisy, &eps, t), eps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::ScheduleConfig;
    use burn::tensor::{DType, Device, TensorData};

    /// The exact network of pixels that are independent and standard normal: x_t is standard normal, too.
    struct Standard<'a>(&'a Schedule);

    impl Denoiser for Standard<'_> {
        fn predict(&self, noisy: &Tensor<4>, _guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
            scale(noisy.clone(), &self.0.noise(t))
        }

        fn prediction_type(&self) -> PredictionType {
            PredictionType::Epsilon
        }
    }

    /// The guide is a measurement of every pixel with noise of deviation `R`. The gradient of its likelihood leads to the exact network of
    /// the posterior distribution, which is normal.
    #[test]
    fn an_exact_gradient_gives_the_posterior() {
        const R: f64 = 0.7;
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let of = |values: [f64; 3]| {
            Tensor::<4>::from_data(TensorData::new(values.to_vec(), [3, 1, 1, 1]), (&Device::flex(), DType::F64))
        };
        let (x_t, measured) = ([0.3, -1.2, 2.0], [1.5, 0.1, -0.4]);
        for t in [1, 200, 700, 1024] {
            let alpha_bar = schedule.alpha_bar(t);
            let gradient = |noisy: &Tensor<4>, _: &[usize]| {
                let error = of(measured) - noisy.clone().mul_scalar(alpha_bar.sqrt());
                error.mul_scalar(alpha_bar.sqrt() / (1.0 - alpha_bar + R * R))
            };
            let guided = GradientGuided { denoiser: Standard(&schedule), gradient, scale: 1.0 };
            let found = guided.estimate(&schedule, &of(x_t), &of([0.0; 3]), &[t; 3]);
            let [eps, x_0] = [found.eps, found.x_0].map(|tensor| tensor.into_data().try_to_vec::<f64>().unwrap());
            for index in 0..3 {
                let (mean, variance) = (measured[index] / (1.0 + R * R), R * R / (1.0 + R * R));
                let spread = alpha_bar * variance + 1.0 - alpha_bar;
                let score = -(x_t[index] - alpha_bar.sqrt() * mean) / spread;
                let expected = -(1.0 - alpha_bar).sqrt() * score;
                assert!((eps[index] - expected).abs() < 1e-12, "t = {t}: {} and {expected}", eps[index]);
                let posterior = mean + alpha_bar.sqrt() * variance / spread * (x_t[index] - alpha_bar.sqrt() * mean);
                assert!((x_0[index] - posterior).abs() < 1e-9, "t = {t}: {} and {posterior}", x_0[index]);
            }
        }
    }

    #[test]
    fn scale_0_changes_nothing() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let x_t = Tensor::<4>::from_data(TensorData::new(vec![0.5_f32, -2.0], [2, 1, 1, 1]), &Device::flex());
        let ones = |noisy: &Tensor<4>, _: &[usize]| noisy.ones_like();
        let guided = GradientGuided { denoiser: Standard(&schedule), gradient: ones, scale: 0.0 };
        let [plain, other] = [
            Standard(&schedule).estimate(&schedule, &x_t, &x_t, &[9, 9]).eps,
            guided.estimate(&schedule, &x_t, &x_t, &[9, 9]).eps,
        ]
        .map(|eps| eps.into_data().try_to_vec::<f32>().unwrap());
        assert_eq!(plain, other);
    }
}
