//! `train.init`: a training that starts from the weights of another run, or of a model from elsewhere.

use crate::{
    Config, Error, Result,
    checkpoint::Store,
    config::{PreconditioningConfig, require, word},
    imported::Model,
    model_card::further_words,
    observer::{Observer, note, warn},
    role::Role,
    run_dir::RunDir,
};
use burn::module::Module;
use pig_data::Splits;
use pig_nn::parameters;
use pig_weights::StateDict;
use std::{collections::BTreeSet, path::Path};

/// How many pairs a message names.
const NAMED: usize = 5;

/// The networks whose weights can start that of `role`, the nearest first. Networks of images differ in their inputs alone.
fn sources(role: Role) -> &'static [Role] {
    match role {
        Role::ModelY => &[Role::ModelY, Role::SegGuided, Role::Unconditional],
        Role::SegGuided => &[Role::SegGuided, Role::ModelY, Role::Unconditional],
        Role::Unconditional => &[Role::Unconditional, Role::SegGuided, Role::ModelY],
        Role::ModelX => &[Role::ModelX],
        Role::Joint => &[Role::Joint],
        Role::Control => &[Role::Control],
        Role::Autoencoder => &[Role::Autoencoder],
        Role::Latent => &[Role::Latent],
    }
}

/// Refuses a `train.init` that is neither a run nor a model.
///
/// # Errors
/// When neither is at this path.
pub(crate) fn check_there(config: &Config) -> Result<()> {
    let Some(init) = &config.train.init else { return Ok(()) };
    let is_there = RunDir::open(init).is_ok() || Model::is_imported(init);
    require(is_there, "train.init", init.display(), "the folder of a run, or of a model from `pig weights import`")
}

/// Refuses a `train.init` of which no array fits `network`, which has the role `role`, before any network is trained.
///
/// # Errors
/// When the weights cannot be read, or none of them fits.
pub(crate) fn check<M: Module>(network: &M, config: &Config, role: Role) -> Result<()> {
    let Some(init) = &config.train.init else { return Ok(()) };
    let Some((_, theirs)) = weights(init, role)? else { return Ok(()) };
    let arrays = parameters::export(network);
    let fits = arrays.iter().any(|(name, array)| theirs.get(name).is_some_and(|other| other.shape == array.shape));
    require_one(fits, init, role)
}

fn require_one(fits: bool, init: &Path, role: Role) -> Result<()> {
    let expected = format!("a run or a model with arrays of the names and shapes of {}; none fits", role.name());
    require(fits, "train.init", init.display(), &expected)
}

/// The network of `role` with the arrays of `train.init` that have its names and shapes; the others stay as they are and are listed. Without
/// the key, or where the other run has no such network, the network stays as it is.
///
/// # Errors
/// When the weights cannot be read, or none of them fits.
pub fn begun<M: Module>(network: M, config: &Config, role: Role, observer: &dyn Observer) -> Result<M> {
    let Some(init) = &config.train.init else { return Ok(network) };
    let Some((name, theirs)) = weights(init, role)? else {
        warn(
            observer,
            format!("{}: {} has no network like it, so it starts from random weights", role.name(), init.display()),
        );
        return Ok(network);
    };
    let mut arrays = parameters::export(&network);
    let (mut taken, mut new) = (0, Vec::new());
    for (name, array) in &mut arrays {
        match theirs.get(name) {
            Some(other) if other.shape == array.shape => {
                array.values.clone_from(&other.values);
                taken += 1;
            }
            _ => new.push(format!("{name} {:?}", array.shape)),
        }
    }
    require_one(taken > 0, init, role)?;
    let count = arrays.len();
    let rest =
        if new.is_empty() { String::new() } else { format!("; these start from random weights: {}", new.join(", ")) };
    let text =
        format!("{}: {taken} of {count} arrays start as those of {name} in {}{rest}", role.name(), init.display());
    // Networks of other widths share few arrays, and little is learned from these.
    if 2 * taken < count {
        warn(observer, text);
    } else {
        note(observer, text);
    }
    parameters::import(network, &arrays).map_err(|source| Error::Architecture { path: init.clone(), source })
}

