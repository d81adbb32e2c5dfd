//! Whether added pairs were made by the generator whose split a segmenter follows.

use burn::tensor::Device;
use pig_data::{Splits, manifest::Manifest, write::keyword};
use pig_train::{
    Config, Result,
    loaded::LoadedRun,
    model_card::start_words,
    observer::{Observer, note, warn},
    run_dir::RunDir,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The generator whose split a segmenter follows.
struct Generator {
    /// The hash of its networks.
    model: String,
    /// Where its weights come from beside its own training, in a clause, if they do.
    start: Option<String>,
    /// Whether it is known that none of them saw patients who validate or test.
    is_unseen: bool,
}

/// Says of each folder of pairs whether they were made by the run in the folder of `path`, from which the split was read, and where that run's
/// weights come from. Pairs state their model and no patients, so nothing is known of the patients that another model saw.
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
    let own = path.parent().map_or(Ok(None), |run| generator_of(run, splits, device));
    for folder in folders {
        let models = models(folder)?;
        let unknown = match &own {
            Ok(Some(own)) if models.iter().eq([&own.model]) => {
                tell_own(folder, own, observer);
                continue;
            }
            _ if models.is_empty() => "no manifest.csv states their model (model_hash)".to_owned(),
            Ok(Some(own)) => {
                let named = |model: &String| if model.is_empty() { "none".to_owned() } else { model.clone() };
                let models: Vec<String> = models.iter().map(named).collect();
                format!("their model is {}, that of the run {}", models.join(", "), own.model)
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

/// Says what the generator of the split, which made the pairs of a folder, has seen.
fn tell_own(folder: &Path, own: &Generator, observer: &dyn Observer) {
    let made = format!("{}: made by the generator of this split", folder.display());
    let unseen = "which did not train on the patients that validate or test";
    match &own.start {
        None => note(observer, format!("{made}, {unseen}")),
        Some(start) if own.is_unseen => note(observer, format!("{made}, {unseen}; {start}, whose split is the same")),
        Some(start) => warn(
            observer,
            format!(
                "{made}, but {start}: whether that saw patients who validate or test is not known; if it did, results on these are too good"
            ),
        ),
    }
}

/// The generator of a run, if it was trained with this split.
fn generator_of(run: &Path, splits: &Splits, device: &Device) -> Result<Option<Generator>> {
    let LoadedRun { run, config, model_hash: model, .. } = LoadedRun::open(run, &[], device)?;
    if run.splits()?.sha256 != splits.sha256 {
        return Ok(None);
    }
    Ok(Some(Generator { model, start: start_words(&config), is_unseen: is_unseen(&config, splits) }))
}

/// Whether it is known that no weights of a run with this split saw what the split holds out: they began at random, or as those of a run with
/// the same split which began so.
fn is_unseen(config: &Config, splits: &Splits) -> bool {
    let is_alike = |start: &PathBuf| -> Result<bool> {
        let run = RunDir::open(start)?;
        Ok(run.splits()?.sha256 == splits.sha256 && start_words(&run.config()?).is_none())
    };
    // A run that cannot be read says nothing.
    let start = config.train.init.as_ref();
    config.model_y.frozen.model.is_none() && start.is_none_or(|start| is_alike(start).unwrap_or(false))
}

/// The models that the pairs of a folder state; an empty one for pairs that state none.
fn models(folder: &Path) -> Result<BTreeSet<String>> {
    let Some(manifest) = Manifest::in_folder(folder)? else { return Ok(BTreeSet::new()) };
    let Some(column) = manifest.column_once(keyword::MODEL_HASH)? else { return Ok(BTreeSet::new()) };
    Ok(manifest.rows().map(|row| row.get(column).to_owned()).collect())
}
