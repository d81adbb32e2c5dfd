//! `pig train --resume RUN --steps N`: a finished run that is trained longer: each further training is a leg, in which the learning rate warms up again.

use crate::{
    Config, Error, Result,
    checkpoint::Store,
    config::require,
    matched,
    run_dir::{CONFIG, Leg, RunDir, config_sha256, now},
};
use std::collections::BTreeMap;

/// The steps at which the legs of a network begin, the first at 0.
pub(crate) fn starts(run: &RunDir, network: &str) -> Result<Vec<usize>> {
    let legs = run.provenance()?.legs;
    Ok(std::iter::once(0).chain(legs.iter().filter_map(|leg| leg.from.get(network).copied())).collect())
}

/// The step at which the leg began that has step `step`, of those that begin at `starts`. A leg begins where the one before ended.
pub(crate) fn start_of(starts: &[usize], step: usize) -> usize {
    starts.iter().copied().filter(|&start| start <= step).max().unwrap_or(0)
}

/// Lets a finished run be trained to `steps` optimiser steps: `train.steps` becomes this number, and the numbers of single networks, such as
/// `train.model_x_steps`, grow by the same factor. Returns what a user should know; nothing if the run has this number of steps and is not
/// finished, so that it only goes on.
///
/// The configuration and its hash in provenance.json change one after the other. If the system stops in between, the leg has not begun, and
/// the run is as it was.
///
/// # Errors
/// When a network is not finished, or `steps` is not more than it has.
pub(crate) fn begin(run: &RunDir, steps: usize) -> Result<Option<String>> {
    let config = run.config()?;
    let mut from = BTreeMap::new();
    for role in config.trained_roles() {
        let store = Store::new(run.path(), role.name());
        if steps == config.train.steps && !store.exists()? {
            return Ok(None);
        }
        let state = store.load_last()?.state;
        let done = state.step;
        if done < config.steps(role) && !state.has_ended {
            if steps == config.train.steps {
                return Ok(None);
            }
            return Err(Error::BadFile {
                path: run.path().to_owned(),
                problem: format!("{} has {done} of its {} steps", role.name(), config.steps(role)),
                advice: "finish the run first: the same command without --steps",
            });
        }
        from.insert(role.name().to_owned(), done);
    }
    require(steps > config.train.steps, "--steps", steps, &format!("more than its {} steps", config.train.steps))?;
    let longer = longer(&config, steps);
    longer.check()?;
    let (mut provenance, text) = (run.provenance()?, longer.to_toml());
    let before = run.config_sha256()?;
    // A leg that was recorded and never began.
    provenance.legs.retain(|leg| leg.config_sha256 != before);
    provenance.config_sha256 = config_sha256(&text);
    provenance.legs.push(Leg { started: now(), from, config_sha256: before });
    run.replace_provenance(&provenance)?;
    matched::forget(run)?;
    pig_files::write(&run.path().join(CONFIG), text.as_bytes())?;
    let each = longer.trained_roles().map(|role| format!("{} to {} steps", role.name(), longer.steps(role)));
    Ok(Some(format!("trains {}; the learning rate warms up again", each.collect::<Vec<_>>().join(", "))))
}

fn longer(config: &Config, steps: usize) -> Config {
    let mut longer = config.clone();
    let factor = steps as f64 / config.train.steps.max(1) as f64;
    let train = &mut longer.train;
    train.steps = steps;
    for own in [&mut train.model_x_steps, &mut train.base_steps, &mut train.autoencoder_steps].into_iter().flatten() {
        *own = (*own as f64 * factor).round() as usize;
    }
    longer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;

    #[test]
    fn all_networks_grow_by_one_factor() {
        let train = TrainConfig { steps: 300, model_x_steps: Some(150), warmup_steps: 20, ..TrainConfig::default() };
        let config = Config { train, ..Config::default() };
        let longer = longer(&config, 900).train;
        assert_eq!((longer.steps, longer.model_x_steps, longer.warmup_steps), (900, Some(450), 20));
        assert_eq!(
            [0, 299, 300, 899, 900, 5000].map(|step| start_of(&[0, 300, 900], step)),
            [0, 0, 300, 300, 900, 900]
        );
    }
}
