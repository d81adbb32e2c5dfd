//! Autoguidance (Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself"): sampling moves a network's output away
//! from that of a worse network with the same task, such as an earlier checkpoint. Errors that both share, and that the worse one makes
//! more strongly, become smaller.

use crate::{
    denoiser::Denoiser, guidance::Interval, independent::IndependentDenoiser, joint::JointDenoiser,
    prediction::PredictionType,
};
use burn::tensor::Tensor;

/// A worse network, and how far to move away from it. Both networks predict the same type.
#[derive(Clone, Debug)]
pub struct Weak<W> {
    /// The worse network.
    pub network: W,
    /// The output is weak + scale (strong - weak): 1 is the network's own output.
    pub scale: f64,
    /// The noise levels at which it is used.
    pub interval: Interval,
}

/// A network with autoguidance, or as it is. This works for every prediction type, because at a given x_t each of the three is an affine
/// function of the others.
#[derive(Clone, Debug)]
pub struct Autoguided<D, W> {
    /// The network.
    pub strong: D,
    /// The worse network; none for the network's own output.
    pub weak: Option<Weak<W>>,
}

impl<D, W> Autoguided<D, W> {
    /// The worse network, if it is used at the timesteps `t`.
    fn acting(&self, t: &[usize]) -> Option<&Weak<W>> {
        self.weak.as_ref().filter(|weak| weak.scale != 1.0 && weak.interval.contains(t))
    }
}

fn moved(strong: Tensor<4>, weak: Tensor<4>, scale: f64) -> Tensor<4> {
    weak.clone() + (strong - weak).mul_scalar(scale)
}

fn both_moved(strong: (Tensor<4>, Tensor<4>), weak: (Tensor<4>, Tensor<4>), scale: f64) -> (Tensor<4>, Tensor<4>) {
    (moved(strong.0, weak.0, scale), moved(strong.1, weak.1, scale))
}

impl<D: Denoiser, W: Denoiser> Denoiser for Autoguided<D, W> {
    fn predict(&self, noisy: &Tensor<4>, guide: &Tensor<4>, t: &[usize]) -> Tensor<4> {
        let strong = self.strong.predict(noisy, guide, t);
        match self.acting(t) {
            Some(weak) => moved(strong, weak.network.predict(noisy, guide, t), weak.scale),
            None => strong,
        }
    }

    fn prediction_type(&self) -> PredictionType {
        self.strong.prediction_type()
    }
}

impl<D: JointDenoiser, W: JointDenoiser> JointDenoiser for Autoguided<D, W> {
    fn predict(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t: &[usize]) -> (Tensor<4>, Tensor<4>) {
        let strong = self.strong.predict(x_t, y_t, t);
        match self.acting(t) {
            Some(weak) => both_moved(strong, weak.network.predict(x_t, y_t, t), weak.scale),
            None => strong,
        }
    }

    fn prediction_type(&self) -> PredictionType {
        self.strong.prediction_type()
    }
}

/// The interval is that of the noisier member.
impl<D: IndependentDenoiser, W: IndependentDenoiser> IndependentDenoiser for Autoguided<D, W> {
    fn predict_at(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t_x: &[usize], t_y: &[usize]) -> (Tensor<4>, Tensor<4>) {
        let strong = self.strong.predict_at(x_t, y_t, t_x, t_y);
        let t: Vec<usize> = t_x.iter().zip(t_y).map(|(&x, &y)| x.max(y)).collect();
        match self.acting(&t) {
            Some(weak) => both_moved(strong, weak.network.predict_at(x_t, y_t, t_x, t_y), weak.scale),
            None => strong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use burn::tensor::{Device, TensorData};

    /// Answers with a number.
    struct Constant(f32);

    impl Denoiser for Constant {
        fn predict(&self, noisy: &Tensor<4>, _guide: &Tensor<4>, _t: &[usize]) -> Tensor<4> {
            noisy.full_like(self.0)
        }

        fn prediction_type(&self) -> PredictionType {
            PredictionType::Sample
        }
    }

    impl JointDenoiser for Constant {
        fn predict(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, _t: &[usize]) -> (Tensor<4>, Tensor<4>) {
            (x_t.full_like(self.0), y_t.full_like(10.0 * self.0))
        }

        fn prediction_type(&self) -> PredictionType {
            PredictionType::Sample
        }
    }

    impl IndependentDenoiser for Constant {
        fn predict_at(&self, x_t: &Tensor<4>, y_t: &Tensor<4>, t_x: &[usize], _: &[usize]) -> (Tensor<4>, Tensor<4>) {
            JointDenoiser::predict(self, x_t, y_t, t_x)
        }
    }

    fn value(tensor: Tensor<4>) -> f32 {
        tensor.into_scalar()
    }

    #[test]
    fn the_answer_moves_away_from_that_of_the_worse_network() {
        let noisy = Tensor::<4>::from_data(TensorData::new(vec![0.0_f32], [1, 1, 1, 1]), &Device::flex());
        let schedule = Schedule::from_betas(vec![0.2, 0.375, 0.8]);
        let network = |scale, interval| Autoguided {
            strong: Constant(3.0),
            weak: Some(Weak { network: Constant(2.0), scale, interval }),
        };
        let answer = |scale, interval, t| value(Denoiser::predict(&network(scale, interval), &noisy, &noisy, &[t]));
        assert_eq!([1.0, 2.0, 3.0].map(|scale| answer(scale, Interval::default(), 1)), [3.0, 4.0, 5.0]);
        let interval = || Interval::of(&schedule, [0.9, 1.1]);
        assert_eq!([1, 2, 3].map(|t| answer(3.0, interval(), t)), [3.0, 5.0, 3.0]);
        let alone = Autoguided { strong: Constant(3.0), weak: None::<Weak<Constant>> };
        assert_eq!(value(Denoiser::predict(&alone, &noisy, &noisy, &[1])), 3.0);
        let joint = |interval, t| {
            let (x, y) = JointDenoiser::predict(&network(2.0, interval), &noisy, &noisy, &[t]);
            [value(x), value(y)]
        };
        assert_eq!(joint(Interval::default(), 1), [4.0, 40.0]);
        assert_eq!(joint(interval(), 3), [3.0, 30.0]);
        let apart = |t_x, t_y| value(network(2.0, interval()).predict_at(&noisy, &noisy, &[t_x], &[t_y]).0);
        assert_eq!([apart(0, 2), apart(2, 1), apart(2, 3)], [4.0, 4.0, 3.0]);
    }
}
