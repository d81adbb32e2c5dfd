//! Looks at the data, measures the machine, and decides.

use crate::{
    budget::budget,
    pace::{MARGIN, fitted, forward_seconds, matching_seconds, preview_seconds},
    plan::{NetworkPlan, measured},
    recipe::{
        described::{Recipe, Request},
        rules::{Facts, Length, MATCHING_SHARE, PREVIEW_SHARE, PREVIEWS, Shape, needed_images},
        settings::Setting,
        text,
    },
};
use burn::tensor::Device;
use pig_data::{
    CaseMask, DataConfig, DataError, Dataset, GroupSource, Preparation, Splits, class_source, read, split_by_group,
    survey::Survey, unlabelled::HeldOut,
};
use pig_train::{
    Config, Error, Result,
    config::{Layers, require},
    memory,
    observer::{Observer, note},
};
use std::{collections::BTreeSet, path::Path};

/// Pairs that are read to see what the values of their masks mean, and what becomes of them at the size of the plan.
const PAIRS: usize = 64;

/// The least different values of masks that are gray at their edges; fewer are labels.
const LEAST_GRAYS: usize = 8;

/// The most hours of a plan: ten years.
const MOST_HOURS: f64 = 87_600.0;

/// The choice of a shape is repeated with the speed of the shape that was chosen, at most so often.
const ROUNDS: usize = 3;

