//! `[model_y.frozen]`: a conditional model that is already trained. Only the guider is trained for it (Algorithm 1).

use crate::{
    Config, Error, Result,
    checkpoint::State,
    config::FrozenCondition,
    imported::{
        Model, UNetDescription,
        model::{FROZEN_MODEL_Y, FROZEN_UNET, OWN_LAYOUT},
        model_y::{Control, ModelY, OWN_VALUES, Told, Values},
    },
    latents::LatentCodec,
    load::check_teacher,
    methods::teachers::Teacher,
    role::Role,
};
use burn::tensor::Device;
use pig_data::{Channels, ClassConfig};
use pig_diffusion::schedule::ScheduleConfig;
use pig_files::sha256;
use pig_nn::{
    autoencoder::AutoencoderConfig,
    config::UNetConfig,
    unet::{AXES, REGIONS},
};
use std::path::Path;

/// The folders beside that of the U-Net in the folder of a run's frozen model_y.
const CONTROL: &str = "controlnet";
const AUTOENCODER: &str = "autoencoder";

/// The networks of a frozen model_y.
#[derive(Clone, Debug)]
pub struct FrozenModelY {
    unet: Model,
    control: Option<Model>,
    autoencoder: Option<Model>,
}

/// Checks the configuration. Returns it with the settings of the frozen model, and the model; without a frozen model, returns it as it
/// is. The model decides `data.channels = "auto"`. A model that does not fit is refused before any data are read.
pub fn resolve(config: &Config) -> Result<(Config, Option<FrozenModelY>)> {
    let frozen = &config.model_y.frozen;
    let Some(path) = &frozen.model else {
        config.check()?;
        return Ok((config.clone(), None));
    };
    config.check_frozen()?;
    let unet = Model::open_role(path, &[Role::ModelY, Role::SegGuided, Role::Latent, Role::Unconditional])?;
    let open = |path: &Option<_>, role| path.as_deref().map(|path: &Path| Model::open_role(path, &[role])).transpose();
    let control = open(&frozen.control, Role::Control)?;
    let autoencoder = open(&frozen.autoencoder, Role::Autoencoder)?;
    let model = FrozenModelY { unet, control, autoencoder };
    let mut config = config.clone();
    let words = model.unet.unet_description()?;
    adopt("the network's keys of [model_y]", &mut config.model_y.unet, &UNetConfig::default(), &words.network)?;
    if config.schedule == ScheduleConfig::default() {
        config.schedule = words.schedule.clone();
    }
    if config.data.channels == Channels::Auto {
        let made = match &model.autoencoder {
            Some(autoencoder) => autoencoder.autoencoder_description()?.channels,
            None => words.out_channels,
        };
        // Any other number does not fit images, which is said below.
        if matches!(made, 1 | 3) {
            config.data.channels = Channels::Count(made);
        }
    }
    if let Some(autoencoder) = &model.autoencoder {
        let words = autoencoder.autoencoder_description()?;
        let found = [words.channels, words.network.latent_channels];
        let expected = [config.data.channels.count(), model.unet.unet_description()?.out_channels];
        let describe = |[image, latent]: [usize; 2]| format!("{image} of the image, {latent} of the latents");
        equal("channels of model_y.frozen.autoencoder", describe(found), describe(expected), "see data.channels")?;
        let default = AutoencoderConfig::default();
        adopt("the section [autoencoder]", &mut config.autoencoder, &default, &words.network)?;
    }
    if let Err(error) = model.fits(&config) {
        // How many classes the masks have is known when they are read, and then all is checked again. What would not fit then either is an
        // error now.
        let mut several = config.clone();
        let class = |number: usize| ClassConfig { name: format!("class {number}"), ..ClassConfig::default() };
        several.data.classes = (0..model.mask_channels(&config)?).map(class).collect();
        let may_fit = config.data.may_find_classes() && several.data.has_several_classes();
        if !may_fit || model.fits(&several).is_err() {
            return Err(error);
        }
    }
    config.check()?;
    Ok((config, Some(model)))
}

/// Puts the settings of a frozen model into `own`, which must be the default or the same.
fn adopt<T: Clone + PartialEq + std::fmt::Debug>(
    what: &'static str,
    own: &mut T,
    default: &T,
    words: &T,
) -> Result<()> {
    if own != default && own != words {
        return Err(Error::Mismatch {
            what,
            found: format!("{own:?}"),
            expected: format!("{words:?}"),
            advice: "a frozen model_y brings its own settings; leave them out",
        });
    }
    *own = words.clone();
    Ok(())
}

