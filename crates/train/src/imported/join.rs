//! Sampling with two models from different places.

use crate::{
    Config, Error, Result,
    checkpoint::Store,
    config::{Conditioning, Method, ModelYConfig, require},
    imported::{
        Model,
        frozen::{FrozenModelY, fits},
    },
    loaded::{LoadedRun, sample_settings},
    methods::pig::Pig,
    networks::LoadedNetworks,
    role::Role,
    run_dir::RunDir,
};
use burn::tensor::Device;
use pig_nn::autoencoder::AutoencoderConfig;
use std::path::{Path, PathBuf};

/// Models that replace a run's own: imported ones, or those of other runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Join {
    /// The guider.
    pub model_x: Option<PathBuf>,
    /// The conditional model.
    pub model_y: Option<PathBuf>,
}

impl Join {
    /// Whether the run's own models are used.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Loads the run's configuration and preparation with these models. Channels, sizes and schedules that do not fit are refused.
    pub fn load(&self, run: &Path, sets: &[String], device: &Device) -> Result<LoadedRun> {
        let run_dir = RunDir::open_verified(run)?;
        let mut config = run_dir.config()?;
        if config.method != Method::Pig {
            return Err(Error::Mismatch {
                what: "--model-x and --model-y",
                found: format!("method = {:?}", config.method.word()),
                expected: "method = \"pig\"".to_owned(),
                advice: "give a run of this method with --run",
            });
        }
        let place = |path: &Option<PathBuf>| path.clone().unwrap_or_else(|| run.to_owned());
        let (path_x, path_y) = (place(&self.model_x), place(&self.model_y));
        let model_x = Model::open(&path_x, Some(Role::ModelX.name()))?;
        let model_y = open_model_y(&path_y, &mut config)?;
        let words_x = model_x.unet_description()?;
        fits(Role::ModelX, words_x, &config)?;
        fits(Role::ModelY, model_y.unet_description()?, &config)?;
        if let Ok((state, ..)) = Store::new(&path_x, Role::ModelX.name()).load_ema() {
            model_y.check_guider(&state)?;
        }
        config.model_x = words_x.network.clone();
        config.model_y.conditioning = conditioning(&path_y, &config)?;
        let config = sample_settings(&config, sets)?;
        let networks = Pig { model_x: model_x.unet(device)?, model_y: model_y.model_y(&config, device)? };
        let hashes = vec![model_x.description.sha256.clone(), model_y.sha256()];
        let guidance = config.sample.autoguidance.scale;
        require(guidance == 1.0, "sample.autoguidance.scale", guidance, "1 with --model-x or --model-y")?;
        let is_matched = config.sample.match_contrast;
        let expected = "false with --model-x or --model-y, for which no scale was found; give sample.guidance_scale";
        require(!is_matched, "sample.match_contrast", is_matched, expected)?;
        LoadedRun::of(run_dir, config, LoadedNetworks { networks: Box::new(networks), hashes, latents: None })
    }
}

/// Opens the model_y of a run or of an imported folder, and puts its settings into `config`.
fn open_model_y(path: &Path, config: &mut Config) -> Result<FrozenModelY> {
    let own = RunDir::open(path).ok().map(|run| run.config()).transpose()?;
    if let Some(own) = own.filter(|own| own.is_frozen(Role::ModelY)) {
        (config.model_y, config.autoencoder) = (own.model_y, own.autoencoder);
        return FrozenModelY::of_run(path);
    }
    let model = FrozenModelY::plain(Model::open(path, Some(Role::ModelY.name()))?);
    let unet = model.unet_description()?.network.clone();
    let ModelYConfig { conditioning, loss_weight, .. } = config.model_y;
    config.model_y = ModelYConfig { unet, conditioning, loss_weight, ..ModelYConfig::default() };
    config.autoencoder = AutoencoderConfig::default();
    Ok(model)
}

/// The conditioning of the joined model_y: that of its own run, or else that of `config`.
fn conditioning(model_y: &Path, config: &Config) -> Result<Conditioning> {
    let own = match RunDir::open(model_y) {
        Ok(run) => run.config()?.model_y.conditioning,
        Err(_) => config.model_y.conditioning,
    };
    if own == Conditioning::Xprev {
        return Err(Error::Mismatch {
            what: "model_y.conditioning",
            found: "xprev".to_owned(),
            expected: "xhat or clean".to_owned(),
            advice: "a model_y conditioned on x_{t-1} works only with the steps of its own run; give another",
        });
    }
    Ok(own)
}
