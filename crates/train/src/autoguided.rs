//! Sampling with autoguidance (`sample.autoguidance`).

use crate::{
    Config, Result,
    chains::Chains,
    latents::LatentCodec,
    networks::{LoadedNetworks, Networks},
    samples::Samples,
    weak::WeakNetworks,
};
use burn::tensor::Device;
use pig_diffusion::pair::Turn;
use std::path::Path;

/// Networks that are sampled with autoguidance.
#[derive(Debug)]
struct WithWeak {
    networks: Box<dyn Networks>,
    weak: WeakNetworks,
}

impl Networks for WithWeak {
    fn pairs(&self, chains: &Chains<'_>, ids: &[u64], watch: &mut dyn FnMut(&Turn<'_>)) -> Option<Samples> {
        self.networks.pairs(&chains.clone().away_from(&self.weak), ids, watch)
    }

    fn images(&self, chains: &Chains<'_>, ids: &[u64], watch: &mut dyn FnMut(usize)) -> Option<Samples> {
        self.networks.images(&chains.clone().away_from(&self.weak), ids, watch)
    }

    fn images_for(
        &self,
        chains: &Chains<'_>,
        masks: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        self.networks.images_for(&chains.clone().away_from(&self.weak), masks, ids, watch)
    }

    fn masks_for(
        &self,
        chains: &Chains<'_>,
        images: &[&[f32]],
        ids: &[u64],
        watch: &mut dyn FnMut(usize),
    ) -> Option<Samples> {
        self.networks.masks_for(&chains.clone().away_from(&self.weak), images, ids, watch)
    }

    fn needs_masks(&self) -> bool {
        self.networks.needs_masks()
    }

    fn codec(&self) -> Option<&LatentCodec> {
        self.networks.codec()
    }
}

/// `loaded` with the worse networks that `config.sample.autoguidance` names, whose hashes are added; unchanged if it names none.
///
/// # Errors
/// When these networks cannot be read, or do not have the same task.
pub(crate) fn with_weak(
    loaded: LoadedNetworks,
    run: &Path,
    config: &Config,
    device: &Device,
) -> Result<LoadedNetworks> {
    if !config.sample.autoguidance.is_on() {
        return Ok(loaded);
    }
    let LoadedNetworks { networks, mut hashes, latents } = loaded;
    let (weak, more) = WeakNetworks::load(run, config, device)?;
    hashes.extend(more);
    Ok(LoadedNetworks { networks: Box::new(WithWeak { networks, weak }), hashes, latents })
}
