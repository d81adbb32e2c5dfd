//! What every generated file says about its origin.

use crate::{
    Result, arrays::InitialNoise, by_class::ClassShares, given::GivenSet, loaded::LoadedRun, run_dir::program,
};
use pig_data::write::Stamp;
use pig_files::sha256;
use serde_json::{Value, json};

/// The settings that [`stamp`] leaves out of the hash, as `SampleConfig::deciding` does.
const BESIDE: &[&str] = &["sample.batch_size", "sample.agreement_background"];

/// What every file of this request says about its origin; `wanted` are the shares of classes by which so many pairs are chosen.
pub(crate) fn stamp(
    loaded: &LoadedRun,
    given: &GivenSet,
    initial: Option<&InitialNoise>,
    (shares, pairs): (&ClassShares, usize),
) -> Result<Stamp> {
    let (given, noise, method) = (given.sha256()?, initial.map(InitialNoise::sha256), loaded.config.method.word());
    let sample = &loaded.config.sample;
    let describe = |settings: Value| {
        let mut parts = json!({ "method": method, "sample": settings, "given": given, "initial_noise": noise });
        if !shares.is_empty() {
            parts["chosen"] = json!({ "shares": shares, "pairs": pairs });
        }
        parts.to_string()
    };
    Ok(Stamp {
        version: program(),
        model_hash: loaded.model_hash.clone(),
        settings_hash: sha256(describe(sample.deciding(given.is_some())).as_bytes()),
        settings: describe(sample.recorded(given.is_some())),
        beside: BESIDE,
    })
}
