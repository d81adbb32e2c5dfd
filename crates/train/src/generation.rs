//! The whole of `pig sample`: pairs from a run, with manifest, strips and pair agreement.

use crate::{
    Config, Result,
    arrays::{self, InitialNoise, Recorder},
    by_class::{Choice, Chooser, ClassShares, Maker},
    config::{SampleConfig, require},
    evaluate::{PlainPair, agreement, agreement_of, judged_slices, real_pairs, written_pair},
    given::{GivenSet, GivenSource},
    imported::join::Join,
    latents::LatentSpace,
    loaded::LoadedRun,
    observer::{Event, Observer, Outcome, note, warn, warn_of_precision},
    pictures::pair_picture,
    run_dir::program,
    sampler::Sampler,
    samples::{Samples, StripEstimate},
    steps::StepPictures,
    stop::Stop,
};
use burn::tensor::Device;
use pig_data::{
    Preparation,
    classes::ClassConfig,
    write::{Finished, PairRecord, PairWriter, Stamp},
};
use pig_diffusion::noise::Stream;
use pig_files::sha256;
use pig_metrics::agreement::Agreement;
use pig_report::{Canvas, Picture, Strip, StripStep, canvas::SYNTHETIC, progress_strips};
use std::path::{Path, PathBuf};

/// Rows of a strips picture, and estimates per row.
const STRIP_ROWS: usize = 6;
const STRIP_STEPS: usize = 10;

/// A request to `pig sample`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run directory.
    pub run: PathBuf,
    /// The folder to write the pairs to.
    pub out: PathBuf,
    /// The samples' ids.
    pub seeds: Vec<u64>,
    /// Settings of the `[sample]` section that override the run's own.
    pub sets: Vec<String>,
    /// The masks or images that are given instead of made.
    pub source: GivenSource,
    /// The shares of pairs that hold a class: as many samples are looked at as it takes, from seed 0 on, and as many pairs are chosen as
    /// there are `seeds`. Without shares, the samples of `seeds` are the pairs.
    pub classes: ClassShares,
    /// Models that replace the run's own.
    pub join: Join,
    /// A file with x_T and y_T, or y_T alone, to start from.
    pub initial_noise: Option<PathBuf>,
    /// Whether to write whole trajectories beside the pairs.
    pub save_arrays: bool,
    /// Whether to write pictures of the steps as they are made.
    pub save_steps: bool,
    /// Whether to write progress.png.
    pub progress_strips: bool,
    /// The run's data folder, if it has moved: for the real pairs of the summary, and for training masks.
    pub data: Option<PathBuf>,
}

impl Request {
    /// A request for pairs of the run's own models, from noise keyed by `seeds`, without further outputs.
    pub fn new(run: &Path, out: &Path, seeds: &[u64]) -> Self {
        Self {
            run: run.to_owned(),
            out: out.to_owned(),
            seeds: seeds.to_vec(),
            sets: Vec::new(),
            source: GivenSource::Nothing,
            classes: ClassShares::default(),
            join: Join::default(),
            initial_noise: None,
            save_arrays: false,
            save_steps: false,
            progress_strips: false,
            data: None,
        }
    }
}

/// The result of a sampling.
#[derive(Debug)]
pub struct Summary {
    /// Whether all samples were made.
    pub outcome: Outcome,
    /// What the output folder holds.
    pub finished: Finished,
    /// Samples that were made now.
    pub made: usize,
    /// Samples that were finished before.
    pub skipped: usize,
    /// Pair agreement of the requested samples.
    pub agreement: Option<Agreement>,
    /// That of each class by its name, if there are several.
    pub agreement_by_class: Vec<(String, Agreement)>,
    /// The pairs of which the agreement was measured.
    pub measured: Option<Measured>,
    /// Why there is no pair agreement, if the method makes no pairs.
    pub no_agreement: Option<String>,
    /// How the pairs were chosen among samples, if shares of classes were wanted.
    pub choice: Option<Choice>,
    /// The measured properties of the latents of `ldm`, such as how well its autoencoder reconstructs images.
    pub latents: Option<LatentSpace>,
}

