//! What an import may be told.

use pig_diffusion::schedule::ScheduleConfig;
use pig_nn::{autoencoder::AutoencoderConfig, config::UNetConfig};
use serde::{Deserialize, Serialize};

/// The settings that an import may be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A U-Net, or the base of a control network.
    pub unet: UNetConfig,
    /// A U-Net's noise schedule.
    pub schedule: ScheduleConfig,
    /// An autoencoder.
    pub autoencoder: AutoencoderConfig,
    /// What an autoencoder's latents are multiplied by before a diffusion model sees them, where the source does not say it.
    pub scaling_factor: Option<f64>,
}
