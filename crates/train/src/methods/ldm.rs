//! `method = "ldm"` (Rombach et al. 2022): an autoencoder is trained first and frozen; then a mask-conditioned U-Net learns
//! diffusion on its latents.
//!
//! What the paper leaves to its configuration, and what is different here:
//! - The autoencoder's loss is L1 + `train.pyramid_weight` times L1 over a Laplacian pyramid + `train.kl_weight` times the KL divergence.
//!   The pyramid replaces the perceptual and adversarial terms, whose networks are trained on photographs or are as large as the
//!   autoencoder. It weights the edges and the texture of each scale separately (Ling and Okada 2006; Bojanowski et al. 2018 use it as the
//!   only loss of a generator), and is deterministic. Reconstructions are smoother than with a discriminator. Their error is measured on
//!   held-out images and is reported in metrics, model card and summaries.
//! - Latents are divided by their standard deviation over training images, which is measured once and kept in `latents.json`.
//! - The mask is resized by area to the latents' grid (each latent sees the share of its pixels that is lesion) and concatenated.

use crate::{
    Config, Error, Result,
    batch::Batch,
    build::{build_autoencoder, latent_flops},
    chains::Chains,
    latents::{LATENTS, LatentCodec, LatentSpace, Reconstruction, check_measured, host, pass},
    load::{check_frozen, load_network, load_unet},
    methods::{
        condition,
        objective::{Context, Objective},
        refinements::image_loss,
        unet::Learner,
    },
    networks::{LoadedNetworks, Networks},
    role::Role,
    samples::Samples,
    sets::Sets,
};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use pig_data::PreparedSet;
use pig_diffusion::noise::{NoiseSource, Stream};
use pig_nn::{
    autoencoder::{Autoencoder, area_mean},
    dropout::Dropout,
    network::Network,
    ops::upsample_nearest_2x,
    pass::Precision,
    unet::UNet,
};
use std::path::Path;

/// Bands of the Laplacian pyramid, without its low-pass rest.
const PYRAMID_LEVELS: usize = 3;
/// Maximum number of images that the latents' scale, or the reconstruction, is measured on.
const MEASURED: usize = 256;
/// Latents of a smaller standard deviation count as constant: dividing by it would make noise of rounding errors.
const LEAST_DEVIATION: f64 = 1e-6;

/// The training of the autoencoder.
#[derive(Clone, Copy, Debug)]
pub struct AutoencoderObjective<'a> {
    /// What the autoencoder shares with the latent network.
    pub context: Context<'a>,
}

impl AutoencoderObjective<'_> {
    /// L1 + pyramid + KL. The divergence is divided by the number of the image's values, which keeps the ratio of the sums of
    /// Rombach et al. Training decodes a drawn latent, validation decodes the mean.
    fn loss_of(&self, network: &Autoencoder, batch: &Batch, is_training: bool) -> Tensor<1> {
        let train = &self.context.config.train;
        let pass = pass(network, train.precision);
        let posterior = network.encode(batch.images.clone(), &pass);
        let latents = if is_training {
            posterior.sample(batch.draw(Stream::TrainLatent, &posterior.mean))
        } else {
            posterior.mean.clone()
        };
        let error = network.decode(latents, &pass) - batch.images.clone();
        let values = batch.images.dims()[1..].iter().product::<usize>() as f64;
        error.clone().abs().mean()
            + pyramid_l1(error).mul_scalar(train.pyramid_weight)
            + posterior.kl().mul_scalar(train.kl_weight / values)
    }
}

impl Objective for AutoencoderObjective<'_> {
    type Network = Autoencoder;

    fn role(&self) -> Role {
        Role::Autoencoder
    }

    fn context(&self) -> Context<'_> {
        self.context
    }

    fn build(&self, device: &Device) -> Result<Autoencoder> {
        build_autoencoder(self.context.config, device)
    }

    fn loss(&self, network: &Autoencoder, batch: &Batch) -> Tensor<1> {
        self.loss_of(network, batch, false)
    }

    fn gradients(&self, network: &Autoencoder, batch: &Batch, _dropout: Dropout) -> (f32, Gradients) {
        let loss = self.loss_of(network, batch, true);
        let gradients = loss.backward();
        (loss.inner().into_scalar(), gradients)
    }

    fn is_timed(&self) -> bool {
        false
    }

    fn reconstruction(&self, network: &Autoencoder, batch: &Batch) -> Option<Reconstruction> {
        Some(reconstruction(network, batch.images.clone(), self.context.config.train.precision))
    }

    fn flops(&self) -> [f64; 2] {
        [latent_flops(self.context.config).iter().sum(), 0.0]
    }

    /// `None`: without a prior over latents there are only reconstructions, no samples.
    fn networks(&self, _network: &Autoencoder) -> Option<Box<dyn Networks>> {
        None
    }

    fn finish(&self, run: &Path, sets: Sets<'_>, device: &Device) -> Result<Option<String>> {
        Ok(Some(measure(run, self.context.config, sets, device)?.sentence()))
    }
}

