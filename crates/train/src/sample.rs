//! The whole of `pig sample`: pairs from a run, with manifest, strips and pair agreement.

use crate::{
    Config, Error, Result,
    checkpoint::{State, sha256},
    config::{Conditioning, Layers, Method},
    evaluate::{agreement, real_pairs, written_pair},
    observer::{Event, Observer, note, warn, warn_of_precision},
    preview::pair_picture,
    run_dir::{RunDir, program},
    sampler::{Models, Sampler, Samples, StripEstimate, strip_estimate, takes_masks},
    train::load_network,
    trainer::Outcome,
};
use burn::tensor::Device;
use pig_data::{
    Preparation,
    postprocess::clean_mask,
    write::{Finished, PairRecord, PairWriter, Stamp},
};
use pig_metrics::agreement::Agreement;
use pig_nn::network::Role;
use pig_report::{Canvas, Picture, Strip, StripStep, canvas::SYNTHETIC, progress_strips};
use std::path::{Path, PathBuf};

/// Rows of a strips picture, and estimates in a row.
const STRIP_ROWS: usize = 6;
const STRIP_STEPS: usize = 10;

/// What is asked of `pig sample`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run directory.
    pub run: PathBuf,
    /// Where the pairs go.
    pub out: PathBuf,
    /// The samples' ids.
    pub seeds: Vec<u64>,
    /// Settings of the `[sample]` section over the run's own.
    pub sets: Vec<String>,
    /// Masks to make images for, instead of making masks.
    pub given_mask: Option<PathBuf>,
    /// Whether to write progress.png.
    pub progress_strips: bool,
    /// The run's data, for the real pairs of the summary, where it has moved.
    pub data: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug)]
pub struct Summary {
    /// Whether all samples are there.
    pub outcome: Outcome,
    /// What the output folder holds.
    pub finished: Finished,
    /// Samples made now, and found finished.
    pub made: usize,
    /// Samples that were there already.
    pub skipped: usize,
    /// The method's claim, over this request's samples.
    pub agreement: Option<Agreement>,
}

/// The networks of a run, with what names them.
#[derive(Debug)]
pub struct LoadedRun {
    /// The directory.
    pub run: RunDir,
    /// The configuration, with the request's `[sample]` settings.
    pub config: Config,
    /// How numbers become pixels.
    pub preparation: Preparation,
    /// The networks.
    pub models: Models,
    /// SHA-256 over the networks' weights.
    pub model_hash: String,
}

impl LoadedRun {
    /// Loads a run for sampling under `sets`, which may change the `[sample]` section alone.
    pub fn open(path: &Path, sets: &[String], device: &Device) -> Result<Self> {
        let run = RunDir::open(path)?;
        let trained = run.config()?;
        let config = Layers { file: None, sets: sets.to_vec() }.over_config(&trained)?;
        if (Config { sample: trained.sample.clone(), ..config.clone() }) != trained {
            return Err(Error::Mismatch {
                what: "settings outside [sample]",
                found: "its own, which its weights depend on".to_owned(),
                expected: sets.join(" "),
                advice: "give --set for keys of [sample] only, or train another run",
            });
        }
        config.check()?;
        let load = |role| load_network(path, &config, role, device);
        let (models, states) = match config.method {
            Method::Pig => {
                let ((model_x, state_x), (model_y, state_y)) = (load(Role::ModelX)?, load(Role::ModelY)?);
                check_pair(&config, &state_x, &state_y)?;
                (Models::Pig { model_x, model_y }, vec![state_x, state_y])
            }
            Method::Joint => {
                let (unet, state) = load(Role::Joint)?;
                (Models::Joint(unet), vec![state])
            }
        };
        let hashes: Vec<&str> = states.iter().map(State::ema_sha256).collect();
        let model_hash = sha256(hashes.join("+").as_bytes());
        Ok(Self { preparation: run.preparation()?, run, config, models, model_hash })
    }
}

