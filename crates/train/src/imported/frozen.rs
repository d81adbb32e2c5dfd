//! `model_y.frozen`: a conditional model that is trained already, for which the guider alone is trained (Algorithm 1).

use super::{Model, UNetDescription};
use crate::{
    Config, Error, Result,
    checkpoint::{Checkpoint, State, Store},
    methods::role_name,
};
use pig_nn::{config::UNetConfig, network::Role, parameters::StateDict};
use std::path::Path;

/// The configuration with the frozen model's own words, and the model; the configuration as it is where none is frozen. What does
/// not fit is refused before any data are read.
pub fn resolve(config: &Config) -> Result<(Config, Option<Model>)> {
    let Some(path) = &config.model_y.frozen else { return Ok((config.clone(), None)) };
    let model = Model::open(path, Some(role_name(Role::ModelY)))?;
    let words = model.unet_description()?.clone();
    fits(Role::ModelY, &words, config)?;
    let asked = &config.model_y.unet;
    if *asked != UNetConfig::default() && *asked != words.network {
        return Err(Error::Mismatch {
            what: "the network's keys of [model_y]",
            found: format!("{asked:?}"),
            expected: format!("{:?}", words.network),
            advice: "a frozen model_y brings its own; leave them out",
        });
    }
    let mut config = config.clone();
    config.model_y.unet = words.network;
    config.check()?;
    Ok((config, Some(model)))
}

/// Whether a model has the channels, the size and the noise levels that `role` needs under `config`.
pub(crate) fn fits(role: Role, words: &UNetDescription, config: &Config) -> Result<()> {
    let (found, expected) = ([words.in_channels, words.out_channels], role.channels(config.data.channels));
    if found != expected {
        return Err(Error::Mismatch {
            what: if role == Role::ModelX { "channels of model_x" } else { "channels of model_y" },
            found: format!("{} in, {} out", found[0], found[1]),
            expected: format!("{} in, {} out", expected[0], expected[1]),
            advice: "model_x is told the noisy mask and image, model_y the noisy image and a mask; see data.channels",
        });
    }
    words.network.check_size(config.data.size)?;
    if words.schedule != config.schedule {
        return Err(Error::Mismatch {
            what: "the noise schedule",
            found: format!("{:?}", words.schedule),
            expected: format!("{:?}", config.schedule),
            advice: "set the section [schedule] to the model's, or tell `pig weights import` what it was trained with",
        });
    }
    Ok(())
}

/// Puts the model into a run as its finished model_y, so that the run needs nothing else.
pub(crate) fn install(run: &Path, model: Model) -> Result<()> {
    let name = role_name(Role::ModelY);
    let checkpoint = Checkpoint {
        state: State::new(name),
        ema: model.arrays.clone(),
        model: model.arrays,
        optimizer: StateDict::new(),
    };
    Store::new(run, name).save(checkpoint, false)
}