fn equal(what: &'static str, found: String, expected: String, advice: &'static str) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Mismatch { what, found, expected, advice }) }
}

/// Checks that a model has the channels, the size and the noise levels that `role` needs with `config`.
pub(crate) fn fits(role: Role, words: &UNetDescription, config: &Config) -> Result<()> {
    let [_, height, width] = config.extent(role);
    let is_told = role != Role::ModelY || config.model_y.frozen.condition == FrozenCondition::Channels;
    let expected = if is_told { config.unet_channels(role) } else { [config.grid(role).1; 2] };
    let describe = |[from, to]: [usize; 2]| format!("{from} in, {to} out");
    equal(
        if role == Role::ModelX { "channels of model_x" } else { "channels of model_y" },
        describe([words.in_channels, words.out_channels]),
        describe(expected),
        "model_x reads the noisy mask and image; model_y reads the noisy image and, with condition = \"channels\", a mask; \
         see data.channels and model_y.frozen.condition",
    )?;
    equal(
        "axes of the model's output",
        words.network.spatial_dims.to_string(),
        if config.has_volumes() { AXES } else { UNetConfig::default().spatial_dims }.to_string(),
        "data.slices says how many slices of a volume each picture shows below each other; without it the pictures are not volumes",
    )?;
    words.network.check_size([height, width])?;
    equal(
        "the noise schedule",
        format!("{:?}", words.schedule),
        format!("{:?}", config.schedule),
        "set the section [schedule] to the model's, or give `pig weights import` the schedule that it was trained with",
    )
}

impl FrozenModelY {
    /// The channels in which the model reads the mask.
    fn mask_channels(&self, config: &Config) -> Result<usize> {
        let words = self.unet.unet_description()?;
        Ok(match (&self.control, config.model_y.frozen.condition) {
            (Some(control), _) => control.controlnet_description()?.condition_channels,
            (None, FrozenCondition::Channels) => words.in_channels.saturating_sub(words.out_channels),
            (None, _) => 1,
        })
    }

    /// Checks that the networks fit `config` and each other.
    pub(crate) fn fits(&self, config: &Config) -> Result<()> {
        let words = self.unet.unet_description()?;
        fits(Role::ModelY, words, config)?;
        if let Some(control) = &self.control {
            let control = control.controlnet_description()?;
            equal(
                "channels of model_y.frozen.control's base and of its encoder's outputs",
                format!("{} and {:?}", control.in_channels, control.base.skip_channels()),
                format!("{} and {:?}", words.in_channels, words.network.skip_channels()),
                "give the control network that was trained with model_y.frozen.model",
            )?;
        }
        let (frozen, network) = (&config.model_y.frozen, &words.network);
        for (key, is_told, found, count) in [
            ("top_region_index", network.include_top_region_index_input, &frozen.top_region_index, REGIONS),
            ("bottom_region_index", network.include_bottom_region_index_input, &frozen.bottom_region_index, REGIONS),
            ("spacing", network.include_spacing_input, &frozen.spacing, AXES),
        ] {
            let count = if is_told { count } else { 0 };
            if found.len() != count {
                return Err(Error::Setting {
                    key: format!("model_y.frozen.{key}"),
                    found: format!("{found:?}"),
                    expected: format!("{count} numbers, the size of this input of the model"),
                });
            }
        }
        if let Some(control) = self.control.as_ref().filter(|_| frozen.labels.is_none()) {
            let (channels, classes) =
                (control.controlnet_description()?.condition_channels, config.data.mask_channels());
            if classes > 1 && channels != classes {
                return Err(Error::Setting {
                    key: "model_y.frozen.control".to_owned(),
                    found: format!("a condition of {channels} channels"),
                    expected: format!(
                        "a condition of {classes} channels, one for each of {}; for one that reads the bits of labels set model_y.frozen.labels",
                        config.data.class_words()
                    ),
                });
            }
        }
        if let (Some(labels), Some(control)) = (&frozen.labels, &self.control) {
            let channels = control.controlnet_description()?.condition_channels;
            if labels.iter().any(|&label| u64::from(label) >= 1_u64 << channels.min(32)) {
                return Err(Error::Setting {
                    key: "model_y.frozen.labels".to_owned(),
                    found: format!("{labels:?}"),
                    expected: format!(
                        "labels of {channels} bits, one for each channel of the control network's condition"
                    ),
                });
            }
        }
        let (classes, known) = (&frozen.classes, words.network.num_class_embeds.unwrap_or(0));
        match classes.iter().find(|&&class| class >= known) {
            None => Ok(()),
            Some(class) => Err(Error::Setting {
                key: "model_y.frozen.classes".to_owned(),
                found: class.to_string(),
                expected: format!("classes of the model, which has {known}, counted from 0"),
            }),
        }
    }

