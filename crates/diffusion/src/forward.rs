//! The forward process: Eq. (3), which is Eq. (9) for x and Eq. (10) for y.

use crate::{coefficient::scale, schedule::Schedule};
use burn::tensor::Tensor;

/// x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, with one t for each sample. Eq. (3), (9), (10).
///
/// `x_0` and `eps` are `[batch, height, width, channels]`; `t` has `batch` entries in 0..=T, and 0 gives x_0 itself.
pub fn add_noise(schedule: &Schedule, x_0: &Tensor<4>, eps: &Tensor<4>, t: &[usize]) -> Tensor<4> {
    scale(x_0.clone(), &schedule.signal(t)) + scale(eps.clone(), &schedule.noise(t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::ScheduleConfig;
    use burn::tensor::{DType, Device, TensorData};

    /// Eq. (2) applied t times has exactly the mean and variance of Eq. (3). The recursion is linear: the mean of x_0 = 1
    /// and the variance are updated by their own recursions.
    #[test]
    fn closed_form_equals_the_recursion_of_eq_2() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let (mut mean, mut variance) = (1.0_f64, 0.0_f64);
        for t in 1..=1024 {
            mean *= (1.0 - schedule.beta(t)).sqrt();
            variance = (1.0 - schedule.beta(t)) * variance + schedule.beta(t);
            assert!((mean - schedule.alpha_bar(t).sqrt()).abs() < 1e-12);
            assert!((variance - (1.0 - schedule.alpha_bar(t))).abs() < 1e-12);
        }
    }

    #[test]
    fn each_sample_has_its_own_timestep() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        let device = Device::flex();
        let of = |v: f64| Tensor::<4>::from_data(TensorData::new(vec![v; 2], [2, 1, 1, 1]), (&device, DType::F64));
        let noisy =
            add_noise(&schedule, &of(1.0), &of(0.0), &[0, 512]).into_data_as::<f64>().try_to_vec::<f64>().unwrap();
        assert_eq!(noisy[0], 1.0);
        assert!((noisy[1] - schedule.alpha_bar(512).sqrt()).abs() < 1e-15);
    }
}
