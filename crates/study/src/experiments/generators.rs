//! Generators of one fold, for experiments that are no cross-validation: trained on the fold's training patients, or taken from another
//! experiment's folder that trained the same.

use crate::{
    crossval::{
        generator::{check_unseen, train_generator},
        open::keep_fold,
        piece::{RUN, fold_folder},
    },
    experiments::study::Study,
};
use burn::tensor::Device;
use pig_data::{Dataset, PreparedSet, Splits};
use pig_train::{
    Config, Error, Result,
    checkpoint::Store,
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
    /// Makes the fold's folder, or checks that it is this fold's.
    pub(super) fn open(study: &'s Study, number: usize) -> Result<Self> {
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

    /// The run of a generator, trained to its end here where no finished one is found.
    pub(super) fn generator(&self, name: &str, device: &Device, observer: &dyn Observer) -> Result<(Outcome, PathBuf)> {
        let request = &self.study.request;
        let config = self.study.loaded.config(name, &request.out, self.study.steps(name, &self.folds)?)?;
        if let Some(run) = request.reuse.as_deref().map(|other| generator_run(other, self.number, name))
            && is_the_same(&run, &config, &self.splits)
        {
            note(observer, format!("{name}: {} is used", run.display()));
            return Ok((Outcome::Finished, run));
        }
        let run = generator_run(&request.out, self.number, name);
        note(observer, format!("fold {}: {name}", self.number));
        let folder = self.folder("generators").join(name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        Ok((train_generator(&config, &request.data, &self.splits, &run, device, observer)?, run))
    }

    /// Samples of a run under `sets` in the fold's folder `images/NAME`.
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

    /// The pairs that train and validate, with how they were prepared, and those of the test patients.
    pub(super) fn data(&self, observer: &dyn Observer) -> Result<(RunData, PreparedSet)> {
        let (data, config) = (&self.study.request.data, &self.study.loaded.file.data);
        let real = RunData::split(data, config, |_| Ok(self.splits.clone()), observer)?;
        let test = real.test(&Dataset::discover(data, config)?, observer)?;
        Ok((real, test))
    }
}

/// Where an experiment or a cross-validation in `out` keeps a generator's run.
fn generator_run(out: &Path, fold: usize, name: &str) -> PathBuf {
    fold_folder(out, fold).join("generators").join(name).join(RUN)
}

/// Whether a run is that of `config` on `splits`, trained to its end.
fn is_the_same(run: &Path, config: &Config, splits: &Splits) -> bool {
    let Ok(found) = RunDir::open(run) else { return false };
    let same = found.config().is_ok_and(|found| found == *config) && check_unseen(&found, splits).is_ok();
    let is_finished =
        |role: Role| Store::new(run, role.name()).load_ema().is_ok_and(|(state, ..)| state.step >= config.steps(role));
    same && config.trained_roles().all(is_finished)
}