    /// Copies the model into a run, so that the run needs no other files.
    pub(crate) fn install(self, run: &Path) -> Result<()> {
        let folder = run.join(FROZEN_MODEL_Y);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        for (name, model) in [(FROZEN_UNET, Some(self.unet)), (CONTROL, self.control), (AUTOENCODER, self.autoencoder)]
        {
            model.map(|model| model.save(&folder.join(name))).transpose()?;
        }
        Ok(())
    }

    /// A model_y that reads the mask by an input channel: an imported one, or that of a run.
    pub(crate) fn plain(unet: Model) -> Self {
        Self { unet, control: None, autoencoder: None }
    }

    /// The model of a run.
    pub(crate) fn of_run(run: &Path) -> Result<Self> {
        let open = |name| {
            let folder = run.join(FROZEN_MODEL_Y).join(name);
            folder.is_dir().then(|| Model::open(&folder, None)).transpose()
        };
        Ok(Self {
            unet: Model::open(&run.join(FROZEN_MODEL_Y).join(FROZEN_UNET), None)?,
            control: open(CONTROL)?,
            autoencoder: open(AUTOENCODER)?,
        })
    }

    /// SHA-256 that identifies its weights.
    pub(crate) fn sha256(&self) -> String {
        let models = [Some(&self.unet), self.control.as_ref(), self.autoencoder.as_ref()];
        let hashes: Vec<&str> = models.into_iter().flatten().map(|model| model.description.sha256.as_str()).collect();
        if hashes.len() == 1 { hashes[0].to_owned() } else { sha256(hashes.join("+").as_bytes()) }
    }

    /// Its autoencoder, if it makes latents.
    pub fn codec(&self, config: &Config, device: &Device) -> Result<Option<Teacher<LatentCodec>>> {
        let Some(model) = &self.autoencoder else { return Ok(None) };
        let scaling_factor = model.autoencoder_description()?.scaling_factor;
        let autoencoder = model.autoencoder(device)?;
        let network = LatentCodec { autoencoder, scaling_factor, volume: config.volume() };
        Ok(Some(Teacher { network, sha256: model.description.sha256.clone() }))
    }

    /// Checks that the guider `model_x`, if it learned from an autoencoder, learned from this model's.
    pub(crate) fn check_guider(&self, model_x: &State) -> Result<()> {
        let sha256 = self.autoencoder.as_ref().map_or("none", |model| &model.description.sha256);
        check_teacher(Role::ModelX, sha256, model_x)
    }

    /// The description of its U-Net.
    pub(crate) fn unet_description(&self) -> Result<&UNetDescription> {
        self.unet.unet_description()
    }

    /// The model, ready for sampling.
    pub(crate) fn model_y(&self, config: &Config, device: &Device) -> Result<ModelY> {
        let told = config.model_y.frozen.mask_values;
        let classes = config.data.mask_channels();
        let mut values = Values::each(told.unwrap_or(OWN_VALUES), classes);
        let control = match &self.control {
            None => None,
            Some(model) => {
                let words = model.controlnet_description()?;
                if told.is_none() && model.description.layout != OWN_LAYOUT {
                    values = Values::each([0.0, 1.0], classes);
                }
                let channels = words.condition_channels;
                values = match &config.model_y.frozen.labels {
                    Some(labels) => Values::bits(labels, channels),
                    // A condition of several channels that tells one lesion has it in each of them.
                    None if classes == 1 => Values(vec![values.0.concat(); channels]),
                    None => values,
                };
                Some(Control {
                    network: model.controlnet(device)?,
                    doublings: words.condition_factor().trailing_zeros() as usize,
                })
            }
        };
        let codec = self.codec(config, device)?.map(|codec| codec.network);
        Ok(ModelY::frozen(self.unet.unet(device)?, Told { control, values }, codec))
    }
}
