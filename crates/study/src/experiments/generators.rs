//! Generators of one fold, for experiments that are not cross-validations. They are trained on the fold's training patients, or taken from
//! the folder of another experiment that trained the same generators.

use crate::{
    crossval::{
        generator::{check_unseen, train_generator},
        open::keep_fold,
        piece::{GENERATORS, RUN, fold_folder, seed_folder},
    },
    experiments::study::Study,
};
use burn::tensor::Device;
use pig_data::{Dataset, PreparedSet, Splits};
use pig_train::{
    Config, Error, Result,
    checkpoint::Store,
    config::require,
    generation::{Request, generate},
    observer::{Observer, Outcome, note},
    role::Role,
    run_data::RunData,
    run_dir::RunDir,
};
use std::path::{Path, PathBuf};

/// One fold of an experiment.
pub(super) struct Fold<'s> {
    pub(super) study: &'s Study,
    pub(super) number: usize,
    pub(super) splits: Splits,
    folds: Vec<Splits>,
}

impl<'s> Fold<'s> {
    /// Creates the fold's folder, or checks that the existing one holds the same split.
    pub(super) fn open(study: &'s Study, number: usize) -> Result<Self> {
        let seeds = &study.loaded.file.crossval.generator_seeds;
        require(
            seeds.is_empty(),
            "crossval.generator_seeds",
            format!("{seeds:?}"),
            "an empty list: this experiment trains one generator of each kind",
        )?;
        let folds = study.folds()?;
        let Some(splits) = folds.get(number).cloned() else {
            return Err(Error::Setting {
                key: "--fold".to_owned(),
                found: number.to_string(),
                expected: format!("0 to {}", folds.len() - 1),
            });
        };
        keep_fold(&study.request.out, number, &splits)?;
        Ok(Self { study, number, splits, folds })
    }

    /// A folder of this fold.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        fold_folder(&self.study.request.out, self.number).join(name)
    }

    /// The run of a generator. If no finished one can be reused, it is trained here to the end.
    pub(super) fn generator(&self, name: &str, device: &Device, observer: &dyn Observer) -> Result<(Outcome, PathBuf)> {
        let request = &self.study.request;
        let config = self.study.loaded.config(name, &request.out, self.study.steps(name, &self.folds)?)?;
        let known = |other: &PathBuf| known_runs(other, self.number, name, config.train.seed);
        let mut known = request.reuse.iter().flat_map(known);
        if let Some(run) = known.find(|run| is_the_same(run, &config, &self.splits)) {
            note(observer, format!("{name}: using the finished run {}", run.display()));
            return Ok((Outcome::Finished, run));
        }
        let run = generator_run(&request.out, self.number, name);
        note(observer, format!("fold {}: {name}", self.number));
        let folder = self.folder(GENERATORS).join(name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        Ok((train_generator(&config, &request.data, &self.splits, &run, device, observer)?, run))
    }

    /// Samples `count` images of a run, with the settings `sets`, into the fold's folder `images/NAME`.
    pub(super) fn images(
        &self,
        (name, run, sets): (&str, &Path, &[String]),
        count: usize,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<(Outcome, PathBuf)> {
        let out = self.folder("images").join(name);
        let seeds: Vec<u64> = (0..count as u64).collect();
        let data = Some(self.study.request.data.clone());
        let request = Request { sets: sets.to_vec(), data, ..Request::new(run, &out, &seeds) };
        Ok((generate(&request, device, observer)?.outcome, out))
    }

    /// The training and validation pairs with their preparation, and the test pairs.
    pub(super) fn data(&self, observer: &dyn Observer) -> Result<(RunData, PreparedSet)> {
        let (data, config) = (&self.study.request.data, &self.study.loaded.file.data);
        let real = RunData::split(data, config, |_| Ok(self.splits.clone()), observer)?;
        let test = real.test(&Dataset::discover(data, config)?, observer)?;
        Ok((real, test))
    }
}

/// The path of a generator's run in the folder `out` of an experiment, or of a cross-validation with one generator of each arm.
fn generator_run(out: &Path, fold: usize, name: &str) -> PathBuf {
    fold_folder(out, fold).join(GENERATORS).join(name).join(RUN)
}

/// The paths at which a generator with this seed may lie in the folder of an experiment, or of a cross-validation with one or several
/// generators of each arm.
fn known_runs(out: &Path, fold: usize, name: &str, seed: u64) -> [PathBuf; 2] {
    [generator_run(out, fold, name), generator_run(out, fold, &format!("{name}/{}", seed_folder(seed)))]
}

/// Whether a run was trained with `config` on `splits` to its end.
fn is_the_same(run: &Path, config: &Config, splits: &Splits) -> bool {
    let Ok(found) = RunDir::open(run) else { return false };
    let same = found.config().is_ok_and(|found| config.gives(&found)) && check_unseen(&found, splits).is_ok();
    let is_finished =
        |role: Role| Store::new(run, role.name()).load_ema().is_ok_and(|(state, ..)| state.step >= config.steps(role));
    same && config.trained_roles().all(is_finished)
}
