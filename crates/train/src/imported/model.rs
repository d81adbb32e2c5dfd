//! A model folder: its description and its arrays.

use crate::{
    Config, Error, Result, checkpoint,
    config::{Layers, PreconditioningKind},
    imported::told::folded,
    latents::LatentSpace,
    role::{NetworkKind, Role},
    run_dir::RunDir,
};
use burn::{module::Module, tensor::Device};
use pig_diffusion::schedule::ScheduleConfig;
use pig_nn::{
    autoencoder::{Autoencoder, AutoencoderConfig},
    config::UNetConfig,
    control::{ControlConfig, ControlNet},
    cost::{autoencoder_weights, control_weights, weights},
    inception::Inception,
    parameters::{self, ParameterError},
    unet::UNet,
};
use pig_weights::{Array, StateDict};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the folder's layout.
pub(crate) const FORMAT: u32 = 1;
const DESCRIPTION: &str = "model.toml";
const ARRAYS: &str = "model.safetensors";
/// [`Description::layout`] of networks that were trained here.
pub(crate) const OWN_LAYOUT: &str = "pig";
/// The folder of a run that holds its frozen model_y, and the U-Net in it.
pub(crate) const FROZEN_MODEL_Y: &str = "frozen_model_y";
pub(crate) const FROZEN_UNET: &str = "unet";

/// Up to so many weights (400 MB), a network is built from arrays that are not enough for it.
const SPARE_WEIGHTS: f64 = 1e8;

/// The kind of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// A U-Net.
    UNet,
    /// An autoencoder with a normal posterior.
    Autoencoder,
    /// A control network for a U-Net.
    ControlNet,
    /// The FID's Inception.
    Inception,
}

impl ModelKind {
    /// The name of the kind on the command line and in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::UNet => "unet",
            Self::Autoencoder => "autoencoder",
            Self::ControlNet => "controlnet",
            Self::Inception => "inception",
        }
    }
}

/// model.toml: the description of the arrays beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Version of the folder's layout.
    pub format: u32,
    /// The kind of the model.
    pub kind: ModelKind,
    /// The framework whose names the arrays had.
    pub layout: String,
    /// SHA-256 of the file that the arrays came from.
    pub source_sha256: String,
    /// SHA-256 of model.safetensors.
    pub sha256: String,
    /// The description of a U-Net.
    pub unet: Option<UNetDescription>,
    /// The description of an autoencoder.
    pub autoencoder: Option<AutoencoderDescription>,
    /// The description of a control network.
    pub controlnet: Option<ControlNetDescription>,
}

/// What a U-Net needs to be built and sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetDescription {
    /// Channels of the input: those of the noisy image, then those of the condition.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// The network.
    pub network: UNetConfig,
    /// The noise schedule that it was trained with, as far as the source or the user gave it.
    pub schedule: ScheduleConfig,
}

/// What an autoencoder needs to be built and used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderDescription {
    /// Channels of the image.
    pub channels: usize,
    /// The factor that latents are multiplied by before a diffusion model reads them; 1 if the source does not give it.
    pub scaling_factor: f64,
    /// The network.
    pub network: AutoencoderConfig,
}

/// What a control network needs to be built and used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlNetDescription {
    /// Channels of the base's noisy input.
    pub in_channels: usize,
    /// Channels of the condition.
    pub condition_channels: usize,
    /// The factor by which each change of channels divides the condition's size.
    pub condition_stride: usize,
    /// The base.
    pub base: UNetConfig,
    /// The part that reads the condition.
    pub control: ControlConfig,
}

impl ControlNetDescription {
    /// The height or width of the condition divided by that of the noisy input.
    pub fn condition_factor(&self) -> usize {
        self.condition_stride.pow(self.control.conditioning_embedding_out_channels.len() as u32 - 1)
    }
}

/// A model that was read.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its description.
    pub description: Description,
    /// Its arrays.
    pub arrays: StateDict,
    /// The file of the arrays.
    pub path: PathBuf,
}

impl Model {
    /// Whether `path` is a folder that `pig weights import` wrote.
    pub(crate) fn is_imported(path: &Path) -> bool {
        path.join(DESCRIPTION).is_file()
    }

    /// Reads a folder that `pig weights import` wrote, or a network of a run. `network` is its name, if the run has several.
    pub fn open(path: &Path, network: Option<&str>) -> Result<Self> {
        if Self::is_imported(path) {
            return Self::open_imported(path);
        }
        let run = RunDir::open_verified(path)?;
        Self::of_run(&run, network)
    }

