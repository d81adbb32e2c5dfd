//! An extension of the paper: a joint network whose two members have independent noise levels (as in UniDiffuser, Bao et
//! al. 2023). With t_x = 0 it makes images for masks, with t_y = 0 masks for images, with t_x = t_y pairs.

use crate::{
    coefficient::scale,
    denoiser::Denoiser,
    forward::add_noise,
    joint::JointDenoiser,
    prediction::{self, PredictionType},
    schedule::Schedule,
};
use burn::tensor::Tensor;

/// A joint network that receives two timesteps for each sample.
pub trait IndependentDenoiser: JointDenoiser {
    /// The outputs for (x_t, y_t) at the timesteps `t_x` and `t_y`, each in 0..=T; a member at timestep 0 is clean.
    fn predict_at(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t_x: &[usize], t_y: &[usize]) -> (Tensor<4>, Tensor<4>);
}

/// The squared errors of both outputs on one batch, before averaging, each in the shape of its member. For a clean member
/// (timestep 0) there is nothing to predict: its error is 0.
pub fn independent_errors(
    model: &impl IndependentDenoiser,
    schedule: &Schedule,
    (x_0, y_0): (&Tensor<4>, &Tensor<4>),
    (eps_1, eps_2): (&Tensor<4>, &Tensor<4>),
    (t_x, t_y): (&[usize], &[usize]),
) -> (Tensor<4>, Tensor<4>) {
    let x_t = add_noise(schedule, x_0, eps_1, t_x);
    let y_t = add_noise(schedule, y_0, eps_2, t_y);
    let (out_x, out_y) = model.predict_at(&x_t, &y_t, t_x, t_y);
    let kind = JointDenoiser::prediction_type(model);
    let error = |clean: &Tensor<4>, eps, output: Tensor<4>, t: &[usize]| {
        let noisy: Vec<f64> = t.iter().map(|&t| if t == 0 { 0.0 } else { 1.0 }).collect();
        scale((prediction::target(schedule, kind, clean, eps, t) - output).square(), &noisy)
    };
    (error(x_0, eps_1, out_x, t_x), error(y_0, eps_2, out_y, t_y))
}

/// The joint network as a denoiser of images; the guide is a clean mask.
#[derive(Clone, Copy, Debug)]
pub struct ImageGivenMask<D>(
    /// The joint network.
    pub D,
);

impl<D: IndependentDenoiser> Denoiser for ImageGivenMask<D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.0.predict_at(guide, noisy, &vec![0; t.len()], t).1
    }

    fn prediction_type(&self) -> PredictionType {
        JointDenoiser::prediction_type(&self.0)
    }
}

/// The joint network as a denoiser of masks; the guide is a clean image.
#[derive(Clone, Copy, Debug)]
pub struct MaskGivenImage<D>(
    /// The joint network.
    pub D,
);

impl<D: IndependentDenoiser> Denoiser for MaskGivenImage<D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.0.predict_at(noisy, guide, t, &vec![0; t.len()]).0
    }

    fn prediction_type(&self) -> PredictionType {
        JointDenoiser::prediction_type(&self.0)
    }
}

/// Wraps a guider and takes a clean guide: at every timestep the guider sees y_t of Eq. (10), with the same eps. With
/// model_x of the paper it makes masks for images.
#[derive(Clone, Debug)]
pub struct NoisedGuide<'a, D> {
    /// The wrapped guider.
    pub denoiser: D,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// Standard normal noise, shaped like the guide.
    pub eps: Tensor<4>,
}

impl<D: Denoiser> Denoiser for NoisedGuide<'_, D> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.denoiser.predict(noisy, &add_noise(self.schedule, guide, &self.eps, t), t)
    }

    fn prediction_type(&self) -> PredictionType {
        self.denoiser.prediction_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{noise::NoiseSource, noise::Stream, schedule::ScheduleConfig};
    use burn::tensor::{DType, Device};

    /// Returns (x_t + 10 t_x, y_t + 10 t_y + 1).
    struct Told;

    impl JointDenoiser for Told {
        fn predict(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t: &[usize]) -> (Tensor<4>, Tensor<4>) {
            self.predict_at(x_t, y_t, t, t)
        }

        fn prediction_type(&self) -> PredictionType {
            PredictionType::Epsilon
        }
    }

    impl IndependentDenoiser for Told {
        fn predict_at(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t_x: &[usize], t_y: &[usize]) -> (Tensor<4>, Tensor<4>) {
            let plus = |t: &[usize], more: f64| 10.0 * t[0] as f64 + more;
            (x_t.clone().add_scalar(plus(t_x, 0.0)), y_t.clone().add_scalar(plus(t_y, 1.0)))
        }
    }

    fn noise(stream: Stream) -> Tensor<4> {
        NoiseSource::new(1, vec![0], &Device::flex()).with_dtype(DType::F64).draw(stream, 1, [2, 2, 1])
    }

    fn host(tensor: Tensor<4>) -> Vec<f64> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn equal(found: Tensor<4>, expected: Tensor<4>) {
        let error = (found - expected).abs().max().into_scalar::<f64>();
        assert!(error < 1e-12, "{error}");
    }

    #[test]
    fn each_member_is_told_its_own_level_and_the_given_one_is_clean() {
        let (x, y) = (noise(Stream::X), noise(Stream::Y));
        equal(ImageGivenMask(Told).predict(&y, &x, &[7]), y.clone().add_scalar(71.0));
        equal(MaskGivenImage(Told).predict(&x, &y, &[7]), x.add_scalar(70.0));
    }

    #[test]
    fn a_clean_member_has_no_error_and_a_noisy_one_its_own() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let (x, y, e_1, e_2) = (noise(Stream::X), noise(Stream::Y), noise(Stream::TrainX), noise(Stream::TrainY));
        let (error_x, error_y) = independent_errors(&Told, &schedule, (&x, &y), (&e_1, &e_2), (&[0], &[5]));
        assert!(host(error_x).iter().all(|&error| error == 0.0));
        equal(error_y, (e_2.clone() - add_noise(&schedule, &y, &e_2, &[5]).add_scalar(51.0)).square());
    }

    /// The guide is noised to the level of the step, by Eq. (10).
    #[test]
    fn a_given_image_is_noised_to_the_step_s_level() {
        struct Echo;
        impl Denoiser for Echo {
            fn predict(&self, _noisy: &Tensor<4>, guide: &Tensor<4>, _t: &[usize]) -> Tensor<4> {
                guide.clone()
            }

            fn prediction_type(&self) -> PredictionType {
                PredictionType::Epsilon
            }
        }
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let (y, eps) = (noise(Stream::Y), noise(Stream::TrainY));
        let guided = NoisedGuide { denoiser: Echo, schedule: &schedule, eps: eps.clone() };
        for t in [1, 500, 1024] {
            equal(guided.predict(&noise(Stream::X), &y, &[t]), add_noise(&schedule, &y, &eps, &[t]));
        }
    }
}
