//! The data of one fold. Training and validation pairs are read once for all pieces; test pairs are read only when a segmenter is trained
//! and can be measured.

use crate::crossval::open::Crossval;
use pig_data::{PreparedSet, Splits};
use pig_train::{
    Result,
    observer::{Observer, Quiet},
    run_data::RunData,
};
use std::cell::OnceCell;

/// One fold, with its training and validation pairs.
#[derive(Debug)]
pub(super) struct FoldData<'a> {
    /// The cross-validation.
    pub(super) crossval: &'a Crossval,
    /// Number of the fold, from 0.
    pub(super) number: usize,
    /// The fold's split into training, validation and test cases.
    pub(super) splits: &'a Splits,
    /// The training and validation pairs.
    pub(super) real: RunData,
    test: OnceCell<PreparedSet>,
}

impl<'a> FoldData<'a> {
    /// Reads the training and validation pairs.
    pub(super) fn read(crossval: &'a Crossval, number: usize, observer: &dyn Observer) -> Result<Self> {
        let splits = &crossval.folds[number];
        let real = RunData::with_splits(&crossval.data, &crossval.file.data, splits.clone(), observer)?;
        Ok(Self { crossval, number, splits, real, test: OnceCell::new() })
    }

    /// The pairs of the test patients. `observer` is told nothing.
    pub(super) fn test(&self, observer: &dyn Observer) -> Result<&PreparedSet> {
        if let Some(test) = self.test.get() {
            return Ok(test);
        }
        let test = self.real.test(&self.crossval.dataset, &Quiet(observer))?;
        Ok(self.test.get_or_init(|| test))
    }
}
