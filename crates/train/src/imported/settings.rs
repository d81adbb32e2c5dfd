//! The settings of an import.

use pig_diffusion::schedule::ScheduleConfig;
use pig_nn::{autoencoder::AutoencoderConfig, config::UNetConfig};
use serde::{Deserialize, Serialize};

/// The settings that a user can give to an import.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A U-Net, or the base of a control network.
    pub unet: UNetConfig,
    /// A U-Net's noise schedule.
    pub schedule: ScheduleConfig,
    /// An autoencoder.
    pub autoencoder: AutoencoderConfig,
    /// The factor that an autoencoder's latents are multiplied by before a diffusion model reads them, instead of the source's.
    pub scaling_factor: Option<f64>,
}
