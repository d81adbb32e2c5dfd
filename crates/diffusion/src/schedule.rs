//! Noise schedules: beta_t and alpha_bar_t for t in 1..=T, Eq. (1) to (3).
//!
//! The paper counts t from 1; arrays and published networks count from 0. Only this file deals with that offset.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How beta_t grows from `beta_start` to `beta_end`; names and definitions as in diffusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Linear in beta: the paper's schedule (Ho et al. 2020).
    Linear,
    /// Linear in the square root of beta (latent diffusion, Rombach et al. 2022).
    ScaledLinear,
    /// alpha_bar follows a squared cosine, and betas are at most 0.999 (Nichol and Dhariwal 2021); `beta_start` and
    /// `beta_end` are not used. diffusers calls it `squaredcos_cap_v2`.
    #[serde(alias = "squaredcos_cap_v2")]
    Cosine,
    /// Sigmoid from -6 to 6 between the two ends (GeoDiff, Xu et al. 2022).
    Sigmoid,
}

/// The `[schedule]` section of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// T, the number of noise levels in training.
    pub num_train_timesteps: usize,
    /// The shape of beta_t over t.
    pub beta_schedule: BetaSchedule,
    /// beta_1.
    pub beta_start: f64,
    /// beta_T.
    pub beta_end: f64,
    /// Divide the signal-to-noise ratio of every timestep by the square of this number (Hoogeboom et al. 2023, "simple diffusion"): 1 for
    /// none. Pictures of twice the side need twice as strong noise to hide as much; in wavelet space, 2^`haar_levels` does the same.
    pub snr_shift: f64,
    /// Rescale so that alpha_bar_T is exactly 0 (Lin et al. 2024, Algorithm 1); needs `v_prediction` or `sample`.
    pub rescale_zero_terminal_snr: bool,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1024,
            beta_schedule: BetaSchedule::Linear,
            beta_start: 1e-4,
            beta_end: 0.02,
            snr_shift: 1.0,
            rescale_zero_terminal_snr: false,
        }
    }
}

/// The largest T. Published models have 1000 or so; far larger tables would fill the memory before anyone could walk them.
pub const MOST_TIMESTEPS: usize = 100_000;

/// A schedule that cannot be built.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ScheduleError {
    /// T must be positive.
    #[error("schedule.num_train_timesteps is 0, expected 1 or more (the paper uses 1024)")]
    NoTimesteps,
    /// T must not be absurd.
    #[error("schedule.num_train_timesteps = {found}, expected 1 to {MOST_TIMESTEPS} (the paper uses 1024)")]
    TooManyTimesteps {
        /// The configured T.
        found: usize,
    },
    /// The shift must be a positive number.
    #[error("schedule.snr_shift = {found}, expected a number above 0; 1 shifts nothing")]
    Shift {
        /// The configured shift.
        found: f64,
    },
    /// Betas must lie in (0, 1) and must not decrease.
    #[error("schedule.beta_start = {start} and schedule.beta_end = {end}, expected 0 < beta_start <= beta_end < 1")]
    BetaRange {
        /// The configured `beta_start`.
        start: f64,
        /// The configured `beta_end`.
        end: f64,
    },
}

/// beta_t and alpha_bar_t for t in 1..=T, in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    betas: Vec<f64>,
    /// `alpha_bars[t]`; entry 0 is the clean image, alpha_bar(0) = 1.
    alpha_bars: Vec<f64>,
}

impl Schedule {
    /// Builds the schedule that `config` describes.
    pub fn new(config: &ScheduleConfig) -> Result<Self, ScheduleError> {
        let steps = config.num_train_timesteps;
        let (start, end) = (config.beta_start, config.beta_end);
        if steps == 0 {
            return Err(ScheduleError::NoTimesteps);
        }
        if steps > MOST_TIMESTEPS {
            return Err(ScheduleError::TooManyTimesteps { found: steps });
        }
        if !(start > 0.0 && start <= end && end < 1.0) {
            return Err(ScheduleError::BetaRange { start, end });
        }
        let betas = match config.beta_schedule {
            BetaSchedule::Linear => linspace(start, end, steps),
            BetaSchedule::ScaledLinear => {
                linspace(start.sqrt(), end.sqrt(), steps).into_iter().map(|b| b * b).collect()
            }
            BetaSchedule::Cosine => cosine_betas(steps),
            BetaSchedule::Sigmoid => {
                linspace(-6.0, 6.0, steps).into_iter().map(|b| (end - start) / (1.0 + libm::exp(-b)) + start).collect()
            }
        };
        let shift = config.snr_shift;
        if !(shift.is_finite() && shift > 0.0) {
            return Err(ScheduleError::Shift { found: shift });
        }
        let betas = if shift == 1.0 { betas } else { shifted(&betas, shift) };
        Ok(Self::from_betas(if config.rescale_zero_terminal_snr { rescale_zero_terminal_snr(&betas) } else { betas }))
    }

