//! The training folder that a boost advises: the generated pairs alone, and joined with the real ones.

use crate::crossval::{Crossval, Variant};
use pig_data::Dataset;
use pig_export::{ExportError, Format, Request as Export, export};
use pig_quality::curate::write_pairs;
use pig_train::{
    Error, Result,
    observer::{Observer, warn},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// The folder of the generated pairs in a boost's folder.
const PAIRS: &str = "pairs";

/// The folder of real and generated pairs.
const BEST: &str = "best";

/// The fold whose generator made the pairs.
const FOLD: usize = 0;

/// What was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// The folder of the generated pairs.
    pub pairs: PathBuf,
    /// The number of generated pairs.
    pub generated: usize,
    /// The folder of real and generated pairs, with the number of real pairs; none if they cannot be joined.
    pub joined: Option<(PathBuf, usize)>,
    /// Why they cannot be joined.
    pub problem: Option<String>,
}

/// Writes the pairs of a training set of fold 0, and joins them with the real pairs of the patients that train and validate there. Test
/// patients are left out, so that they stay unseen. What is there already is kept.
///
/// # Errors
/// When pairs cannot be read or written. If real and generated pairs cannot be joined in one folder, the result says why.
pub fn write_best(
    crossval: &Crossval,
    variant: Variant,
    [data, out]: [&Path; 2],
    observer: &dyn Observer,
) -> Result<Best> {
    let (from, ids, scored) = crossval.training_pairs(FOLD, variant, observer)?;
    let pairs = out.join(PAIRS);
    if !pairs.exists() {
        let found = Dataset::discover(&from, &pig_data::DataConfig { group_column: None, ..Default::default() })?;
        let by_id: BTreeMap<&str, _> = scored.iter().map(|pair| (pair.id.as_str(), pair)).collect();
        pig_files::create_folder(&pairs, |folder| write_pairs(&found, &ids, Some(&by_id), folder))?;
    }
    let best = out.join(BEST);
    let splits = &crossval.folds[FOLD];
    let real: Vec<&String> = splits.training.iter().chain(&splits.validation).collect();
    let generated = ids.len();
    if !best.exists() {
        let request = Export {
            real: Some(data.to_owned()),
            real_ids: Some(real.iter().map(|&id| id.clone()).collect()),
            data: crossval.file.data.clone(),
            ..Export::new(pairs.clone(), best.clone(), Format::Png)
        };
        match export(&request, &|_, _| ControlFlow::Continue(())) {
            Ok(_) => {}
            Err(ExportError::Io { path, action, source }) => return Err(Error::Io { path, action, source }),
            Err(error) => {
                let problem = error.to_string();
                warn(observer, format!("real and generated pairs were not joined in one folder: {problem}"));
                return Ok(Best { pairs, generated, joined: None, problem: Some(problem) });
            }
        }
    }
    Ok(Best { pairs, generated, joined: Some((best, real.len())), problem: None })
}
