//! Pairs of further folders, which are trained on and never validated: images with pseudo-masks, another data set, generated pairs.

use crate::{
    Config, Error, Result,
    observer::{Observer, note},
    run_data::{RunData, discover_unsplit, prepared},
    run_dir::RunDir,
    unlabelled::{group_column, warn_of_patients},
};
use pig_data::{DataConfig, Dataset, Preparation, PreparedSet, class_source::for_folder, unlabelled::HeldOut};
use std::path::{Path, PathBuf};

/// The file that says where this machine keeps the further folders of a run. It is not part of the description of the run.
const PATHS: &str = "added-paths.json";

/// The column of a manifest that only generated pairs have.
const GENERATED: &str = "model_hash";

/// Finds the pairs of further folders, and refuses those of validating and testing patients. `dataset` has all pairs of the data folder.
/// Masks have two values, whatever those of the data folder have, or are cut at `data.mask_threshold`.
///
/// # Errors
/// When a folder holds no pairs, or shows what the split holds out.
pub fn find(
    folders: &[PathBuf],
    config: &Config,
    dataset: &Dataset,
    held_out: &HeldOut<'_>,
    observer: &dyn Observer,
) -> Result<Vec<Dataset>> {
    let column = group_column(config, dataset);
    let of = |folder: &PathBuf| {
        let found = discover_unsplit(folder, &with_two_values(&config.data, column, folder)?, observer)?;
        check(&found, held_out, observer)?;
        Ok(found)
    };
    folders.iter().map(of).collect()
}

/// Refuses pairs of validating and testing patients, and warns if it is not known of which patients the pairs are.
///
/// # Errors
/// When a pair shows what the split holds out, with the list.
pub fn check(found: &Dataset, held_out: &HeldOut<'_>, observer: &dyn Observer) -> Result<()> {
    held_out.check(found)?;
    warn_of_patients(found, held_out, observer);
    Ok(())
}

/// Whether the manifest of a folder says that its pairs were generated.
pub fn are_generated(found: &Dataset) -> bool {
    found.columns.iter().any(|column| column == GENERATED)
}

/// How the pictures of a further folder are read: as those of `config`, with masks of two values, with the threshold of gray ones, or with the
/// same classes; `data.class_column` counts if the folder's table has it. `column` names the patients.
///
/// # Errors
/// When the folder's table is damaged.
pub fn with_two_values(config: &DataConfig, column: Option<&str>, folder: &Path) -> Result<DataConfig> {
    let config = for_folder(config, folder)?;
    Ok(DataConfig { mask_values: None, group_column: column.map(str::to_owned), ..config })
}

/// How the pairs of a further folder are prepared: as those of the data, whose preparation is `own`; generated ones as what they are.
///
/// # Errors
/// When the folder's table is damaged.
pub fn preparation(found: &Dataset, own: &Preparation) -> Result<Preparation> {
    if are_generated(found) {
        return Ok(own.of_generated());
    }
    Ok(Preparation { config: with_two_values(&own.config, None, &found.root)?, ..own.clone() })
}

/// Prepares the pairs of further folders as those of the run; generated ones as what they are.
///
/// # Errors
/// When a pair cannot be read.
pub fn load(found: &[Dataset], run_data: &RunData, observer: &dyn Observer) -> Result<Option<PreparedSet>> {
    let mut all = None::<PreparedSet>;
    for (index, dataset) in found.iter().enumerate() {
        let mut set = prepared(dataset, &|_| true, &preparation(dataset, &run_data.preparation)?, observer)?;
        for id in &mut set.ids {
            *id = format!("added-{index}/{id}");
        }
        match &mut all {
            Some(all) => all.append(&set),
            None => all = Some(set),
        }
    }
    if let Some(all) = &all {
        let real = run_data.splits.training.len();
        note(observer, format!("trains on {} pairs of further folders beside {real} pairs", all.len()));
    }
    Ok(all)
}

/// Records where this machine keeps the further folders of a run.
pub fn remember(run: &RunDir, folders: &[PathBuf]) -> Result<()> {
    let absolute = |folder: &PathBuf| std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
    let paths: Vec<PathBuf> = folders.iter().map(absolute).collect();
    Ok(pig_files::write_json(&run.path().join(PATHS), &paths)?)
}

/// The further folders of a run on this machine.
///
/// # Errors
/// When the run does not say where they are.
pub fn remembered(run: &RunDir) -> Result<Vec<PathBuf>> {
    let bytes = pig_files::read(run.path().join(PATHS)).map_err(|error| bad(run, error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(run, error.to_string()))
}

fn bad(run: &RunDir, problem: String) -> Error {
    Error::BadFile {
        path: run.path().join(PATHS),
        problem,
        advice: "the run needs the folders of --add that it was started with; write their paths into this file as a JSON list",
    }
}

/// The pairs of further folders of a run that continues. They must be the same.
///
/// # Errors
/// When they are not where they were, or have changed.
pub fn of_run(
    config: &Config,
    run: &RunDir,
    run_data: &RunData,
    observer: &dyn Observer,
) -> Result<Option<PreparedSet>> {
    let Some(expected) = run.provenance()?.added_sha256 else { return Ok(None) };
    let folders = remembered(run)?;
    let discover = |folder: &PathBuf| -> Result<Dataset> {
        let column = group_column(config, &run_data.dataset);
        let config = with_two_values(&run_data.preparation.config, column, folder)?;
        discover_unsplit(folder, &config, observer).map_err(|error| bad(run, error.to_string()))
    };
    // Patients were checked when the run began.
    let found: Vec<Dataset> = folders.iter().map(discover).collect::<Result<_>>()?;
    let set = load(&found, run_data, observer)?;
    let found = set.as_ref().map(PreparedSet::sha256).transpose()?.unwrap_or_default();
    if found != expected {
        return Err(Error::Mismatch {
            what: "the SHA-256 of the pairs of --add in provenance.json",
            found,
            expected,
            advice: "they have changed since the run was started; start a new run with another --out",
        });
    }
    Ok(set)
}