    /// The schedule with the given beta_1, .., beta_T. Betas must lie in (0, 1]; a last beta of 1 gives alpha_bar_T = 0.
    pub fn from_betas(betas: Vec<f64>) -> Self {
        let mut alpha_bars = vec![1.0];
        let mut product = 1.0;
        for beta in &betas {
            product *= 1.0 - beta;
            alpha_bars.push(product);
        }
        Self { betas, alpha_bars }
    }

    /// This schedule with another alpha_bar at each of the given timesteps; the betas stay unchanged.
    #[must_use]
    pub fn with_alpha_bars(&self, levels: &[(usize, f64)]) -> Self {
        let mut other = self.clone();
        for &(t, alpha_bar) in levels {
            other.alpha_bars[t] = alpha_bar;
        }
        other
    }

    /// T.
    pub fn num_train_timesteps(&self) -> usize {
        self.betas.len()
    }

    /// beta_t for t in 1..=T.
    pub fn beta(&self, t: usize) -> f64 {
        self.betas[t - 1]
    }

    /// alpha_bar_t = prod_{i=1}^t (1 - beta_i), Eq. (3), for t in 0..=T; alpha_bar(0) = 1.
    pub fn alpha_bar(&self, t: usize) -> f64 {
        self.alpha_bars[t]
    }

    /// sqrt(alpha_bar_t) for each t: the coefficient of the signal in Eq. (3).
    pub(crate) fn signal(&self, t: &[usize]) -> Vec<f64> {
        t.iter().map(|&t| self.alpha_bar(t).sqrt()).collect()
    }

    /// sqrt(1 - alpha_bar_t) for each t: the coefficient of the noise in Eq. (3).
    pub(crate) fn noise(&self, t: &[usize]) -> Vec<f64> {
        t.iter().map(|&t| (1.0 - self.alpha_bar(t)).sqrt()).collect()
    }
}

/// The betas of the schedule whose signal-to-noise ratio at each timestep is that of `betas` divided by the square of `shift`.
fn shifted(betas: &[f64], shift: f64) -> Vec<f64> {
    let (mut product, mut before) = (1.0, 1.0);
    let beta = |beta: &f64| {
        product *= 1.0 - beta;
        // alpha_bar of the ratio alpha_bar / (1 - alpha_bar) / shift^2.
        let alpha_bar = product / (product + shift * shift * (1.0 - product));
        let beta = 1.0 - alpha_bar / before;
        before = alpha_bar;
        beta
    };
    betas.iter().map(beta).collect()
}

/// The time that a published network, which counts from 0, takes for the paper's t.
pub fn network_time(t: usize) -> f32 {
    (t - 1) as f32
}

/// The paper's t for the time of a published network or scheduler, which counts from 0.
pub fn from_network_time(time: usize) -> usize {
    time + 1
}

fn linspace(first: f64, last: f64, count: usize) -> Vec<f64> {
    if count == 1 {
        return vec![first];
    }
    let step = (last - first) / (count - 1) as f64;
    (0..count).map(|i| if i + 1 == count { last } else { first + step * i as f64 }).collect()
}

