//! The data of one fold. Training and validation pairs are read once for all pieces; test pairs are read only when a segmenter is trained
//! and can be measured.

use crate::crossval::{open::Crossval, piece::fold_folder};
use pig_data::{PreparedSet, Splits};
use pig_train::{
    Error, Result,
    observer::{Observer, Quiet},
    run_data::RunData,
};
use std::{cell::OnceCell, io, path::Path};

/// The SHA-256 of a fold's training and validation pairs as they are prepared, and of its test pairs, in the fold's folder.
const PAIRS_SHA256: &str = "pairs.sha256";
const TEST_SHA256: &str = "test.sha256";

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
    /// Reads the training and validation pairs. Refuses pairs that have changed since earlier pieces of the fold.
    pub(super) fn read(crossval: &'a Crossval, number: usize, observer: &dyn Observer) -> Result<Self> {
        let splits = &crossval.folds[number];
        let real = RunData::with_splits(&crossval.data, &crossval.file.data, splits.clone(), observer)?;
        keep_pairs(&crossval.out, number, PAIRS_SHA256, &real.set)?;
        Ok(Self { crossval, number, splits, real, test: OnceCell::new() })
    }

    /// The pairs of the test patients, unless they have changed. `observer` is told nothing.
    pub(super) fn test(&self, observer: &dyn Observer) -> Result<&PreparedSet> {
        if let Some(test) = self.test.get() {
            return Ok(test);
        }
        let test = self.real.test(&self.crossval.dataset, &Quiet(observer))?;
        keep_pairs(&self.crossval.out, self.number, TEST_SHA256, &test)?;
        Ok(self.test.get_or_init(|| test))
    }
}

/// Keeps the SHA-256 of pairs in the fold's folder, or refuses pairs with another one: a table must not be made of two states of the data,
/// and neither split nor settings tell whether an image or a mask was changed.
fn keep_pairs(out: &Path, number: usize, name: &str, pairs: &PreparedSet) -> Result<()> {
    let (path, found) = (fold_folder(out, number).join(name), pairs.sha256()?);
    match pig_files::read_to_string(&path) {
        Ok(expected) if expected.trim() == found => Ok(()),
        Ok(expected) => Err(Error::BadFile {
            path,
            problem: format!(
                "holds the SHA-256 {} of the fold's pairs, but those of --data have {found}",
                expected.trim()
            ),
            advice: "images or masks have changed since the first pieces of this fold were done: go back to what they were, or choose another --out",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(pig_files::write(&path, format!("{found}\n").as_bytes())?)
        }
        Err(error) => Err(Error::io(&path, "read")(error)),
    }
}
