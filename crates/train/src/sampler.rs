//! Sampling with the networks of any method.

use crate::{
    Config, Error, Result,
    arrays::{InitialNoise, Recorder},
    chains::Chains,
    networks::Networks,
    samples::{Given, Samples, StripEstimate},
    steps::StepPictures,
    stop::Stop,
    workers::{Workers, parts},
};
use burn::tensor::Device;
use pig_diffusion::{noise::Stream, pair::Turn, schedule::Schedule, timesteps::Timesteps};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// The pixels that a worker takes through the networks at once, unless one sample has more: two samples of 64 x 64. More would take more
/// memory without being faster.
const PIXELS_AT_ONCE: usize = 2 * 64 * 64;

/// How many of `count` samples with so many pixels a worker takes through the networks at once on the CPU.
pub fn samples_at_once(count: usize, pixels: usize, workers: &Workers) -> usize {
    let most = (PIXELS_AT_ONCE / pixels.max(1)).max(1);
    count.div_ceil(workers.count()).min(most)
}

/// What is called with the timestep of a turn of a sampling, from any thread.
pub type Watch<'w> = dyn FnMut(usize) + Send + 'w;

/// Samples pairs, or the part of a pair that the method makes.
#[derive(Clone, Debug)]
pub struct Sampler<'a> {
    chains: Chains<'a>,
    networks: &'a dyn Networks,
}

impl<'a> Sampler<'a> {
    /// A sampler with the `[schedule]` and `[sample]` sections of `config`.
    pub fn new(config: &'a Config, networks: &'a dyn Networks, device: &'a Device) -> Result<Self> {
        Ok(Self { chains: Chains::new(config, device)?, networks })
    }

    /// The same sampler, whose chains start from the noise of `initial` if it has noise for them.
    #[must_use]
    pub fn starting_from(mut self, initial: Option<&'a InitialNoise>) -> Self {
        self.chains = self.chains.starting_from(initial);
        self
    }

    /// The same sampler, whose chains are recorded by `recorder`.
    #[must_use]
    pub fn recorded_by(mut self, recorder: Option<&'a Recorder>) -> Self {
        self.chains = self.chains.recorded_by(recorder);
        self
    }

    /// The same sampler, whose steps are shown by `pictures`.
    #[must_use]
    pub fn shown_by(mut self, pictures: Option<&'a StepPictures>) -> Self {
        self.chains = self.chains.shown_by(pictures);
        self
    }

    /// The same sampler, whose samplings end after the turn in which `stop` is set. The result is then incomplete: some or all images are
    /// missing.
    #[must_use]
    pub fn until(mut self, stop: &Stop<'_>) -> Self {
        self.chains = self.chains.until(Arc::clone(stop.flag()));
        self
    }

    /// The same sampler, which ends when `other` does.
    #[must_use]
    pub(crate) fn until_as(mut self, other: &Sampler<'_>) -> Self {
        if let Some(stop) = other.chains.stop() {
            self.chains = self.chains.until(Arc::clone(stop));
        }
        self
    }

    /// Whether the sampling has ended early.
    pub(crate) fn is_stopped(&self) -> bool {
        self.chains.is_stopped()
    }

    /// Turns of a sampling from noise, as often as [`sample`](Self::sample) calls its watch.
    pub fn turns(&self) -> usize {
        let passes = if self.chains.config.sample.second_pass { 2 } else { 1 };
        passes * self.timesteps().len()
    }

    /// The noise schedule of the chains.
    pub fn schedule(&self) -> &Schedule {
        &self.chains.schedule
    }

    /// The transitions of a sampling, one for each evaluation of the networks.
    pub fn timesteps(&self) -> &Timesteps {
        &self.chains.timesteps
    }

    /// Height, width and channels of x_T or y_T.
    pub(crate) fn start_size(&self, stream: Stream) -> [usize; 3] {
        self.chains.start_size(stream)
    }

