//! What `pig sample` can start from beside noise: masks of a folder, of the training cases or of another run, or images.

use crate::{
    Config, Error, Result,
    config::{GivenKind, Method},
    loaded::LoadedRun,
    observer::{Observer, Quiet, note},
    run_data::{RunData, warn_of_colours},
    sampler::{Sampler, Watch},
    samples::{Given, Samples},
};
use burn::tensor::Device;
use pig_data::{
    DataError, GivenFile, PreparedSet,
    folder::{Kind, Listed, list},
};
use pig_diffusion::sampler::SamplerKind;
use pig_files::sha256;
use std::path::{Path, PathBuf};

/// The source of the masks or images that a sampling is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GivenSource {
    /// Nothing is given: the method makes everything from noise.
    #[default]
    Nothing,
    /// The masks of a folder, by path.
    MaskFolder(PathBuf),
    /// The run's own training cases, by id, as they were prepared.
    TrainingMasks,
    /// The run's own test cases, by id, as they were prepared. Only for measuring: nothing may be trained on such pairs.
    TestMasks,
    /// The masks of the pairs that another run makes for the same seeds.
    MasksFrom(PathBuf),
    /// The images of a folder, by path. Masks are made for them.
    ImageFolder(PathBuf),
}

impl GivenSource {
    /// What the source gives.
    pub fn kind(&self) -> GivenKind {
        match self {
            Self::Nothing => GivenKind::Nothing,
            Self::MaskFolder(_) | Self::TrainingMasks | Self::TestMasks | Self::MasksFrom(_) => GivenKind::Masks,
            Self::ImageFolder(_) => GivenKind::Images,
        }
    }

    /// The flag that selects the source.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Nothing => "sampling without masks",
            Self::MaskFolder(_) => "--given-mask",
            Self::TrainingMasks => "--training-masks",
            Self::TestMasks => "sampling for the masks of test cases",
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
    Masks {
        /// The masks.
        masks: Vec<Vec<f32>>,
        /// The stems of their files.
        stems: Vec<String>,
    },
    /// The run's own cases, whose masks are taken in the same way; their ids are not passed on with synthetic pairs.
    Cases(PreparedSet),
    /// A run that makes a mask for each seed.
    Run(Box<LoadedRun>),
    /// Images in [-1, 1]; sample `seed` takes image `seed` modulo their number.
    Images {
        /// The images.
        images: Vec<Vec<f32>>,
        /// The stems of their files.
        stems: Vec<String>,
    },
}

