//! The networks of a configuration, with weights of zero, and the cost of their forward passes.

use crate::{Config, Error, Result, config::NoiseLevels, role::Role};
use burn::tensor::Device;
use pig_data::told::TOLD;
use pig_diffusion::schedule::Schedule;
use pig_nn::{
    autoencoder::Autoencoder,
    control::ControlNet,
    cost::{autoencoder_flops, autoencoder_values, forward_flops, forward_values},
    network::Network,
    unet::UNet,
};

/// The autoencoder with weights of zero.
pub(crate) fn build_autoencoder(config: &Config, device: &Device) -> Result<Autoencoder> {
    Autoencoder::new(&config.autoencoder, config.data.channels.count(), device).map_err(Error::from)
}

/// The control network with weights of zero.
pub(crate) fn build_control(config: &Config, device: &Device) -> Result<ControlNet> {
    ControlNet::new(config.unet(Role::Control), &config.control, control_channels(config), device).map_err(Error::from)
}

/// Channels of the noisy image and of the mask, as the network reads them.
pub(crate) fn control_channels(config: &Config) -> [usize; 2] {
    [config.data.channels.count(), config.data.mask_channels()]
        .map(|channels| config.space(Role::Control).bands() * channels)
}

/// The U-Net of `role` with weights of zero.
pub(crate) fn build_unet(config: &Config, role: Role, device: &Device) -> Result<UNet> {
    let unet = UNet::new(config.unet(role), config.unet_channels(role), device)?;
    let has_two_times = role == Role::Joint && config.train.noise_levels == NoiseLevels::Independent;
    let unet = if has_two_times { unet.with_second_time(config.unet(role)) } else { unet };
    let is_told = config.data.augment.told.is_on();
    Ok(if is_told { unet.with_augment_input(config.unet(role), TOLD) } else { unet })
}

/// `network`, the U-Net of `role`, in its space and with its scaling. `schedule` is that of its training.
pub(crate) fn in_place<'n>(network: Network<'n>, config: &Config, role: Role, schedule: &Schedule) -> Network<'n> {
    network.in_space(config.space(role)).with_preconditioning(config.preconditioning(role, schedule))
}

/// Floating-point operations of one image's forward pass through the U-Net of `role`.
pub(crate) fn unet_flops(config: &Config, role: Role) -> f64 {
    forward_flops(config.unet(role), config.unet_channels(role), config.extent(role))
}

/// Floating-point operations of one image through the autoencoder's encoder and decoder.
pub(crate) fn latent_flops(config: &Config) -> [f64; 2] {
    autoencoder_flops(&config.autoencoder, config.data.channels.count(), config.extent(Role::Autoencoder))
}

/// Values that the U-Net of `role`, or the base of its control network, keeps of one image for the backward pass, at least.
pub(crate) fn unet_values(config: &Config, role: Role) -> f64 {
    forward_values(config.unet(role), config.unet_channels(role), config.extent(role))
}

/// Values that the autoencoder's encoder and decoder keep of one image for the backward pass, at least.
pub(crate) fn latent_values(config: &Config) -> [f64; 2] {
    autoencoder_values(&config.autoencoder, config.data.channels.count(), config.extent(Role::Autoencoder))
}
