//! Reads the trained networks of a run.

use crate::{
    Config, Error, Result,
    build::build_unet,
    checkpoint::{State, Store},
    role::Role,
};
use burn::{module::Module, tensor::Device};
use pig_nn::{parameters, unet::UNet};
use std::path::Path;

/// A U-Net of a run with its averaged weights, in evaluation mode.
pub fn load_unet(run: &Path, config: &Config, role: Role, device: &Device) -> Result<(UNet, State)> {
    load_network(run, role, build_unet(config, role, device)?)
}

/// The averaged weights of `role` in a run, put into `network`, in evaluation mode.
pub(crate) fn load_network<M: Module>(run: &Path, role: Role, network: M) -> Result<(M, State)> {
    let (state, ema, path) = Store::new(run, role.name()).load_ema()?;
    let network = parameters::import(network, &ema).map_err(|source| Error::Architecture { path, source })?;
    Ok((network.valid(), state))
}

/// Checks that a network is used with the frozen network that it learned from.
pub(crate) fn check_frozen(learning: Role, frozen: &State, learner: &State) -> Result<()> {
    check_teacher(learning, frozen.ema_sha256(), learner)
}

/// The same check, by the SHA-256 of the frozen network.
pub(crate) fn check_teacher(learning: Role, frozen_sha256: &str, learner: &State) -> Result<()> {
    match learner.frozen_sha256.as_deref().filter(|&hash| hash != frozen_sha256) {
        None => Ok(()),
        Some(trained_on) => Err(Error::Mismatch {
            what: learning.teacher_words(),
            found: frozen_sha256.to_owned(),
            expected: trained_on.to_owned(),
            advice: "the frozen network has been trained further or replaced; if the run is being trained longer, finish that (pig train \
                     --resume), else retrain the network that learned from it",
        }),
    }
}