    /// Samples what the method makes from `given`. `watch` is called as often as a chain has turns, with the timestep of the turn. On the CPU the samples are divided
    /// among workers; their number changes no sample.
    ///
    /// # Errors
    /// If the method makes nothing from `given`; [`crate::config::Method::takes`] says so before any network is read.
    pub fn sample(&self, given: Given<'_>, ids: &[u64], watch: &mut Watch<'_>) -> Result<Samples> {
        // A recorder sees the samples of a batch together, and other devices are fast only with many samples.
        let is_whole = self.chains.is_recorded() || !self.chains.is_on_host();
        let workers = if is_whole { Workers::default() } else { Workers::new(ids.len()) };
        let [height, width, _] = self.chains.start_size(Stream::Y);
        let at_once = if is_whole { ids.len() } else { samples_at_once(ids.len(), height * width, &workers) };
        let parts = parts(ids.len(), at_once);
        let (watch, turns) = (Mutex::new(watch), AtomicUsize::new(0));
        let made = workers.map(parts.len(), |index| {
            // All parts together tell as many turns as one part has, spread over the whole sampling.
            let mut told = |t| {
                if (turns.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(parts.len()) {
                    let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
                    watch(t);
                }
            };
            let part = parts[index].clone();
            self.sample_together(given.part(part.clone()), &ids[part], &mut told)
        });
        let mut samples = Samples { masks: Vec::new(), images: Vec::new() };
        for part in made {
            let Samples { masks, images } = part?;
            samples.masks.extend(masks);
            samples.images.extend(images);
        }
        Ok(samples)
    }

    /// Samples all `ids` in one batch.
    fn sample_together(&self, given: Given<'_>, ids: &[u64], watch: &mut dyn FnMut(usize)) -> Result<Samples> {
        let (chains, networks) = (&self.chains, self.networks);
        let samples = match given {
            Given::Nothing if chains.config.sample.second_pass => self.in_two_passes(ids, watch),
            Given::Nothing => {
                let pairs = networks.pairs(chains, ids, &mut |turn| watch(turn.at.t));
                pairs.or_else(|| networks.images(chains, ids, watch))
            }
            Given::Masks(masks) => networks.images_for(chains, masks, ids, watch),
            Given::Images(images) => networks.masks_for(chains, images, ids, watch),
        };
        samples.ok_or_else(|| self.refusal(given))
    }

    /// Pairs whose images are made for the finished masks (`sample.second_pass`): both passes start from the same y_T. A recorder sees the second
    /// pass alone.
    fn in_two_passes(&self, ids: &[u64], watch: &mut dyn FnMut(usize)) -> Option<Samples> {
        let (chains, config) = (&self.chains, self.chains.config);
        let first = chains.clone().recorded_by(None).shown_by(None);
        let pairs = self.networks.pairs(&first, ids, &mut |turn| watch(turn.at.t))?;
        if chains.is_stopped() {
            return Some(pairs);
        }
        let finished: Vec<Vec<f32>> = pairs.masks.iter().map(|mask| config.finished_mask(mask)).collect();
        let given: Vec<&[f32]> = finished.iter().map(Vec::as_slice).collect();
        let images = self.networks.images_for(chains, &given, ids, watch)?.images;
        Some(Samples { masks: pairs.masks, images })
    }

    /// Samples the pairs `ids`. `watch` sees every turn.
    ///
    /// # Errors
    /// If the method does not make masks together with images.
    pub fn pairs(&self, ids: &[u64], watch: &mut dyn FnMut(&Turn<'_>)) -> Result<Samples> {
        self.networks.pairs(&self.chains, ids, watch).ok_or_else(|| self.refusal(Given::Nothing))
    }

    /// The estimates of a turn on the host, for progress strips.
    pub fn strip_estimate(&self, turn: &Turn<'_>) -> StripEstimate {
        let (x_0, y_0) = (turn.x.x_0.clone(), turn.y.x_0.clone());
        StripEstimate { t: turn.at.t, samples: self.chains.finished(x_0, y_0, self.networks.codec()) }
    }

    fn refusal(&self, given: Given<'_>) -> Error {
        Error::Mismatch {
            what: "the start of sampling",
            found: match given {
                Given::Nothing => "noise alone",
                Given::Masks(_) => "masks",
                Given::Images(_) => "images",
            }
            .to_owned(),
            expected: format!("a start that method = {:?} supports", self.chains.config.method.word()),
            advice: "give masks or images, or use a run of another method",
        }
    }
}
