//! The last part of a training with `sample.match_contrast`: finds the scale of guidance with which lesions of generated pairs stand out as much as
//! real ones do.

use crate::{
    Config, Result,
    evaluate::{agreement, sampled_pairs},
    given::GivenSet,
    loaded::LoadedRun,
    matched::{Matched, TRIED},
    observer::{Event, Observer, Outcome, note, warn},
    pictures::spread,
    run_dir::RunDir,
    sampler::Sampler,
    samples::Samples,
    stop::Stop,
};
use burn::tensor::Device;
use pig_data::PreparedSet;

/// Pairs that are generated with each scale. With 64, the contrast that a scale would bring could be told to 14 % of the real one (95 %).
pub const PAIRS: usize = 128;

/// The first of their ids: far from those that users ask for, so that the pairs by which the scale was found are not those that are made with it.
const FIRST_ID: u64 = 1 << 40;

/// The settings of a training with `config` with which pairs are generated for one of the scales.
fn settings(config: &Config, scale: f64) -> Config {
    let mut config = config.clone();
    (config.sample.match_contrast, config.sample.guidance_scale) = (false, scale);
    config
}

/// Those for all scales that are tried.
pub fn all_settings(config: &Config) -> [Config; 2] {
    TRIED.map(|scale| settings(config, scale))
}

/// Measures the scale of a run whose networks are trained, if that was not done, and keeps it in the run. `real` are its real pairs. Methods that
/// make images for masks alone make them for masks of `training`, its training pairs, evenly spread.
///
/// # Errors
/// When the run cannot be read or written, or pairs cannot be measured.
pub(crate) fn find(
    run: &RunDir,
    (real, training): (&PreparedSet, &PreparedSet),
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    if Matched::read(run)?.is_some() {
        return Ok(Outcome::Finished);
    }
    let loaded = LoadedRun::open(run.path(), &["sample.match_contrast=false".to_owned()], device)?;
    let given = if loaded.config.method.needs_masks() {
        GivenSet::Cases(training.subset(&spread(training, PAIRS).collect::<Vec<_>>()))
    } else {
        GivenSet::Nothing
    };
    let stop = Stop::new(observer);
    let (mut done, total) = (0, TRIED.len() * PAIRS);
    observer.event(Event::Begin { stage: "guidance".to_owned(), total, done });
    let mut tell = |made: usize| {
        done += made;
        observer.event(Event::Progress { done, message: format!("{done} of {total} pairs") });
    };
    let (mut contrast, mut of_real) = ([None; 2], None);
    for (scale, contrast) in TRIED.into_iter().zip(&mut contrast) {
        let config = settings(&loaded.config, scale);
        let Some(samples) = sampled(&loaded, &config, &given, (device, &stop), &mut tell)? else {
            observer.event(Event::End);
            return Ok(Outcome::Interrupted);
        };
        let found = agreement(&config, &sampled_pairs(&config, &samples), Some(real))?;
        *contrast = found.generated.estimate.map(|estimate| estimate.mean);
        of_real = found.real.and_then(|real| real.estimate).map(|estimate| estimate.mean);
    }
    observer.event(Event::End);
    let matched = Matched::of(of_real, contrast, PAIRS);
    matched.write(run)?;
    let say = if matched.is_whole() { note } else { warn };
    say(observer, matched.words());
    Ok(Outcome::Finished)
}

/// Samples of the loaded networks with the settings `config`; none if the user asked to stop. `tell` is called with the number of samples of each
/// batch.
fn sampled(
    loaded: &LoadedRun,
    config: &Config,
    given: &GivenSet,
    (device, stop): (&Device, &Stop<'_>),
    tell: &mut dyn FnMut(usize),
) -> Result<Option<Samples>> {
    let sampler = Sampler::new(config, loaded.networks.as_ref(), device)?.until(stop);
    let ids: Vec<u64> = (FIRST_ID..).take(PAIRS).collect();
    let mut all = Samples { masks: Vec::new(), images: Vec::new() };
    for ids in ids.chunks(config.sample.batch_size) {
        let samples = given.sample(&sampler, ids, device, &mut |_| stop.ask())?;
        if stop.is_set() {
            return Ok(None);
        }
        all.masks.extend(samples.masks);
        all.images.extend(samples.images);
        tell(ids.len());
    }
    Ok(Some(all))
}
