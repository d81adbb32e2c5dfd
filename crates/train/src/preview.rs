//! Pictures of a run in training: generated pairs beside real ones, and the curves.

use crate::{
    Config, Result,
    curves::write_run_curves,
    networks::Networks,
    observer::Observer,
    pictures::{generated_pictures, real_pictures, spread},
    role::Role,
    sampler::Sampler,
    samples::Given,
    stop::Stop,
};
use burn::tensor::Device;
use pig_data::PreparedSet;
use pig_report::{Section, SheetStyle, canvas::SYNTHETIC, contact_sheet};
use std::path::{Path, PathBuf};

/// Pairs in a preview.
pub const PAIRS: usize = 8;
/// Maximum number of sampling steps of a preview.
const STEPS: usize = 50;

/// Writes previews of one run.
#[expect(missing_debug_implementations, reason = "an observer has none")]
pub struct Previews<'a> {
    config: Config,
    real: &'a PreparedSet,
    run: &'a Path,
    device: &'a Device,
    observer: &'a dyn Observer,
}

impl<'a> Previews<'a> {
    /// Previews that show samples beside the validation pairs `real`. They take the sampling steps of `config`, but at most 50.
    pub fn new(
        config: &Config,
        real: &'a PreparedSet,
        run: &'a Path,
        device: &'a Device,
        observer: &'a dyn Observer,
    ) -> Self {
        let mut config = config.clone();
        config.sample.num_inference_steps = config.sample.num_inference_steps.min(STEPS);
        Self { config, real, run, device, observer }
    }

    fn path(&self, role: Role, step: usize) -> PathBuf {
        self.run.join("previews").join(format!("{}-step-{step:06}.png", role.name()))
    }

    /// Whether the preview of this network at this step was written.
    pub fn are_there(&self, role: Role, step: usize) -> bool {
        self.path(role, step).is_file()
    }

    /// Writes `previews/NETWORK-step-N.png` and `curves.svg`, unless the user asks to stop: a training that goes on makes up for it. Of
    /// `others`, each with words that say what they are, samples of the same seeds follow.
    pub fn write(
        &self,
        role: Role,
        step: usize,
        networks: &dyn Networks,
        others: &[(&str, Box<dyn Networks>)],
    ) -> Result<()> {
        let ids: Vec<u64> = (0..PAIRS as u64).collect();
        let stop = Stop::new(self.observer);
        let needs_masks = networks.needs_masks();
        if needs_masks && self.real.is_empty() {
            return Ok(());
        }
        let masks = spread(self.real, PAIRS).cycle().take(PAIRS).map(|index| self.real.mask(index));
        let masks: Vec<Vec<f32>> = masks.collect::<std::result::Result<_, _>>()?;
        let masks: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
        let given = if needs_masks { Given::Masks(&masks) } else { Given::Nothing };
        let title = if needs_masks { "generated for the masks above" } else { "generated" };
        let mut sections =
            vec![Section { title: "real (held out)".to_owned(), pairs: real_pictures(self.real, PAIRS)? }];
        let all = std::iter::once((None, networks)).chain(others.iter().map(|(words, it)| (Some(words), it.as_ref())));
        for (words, networks) in all {
            let sampler = Sampler::new(&self.config, networks, self.device)?.until(&stop);
            let samples = sampler.sample(given, &ids, &mut |_| stop.ask())?;
            if stop.is_set() {
                return Ok(());
            }
            let title = words.map_or(title.to_owned(), |words| format!("{title}, {words}"));
            sections.push(Section { title, pairs: generated_pictures(&samples, &ids, &self.config)? });
        }
        let path = self.path(role, step);
        let folder = path.parent().unwrap_or(self.run);
        std::fs::create_dir_all(folder).map_err(crate::Error::io(folder, "create"))?;
        let style = SheetStyle { columns: PAIRS / 2, ..SheetStyle::default() };
        contact_sheet(&sections, &style)?.write_png(&path, &[SYNTHETIC])?;
        write_run_curves(self.run)
    }
}
