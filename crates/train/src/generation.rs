//! The whole of `pig sample`: pairs from a run, with manifest, strips and pair agreement.

use crate::{
    Result,
    arrays::{self, InitialNoise, Recorder},
    by_class::{Choice, Chooser, ClassShares, Maker},
    config::require,
    evaluate::{PlainPair, agreement, agreement_of, judged_slices, real_pairs, written_pair},
    given::{GivenSet, GivenSource},
    imported::join::Join,
    latents::LatentSpace,
    loaded::LoadedRun,
    observer::{Event, Observer, Outcome, note, warn, warn_of_precision},
    sampler::Sampler,
    samples::Samples,
    stamp::stamp,
    steps::StepPictures,
    stop::Stop,
    strips::strips,
};
use burn::tensor::Device;
use pig_data::{
    classes::ClassConfig,
    write::{Finished, PairRecord, PairWriter, Stamp},
};
use pig_diffusion::noise::Stream;
use pig_metrics::agreement::Agreement;
use pig_report::canvas::SYNTHETIC;
use std::path::{Path, PathBuf};

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
    let loaded = load(request, device)?;
    if let Some(text) = loaded.run.unverified() {
        warn(observer, text);
    }
    let given = GivenSet::open(&request.source, request.data.as_deref(), &loaded, device, observer)?;
    let sampler = Sampler::new(&loaded.config, loaded.networks.as_ref(), device)?;
    let initial = match &request.initial_noise {
        Some(path) => Some(initial_noise(path, &request.seeds, &sampler)?),
        None => None,
    };
    let sampler = sampler.starting_from(initial.as_ref());
    let stamp = stamp(&loaded, &given, initial.as_ref(), (&request.classes, request.seeds.len()))?;
    let hashes = [stamp.settings_hash.clone(), stamp.model_hash.clone()];
    let chooser = chooser(request, &loaded, &given, hashes.each_ref().map(String::as_str))?;
    let writer = writer(request, &loaded, stamp)?;
    warn_of_precision(observer, "sample.precision", loaded.config.sample.precision, device);
    let recorder = request.save_arrays.then(Recorder::default);
    let pictures = step_pictures(request, &loaded, &given, sampler.timesteps().len(), observer);
    let output =
        Output { writer: &writer, folder: &request.out, recorder: recorder.as_ref(), pictures: pictures.as_ref() };
    let recorded = sampler.clone().recorded_by(recorder.as_ref()).shown_by(pictures.as_ref());
    let sampled = match &chooser {
        Some(chooser) => choose(&loaded, &recorded, (chooser, &writer), device, observer)?,
        None => make_missing(&loaded, &recorded, &output, &given, &request.seeds, device, observer)?,
    };
    let Sampled { mut outcome, seeds, made, skipped, choice } = sampled;
    let finished = writer.finish()?;
    if finished.empty_masks > 0 {
        warn(observer, format!("{} of {} pairs have an empty mask", finished.empty_masks, finished.pairs));
    }
    if request.progress_strips && outcome == Outcome::Finished {
        outcome = write_strips(request, &loaded, &given, (&sampler, &seeds), observer)?;
    }
    let has_masks = loaded.config.method.has_masks();
    let is_measured = outcome == Outcome::Finished && has_masks;
    let measured = if is_measured { Some(measure(request, &loaded, &seeds, observer)?) } else { None };
    if outcome == Outcome::Interrupted {
        note(observer, "stopped; finished samples are kept, and the same command goes on");
    }
    let no_agreement = (!has_masks)
        .then(|| format!("not computed: method = {:?} makes images without masks", loaded.config.method.word()));
    let (agreement, agreement_by_class, measured) = match measured {
        Some(Agreements { all, by_class, measured }) => (Some(all), by_class, Some(measured)),
        None => (None, Vec::new(), None),
    };
    Ok(Summary {
        outcome,
        finished,
        made,
        skipped,
        agreement,
        agreement_by_class,
        measured,
        no_agreement,
        choice,
        latents: loaded.latents,
    })
}

