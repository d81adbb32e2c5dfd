//! Inputs and outputs of a network scaled channel by channel, so that both are equally strong at every noise level.
//!
//! Karras et al. 2022 ("Elucidating the design space of diffusion-based generative models", Table 1, EDM) scale by the strength of the
//! data. Here every channel has its own: with the Haar transform ([`crate::space`]) that is every band. Fine bands are far weaker than
//! the noise on them. A network that predicts v or eps must then copy this noise to the last digit, and what it gets wrong is seen
//! as grain; here a linear estimate of the band is the start, and the network only adds to it, by no more than the band's own strength.
//! The noise stays white and the loss stays what it is.

use burn::tensor::{Tensor, TensorData};
use pig_diffusion::{prediction::PredictionType, schedule::Schedule};

/// The least strength of a channel. Pictures of 8 bits are no finer than this, and a band that is blank must not divide by zero.
const LEAST_STRENGTH: f64 = 0.01;

/// What a network reads beside its noisy input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// The other member of a pair, at a noise level.
    Noisy,
    /// A condition that is clean or nearly so. It is only read: no network predicts it.
    Clean,
}

/// The strength of a network's channels, and the noise schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Preconditioning {
    schedule: Schedule,
    noisy: Vec<f64>,
    second: (Second, Vec<f64>),
}

impl Preconditioning {
    /// For a noisy input whose channels, as the network reads them, have the root mean squares `noisy` without noise, and for what is read
    /// beside it, with its own.
    pub fn new(schedule: Schedule, noisy: &[f64], (second, strength): (Second, &[f64])) -> Self {
        let bounded = |values: &[f64]| values.iter().map(|value| value.max(LEAST_STRENGTH)).collect();
        Self { schedule, noisy: bounded(noisy), second: (second, bounded(strength)) }
    }

    /// The noisy input at the timesteps `t` (0 for a clean one), `[batch, height, width, channels]`, with a root mean square of 1.
    pub(crate) fn noisy(&self, x: Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.scaled(x, &self.noisy, t, input_scale)
    }

    /// What the network reads beside it. A clean condition is only made weaker, never stronger: it may carry some noise.
    pub(crate) fn second(&self, x: Tensor<4>, t: &[usize]) -> Tensor<4> {
        let (second, strength) = &self.second;
        match second {
            Second::Noisy => self.scaled(x, strength, t, input_scale),
            Second::Clean => self.scaled(x, strength, t, |_, strength| strength.max(1.0).recip()),
        }
    }

    /// The prediction for the noisy input `x` by the network's `output`.
    pub(crate) fn output(&self, kind: PredictionType, x: Tensor<4>, output: Tensor<4>, t: &[usize]) -> Tensor<4> {
        self.joined(kind, &self.noisy, x, output, t)
    }

    /// Likewise for the other member of a pair.
    pub(crate) fn second_output(
        &self,
        kind: PredictionType,
        y: Tensor<4>,
        output: Tensor<4>,
        t: &[usize],
    ) -> Tensor<4> {
        self.joined(kind, &self.second.1, y, output, t)
    }

    fn joined(
        &self,
        kind: PredictionType,
        strength: &[f64],
        x: Tensor<4>,
        output: Tensor<4>,
        t: &[usize],
    ) -> Tensor<4> {
        let of_input = |alpha_bar, strength| output_scales(kind, alpha_bar, strength).0;
        let of_output = |alpha_bar, strength| output_scales(kind, alpha_bar, strength).1;
        self.scaled(x, strength, t, of_input) + self.scaled(output, strength, t, of_output)
    }

    /// Multiplies each channel of each sample by a function of its noise level and its strength.
    fn scaled(&self, x: Tensor<4>, strength: &[f64], t: &[usize], by: impl Fn(f64, f64) -> f64) -> Tensor<4> {
        debug_assert_eq!(x.dims()[3], strength.len());
        // In sampling, all samples are at one timestep.
        let t = if t.iter().all(|other| Some(other) == t.first()) { &t[..t.len().min(1)] } else { t };
        let factors: Vec<f64> = t
            .iter()
            .flat_map(|&t| strength.iter().map(move |&strength| (t, strength)))
            .map(|(t, strength)| by(self.schedule.alpha_bar(t), strength))
            .collect();
        let (device, dtype) = (x.device(), x.dtype());
        let factors = TensorData::new(factors, [t.len(), 1, 1, strength.len()]).convert_dtype(dtype);
        x.mul(Tensor::from_data(factors, (&device, dtype)))
    }
}

/// Mean square of sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps.
fn power(alpha_bar: f64, strength: f64) -> f64 {
    alpha_bar * strength * strength + (1.0 - alpha_bar)
}

/// c_in of Karras et al.
fn input_scale(alpha_bar: f64, strength: f64) -> f64 {
    power(alpha_bar, strength).sqrt().recip()
}