/// The sum of the mean absolute values of the bands of a Laplacian pyramid and of its rest, `[1]`. It takes the error,
/// `[batch, height, width, channels]`, since the pyramid is linear. Each band is a level minus its means over two by two pixels.
fn pyramid_l1(error: Tensor<4>) -> Tensor<1> {
    let (mut rest, mut sum) = (error, None::<Tensor<1>>);
    for _ in 0..PYRAMID_LEVELS {
        let [_, height, width, _] = rest.dims();
        if height % 2 != 0 || width % 2 != 0 {
            break;
        }
        let low = area_mean(rest.clone(), 2, None);
        let band = (rest - upsample_nearest_2x(low.clone())).abs().mean();
        sum = Some(sum.map_or(band.clone(), |sum| sum + band));
        rest = low;
    }
    let rest = rest.abs().mean();
    sum.map_or(rest.clone(), |sum| sum + rest)
}

/// How well images `[batch, height, width, channels]` in [-1, 1] are reconstructed.
fn reconstruction(network: &Autoencoder, images: Tensor<4>, precision: Precision) -> Reconstruction {
    let pass = pass(network, precision);
    let count = images.dims()[0];
    let decoded = network.decode(network.encode(images.clone(), &pass).mean, &pass).clamp(-1.0, 1.0);
    let (decoded, images) = (host(decoded), host(images));
    let each = images.len() / count.max(1);
    let one = |(a, b): (&[f32], &[f32])| {
        let differences = || a.iter().zip(b).map(|(a, b)| f64::from(a - b));
        let square = differences().map(|d| d * d).sum::<f64>() / each as f64;
        let l1 = differences().map(f64::abs).sum::<f64>() / each as f64;
        // A perfect copy has no finite ratio. The bound is an error of 1e-5, less than half a step of a 16-bit file.
        Reconstruction { images: 1, psnr: 10.0 * (4.0 / square.max(1e-10)).log10(), l1 }
    };
    decoded
        .chunks_exact(each)
        .zip(images.chunks_exact(each))
        .map(one)
        .fold(Reconstruction::default(), Reconstruction::and)
}

/// Refuses latents that cannot be scaled to a deviation of 1.
fn check_deviation(latent_std: f64, step: usize) -> Result<()> {
    let found = if !latent_std.is_finite() {
        "no finite numbers".to_owned()
    } else if latent_std < LEAST_DEVIATION {
        format!("constant (a standard deviation of {latent_std:e}, below {LEAST_DEVIATION:e})")
    } else {
        return Ok(());
    };
    Err(Error::Latents { network: Role::Autoencoder.name(), step, found })
}

/// Measures the latents of a run's finished autoencoder and writes `latents.json`, if that is not done yet.
fn measure(run: &Path, config: &Config, sets: Sets<'_>, device: &Device) -> Result<LatentSpace> {
    let (network, state) = load_network(run, Role::Autoencoder, build_autoencoder(config, device)?)?;
    if let Ok(known) = LatentSpace::load(run)
        && known.autoencoder_sha256 == state.ema_sha256()
    {
        return Ok(known);
    }
    let precision = config.train.precision;
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0_usize);
    let measured_on = sets.training.len().min(MEASURED);
    for_batches(sets.training, measured_on, config, device, &mut |images, ids| {
        let posterior = network.encode(images, &pass(&network, precision));
        let [_, height, width, channels] = posterior.mean.dims();
        let noise = NoiseSource::new(config.train.seed, ids, device);
        let latents = posterior.sample(noise.draw(Stream::LatentScale, 0, [height, width, channels]));
        for value in host(latents) {
            sum += f64::from(value);
            squares += f64::from(value) * f64::from(value);
            count += 1;
        }
    })?;
    let mean = sum / count.max(1) as f64;
    let latent_std = (squares / count.max(1) as f64 - mean * mean).max(0.0).sqrt();
    check_deviation(latent_std, state.step)?;
    let held_out = !sets.validation.is_empty();
    let shown = if held_out { sets.validation } else { sets.training };
    let mut found = Reconstruction::default();
    for_batches(shown, shown.len().min(MEASURED), config, device, &mut |images, _| {
        found = found.and(reconstruction(&network, images, precision));
    })?;
    let autoencoder_sha256 = state.ema_sha256().to_owned();
    let space = LatentSpace { autoencoder_sha256, latent_std, measured_on, reconstruction: found, held_out };
    pig_files::write_json(&run.join(LATENTS), &space)?;
    Ok(space)
}

/// Calls `task` with batches of `count` evenly spread images of a set, and with their indices.
fn for_batches(
    set: &PreparedSet,
    count: usize,
    config: &Config,
    device: &Device,
    task: &mut dyn FnMut(Tensor<4>, Vec<u64>),
) -> Result<()> {
    let ([height, width], channels) = (set.size, set.channels);
    let indices: Vec<usize> = (0..count).map(|i| i * set.len() / count).collect();
    for indices in indices.chunks(config.train.batch_size) {
        let values: Vec<Vec<f32>> =
            indices.iter().map(|&index| set.image(index)).collect::<std::result::Result<_, _>>()?;
        let data = TensorData::new(values.concat(), [indices.len(), height, width, channels]);
        task(Tensor::from_data(data, device), indices.iter().map(|&index| index as u64).collect());
    }
    Ok(())
}

