//! An autoencoder's latents: their measured properties, encoding and decoding.

use crate::{Error, Result, checkpoint::Store, role::Role};
use burn::tensor::Tensor;
use pig_nn::{
    autoencoder::Autoencoder,
    pass::{Pass, Precision},
    volume::Volume,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file with the measured properties of a run's latents.
pub(crate) const LATENTS: &str = "latents.json";

/// The settings of a forward pass of the autoencoder in this precision.
pub(crate) fn pass(network: &Autoencoder, precision: Precision) -> Pass {
    Pass { precision: precision.on(&network.device()), ..Pass::default() }
}

/// How well an autoencoder reconstructs images from the means of their latents. Reconstructions are clipped to [-1, 1], as
/// written images are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reconstruction {
    /// Images measured.
    pub images: usize,
    /// Peak signal-to-noise ratio in dB, peak 2, the mean over images.
    pub psnr: f64,
    /// Mean absolute difference on [-1, 1].
    pub l1: f64,
}

impl Reconstruction {
    /// The mean of both, weighted by their numbers of images.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let images = self.images + other.images;
        let mean = |a: f64, b: f64| (a * self.images as f64 + b * other.images as f64) / images.max(1) as f64;
        Self { images, psnr: mean(self.psnr, other.psnr), l1: mean(self.l1, other.l1) }
    }
}

/// The values of a network's output, on the host.
pub(crate) fn host(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("networks compute in f32")
}

/// The measured properties of a trained autoencoder's latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentSpace {
    /// SHA-256 of the autoencoder's averaged weights.
    pub autoencoder_sha256: String,
    /// Standard deviation of drawn latents over training images.
    pub latent_std: f64,
    /// Number of training images that `latent_std` was measured on.
    pub measured_on: usize,
    /// How well images are reconstructed.
    pub reconstruction: Reconstruction,
    /// Whether the reconstructed images were held out from training.
    pub held_out: bool,
}

impl LatentSpace {
    /// The factor that latents are multiplied by before noise is added: 1 / standard deviation (diffusers' `scaling_factor`).
    pub fn scaling_factor(&self) -> f64 {
        1.0 / self.latent_std
    }

    /// The quality of the reconstruction in one sentence.
    pub fn sentence(&self) -> String {
        let Reconstruction { images, psnr, l1 } = self.reconstruction;
        let held_out = if self.held_out { "held-out" } else { "training" };
        format!(
            "the autoencoder reconstructs {images} {held_out} images with PSNR {psnr:.2} dB and L1 {l1:.4} on [-1, 1]; \
             no sample can be better than that"
        )
    }

    /// Reads the properties from a run whose autoencoder is finished.
    pub fn load(run: &Path) -> Result<Self> {
        let path = run.join(LATENTS);
        let bytes = pig_files::read(&path).map_err(Error::io(&path, "read"))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::BadFile {
            path,
            problem: error.to_string(),
            advice: "remove the file and continue the run with --resume; the latents are then measured again",
        })
    }
}

/// Checks that `space` was measured with the autoencoder that the run has now.
pub(crate) fn check_measured(run: &Path, space: &LatentSpace) -> Result<()> {
    let (state, ..) = Store::new(run, Role::Autoencoder.name()).load_ema()?;
    if state.ema_sha256() == space.autoencoder_sha256 {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the autoencoder of latents.json",
        found: space.autoencoder_sha256.clone(),
        expected: state.ema_sha256().to_owned(),
        advice: "continue the run with --resume; the latents are then measured again",
    })
}

/// A frozen autoencoder with the scale of its latents.
#[derive(Clone, Debug)]
pub struct LatentCodec {
    /// With averaged weights, in evaluation mode.
    pub autoencoder: Autoencoder,
    /// The factor that latents are multiplied by before noise is added.
    pub scaling_factor: f64,
    /// The shape of its images, if they are volumes.
    pub volume: Option<Volume>,
}

impl LatentCodec {
    fn pass(&self, precision: Precision) -> Pass {
        Pass { volume: self.volume, ..pass(&self.autoencoder, precision) }
    }

    /// Scaled latents of images, drawn with the standard normal noise that `eps` gives for a tensor of the latents' shape.
    pub fn encode(&self, images: Tensor<4>, precision: Precision, eps: impl Fn(&Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let posterior = self.autoencoder.encode(images, &self.pass(precision));
        posterior.sample(eps(&posterior.mean)).mul_scalar(self.scaling_factor)
    }

    /// Scaled latents of images, each the mean of its distribution.
    pub fn encode_means(&self, images: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.encode(images, precision, Tensor::zeros_like)
    }

    /// Images decoded from scaled latents.
    pub fn decode(&self, latents: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.autoencoder.decode(latents.div_scalar(self.scaling_factor), &self.pass(precision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconstructions_are_averaged_by_their_images() {
        let part = |images, psnr, l1| Reconstruction { images, psnr, l1 };
        assert_eq!(part(3, 10.0, 0.1).and(part(1, 30.0, 0.5)), part(4, 15.0, 0.2));
    }
}
