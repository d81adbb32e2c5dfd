//! The picture of Fig. 3: estimates of masks and images while they are sampled.

use crate::{
    Config, Result,
    observer::Observer,
    pictures::pair_picture,
    sampler::Sampler,
    samples::{Samples, StripEstimate},
    stop::Stop,
};
use pig_data::Preparation;
use pig_report::{Canvas, Picture, Strip, StripStep, progress_strips};

/// Rows of a strips picture, and estimates per row.
const STRIP_ROWS: usize = 6;
const STRIP_STEPS: usize = 10;

/// The rows of Fig. 3: x_0-hat and y_0-hat at evenly spaced steps for the first seeds; none if the user asked to stop.
pub fn strips(
    config: &Config,
    sampler: &Sampler<'_>,
    seeds: &[u64],
    observer: &dyn Observer,
) -> Result<Option<Canvas>> {
    let ids = &seeds[..seeds.len().min(STRIP_ROWS)];
    let Some((estimates, _)) = estimates(sampler, ids, STRIP_STEPS, observer)? else { return Ok(None) };
    let strips: Result<Vec<Strip>> = (0..ids.len()).map(|i| strip(config, &estimates, i, ids[i])).collect();
    Ok(Some(progress_strips(&strips?, None)?))
}

/// Samples the seeds `ids`: the estimates at `most` evenly spaced steps, the first and the last among them, or at all steps if these are
/// fewer, and the finished samples; none if the user asked to stop.
///
/// # Errors
/// Those of [`Sampler::pairs`].
pub fn estimates(
    sampler: &Sampler<'_>,
    ids: &[u64],
    most: usize,
    observer: &dyn Observer,
) -> Result<Option<(Vec<StripEstimate>, Samples)>> {
    let stop = Stop::new(observer);
    let sampler = sampler.clone().until(&stop);
    let steps = sampler.timesteps().len();
    let count = most.min(steps);
    let kept: Vec<usize> = (0..count).map(|i| if count > 1 { i * (steps - 1) / (count - 1) } else { 0 }).collect();
    let (mut turn, mut estimates) = (0, Vec::new());
    let finished = sampler.pairs(ids, &mut |at| {
        if kept.contains(&turn) {
            estimates.push(sampler.strip_estimate(at));
        }
        turn += 1;
        stop.ask();
    })?;
    Ok((!stop.is_set()).then_some((estimates, finished)))
}

fn strip(config: &Config, estimates: &[StripEstimate], index: usize, seed: u64) -> Result<Strip> {
    let [height, width] = config.data.size;
    let steps: Result<Vec<StripStep>> = estimates
        .iter()
        .map(|estimate| {
            let (mask, image) = (&estimate.samples.masks[index], &estimate.samples.images[index]);
            let image = pair_picture(
                image,
                vec![0; height * width],
                config.data.size,
                config.data.channels.count(),
                String::new(),
            )?;
            let greatest = |pixel: &[f32]| pixel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mask: Vec<f32> = mask.chunks_exact(config.data.mask_channels()).map(greatest).collect();
            let mask = Picture::from_bytes(&Preparation::display(&mask), height, width, 1)?;
            Ok(StripStep { t: estimate.t, mask, image: image.image })
        })
        .collect();
    Ok(Strip { label: format!("seed {seed}"), steps: steps? })
}
