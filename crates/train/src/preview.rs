//! Pictures of a run in training: generated pairs beside real ones, and the curves.

use crate::{
    Config, Result,
    config::Autoguidance,
    networks::Networks,
    observer::Observer,
    pictures::{class_colours, generated_pictures, real_pictures, spread},
    role::Role,
    sampler::Sampler,
    samples::Given,
    sets::Sets,
    stop::Stop,
    watch::{Watch, Watched},
};
use burn::tensor::Device;
use pig_data::{PreparedSet, classes::names};
use pig_report::{PairPicture, Section, SheetStyle, canvas::SYNTHETIC, contact_sheet};
use std::path::{Path, PathBuf};

/// Pairs in a preview.
pub const PAIRS: usize = 8;
/// Maximum number of sampling steps of a preview.
const STEPS: usize = 50;
/// The most pixels of the pairs that are sampled to be measured: 32 pairs of 128 x 128. Larger pictures would take longer than the training.
const MOST_PIXELS: usize = 32 * 128 * 128;

/// How many pairs are sampled for a preview: those that are shown, and those that `train.watch_samples` measures, as far as their pixels are
/// not too many.
pub fn sampled(config: &Config) -> usize {
    let [height, width] = config.data.size;
    config.train.watch_samples.min(MOST_PIXELS / (height * width).max(1)).max(PAIRS)
}

/// The settings with which previews of a training with `config` are sampled: at most 50 steps, no autoguidance, whose worse networks
/// previews do not read, and no guidance by a scale that is found at the end of the training.
pub fn settings(config: &Config) -> Config {
    let mut config = config.clone();
    config.sample.num_inference_steps = config.sample.num_inference_steps.min(STEPS);
    config.sample.autoguidance = Autoguidance::default();
    config.sample.match_contrast = false;
    config
}

/// Writes previews of one run.
#[expect(missing_debug_implementations, reason = "an observer has none")]
pub struct Previews<'a> {
    config: Config,
    real: &'a PreparedSet,
    watch: Watch<'a>,
    run: &'a Path,
    device: &'a Device,
    observer: &'a dyn Observer,
}

impl<'a> Previews<'a> {
    /// Previews that show samples beside the validation pairs of `sets`, sampled with the [`settings`] for previews of `config`.
    pub fn new(
        config: &'a Config,
        sets: Sets<'a>,
        run: &'a Path,
        device: &'a Device,
        observer: &'a dyn Observer,
    ) -> Self {
        let watch = Watch::new(config, sets);
        Self { config: settings(config), real: sets.validation, watch, run, device, observer }
    }

    fn path(&self, role: Role, step: usize) -> PathBuf {
        self.run.join("previews").join(format!("{}-step-{step:06}.png", role.name()))
    }

    /// Whether the preview of this network at this step was written.
    pub fn are_there(&self, role: Role, step: usize) -> bool {
        self.path(role, step).is_file()
    }

    /// Writes `previews/NETWORK-step-N.png`, unless the user asks to stop: a training that goes on makes up for it. Of
    /// `others`, each with words that say what they are, samples of the same seeds follow. Returns what the samples show, if
    /// `train.watch_samples` asks for it; some of them are not shown.
    pub fn write(
        &self,
        role: Role,
        step: usize,
        networks: &dyn Networks,
        others: &[(&str, Box<dyn Networks>)],
    ) -> Result<Option<Watched>> {
        let count = sampled(&self.config);
        let ids: Vec<u64> = (0..count as u64).collect();
        let stop = Stop::new(self.observer);
        let needs_masks = networks.needs_masks();
        if needs_masks && self.real.is_empty() {
            return Ok(None);
        }
        let masks = spread(self.real, PAIRS).cycle().take(count).map(|index| self.real.mask(index));
        let masks: Vec<Vec<f32>> = masks.collect::<std::result::Result<_, _>>()?;
        let masks: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
        let given = |count: usize| if needs_masks { Given::Masks(&masks[..count]) } else { Given::Nothing };
        let mut watched = None;
        let title = if needs_masks { "generated for the masks above" } else { "generated" };
        let section =
            |title: &str, pairs: Vec<PairPicture>| Section { title: titled(title, &pairs, &self.config), pairs };
        let mut sections = vec![section("real (held out)", real_pictures(self.real, PAIRS)?)];
        let all = std::iter::once((None, networks)).chain(others.iter().map(|(words, it)| (Some(words), it.as_ref())));
        for (words, networks) in all {
            let sampler = Sampler::new(&self.config, networks, self.device)?.until(&stop);
            let count = if words.is_none() { count } else { PAIRS };
            let mut samples = sampler.sample(given(count), &ids[..count], &mut |_| stop.ask())?;
            if stop.is_set() {
                return Ok(None);
            }
            if words.is_none() && self.config.train.watch_samples > 0 {
                watched = Some(self.watch.measure(&samples)?);
            }
            samples.masks.truncate(PAIRS);
            samples.images.truncate(PAIRS);
            let title = words.map_or(title.to_owned(), |words| format!("{title}, {words}"));
            sections.push(section(&title, generated_pictures(&samples, &ids, &self.config)?));
        }
        let path = self.path(role, step);
        let folder = path.parent().unwrap_or(self.run);
        std::fs::create_dir_all(folder).map_err(crate::Error::io(folder, "create"))?;
        let classes = class_colours(&self.config.data);
        let style = SheetStyle { columns: PAIRS / 2, classes, ..SheetStyle::default() };
        contact_sheet(&sections, &style)?.write_png(&path, &[SYNTHETIC])?;
        Ok(watched)
    }
}

/// A title that says how many of the pairs hold each class, if there are several.
fn titled(title: &str, pairs: &[PairPicture], config: &Config) -> String {
    let data = &config.data;
    if !data.has_several_classes() || !config.method.has_masks() {
        return title.to_owned();
    }
    let coding = data.coding();
    let holding =
        |class: usize| pairs.iter().filter(|pair| pair.mask.iter().any(|&label| coding.has(label, class))).count();
    let words: Vec<String> =
        names(&data.classes).iter().enumerate().map(|(class, name)| format!("{name} in {}", holding(class))).collect();
    format!("{title}; of {}: {}", pairs.len(), words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_large_pairs_are_sampled() {
        let of = |side: usize, watched: usize| {
            let mut config = Config::default();
            (config.data.size, config.train.watch_samples) = ([side, side], watched);
            sampled(&config)
        };
        assert_eq!([of(64, 32), of(64, 100), of(128, 100), of(256, 32), of(2048, 32)], [32, 100, 32, 8, 8]);
        assert_eq!([of(64, 0), of(64, 3)], [PAIRS, PAIRS]);
    }
}
