//! Finished networks of a run that later networks learn from.

use crate::{
    Config, Result,
    build::{build_autoencoder, build_unet},
    latents::{LatentCodec, LatentSpace},
    load::{load_network, load_unet},
    role::{NetworkKind, Role},
};
use burn::tensor::Device;
use pig_nn::{parameters, unet::UNet};
use std::path::Path;

/// A network whose training is finished.
#[derive(Clone, Debug)]
pub struct Teacher<M> {
    /// With averaged weights, in evaluation mode.
    pub network: M,
    /// SHA-256 of the averaged weights' file.
    pub sha256: String,
}

/// The finished networks of a run that a later network learns from. Other networks are not kept.
#[derive(Clone, Debug, Default)]
pub struct Teachers {
    unets: Vec<(Role, Teacher<UNet>)>,
    /// The autoencoder of `ldm`, or of a frozen model_y.
    pub autoencoder: Option<Teacher<LatentCodec>>,
}

impl Teachers {
    /// The U-Net of `role`, if it is finished.
    pub fn unet(&self, role: Role) -> Option<&Teacher<UNet>> {
        self.unets.iter().find(|(of, _)| *of == role).map(|(_, teacher)| teacher)
    }

    /// Reads the finished network of `role` from a run, if a later network learns from it.
    pub fn load(&mut self, run: &Path, config: &Config, role: Role, device: &Device) -> Result<()> {
        if !teaches(config, role) {
            return Ok(());
        }
        match role.kind() {
            NetworkKind::UNet => {
                let (network, state) = load_unet(run, config, role, device)?;
                self.unets.push((role, Teacher { network, sha256: state.ema_sha256().to_owned() }));
            }
            NetworkKind::Autoencoder => {
                let (autoencoder, state) = load_network(run, role, build_autoencoder(config, device)?)?;
                let scaling_factor = LatentSpace::load(run)?.scaling_factor();
                let network = LatentCodec { autoencoder, scaling_factor, volume: None };
                self.autoencoder = Some(Teacher { network, sha256: state.ema_sha256().to_owned() });
            }
            NetworkKind::ControlNet => {}
        }
        Ok(())
    }

    /// Uses random weights in place of the finished network of `role`, to measure the cost of learning from it.
    pub fn stand_in(&mut self, config: &Config, role: Role, device: &Device) -> Result<()> {
        if !teaches(config, role) {
            return Ok(());
        }
        match role.kind() {
            NetworkKind::UNet => {
                let network = parameters::initialise(build_unet(config, role, device)?, config.train.seed);
                self.unets.push((role, Teacher { network, sha256: String::new() }));
            }
            NetworkKind::Autoencoder => {
                let autoencoder = parameters::initialise(build_autoencoder(config, device)?, config.train.seed);
                let network = LatentCodec { autoencoder, scaling_factor: 1.0, volume: None };
                self.autoencoder = Some(Teacher { network, sha256: String::new() });
            }
            NetworkKind::ControlNet => {}
        }
        Ok(())
    }
}

/// Whether a network of the method learns from that of `role`.
fn teaches(config: &Config, role: Role) -> bool {
    config.roles().iter().any(|later| later.teacher().is_some_and(|teacher| teacher.role == role))
}
