//! What `pig sample` can start from beside noise: masks of a folder, of the training cases or of another run, or images.

use crate::{
    Config, Error, Result,
    config::{GivenKind, Method},
    loaded::LoadedRun,
    run_data::RunData,
    sampler::Sampler,
    samples::{Given, Samples},
};
use burn::tensor::Device;
use pig_data::postprocess::clean_mask;
use pig_diffusion::sampler::SamplerKind;
use pig_files::sha256;
use std::path::{Path, PathBuf};

/// The source of the masks or images that a sampling is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GivenSource {
    /// Nothing is given: the method makes everything from noise.
    #[default]
    Nothing,
    /// The picture files of a folder, by name.
    MaskFolder(PathBuf),
    /// The run's own training cases, by id, as they were prepared.
    TrainingMasks,
    /// The masks of the pairs that another run makes for the same seeds.
    MasksFrom(PathBuf),
    /// The picture files of a folder, by name. Masks are made for them.
    ImageFolder(PathBuf),
}

impl GivenSource {
    /// What the source gives.
    pub fn kind(&self) -> GivenKind {
        match self {
            Self::Nothing => GivenKind::Nothing,
            Self::MaskFolder(_) | Self::TrainingMasks | Self::MasksFrom(_) => GivenKind::Masks,
            Self::ImageFolder(_) => GivenKind::Images,
        }
    }

    /// The flag that selects the source.
    fn flag(&self) -> &'static str {
        match self {
            Self::Nothing => "sampling without masks",
            Self::MaskFolder(_) => "--given-mask",
            Self::TrainingMasks => "--training-masks",
            Self::MasksFrom(_) => "--masks-from",
            Self::ImageFolder(_) => "--given-image",
        }
    }
}

/// What was read from a source.
#[derive(Debug)]
pub(crate) enum GivenSet {
    /// Nothing.
    Nothing,
    /// Masks in [-1, 1]; sample `seed` takes mask `seed` modulo their number.
    Masks(Vec<Vec<f32>>),
    /// A run that makes a mask for each seed.
    Run(Box<LoadedRun>),
    /// Images in [-1, 1]; sample `seed` takes image `seed` modulo their number.
    Images(Vec<Vec<f32>>),
}

impl GivenSet {
    /// Reads `source`, after checking that the run's method can start from it.
    /// `data` is the run's data folder, if it has moved.
    pub(crate) fn open(source: &GivenSource, data: Option<&Path>, loaded: &LoadedRun, device: &Device) -> Result<Self> {
        if !loaded.config.takes(source.kind()) {
            return Err(refusal(source, loaded));
        }
        match source {
            GivenSource::Nothing => Ok(Self::Nothing),
            GivenSource::MaskFolder(folder) => {
                let load = |path: &PathBuf| Ok(loaded.preparation.load_mask(path)?);
                let masks: Result<Vec<Vec<f32>>> = picture_paths(folder, "--given-mask")?.iter().map(load).collect();
                Ok(Self::Masks(masks?))
            }
            GivenSource::ImageFolder(folder) => {
                check_resampling(&loaded.config)?;
                let load = |path: &PathBuf| Ok(loaded.preparation.load_image(path)?);
                let images: Result<Vec<Vec<f32>>> = picture_paths(folder, "--given-image")?.iter().map(load).collect();
                Ok(Self::Images(images?))
            }
            GivenSource::TrainingMasks => Ok(Self::Masks(training_masks(data, loaded)?)),
            GivenSource::MasksFrom(run) => {
                let other = LoadedRun::open(run, &[], device)?;
                let (found, expected) = (other.config.data.size, loaded.config.data.size);
                if !other.config.method.makes_masks() || found != expected {
                    let describe = |method: &str, [height, width]: [usize; 2]| format!("{method}, {height} x {width}");
                    return Err(Error::Mismatch {
                        what: "--masks-from",
                        found: describe(other.config.method.word(), found),
                        expected: describe("pig or joint", expected),
                        advice: "give a run that makes masks of this run's data.size",
                    });
                }
                Ok(Self::Run(Box::new(other)))
            }
        }
    }

    /// Steps of a batch in addition to the run's own transitions.
    pub(crate) fn steps(&self, config: &Config) -> Result<usize> {
        match self {
            Self::Run(other) => Ok(other.config.timesteps()?.len()),
            Self::Images(_) if config.method == Method::Pig => {
                Ok((config.sample.jump_n_sample - 1) * config.timesteps()?.len())
            }
            Self::Nothing | Self::Masks(_) | Self::Images(_) => Ok(0),
        }
    }

    /// Whether masks are given; they are kept as they are.
    pub(crate) fn gives_masks(&self) -> bool {
        matches!(self, Self::Masks(_) | Self::Run(_))
    }