/// The batch with latents instead of images, drawn as in training, and with its masks on the latents' grid.
pub(super) fn on_latents(codec: &LatentCodec, config: &Config, batch: &Batch) -> Batch {
    let draw = |mean: &Tensor<4>| batch.draw(Stream::TrainLatent, mean);
    Batch {
        masks: area_mean(batch.masks.clone(), config.autoencoder.factor(), config.volume()),
        images: codec.encode(batch.images.clone(), config.train.precision, draw),
        ..batch.clone()
    }
}

/// What the U-Net on latents learns: the mean squared error.
#[derive(Clone, Copy, Debug)]
pub struct OnLatents;

impl Learner for OnLatents {
    fn role(&self) -> Role {
        Role::Latent
    }

    fn loss(&self, network: &Network<'_>, context: Context<'_>, batch: &Batch, is_training: bool) -> Tensor<1> {
        let Context { config, teachers, .. } = context;
        let codec = teachers.autoencoder.as_ref();
        let codec = codec.expect("the autoencoder is trained before the latent network (`Method::roles`)");
        let batch = &on_latents(&codec.network, config, batch);
        let masks = condition::dropped(&config.train, batch, batch.masks.clone(), is_training);
        image_loss(network, context, batch, &masks)
    }

    fn frozen_flops(&self, config: &Config) -> f64 {
        latent_flops(config)[0]
    }

    fn frozen_sha256<'a>(&self, context: Context<'a>) -> Option<&'a str> {
        context.teachers.autoencoder.as_ref().map(|teacher| teacher.sha256.as_str())
    }

    fn networks(&self, context: Context<'_>, unet: UNet) -> Option<Box<dyn Networks>> {
        let codec = context.teachers.autoencoder.as_ref()?.network.clone();
        Some(Box::new(Ldm { codec, unet }))
    }
}

/// The autoencoder and the U-Net on its latents, ready for sampling.
#[derive(Debug)]
pub struct Ldm {
    /// Encodes images to latents and decodes them.
    pub codec: LatentCodec,
    /// The network on latents.
    pub unet: UNet,
}

impl Networks for Ldm {
    fn images_for(
        &self,
        chains: &Chains<'_>,
        masks: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        let network = chains.guided(chains.network(&self.unet, Role::Latent));
        Some(chains.images_by(&network, masks, ids, self.codec(), watch))
    }

    fn needs_masks(&self) -> bool {
        true
    }

    fn codec(&self) -> Option<&LatentCodec> {
        Some(&self.codec)
    }
}

/// The networks of a finished run.
pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<LoadedNetworks> {
    let network = build_autoencoder(config, device)?;
    let (autoencoder, state_autoencoder) = load_network(run, Role::Autoencoder, network)?;
    let space = LatentSpace::load(run)?;
    check_measured(run, &space)?;
    let (unet, state) = load_unet(run, config, Role::Latent, device)?;
    check_frozen(Role::Latent, &state_autoencoder, &state)?;
    let codec = LatentCodec { autoencoder, scaling_factor: space.scaling_factor(), volume: None };
    let networks = LoadedNetworks::of(Box::new(Ldm { codec, unet }), &[&state_autoencoder, &state]);
    Ok(LoadedNetworks { latents: Some(space), ..networks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_latents_are_named_as_such() {
        let said = |deviation| check_deviation(deviation, 7).unwrap_err().to_string();
        assert!(
            said(0.0).contains("autoencoder gives after step 7 are constant (a standard deviation of 0e0, below 1e-6)"),
            "{}",
            said(0.0)
        );
        assert!(said(f64::NAN).contains("are no finite numbers"), "{}", said(f64::NAN));
        assert!(check_deviation(1e-3, 7).is_ok());
    }

    fn error(value: impl Fn(usize, usize) -> f32) -> Tensor<4> {
        let values: Vec<f32> = (0..64).map(|i| value(i / 8, i % 8)).collect();
        Tensor::from_data(TensorData::new(values, [1, 8, 8, 1]), &Device::flex())
    }

    /// A constant error is only in the rest, one that alternates by pixel only in the first band, and one that alternates by squares of
    /// two by two only in the second band.
    #[test]
    fn the_pyramid_parts_scales() {
        let l1 = |error| pyramid_l1(error).into_scalar::<f32>();
        let sign = |odd: usize| if odd.is_multiple_of(2) { 1.0 } else { -1.0 };
        assert_eq!(l1(error(|_, _| 0.5)), 0.5);
        assert_eq!(l1(error(|y, x| sign(x + y))), 1.0);
        assert_eq!(l1(error(|y, x| 2.0 * sign(x / 2 + y / 2))), 2.0);
        assert_eq!(l1(error(|y, x| 0.5 + sign(x + y) + 2.0 * sign(x / 2 + y / 2))), 3.5);
    }
}
