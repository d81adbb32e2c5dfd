//! Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models": their noise levels (Eq. (5))
//! and the stochastic sampler's noise (Algorithm 2).
//!
//! Their samples are x / sqrt(alpha_bar) and their sigma is [`Level::ratio`]. A network that was trained at T discrete
//! timesteps is evaluated at the nearest one.

use crate::{level::Level, schedule::Schedule, timesteps::Timesteps};

/// The exponent rho of Eq. (5) that Karras et al. recommend.
const RHO: f64 = 7.0;

/// Too many steps: two noise levels would have the same nearest timestep.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "sample.num_inference_steps is {steps}, but with so many steps two noise levels of Karras et al. have the same \
     nearest timestep; expected 1 to {most} for this schedule"
)]
pub struct KarrasError {
    /// The requested number of steps.
    pub steps: usize,
    /// The largest number of steps that the schedule allows.
    pub most: usize,
}

/// Eq. (5): `steps` ratios from `largest` down to `smallest`, evenly spaced in their 7th root.
pub fn karras_sigmas(largest: f64, smallest: f64, steps: usize) -> Vec<f64> {
    let root = |sigma: f64| libm::pow(sigma, 1.0 / RHO);
    let share = |i: usize| if steps == 1 { 0.0 } else { i as f64 / (steps - 1) as f64 };
    (0..steps).map(|i| libm::pow(root(largest) + share(i) * (root(smallest) - root(largest)), RHO)).collect()
}

/// Sampling at the levels of Eq. (5), from that of t = T to that of t = 1: the moves between the nearest timesteps, and a
/// schedule that has exactly these levels at those timesteps.
///
/// As diffusers' `use_karras_sigmas`: the solver uses the exact levels, the network receives the nearest timestep.
pub fn karras_levels(schedule: &Schedule, steps: usize) -> Result<(Schedule, Timesteps), KarrasError> {
    let last = schedule.num_train_timesteps();
    let (largest, smallest) = (Level::at(schedule, last).ratio(), Level::at(schedule, 1).ratio());
    let kept = |steps: usize| -> Vec<(usize, f64)> {
        let place = |sigma: f64| (nearest(schedule, sigma), Level::alpha_bar_of_ratio(sigma));
        karras_sigmas(largest, smallest, steps).into_iter().map(place).collect()
    };
    let falls = |kept: &[(usize, f64)]| kept.windows(2).all(|pair| pair[1].0 < pair[0].0);
    // There are no more levels than timesteps, however many are asked for.
    let levels = if steps <= last { kept(steps) } else { Vec::new() };
    if levels.is_empty() || !falls(&levels) {
        let most = (1..steps.min(last + 1)).rev().find(|&fewer| falls(&kept(fewer))).unwrap_or(1);
        return Err(KarrasError { steps, most });
    }
    let timesteps: Vec<usize> = levels.iter().map(|level| level.0).collect();
    Ok((schedule.with_alpha_bars(&levels), Timesteps::from_kept(&timesteps)))
}

/// The timestep whose ratio is nearest to `ratio`; distances to the two neighbours are measured on the logarithm.
fn nearest(schedule: &Schedule, ratio: f64) -> usize {
    let last = schedule.num_train_timesteps();
    let log = |t: usize| libm::log(Level::at(schedule, t).ratio());
    let below = (1..=last).take_while(|&t| Level::at(schedule, t).ratio() <= ratio).count();
    let low = below.clamp(1, (last - 1).max(1));
    let high = (low + 1).min(last);
    let share = if high == low { 0.0 } else { (libm::log(ratio) - log(low)) / (log(high) - log(low)) };
    low + libm::rint(share.clamp(0.0, 1.0)) as usize
}

/// How much noise Algorithm 2 adds before each move. Names are those of Karras et al.; sigma is [`Level::ratio`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// S_churn: the noise of all steps together. Each step adds an equal share, at most sqrt(2) - 1 times its sigma.
    pub s_churn: f64,
    /// S_tmin: no noise is added below this sigma.
    pub s_tmin: f64,
    /// S_tmax: no noise is added above this sigma.
    pub s_tmax: f64,
}

impl Churn {
    /// Lines 4 and 5 of Algorithm 2 of Karras et al.: sigma-hat for a chain of `steps` moves.
    fn raised(self, sigma: f64, steps: usize) -> f64 {
        let gamma = (self.s_churn / steps as f64).min(std::f64::consts::SQRT_2 - 1.0);
        if (self.s_tmin..=self.s_tmax).contains(&sigma) { (1.0 + gamma) * sigma } else { sigma }
    }
}