/// model_y must be used as it was trained: on its own model_x, and with its own stride.
fn check_pair(config: &Config, state_x: &State, state_y: &State) -> Result<()> {
    if let Some(trained_on) = state_y.model_x_sha256.as_deref().filter(|&hash| hash != state_x.ema_sha256()) {
        return Err(Error::Mismatch {
            what: "model_y's frozen model_x",
            found: trained_on.to_owned(),
            expected: state_x.ema_sha256().to_owned(),
            advice: "model_x was trained further after model_y; train model_y anew",
        });
    }
    let kept: Vec<usize> = config.timesteps()?.iter().map(|at| at.t).collect();
    if config.model_y.conditioning == Conditioning::Xprev && state_y.kept_timesteps.as_ref() != Some(&kept) {
        let trained = state_y.kept_timesteps.as_ref().map_or(0, Vec::len);
        return Err(Error::Mismatch {
            what: "the kept timesteps of a model_y conditioned on x_{t-1}",
            found: format!("{trained} steps"),
            expected: format!("{} steps, {:?}", kept.len(), config.sample.timestep_spacing),
            advice: "sample with the num_inference_steps and timestep_spacing of training",
        });
    }
    Ok(())
}

/// Samples what is asked, skipping what is there.
pub fn sample(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Summary> {
    let loaded = LoadedRun::open(&request.run, &request.sets, device)?;
    let given = match &request.given_mask {
        Some(folder) => Some(GivenMasks::read(folder, &loaded)?),
        None => None,
    };
    let stamp = stamp(&loaded, given.as_ref());
    let writer = PairWriter::create(&request.out, stamp, loaded.config.data.size, loaded.config.data.channels)?;
    warn_of_precision(observer, "sample.precision", loaded.config.sample.precision, device);
    let sampler = Sampler::new(&loaded.config, &loaded.models, device)?;
    let missing: Vec<u64> = request.seeds.iter().copied().filter(|&seed| !writer.is_finished(seed)).collect();
    let skipped = request.seeds.len() - missing.len();
    if skipped > 0 {
        note(observer, format!("{skipped} of {} samples are finished and skipped", request.seeds.len()));
    }

    let (outcome, made) = make(&loaded, &sampler, &writer, given.as_ref(), &missing, observer)?;
    let finished = writer.finish()?;
    if finished.empty_masks > 0 {
        warn(observer, format!("{} of {} pairs have an empty mask", finished.empty_masks, finished.pairs));
    }
    if request.progress_strips && outcome == Outcome::Finished {
        if given.is_some() {
            warn(observer, "--progress-strips shows the making of masks; with --given-mask there is none");
        } else {
            let canvas = strips(&loaded.config, &sampler, &request.seeds)?;
            canvas.write_png(&request.out.join("progress.png"), &[SYNTHETIC])?;
        }
    }
    let agreement = if outcome == Outcome::Finished {
        let generated: Result<Vec<_>> =
            request.seeds.iter().map(|&seed| written_pair(&request.out, seed, &loaded.preparation)).collect();
        let real = real_pairs(&loaded.run, request.data.as_deref())?;
        Some(agreement(&loaded.config, &generated?, &real)?)
    } else {
        None
    };
    Ok(Summary { outcome, finished, made, skipped, agreement })
}

/// Samples `missing` in batches and writes each pair as soon as it is there.
fn make(
    loaded: &LoadedRun,
    sampler: &Sampler<'_>,
    writer: &PairWriter,
    given: Option<&GivenMasks>,
    missing: &[u64],
    observer: &dyn Observer,
) -> Result<(Outcome, usize)> {
    let steps = sampler.timesteps().len();
    let batch_size = loaded.config.sample.batch_size;
    let total = missing.len().div_ceil(batch_size) * steps;
    observer.event(Event::Begin { stage: "sample".to_owned(), total, done: 0 });
    let (mut done, mut made) = (0, 0);
    for ids in missing.chunks(batch_size) {
        if observer.stop_requested() {
            observer.event(Event::End);
            return Ok((Outcome::Interrupted, made));
        }
        let mut turn = || {
            done += 1;
            let message = format!("{made} of {} pairs", missing.len());
            observer.event(Event::Progress { done, message });
        };
        let samples = match given {
            Some(given) => sampler.images_for(&given.of(ids), ids, &mut |_| turn()),
            None => sampler.pairs(ids, &mut |_| turn()),
        };
        for (index, &seed) in ids.iter().enumerate() {
            write_pair(loaded, writer, &samples, index, seed, given.is_some())?;
        }
        made += ids.len();
    }
    observer.event(Event::End);
    Ok((Outcome::Finished, made))
}

/// Finishes one sample and writes it. A given mask is kept as it is.
fn write_pair(
    loaded: &LoadedRun,
    writer: &PairWriter,
    samples: &Samples,
    index: usize,
    seed: u64,
    mask_is_given: bool,
) -> Result<()> {
    let sample = &loaded.config.sample;
    let (threshold, area) = if mask_is_given { (0.0, 0) } else { (sample.mask_threshold, sample.min_component_area) };
    let mask = clean_mask(&samples.masks[index], loaded.config.data.size, threshold, area).mask;
    let image = loaded.preparation.encode(&samples.images[index]);
    Ok(writer.write(&PairRecord { seed, image: &image, mask: &mask })?)
}

/// What every file of this request says about its origin.
fn stamp(loaded: &LoadedRun, given: Option<&GivenMasks>) -> Stamp {
    let mut deciding = loaded.config.sample.clone();
    // Neither changes a pair: the first by construction, the second only measures it.
    (deciding.batch_size, deciding.agreement_background) = (1, None);
    let masks = given.map(|given| given.sha256.clone());
    let describe = |sample: &crate::config::SampleConfig| {
        serde_json::json!({ "sample": sample, "given_masks": masks }).to_string()
    };
    Stamp {
        version: program(),
        model_hash: loaded.model_hash.clone(),
        settings_hash: sha256(describe(&deciding).as_bytes()),
        settings: describe(&loaded.config.sample),
    }
}

/// Masks from a folder; sample `seed` takes mask `seed` modulo their number.
struct GivenMasks {
    masks: Vec<Vec<f32>>,
    sha256: String,
}

impl GivenMasks {
    fn read(folder: &Path, loaded: &LoadedRun) -> Result<Self> {
        if !takes_masks(&loaded.config) {
            return Err(Error::Mismatch {
                what: "--given-mask",
                found: format!("method = {:?}", loaded.config.method.word()),
                expected: "a method that makes images for masks".to_owned(),
                advice: "use a run of method = \"pig\"",
            });
        }
        let paths = mask_paths(folder)?;
        let masks: Result<Vec<Vec<f32>>> = paths.iter().map(|path| Ok(loaded.preparation.load_mask(path)?)).collect();
        let masks = masks?;
        let bytes: Vec<u8> = masks.iter().flatten().map(|&value| u8::from(value > 0.0)).collect();
        Ok(Self { masks, sha256: sha256(&bytes) })
    }

    fn of(&self, ids: &[u64]) -> Vec<&[f32]> {
        ids.iter().map(|&id| self.masks[(id % self.masks.len() as u64) as usize].as_slice()).collect()
    }
}

/// The picture files of a folder of masks, by name.
pub fn mask_paths(folder: &Path) -> Result<Vec<PathBuf>> {
    const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp"];
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder, "list"))?;
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_picture).collect();
    paths.sort();
    if paths.is_empty() {
        return Err(Error::BadFile {
            path: folder.to_owned(),
            problem: "no mask found; expected PNG, JPEG, TIFF or BMP files".to_owned(),
            advice: "give --given-mask a folder of masks",
        });
    }
    Ok(paths)
}

