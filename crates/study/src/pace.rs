//! How long trainings and samplings take, and as many training steps as fit into a time, from what the machine does in a few of them.

use crate::plan::{NetworkPlan, Plan};
use pig_train::{Config, Result, config::TrainConfig, matching, passes::passes, preview, trainer::PREVIEWS_WITH_RAW};

/// The share of the time that is left free: steps that are measured alone are faster than those of a long training.
pub(crate) const MARGIN: f64 = 0.1;
/// Seconds for the pages and for reading what was made.
const PAGES: f64 = 5.0;

/// How a training uses its time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pace {
    /// The minutes that were asked for.
    pub(crate) minutes: f64,
    /// Training images that the networks take in a second, one network after the other.
    pub(crate) images_per_second: f64,
    /// Seconds that training may take.
    pub(crate) training: f64,
}

impl Pace {
    /// What one would get for so many minutes, as a multiple of the training steps now.
    pub(crate) fn times_in(&self, minutes: f64) -> f64 {
        (self.training + (1.0 - MARGIN) * 60.0 * (minutes - self.minutes)) / self.training
    }
}

/// The training of `config` with all its numbers of steps scaled to end, pairs included, `minutes` after a start that was `elapsed` seconds
/// ago. Its `networks` were measured. `samples` are the pairs that are made in the end.
///
/// # Errors
/// When the noise levels of sampling are not possible.
pub(crate) fn fitted(
    config: &Config,
    networks: &[NetworkPlan],
    minutes: f64,
    elapsed: f64,
    samples: usize,
) -> Result<(TrainConfig, Pace)> {
    let forward = forward_seconds(config, networks);
    let sampling = samples as f64 * sample_seconds(config, &forward)? + sampled_in_training(config, &forward)?;
    let training = (1.0 - MARGIN) * (60.0 * minutes - elapsed - PAGES - sampling).max(1.0);
    let whole: f64 = networks.iter().map(|network| network.seconds_a_step * network.cost.steps as f64).sum();
    let images: usize = networks.iter().map(|network| network.cost.images).sum();
    let pace = Pace { minutes, images_per_second: images as f64 / whole, training };
    Ok((config.train.clone().with_steps_scaled(training / whole), pace))
}

/// Pairs that are sampled for the previews of a training; the number does not change when all numbers of steps are scaled. The first
/// previews show a second version of the network.
fn previewed(config: &Config) -> usize {
    match config.train.preview_every {
        0 => 0,
        every => {
            let previews = config.train.steps.div_ceil(every);
            previews * preview::sampled(config) + previews.min(PREVIEWS_WITH_RAW) * preview::PAIRS
        }
    }
}

/// Seconds of the sampling of all previews of a training.
fn previews_seconds(config: &Config, forward: &[f64]) -> Result<f64> {
    Ok(previewed(config) as f64 * sample_seconds(&preview::settings(config), forward)?)
}

/// Seconds of all sampling in a training: that of previews, and that by which `sample.match_contrast` finds its scale.
fn sampled_in_training(config: &Config, forward: &[f64]) -> Result<f64> {
    let matching = if config.sample.match_contrast { matching_seconds(config, forward)? } else { 0.0 };
    Ok(previews_seconds(config, forward)? + matching)
}

/// Seconds in which `sample.match_contrast` finds its scale.
///
/// # Errors
/// When the noise levels of sampling are not possible.
pub(crate) fn matching_seconds(config: &Config, forward: &[f64]) -> Result<f64> {
    let tried = matching::all_settings(config);
    tried.iter().map(|tried| Ok(matching::PAIRS as f64 * sample_seconds(tried, forward)?)).sum()
}

/// Seconds of the sampling of one preview, without a second version of the network.
///
/// # Errors
/// When the noise levels of sampling are not possible.
pub(crate) fn preview_seconds(config: &Config, forward: &[f64]) -> Result<f64> {
    Ok(preview::sampled(config) as f64 * sample_seconds(&preview::settings(config), forward)?)
}

/// Seconds in which one pair, or one image for a mask, is sampled by networks whose forward passes, in the order of training, take so long. A
/// model_y that was trained elsewhere is not measured and left out.
///
/// # Errors
/// When the noise levels of sampling are not possible.
pub(crate) fn sample_seconds(config: &Config, forward: &[f64]) -> Result<f64> {
    let all = config.trained_roles().zip(forward);
    all.map(|(role, seconds)| passes(config, role).map(|count| count as f64 * seconds)).sum()
}

/// Seconds of a training whose networks, in the order of training, take so many seconds a step, and so many an image's forward pass: its
/// steps, the pairs of its previews, and those by which `sample.match_contrast` finds its scale.
///
/// # Errors
/// When the noise levels of sampling are not possible.
pub(crate) fn training_seconds(config: &Config, step_seconds: &[f64], forward: &[f64]) -> Result<f64> {
    let steps = config.trained_roles().zip(step_seconds).map(|(role, seconds)| config.steps(role) as f64 * seconds);
    Ok(steps.sum::<f64>() + sampled_in_training(config, forward)?)
}

