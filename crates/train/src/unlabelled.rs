//! Images without masks beside the pairs of a training.

use crate::{
    Config, Error, Result,
    config::{Unlabelled, word},
    observer::{Observer, note, warn},
    role::Role,
    run_data::{RunData, prepared},
    run_dir::{RunDir, remember_unlabelled, remembered_unlabelled},
};
use pig_data::{
    Dataset, PreparedSet, Splits,
    unlabelled::{Compared, HeldOut},
};
use std::path::{Path, PathBuf};

/// The folders of a training.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Images with masks.
    pub data: &'a Path,
    /// Images without masks; none unless `train.unlabelled = "folder"`.
    pub unlabelled: Option<&'a Path>,
    /// Further folders of pairs, which are trained on and never validated.
    pub added: &'a [PathBuf],
}

impl<'a> Folders<'a> {
    /// Pairs alone.
    pub fn pairs(data: &'a Path) -> Self {
        Self { data, unlabelled: None, added: &[] }
    }
}

/// Finds the images without masks that `train.unlabelled` asks for, and refuses those of validating and testing patients. `dataset` has all
/// pairs of the data folder.
///
/// # Errors
/// When the folder is missing or not asked for, holds no image, or shows what the split holds out.
pub fn find(
    config: &Config,
    folders: Folders<'_>,
    (dataset, splits): (&Dataset, &Splits),
    held_out: &HeldOut<'_>,
    observer: &dyn Observer,
) -> Result<Option<Dataset>> {
    let images = match (config.train.unlabelled, folders.unlabelled) {
        (Unlabelled::None, None) => return Ok(None),
        (Unlabelled::Folder, Some(folder)) => Dataset::of_images(folder, group_column(config, dataset))?,
        (Unlabelled::Rest, None) => dataset.images_of(&splits.unused),
        (asked, folder) => {
            let folder = folder.map_or("no folder".to_owned(), |folder| folder.display().to_string());
            return Err(Error::Setting {
                key: "train.unlabelled".to_owned(),
                found: format!("{:?}, with {folder}", word(&asked)),
                expected: "\"folder\" with pig train --unlabelled DIR, and another value without it".to_owned(),
            });
        }
    };
    if images.is_empty() {
        return Err(Error::TooLittle {
            found: "the split leaves out no pair".to_owned(),
            expected: "pairs beyond the share that trains, or another value of train.unlabelled than \"rest\"",
        });
    }
    let in_training = held_out.check(&images)?;
    tell(config, &images, in_training, held_out, observer);
    Ok(Some(images))
}

/// The column of the patients or groups of images without masks, if those of the pairs are known.
pub(crate) fn group_column<'a>(config: &'a Config, dataset: &Dataset) -> Option<&'a str> {
    config.data.group_column.as_deref().filter(|_| dataset.names_groups())
}

fn tell(config: &Config, images: &Dataset, in_training: usize, held_out: &HeldOut<'_>, observer: &dyn Observer) {
    let share = 100.0 * config.train.unlabelled_share;
    let also = if in_training == 0 { String::new() } else { format!("; {in_training} of them have masks, too") };
    note(
        observer,
        format!(
            "{}: {} images without masks{also}; they are {share:.0} % of the samples of {}",
            images.root.display(),
            images.len(),
            takers(config).join(" and "),
        ),
    );
    for warning in images.remarks() {
        warn(observer, warning.to_owned());
    }
    warn_of_patients(images, held_out, observer);
    let is_conditioned = config.trained_roles().any(|role| role.takes_unlabelled() && role != Role::Unconditional);
    if is_conditioned && config.method.is_mask_conditioned() && config.train.condition_dropout == 0.0 {
        let text = "train.condition_dropout is 0: only images without masks have the null condition, so it stands for where they come \
                    from; with 0.1, sample.guidance_scale can be used";
        warn(observer, text.to_owned());
    }
}

/// Warns if it is not known whether further images show held-out patients.
pub(crate) fn warn_of_patients(images: &Dataset, held_out: &HeldOut<'_>, observer: &dyn Observer) {
    let compared = held_out.compares(images);
    if compared < Compared::ByPatients {
        let text = format!(
            "{}: patients are not named in both folders (manifest.csv): a further image of a validating or testing patient is noticed only \
             if it has the same pixels as one of this patient's images{}",
            images.root.display(),
            if compared == Compared::ByGroups { ", or is in the same group" } else { "" }
        );
        warn(observer, text);
    }
}

/// The networks that learn from images without masks.
fn takers(config: &Config) -> Vec<&'static str> {
    config.trained_roles().filter(|role| role.takes_unlabelled()).map(Role::name).collect()
}

/// Prepares images without masks as the pairs are prepared.
///
/// # Errors
/// When an image cannot be read.
pub fn load(images: Option<Dataset>, run_data: &RunData, observer: &dyn Observer) -> Result<Option<PreparedSet>> {
    images.map(|images| prepared(&images, &|_| true, &run_data.preparation, observer)).transpose()
}

/// The images without masks of a run that continues, from `folder` or else from where they were when it began. They must be the same.
///
/// # Errors
/// When they are not where they were, or have changed.
pub fn of_run(
    config: &Config,
    run: &RunDir,
    (data, folder): (Option<&Path>, Option<&Path>),
    run_data: &RunData,
    observer: &dyn Observer,
) -> Result<Option<PreparedSet>> {
    if let Some(folder) = folder.filter(|_| config.train.unlabelled != Unlabelled::Folder) {
        return Err(Error::Setting {
            key: "--unlabelled".to_owned(),
            found: folder.display().to_string(),
            expected: "no such flag: this run was started without a folder of images without masks".to_owned(),
        });
    }
    let images = match config.train.unlabelled {
        Unlabelled::None => None,
        Unlabelled::Folder => {
            let place = folder.map_or_else(|| remembered_unlabelled(run), |folder| Ok(folder.to_owned()))?;
            // Patients were checked when the run began.
            Some(Dataset::of_images(&place, group_column(config, &run_data.dataset))?)
        }
        Unlabelled::Rest => {
            let root = data.unwrap_or(&run_data.dataset.root);
            Some(Dataset::discover(root, &run_data.preparation.config)?.images_of(&run_data.splits.unused))
        }
    };
    let Some(set) = load(images, run_data, observer)? else { return Ok(None) };
    let (found, expected) = (set.sha256()?, run.provenance()?.unlabelled.map(|known| known.sha256));
    if expected.as_ref() != Some(&found) {
        return Err(Error::Mismatch {
            what: "the prepared images without masks' SHA-256 in provenance.json",
            found,
            expected: expected.unwrap_or_else(|| "none".to_owned()),
            advice: "images have changed since the run was started; start a new run with another --out",
        });
    }
    if let Some(folder) = folder {
        remember_unlabelled(run, folder)?;
    }
    Ok(Some(set))
}
