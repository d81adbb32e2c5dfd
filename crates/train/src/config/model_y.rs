//! The `[model_y]` section: a U-Net's words and some of its own.

use pig_nn::config::UNetConfig;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::path::PathBuf;
use toml::{Table, Value};

/// What model_y is conditioned on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// How pixels weigh in model_y's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossWeight {
    /// All alike: the paper.
    #[default]
    None,
    /// By the sigmoid of the guide, about 0.27 on background and 0.73 on the lesion: the released code.
    SigmoidGuide,
}

/// How a model_y that others trained is told the mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrozenCondition {
    /// By an input channel behind the noisy image's.
    #[default]
    Channels,
    /// By a control network beside it.
    Controlnet,
    /// By a class that the mask's size names: it is not told the mask itself. The guider sees the image all the same, so that the
    /// pair is joined through the image alone.
    Class,
}

/// The `[model_y]` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelYConfig {
    /// The network.
    pub unet: UNetConfig,
    /// What it is conditioned on.
    pub conditioning: Conditioning,
    /// How pixels weigh in its loss.
    pub loss_weight: LossWeight,
    /// A model that is trained already: a folder of `pig weights import`, or a run whose model_y is taken. The guider alone is
    /// trained, and the network's keys of this section are the model's own.
    pub frozen: Option<PathBuf>,
    /// How the frozen model is told the mask.
    pub frozen_condition: FrozenCondition,
    /// The control network of `frozen_condition = "controlnet"`: a folder of `pig weights import`, or a run of `controlnet`.
    pub frozen_control: Option<PathBuf>,
    /// The autoencoder whose latents the frozen model makes: a folder of `pig weights import`, or a run of `ldm`. The guider then
    /// works on the latents' grid, and the mask is resized to the image's.
    pub frozen_autoencoder: Option<PathBuf>,
    /// What the frozen model was told for background and for lesion. Without it -1 and 1, and 0 and 1 for a control network that
    /// pig did not train, as diffusers gives its conditions.
    pub frozen_mask_values: Option<[f64; 2]>,
    /// Labels of background and lesion whose bits, the lowest first, the frozen model's control network reads as channels, as MAISI's does;
    /// in the place of `frozen_mask_values`.
    pub frozen_labels: Option<[u32; 2]>,
    /// Where in the body volumes begin, for a frozen model that is told it (MAISI's four regions, one of them 1).
    pub frozen_top_region_index: Vec<f32>,
    /// Where they end.
    pub frozen_bottom_region_index: Vec<f32>,
    /// Distance of voxels along each axis, for a frozen model that is told it and as it was told (MAISI: hundredths of a millimetre).
    pub frozen_spacing: Vec<f32>,
    /// Classes of `frozen_condition = "class"`, by the lesion's share of the picture: one more than `frozen_class_areas`. A single
    /// one is told whatever the mask is, to any frozen model of classes.
    pub frozen_classes: Vec<usize>,
    /// Shares of the picture, rising: a mask whose lesion is larger than the first has the second class, and so on. `[0.0]` parts
    /// pictures without a lesion from those with one.
    pub frozen_class_areas: Vec<f64>,
}

/// The words beside the U-Net's. serde cannot flatten a struct and refuse unknown keys at once, so the table is parted when read.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Own {
    conditioning: Conditioning,
    loss_weight: LossWeight,
    frozen: Option<PathBuf>,
    frozen_condition: FrozenCondition,
    frozen_control: Option<PathBuf>,
    frozen_autoencoder: Option<PathBuf>,
    frozen_mask_values: Option<[f64; 2]>,
    frozen_labels: Option<[u32; 2]>,
    frozen_top_region_index: Vec<f32>,
    frozen_bottom_region_index: Vec<f32>,
    frozen_spacing: Vec<f32>,
    frozen_classes: Vec<usize>,
    frozen_class_areas: Vec<f64>,
}

impl ModelYConfig {
    /// The keys of this section that are not the U-Net's.
    pub const OWN_KEYS: [&'static str; 13] = [
        "conditioning",
        "loss_weight",
        "frozen",
        "frozen_condition",
        "frozen_control",
        "frozen_autoencoder",
        "frozen_mask_values",
        "frozen_labels",
        "frozen_top_region_index",
        "frozen_bottom_region_index",
        "frozen_spacing",
        "frozen_classes",
        "frozen_class_areas",
    ];
}

impl<'de> Deserialize<'de> for ModelYConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut unet = Table::deserialize(deserializer)?;
        let own: Table = Self::OWN_KEYS.iter().filter_map(|&k| Some((k.to_owned(), unet.remove(k)?))).collect();
        let own: Own = Value::Table(own).try_into().map_err(D::Error::custom)?;
        let unet = Value::Table(unet).try_into().map_err(D::Error::custom)?;
        Ok(Self {
            unet,
            conditioning: own.conditioning,
            loss_weight: own.loss_weight,
            frozen: own.frozen,
            frozen_condition: own.frozen_condition,
            frozen_control: own.frozen_control,
            frozen_autoencoder: own.frozen_autoencoder,
            frozen_mask_values: own.frozen_mask_values,
            frozen_labels: own.frozen_labels,
            frozen_top_region_index: own.frozen_top_region_index,
            frozen_bottom_region_index: own.frozen_bottom_region_index,
            frozen_spacing: own.frozen_spacing,
            frozen_classes: own.frozen_classes,
            frozen_class_areas: own.frozen_class_areas,
        })
    }
}

/// The same when written, where flattening is possible and keeps the keys without a value.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    own: Own,
    #[serde(flatten)]
    unet: &'a UNetConfig,
}

impl Serialize for ModelYConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = Own {
            conditioning: self.conditioning,
            loss_weight: self.loss_weight,
            frozen: self.frozen.clone(),
            frozen_condition: self.frozen_condition,
            frozen_control: self.frozen_control.clone(),
            frozen_autoencoder: self.frozen_autoencoder.clone(),
            frozen_mask_values: self.frozen_mask_values,
            frozen_labels: self.frozen_labels,
            frozen_top_region_index: self.frozen_top_region_index.clone(),
            frozen_bottom_region_index: self.frozen_bottom_region_index.clone(),
            frozen_spacing: self.frozen_spacing.clone(),
            frozen_classes: self.frozen_classes.clone(),
            frozen_class_areas: self.frozen_class_areas.clone(),
        };
        Written { own, unet: &self.unet }.serialize(serializer)
    }
}