/// Nichol and Dhariwal 2021, Eq. (17), with their upper limit for betas.
fn cosine_betas(steps: usize) -> Vec<f64> {
    const MAX_BETA: f64 = 0.999;
    let alpha_bar = |t: f64| {
        let c = libm::cos((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2);
        c * c
    };
    let time = |i: usize| i as f64 / steps as f64;
    (0..steps).map(|i| (1.0 - alpha_bar(time(i + 1)) / alpha_bar(time(i))).min(MAX_BETA)).collect()
}

/// Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps Are Flawed", Algorithm 1: shifts and scales
/// sqrt(alpha_bar) so that the last value becomes 0 and the first value does not change.
fn rescale_zero_terminal_snr(betas: &[f64]) -> Vec<f64> {
    let roots: Vec<f64> = Schedule::from_betas(betas.to_vec()).alpha_bars[1..].iter().map(|a| a.sqrt()).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    if first == last {
        return vec![1.0; betas.len()];
    }
    let mut previous = 1.0;
    roots
        .iter()
        .map(|root| {
            let alpha_bar = ((root - last) * first / (first - last)).powi(2);
            let beta = 1.0 - alpha_bar / previous;
            previous = alpha_bar;
            beta
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Averaging 2 x 2 pixels halves the noise; a shift by 2 makes up for it. log-SNR falls by 2 ln 2 everywhere.
    #[test]
    fn a_shift_divides_the_ratio_of_signal_to_noise() {
        let with = |snr_shift| Schedule::new(&ScheduleConfig { snr_shift, ..ScheduleConfig::default() });
        let (plain, shifted) = (with(1.0).unwrap(), with(2.0).unwrap());
        assert_eq!(plain, Schedule::new(&ScheduleConfig::default()).unwrap());
        let ratio = |schedule: &Schedule, t: usize| schedule.alpha_bar(t) / (1.0 - schedule.alpha_bar(t));
        for t in 1..=1024 {
            let found = ratio(&plain, t) / ratio(&shifted, t);
            assert!((found - 4.0).abs() < 1e-9, "t = {t}: {found}");
            assert!(shifted.beta(t) > 0.0 && shifted.beta(t) < 1.0);
        }
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(with(wrong).unwrap_err().to_string().contains("schedule.snr_shift"));
        }
    }

    #[test]
    fn paper_schedule_has_its_known_ends() {
        let schedule = Schedule::new(&ScheduleConfig::default()).unwrap();
        assert_eq!(schedule.num_train_timesteps(), 1024);
        assert_eq!(schedule.alpha_bar(0), 1.0);
        assert_eq!(schedule.beta(1), 1e-4);
        assert_eq!(schedule.beta(1024), 0.02);
        // sqrt(alpha_bar_T), the share of the clean image that remains at t = T, is about 0.0056.
        assert!((schedule.alpha_bar(1024).sqrt() - 0.0056).abs() < 5e-5);
    }

    #[test]
    fn zero_terminal_snr_keeps_the_first_level_and_ends_at_zero() {
        let config = ScheduleConfig { rescale_zero_terminal_snr: true, ..Default::default() };
        let (plain, rescaled) = (Schedule::new(&ScheduleConfig::default()).unwrap(), Schedule::new(&config).unwrap());
        assert_eq!(rescaled.alpha_bar(1024), 0.0);
        assert!((rescaled.alpha_bar(1) - plain.alpha_bar(1)).abs() < 1e-15);
        assert!((1..=1024).all(|t| rescaled.alpha_bar(t) < rescaled.alpha_bar(t - 1)));
    }

    #[test]
    fn every_schedule_decreases_from_one() {
        for beta_schedule in
            [BetaSchedule::Linear, BetaSchedule::ScaledLinear, BetaSchedule::Cosine, BetaSchedule::Sigmoid]
        {
            let schedule = Schedule::new(&ScheduleConfig { beta_schedule, ..Default::default() }).unwrap();
            assert!((1..=1024).all(|t| schedule.alpha_bar(t) < schedule.alpha_bar(t - 1)), "{beta_schedule:?}");
            assert!(schedule.alpha_bar(1024) > 0.0 && schedule.alpha_bar(1024) < 0.01, "{beta_schedule:?}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let none = ScheduleConfig { num_train_timesteps: 0, ..Default::default() };
        assert_eq!(Schedule::new(&none), Err(ScheduleError::NoTimesteps));
        let inverted = ScheduleConfig { beta_start: 0.5, beta_end: 0.1, ..Default::default() };
        assert_eq!(Schedule::new(&inverted), Err(ScheduleError::BetaRange { start: 0.5, end: 0.1 }));
    }
}
