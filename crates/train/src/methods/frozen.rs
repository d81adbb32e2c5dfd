//! Networks of a run that are trained to their end, which later ones learn from.

use crate::{
    Config, Result,
    build::{build_autoencoder, build_unet},
    latents::{LatentCodec, LatentSpace},
    load::{load_network, load_unet},
};
use burn::tensor::Device;
use pig_nn::{network::Role, parameters, unet::UNet};
use std::path::Path;

/// A network that is not trained any more.
#[derive(Clone, Debug)]
pub struct FrozenNetwork<M> {
    /// With averaged weights, in evaluation mode.
    pub network: M,
    /// SHA-256 of the averaged weights' file.
    pub sha256: String,
}

/// A [`LatentCodec`] that networks of a run learn from.
pub type FrozenCodec = FrozenNetwork<LatentCodec>;

/// The frozen networks of a run; those that nothing learns from are not kept.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    /// The guider of `pig`.
    pub model_x: Option<FrozenNetwork<UNet>>,
    /// The base of `controlnet`.
    pub unconditional: Option<FrozenNetwork<UNet>>,
    /// The autoencoder of `ldm`, or of a model_y that others trained.
    pub autoencoder: Option<FrozenNetwork<LatentCodec>>,
}

impl Frozen {
    /// Takes up the network of `role` from a run in which it is finished.
    pub fn load(&mut self, run: &Path, config: &Config, role: Role, device: &Device) -> Result<()> {
        if role == Role::Autoencoder {
            let (autoencoder, state) = load_network(run, role, build_autoencoder(config, device)?)?;
            let network =
                LatentCodec { autoencoder, scaling_factor: LatentSpace::load(run)?.scaling_factor(), volume: None };
            self.autoencoder = Some(FrozenNetwork { network, sha256: state.ema_sha256().to_owned() });
        }
        if let Some(place) = self.place(role) {
            let (network, state) = load_unet(run, config, role, device)?;
            *place = Some(FrozenNetwork { network, sha256: state.ema_sha256().to_owned() });
        }
        Ok(())
    }

    /// Puts a network with random weights in the place of `role`'s, to measure what learning from it costs.
    pub fn stand_in(&mut self, config: &Config, role: Role, device: &Device) -> Result<()> {
        if role == Role::Autoencoder {
            let autoencoder = parameters::initialise(build_autoencoder(config, device)?, config.train.seed);
            let network = LatentCodec { autoencoder, scaling_factor: 1.0, volume: None };
            self.autoencoder = Some(FrozenNetwork { network, sha256: String::new() });
        }
        if let Some(place) = self.place(role) {
            let network = parameters::initialise(build_unet(config, role, device)?, config.train.seed);
            *place = Some(FrozenNetwork { network, sha256: String::new() });
        }
        Ok(())
    }

    fn place(&mut self, role: Role) -> Option<&mut Option<FrozenNetwork<UNet>>> {
        match role {
            Role::ModelX => Some(&mut self.model_x),
            Role::Unconditional => Some(&mut self.unconditional),
            _ => None,
        }
    }
}
