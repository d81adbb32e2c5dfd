//! The training image that is nearest to a generated one, in small pictures as the watch of a training takes them.

use crate::{
    below::Root,
    reply::{Refusal, Reply},
};
use pig_data::{DataConfig, Dataset, read::read_image, resample::resize_image};
use pig_metrics::nearest::{Shape, nearest};
use pig_train::run_dir::{RunDir, remembered_data};
use rayon::prelude::*;
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// The side of the pictures that are compared.
const SIDE: usize = 32;
/// The most training images that are compared.
const MOST_IMAGES: usize = 20_000;
/// The most runs whose training images are in memory.
const MOST_RUNS: usize = 2;

/// The training images of a run.
#[derive(Debug)]
pub(crate) struct Training {
    /// The address of each image, and of its mask.
    files: Vec<[Option<String>; 2]>,
    small: Vec<Vec<f32>>,
    flips: bool,
}

/// The nearest training image.
#[derive(Debug, Serialize)]
pub(crate) struct Nearest {
    /// Its address, and that of its mask.
    pub(crate) image: Option<String>,
    pub(crate) mask: Option<String>,
    /// The root of the mean squared difference, of intensities from -1 to 1.
    pub(crate) distance: f64,
    /// Whether it is the mirrored image that is near.
    pub(crate) mirrored: bool,
    /// The number of training images.
    pub(crate) of: usize,
}

/// The training images of the runs that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Trainings(Mutex<HashMap<String, Arc<Training>>>);

impl Trainings {
    /// The training image of the run at `run` that is nearest to the picture at `image`.
    pub(crate) fn nearest(&self, root: &Root, run: &str, image: &str) -> Reply<Nearest> {
        let path = root.find(image).ok_or_else(|| Refusal::missing(format!("There is no picture {image:?}.")))?;
        let training = self.of(root, run)?;
        let query = small(&path).map_err(|error| Refusal::wrong(error.to_string()))?;
        let images: Vec<&[f32]> = training.small.iter().map(Vec::as_slice).collect();
        let shape = Shape { height: SIDE, width: SIDE, channels: 1 };
        let found = nearest(&[query.as_slice()], &images, shape, training.flips)
            .map_err(|error| Refusal::wrong(error.to_string()))?;
        let Some(found) = found.first() else { return Err(Refusal::fault("nothing was found")) };
        let [image, mask] = training.files[found.index].clone();
        Ok(Nearest { image, mask, distance: found.distance.sqrt(), mirrored: found.flipped, of: images.len() })
    }

    fn of(&self, root: &Root, run: &str) -> Reply<Arc<Training>> {
        // Held while the images are read, so that they are read once.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(training) = known.get(run) {
            return Ok(Arc::clone(training));
        }
        let training = Arc::new(Training::of(root, run)?);
        if known.len() >= MOST_RUNS {
            known.clear();
        }
        known.insert(run.to_owned(), Arc::clone(&training));
        Ok(training)
    }
}

impl Training {
    fn of(root: &Root, address: &str) -> Reply<Self> {
        let folder = root.folder(address).ok_or_else(|| Refusal::missing(format!("There is no run {address:?}.")))?;
        let wrong = |error: &dyn std::fmt::Display| Refusal::wrong(error.to_string());
        let run = RunDir::open(&folder).map_err(|error| wrong(&error))?;
        let config = run.config().map_err(|error| wrong(&error))?;
        let training: HashSet<String> = run.splits().map_err(|error| wrong(&error))?.training.into_iter().collect();
        let data = remembered_data(&run).map_err(|error| wrong(&error))?;
        let open = DataConfig { group_column: None, ..config.data.clone() };
        let dataset = Dataset::discover(&data, &open).map_err(|error| wrong(&error))?;
        let pairs: Vec<_> = dataset.pairs.iter().filter(|pair| training.contains(&pair.id)).take(MOST_IMAGES).collect();
        let small: Vec<Vec<f32>> = pairs
            .par_iter()
            .map(|pair| small(&pair.image))
            .collect::<pig_data::Result<_>>()
            .map_err(|error| wrong(&error))?;
        let address = |path: &Path| root.address_of_any(path);
        let files = pairs
            .iter()
            .map(|pair| [address(&pair.image), pair.mask.as_ref().and_then(|mask| address(&mask.first.path))])
            .collect();
        Ok(Self { files, small, flips: config.data.augment.horizontal_flip })
    }
}

/// A picture as luma from -1 to 1, reduced.
fn small(path: &Path) -> pig_data::Result<Vec<f32>> {
    let image = read_image(path, 1)?;
    let top = if image.bit_depth() == 16 { 65535.0 } else { 255.0 };
    let unit: Vec<f32> = image.data.iter().map(|value| value / top * 2.0 - 1.0).collect();
    Ok(resize_image(&unit, [image.height, image.width], [SIDE, SIDE], 1))
}
