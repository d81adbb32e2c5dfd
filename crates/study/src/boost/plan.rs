//! What a boost will do: found once, written into its folder, and followed whenever it goes on.

use super::design::{Costs, Design, FOLDS, GENERATORS, PAIRS, PATIENCE, least_steps};
use crate::{
    crossval::{
        Count, CrossvalFile,
        config::{ArmConfig, CrossvalConfig},
        verdict::no_verdict,
    },
    pace::forward_seconds,
    recipe::{self, Recipe, recipe},
};
use burn::tensor::Device;
use pig_data::{DataConfig, Splits, crossval_folds};
use pig_quality::curate::CurateConfig;
use pig_segment::{
    SegmentFile,
    pairs::{self, SegmentData},
    run::seconds_a_step,
};
use pig_train::{
    Error, Result,
    config::require,
    observer::{Observer, Quiet, note},
    run_data::{RunData, discover_folds},
    run_dir::program,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The segmenter, whose steps the time decides.
const SEGMENTER: &str = include_str!("../../../../configs/segment/good.toml");

/// The arm of generated pairs.
pub(super) const ARM: &str = "pig";

/// Of the patients that do not test, the share that validates: the end of each training is decided on them.
const VALIDATING: f64 = 0.2;

/// The fewest generated pairs beside the real ones.
const LEAST_PAIRS: usize = 8;

/// A training step takes about three times as long as a forward pass.
const PASSES_OF_A_STEP: f64 = 3.0;

/// Files of a plan.
const PLAN: &str = "boost.json";
const CROSSVAL: &str = "crossval.toml";
const GENERATOR: &str = "generator.toml";

/// The files of a plan that say what is done, and may be edited.
const CONFIGURATIONS: [&str; 2] = [CROSSVAL, GENERATOR];

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of real images and masks.
    pub data: PathBuf,
    /// The hours that everything may take on this machine; not needed with a plan.
    pub hours: Option<f64>,
    /// Height and width of the pictures, instead of those that suit the data and the time.
    pub size: Option<usize>,
    /// The folder `plan` of another boost, to follow the same plan.
    pub plan: Option<PathBuf>,
    /// The folder to write; what is finished in it is kept.
    pub out: PathBuf,
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Segmenters of real pairs alone.
    RealSegmenters,
    /// Generators and their pairs.
    Generators,
    /// Choosing pairs, and their agreement.
    Curation,
    /// Segmenters of real and generated pairs.
    PairSegmenters,
}

impl Part {
    /// All parts in their order.
    pub const ALL: [Self; 4] = [Self::RealSegmenters, Self::Generators, Self::Curation, Self::PairSegmenters];

    /// The part in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::RealSegmenters => "segmenters of real pairs",
            Self::Generators => "generators and their pairs",
            Self::Curation => "choosing pairs, agreement",
            Self::PairSegmenters => "segmenters of real and generated pairs",
        }
    }
}

/// What was found when a plan was made, and does not follow from its configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// That the data name no patients, if so.
    pub patients: Option<String>,
    /// Why generated pictures will not be as they should be, if so.
    pub pictures: Option<String>,
    /// SHA-256 of what the cross-validation's and the generator's configuration say; none for a plan that was written by hand.
    pub sha256: Option<[String; 2]>,
}

/// What a boost will do, beside the configurations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The program that planned.
    pub program: String,
    /// The hours that were given.
    pub hours: f64,
    /// Folds that are computed, of those of the cross-validation.
    pub folds: usize,
    /// Seconds of each part in the order of [`Part::ALL`], if no segmenter ends before its last step.
    pub seconds: [f64; 4],
    /// Patients or groups of the first fold: training, validating and testing.
    pub patients: [usize; 3],
    /// The true difference in Dice that the comparison finds with a power of 80 %, if Dice varies as on LGG; none if it gives no interval.
    pub detectable: Option<f64>,
    /// What was found when it was made.
    #[serde(default)]
    pub findings: Findings,
    /// The cross-validation.
    #[serde(skip)]
    pub crossval: CrossvalFile,
    /// The generator's configuration.
    #[serde(skip)]
    pub generator: String,
}

