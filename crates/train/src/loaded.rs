//! A run, loaded for sampling.

use crate::{
    Config, Error, Result,
    autoguided::with_weak,
    config::Layers,
    latents::LatentSpace,
    matched, methods,
    networks::{LoadedNetworks, Networks},
    run_dir::RunDir,
};
use burn::tensor::Device;
use pig_data::Preparation;
use pig_files::sha256;
use std::path::Path;

/// The networks of a run, with the hash that identifies them.
#[derive(Debug)]
pub struct LoadedRun {
    /// The directory.
    pub run: RunDir,
    /// The configuration, with the request's `[sample]` settings.
    pub config: Config,
    /// How numbers become pixels.
    pub preparation: Preparation,
    /// The networks.
    pub networks: Box<dyn Networks>,
    /// SHA-256 over the networks' weights.
    pub model_hash: String,
    /// The measured properties of the latents of `ldm`.
    pub latents: Option<LatentSpace>,
}

impl LoadedRun {
    /// Loads a run for sampling with the settings `sets`. They may change only the `[sample]` section, and `ddpm` to `ddim` or back. The files
    /// of the run are verified if its provenance has their hashes.
    pub fn open(path: &Path, sets: &[String], device: &Device) -> Result<Self> {
        let run = RunDir::open_verified(path)?;
        let trained = run.config()?;
        let config = sample_settings(&trained, sets)?;
        let loaded = with_weak(methods::load(path, &config, device)?, path, &config, device)?;
        let config = matched::resolved(&run, config)?;
        Self::of(run, config, loaded)
    }

    /// Joins loaded networks with the run whose configuration and preparation they use.
    pub(crate) fn of(run: RunDir, config: Config, loaded: LoadedNetworks) -> Result<Self> {
        let LoadedNetworks { networks, hashes, latents } = loaded;
        let model_hash = sha256(hashes.join("+").as_bytes());
        Ok(Self { preparation: run.preparation()?, run, config, networks, model_hash, latents })
    }
}

/// The configuration of a run with the settings `sets`. They may change only the `[sample]` section, and `ddpm` to `ddim` or back.
pub(crate) fn sample_settings(trained: &Config, sets: &[String]) -> Result<Config> {
    let config = Layers { file: None, sets: sets.to_vec() }.over_config(trained)?;
    let same_networks = config.roles() == trained.roles();
    let method = if same_networks { trained.method } else { config.method };
    if (Config { sample: trained.sample.clone(), method, ..config.clone() }) != *trained {
        return Err(Error::Mismatch {
            what: "settings outside [sample]",
            found: sets.join(" "),
            expected: "none, since the run's weights depend on them".to_owned(),
            advice: "give --set for keys of [sample] only, or train another run",
        });
    }
    config.check()?;
    Ok(config)
}
