//! Worse versions of a run's networks, for autoguidance (`sample.autoguidance`).

use crate::{
    Config, Error, Result,
    build::{build_unet, in_place},
    checkpoint::{State, Store},
    config::word,
    role::Role,
    run_dir::RunDir,
};
use burn::{module::Module, tensor::Device};
use pig_diffusion::schedule::Schedule;
use pig_nn::{network::Network, parameters, unet::UNet};
use std::path::Path;

/// The worse versions of some networks of a run, with averaged weights and in evaluation mode.
#[derive(Debug)]
pub struct WeakNetworks {
    unets: Vec<(Role, UNet)>,
    /// The configuration of their training.
    config: Config,
}

impl WeakNetworks {
    /// The worse networks that `config.sample.autoguidance` names for those of `run`, with the SHA-256 of the weights of each.
    ///
    /// # Errors
    /// When these networks cannot be read, or do not have the same task.
    pub(crate) fn load(run: &Path, config: &Config, device: &Device) -> Result<(Self, Vec<String>)> {
        let guidance = &config.sample.autoguidance;
        let source = guidance.run.as_deref().unwrap_or(run);
        let theirs = RunDir::open_verified(source)?.config()?;
        let mut weak = Self { unets: Vec::new(), config: theirs };
        let mut hashes = Vec::new();
        for role in config.trained_roles().filter(|&role| guidance.members.have(role)) {
            check_task(source, role, config, &weak.config)?;
            let store = Store::new(source, role.name());
            let (state, ema, path) = match guidance.worse_step(&config.train.keep_checkpoints) {
                Some(step) => store.load_ema_at(step)?,
                None => store.load_ema()?,
            };
            if role == Role::Latent {
                check_latents(source, &state, run)?;
            }
            let unet = parameters::import(build_unet(&weak.config, role, device)?, &ema)
                .map_err(|source| Error::Architecture { path, source })?;
            weak.unets.push((role, unet.valid()));
            hashes.push(state.ema_sha256().to_owned());
        }
        Ok((weak, hashes))
    }

    /// The worse version of the network of `role`, if it is guided. `schedule` is that of both trainings.
    pub(crate) fn network(&self, role: Role, schedule: &Schedule) -> Option<Network<'_>> {
        let (_, unet) = self.unets.iter().find(|(of, _)| *of == role)?;
        Some(in_place(Network::new(unet, self.config.unet(role)), &self.config, role, schedule))
    }
}

/// Refuses a network of the latents of another autoencoder, which mean something else: that of another run, or of the same run before its
/// autoencoder was trained longer.
fn check_latents(source: &Path, theirs: &State, run: &Path) -> Result<()> {
    let (ours, ..) = Store::new(run, Role::Latent.name()).load_ema()?;
    if ours.frozen_sha256 == theirs.frozen_sha256 {
        return Ok(());
    }
    let hash = |state: &State| state.frozen_sha256.clone().unwrap_or_else(|| "not known".to_owned());
    Err(Error::Mismatch {
        what: "the autoencoder's SHA-256 for autoguidance",
        found: format!("{} in {}, step {}", hash(theirs), source.display(), theirs.step),
        expected: hash(&ours),
        advice: "latents of another autoencoder mean something else; use a checkpoint that train.keep_checkpoints kept since the autoencoder was \
                 trained last",
    })
}

/// Refuses a network that estimates something else than the one that it guides.
fn check_task(source: &Path, role: Role, ours: &Config, theirs: &Config) -> Result<()> {
    let refused = |what, found: String, expected: String| {
        Err(Error::Mismatch {
            what,
            found: format!("{found} in {}", source.display()),
            expected,
            advice: "give sample.autoguidance.run a shorter or smaller training of the same method on the same data",
        })
    };
    if !theirs.trained_roles().any(|other| other == role) {
        return refused("the networks for autoguidance", format!("no {}", role.name()), role.name().to_owned());
    }
    let (kind, other) = (ours.unet(role).prediction_type, theirs.unet(role).prediction_type);
    if kind != other {
        return refused("prediction_type for autoguidance", word(&other), word(&kind));
    }
    let (grid, other) = (ours.grid(role), theirs.grid(role));
    if grid != other {
        return refused("size and channels for autoguidance", format!("{other:?}"), format!("{grid:?}"));
    }
    let [classes, other] = [ours, theirs].map(|config| config.data.class_words());
    if classes != other {
        return refused("the classes for autoguidance", other, classes);
    }
    if ours.schedule != theirs.schedule {
        let differs = "another section [schedule]".to_owned();
        return refused("the noise schedule for autoguidance", differs, "that of this run".to_owned());
    }
    let (levels, other) = (ours.train.noise_levels, theirs.train.noise_levels);
    if levels != other {
        return refused("train.noise_levels for autoguidance", word(&other), word(&levels));
    }
    let (condition, other) = (ours.model_y.conditioning, theirs.model_y.conditioning);
    if condition != other {
        return refused("model_y.conditioning for autoguidance", word(&other), word(&condition));
    }
    Ok(())
}