/// Generated pairs as they were written, and the real pairs of their run.
#[derive(Debug)]
pub struct Measured {
    /// The generated pairs.
    pub generated: Vec<PlainPair>,
    /// The slices by which the real pairs are judged ([`judged`](crate::evaluate::judged)); none if they are not there any more.
    pub real: Vec<PlainPair>,
    /// Height and width of a pair, or of a slice of a volume.
    pub size: [usize; 2],
}

/// Makes the requested samples, except those that are finished already.
pub fn generate(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Summary> {
    let loaded = if request.join.is_empty() {
        LoadedRun::open(&request.run, &request.sets, device)?
    } else {
        request.join.load(&request.run, &request.sets, device)?
    };
    if let Some(text) = loaded.run.unverified() {
        warn(observer, text);
    }
    let given = GivenSet::open(&request.source, request.data.as_deref(), &loaded, device, observer)?;
    let has_masks = loaded.config.method.has_masks();
    let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), device)?;
    let initial = match &request.initial_noise {
        Some(path) => Some(initial_noise(path, &request.seeds, &sampler)?),
        None => None,
    };
    let sampler = sampler.starting_from(initial.as_ref());
    let create = if has_masks { PairWriter::create } else { PairWriter::create_for_images };
    let data = &loaded.config.data;
    let wanted = (&request.classes, request.seeds.len());
    let stamp = stamp(&loaded, &given, initial.as_ref(), wanted)?;
    let hashes = [stamp.settings_hash.clone(), stamp.model_hash.clone()];
    let chooser = Chooser {
        shares: wanted.0,
        pairs: wanted.1,
        batch: loaded.config.sample.batch_size,
        hashes: hashes.each_ref().map(String::as_str),
        data,
        folder: &request.out,
    };
    let chooses = !request.classes.is_empty();
    if chooses {
        let makes = loaded.config.method.makes_masks() && matches!(given, GivenSet::Nothing);
        require(makes, "--classes", "set", "a run that makes masks from noise, to choose among them")?;
        chooser.check()?;
    }
    let writer = create(&request.out, stamp, data.size, data.channels.count())?
        .with_classes(&data.classes, data.coding().overlap);
    warn_of_precision(observer, "sample.precision", loaded.config.sample.precision, device);
    let recorder = request.save_arrays.then(Recorder::default);
    let has_arrays = |seed| !request.save_arrays || arrays::path(&request.out, seed).is_file();
    let is_finished = |&seed: &u64| has_arrays(seed) && writer.is_finished(seed);
    let turns = sampler.timesteps().len();
    let makes_images = !matches!(given, GivenSet::Images { .. });
    let pictures = request.save_steps.then(|| StepPictures::new(&loaded.config, &request.out, turns, makes_images));
    if matches!(pictures, Some(None)) {
        warn(observer, "no pictures of steps: the chains run on latents, which are no pictures");
    }
    let pictures = pictures.flatten();
    let output =
        Output { writer: &writer, folder: &request.out, recorder: recorder.as_ref(), pictures: pictures.as_ref() };
    let recorded = sampler.clone().recorded_by(recorder.as_ref()).shown_by(pictures.as_ref());
    let (mut seeds, mut choice) = (request.seeds.clone(), None);
    let (mut outcome, made, skipped) = if chooses {
        let found = choose(&loaded, &recorded, (&chooser, &writer), device, observer);
        if found.is_err() {
            // What was chosen before the error is kept, and so it is listed.
            writer.finish()?;
        }
        let found = found?;
        seeds.clone_from(&found.0.chosen);
        note(observer, found.0.sentence());
        choice = Some(found.0);
        (found.1, found.2, seeds.len().saturating_sub(found.2))
    } else {
        let missing: Vec<u64> = seeds.iter().filter(|seed| !is_finished(seed)).copied().collect();
        let skipped = seeds.len() - missing.len();
        if skipped > 0 {
            note(observer, format!("{skipped} of {} samples are finished and skipped", seeds.len()));
        }
        let (outcome, made) = make(&loaded, &recorded, &output, &given, &missing, device, observer)?;
        (outcome, made, skipped)
    };
    let finished = writer.finish()?;
    if finished.empty_masks > 0 {
        warn(observer, format!("{} of {} pairs have an empty mask", finished.empty_masks, finished.pairs));
    }
    if request.progress_strips && outcome == Outcome::Finished {
        if !loaded.config.method.makes_masks() || !matches!(given, GivenSet::Nothing) {
            warn(observer, "no progress.png: --progress-strips needs masks and images that are both made from noise");
        } else if let Some(canvas) = strips(&loaded.config, &sampler, &seeds, observer)? {
            canvas.write_png(&request.out.join("progress.png"), &[SYNTHETIC])?;
        } else {
            outcome = Outcome::Interrupted;
        }
    }
    let mut by_class = Vec::new();
    let measured = if outcome == Outcome::Finished && has_masks {
        let generated: Result<Vec<_>> =
            seeds.iter().map(|&seed| written_pair(&request.out, seed, &loaded.preparation)).collect();
        if data.channels.count() == 3 {
            note(observer, "pair agreement is measured on gray: the Rec. 601 luma of the images in colour");
        }
        let (generated, size) = (generated?, loaded.config.data.slice_size());
        let real = real_pairs(&loaded.run, request.data.as_deref(), observer)?;
        let agreement = agreement(&loaded.config, &generated, real.as_ref())?;
        if data.has_several_classes() {
            for (class, ClassConfig { name, .. }) in data.classes.iter().enumerate() {
                by_class.push((name.clone(), agreement_of(&loaded.config, &generated, real.as_ref(), class)?));
            }
        }
        let real = real.as_ref().map_or(Ok(Vec::new()), judged_slices)?;
        Some((agreement, Measured { generated, real, size }))
    } else {
        None
    };
    let (agreement, measured) = measured.unzip();
    if outcome == Outcome::Interrupted {
        note(observer, "stopped; finished samples are kept, and the same command goes on");
    }
    let no_agreement = (!has_masks)
        .then(|| format!("not computed: method = {:?} makes images without masks", loaded.config.method.word()));
    Ok(Summary {
        outcome,
        finished,
        made,
        skipped,
        agreement,
        agreement_by_class: by_class,
        measured,
        no_agreement,
        choice,
        latents: loaded.latents,
    })
}

