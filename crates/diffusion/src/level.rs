//! Noise levels in the quantities that the solvers of the probability-flow ODE use.

use crate::schedule::Schedule;

/// With zero terminal SNR, alpha_bar_T is 0. Solvers use this value instead, so that the log-SNR is finite; diffusers uses
/// the same value.
const IN_PLACE_OF_ZERO: f64 = 1.0 / (1 << 24) as f64;

/// A noise level: x = alpha x_0 + sigma eps, with alpha^2 + sigma^2 = 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// sqrt(alpha_bar), the coefficient of the signal.
    pub alpha: f64,
    /// sqrt(1 - alpha_bar), the coefficient of the noise.
    pub sigma: f64,
}

impl Level {
    /// The level of `alpha_bar`.
    pub fn new(alpha_bar: f64) -> Self {
        let alpha_bar = if alpha_bar == 0.0 { IN_PLACE_OF_ZERO } else { alpha_bar };
        Self { alpha: alpha_bar.sqrt(), sigma: (1.0 - alpha_bar).sqrt() }
    }

    /// The level of timestep `t` in 0..=T.
    pub fn at(schedule: &Schedule, t: usize) -> Self {
        Self::new(schedule.alpha_bar(t))
    }

    /// alpha_bar of the level whose [`Self::ratio`] is `ratio`.
    pub fn alpha_bar_of_ratio(ratio: f64) -> f64 {
        1.0 / (1.0 + ratio * ratio)
    }

    /// Whether there is no noise at all.
    pub fn is_clean(self) -> bool {
        self.sigma == 0.0
    }

    /// sigma / alpha: the sigma of Karras et al. 2022, whose samples are x / alpha = x_0 + ratio eps.
    pub fn ratio(self) -> f64 {
        self.sigma / self.alpha
    }

    /// lambda = ln(alpha / sigma) of Lu et al. 2022, half the logarithm of the SNR; infinite without noise.
    pub fn lambda(self) -> f64 {
        libm::log(self.alpha) - libm::log(self.sigma)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_words_say_the_same() {
        for alpha_bar in [0.999_9, 0.5, 3e-5] {
            let level = Level::new(alpha_bar);
            assert!((level.alpha * level.alpha - alpha_bar).abs() < 1e-15);
            assert!((libm::exp(-level.lambda()) - level.ratio()).abs() < 1e-12 * level.ratio());
            assert!((Level::alpha_bar_of_ratio(level.ratio()) - alpha_bar).abs() < 1e-15);
        }
    }

    #[test]
    fn both_ends_can_be_said() {
        let clean = Level::new(1.0);
        assert!(clean.is_clean() && clean.ratio() == 0.0 && clean.lambda() == f64::INFINITY);
        let noise = Level::new(0.0);
        assert!(noise.lambda().is_finite() && noise.ratio() < 4096.0 && noise.ratio() > 4095.9);
    }
}
