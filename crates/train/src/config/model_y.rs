//! The `[model_y]` section: the keys of a U-Net, keys of its own, and the table `[model_y.frozen]`.

use pig_nn::config::UNetConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::path::PathBuf;
use toml::{Table, Value};

/// What model_y is conditioned on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Conditioning {
    /// Trained on the frozen model_x's one-step x_0-hat from (x_t, y_t) at the same t.
    #[default]
    Xhat,
    /// Trained on the clean mask: the paper's p_y(y_{t-1} | x_0, y_t).
    Clean,
    /// Trained on x_{t-1}: Eq. (12) to the letter.
    Xprev,
}

/// How pixels are weighted in model_y's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossWeight {
    /// All pixels alike: the paper.
    #[default]
    None,
    /// By the sigmoid of the guide, about 0.27 on background and 0.73 on the lesion: the released code.
    SigmoidGuide,
}

/// How a frozen model_y reads the mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FrozenCondition {
    /// By an input channel after those of the noisy image.
    #[default]
    Channels,
    /// By a control network beside the model.
    Controlnet,
    /// By a class that depends on the size of the lesion. The model does not see the mask itself; the guider sees the image as usual, so
    /// that only the image connects the pair.
    Class,
}

/// The `[model_y]` section.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, default)]
pub struct ModelYConfig {
    /// The network.
    #[schemars(flatten)]
    pub unet: UNetConfig,
    /// What it is conditioned on.
    pub conditioning: Conditioning,
    /// How pixels are weighted in its loss.
    pub loss_weight: LossWeight,
    /// A model that was trained elsewhere and replaces model_y.
    pub frozen: FrozenConfig,
}

/// The table `[model_y.frozen]`: a conditional model that was trained elsewhere. Only the guider is trained then (Algorithm 1), and the
/// keys of the network in `[model_y]` are those of the frozen model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrozenConfig {
    /// The model: a folder of `pig weights import`, or a run, whose image network is used. Without this key no model is frozen.
    pub model: Option<PathBuf>,
    /// How the model reads the mask.
    pub condition: FrozenCondition,
    /// The control network for `condition = "controlnet"`: a folder of `pig weights import`, or a run of `controlnet`.
    pub control: Option<PathBuf>,
    /// The autoencoder whose latents the model makes: a folder of `pig weights import`, or a run of `ldm`. The guider then works on
    /// the latents' grid, and its mask is resized to the size of the image.
    pub autoencoder: Option<PathBuf>,
    /// The values for background and lesion that the model was trained with. Without this key they are -1 and 1. For a control network
    /// that pig did not train they are 0 and 1, as in diffusers.
    pub mask_values: Option<[f64; 2]>,
    /// Labels of background and lesion (of several classes, of background and of each class in order) for a control network that reads the
    /// bits of a label as channels, the lowest bit first, as MAISI's does. Cannot be used with `mask_values`.
    pub labels: Option<Vec<u32>>,
    /// Where in the body the volumes begin, for a model with this input (MAISI: four numbers, 1 for the region and 0 for the others).
    pub top_region_index: Vec<f32>,
    /// Where in the body the volumes end, in the same form.
    pub bottom_region_index: Vec<f32>,
    /// Distance of voxels along each axis, for a model with this input, in the unit of its training (MAISI: hundredths of a millimetre).
    pub spacing: Vec<f32>,
    /// Classes for `condition = "class"`, by the lesion's share of the picture: one more than `class_areas`. A single class is used for
    /// all masks, with any model that has classes.
    pub classes: Vec<usize>,
    /// Shares of the picture in rising order: a mask whose lesion is larger than the first share has the second class, and so on. `[0.0]`
    /// separates pictures without a lesion from those with one.
    pub class_areas: Vec<f64>,
}

/// The keys that are not the U-Net's. serde cannot flatten a struct and also refuse unknown keys, so reading splits the table.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Own {
    conditioning: Conditioning,
    loss_weight: LossWeight,
    frozen: FrozenConfig,
}

impl ModelYConfig {
    /// The keys of this section that are not the U-Net's.
    pub const OWN_KEYS: [&'static str; 3] = ["conditioning", "loss_weight", "frozen"];
}

impl<'de> Deserialize<'de> for ModelYConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut unet = Table::deserialize(deserializer)?;
        if let Some(message) = super::migrate::renamed(&unet) {
            return Err(D::Error::custom(message));
        }
        let own: Table = Self::OWN_KEYS.iter().filter_map(|&k| Some((k.to_owned(), unet.remove(k)?))).collect();
        let own: Own = Value::Table(own).try_into().map_err(D::Error::custom)?;
        let unet = Value::Table(unet).try_into().map_err(D::Error::custom)?;
        Ok(Self { unet, conditioning: own.conditioning, loss_weight: own.loss_weight, frozen: own.frozen })
    }
}

/// The section as it is written. Here flattening is possible, and it keeps the keys without a value.
#[derive(Serialize)]
struct Written<'a> {
    conditioning: Conditioning,
    loss_weight: LossWeight,
    #[serde(flatten)]
    unet: &'a UNetConfig,
    frozen: &'a FrozenConfig,
}

impl Serialize for ModelYConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { unet, conditioning, loss_weight, frozen } = self;
        Written { conditioning: *conditioning, loss_weight: *loss_weight, unet, frozen }.serialize(serializer)
    }
}
