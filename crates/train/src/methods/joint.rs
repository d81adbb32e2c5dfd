//! `method = "joint"`: one network with two inputs and two outputs. With `train.noise_levels = "independent"`, an extension that
//! neither the paper nor its code has, each member has a noise level of its own.

use crate::{
    batch::Batch,
    config::{NoiseLevels, TrainConfig},
    methods::{
        objective::Context,
        refinements::{image_noise, mean_error},
    },
};
use burn::tensor::Tensor;
use pig_diffusion::{
    independent::independent_errors,
    joint::{JointDenoiser, joint_errors, joint_loss},
    noise::{Stream, keyed_rng, uniform},
};
use pig_nn::network::Network;

/// The loss of the joint network on one batch, `[1]`. Validation has one level for both members in either case.
pub fn loss(model: &Network<'_>, context: Context<'_>, batch: &Batch, training: bool) -> Tensor<1> {
    let Context { config, schedule, .. } = context;
    let eps_1 = batch.draw(Stream::TrainX, &batch.masks);
    let eps_2 = image_noise(config, batch);
    let (pair, eps) = ((&batch.masks, &batch.images), (&eps_1, &eps_2));
    let mean = |error, t: &[usize]| mean_error(config, schedule, JointDenoiser::prediction_type(model), error, t);
    if !training || config.train.noise_levels == NoiseLevels::Shared {
        let (of_mask, of_image) = joint_errors(model, schedule, pair, eps, &batch.t);
        return joint_loss(mean(of_mask, &batch.t), mean(of_image, &batch.t));
    }
    let (t_x, t_y) = levels(&config.train, schedule.num_train_timesteps(), batch);
    let (of_mask, of_image) = independent_errors(model, schedule, pair, eps, (&t_x, &t_y));
    // The error of a clean member is 0, so that any finite weight will do.
    let noisy = |t: Vec<usize>| t.into_iter().map(|t| t.max(1)).collect::<Vec<_>>();
    joint_loss(mean(of_mask, &noisy(t_x)), mean(of_image, &noisy(t_y)))
}

/// Two timesteps a sample: independent, each in 1..=`last`, but for a share of samples whose mask or image (half each) is
/// clean.
fn levels(config: &TrainConfig, last: usize, batch: &Batch) -> (Vec<usize>, Vec<usize>) {
    let pairs = batch.t.iter().zip(&batch.positions).map(|(&t_x, &position)| {
        let draw = |stream| uniform(&mut keyed_rng(config.seed, position, stream, 0));
        let t_y = 1 + (draw(Stream::TrainTimeY) * last as f64) as usize;
        let (clean, share) = (draw(Stream::TrainCleanLevel), config.clean_level_prob);
        match clean {
            _ if clean < 0.5 * share => (0, t_y),
            _ if clean < share => (t_x, 0),
            _ => (t_x, t_y),
        }
    });
    pairs.unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use pig_diffusion::noise::NoiseSource;

    #[test]
    fn levels_are_independent_and_a_share_is_clean() {
        let device = Device::flex();
        let count = 4000_usize;
        let positions: Vec<u64> = (0..count as u64).collect();
        let batch = Batch {
            masks: Tensor::zeros([1, 1, 1, 1], &device),
            images: Tensor::zeros([1, 1, 1, 1], &device),
            t: (0..count).map(|i| 1 + i % 64).collect(),
            noise: NoiseSource::new(0, positions.clone(), &device),
            positions,
        };
        let config = TrainConfig { clean_level_prob: 0.2, ..TrainConfig::default() };
        let (t_x, t_y) = levels(&config, 64, &batch);
        let clean = |t: &[usize]| t.iter().filter(|&&t| t == 0).count() as f64 / count as f64;
        // Standard error: sqrt(0.1 * 0.9 / 4000) = 0.005.
        assert!((clean(&t_x) - 0.1).abs() < 0.025 && (clean(&t_y) - 0.1).abs() < 0.025);
        let pairs = || t_x.iter().zip(&t_y);
        assert!(pairs().all(|(&x, &y)| (x, y) != (0, 0) && x <= 64 && y <= 64));
        let noisy: Vec<(f64, f64)> =
            pairs().filter(|&(&x, &y)| x > 0 && y > 0).map(|(&x, &y)| (x as f64 - 32.5, y as f64 - 32.5)).collect();
        // Variance of a uniform timestep: (64^2 - 1) / 12 = 341; standard error of the correlation: 1 / sqrt(3200) = 0.018.
        let correlation = noisy.iter().map(|(x, y)| x * y).sum::<f64>() / noisy.len() as f64 / 341.25;
        assert!(correlation.abs() < 0.09, "{correlation}");
    }
}
