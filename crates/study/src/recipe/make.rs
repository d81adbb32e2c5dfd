//! Looks at the data, measures the machine, and decides.

use crate::{
    budget::budget,
    pace::fitted,
    plan::{NetworkPlan, measured},
    recipe::{
        described::{Recipe, Request},
        rules::{Facts, Shape},
        text,
    },
};
use burn::tensor::Device;
use pig_data::{DataConfig, DataError, Dataset, PairEntry, read, survey::Survey};
use pig_train::{
    Config, Error, Result,
    config::Layers,
    memory,
    observer::{Observer, note},
};
use std::path::PathBuf;

/// Masks that are read to see what their values mean.
const MASKS: usize = 64;

/// The choice of a shape is repeated with the speed of the shape that was chosen, at most so often.
const ROUNDS: usize = 3;

/// Looks at the data, measures the machine, and decides all settings of a training with `method = "pig"`.
///
/// # Errors
/// When the data cannot be read, or no training fits into the memory.
pub fn recipe(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Recipe> {
    let facts = facts(request, observer)?;
    note(observer, format!("found {}", facts.survey));
    let shapes = facts.shapes();
    let Some(cheapest) = shapes.last() else {
        return Err(Error::TooLittle {
            found: "no picture".to_owned(),
            expected: "pictures of a size that networks can halve",
        });
    };
    let mut known = timed(&facts, cheapest, device)?;
    let mut tried = vec![cheapest.clone()];
    let mut shape = cheapest.clone();
    for _ in 0..ROUNDS {
        // A shape that does not fit into the memory takes for ever.
        let seconds = |shape: &Shape| {
            let config = config_of(&facts, shape, SOME_STEPS).ok()?;
            memory::check(&config, facts.survey.pairs, observer.cache().is_some(), device).ok()?;
            known.seconds_an_image(&config, device).ok()
        };
        (shape, _) = facts.chosen(|shape| seconds(shape).unwrap_or(f64::INFINITY));
        if tried.contains(&shape) {
            break;
        }
        known = timed(&facts, &shape, device)?;
        tried.push(shape.clone());
    }
    let known = timed(&facts, &shape, device)?;
    memory::check(&known.config, facts.survey.pairs, observer.cache().is_some(), device)?;
    let most = (facts.most_images() / facts.batch_size() as f64) as usize;
    let (train, _) = fitted(&known.config, &known.networks, 60.0 * facts.hours, 0.0, 0);
    let steps = train.steps.clamp(1, most.max(1));
    let settings = facts.settings(&shape, steps);
    let (config, images) = (config_of(&facts, &shape, steps)?, steps * facts.batch_size());
    let share = steps as f64 / train.steps.max(1) as f64;
    let mut recipe = Recipe {
        text: String::new(),
        needed: facts.needed_images(shape.size),
        hours: facts.hours * share,
        networks: known.networks,
        config,
        settings,
        images,
        facts,
    };
    recipe.text = text::commented(request, &recipe);
    Ok(recipe)
}

/// Steps of a configuration whose steps are only measured.
const SOME_STEPS: usize = 1000;

fn facts(request: &Request, observer: &dyn Observer) -> Result<Facts> {
    let mut data = DataConfig::default();
    let mut dataset = Dataset::discover(&request.data, &data)?;
    if dataset.has_masks() {
        data.mask_threshold = mask_threshold(&dataset, &data)?;
    }
    for warning in &dataset.warnings {
        pig_train::observer::warn(observer, warning.clone());
    }
    let unlabelled = match &request.unlabelled {
        Some(folder) => Dataset::of_images(folder, None)?.len(),
        None => 0,
    };
    dataset.warnings.clear();
    Ok(Facts {
        survey: Survey::of(&dataset)?,
        unlabelled,
        mask_threshold: data.mask_threshold,
        hours: request.hours,
        threads: rayon::current_num_threads(),
    })
}

/// Half of the greatest gray value if some masks are gray, as JPEG and resampling leave them; none if their values say what they mean.
fn mask_threshold(dataset: &Dataset, config: &DataConfig) -> Result<Option<f64>> {
    let step = dataset.len().div_ceil(MASKS).max(1);
    let masks = |pairs: &[PairEntry]| -> Vec<PathBuf> {
        pairs.iter().step_by(step).filter_map(|pair| pair.mask.clone()).collect()
    };
    for path in masks(&dataset.pairs) {
        match read::read_mask(&path, config) {
            Ok(_) => {}
            Err(DataError::AmbiguousMask { .. }) => {
                let depth = read::read_header(&path)?.bit_depth;
                return Ok(Some(if depth == 16 { 32_768.0 } else { 128.0 }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// A configuration, with the seconds that its steps take.
struct Timed {
    config: Config,
    networks: Vec<NetworkPlan>,
}

fn timed(facts: &Facts, shape: &Shape, device: &Device) -> Result<Timed> {
    let config = config_of(facts, shape, SOME_STEPS)?;
    let networks = measured(&config, device)?;
    Ok(Timed { config, networks })
}

impl Timed {
    /// Seconds for an image of the image network in another configuration, with the guider's share, by counted operations.
    fn seconds_an_image(&self, other: &Config, device: &Device) -> Result<f64> {
        let operations = |forward: f64, frozen: f64| 3.0 * forward + frozen;
        let batch = self.config.train.images_in_step() as f64;
        let rate = |network: &NetworkPlan| {
            network.seconds_a_step / batch / operations(network.cost.forward_flops, network.cost.frozen_flops)
        };
        let costs = budget(other, device)?.networks;
        let seconds = costs.iter().zip(&self.networks).map(|(cost, known)| {
            let share = cost.steps as f64 / other.train.steps as f64;
            share * rate(known) * operations(cost.forward_flops, cost.frozen_flops)
        });
        Ok(seconds.sum())
    }
}

/// The configuration of a shape's settings.
fn config_of(facts: &Facts, shape: &Shape, steps: usize) -> Result<Config> {
    let settings = facts.settings(shape, steps);
    let sets = settings.iter().map(|setting| format!("{}.{}={}", setting.section, setting.key, setting.value));
    let config = Layers { file: None, sets: sets.collect() }.load()?;
    config.check()?;
    Ok(config)
}