impl Plan {
    /// Looks at the data, measures the machine, and decides. Writes nothing but prepared pairs to the cache.
    ///
    /// # Errors
    /// When the data cannot be read, have too few patients for folds, or no training fits into the memory.
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
        Ok(Self::of(hours, &recipe, &measured, design))
    }

    fn of(hours: f64, recipe: &Recipe, measured: &Segmenter, design: Design) -> Self {
        let (folds, curate) = (design.folds as f64, CurateConfig::default());
        let a_pair =
            recipe.config.sample.num_inference_steps as f64 * forward_seconds(&recipe.config, &recipe.networks);
        let fit = PAIRS * 3600.0 * hours / folds / a_pair.max(1e-9) * curate.keep;
        let count = (fit as usize).min(measured.split.training.len()).max(LEAST_PAIRS);
        let candidates = curate.candidates(count) as f64;
        let segmenter = design.steps as f64 * measured.costs.step
            + (design.steps / design.validate_every.max(1)) as f64 * measured.costs.validation;
        let judged = 2.0 * candidates * measured.picture;
        let seconds = [
            design.segmenters() as f64 * segmenter,
            folds * (3600.0 * recipe.hours + candidates * a_pair),
            design.segmenters() as f64 * judged,
            2.0 * design.segmenters() as f64 * segmenter,
        ];
        let crossval = crossval_file(measured, design, count);
        let split = &measured.split;
        let patients = [split.training_groups, split.validation_groups, split.test_groups];
        let detectable = design.expected(split.test_groups).map(|found| found.detectable);
        let findings = Findings { patients: measured.no_patients.clone(), pictures: recipe.warning(), sha256: None };
        let mut plan = Self {
            program: program(),
            hours,
            folds: design.folds,
            seconds,
            patients,
            detectable,
            findings,
            crossval,
            generator: recipe.text.clone(),
        };
        plan.findings.sha256 = Some(plan.sha256());
        plan
    }

    /// Reads a plan from its folder.
    ///
    /// # Errors
    /// When a file is missing or cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let text = |name: &str| {
            let path = folder.join(name);
            pig_files::read_to_string(&path).map_err(Error::io(&path, "read"))
        };
        let bad = |name: &str, problem: String| Error::BadFile {
            path: folder.join(name),
            problem,
            advice: "restore the folder of the plan, or begin with another --out",
        };
        let own: Self = serde_json::from_str(&text(PLAN)?).map_err(|error| bad(PLAN, error.to_string()))?;
        let crossval: CrossvalFile =
            toml::from_str(&text(CROSSVAL)?).map_err(|error| bad(CROSSVAL, error.to_string()))?;
        let folds = crossval.crossval.folds;
        if !(1..=folds).contains(&own.folds) {
            return Err(bad(PLAN, format!("folds = {}; expected 1 to crossval.folds = {folds}", own.folds)));
        }
        Ok(Self { crossval, generator: text(GENERATOR)?, ..own })
    }

    /// Writes the plan into a new folder, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        pig_files::create_folder(folder, |folder| -> Result<()> {
            pig_files::write(&folder.join(GENERATOR), self.generator.as_bytes())?;
            pig_files::write(&folder.join(CROSSVAL), self.crossval.to_toml().as_bytes())?;
            Ok(pig_files::write_json(&folder.join(PLAN), self)?)
        })
    }

    /// What the configurations say, in the order of [`CONFIGURATIONS`]: their keys and values, without comments. Defaults are not filled in
    /// for the generator, whose section `[data]` leaves to the cross-validation what it does not say. A text that is no TOML, which is refused
    /// where it is used, stands for itself.
    fn contents(&self) -> [String; 2] {
        let table = toml::from_str::<toml::Table>(&self.generator);
        [self.crossval.to_toml(), table.map_or_else(|_| self.generator.clone(), |table| table.to_string())]
    }

    /// SHA-256 of what the configurations say.
    fn sha256(&self) -> [String; 2] {
        self.contents().map(|text| pig_files::sha256(text.as_bytes()))
    }

    /// The configurations that were edited after the plan was made.
    fn edited(&self) -> Vec<&'static str> {
        let Some(planned) = &self.findings.sha256 else { return Vec::new() };
        let all = CONFIGURATIONS.into_iter().zip(planned.iter().zip(self.sha256()));
        all.filter(|(_, (planned, now))| *planned != now).map(|(name, _)| name).collect()
    }

    /// The file in which another plan says that something else is done; none if both do the same.
    pub(super) fn differing(&self, other: &Self) -> Option<&'static str> {
        let ([crossval, generator], others) = (self.contents(), other.contents());
        let is_other = [crossval != others[0], generator != others[1], self.folds != other.folds];
        let names = CONFIGURATIONS.into_iter().chain([PLAN]);
        names.zip(is_other).find(|(_, is_other)| *is_other).map(|(name, _)| name)
    }

    /// What the user should know before it begins, by the configurations as they are now. What was forecast says nothing of configurations
    /// that were edited after it: then it is left out, and that is said.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.findings.patients.iter().cloned().collect();
        let reasons = no_verdict(&self.crossval);
        warnings.extend(reasons.into_iter().map(|reason| format!("there will be no verdict: {reason}")));
        let edited = self.edited();
        if !edited.is_empty() {
            warnings.push(format!(
                "{} changed after the plan was made: the times, the numbers of patients and the gain that could be detected are those of the \
                 plan before, and whether the generator is shown images enough is not known",
                edited.join(" and ")
            ));
            return warnings;
        }
        warnings.extend(self.findings.pictures.clone());
        if let Some(points) = self.detectable.map(|share| 100.0 * share).filter(|&points| points > LARGE) {
            warnings.push(format!(
                "a gain of less than about {points:.1} points of Dice would not be found: give more patients, or more hours"
            ));
        }
        if self.total() > 3600.0 * self.hours {
            warnings.push(format!(
                "the forecast, about {}, is longer than the {} hours given ({}): give more --hours, or a smaller --size",
                hours_words(self.total()),
                self.hours,
                hours_words(3600.0 * self.hours)
            ));
        }
        warnings
    }

    /// All seconds of the forecast.
    pub fn total(&self) -> f64 {
        self.seconds.iter().sum()
    }

    /// The number of generated pairs beside the real ones.
    pub fn pairs(&self) -> usize {
        let counts = self.crossval.crossval.arms.first().and_then(|arm| arm.add.first());
        counts.map_or(0, |count| count.of(self.patients[0]))
    }
}

