//! Refinements of training that any method may have. Each is off by default; while it is off, it changes no bit of the result.

use crate::{Config, batch::Batch, config::Members, methods::objective::Context};
use burn::tensor::Tensor;
use pig_diffusion::{
    denoiser::Denoiser,
    forward::add_noise,
    loss_weight::{min_snr_weights, weighted_mean},
    noise::{Stream, keyed_rng, uniform},
    prediction::PredictionType,
    schedule::Schedule,
    single::conditional_error,
};

/// eps_2 of Algorithm 1, shaped like the batch's images, with `train.noise_offset`.
///
/// Offset noise (N. Guttenberg, "Diffusion with Offset Noise", 2023): eps plus one normal value for each image and channel.
/// As there, sampling starts from plain noise.
pub(super) fn image_noise(config: &Config, batch: &Batch) -> Tensor<4> {
    let eps = batch.draw(Stream::TrainY, &batch.images);
    if config.train.noise_offset == 0.0 {
        return eps;
    }
    let channels = eps.dims()[3];
    eps + batch.noise.draw(Stream::TrainOffset, 0, [1, 1, channels]).mul_scalar(config.train.noise_offset)
}

/// Gamma of the min-SNR weights for the errors of masks in `pig`; `None` if they have no weights.
pub(super) fn gamma_of_masks(config: &Config) -> Option<f64> {
    match config.train.min_snr_members {
        Members::Pair => config.train.min_snr_gamma,
        Members::Image => None,
    }
}

/// The loss of a network that predicts images under `condition`, `[1]`: its mean squared error, with the refinements.
pub(super) fn image_loss(
    network: &impl Denoiser,
    context: Context<'_>,
    batch: &Batch,
    condition: &Tensor<4>,
) -> Tensor<1> {
    let Context { config, schedule, .. } = context;
    let eps = image_noise(config, batch);
    let error = conditional_error(network, schedule, &batch.images, &eps, condition, &batch.t);
    mean_error(config, schedule, network.prediction_type(), error, &batch.t)
}

/// The mean of the squared errors of a network that predicts `kind`, weighted by `train.min_snr_gamma`, `[1]`.
pub(super) fn mean_error(
    config: &Config,
    schedule: &Schedule,
    kind: PredictionType,
    error: Tensor<4>,
    t: &[usize],
) -> Tensor<1> {
    match config.train.min_snr_gamma {
        None => error.mean(),
        Some(gamma) => weighted_mean(error, &min_snr_weights(schedule, kind, gamma, t)),
    }
}

/// `condition` with `train.condition_augmentation`: noise is added to each sample by Eq. (9), to a random level of its own.
pub(super) fn noisy_condition(config: &Config, schedule: &Schedule, batch: &Batch, condition: Tensor<4>) -> Tensor<4> {
    let most = config.train.condition_augmentation;
    if most == 0 {
        return condition;
    }
    let level = |&position: &u64| {
        let mut rng = keyed_rng(config.train.seed, position, Stream::TrainConditionNoise, 1);
        (uniform(&mut rng) * (most + 1) as f64) as usize
    };
    let levels: Vec<usize> = batch.positions.iter().map(level).collect();
    let eps = batch.draw(Stream::TrainConditionNoise, &condition);
    add_noise(schedule, &condition, &eps, &levels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use pig_diffusion::{noise::NoiseSource, schedule::ScheduleConfig};

    const SIDE: usize = 3;
    const COUNT: usize = 4;

    fn batch() -> Batch {
        let device = Device::flex();
        let of = |channels: usize| {
            let values: Vec<f32> = (0..COUNT * SIDE * SIDE * channels).map(|i| (i as f32 * 0.7).sin()).collect();
            Tensor::from_data(TensorData::new(values, [COUNT, SIDE, SIDE, channels]), &device)
        };
        let positions: Vec<u64> = (7..7 + COUNT as u64).collect();
        let noise = NoiseSource::new(5, positions.clone(), &device);
        Batch {
            masks: of(1),
            images: of(2),
            t: vec![1, 300, 700, 1024],
            noise,
            positions,
            unlabelled: vec![false; COUNT],
            told: Vec::new(),
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn schedule() -> Schedule {
        Schedule::new(&ScheduleConfig::default()).unwrap()
    }

    #[test]
    fn offset_noise_moves_all_pixels_of_a_channel_alike() {
        let (batch, mut config) = (batch(), Config::default());
        let plain = values(batch.draw(Stream::TrainY, &batch.images));
        assert_eq!(values(image_noise(&config, &batch)), plain);
        config.train.noise_offset = 0.1;
        let offset: Vec<f32> = values(image_noise(&config, &batch)).iter().zip(plain).map(|(a, b)| a - b).collect();
        let drawn = values(batch.noise.draw(Stream::TrainOffset, 0, [1, 1, 2]));
        for (index, found) in offset.iter().enumerate() {
            let wanted = 0.1 * drawn[index / (SIDE * SIDE * 2) * 2 + index % 2];
            assert!((found - wanted).abs() < 1e-6, "{index}: {found}, expected {wanted}");
        }
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn noise_on_the_condition_is_equation_9_at_levels_up_to_the_largest() {
        let (batch, mut config) = (batch(), Config::default());
        let told = |config: &Config| values(noisy_condition(config, &schedule(), &batch, batch.masks.clone()));
        assert_eq!(told(&config), values(batch.masks.clone()));
        config.train.condition_augmentation = 40;
        let found = told(&config);
        let eps = batch.draw(Stream::TrainConditionNoise, &batch.masks);
        let at_level: Vec<Vec<f32>> =
            (0..=1024).map(|s| values(add_noise(&schedule(), &batch.masks, &eps, &[s; COUNT]))).collect();
        let pixels = SIDE * SIDE;
        let levels = (0..COUNT).map(|sample| {
            let range = sample * pixels..(sample + 1) * pixels;
            at_level.iter().position(|values| values[range.clone()] == found[range.clone()]).unwrap()
        });
        let levels: Vec<usize> = levels.collect();
        assert!(levels.iter().all(|&level| level <= 40) && levels.windows(2).any(|l| l[0] != l[1]), "{levels:?}");
    }

    #[test]
    fn weights_that_are_all_one_change_no_bit() {
        let (batch, mut config) = (batch(), Config::default());
        let error = || batch.images.clone().square();
        let mean = |config: &Config, kind| values(mean_error(config, &schedule(), kind, error(), &batch.t))[0];
        let plain = values(error().mean())[0];
        assert_eq!(mean(&config, PredictionType::Epsilon), plain);
        config.train.min_snr_gamma = Some(1e300);
        assert_eq!(mean(&config, PredictionType::Epsilon), plain);
        config.train.min_snr_gamma = Some(5.0);
        let weights = min_snr_weights(&schedule(), PredictionType::VPrediction, 5.0, &batch.t);
        let each = SIDE * SIDE * 2;
        let wanted: f64 =
            values(error()).iter().enumerate().map(|(i, &e)| weights[i / each] * f64::from(e)).sum::<f64>();
        let found = f64::from(mean(&config, PredictionType::VPrediction));
        assert!((found - wanted / (COUNT * each) as f64).abs() < 1e-6 * wanted);
        assert_eq!(gamma_of_masks(&config), Some(5.0));
        config.train.min_snr_members = Members::Image;
        assert_eq!(gamma_of_masks(&config), None);
    }
}