/// Seconds of one image's forward pass through each network, in the order of training.
pub(crate) fn forward_seconds(config: &Config, networks: &[NetworkPlan]) -> Vec<f64> {
    let batch = config.train.images_in_step() as f64;
    let of = |NetworkPlan { cost, seconds_a_step }: &NetworkPlan| {
        seconds_a_step / batch * cost.forward_flops / cost.training_flops()
    };
    networks.iter().map(of).collect()
}

impl Plan {
    /// Seconds of the training: its steps, and the pairs of its previews.
    ///
    /// # Errors
    /// When the noise levels of sampling are not possible.
    pub fn seconds(&self) -> Result<f64> {
        let steps: Vec<f64> = self.networks.iter().map(|network| network.seconds_a_step).collect();
        training_seconds(&self.config, &steps, &forward_seconds(&self.config, &self.networks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::NetworkCost;

    /// Two networks: 0.1 s and 0.2 s a step of eight images. The second learns from the first.
    fn plan() -> (Config, Vec<NetworkPlan>) {
        let mut config = Config::default();
        config.train = TrainConfig { steps: 2000, model_x_steps: Some(1000), warmup_steps: 100, ..config.train };
        config.train.preview_every = 1000;
        config.sample.num_inference_steps = 20;
        let network = |network, seconds_a_step, frozen_flops, steps| NetworkPlan {
            cost: NetworkCost { network, parameters: 1, forward_flops: 1e6, frozen_flops, steps, images: steps * 8 },
            seconds_a_step,
        };
        (config, vec![network("model_x", 0.1, 0.0, 1000), network("model_y", 0.2, 1e6, 2000)])
    }

    #[test]
    fn the_steps_fit_into_the_minutes() {
        let (config, networks) = plan();
        // A forward pass takes 0.1 / 8 / 3 and 0.2 / 8 / 4 seconds; 64 pairs and two previews of 32, and of 8 in a second version,
        // take 20 steps each.
        let sampling = 144.0 * 20.0 * (0.1 / 24.0 + 0.2 / 32.0);
        let training = 0.9 * (360.0 - 30.0 - PAGES - sampling);
        let (train, pace) = fitted(&config, &networks, 6.0, 30.0, 64).unwrap();
        assert!((pace.training - training).abs() < 1e-9, "{pace:?}");
        let factor = training / 500.0;
        assert_eq!(train.steps, (2000.0 * factor).round() as usize);
        assert_eq!(train.model_x_steps, Some((1000.0 * factor).round() as usize));
        assert_eq!(train.warmup_steps, (100.0 * factor).round() as usize);
        let seconds = 0.2 * train.steps as f64 + 0.1 * train.model_x_steps.unwrap() as f64;
        assert!((seconds - training).abs() < 0.2, "{seconds}");
        assert!((pace.images_per_second - 24_000.0 / 500.0).abs() < 1e-9);
        // Twice the time beyond what everything else takes.
        let more = pace.times_in(6.0 + training / 0.9 / 60.0);
        assert!((more - 2.0).abs() < 1e-9, "{more}");
    }

    /// 1000 steps of 0.1 s and 2000 of 0.2 s, and two previews of 32 pairs, and of 8 in a second version, of 20 steps each, which are 0.003 s
    /// of the guider and 0.007 s of model_y.
    #[test]
    fn a_training_takes_its_steps_and_its_previews() {
        let (mut config, _) = plan();
        let seconds = |config: &Config| training_seconds(config, &[0.1, 0.2], &[0.003, 0.007]).unwrap();
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
        close(seconds(&config), 500.0 + 80.0 * 20.0 * 0.01);
        // Guidance makes a second pass of model_y. Previews have no autoguidance.
        config.sample.guidance_scale = 3.0;
        config.sample.autoguidance.scale = 2.0;
        close(seconds(&config), 500.0 + 80.0 * 20.0 * 0.017);
        close(preview_seconds(&config, &[0.003, 0.007]).unwrap(), 32.0 * 20.0 * 0.017);
        close(sample_seconds(&config, &[0.003, 0.007]).unwrap(), 20.0 * (0.006 + 0.028));
        // Previews take at most 50 steps.
        config.sample.num_inference_steps = 256;
        close(seconds(&config), 500.0 + 80.0 * 50.0 * 0.017);
        config.train.preview_every = 0;
        close(seconds(&config), 500.0);
        // 128 pairs in 20 steps without guidance, and 128 with it.
        (config.sample.guidance_scale, config.sample.match_contrast) = (1.0, true);
        (config.sample.num_inference_steps, config.sample.autoguidance.scale) = (20, 1.0);
        close(seconds(&config), 500.0 + 128.0 * 20.0 * (0.01 + 0.017));
    }

    #[test]
    fn a_time_that_is_over_leaves_a_training_of_few_steps() {
        let (config, networks) = plan();
        let (train, pace) = fitted(&config, &networks, 1.0, 90.0, 64).unwrap();
        assert!(pace.training > 0.0 && train.steps >= 1 && train.steps < 10, "{train:?}");
    }
}