    /// SHA-256 that identifies what is given; `None` if nothing is.
    pub(crate) fn sha256(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Masks(masks) => {
                let bytes: Vec<u8> = masks.iter().flatten().map(|&value| u8::from(value > 0.0)).collect();
                Some(sha256(&bytes))
            }
            Self::Images(images) => {
                let bytes: Vec<u8> = images.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
                Some(sha256(&bytes))
            }
            Self::Run(other) => {
                let settings = serde_json::to_string(&other.config.sample).unwrap_or_default();
                Some(sha256(format!("{}{settings}", other.model_hash).as_bytes()))
            }
        }
    }

    /// Samples `ids` with what was given. What a sampler that was stopped returns is to be discarded.
    pub(crate) fn sample(
        &self,
        sampler: &Sampler<'_>,
        ids: &[u64],
        device: &Device,
        watch: &mut dyn FnMut(usize),
    ) -> Result<Samples> {
        match self {
            Self::Nothing => sampler.sample(Given::Nothing, ids, watch),
            Self::Masks(masks) => sampler.sample(Given::Masks(&by_id(masks, ids)), ids, watch),
            Self::Images(images) => sampler.sample(Given::Images(&by_id(images, ids)), ids, watch),
            Self::Run(other) => {
                let (sample, size) = (&other.config.sample, other.config.data.slice_size());
                let pairs = Sampler::new(&other.config, other.networks.as_ref(), device)?.until_as(sampler);
                let pairs = pairs.sample(Given::Nothing, ids, watch)?;
                if sampler.is_stopped() {
                    return Ok(pairs);
                }
                let finished = |mask: &Vec<f32>| -> Vec<f32> {
                    let clean = clean_mask(mask, size, sample.mask_threshold, sample.min_component_area);
                    clean.mask.iter().map(|&value| if value > 0 { 1.0 } else { -1.0 }).collect()
                };
                let masks: Vec<Vec<f32>> = pairs.masks.iter().map(finished).collect();
                let borrowed: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
                sampler.sample(Given::Masks(&borrowed), ids, watch)
            }
        }
    }
}

/// Resampling makes a transition several times. The transition must then depend on its start alone: DDIM without noise.
fn check_resampling(config: &Config) -> Result<()> {
    let sample = &config.sample;
    let repeatable = sample.sampler == SamplerKind::Ddim && sample.eta == 0.0;
    if config.method != Method::Pig || sample.jump_n_sample == 1 || repeatable {
        return Ok(());
    }
    Err(Error::Setting {
        key: "sample.jump_n_sample".to_owned(),
        found: sample.jump_n_sample.to_string(),
        expected: "1 with --given-image, or sample.sampler = \"ddim\" with sample.eta = 0".to_owned(),
    })
}

/// The value for each id: the one at `id` modulo the number of values.
fn by_id<'v>(values: &'v [Vec<f32>], ids: &[u64]) -> Vec<&'v [f32]> {
    ids.iter().map(|id| values[(id % values.len() as u64) as usize].as_slice()).collect()
}

fn refusal(source: &GivenSource, loaded: &LoadedRun) -> Error {
    let method = loaded.config.method;
    Error::Mismatch {
        what: source.flag(),
        found: format!("method = {:?}", method.word()),
        expected: match source.kind() {
            GivenKind::Nothing => "a method that makes its own masks or needs none".to_owned(),
            GivenKind::Masks => "a method that makes images for masks".to_owned(),
            GivenKind::Images => "a method that makes masks for images".to_owned(),
        },
        advice: match source.kind() {
            GivenKind::Nothing => "give masks with --training-masks, --given-mask DIR or --masks-from RUN",
            GivenKind::Masks => {
                "use a run of method = \"pig\", \"seg-guided\", \"controlnet\", \"ldm\", or \"joint\" with train.noise_levels = \"independent\""
            }
            GivenKind::Images => {
                "use a run of method = \"pig\", or of \"joint\" with train.noise_levels = \"independent\""
            }
        },
    }
}

/// The masks that the run was trained on.
fn training_masks(data: Option<&Path>, loaded: &LoadedRun) -> Result<Vec<Vec<f32>>> {
    let run_data = RunData::found(data, &loaded.run, &crate::observer::Silent)?;
    run_data.check_unchanged(&loaded.run)?;
    let [training, _] = run_data.parts();
    Ok((0..training.len()).map(|index| training.mask(index).to_vec()).collect())
}

/// The picture files of a folder, sorted by name; `flag` is the flag that named the folder, for messages. Hidden files and those of the
/// system (`._a.png`) are left out.
pub fn picture_paths(folder: &Path, flag: &str) -> Result<Vec<PathBuf>> {
    const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp"];
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder, "list"))?;
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let hidden = path.file_name().is_some_and(|name| pig_data::names::is_left_out(&name.to_string_lossy()));
        !hidden && extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_picture).collect();
    paths.sort();
    if paths.is_empty() {
        return Err(Error::BadFile {
            path: folder.to_owned(),
            problem: format!("{flag} found no PNG, JPEG, TIFF or BMP file"),
            advice: "give a folder of pictures",
        });
    }
    Ok(paths)
}
