//! Chooses the pairs for validation: those of real patients, never generated pairs.

use std::collections::{BTreeSet, HashSet};

use pig_data::{Dataset, Layout, PairEntry, Splits, k_folds};

use crate::error::Result;
use crate::job::Job;
use crate::pair::Origin;

/// One division of the pairs, as indices into the export.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) training: Vec<usize>,
    pub(crate) validation: Vec<usize>,
}

/// The folds by patient over the real pairs, with every generated pair in training. If the request names a run's
/// `splits.json`, the split in that file is the only fold. With fewer than two real patients there are no folds, and a
/// warning says so.
pub(crate) fn folds(job: &mut Job<'_>) -> Result<Vec<Fold>> {
    let real: Vec<PairEntry> = job
        .pairs
        .list
        .iter()
        .filter(|pair| pair.origin == Origin::Real)
        .map(|pair| PairEntry {
            id: pair.source_id.clone(),
            image: pair.image.clone(),
            mask: Some(pair.mask.clone()),
            group: pair.group.clone(),
        })
        .collect();
    let groups = real.iter().map(|entry| entry.group.as_str()).collect::<BTreeSet<_>>().len();
    let root = job.request.real.clone().unwrap_or_else(|| job.request.pairs.clone());
    let group_source = job.pairs.group_source.clone();
    let dataset = Dataset {
        root,
        layout: Layout::Manifest,
        pairs: real,
        group_source,
        parts: None,
        left_out: None,
        warnings: Vec::new(),
        columns: Vec::new(),
    };
    let splits = match &job.request.splits {
        Some(path) => {
            let splits = Splits::load(path)?;
            splits.check(&dataset)?;
            vec![splits]
        }
        None if groups < 2 => {
            job.pairs.warnings.push(format!(
                "{groups} real patient(s) or group(s), too few for a validation part, so no split is written. A tool that \
                 makes its own split would validate on generated pairs; add real pairs with --real."
            ));
            return Ok(Vec::new());
        }
        None => k_folds(&dataset, job.request.folds.min(groups), job.request.seed)?,
    };
    job.pairs.warnings.append(&mut job.pairs.split_warnings);
    if job.count(Origin::Generated) > 0 && job.request.splits.is_none() {
        job.pairs.warnings.push(
            "Validation is valid only if the generator was not trained on the validation patients: if these pairs come \
             from a run that trained on the same real data, give the run's split with --splits RUN/splits.json."
                .to_owned(),
        );
    }
    Ok(splits.iter().map(|splits| fold(job, splits)).collect())
}

fn fold(job: &Job<'_>, splits: &Splits) -> Fold {
    let held_out: HashSet<&str> = splits.validation.iter().map(String::as_str).collect();
    let validates = |index: &usize| {
        let pair = job.pair(*index);
        pair.origin == Origin::Real && held_out.contains(pair.source_id.as_str())
    };
    let (validation, training) = (0..job.len()).partition(validates);
    Fold { training, validation }
}