/// Loads the run, with the models that replace its own.
fn load(request: &Request, device: &Device) -> Result<LoadedRun> {
    if request.join.is_empty() {
        LoadedRun::open(&request.run, &request.sets, device)
    } else {
        request.join.load(&request.run, &request.sets, device)
    }
}

/// Who chooses pairs among samples; none if no shares of classes are wanted. `hashes` are those of the settings and of the model.
fn chooser<'a>(
    request: &'a Request,
    loaded: &'a LoadedRun,
    given: &GivenSet,
    hashes: [&'a str; 2],
) -> Result<Option<Chooser<'a>>> {
    if request.classes.is_empty() {
        return Ok(None);
    }
    let makes = loaded.config.method.makes_masks() && matches!(given, GivenSet::Nothing);
    require(makes, "--classes", "set", "a run that makes masks from noise, to choose among them")?;
    let chooser = Chooser {
        shares: &request.classes,
        pairs: request.seeds.len(),
        batch: loaded.config.sample.batch_size,
        hashes,
        data: &loaded.config.data,
        folder: &request.out,
    };
    chooser.check()?;
    Ok(Some(chooser))
}

/// Opens the output folder, for pairs or for images alone.
fn writer(request: &Request, loaded: &LoadedRun, stamp: Stamp) -> Result<PairWriter> {
    let data = &loaded.config.data;
    let create = if loaded.config.method.has_masks() { PairWriter::create } else { PairWriter::create_for_images };
    let writer = create(&request.out, stamp, data.size, data.channels.count())?;
    Ok(writer.with_classes(&data.classes, data.coding().overlap))
}

/// Pictures of the steps of so many turns, if they are requested and there can be some.
fn step_pictures(
    request: &Request,
    loaded: &LoadedRun,
    given: &GivenSet,
    turns: usize,
    observer: &dyn Observer,
) -> Option<StepPictures> {
    if !request.save_steps {
        return None;
    }
    let makes_images = !matches!(given, GivenSet::Images { .. });
    let pictures = StepPictures::new(&loaded.config, &request.out, turns, makes_images);
    if pictures.is_none() {
        warn(observer, "no pictures of steps: the chains run on latents, which are no pictures");
    }
    pictures
}

