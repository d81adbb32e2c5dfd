//! Whether added pairs were made by the generator whose split a segmenter follows.

use burn::tensor::Device;
use pig_data::{Splits, manifest::Manifest, write::keyword};
use pig_train::{
    Result,
    loaded::LoadedRun,
    observer::{Observer, note, warn},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Says of each folder of pairs whether they were made by the run in the folder of `path`, from which the split was read. Pairs state their
/// model and no patients, so nothing is known of the patients that another model saw.
///
/// # Errors
/// When a manifest cannot be read.
pub(crate) fn tell(
    folders: &[PathBuf],
    (path, splits): (&Path, &Splits),
    device: &Device,
    observer: &dyn Observer,
) -> Result<()> {
    if folders.is_empty() {
        return Ok(());
    }
    let own = path.parent().map_or(Ok(None), |run| model_of(run, splits, device));
    for folder in folders {
        let models = models(folder)?;
        let unknown = match &own {
            Ok(Some(own)) if models.iter().eq([own]) => {
                let text =
                    "made by the generator of this split, which did not train on the patients that validate or test";
                note(observer, format!("{}: {text}", folder.display()));
                continue;
            }
            _ if models.is_empty() => "no manifest.csv states their model (model_hash)".to_owned(),
            Ok(Some(own)) => {
                let named = |model: &String| if model.is_empty() { "none".to_owned() } else { model.clone() };
                let models: Vec<String> = models.iter().map(named).collect();
                format!("their model is {}, that of the run {own}", models.join(", "))
            }
            Ok(None) => "the run beside it has another split".to_owned(),
            Err(error) => format!("no generator can be read beside it: {error}"),
        };
        warn(
            observer,
            format!(
                "{}: whether the generator of {} made these pairs is not known ({unknown}); if another one did that saw patients who \
                 validate or test, results on these are too good",
                folder.display(),
                path.display()
            ),
        );
    }
    Ok(())
}

/// The hash of the networks of a generator's run, if they were trained with this split.
fn model_of(run: &Path, splits: &Splits, device: &Device) -> Result<Option<String>> {
    let loaded = LoadedRun::open(run, &[], device)?;
    let is_same = loaded.run.splits()?.sha256 == splits.sha256;
    Ok(is_same.then_some(loaded.model_hash))
}

/// The models that the pairs of a folder state; an empty one for pairs that state none.
fn models(folder: &Path) -> Result<BTreeSet<String>> {
    let Some(manifest) = Manifest::in_folder(folder)? else { return Ok(BTreeSet::new()) };
    let Some(column) = manifest.column_once(keyword::MODEL_HASH)? else { return Ok(BTreeSet::new()) };
    Ok(manifest.rows().map(|row| row.get(column).to_owned()).collect())
}
