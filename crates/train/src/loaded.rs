//! A run, loaded for sampling.

use crate::{
    Config, Error, Result,
    build::{build_autoencoder, build_control},
    checkpoint::State,
    config::{Conditioning, Layers, Method},
    imported::{frozen::FrozenModelY, model_y::ModelY},
    latents::{LatentCodec, LatentSpace, check_measured},
    load::{check_frozen, load_network, load_unet},
    models::Models,
    run_dir::RunDir,
};
use burn::tensor::Device;
use pig_data::Preparation;
use pig_files::sha256;
use pig_nn::network::Role;
use std::path::Path;

/// The networks of a run, with what names them.
#[derive(Debug)]
pub struct LoadedRun {
    /// The directory.
    pub run: RunDir,
    /// The configuration, with the request's `[sample]` settings.
    pub config: Config,
    /// How numbers become pixels.
    pub preparation: Preparation,
    /// The networks.
    pub models: Models,
    /// SHA-256 over the networks' weights.
    pub model_hash: String,
    /// What is known of the latents of `ldm`.
    pub latents: Option<LatentSpace>,
}

impl LoadedRun {
    /// Loads a run for sampling under `sets`, which may change the `[sample]` section alone, and `ddpm` to `ddim` or back.
    pub fn open(path: &Path, sets: &[String], device: &Device) -> Result<Self> {
        let run = RunDir::open(path)?;
        let trained = run.config()?;
        let config = sample_settings(&trained, sets)?;
        let load = |role| load_unet(path, &config, role, device);
        let mut latents = None;
        let (models, states) = match config.method {
            Method::Pig if config.is_frozen(Role::ModelY) => {
                let frozen = FrozenModelY::of_run(path)?;
                let (model_x, state_x) = load(Role::ModelX)?;
                frozen.check_guider(&state_x)?;
                let model_y = frozen.model_y(&config, device)?;
                let model_hash = sha256([state_x.ema_sha256(), &frozen.sha256()].join("+").as_bytes());
                let models = Models::Pig { model_x, model_y };
                return Ok(Self { preparation: run.preparation()?, run, config, models, model_hash, latents });
            }
            Method::Pig => {
                let ((model_x, state_x), (model_y, state_y)) = (load(Role::ModelX)?, load(Role::ModelY)?);
                check_frozen(Role::ModelY, &state_x, &state_y)?;
                check_stride(&config, &state_y)?;
                (Models::Pig { model_x, model_y: ModelY::own(model_y) }, vec![state_x, state_y])
            }
            Method::Joint => {
                let (unet, state) = load(Role::Joint)?;
                (Models::Joint(unet), vec![state])
            }
            Method::Ddpm | Method::Ddim => {
                let (unet, state) = load(Role::Unconditional)?;
                (Models::Unconditional(unet), vec![state])
            }
            Method::SegGuided => {
                let (unet, state) = load(Role::SegGuided)?;
                (Models::SegGuided(unet), vec![state])
            }
            Method::Controlnet => {
                let (base, state_base) = load(Role::Unconditional)?;
                let (control, state) = load_network(path, Role::Control, build_control(&config, device)?)?;
                check_frozen(Role::Control, &state_base, &state)?;
                (Models::Control { base, control }, vec![state_base, state])
            }
            Method::Ldm => {
                let network = build_autoencoder(&config, device)?;
                let (autoencoder, state_autoencoder) = load_network(path, Role::Autoencoder, network)?;
                let space = LatentSpace::load(path)?;
                check_measured(path, &space)?;
                let (unet, state) = load(Role::Latent)?;
                check_frozen(Role::Latent, &state_autoencoder, &state)?;
                let codec = LatentCodec { autoencoder, scaling_factor: space.scaling_factor(), volume: None };
                latents = Some(space);
                (Models::Latent { codec, unet }, vec![state_autoencoder, state])
            }
        };
        let hashes: Vec<&str> = states.iter().map(State::ema_sha256).collect();
        let model_hash = sha256(hashes.join("+").as_bytes());
        Ok(Self { preparation: run.preparation()?, run, config, models, model_hash, latents })
    }
}

/// The configuration of a run under `sets`, which may change the `[sample]` section alone, and `ddpm` to `ddim` or back.
pub(crate) fn sample_settings(trained: &Config, sets: &[String]) -> Result<Config> {
    let config = Layers { file: None, sets: sets.to_vec() }.over_config(trained)?;
    let is_unconditional = |method| matches!(method, Method::Ddpm | Method::Ddim);
    let same_network = is_unconditional(config.method) && is_unconditional(trained.method);
    let method = if same_network { trained.method } else { config.method };
    if (Config { sample: trained.sample.clone(), method, ..config.clone() }) != *trained {
        return Err(Error::Mismatch {
            what: "settings outside [sample]",
            found: "its own, which its weights depend on".to_owned(),
            expected: sets.join(" "),
            advice: "give --set for keys of [sample] only, or train another run",
        });
    }
    config.check()?;
    Ok(config)
}

/// A model_y conditioned on x_{t-1} must be sampled with the stride of its training.
fn check_stride(config: &Config, state_y: &State) -> Result<()> {
    let kept: Vec<usize> = config.timesteps()?.iter().map(|at| at.t).collect();
    if config.model_y.conditioning == Conditioning::Xprev && state_y.kept_timesteps.as_ref() != Some(&kept) {
        let trained = state_y.kept_timesteps.as_ref().map_or(0, Vec::len);
        return Err(Error::Mismatch {
            what: "the kept timesteps of a model_y conditioned on x_{t-1}",
            found: format!("{trained} steps"),
            expected: format!("{} steps, {:?}", kept.len(), config.sample.timestep_spacing),
            advice: "sample with the num_inference_steps and timestep_spacing of training",
        });
    }
    Ok(())
}
