//! The data of one fold: read once for all its pieces, the test patients only when a segmenter is finished.

use crate::crossval::open::Crossval;
use pig_data::{PreparedSet, Splits};
use pig_train::{
    Result,
    observer::{Observer, Silent},
    run_data::RunData,
};
use std::cell::OnceCell;

/// One fold, with the pairs that train and validate in it.
#[derive(Debug)]
pub(super) struct FoldData<'a> {
    /// The whole.
    pub(super) crossval: &'a Crossval,
    /// Which fold, from 0.
    pub(super) number: usize,
    /// Who trains, validates and tests.
    pub(super) splits: &'a Splits,
    /// The pairs that train and validate.
    pub(super) real: RunData,
    test: OnceCell<PreparedSet>,
}

impl<'a> FoldData<'a> {
    /// Reads the pairs that train and validate.
    pub(super) fn read(crossval: &'a Crossval, number: usize, observer: &dyn Observer) -> Result<Self> {
        let splits = &crossval.folds[number];
        let real = RunData::split(&crossval.data, &crossval.file.data, |_| Ok(splits.clone()), observer)?;
        Ok(Self { crossval, number, splits, real, test: OnceCell::new() })
    }

    /// The pairs of the test patients.
    pub(super) fn test(&self) -> Result<&PreparedSet> {
        if let Some(test) = self.test.get() {
            return Ok(test);
        }
        let test = self.real.test(&self.crossval.dataset, &Silent)?;
        Ok(self.test.get_or_init(|| test))
    }
}