/// Reads noise from a file. It must have the sizes that the run starts from, and a row for each of `seeds`.
fn initial_noise(path: &Path, seeds: &[u64], sampler: &Sampler<'_>) -> Result<InitialNoise> {
    let noise = InitialNoise::read(path, sampler.start_size(Stream::X), sampler.start_size(Stream::Y))?;
    noise.check(seeds)?;
    Ok(noise)
}

/// Where samples go.
struct Output<'a> {
    writer: &'a PairWriter,
    folder: &'a Path,
    /// The recorder of the trajectories, if they are requested.
    recorder: Option<&'a Recorder>,
    /// Pictures of the steps, if they are requested.
    pictures: Option<&'a StepPictures>,
}

/// Samples `missing` in batches and writes each pair as soon as it is made. Its arrays are written first, so that a finished
/// pair has them. If the user asks to stop, the current batch is discarded after its current step; earlier batches are written.
fn make(
    loaded: &LoadedRun,
    sampler: &Sampler<'_>,
    output: &Output<'_>,
    given: &GivenSet,
    missing: &[u64],
    device: &Device,
    observer: &dyn Observer,
) -> Result<(Outcome, usize)> {
    let steps = sampler.timesteps().len() + given.steps(&loaded.config)?;
    let batch_size = loaded.config.sample.batch_size;
    let total = missing.len().div_ceil(batch_size) * steps;
    observer.event(Event::Begin { stage: "sample".to_owned(), total, done: 0 });
    let (mut done, mut made) = (0, 0);
    let stop = Stop::new(observer);
    let sampler = &sampler.clone().until(&stop);
    for ids in missing.chunks(batch_size) {
        stop.ask();
        if stop.is_set() {
            break;
        }
        let mut turns = 0;
        let mut turn = || {
            (done, turns) = (done + 1, turns + 1);
            let message = format!("{made} of {} pairs", missing.len());
            observer.event(Event::Progress { done, message });
            // After the last turn the batch is worth more than its few moments of work.
            if turns < steps {
                stop.ask();
            }
        };
        if let Some(pictures) = output.pictures {
            pictures.begin(ids);
        }
        let samples = given.sample(sampler, ids, device, &mut |_| turn())?;
        output.pictures.map_or(Ok(()), StepPictures::ended)?;
        if stop.is_set() {
            break;
        }
        if let Some(recorder) = output.recorder {
            let data = &loaded.config.data;
            let shape = (data.size, [data.mask_channels(), data.channels.count()]);
            recorder.write(output.folder, ids, &samples, sampler.schedule(), shape)?;
        }
        for (index, &seed) in ids.iter().enumerate() {
            write_pair(loaded, output.writer, &samples, index, seed, given)?;
        }
        made += ids.len();
    }
    observer.event(Event::End);
    let outcome = if stop.is_set() { Outcome::Interrupted } else { Outcome::Finished };
    Ok((outcome, made))
}