    fn open_imported(path: &Path) -> Result<Self> {
        let file = path.join(DESCRIPTION);
        let description: Description = Layers { file: Some(file.clone()), sets: Vec::new() }.load_as()?;
        if description.format != FORMAT {
            return Err(Error::BadFile {
                path: file,
                problem: format!("format {}, expected {FORMAT}", description.format),
                advice: "import the model again with this version of pig",
            });
        }
        let file = path.join(ARRAYS);
        let bytes = pig_files::read(&file).map_err(Error::io(&file, "read"))?;
        let bad = |problem: String| Error::BadFile { path: file.clone(), problem, advice: "import the model again" };
        let found = pig_files::sha256(&bytes);
        if found != description.sha256 {
            return Err(bad(format!("its SHA-256 is {found}, but {DESCRIPTION} says {}", description.sha256)));
        }
        let arrays = checkpoint::deserialise(&bytes).map_err(bad)?;
        Ok(Self { description, arrays, path: file })
    }

    /// Like [`open`](Self::open), but of a run reads the first of `roles` that it has.
    pub(crate) fn open_role(path: &Path, roles: &[Role]) -> Result<Self> {
        if Self::is_imported(path) {
            return Self::open(path, None);
        }
        let run = RunDir::open_verified(path)?;
        let trained = run.config()?.roles();
        let role = roles.iter().find(|role| trained.contains(role)).unwrap_or(&roles[0]);
        Self::of_run(&run, Some(role.name()))
    }

    fn of_run(run: &RunDir, network: Option<&str>) -> Result<Self> {
        let config = run.config()?;
        let roles = config.roles();
        let names: Vec<&str> = roles.iter().map(|&role| role.name()).collect();
        let role = match network {
            Some(wanted) => roles.iter().copied().find(|&role| role.name() == wanted),
            None if roles.len() == 1 => Some(roles[0]),
            None => None,
        };
        let role = role.ok_or_else(|| Error::Mismatch {
            what: "--network",
            found: names.join(" and "),
            expected: network.unwrap_or("one of them").to_owned(),
            advice: "name one of the run's networks with --network",
        })?;
        if config.space(role).haar_levels > 0 {
            return Err(Error::BadFile {
                path: run.path().to_owned(),
                problem: "its networks read and predict Haar coefficients (data.space = \"haar\"), and a model of its own has no transform"
                    .to_owned(),
                advice: "train a run with data.space = \"pixels\" for models that are used elsewhere",
            });
        }
        if config.preconditioning.kind != PreconditioningKind::None && !config.is_frozen(role) {
            return Err(Error::BadFile {
                path: run.path().to_owned(),
                problem: "its networks read and predict scaled channels (preconditioning.kind = \"strength\"), and a model of its own has no scales"
                    .to_owned(),
                advice: "train a run with preconditioning.kind = \"none\" for models that are used elsewhere",
            });
        }
        if config.is_frozen(role) {
            return Self::open(&run.path().join(FROZEN_MODEL_Y).join(FROZEN_UNET), None);
        }
        let (state, arrays, path) = checkpoint::Store::new(run.path(), role.name()).load_ema()?;
        let mut description = Description {
            format: FORMAT,
            kind: ModelKind::UNet,
            layout: OWN_LAYOUT.to_owned(),
            source_sha256: state.ema_sha256().to_owned(),
            sha256: state.ema_sha256().to_owned(),
            unet: None,
            autoencoder: None,
            controlnet: None,
        };
        match role.kind() {
            NetworkKind::Autoencoder => {
                description.kind = ModelKind::Autoencoder;
                description.autoencoder = Some(own_autoencoder(run, &config)?);
            }
            NetworkKind::ControlNet => {
                description.kind = ModelKind::ControlNet;
                description.controlnet = Some(own_control(&config));
            }
            NetworkKind::UNet => description.unet = Some(own_unet(&config, role)),
        }
        Ok(Self { description, arrays: folded(arrays), path })
    }

    /// The U-Net's description, or an error if the model is of another kind.
    pub fn unet_description(&self) -> Result<&UNetDescription> {
        self.description.unet.as_ref().ok_or_else(|| self.is_no(ModelKind::UNet))
    }

