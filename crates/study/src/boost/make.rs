//! A new plan: what the data, the machine and the hours allow.

use super::{
    design::{Costs, Design, FOLDS, GENERATORS, PAIRS, PATIENCE, least_steps},
    forecast::{Forecast, Generator},
    plan::{Findings, GENERATOR, Plan, Request},
    speed::{GeneratorSpeed, SegmenterSpeed, Speeds},
};
use crate::{
    crossval::{
        Count, CrossvalFile,
        config::{ArmConfig, CrossvalConfig},
    },
    pace::sample_seconds,
    recipe::{self, Recipe, recipe},
};
use burn::tensor::Device;
use pig_data::{DataConfig, Dataset, PairEntry, Preparation, Splits, classes::names, crossval_folds};
use pig_quality::curate::CurateConfig;
use pig_segment::SegmentFile;
use pig_train::{
    Error, Result,
    observer::{Observer, Quiet, note},
    run_data::{RunData, discover_folds, prepared, with_channels},
    run_dir::program,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The segmenter, whose steps the time decides.
const SEGMENTER: &str = include_str!("../../../../configs/segment/good.toml");

/// The arm of generated pairs.
const ARM: &str = "pig";

/// Of the patients that do not test, the share that validates: the end of each training is decided on them.
const VALIDATING: f64 = 0.2;

/// The fewest generated pairs beside the real ones.
const LEAST_PAIRS: usize = 8;

/// A run in a boost's folder for measurements, which write nothing.
pub(super) fn no_run(request: &Request) -> PathBuf {
    request.out.join("run-that-is-not-written")
}

/// Why a split of these data may put images of one patient on two sides, if so.
pub(super) fn no_patients(dataset: &Dataset) -> Option<String> {
    dataset.group_source.patients_warning().or_else(|| dataset.split_warning())
}

/// How many training pairs of the first of these folds hold each class; nothing if masks do not tell several apart.
///
/// # Errors
/// When a fold has no training pair of a class, so that its trainings would be refused, or a pair cannot be read.
pub(super) fn pairs_by_class(
    data: &Path,
    config: &DataConfig,
    folds: &[Splits],
    observer: &dyn Observer,
) -> Result<BTreeMap<String, usize>> {
    let mut found = BTreeMap::new();
    if !config.has_several_classes() {
        return Ok(found);
    }
    for (number, fold) in folds.iter().enumerate() {
        let real = RunData::with_splits(data, config, fold.clone(), observer)?;
        real.check_training()?;
        if number == 0 {
            let [training, _] = real.parts();
            let names = names(&config.classes).into_iter().map(str::to_owned);
            found = names.zip(training.pairs_by_class()).collect();
        }
    }
    Ok(found)
}

/// How many patients or groups test in these folds, and how many of them have no picture with a lesion as prepared. What decides where a lesion is
/// seen is the same in all folds, so the preparation of one of them does for all.
///
/// # Errors
/// When a pair cannot be read.
pub(super) fn tested(
    dataset: &Dataset,
    folds: &[Splits],
    preparation: &Preparation,
    observer: &dyn Observer,
) -> Result<[usize; 2]> {
    let ids: BTreeSet<&str> = folds.iter().flat_map(|fold| &fold.test).map(String::as_str).collect();
    let is_tested = |pair: &PairEntry| ids.contains(pair.id.as_str());
    let set = prepared(dataset, &is_tested, preparation, observer)?;
    let all: BTreeSet<&String> = set.groups.iter().collect();
    let with_lesion: BTreeSet<&String> =
        (0..set.len()).filter(|&index| set.has_lesion(index)).map(|index| &set.groups[index]).collect();
    Ok([all.len(), all.len() - with_lesion.len()])
}

impl Plan {
    /// Looks at the data, measures the machine, and decides. Writes nothing but prepared pairs to the cache.
    ///
    /// # Errors
    /// When the data cannot be read, have too few patients for folds or a fold without training pairs of a class, or no training fits into
    /// the memory.
    pub fn new(request: &Request, device: &Device, observer: &dyn Observer) -> Result<Self> {
        let Some(hours) = request.hours else {
            return Err(Error::Setting {
                key: "--hours".to_owned(),
                found: "nothing".to_owned(),
                expected: "the hours that everything may take, such as 8; or --plan DIR".to_owned(),
            });
        };
        // The segmenter's size is the generator's, which its hours decide; how many folds share the hours hangs on the segmenter.
        let mut recipe = generator(request, hours, 1, device, observer)?;
        let mut measured = Segmenter::measure(&recipe, request, device, observer)?;
        let mut design = Design::of(hours, measured.costs);
        if design.folds > 1 {
            recipe = generator(request, hours, design.folds, device, observer)?;
            measured = Segmenter::measure(&recipe, request, device, observer)?;
            let size = [design.folds, design.seeds];
            design = Design::sized(size, hours, measured.costs);
        }
        let folds = &measured.folds[..design.folds];
        let findings = Findings {
            patients: no_patients(&measured.dataset),
            pictures: recipe.warning(),
            classes: pairs_by_class(&request.data, &measured.file.data, folds, &Quiet(observer))?,
            ..Findings::default()
        };
        let speed = GeneratorSpeed::of(&recipe.config, &recipe.networks, device);
        let tested = tested(&measured.dataset, folds, &measured.preparation, &Quiet(observer))?;
        Self::of(hours, &recipe, &measured, design, tested, speed, findings)
    }

    fn of(
        hours: f64,
        recipe: &Recipe,
        measured: &Segmenter,
        design: Design,
        tested: [usize; 2],
        speed: GeneratorSpeed,
        findings: Findings,
    ) -> Result<Self> {
        let folds = &measured.folds[..design.folds];
        let a_pair = sample_seconds(&recipe.config, &speed.forwards)?;
        let fit = PAIRS * 3600.0 * hours / design.folds as f64 / a_pair.max(1e-9) * CurateConfig::default().keep;
        let training = folds.first().map_or(0, |fold| fold.training.len());
        let count = (fit as usize).min(training).max(LEAST_PAIRS);
        let crossval = crossval_file(&measured.file, design, count);
        let speeds = Speeds { segmenter: measured.speed.clone(), generators: vec![speed.clone()] };
        let generator = Generator { config: recipe.config.clone(), speed };
        let forecast = Forecast::of(&crossval, folds, tested, &measured.speed, &[generator])?;
        let mut plan = Self {
            program: program(),
            hours,
            folds: design.folds,
            seconds: forecast.seconds,
            patients: forecast.patients,
            detectable: forecast.detectable,
            training_pairs: None,
            speeds: None,
            findings,
            crossval,
            generator: recipe.text.clone(),
        };
        plan.set_forecast(forecast, speeds);
        Ok(plan)
    }
}

/// The generator's plan, if so many folds share its hours.
fn generator(request: &Request, hours: f64, folds: usize, device: &Device, observer: &dyn Observer) -> Result<Recipe> {
    let share = GENERATORS * hours / folds as f64;
    let asked = recipe::Request { data: request.data.clone(), unlabelled: None, hours: share, size: request.size };
    recipe(&asked, device, &Quiet(observer))
}

/// What was measured of segmenters, on the first fold.
struct Segmenter {
    /// The preset, with the data's channels and classes.
    file: SegmentFile,
    dataset: Dataset,
    folds: Vec<Splits>,
    /// How files become numbers in the first fold.
    preparation: Preparation,
    costs: Costs,
    speed: SegmenterSpeed,
}

impl Segmenter {
    fn measure(recipe: &Recipe, request: &Request, device: &Device, observer: &dyn Observer) -> Result<Self> {
        let plain = DataConfig::default();
        let data = DataConfig {
            augment: plain.augment,
            space: plain.space,
            haar_levels: plain.haar_levels,
            validation_fraction: VALIDATING,
            ..recipe.config.data.clone()
        };
        note(observer, "measuring a segmenter");
        let quiet = Quiet(observer);
        let dataset = discover_folds(&request.data, &data, &quiet)?;
        let data = with_channels(&dataset, &data, &quiet)?;
        let folds = crossval_folds(&dataset, FOLDS, VALIDATING, CrossvalConfig::default().seed)?;
        let training = folds.iter().map(|fold| fold.training.len()).max().unwrap_or(0);
        let Some(split) = folds.first() else {
            return Err(Error::TooLittle { found: "no fold".to_owned(), expected: "at least one fold" });
        };
        let file = SegmentFile { data, segment: good()?.segment };
        let real = RunData::with_splits(&request.data, &file.data, split.clone(), &quiet)?;
        let speed = SegmenterSpeed::measure(&file, &real, &no_run(request), device)?;
        let costs = Costs {
            step: speed.step,
            validation: speed.picture * split.validation.len() as f64,
            least: least_steps(training, file.segment.train.batch_size),
        };
        Ok(Self { file, dataset, folds, preparation: real.preparation, costs, speed })
    }
}

/// The segmenter's preset.
fn good() -> Result<SegmentFile> {
    toml::from_str(SEGMENTER).map_err(|error| Error::BadFile {
        path: PathBuf::from("configs/segment/good.toml"),
        problem: error.to_string(),
        advice: "this is a fault of pig; please report it",
    })
}

fn crossval_file(measured: &SegmentFile, design: Design, count: usize) -> CrossvalFile {
    let mut segment = measured.segment.clone();
    (segment.train.steps, segment.train.validate_every) = (design.steps, design.validate_every);
    segment.train.patience = PATIENCE;
    // A short training needs a short average and a short warm-up.
    let train = &mut segment.train;
    train.ema_decay = train.ema_decay.min(1.0 - 10.0 / design.steps.max(20) as f64);
    train.warmup_steps = train.warmup_steps.min(design.steps.div_ceil(10));
    let arm = ArmConfig {
        name: ARM.to_owned(),
        config: Some(PathBuf::from(GENERATOR)),
        add: vec![Count::Pairs(count)],
        curated: vec![Count::Pairs(count)],
        ..ArmConfig::default()
    };
    let crossval = CrossvalConfig {
        folds: FOLDS,
        segmenter_seeds: (0..design.seeds as u64).collect(),
        arms: vec![arm],
        ..CrossvalConfig::default()
    };
    CrossvalFile { data: measured.data.clone(), segment, crossval }
}