/// Algorithm 2's moves for [`crate::step::Heun`]: the levels of [`karras_levels`], with two evaluations for each move, and
/// with noise added between moves up to the timestep nearest to sigma-hat.
///
/// No noise is added before the first move, because it starts at t = T, the highest level.
pub fn edm_levels(schedule: &Schedule, steps: usize, churn: Churn) -> Result<(Schedule, Timesteps), KarrasError> {
    let (levels, timesteps) = karras_levels(schedule, steps)?;
    let raised = |t| {
        let sigma = Level::at(&levels, t).ratio();
        if churn.s_churn == 0.0 { t } else { nearest(schedule, churn.raised(sigma, steps)).max(t) }
    };
    let corrected = timesteps.corrected(raised);
    Ok((levels, corrected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::ScheduleConfig;

    fn schedule() -> Schedule {
        Schedule::new(&ScheduleConfig::default()).unwrap()
    }

    #[test]
    fn levels_are_the_schedule_s_own_at_both_ends_and_exact_between() {
        let (plain, steps) = (schedule(), 20);
        let (moved, timesteps) = karras_levels(&plain, steps).unwrap();
        let kept: Vec<usize> = timesteps.iter().map(|at| at.t).collect();
        assert_eq!((kept[0], kept[steps - 1], kept.len()), (1024, 1, steps));
        let ratio = |schedule: &Schedule, t| Level::at(schedule, t).ratio();
        let sigmas = karras_sigmas(ratio(&plain, 1024), ratio(&plain, 1), steps);
        for (&t, sigma) in kept.iter().zip(sigmas) {
            assert!((ratio(&moved, t) / sigma - 1.0).abs() < 1e-9);
            assert!(ratio(&plain, t.saturating_sub(1)) <= sigma * (1.0 + 1e-9), "{t} is not the nearest");
            assert!(t == 1024 || ratio(&plain, t + 1) >= sigma, "{t} is not the nearest");
        }
        let others = (1..=1024).filter(|t| !kept.contains(t));
        assert!(others.into_iter().all(|t| moved.alpha_bar(t) == plain.alpha_bar(t)));
    }

    #[test]
    fn levels_that_cannot_be_told_apart_are_refused() {
        let error = karras_levels(&schedule(), 200).unwrap_err();
        assert_eq!(error.steps, 200);
        assert!(karras_levels(&schedule(), error.most).is_ok());
        assert!(karras_levels(&schedule(), error.most + 1).is_err());
        assert!(karras_levels(&schedule(), 1).is_ok());
    }

    #[test]
    fn every_timestep_is_nearest_to_itself() {
        let schedule = schedule();
        for t in [1, 2, 3, 500, 1023, 1024] {
            assert_eq!(nearest(&schedule, Level::at(&schedule, t).ratio()), t);
        }
        assert_eq!((nearest(&schedule, 1e-9), nearest(&schedule, 1e9)), (1, 1024));
        let one = Schedule::from_betas(vec![0.5]);
        assert_eq!((nearest(&one, 0.1), nearest(&one, 7.0)), (1, 1));
    }

    #[test]
    fn churn_raises_by_its_share_within_its_bounds() {
        let churn = Churn { s_churn: 4.0, s_tmin: 0.05, s_tmax: 50.0 };
        assert!((churn.raised(1.0, 40) - 1.1).abs() < 1e-12, "gamma is 4 / 40");
        let capped = Churn { s_churn: 1e6, ..churn };
        assert!((capped.raised(1.0, 40) - std::f64::consts::SQRT_2).abs() < 1e-12);
        assert_eq!((churn.raised(0.04, 40), churn.raised(51.0, 40)), (0.04, 51.0));
    }

    #[test]
    fn moves_rise_to_the_nearest_timestep_and_never_above_t() {
        let schedule = schedule();
        let moves = |s_churn| -> Vec<(usize, usize)> {
            let churn = Churn { s_churn, s_tmin: 0.0, s_tmax: f64::INFINITY };
            edm_levels(&schedule, 12, churn).unwrap().1.iter().map(|at| (at.t, at.t_prev)).collect()
        };
        assert!(moves(0.0).iter().all(|at| at.1 <= at.0), "without noise nothing rises");
        let noisy = moves(12.0);
        assert_eq!((noisy.len(), noisy[0].0, noisy[22].1), (23, 1024, 0));
        for look in noisy[1..].chunks_exact(2) {
            let [(low, raised), (start, _)] = look else { unreachable!() };
            assert!(raised == start && raised >= low && *raised <= 1024);
            let ratio = |t| Level::at(&schedule, t).ratio();
            let rise = ratio(*raised) / ratio(*low);
            assert!(*low < 20 || (rise - std::f64::consts::SQRT_2).abs() < 0.03, "{low} to {raised}: {rise}");
        }
    }
}