impl GivenSet {
    /// Reads `source`, after checking that the run's method can start from it.
    /// `data` is the run's data folder, if it has moved. `observer` is told what was left out of a folder.
    pub(crate) fn open(
        source: &GivenSource,
        data: Option<&Path>,
        loaded: &LoadedRun,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self> {
        if !loaded.config.takes(source.kind()) {
            return Err(refusal(source, loaded));
        }
        match source {
            GivenSource::Nothing => Ok(Self::Nothing),
            GivenSource::MaskFolder(folder) => {
                let load = |path: &PathBuf| Ok(loaded.preparation.load_mask(path).map_err(DataError::for_run)?);
                let paths = told(folder, Kind::Masks, source.flag(), observer)?;
                let masks: Result<Vec<Vec<f32>>> = paths.iter().map(load).collect();
                Ok(Self::Masks { masks: masks?, stems: stems(&paths) })
            }
            GivenSource::ImageFolder(folder) => {
                check_resampling(&loaded.config)?;
                let load = |path: &PathBuf| Ok(loaded.preparation.load_image(path)?);
                let paths = told(folder, Kind::Images, source.flag(), observer)?;
                warn_of_colours(paths.iter().map(PathBuf::as_path), loaded.config.data.channels.count(), observer)?;
                let images: Result<Vec<Vec<f32>>> = paths.iter().map(load).collect();
                Ok(Self::Images { images: images?, stems: stems(&paths) })
            }
            GivenSource::TrainingMasks => Ok(Self::Cases(training_pairs(data, loaded, observer)?)),
            GivenSource::TestMasks => Ok(Self::Cases(RunData::found_test(data, &loaded.run, &Quiet(observer))?)),
            GivenSource::MasksFrom(run) => {
                let mut other = LoadedRun::open(run, &[], device)?;
                // Its images are not used.
                other.config.sample.second_pass = false;
                let (found, expected) = (other.config.data.size, loaded.config.data.size);
                if other.config.data.class_words() != loaded.config.data.class_words() {
                    return Err(Error::Mismatch {
                        what: "the classes of --masks-from",
                        found: other.config.data.class_words(),
                        expected: loaded.config.data.class_words(),
                        advice: "give a run that makes masks of this run's classes",
                    });
                }
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

    /// Turns of a batch, as often as [`sample`](Self::sample) calls its watch.
    pub(crate) fn turns(&self, config: &Config, sampler: &Sampler<'_>) -> Result<usize> {
        let once = sampler.timesteps().len();
        Ok(match self {
            Self::Nothing => sampler.turns(),
            Self::Run(other) => once + other.config.timesteps()?.len(),
            Self::Images { .. } if config.method == Method::Pig => config.sample.jump_n_sample * once,
            Self::Masks { .. } | Self::Cases(_) | Self::Images { .. } => once,
        })
    }

    /// Whether masks are given; they are kept as they are.
    pub(crate) fn gives_masks(&self) -> bool {
        matches!(self, Self::Masks { .. } | Self::Cases(_) | Self::Run(_))
    }

    /// The file that sample `seed` is made for.
    pub(crate) fn file(&self, seed: u64) -> Option<GivenFile<'_>> {
        let of = |stems: &'_ [String]| (seed % stems.len() as u64) as usize;
        match self {
            Self::Masks { stems, .. } => Some(GivenFile::Mask(&stems[of(stems)])),
            Self::Images { stems, .. } => Some(GivenFile::Image(&stems[of(stems)])),
            Self::Nothing | Self::Cases(_) | Self::Run(_) => None,
        }
    }

    /// SHA-256 that identifies what is given; `None` if nothing is.
    pub(crate) fn sha256(&self) -> Result<Option<String>> {
        Ok(match self {
            Self::Nothing => None,
            Self::Cases(set) => Some(set.masks_sha256()?),
            Self::Masks { masks, .. } => {
                let bytes: Vec<u8> = masks.iter().flatten().map(|&value| u8::from(value > 0.0)).collect();
                Some(sha256(&bytes))
            }
            Self::Images { images, .. } => {
                let bytes: Vec<u8> = images.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
                Some(sha256(&bytes))
            }
            Self::Run(other) => {
                let settings = other.config.sample.deciding(false);
                Some(sha256(format!("{}{settings}", other.model_hash).as_bytes()))
            }
        })
    }

    /// Samples `ids` with what was given. What a sampler that was stopped returns is to be discarded.
    pub(crate) fn sample(
        &self,
        sampler: &Sampler<'_>,
        ids: &[u64],
        device: &Device,
        watch: &mut Watch<'_>,
    ) -> Result<Samples> {
        match self {
            Self::Nothing => sampler.sample(Given::Nothing, ids, watch),
            Self::Masks { masks, .. } => sampler.sample(Given::Masks(&by_id(masks, ids)), ids, watch),
            Self::Cases(set) => {
                let of = |id: &u64| set.mask((id % set.len() as u64) as usize);
                let masks: Vec<Vec<f32>> = ids.iter().map(of).collect::<std::result::Result<_, _>>()?;
                let borrowed: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
                sampler.sample(Given::Masks(&borrowed), ids, watch)
            }
            Self::Images { images, .. } => sampler.sample(Given::Images(&by_id(images, ids)), ids, watch),
            Self::Run(other) => {
                let pairs = Sampler::new(&other.config, other.networks.as_ref(), device)?.until_as(sampler);
                let pairs = pairs.sample(Given::Nothing, ids, watch)?;
                if sampler.is_stopped() {
                    return Ok(pairs);
                }
                let masks: Vec<Vec<f32>> = pairs.masks.iter().map(|mask| other.config.finished_mask(mask)).collect();
                let borrowed: Vec<&[f32]> = masks.iter().map(Vec::as_slice).collect();
                sampler.sample(Given::Masks(&borrowed), ids, watch)
            }
        }
    }
}

/// The pictures of a folder, after telling what was left out of it.
fn told(folder: &Path, kind: Kind, flag: &str, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let Listed { files, left_out, .. } = given_pictures(folder, kind, flag)?;
    if let Some(words) = left_out {
        note(observer, format!("{flag}, {}: {words}", folder.display()));
    }
    Ok(files)
}

/// The names of files without their endings.
fn stems(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned()).collect()
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

/// The pairs that the run was trained on. `observer` is told nothing.
fn training_pairs(data: Option<&Path>, loaded: &LoadedRun, observer: &dyn Observer) -> Result<PreparedSet> {
    let run_data = RunData::found(data, &loaded.run, &Quiet(observer))?;
    run_data.check_unchanged(&loaded.run)?;
    let [training, _] = run_data.parts();
    Ok(training)
}

/// The pictures of one kind in a folder, sorted by path, and what was left out of it; `flag` is the flag that named the folder, for
/// messages.
///
/// # Errors
/// When the folder cannot be read or holds no such picture.
pub fn given_pictures(folder: &Path, kind: Kind, flag: &str) -> Result<Listed> {
    let listed = list(folder, kind)?;
    if !listed.files.is_empty() {
        return Ok(listed);
    }
    let left_out = listed.left_out.map_or(String::new(), |words| format!(". {}", words.trim_end_matches('.')));
    Err(Error::BadFile {
        path: folder.to_owned(),
        problem: format!("{flag} found no PNG, JPEG, TIFF or BMP file{left_out}"),
        advice: "give a folder of pictures",
    })
}