/// The averaged weights that can start the network of `role`, and the name of their network.
fn weights(init: &Path, role: Role) -> Result<Option<(String, StateDict)>> {
    if RunDir::open(init).is_err() {
        let model = Model::open(init, None)?;
        return Ok(Some((model.description.kind.word().to_owned(), model.arrays)));
    }
    let trained = RunDir::open_verified(init)?.config()?;
    let source = sources(role).iter().find(|&&source| trained.trained_roles().any(|role| role == source));
    let Some(source) = source else { return Ok(None) };
    let (_, averaged, _) = Store::new(init, source.name()).load_ema()?;
    Ok(Some((source.name().to_owned(), averaged)))
}

/// The preconditioning of a training: with `train.init`, that of the run which it starts from, since its weights expect these strengths. Where
/// its networks had another number of channels, the first and last convolutions start anew, and so do these strengths.
///
/// # Errors
/// When the run's configuration cannot be read, or only one of the two scales its networks.
pub(crate) fn preconditioning(config: &Config, observer: &dyn Observer) -> Result<PreconditioningConfig> {
    let own = &config.preconditioning;
    let Some(run) = config.train.init.as_ref().and_then(|init| RunDir::open(init).ok()) else { return Ok(own.clone()) };
    let theirs = run.config()?.preconditioning;
    let (kind, other) = (word(&own.kind), word(&theirs.kind));
    let expected = format!("{other:?}, as in train.init = {}", run.path().display());
    require(kind == other, "preconditioning.kind", format!("{kind:?}"), &expected)?;
    let bands = config.trained_space().bands();
    let taken = |key: &str, own: &Vec<f64>, theirs: Vec<f64>, channels: usize| {
        let (found, needed) = (theirs.len(), bands * channels);
        if found == 0 || found == needed {
            return theirs;
        }
        let run = run.path().display();
        note(
            observer,
            format!("{key}: train.init = {run} has {found} strengths, and {needed} are needed: they are not taken"),
        );
        own.clone()
    };
    Ok(PreconditioningConfig {
        kind: own.kind,
        mask_strength: taken(
            "preconditioning.mask_strength",
            &own.mask_strength,
            theirs.mask_strength,
            config.data.mask_channels(),
        ),
        image_strength: taken(
            "preconditioning.image_strength",
            &own.image_strength,
            theirs.image_strength,
            config.data.channels.count(),
        ),
    })
}

/// Refuses a start from a run that was trained on pairs of the test set, and warns of pairs that are for validation now.
///
/// # Errors
/// When the run's split cannot be read, or names a pair of the test set for training or validation.
pub fn check_split(config: &Config, splits: &Splits, observer: &dyn Observer) -> Result<()> {
    let Some(init) = &config.train.init else { return Ok(()) };
    let Ok(run) = RunDir::open(init) else {
        let where_from = "the patients of its training are not known, so nothing shows that it saw none of the validation or test set";
        warn(observer, format!("train.init = {}: {where_from}", init.display()));
        return Ok(());
    };
    if let Some(words) = run.provenance().ok().and_then(|from| further_words(&from)) {
        let unknown = "Whether these show validating or testing patients is not known";
        warn(observer, format!("train.init = {}: {words} {unknown}", init.display()));
    }
    let known = run.splits()?;
    let seen: BTreeSet<&String> = known.training.iter().chain(&known.validation).collect();
    let both = |ids: &[String]| -> Vec<String> { ids.iter().filter(|id| seen.contains(id)).cloned().collect() };
    let tested = both(&splits.test);
    if !tested.is_empty() {
        return Err(Error::Setting {
            key: "train.init".to_owned(),
            found: init.display().to_string(),
            expected: format!(
                "a run that never saw the test set; it was trained on {} of its pairs, such as {}",
                tested.len(),
                tested[..tested.len().min(NAMED)].join(", ")
            ),
        });
    }
    let validated = splits.validation.iter().filter(|id| known.training.contains(id)).count();
    if validated > 0 {
        warn(
            observer,
            format!(
                "train.init = {}: it was trained on {validated} of {} pairs that are for validation now, so validation losses are too low",
                init.display(),
                splits.validation.len()
            ),
        );
    }
    Ok(())
}
