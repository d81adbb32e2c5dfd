//! `method = "joint"`: one network with two inputs and two outputs. With `train.noise_levels = "independent"` each member of a pair
//! has its own noise level; neither the paper nor its code has this extension.

use crate::{
    Config, Result,
    batch::Batch,
    chains::Chains,
    config::{NoiseLevels, TrainConfig},
    load::load_unet,
    methods::{
        objective::Context,
        refinements::{image_noise, mean_error},
        unet::Learner,
    },
    networks::{LoadedNetworks, Networks},
    role::Role,
    samples::Samples,
};
use burn::tensor::{Device, Tensor};
use pig_diffusion::{
    autoguidance::Autoguided,
    independent::{ImageGivenMask, MaskGivenImage, independent_errors},
    joint::{JointDenoiser, joint_errors, joint_loss, sample_joint},
    noise::{Stream, keyed_rng, uniform},
    pair::Turn,
};
use pig_nn::{network::Network, unet::UNet};
use std::path::Path;

/// What the network learns: both members of a pair. Validation always uses one noise level for both members.
#[derive(Clone, Copy, Debug)]
pub struct Both;

impl Learner for Both {
    fn role(&self) -> Role {
        Role::Joint
    }

    fn loss(&self, network: &Network<'_>, context: Context<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        let Context { config, schedule, .. } = context;
        let eps_1 = batch.draw(Stream::TrainX, &batch.masks);
        let eps_2 = image_noise(config, batch);
        let (pair, eps) = ((&batch.masks, &batch.images), (&eps_1, &eps_2));
        let mean = |error, t: &[usize]| mean_error(config, schedule, JointDenoiser::prediction_type(network), error, t);
        if !is_training || config.train.noise_levels == NoiseLevels::Shared {
            let (of_mask, of_image) = joint_errors(network, schedule, pair, eps, &batch.t);
            return joint_loss(mean(of_mask, &batch.t), mean(of_image, &batch.t));
        }
        let (t_x, t_y) = levels(&config.train, schedule.num_train_timesteps(), batch);
        let (of_mask, of_image) = independent_errors(network, schedule, pair, eps, (&t_x, &t_y));
        // The error of a clean member is 0, so any finite weight will do.
        let noisy = |t: Vec<usize>| t.into_iter().map(|t| t.max(1)).collect::<Vec<_>>();
        joint_loss(mean(of_mask, &noisy(t_x)), mean(of_image, &noisy(t_y)))
    }

    fn networks(&self, _context: Context<'_>, unet: UNet) -> Option<Box<dyn Networks>> {
        Some(Box::new(Joint(unet)))
    }
}

/// The network, ready for sampling. With independent noise levels it also makes one member of a pair for the other, which it reads
/// without noise.
#[derive(Debug)]
pub struct Joint(pub UNet);

impl Networks for Joint {
    fn pairs(&self, chains: &Chains<'_>, ids: &[u64], watch: &mut dyn FnMut(&Turn<'_>)) -> Option<Samples> {
        let noise = chains.noise(ids);
        let (x_start, y_start) = (chains.start(&noise, Stream::X), chains.start(&noise, Stream::Y));
        let (mut step_x, mut step_y) = (chains.step(&noise, Stream::X), chains.step(&noise, Stream::Y));
        let (x_0, y_0) = sample_joint(
            &chains.network(&self.0, Role::Joint),
            &chains.schedule,
            &chains.timesteps,
            (&mut step_x, &mut step_y),
            (x_start, y_start),
            chains.config.sample.clip_sample,
            watch,
        );
        Some(chains.finished(x_0, y_0, None))
    }

    fn images_for(
        &self,
        chains: &Chains<'_>,
        masks: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        let network = chains.clipped(ImageGivenMask(self.independent(chains)?));
        Some(chains.images_by(&network, masks, ids, None, watch))
    }

    fn masks_for(
        &self,
        chains: &Chains<'_>,
        images: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        let network = chains.clipped(MaskGivenImage(self.independent(chains)?));
        Some(chains.masks_for(images, ids, None, |given, noise, x_start| {
            chains.conditional(&network, given, (noise, Stream::X), x_start, watch)
        }))
    }
}

impl Joint {
    /// The network, if it has a noise level for each member.
    fn independent<'n>(&'n self, chains: &'n Chains<'_>) -> Option<Autoguided<Network<'n>, Network<'n>>> {
        let is_independent = chains.config.train.noise_levels == NoiseLevels::Independent;
        is_independent.then(|| chains.network(&self.0, Role::Joint))
    }
}

/// The network of a finished run.
pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<LoadedNetworks> {
    let (unet, state) = load_unet(run, config, Role::Joint, device)?;
    Ok(LoadedNetworks::of(Box::new(Joint(unet)), &[&state]))
}

/// Two independent timesteps per sample, each in 1..=`last`. For a share of the samples the mask or the image (half each) is clean,
/// at timestep 0.
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
            unlabelled: vec![false; count],
            told: Vec::new(),
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
