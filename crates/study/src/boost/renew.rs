//! The forecast of a plan that was edited, or is followed on other data: of its files and of the data as they are. Networks that the edit left as
//! they were keep the speed that was measured for the plan, and the others are measured.

use super::{
    PLAN,
    forecast::{Forecast, Generator},
    make::{no_patients, no_run, pairs_by_class, tested},
    plan::{Plan, Request},
    speed::{GeneratorSpeed, SegmenterSpeed, Speeds},
};
use crate::{
    crossval::{ArmConfig, CrossvalFile},
    recipe::too_few_images,
};
use burn::tensor::Device;
use pig_data::{Preparation, Splits};
use pig_train::{
    Config, Error, Result,
    observer::{Observer, Quiet, note},
    run_data::{RunData, discover_folds, with_channels},
    run_dir::RunDir,
};
use std::path::Path;

/// Which speeds an edited plan kept, and which were measured, in words.
#[derive(Default)]
struct Told {
    kept: Vec<String>,
    measured: Vec<String>,
}

impl Told {
    fn add(&mut self, what: String, is_kept: bool) {
        if is_kept { self.kept.push(what) } else { self.measured.push(what) }
    }

    /// What became of the forecast of a plan whose files `edited` were edited.
    fn words(&self, edited: &[&str]) -> String {
        let list = |what: &str, names: &[String]| {
            if names.is_empty() { String::new() } else { format!("; {what}: {}", names.join(", ")) }
        };
        format!(
            "{} changed after the plan was made, so the forecast was made again{}{}",
            edited.join(" and "),
            list("seconds a step were kept of", &self.kept),
            list(
                "seconds a step were measured on this machine, for other networks, sizes, batches, devices or threads, of",
                &self.measured
            )
        )
    }
}

impl Plan {
    /// Whether the forecast is bound to data: a plan that was written by hand keeps what it states.
    fn is_of_data(&self) -> bool {
        self.training_pairs.is_some() && self.findings.sha256.is_some()
    }

    /// Whether the data with this first fold have other numbers of patients or pairs than those for which the forecast was made.
    fn is_of_other_data(&self, first: &Splits) -> bool {
        let patients = [first.training_groups, first.validation_groups, first.test_groups];
        (patients, Some(first.training.len())) != (self.patients, self.training_pairs)
    }

    /// The plan in `folder` with a forecast of its files as they are: the same plan, unless they were edited after its forecast was made, or a
    /// new boost follows it on other data. Writes nothing but prepared pairs to the cache.
    ///
    /// # Errors
    /// When the edited files are wrong or do not fit the data, a fold has no training pair of a class, or no training fits into the memory.
    pub(super) fn with_own_forecast(
        mut self,
        folder: &Path,
        request: &Request,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut edited = self.edited();
        // The folds of a boost that was begun refuse other data.
        let may_have_other_data = folder != request.out.join(PLAN) && self.is_of_data();
        if edited.is_empty() && !may_have_other_data {
            return Ok(self);
        }
        let quiet = Quiet(observer);
        let mut file = self.crossval.clone();
        file.check()?;
        let dataset = discover_folds(&request.data, &file.data, &quiet)?;
        let all = file.folds(&dataset)?;
        let folds = &all[..self.folds.min(all.len())];
        let Some(first) = folds.first() else {
            return Err(Error::TooLittle { found: "no fold".to_owned(), expected: "at least one fold" });
        };
        if edited.is_empty() && self.is_of_other_data(first) {
            edited.push("the data");
        }
        if edited.is_empty() {
            return Ok(self);
        }
        note(observer, format!("{} changed after the plan was made: making the forecast again", edited.join(" and ")));
        // As in the cross-validation, all pieces have the channels and classes that the whole data decide.
        file.data = with_channels(&dataset, &file.data, &quiet)?;
        file.check_drawn(&all)?;

        let (known, mut told) = (self.speeds.take(), Told::default());
        let own = file.segmenter(0);
        let key = SegmenterSpeed::key(&own, device);
        let kept = known.as_ref().map(|known| &known.segmenter).filter(|speed| speed.sha256 == key);
        told.add("the segmenter".to_owned(), kept.is_some());
        let segmenter = if let Some(speed) = kept {
            speed.clone()
        } else {
            let real = RunData::with_splits(&request.data, &own.data, first.clone(), &quiet)?;
            SegmenterSpeed::measure(&own, &real, &no_run(request), device)?
        };
        let before = known.map_or(Vec::new(), |known| known.generators);
        let (mut speeds, mut generators): (Vec<GeneratorSpeed>, Vec<Generator>) = (Vec::new(), Vec::new());
        let pairs = first.training.len() + first.validation.len();
        for arm in &file.crossval.arms {
            let config = config_of(&file, arm, folder)?;
            let key = GeneratorSpeed::key(&config, device);
            let is_known = |speed: &&GeneratorSpeed| speed.is_of(&key);
            let kept = before.iter().find(is_known).cloned();
            told.add(format!("the generator of {:?}", arm.name), kept.is_some());
            // Two arms may have the same networks.
            let speed = match kept.or_else(|| speeds.iter().find(is_known).cloned()) {
                Some(speed) => speed,
                None => {
                    GeneratorSpeed::measure(&config, (request.data.as_path(), pairs), &no_run(request), device, &quiet)?
                }
            };
            if !speeds.contains(&speed) {
                speeds.push(speed.clone());
            }
            generators.push(Generator { config, speed });
        }

        let preparation = Preparation::fit(&dataset, &first.training, &file.data)?;
        let tested = tested(&dataset, folds, &preparation, &quiet)?;
        let forecast = Forecast::of(&file, folds, tested, &segmenter, &generators)?;
        self.findings.patients = no_patients(&dataset);
        self.findings.classes = pairs_by_class(&request.data, &file.data, folds, &quiet)?;
        self.findings.pictures = pictures(&file, &generators);
        self.findings.again = Some(told.words(&edited));
        self.set_forecast(forecast, Speeds { segmenter, generators: speeds });
        Ok(self)
    }
}

/// The configuration of the generator of an arm: that which its first run has, or that which will be trained, with the classes of `file`.
fn config_of(file: &CrossvalFile, arm: &ArmConfig, folder: &Path) -> Result<Config> {
    if let Some(runs) = &arm.runs {
        return RunDir::open(&folder.join(file.crossval.run(runs, 0, 0)))?.config();
    }
    let mut config = file.generator(arm, folder)?;
    if config.data.may_find_classes() {
        config.data.classes.clone_from(&file.data.classes);
        config.data.classes_overlap = file.data.classes_overlap;
    }
    Ok(config)
}

/// Which generators are shown too few images, if any. Those that were trained elsewhere are as they are.
fn pictures(file: &CrossvalFile, generators: &[Generator]) -> Option<String> {
    let arms = file.crossval.arms.iter().zip(generators).filter(|(arm, _)| arm.runs.is_none());
    let short = arms.filter_map(|(arm, Generator { config, .. })| {
        let images = config.train.steps * config.train.images_in_step();
        let words = too_few_images(images, config.data.size[0])?;
        Some(format!("{:?}: {words}: raise train.steps", arm.name))
    });
    let short: Vec<String> = short.collect();
    (!short.is_empty()).then(|| short.join("; "))
}
