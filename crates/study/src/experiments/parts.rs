//! The cross-validations that an experiment consists of.

use crate::{
    crossval::{Crossval, CrossvalFile},
    experiments::{
        low_data,
        study::{Experiment, Study},
        table2,
    },
};
use pig_train::{Result, observer::Observer};

impl Study {
    /// The cross-validations that the experiment consists of, each with its folder; none for the experiments that are not
    /// cross-validations.
    pub fn crossvals(&self, observer: &dyn Observer) -> Result<Vec<Crossval>> {
        match self.request.experiment {
            Experiment::Table2 => Ok(vec![table2::open(self, observer)?]),
            Experiment::LowData => low_data::open(self, observer),
            Experiment::Table1 | Experiment::Fig3 => Ok(Vec::new()),
        }
    }

    /// The experiment's cross-validation with its arms, made without reading data or folder; none for the experiments that are not
    /// cross-validations.
    pub fn arms(&self) -> Result<Option<CrossvalFile>> {
        let arms = match self.request.experiment {
            Experiment::Table2 => table2::arms(self, None)?,
            Experiment::LowData => low_data::arms(self, None)?,
            Experiment::Table1 | Experiment::Fig3 => return Ok(None),
        };
        Ok(Some(self.loaded.crossval(arms)))
    }
}