/// Looks at the data, measures the machine, and decides all settings of a training with `method = "pig"`.
///
/// # Errors
/// When the data cannot be read, or no training fits into the memory.
pub fn recipe(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Recipe> {
    require(request.hours <= MOST_HOURS, "--hours", request.hours, &format!("at most {MOST_HOURS}"))?;
    let (facts, dataset) = facts(request, observer)?;
    note(observer, format!("found {}", facts.survey));
    let shapes = facts.shapes();
    let Some(cheapest) = shapes.last() else {
        return Err(Error::TooLittle {
            found: "no picture".to_owned(),
            expected: "pictures of a size that networks can halve",
        });
    };
    if let Some(size) = request.size {
        // Each level of a network but the first, and each level of the Haar transform, halves the pictures.
        let levels = shapes.iter().map(|shape| shape.widths.len() - 1 + shape.haar_levels).max().unwrap_or(0);
        let expected = format!("a multiple of {}: pictures of this size are halved {levels} times", 1_usize << levels);
        require(size > 0 && size.is_multiple_of(1 << levels), "--size", size, &expected)?;
    }
    let mut shape = cheapest.clone();
    let mut known = timed(&facts, &shape, device)?;
    for _ in 0..ROUNDS {
        // A shape that does not fit into the memory takes for ever.
        let seconds = |shape: &Shape| {
            let config = config_of(&facts, shape, SOME).ok()?;
            memory::check(&config, facts.survey.pairs, observer.cache().is_some(), device).ok()?;
            known.seconds_an_image(&config, device).ok()
        };
        let (chosen, _) = facts.chosen(|shape| seconds(shape).unwrap_or(f64::INFINITY));
        if chosen == shape {
            break;
        }
        known = timed(&facts, &chosen, device)?;
        shape = chosen;
    }
    memory::check(&known.config, facts.survey.pairs, observer.cache().is_some(), device)?;
    let seconds = 3600.0 * facts.hours;
    let watching = watching(&known, seconds)?;
    let some = config_of(&facts, &shape, watching)?;
    let (train, pace) = fitted(&some, &known.networks, 60.0 * facts.hours, 0.0, 0)?;
    let most = ((facts.most_images() / facts.batch_size() as f64) as usize).max(1);
    let length = Length { steps: train.steps.clamp(1, most), is_capped: train.steps > most, ..watching };
    let share = length.steps as f64 / train.steps.max(1) as f64;
    let previews = (seconds * (1.0 - MARGIN) - pace.training).max(0.0);
    let hours = (previews + share * pace.training) / 3600.0;
    let mut settings = facts.settings(&shape, length);
    settings.push(Setting {
        section: "train",
        key: "planned_hours",
        value: format!("{:.6}", hours.max(1e-6)),
        reason: "pig report compares it with the time that the training took".to_owned(),
    });
    settings.sort_by_key(|setting| ORDER.iter().position(|section| *section == setting.section));
    let (config, images) = (config_with(&facts, &settings)?, length.steps * facts.batch_size());
    let remarks = remarks(&dataset, &config.data)?;
    let needed = needed_images(shape.size);
    let mut recipe = Recipe {
        text: String::new(),
        needed,
        needed_hours: needed * known.seconds_an_image(&config, device)? / (1.0 - MARGIN - PREVIEW_SHARE) / 3600.0,
        hours,
        networks: known.networks,
        config,
        settings,
        images,
        length,
        remarks,
        facts,
    };
    recipe.text = text::commented(request, &recipe);
    Ok(recipe)
}

/// The sections of a plan in their order.
const ORDER: [&str; 6] = ["data", "preconditioning", "model_x", "model_y", "train", "sample"];

/// As many previews as fit into their share of the time; if not even one does, previews that measure nothing. Likewise the search for a scale of
/// guidance.
fn watching(known: &Timed, seconds: f64) -> Result<Length> {
    let forward = forward_seconds(&known.config, &known.networks);
    let previews = (PREVIEW_SHARE * seconds / preview_seconds(&known.config, &forward)?.max(1e-9)) as usize;
    Ok(Length {
        previews: previews.clamp(1, PREVIEWS),
        watches: previews > 0,
        matches: matching_seconds(&known.config, &forward)? <= MATCHING_SHARE * seconds,
        ..SOME
    })
}

/// Steps of a configuration whose steps are only measured.
const SOME_STEPS: usize = 1000;

/// The length of a configuration whose steps are only measured.
const SOME: Length = Length { steps: SOME_STEPS, is_capped: false, previews: PREVIEWS, watches: true, matches: true };

/// What decides a plan, and the pairs.
fn facts(request: &Request, observer: &dyn Observer) -> Result<(Facts, Dataset)> {
    let mut data = DataConfig::default();
    let mut dataset = Dataset::discover(&request.data, &data)?;
    // The training finds the classes again; here they say how masks are read, and how many channels these have.
    data = class_source::resolve(&dataset, &data)?.0;
    if dataset.has_masks() {
        data.mask_threshold = mask_threshold(&dataset, &data)?;
    }
    for warning in dataset.remarks() {
        pig_train::observer::warn(observer, warning.to_owned());
    }
    dataset.left_out = None;
    dataset.warnings.clear();
    let survey = Survey::of(&dataset)?;
    if survey.groups < 2 {
        return Err(Error::TooLittle {
            found: format!("{} pair(s) of {} patient(s) or group(s)", survey.pairs, survey.groups),
            expected: "at least two groups, so that one can validate",
        });
    }
    if survey.bits.len() > 1 {
        return Err(Error::TooLittle {
            found: "pictures of 8 and of 16 bits".to_owned(),
            expected: "pictures of one depth, since one range of intensities is measured for all; convert them first",
        });
    }
    // The training makes the same split, since a plan sets neither the share nor the seed.
    let splits = split_by_group(&dataset, data.validation_fraction, Config::default().train.seed)?;
    let unlabelled = match &request.unlabelled {
        Some(folder) => unlabelled(folder, &dataset, &splits)?,
        None => 0,
    };
    let facts = Facts {
        survey,
        training: splits.training.len(),
        unlabelled,
        mask_threshold: data.mask_threshold,
        classes: data.classes,
        classes_overlap: data.classes_overlap,
        hours: request.hours,
        threads: rayon::current_num_threads(),
        size: request.size,
    };
    Ok((facts, dataset))
}

/// How many images without masks a folder holds, as the training reads it.
///
/// # Errors
/// When the folder cannot be read, or has an image that the training's split holds out.
fn unlabelled(folder: &Path, dataset: &Dataset, splits: &Splits) -> Result<usize> {
    let column = match &dataset.group_source {
        GroupSource::Column(name) => Some(name.as_str()),
        GroupSource::Image => None,
    };
    let images = Dataset::of_images(folder, column)?;
    HeldOut::of(dataset, splits).check(&images)?;
    Ok(images.len())
}

/// At most [`PAIRS`] pairs, spread over the data.
fn some_of(dataset: &Dataset) -> Dataset {
    let step = dataset.len().div_ceil(PAIRS).max(1);
    Dataset { pairs: dataset.pairs.iter().step_by(step).cloned().collect(), ..dataset.clone() }
}

/// What a user should know of some pairs, prepared with `config`: lesions that are too small for the size, masks that are all empty, values of
/// lesion that differ.
///
/// # Errors
/// When a pair cannot be prepared.
fn remarks(dataset: &Dataset, config: &DataConfig) -> Result<Vec<String>> {
    // The plan leaves the classes to the data, and so does its training.
    let config = DataConfig { classes: Vec::new(), classes_overlap: false, ..config.clone() };
    let some = some_of(dataset);
    let ids: Vec<String> = some.pairs.iter().map(|pair| pair.id.clone()).collect();
    let found = Preparation::fit(&some, &ids, &config)?.load(&some, &|_, _| {})?;
    let looked_at = if some.len() < dataset.len() {
        format!("of {} pairs that were looked at, ", some.len())
    } else {
        String::new()
    };
    let told = found.warnings.iter().map(|warning| format!("{looked_at}{}", warning.trim_end_matches('.')));
    let values = class_source::differing(dataset, &class_source::resolve(dataset, &config)?.0)?;
    Ok(told.chain(values).collect())
}

/// Half of the greatest gray value if masks are gray, as JPEG and resampling leave them; none if their values say what they mean.
///
/// # Errors
/// When a mask cannot be read, or has several values that seem to be labels.
fn mask_threshold(dataset: &Dataset, config: &DataConfig) -> Result<Option<f64>> {
    let some = some_of(dataset);
    let masks: Vec<&CaseMask> = some.pairs.iter().filter_map(|pair| pair.mask.as_ref()).collect();
    let (mut ambiguous, mut values) = (None, BTreeSet::new());
    for mask in &masks {
        match mask.read(config) {
            Ok(_) => {}
            Err(error @ DataError::AmbiguousMask { .. }) => ambiguous = ambiguous.or(Some(error)),
            Err(error) => return Err(error.into()),
        }
    }
    let Some(error) = ambiguous else { return Ok(None) };
    for path in masks.into_iter().flat_map(CaseMask::paths) {
        let found = read::count_mask_values(path)?;
        values.extend(found.keys().filter_map(|value| value.parse::<u32>().ok()));
    }
    let greatest = values.last().copied().unwrap_or(0);
    // Labels are few; edges have many values.
    if values.len() < LEAST_GRAYS || greatest == 0 { Err(error.into()) } else { Ok(Some(f64::from(greatest) / 2.0)) }
}

/// A configuration, with the seconds that its steps take.
struct Timed {
    config: Config,
    networks: Vec<NetworkPlan>,
}

fn timed(facts: &Facts, shape: &Shape, device: &Device) -> Result<Timed> {
    let config = config_of(facts, shape, SOME)?;
    let networks = measured(&config, device)?;
    Ok(Timed { config, networks })
}

impl Timed {
    /// Seconds for an image of the image network in another configuration, with the guider's share, by counted operations.
    fn seconds_an_image(&self, other: &Config, device: &Device) -> Result<f64> {
        let batch = self.config.train.images_in_step() as f64;
        let rate = |network: &NetworkPlan| network.seconds_a_step / batch / network.cost.training_flops();
        let costs = budget(other, device)?.networks;
        let seconds = costs.iter().zip(&self.networks).map(|(cost, known)| {
            let share = cost.steps as f64 / other.train.steps as f64;
            share * rate(known) * cost.training_flops()
        });
        Ok(seconds.sum())
    }
}

/// The configuration of a shape's settings.
fn config_of(facts: &Facts, shape: &Shape, length: Length) -> Result<Config> {
    config_with(facts, &facts.settings(shape, length))
}

/// The configuration of some settings, with the classes that the data name, which the settings leave to the training.
fn config_with(facts: &Facts, settings: &[Setting]) -> Result<Config> {
    let sets = settings.iter().map(|setting| format!("{}.{}={}", setting.section, setting.key, setting.value));
    let mut config = Layers { file: None, sets: sets.collect() }.load()?;
    config.data.classes.clone_from(&facts.classes);
    config.data.classes_overlap = facts.classes_overlap;
    config.check()?;
    Ok(config)
}