    /// The autoencoder's description, or an error if the model is of another kind.
    pub fn autoencoder_description(&self) -> Result<&AutoencoderDescription> {
        self.description.autoencoder.as_ref().ok_or_else(|| self.is_no(ModelKind::Autoencoder))
    }

    /// The control network's description, or an error if the model is of another kind.
    pub fn controlnet_description(&self) -> Result<&ControlNetDescription> {
        self.description.controlnet.as_ref().ok_or_else(|| self.is_no(ModelKind::ControlNet))
    }

    fn is_no(&self, expected: ModelKind) -> Error {
        Error::BadFile {
            path: self.path.clone(),
            problem: format!("a model of kind {}, expected {}", self.description.kind.word(), expected.word()),
            advice: "give a model of that kind",
        }
    }

    /// Number of axes of its pictures: 2, or 3 for volumes.
    pub fn spatial_dims(&self) -> usize {
        let Description { unet, autoencoder, controlnet, .. } = &self.description;
        let unet = unet.as_ref().map(|words| words.network.spatial_dims);
        let control = controlnet.as_ref().map(|words| words.base.spatial_dims);
        let autoencoder = autoencoder.as_ref().map(|words| words.network.spatial_dims);
        unet.or(control).or(autoencoder).unwrap_or(2)
    }

    /// The U-Net with its weights, in evaluation mode.
    pub fn unet(&self, device: &Device) -> Result<UNet> {
        let words = self.unet_description()?;
        words.network.validate()?;
        self.check_weights(weights(&words.network, [words.in_channels, words.out_channels]))?;
        self.filled(UNet::new(&words.network, [words.in_channels, words.out_channels], device)?)
    }

    /// The autoencoder with its weights, in evaluation mode.
    pub fn autoencoder(&self, device: &Device) -> Result<Autoencoder> {
        let words = self.autoencoder_description()?;
        if !words.network.block_out_channels.is_empty() {
            self.check_weights(autoencoder_weights(&words.network, words.channels))?;
        }
        self.filled(Autoencoder::new(&words.network, words.channels, device)?)
    }

    /// The control network with its weights, in evaluation mode.
    pub fn controlnet(&self, device: &Device) -> Result<ControlNet> {
        let words = self.controlnet_description()?;
        let channels = [words.in_channels, words.condition_channels];
        words.base.validate()?;
        if !words.control.conditioning_embedding_out_channels.is_empty() {
            self.check_weights(control_weights(&words.base, &words.control, channels))?;
        }
        let stride = words.condition_stride;
        self.filled(ControlNet::with_condition_stride(&words.base, &words.control, channels, stride, device)?)
    }

    /// The FID's Inception with its weights.
    pub fn inception(&self, device: &Device) -> Result<Inception> {
        if self.description.kind != ModelKind::Inception {
            return Err(self.is_no(ModelKind::Inception));
        }
        Inception::new(&self.arrays, device).map_err(|error| architecture(&self.path, error))
    }

    /// Refuses a network that would need far more memory than its arrays, whose shapes alone say how large it is. A network that lacks
    /// some arrays is built, so that they can be named.
    fn check_weights(&self, weights: f64) -> Result<()> {
        let held: usize = self.arrays.values().map(|array| array.values.len()).sum();
        if weights <= SPARE_WEIGHTS + 2.0 * held as f64 {
            return Ok(());
        }
        Err(Error::BadFile {
            path: self.path.clone(),
            problem: format!("it holds {held} values, but a network of its shapes has at least {weights:.0} weights"),
            advice: "give the whole file, or a file of another model",
        })
    }

    fn filled<M: Module>(&self, network: M) -> Result<M> {
        parameters::import(network, &flattened(&self.arrays)).map_err(|error| architecture(&self.path, error))
    }

    /// Checks that the arrays fit the network of the description.
    pub(crate) fn check(&self) -> Result<()> {
        let device = Device::flex();
        match self.description.kind {
            ModelKind::UNet => self.unet(&device).map(|_| ()),
            ModelKind::Autoencoder => self.autoencoder(&device).map(|_| ()),
            ModelKind::ControlNet => self.controlnet(&device).map(|_| ()),
            ModelKind::Inception => self.inception(&device).map(|_| ()),
        }
    }