/// Fig. 3's rows: x_0-hat and y_0-hat at spaced steps for the first seeds.
pub fn strips(config: &Config, sampler: &Sampler<'_>, seeds: &[u64]) -> Result<Canvas> {
    let ids = &seeds[..seeds.len().min(STRIP_ROWS)];
    let steps = sampler.timesteps().len();
    let shown: Vec<usize> = (0..STRIP_STEPS).map(|i| i * (steps - 1) / (STRIP_STEPS - 1)).collect();
    let (mut turn, mut estimates) = (0, Vec::<StripEstimate>::new());
    sampler.pairs(ids, &mut |at| {
        if shown.contains(&turn) {
            estimates.push(strip_estimate(at));
        }
        turn += 1;
    });
    let strips: Result<Vec<Strip>> = (0..ids.len()).map(|i| strip(config, &estimates, i, ids[i])).collect();
    Ok(progress_strips(&strips?, None)?)
}

fn strip(config: &Config, estimates: &[StripEstimate], index: usize, seed: u64) -> Result<Strip> {
    let [height, width] = config.data.size;
    let steps: Result<Vec<StripStep>> = estimates
        .iter()
        .map(|estimate| {
            let (mask, image) = (&estimate.samples.masks[index], &estimate.samples.images[index]);
            let image = pair_picture(
                image,
                vec![false; height * width],
                config.data.size,
                config.data.channels,
                String::new(),
            )?;
            let mask = Picture::from_bytes(&Preparation::display(mask), height, width, 1)?;
            Ok(StripStep { t: estimate.t, mask, image: image.image })
        })
        .collect();
    Ok(Strip { label: format!("seed {seed}"), steps: steps? })
}