/// Chooses pairs among samples by their classes. Returns the choice, and how many pairs were written now.
fn choose(
    loaded: &LoadedRun,
    sampler: &Sampler<'_>,
    (chooser, writer): (&Chooser<'_>, &PairWriter),
    device: &Device,
    observer: &dyn Observer,
) -> Result<(Choice, Outcome, usize)> {
    let stop = Stop::new(observer);
    observer.event(Event::Begin { stage: "sample".to_owned(), total: chooser.pairs, done: 0 });
    let sampler = sampler.clone().until(&stop);
    let mut maker = FromNoise { loaded, sampler, writer, device, stop: &stop, observer, written: 0 };
    let (choice, is_done) = chooser.choose(&mut maker)?;
    let written = maker.written;
    observer.event(Event::End);
    Ok((choice, if is_done { Outcome::Finished } else { Outcome::Interrupted }, written))
}

/// Samples from noise, for a choice.
struct FromNoise<'a> {
    loaded: &'a LoadedRun,
    sampler: Sampler<'a>,
    writer: &'a PairWriter,
    device: &'a Device,
    stop: &'a Stop<'a>,
    observer: &'a dyn Observer,
    written: usize,
}

impl Maker for FromNoise<'_> {
    fn make(&mut self, seeds: &[u64], chosen: usize) -> Result<Option<Samples>> {
        let message = format!("{chosen} pairs chosen of {} samples", seeds.first().copied().unwrap_or(0));
        self.observer.event(Event::Progress { done: chosen, message });
        self.stop.ask();
        if self.stop.is_set() {
            return Ok(None);
        }
        let samples = GivenSet::Nothing.sample(&self.sampler, seeds, self.device, &mut |_| self.stop.ask())?;
        Ok((!self.stop.is_set()).then_some(samples))
    }

    fn mask(&self, samples: &Samples, index: usize) -> Vec<u8> {
        samples.masks.get(index).map_or(Vec::new(), |mask| self.loaded.config.clean_mask(mask).mask)
    }

    fn is_written(&self, seed: u64) -> bool {
        self.writer.is_finished(seed)
    }

    fn write(&mut self, samples: &Samples, index: usize, seed: u64) -> Result<()> {
        self.written += 1;
        write_pair(self.loaded, self.writer, samples, index, seed, &GivenSet::Nothing)
    }
}

