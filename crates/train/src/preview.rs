//! Pictures of a run in training: generated pairs beside real ones, and the curves.

use crate::{
    Config, Result,
    curves::write_run_curves,
    networks::Networks,
    pictures::{generated_pictures, real_pictures, spread},
    role::Role,
    sampler::Sampler,
    samples::Given,
};
use burn::tensor::Device;
use pig_data::PreparedSet;
use pig_report::{Section, SheetStyle, canvas::SYNTHETIC, contact_sheet};
use std::path::Path;

/// Pairs in a preview.
const PAIRS: usize = 8;
/// Maximum number of sampling steps of a preview.
const STEPS: usize = 50;

/// Writes previews of one run.
#[derive(Debug)]
pub struct Previews<'a> {
    config: Config,
    real: &'a PreparedSet,
    run: &'a Path,
    device: &'a Device,
}

impl<'a> Previews<'a> {
    /// Previews that show samples beside the validation pairs `real`. They take the sampling steps of `config`, but at most 50.
    pub fn new(config: &Config, real: &'a PreparedSet, run: &'a Path, device: &'a Device) -> Self {
        let mut config = config.clone();
        config.sample.num_inference_steps = config.sample.num_inference_steps.min(STEPS);
        Self { config, real, run, device }
    }

    /// Writes `previews/NETWORK-step-N.png` and `curves.svg`.
    pub fn write(&self, role: Role, step: usize, networks: &dyn Networks) -> Result<()> {
        let ids: Vec<u64> = (0..PAIRS as u64).collect();
        let sampler = Sampler::new(&self.config, networks, self.device)?;
        let needs_masks = networks.needs_masks();
        if needs_masks && self.real.is_empty() {
            return Ok(());
        }
        let masks: Vec<&[f32]> = spread(self.real, PAIRS).cycle().take(PAIRS).map(|i| self.real.mask(i)).collect();
        let given = if needs_masks { Given::Masks(&masks) } else { Given::Nothing };
        let samples = sampler.sample(given, &ids, &mut |_| {})?;
        let title = if needs_masks { "generated for the masks above" } else { "generated" };
        let sections = [
            Section { title: "real (held out)".to_owned(), pairs: real_pictures(self.real, PAIRS)? },
            Section { title: title.to_owned(), pairs: generated_pictures(&samples, &ids, &self.config)? },
        ];
        let folder = self.run.join("previews");
        std::fs::create_dir_all(&folder).map_err(crate::Error::io(&folder, "create"))?;
        let style = SheetStyle { columns: PAIRS / 2, ..SheetStyle::default() };
        let path = folder.join(format!("{}-step-{step:06}.png", role.name()));
        contact_sheet(&sections, &style)?.write_png(&path, &[SYNTHETIC])?;
        write_run_curves(self.run)
    }
}