    /// Writes the model as a new folder, completely or not at all.
    pub fn save(mut self, folder: &Path) -> Result<Description> {
        RunDir::check_free(folder)?;
        pig_files::create_folder(folder, |temporary| self.write(temporary))?;
        Ok(self.description)
    }

    fn write(&mut self, folder: &Path) -> Result<()> {
        let file = folder.join(ARRAYS);
        let bytes = checkpoint::serialise(&file, &self.arrays)?;
        self.description.sha256 = pig_files::sha256(&bytes);
        pig_files::write(&file, &bytes)?;
        // Every field is a plain value, so this cannot fail.
        let text = toml::to_string_pretty(&self.description).unwrap_or_default();
        Ok(pig_files::write(&folder.join(DESCRIPTION), text.as_bytes())?)
    }
}

fn own_unet(config: &Config, role: Role) -> UNetDescription {
    let [in_channels, out_channels] = config.unet_channels(role);
    UNetDescription { in_channels, out_channels, network: config.unet(role).clone(), schedule: config.schedule.clone() }
}

fn own_autoencoder(run: &RunDir, config: &Config) -> Result<AutoencoderDescription> {
    Ok(AutoencoderDescription {
        channels: config.data.channels.count(),
        scaling_factor: LatentSpace::load(run.path())?.scaling_factor(),
        network: config.autoencoder.clone(),
    })
}

fn own_control(config: &Config) -> ControlNetDescription {
    ControlNetDescription {
        in_channels: config.data.channels.count(),
        condition_channels: 1,
        condition_stride: 1,
        base: config.unet(Role::Control).clone(),
        control: config.control.clone(),
    }
}

/// The arrays with kernels of volumes, `[out, in, depth, height, width]`, in the shape that the networks use,
/// `[out, in * depth, height, width]`. Other arrays stay as they are.
fn flattened(arrays: &StateDict) -> StateDict {
    let flat = |array: &Array| match array.shape[..] {
        [out, input, depth, height, width] => {
            Array { shape: vec![out, input * depth, height, width], values: array.values.clone() }
        }
        _ => array.clone(),
    };
    arrays.iter().map(|(name, array)| (name.clone(), flat(array))).collect()
}

/// An error that lists every missing and every unexpected name; the message of [`ParameterError`] shows only three.
pub(crate) fn architecture(path: &Path, error: ParameterError) -> Error {
    let ParameterError::Names { missing, unexpected } = &error else {
        return Error::Architecture { path: path.to_owned(), source: error };
    };
    let list = |what: &str, names: &[String]| {
        names.iter().fold(String::new(), |text, name| format!("{text}\n  {what}: {name}"))
    };
    Error::BadFile {
        path: path.to_owned(),
        problem: format!(
            "the arrays do not fit the network: {} missing, {} unexpected{}{}\n",
            missing.len(),
            unexpected.len(),
            list("missing", missing),
            list("unexpected", unexpected)
        ),
        advice: "check --kind, the config.json beside the file, and the settings given with --set",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these networks would need more memory than any machine has.
    #[test]
    fn shapes_without_their_numbers_are_refused() {
        let widths = vec![1 << 20; 2];
        let unet = UNetConfig { block_out_channels: widths.clone(), attention_levels: vec![], ..UNetConfig::default() };
        let autoencoder = AutoencoderConfig { block_out_channels: widths, ..AutoencoderConfig::default() };
        let described = |kind| Description {
            format: FORMAT,
            kind,
            layout: OWN_LAYOUT.to_owned(),
            source_sha256: String::new(),
            sha256: String::new(),
            unet: Some(UNetDescription {
                in_channels: 1,
                out_channels: 1,
                network: unet.clone(),
                schedule: ScheduleConfig::default(),
            }),
            autoencoder: Some(AutoencoderDescription {
                channels: 1,
                scaling_factor: 1.0,
                network: autoencoder.clone(),
            }),
            controlnet: Some(ControlNetDescription {
                in_channels: 1,
                condition_channels: 1,
                condition_stride: 1,
                base: unet.clone(),
                control: ControlConfig::default(),
            }),
        };
        for kind in [ModelKind::UNet, ModelKind::Autoencoder, ModelKind::ControlNet] {
            let model =
                Model { description: described(kind), arrays: StateDict::new(), path: PathBuf::from("crafted.pth") };
            let error = model.check().unwrap_err().to_string();
            assert!(error.contains("crafted.pth") && error.contains("it holds 0 values"), "{error}");
        }
    }
}