/// A detectable difference in points above which a plan warns: most gains that were reported are smaller.
const LARGE: f64 = 5.0;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [training, validating, testing] = self.patients;
        let (config, [height, width]) = (&self.crossval.crossval, self.crossval.data.size);
        writeln!(
            f,
            "{height} x {width}; {} of {} folds, each with {training} patients or groups that train, {validating} that validate and {testing} that test",
            self.folds, config.folds
        )?;
        writeln!(
            f,
            "{} generated pairs, out of {} that are made; {} segmenters of each training set in a fold, of at most {} steps",
            self.pairs(),
            config.curate.candidates(self.pairs()),
            config.segmenter_seeds.len(),
            self.crossval.segment.train.steps
        )?;
        for (part, seconds) in Part::ALL.into_iter().zip(self.seconds) {
            writeln!(f, "  {:<40} about {}", part.words(), hours_words(seconds))?;
        }
        writeln!(
            f,
            "  {:<40} about {} of {} hours, less where segmenters end early",
            "together",
            hours_words(self.total()),
            self.hours
        )?;
        match self.detectable {
            Some(share) => writeln!(
                f,
                "it could detect a gain of {:.1} points of Dice (power 80 %, at 5 %, uncorrected), if Dice varies as on LGG",
                100.0 * share
            )?,
            None => {
                writeln!(f, "it could detect nothing: an interval needs two patients that test, and two segmenters")?;
            }
        }
        self.warnings().iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

/// A time in hours or minutes.
pub(super) fn hours_words(seconds: f64) -> String {
    if seconds >= 5400.0 { format!("{:.1} h", seconds / 3600.0) } else { format!("{:.1} min", seconds / 60.0) }
}

/// The generator's plan, if so many folds share its hours.
fn generator(request: &Request, hours: f64, folds: usize, device: &Device, observer: &dyn Observer) -> Result<Recipe> {
    let share = GENERATORS * hours / folds as f64;
    let asked = recipe::Request { data: request.data.clone(), unlabelled: None, hours: share, size: request.size };
    recipe(&asked, device, &Quiet(observer))
}

/// What was measured of segmenters, on the first fold.
struct Segmenter {
    data: DataConfig,
    split: Splits,
    /// That the data name no patients, if so.
    no_patients: Option<String>,
    costs: Costs,
    /// Seconds of a picture's prediction.
    picture: f64,
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
        let no_patients = dataset.group_source.patients_warning().or_else(|| dataset.split_warning());
        let folds = crossval_folds(&dataset, FOLDS, VALIDATING, CrossvalConfig::default().seed)?;
        let training = folds.iter().map(|fold| fold.training.len()).max().unwrap_or(0);
        let Some(split) = folds.into_iter().next() else {
            return Err(Error::TooLittle { found: "no fold".to_owned(), expected: "at least one fold" });
        };
        let file = SegmentFile { data: data.clone(), segment: good()?.segment };
        let real = RunData::with_splits(&request.data, &data, split.clone(), &quiet)?;
        let (is_one, classes) = (!real.preparation.config.has_several_classes(), real.preparation.config.class_words());
        let expected = "one class: pig boost does not know several yet; data.mask_values makes them one";
        require(is_one, "data.classes", classes, expected)?;
        let none = pairs::none(&real.set);
        let file = SegmentFile { data: real.preparation.config.clone(), ..file };
        let out = request.out.join("run-that-is-not-written");
        let step = seconds_a_step(&file, &SegmentData::with(&real, &none), &out, device)?;
        let batch_size = file.segment.train.batch_size;
        let picture = step / batch_size as f64 / PASSES_OF_A_STEP;
        let validation = picture * split.validation.len() as f64;
        let costs = Costs { step, validation, least: least_steps(training, batch_size) };
        Ok(Self { data, split, no_patients, costs, picture })
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

fn crossval_file(measured: &Segmenter, design: Design, count: usize) -> CrossvalFile {
    // The preset was read when the segmenter was measured.
    let mut segment = good().unwrap_or_default().segment;
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
