//! The networks of a method, ready for sampling.

use crate::{
    chains::Chains,
    checkpoint::State,
    latents::{LatentCodec, LatentSpace},
    samples::Samples,
};
use pig_diffusion::pair::Turn;
use std::{any::Any, fmt::Debug};

/// The networks of a method, with averaged weights and in evaluation mode. Each method implements the functions for what it can make;
/// the others return `None`. [`crate::config::Method::takes`] gives the same answer before any network is read.
pub trait Networks: Any + Debug + Send + Sync {
    /// Pairs from noise that is keyed by `ids`. `watch` sees every turn of the two chains.
    fn pairs(&self, _chains: &Chains<'_>, _ids: &[u64], _watch: &mut dyn FnMut(&Turn<'_>)) -> Option<Samples> {
        None
    }

    /// Images without masks from noise. `watch` is called with the timestep of every turn.
    fn images(&self, _chains: &Chains<'_>, _ids: &[u64], _watch: &mut dyn FnMut(usize)) -> Option<Samples> {
        None
    }

    /// Images for masks of `height * width * classes` values of -1 or 1, one for each id.
    fn images_for(
        &self,
        _chains: &Chains<'_>,
        _masks: &[&[f32]],
        _ids: &[u64],
        _watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        None
    }

    /// Masks for images of `height * width * channels` values in [-1, 1], one for each id.
    fn masks_for(
        &self,
        _chains: &Chains<'_>,
        _images: &[&[f32]],
        _ids: &[u64],
        _watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        None
    }

    /// Whether these networks make nothing without masks.
    fn needs_masks(&self) -> bool {
        false
    }

    /// The autoencoder, if images are decoded from latents.
    fn codec(&self) -> Option<&LatentCodec> {
        None
    }
}

/// The networks of a run, as a method loads them.
#[derive(Debug)]
pub(crate) struct LoadedNetworks {
    /// The networks.
    pub(crate) networks: Box<dyn Networks>,
    /// SHA-256 of each network's averaged weights, in the order of training.
    pub(crate) hashes: Vec<String>,
    /// The measured properties of the latents of `ldm`.
    pub(crate) latents: Option<LatentSpace>,
}

impl LoadedNetworks {
    /// Networks in pixels that were trained here; `states` are those of the networks in the order of training.
    pub(crate) fn of(networks: Box<dyn Networks>, states: &[&State]) -> Self {
        let hashes = states.iter().map(|state| state.ema_sha256().to_owned()).collect();
        Self { networks, hashes, latents: None }
    }
}