/// c_skip and c_out of Karras et al., for each type of prediction: the factor of the noisy input and that of the network's output. For a
/// strength of 1, the network's output is v, whatever is predicted.
fn output_scales(kind: PredictionType, alpha_bar: f64, strength: f64) -> (f64, f64) {
    let (signal, noise) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
    let power = power(alpha_bar, strength);
    let root = power.sqrt();
    match kind {
        PredictionType::Sample => (signal * strength * strength / power, -noise * strength / root),
        PredictionType::Epsilon => (noise / power, signal * strength / root),
        PredictionType::VPrediction => (signal * noise * (1.0 - strength * strength) / power, strength / root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};
    use pig_diffusion::{prediction::Estimate, schedule::ScheduleConfig};

    const KINDS: [PredictionType; 3] = [PredictionType::Epsilon, PredictionType::VPrediction, PredictionType::Sample];
    const LEVELS: [f64; 4] = [0.9999, 0.7, 0.02, 1e-5];

    /// x_0-hat by the factors of a prediction: the factor of the input and that of the output.
    fn clean(kind: PredictionType, alpha_bar: f64, strength: f64) -> (f64, f64) {
        let (signal, noise) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        let (input, output) = output_scales(kind, alpha_bar, strength);
        match kind {
            PredictionType::Sample => (input, output),
            PredictionType::Epsilon => ((1.0 - noise * input) / signal, -noise * output / signal),
            PredictionType::VPrediction => (signal - noise * input, -noise * output),
        }
    }

    /// With a network that says 0, the estimate is the best linear one of a Gaussian, E[x_0 | x_t]; what the network must say has a
    /// mean square of 1 at every level; and the noisy input as it reads it has so, too.
    #[test]
    fn the_network_starts_at_the_best_linear_estimate_and_has_a_target_of_strength_one() {
        for alpha_bar in LEVELS {
            for strength in [0.02, 0.3, 1.0, 4.0] {
                let (signal, noise) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
                let variance: f64 = strength * strength;
                let power = alpha_bar * variance + noise * noise;
                for kind in KINDS {
                    let (input, output) = clean(kind, alpha_bar, strength);
                    let wiener = signal * variance / power;
                    assert!((input - wiener).abs() < 1e-9 * (1.0 + wiener), "{kind:?} {alpha_bar} {strength}: {input}");
                    // x_0 = input (signal x_0 + noise eps) + output F, solved for F.
                    let (of_x0, of_eps) = ((1.0 - input * signal) / output, -input * noise / output);
                    let target = of_x0 * of_x0 * variance + of_eps * of_eps;
                    assert!((target - 1.0).abs() < 1e-6, "{kind:?} {alpha_bar} {strength}: {target}");
                }
                assert!((input_scale(alpha_bar, strength).powi(2) * power - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn one_output_gives_one_estimate_whatever_is_predicted() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let strength = [3.0, 0.4, 0.05];
        let scales = Preconditioning::new(schedule.clone(), &strength, (Second::Clean, &[2.0, 0.5]));
        let random = || Tensor::<4>::random([2, 4, 4, 3], Distribution::Normal(0.0, 1.0), &Device::flex());
        let (x, output, t) = (random(), random(), [40, 700]);
        let estimate = |kind| {
            let predicted = scales.output(kind, x.clone(), output.clone(), &t);
            Estimate::new(&schedule, kind, &x, predicted, &t).x_0
        };
        let [eps, v, sample] = KINDS.map(estimate);
        for other in [eps, v] {
            assert!((other - sample.clone()).abs().max().into_scalar::<f32>() < 2e-5);
        }
    }

    #[test]
    fn strengths_of_one_change_nothing_but_the_meaning_of_eps_and_sample() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let scales = Preconditioning::new(schedule, &[1.0; 3], (Second::Noisy, &[1.0; 3]));
        let x = Tensor::<4>::random([2, 4, 4, 3], Distribution::Normal(0.0, 1.0), &Device::flex());
        let output = Tensor::<4>::random([2, 4, 4, 3], Distribution::Normal(0.0, 1.0), &Device::flex());
        let same = |a: Tensor<4>, b: &Tensor<4>| (a - b.clone()).abs().max().into_scalar::<f32>() < 1e-6;
        let t = [0, 1024];
        assert!(same(scales.noisy(x.clone(), &t), &x) && same(scales.second(x.clone(), &t), &x));
        assert!(same(scales.output(PredictionType::VPrediction, x.clone(), output.clone(), &t), &output));
    }

    /// In sampling all samples share a timestep, and in training they do not.
    #[test]
    fn a_sample_does_not_depend_on_the_timesteps_of_the_others() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let scales = Preconditioning::new(schedule, &[2.0, 0.2, 0.1, 0.05], (Second::Noisy, &[1.0, 0.5]));
        let x = Tensor::<4>::random([3, 4, 4, 4], Distribution::Normal(0.0, 1.0), &Device::flex());
        let together = scales.noisy(x.clone(), &[500; 3]);
        let apart = scales.noisy(x, &[500, 500, 3]);
        let difference = (together.narrow(0, 0, 2) - apart.narrow(0, 0, 2)).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
    }

    /// A blank band has no strength; a clean condition with noise on it must not be made stronger.
    #[test]
    fn nothing_is_divided_by_a_blank_band() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let scales = Preconditioning::new(schedule, &[0.0, 2.0], (Second::Clean, &[0.0, 4.0]));
        let ones = || Tensor::<4>::ones([1, 1, 1, 2], &Device::flex());
        let values = |x: Tensor<4>| x.into_data().try_into_vec::<f32>().unwrap();
        assert!(values(scales.noisy(ones(), &[0])).iter().all(|value| value.is_finite()));
        assert_eq!(values(scales.second(ones(), &[0])), [1.0, 0.25]);
    }
}