/// Writes progress.png, unless something was given. It is interrupted if the user asked to stop.
fn write_strips(
    request: &Request,
    loaded: &LoadedRun,
    given: &GivenSet,
    (sampler, seeds): (&Sampler<'_>, &[u64]),
    observer: &dyn Observer,
) -> Result<Outcome> {
    if !loaded.config.method.makes_masks() || !matches!(given, GivenSet::Nothing) {
        warn(observer, "no progress.png: --progress-strips needs masks and images that are both made from noise");
        return Ok(Outcome::Finished);
    }
    let Some(canvas) = strips(&loaded.config, sampler, seeds, observer)? else { return Ok(Outcome::Interrupted) };
    canvas.write_png(&request.out.join("progress.png"), &[SYNTHETIC])?;
    Ok(Outcome::Finished)
}

/// Pair agreement, and the pairs of which it was measured.
struct Agreements {
    /// Of lesions of whatever class.
    all: Agreement,
    /// Of each class by its name, if there are several.
    by_class: Vec<(String, Agreement)>,
    measured: Measured,
}

/// Measures the pairs of `seeds` as they were written.
fn measure(request: &Request, loaded: &LoadedRun, seeds: &[u64], observer: &dyn Observer) -> Result<Agreements> {
    let (config, data) = (&loaded.config, &loaded.config.data);
    let written = |&seed: &u64| written_pair(&request.out, seed, &loaded.preparation);
    let generated = seeds.iter().map(written).collect::<Result<Vec<_>>>()?;
    if data.channels.count() == 3 {
        note(observer, "pair agreement is measured on gray: the Rec. 601 luma of the images in colour");
    }
    let real = real_pairs(&loaded.run, request.data.as_deref(), observer)?;
    let all = agreement(config, &generated, real.as_ref())?;
    let mut by_class = Vec::new();
    if data.has_several_classes() {
        for (class, ClassConfig { name, .. }) in data.classes.iter().enumerate() {
            by_class.push((name.clone(), agreement_of(config, &generated, real.as_ref(), class)?));
        }
    }
    let real = real.as_ref().map_or(Ok(Vec::new()), judged_slices)?;
    Ok(Agreements { all, by_class, measured: Measured { generated, real, size: data.slice_size() } })
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

/// What was sampled.
struct Sampled {
    outcome: Outcome,
    /// The seeds of the pairs.
    seeds: Vec<u64>,
    /// How many were made now, and how many were finished before.
    made: usize,
    skipped: usize,
    choice: Option<Choice>,
}

/// Makes the samples of `seeds` that are not finished.
fn make_missing(
    loaded: &LoadedRun,
    sampler: &Sampler<'_>,
    output: &Output<'_>,
    given: &GivenSet,
    seeds: &[u64],
    device: &Device,
    observer: &dyn Observer,
) -> Result<Sampled> {
    let has_arrays = |seed| output.recorder.is_none() || arrays::path(output.folder, seed).is_file();
    let is_finished = |&seed: &u64| has_arrays(seed) && output.writer.is_finished(seed);
    let missing: Vec<u64> = seeds.iter().filter(|seed| !is_finished(seed)).copied().collect();
    let skipped = seeds.len() - missing.len();
    if skipped > 0 {
        note(observer, format!("{skipped} of {} samples are finished and skipped", seeds.len()));
    }
    let (outcome, made) = make(loaded, sampler, output, given, &missing, device, observer)?;
    Ok(Sampled { outcome, seeds: seeds.to_vec(), made, skipped, choice: None })
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
    let steps = given.turns(&loaded.config, sampler)?;
    let batch_size = loaded.config.sample.batch_size;
    let total = missing.len().div_ceil(batch_size) * steps;
    observer.event(Event::Begin { stage: "sample".to_owned(), total, done: 0 });
    let (mut done, mut made) = (0, 0);
    let stop = Stop::new(observer);
    let sampler = &sampler.clone().until(&stop);
    let tell = |done: usize, made: usize| {
        observer.event(Event::Progress { done, message: format!("{made} of {} pairs", missing.len()) });
    };
    for ids in missing.chunks(batch_size) {
        stop.ask();
        if stop.is_set() {
            break;
        }
        let mut turns = 0;
        let mut turn = || {
            (done, turns) = (done + 1, turns + 1);
            // The last turn is told when its pairs are written, so that the last line counts them; until then the batch is worth more than its few
            // moments of work.
            if turns < steps {
                tell(done, made);
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
        tell(done, made);
    }
    observer.event(Event::End);
    let outcome = if stop.is_set() { Outcome::Interrupted } else { Outcome::Finished };
    Ok((outcome, made))
}

/// Chooses pairs among samples by their classes.
fn choose(
    loaded: &LoadedRun,
    sampler: &Sampler<'_>,
    (chooser, writer): (&Chooser<'_>, &PairWriter),
    device: &Device,
    observer: &dyn Observer,
) -> Result<Sampled> {
    let stop = Stop::new(observer);
    observer.event(Event::Begin { stage: "sample".to_owned(), total: chooser.pairs, done: 0 });
    let sampler = sampler.clone().until(&stop);
    let mut maker = FromNoise { loaded, sampler, writer, device, stop: &stop, observer, written: 0 };
    let found = chooser.choose(&mut maker);
    if found.is_err() {
        // What was chosen before the error is kept, and so it is listed.
        writer.finish()?;
    }
    let ((choice, is_done), made) = (found?, maker.written);
    observer.event(Event::End);
    note(observer, choice.sentence());
    Ok(Sampled {
        outcome: if is_done { Outcome::Finished } else { Outcome::Interrupted },
        seeds: choice.chosen.clone(),
        made,
        skipped: choice.chosen.len().saturating_sub(made),
        choice: Some(choice),
    })
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
