//! Pictures of a run in training: generated pairs beside real ones, and the curves.

use crate::{
    Config, Result,
    methods::role_name,
    metrics_log::{self, Line},
    sampler::{Given, Models, Sampler, Samples},
};
use burn::tensor::Device;
use pig_data::{Preparation, PreparedSet, postprocess::clean_mask};
use pig_nn::network::Role;
use pig_report::{
    Chart, PairPicture, Picture, Scale, Section, Series, SheetStyle, canvas::SYNTHETIC, contact_sheet, write_curves,
};
use std::path::Path;

/// Pairs on a preview.
const PAIRS: usize = 8;
/// Most sampling steps of a preview.
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
    /// Previews beside the validation pairs `real`, with fewer steps than sampling where it has many.
    pub fn new(config: &Config, real: &'a PreparedSet, run: &'a Path, device: &'a Device) -> Self {
        let mut config = config.clone();
        config.sample.num_inference_steps = config.sample.num_inference_steps.min(STEPS);
        Self { config, real, run, device }
    }

    /// Writes `previews/NETWORK-step-N.png` and `curves.svg`.
    pub fn write(&self, role: Role, step: usize, models: &Models) -> Result<()> {
        let ids: Vec<u64> = (0..PAIRS as u64).collect();
        let sampler = Sampler::new(&self.config, models, self.device)?;
        // A control's base is trained first, and is told no mask.
        let needs_masks = self.config.method.needs_masks() && !matches!(models, Models::Unconditional(_));
        if needs_masks && self.real.is_empty() {
            return Ok(());
        }
        let masks: Vec<&[f32]> = spread(self.real, PAIRS).cycle().take(PAIRS).map(|i| self.real.mask(i)).collect();
        let given = if needs_masks { Given::Masks(&masks) } else { Given::Nothing };
        let samples = sampler.sample(given, &ids, &mut |_| {});
        let title = if needs_masks { "generated for the masks above" } else { "generated" };
        let sections = [
            Section { title: "real (held out)".to_owned(), pairs: real_pictures(self.real, PAIRS)? },
            Section { title: title.to_owned(), pairs: generated_pictures(&samples, &ids, &self.config)? },
        ];
        let folder = self.run.join("previews");
        std::fs::create_dir_all(&folder).map_err(crate::Error::io(&folder, "create"))?;
        let style = SheetStyle { columns: PAIRS / 2, ..SheetStyle::default() };
        let path = folder.join(format!("{}-step-{step:06}.png", role_name(role)));
        contact_sheet(&sections, &style)?.write_png(&path, &[SYNTHETIC])?;
        write_run_curves(self.run)
    }
}

/// The indices of `count` pairs, or of all where there are fewer, evenly spread.
fn spread(set: &PreparedSet, count: usize) -> impl Iterator<Item = usize> + Clone + use<> {
    let (len, count) = (set.len(), count.min(set.len()));
    (0..count).map(move |i| i * len / count)
}

/// `count` pairs of a prepared set, evenly spread, as pictures.
pub fn real_pictures(set: &PreparedSet, count: usize) -> Result<Vec<PairPicture>> {
    spread(set, count)
        .map(|index| {
            let mask: Vec<bool> = set.mask(index).iter().map(|&value| value > 0.0).collect();
            pair_picture(set.image(index), mask, set.size, set.channels, String::new())
        })
        .collect()
}

/// Samples as pictures, with their masks (where there are any) finished as `sample` finishes them.
pub fn generated_pictures(samples: &Samples, ids: &[u64], config: &Config) -> Result<Vec<PairPicture>> {
    let (sample, size) = (&config.sample, config.data.size);
    samples
        .images
        .iter()
        .zip(ids)
        .enumerate()
        .map(|(index, (image, id))| {
            let slice = config.data.slice_size();
            let clean =
                |mask: &Vec<f32>| clean_mask(mask, slice, sample.mask_threshold, sample.min_component_area).mask;
            let mask = samples.masks.get(index).map_or(vec![0; size[0] * size[1]], clean);
            let mask = mask.iter().map(|&value| value > 0).collect();
            pair_picture(image, mask, size, config.data.channels, format!("seed {id}"))
        })
        .collect()
}

/// One pair as a picture; `image` is in [-1, 1].
pub fn pair_picture(
    image: &[f32],
    mask: Vec<bool>,
    [height, width]: [usize; 2],
    channels: usize,
    label: String,
) -> Result<PairPicture> {
    let image = Picture::from_bytes(&Preparation::display(image), height, width, channels)?;
    Ok(PairPicture { image, mask, label })
}

/// Writes curves.svg of a run from its metrics.jsonl.
pub fn write_run_curves(run: &Path) -> Result<()> {
    Ok(write_curves(&run.join("curves.svg"), &charts(&metrics_log::read(run)?))?)
}

/// The charts of a run: training and validation loss, validation by quarter of the timesteps, learning rate.
pub fn charts(lines: &[Line]) -> Vec<Chart> {
    let mut networks: Vec<&str> = lines.iter().map(|line| line.network.as_str()).collect();
    networks.dedup();
    let mut charts = Vec::new();
    for network in networks {
        let of = |value: &dyn Fn(&Line) -> Option<f64>| -> Vec<(f64, f64)> {
            let own = lines.iter().filter(|line| line.network == network);
            own.filter_map(|line| Some((line.step as f64, value(line)?))).collect()
        };
        let chart = |title: String, y_label: &str, y_scale, series| Chart {
            title,
            x_label: "optimiser step".to_owned(),
            y_label: y_label.to_owned(),
            y_scale,
            series,
            ..Chart::default()
        };
        let loss = of(&|line| line.loss);
        let window = (loss.len() as f64 / 20.0).max(1.0);
        let mut series = Series::raw_and_smoothed("training", loss, window).to_vec();
        series.push(Series::new("validation", of(&|line| line.validation.map(|v| v.mean))));
        charts.push(chart(format!("{network}: loss"), "loss (mean squared error)", Scale::Log, series));
        let names = ["least noise", "second quarter", "third quarter", "most noise"];
        let quarters = names
            .iter()
            .enumerate()
            .map(|(i, name)| Series::new(*name, of(&move |line| Some(line.validation?.quarters?[i]))));
        if lines.iter().any(|line| line.network == network && line.validation.is_some_and(|v| v.quarters.is_some())) {
            let title = format!("{network}: validation loss by quarter of the timesteps");
            charts.push(chart(title, "loss (mean squared error)", Scale::Log, quarters.collect()));
        }
        let psnr = of(&|line| line.reconstruction.map(|r| r.psnr));
        if !psnr.is_empty() {
            let series = vec![Series::new("held out", psnr)];
            charts.push(chart(format!("{network}: reconstruction"), "PSNR in dB", Scale::Linear, series));
        }
        let rate = Series::new("learning rate", of(&|line| line.learning_rate));
        charts.push(chart(format!("{network}: learning rate"), "learning rate", Scale::Linear, vec![rate]));
    }
    charts
}
