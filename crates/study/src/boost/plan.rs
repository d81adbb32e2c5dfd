//! What a boost will do: found once, written into its folder, and followed whenever it goes on.

use super::{
    forecast::{Forecast, Part},
    speed::Speeds,
};
use crate::crossval::{CrossvalFile, variants, verdict::no_verdict};
use pig_train::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// Files of a plan.
const PLAN: &str = "boost.json";
const CROSSVAL: &str = "crossval.toml";
pub(super) const GENERATOR: &str = "generator.toml";

/// The files of a plan that say what is done, and may be edited.
/// Lists of `crossval.toml` that came after the first plans, and are empty in them.
const LATER: [&str; 2] = ["generator_seeds", "placebo"];

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

/// What was found when a plan was made, and does not follow from its configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// That the data name no patients, if so.
    pub patients: Option<String>,
    /// Why generated pictures will not be as they should be, if so.
    pub pictures: Option<String>,
    /// Training pairs of the first fold that hold each class, if masks tell several classes apart.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, usize>,
    /// SHA-256 of what the cross-validation's and the generator's configuration say; none for a plan that was written by hand.
    pub sha256: Option<[String; 2]>,
    /// The number of computed folds to which the forecast belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// Patients or groups that test in the computed folds, and how many of them have no picture with a lesion as prepared; none in plans of
    /// earlier versions, which counted all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested: Option<[usize; 2]>,
    /// How the forecast was made again after the plan was edited, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
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
    /// Real training pairs of the first fold; none in plans of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_pairs: Option<usize>,
    /// What was measured for the forecast; none in plans of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speeds: Option<Speeds>,
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
    /// Reads a plan from its folder. Its forecast is that of its last [`planned`](super::planned), also if its files were edited since.
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
        let generators = &crossval.crossval.generator_seeds;
        if generators.len() > 1 {
            let problem = format!(
                "crossval.generator_seeds = {generators:?}; expected at most one, since a boost advises the pairs of one generator; \
                 pig crossval takes several"
            );
            return Err(bad(CROSSVAL, problem));
        }
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
            self.write_forecast(folder)
        })
    }

    /// Writes the forecast of a plan that was edited in its own folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write_forecast(&self, folder: &Path) -> Result<()> {
        Ok(pig_files::write_json(&folder.join(PLAN), self)?)
    }

    /// Takes over a forecast of the configurations as they are, and what was measured for it.
    pub(super) fn set_forecast(&mut self, forecast: Forecast, speeds: Speeds) {
        let Forecast { seconds, patients, tested, training_pairs, detectable } = forecast;
        (self.seconds, self.patients, self.detectable) = (seconds, patients, detectable);
        (self.training_pairs, self.speeds) = (Some(training_pairs), Some(speeds));
        self.findings.sha256 = Some(self.sha256());
        self.findings.folds = Some(self.folds);
        self.findings.tested = Some(tested);
    }

    /// What the configurations say, in the order of [`CONFIGURATIONS`]: their keys and values, without comments. Defaults are not filled in
    /// for the generator, whose section `[data]` leaves to the cross-validation what it does not say. A text that is no TOML, which is refused
    /// where it is used, stands for itself.
    fn contents(&self) -> [String; 2] {
        let table = toml::from_str::<toml::Table>(&self.generator);
        // Keys that came later leave the hash of an older plan as it was.
        let crossval =
            LATER.iter().fold(self.crossval.to_toml(), |text, key| text.replace(&format!("{key} = []\n"), ""));
        [crossval, table.map_or_else(|_| self.generator.clone(), |table| table.to_string())]
    }

    /// SHA-256 of what the configurations say.
    fn sha256(&self) -> [String; 2] {
        self.contents().map(|text| pig_files::sha256(text.as_bytes()))
    }

    /// The files that were edited after the forecast was made: the configurations, and the number of computed folds.
    pub(super) fn edited(&self) -> Vec<&'static str> {
        let Some(planned) = &self.findings.sha256 else { return Vec::new() };
        let all = CONFIGURATIONS.into_iter().zip(planned.iter().zip(self.sha256()));
        let edited = all.filter(|(_, (planned, now))| *planned != now).map(|(name, _)| name);
        let folds = self.findings.folds.filter(|&folds| folds != self.folds).map(|_| PLAN);
        edited.chain(folds).collect()
    }

    /// The file in which another plan says that something else is done; none if both do the same.
    pub(super) fn differing(&self, other: &Self) -> Option<&'static str> {
        let ([crossval, generator], others) = (self.contents(), other.contents());
        let is_other = [crossval != others[0], generator != others[1], self.folds != other.folds];
        let names = CONFIGURATIONS.into_iter().chain([PLAN]);
        names.zip(is_other).find(|(_, is_other)| *is_other).map(|(name, _)| name)
    }

    /// What the user should know before it begins.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.findings.patients.iter().cloned().collect();
        let reasons = no_verdict(&self.crossval);
        warnings.extend(reasons.into_iter().map(|reason| format!("there will be no verdict: {reason}")));
        if self.detectable.is_none() {
            warnings
                .push(format!("there will be no verdict: {INTERVAL}; give more patients, or more folds or segmenters"));
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

    /// How many of the patients that test have no lesion, so that Dice and what could be detected are of the others; none if all have one.
    pub(super) fn without_lesion(&self) -> Option<String> {
        let [all, without] = self.findings.tested.filter(|&[_, without]| without > 0)?;
        Some(format!(
            "{without} of the {all} patients or groups that test have no picture with a lesion: Dice, and the gain that could be detected, are of the other {}",
            all - without
        ))
    }

    /// The classes with the training pairs that hold them, and what Dice is then; none if lesions are one.
    fn class_words(&self) -> Option<String> {
        let classes = &self.findings.classes;
        let pairs = self.training_pairs.map_or(String::new(), |pairs| format!("{pairs} "));
        let of = |(name, count): (&String, &usize)| format!("{name} {count}");
        let list: Vec<String> = classes.iter().map(of).collect();
        (!list.is_empty()).then(|| {
            format!(
                "classes, with how many of the first fold's {pairs}training pairs hold them: {}; Dice is the mean over classes",
                list.join(", ")
            )
        })
    }
}

/// What an interval of the difference in Dice needs.
const INTERVAL: &str =
    "an interval needs two patients that test and have pictures with a lesion, and two segmenters of each training set";

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
        self.class_words().iter().try_for_each(|words| writeln!(f, "{words}"))?;
        let sets = variants(&self.crossval);
        for (number, arm) in config.arms.iter().enumerate() {
            let own = sets.iter().filter(|variant| variant.arm() == Some(number));
            let labels: Vec<String> = own.map(|variant| variant.label(&self.crossval)).collect();
            let pairs = self.crossval.pairs_of(arm, self.training_pairs.unwrap_or(training));
            writeln!(f, "{}: {pairs} generated pairs in a fold, for {}", arm.name, labels.join(", "))?;
        }
        writeln!(
            f,
            "{} segmenters of each training set in a fold, of at most {} steps",
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
                writeln!(f, "it could detect nothing: {INTERVAL}")?;
            }
        }
        self.without_lesion().iter().try_for_each(|words| writeln!(f, "{words}"))?;
        self.findings.again.iter().try_for_each(|words| writeln!(f, "note: {words}"))?;
        self.warnings().iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

/// A time in hours or minutes.
pub(super) fn hours_words(seconds: f64) -> String {
    if seconds >= 5400.0 { format!("{:.1} h", seconds / 3600.0) } else { format!("{:.1} min", seconds / 60.0) }
}