/// Postprocesses one sample and writes it. A given mask is kept as it is.
fn write_pair(
    loaded: &LoadedRun,
    writer: &PairWriter,
    samples: &Samples,
    index: usize,
    seed: u64,
    given: &GivenSet,
) -> Result<()> {
    let (config, coding) = (&loaded.config, loaded.config.data.coding());
    let mask = samples.masks.get(index).map(|mask| {
        if given.gives_masks() { coding.labels(mask, &vec![0.0; coding.classes]) } else { config.clean_mask(mask).mask }
    });
    let image = loaded.preparation.encode(&samples.images[index]);
    Ok(writer.write(&PairRecord { seed, image: &image, mask: mask.as_deref(), given: given.file(seed) })?)
}

/// The settings that [`stamp`] leaves out of the hash.
const BESIDE: &[&str] = &["sample.batch_size", "sample.agreement_background"];

/// What every file of this request says about its origin; `wanted` are the shares of classes by which so many pairs are chosen.
fn stamp(
    loaded: &LoadedRun,
    given: &GivenSet,
    initial: Option<&InitialNoise>,
    (shares, pairs): (&ClassShares, usize),
) -> Result<Stamp> {
    let mut deciding = loaded.config.sample.clone();
    // Neither setting changes a pair: the batch size by construction; the background is used only to measure agreement.
    (deciding.batch_size, deciding.agreement_background) = (1, None);
    let (given, noise, method) = (given.sha256()?, initial.map(InitialNoise::sha256), loaded.config.method.word());
    // The weights of the other run are a part of the model's hash, so its place does not matter.
    deciding.autoguidance.run = None;
    let describe = |sample: &SampleConfig| {
        let mut parts =
            serde_json::json!({ "method": method, "sample": sample, "given": given, "initial_noise": noise });
        // Settings that came later and change nothing leave the hash as it was, so that older folders can be continued.
        if let Some(settings) = parts["sample"].as_object_mut() {
            if !sample.autoguidance.is_on() {
                settings.remove("autoguidance");
            }
            if sample.guidance_interval.is_none() {
                settings.remove("guidance_interval");
            }
        }
        if !shares.is_empty() {
            parts["chosen"] = serde_json::json!({ "shares": shares, "pairs": pairs });
        }
        parts.to_string()
    };
    Ok(Stamp {
        version: program(),
        model_hash: loaded.model_hash.clone(),
        settings_hash: sha256(describe(&deciding).as_bytes()),
        settings: describe(&loaded.config.sample),
        beside: BESIDE,
    })
}

/// The rows of Fig. 3: x_0-hat and y_0-hat at evenly spaced steps for the first seeds; none if the user asked to stop.
pub fn strips(
    config: &Config,
    sampler: &Sampler<'_>,
    seeds: &[u64],
    observer: &dyn Observer,
) -> Result<Option<Canvas>> {
    let stop = Stop::new(observer);
    let sampler = sampler.clone().until(&stop);
    let ids = &seeds[..seeds.len().min(STRIP_ROWS)];
    let steps = sampler.timesteps().len();
    let shown: Vec<usize> = (0..STRIP_STEPS).map(|i| i * (steps - 1) / (STRIP_STEPS - 1)).collect();
    let (mut turn, mut estimates) = (0, Vec::<StripEstimate>::new());
    sampler.pairs(ids, &mut |at| {
        if shown.contains(&turn) {
            estimates.push(sampler.strip_estimate(at));
        }
        turn += 1;
        stop.ask();
    })?;
    if stop.is_set() {
        return Ok(None);
    }
    let strips: Result<Vec<Strip>> = (0..ids.len()).map(|i| strip(config, &estimates, i, ids[i])).collect();
    Ok(Some(progress_strips(&strips?, None)?))
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
