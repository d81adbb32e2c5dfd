//! The `[model_y]` section: a U-Net's words and three of its own.

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
}

/// The words beside the U-Net's. serde cannot flatten a struct and refuse unknown keys at once, so the table is parted when read.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Own {
    conditioning: Conditioning,
    loss_weight: LossWeight,
    frozen: Option<PathBuf>,
}

impl ModelYConfig {
    /// The keys of this section that are not the U-Net's.
    pub const OWN_KEYS: [&'static str; 3] = ["conditioning", "loss_weight", "frozen"];
}

impl<'de> Deserialize<'de> for ModelYConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut unet = Table::deserialize(deserializer)?;
        let own: Table = Self::OWN_KEYS.iter().filter_map(|&k| Some((k.to_owned(), unet.remove(k)?))).collect();
        let own: Own = Value::Table(own).try_into().map_err(D::Error::custom)?;
        let unet = Value::Table(unet).try_into().map_err(D::Error::custom)?;
        Ok(Self { unet, conditioning: own.conditioning, loss_weight: own.loss_weight, frozen: own.frozen })
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
        let own = Own { conditioning: self.conditioning, loss_weight: self.loss_weight, frozen: self.frozen.clone() };
        Written { own, unet: &self.unet }.serialize(serializer)
    }
}
