//! What every generated file says about its origin.

use crate::{
    Result, arrays::InitialNoise, by_class::ClassShares, config::SampleConfig, given::GivenSet, loaded::LoadedRun,
    run_dir::program,
};
use pig_data::write::Stamp;
use pig_files::sha256;

/// The settings that [`stamp`] leaves out of the hash.
const BESIDE: &[&str] = &["sample.batch_size", "sample.agreement_background"];

/// What every file of this request says about its origin; `wanted` are the shares of classes by which so many pairs are chosen.
pub(crate) fn stamp(
    loaded: &LoadedRun,
    given: &GivenSet,
    initial: Option<&InitialNoise>,
    (shares, pairs): (&ClassShares, usize),
) -> Result<Stamp> {
    let mut deciding = loaded.config.sample.clone();
    // Neither setting changes a pair: the batch size by construction; the background is used only to measure agreement.
    (deciding.batch_size, deciding.agreement_background) = (1, None);
    let (given, noise, method) = (given.sha256()?, initial.map(InitialNoise::sha256), loaded.config.method.word());
    // The weights of the other run are a part of the model's hash, so its place does not matter.
    deciding.autoguidance.run = None;
    let describe = |sample: &SampleConfig| {
        let mut parts =
            serde_json::json!({ "method": method, "sample": sample, "given": given, "initial_noise": noise });
        // Settings that came later and change nothing are left out, and leave the hash as it was, so that older folders can be continued.
        if let Some(settings) = parts["sample"].as_object_mut() {
            if !sample.autoguidance.is_on() {
                settings.remove("autoguidance");
            }
            // There is no second pass if masks or images are given.
            if !sample.second_pass || given.is_some() {
                settings.remove("second_pass");
            }
            // The scale that was found is recorded, and the same one given by hand makes the same pairs.
            settings.remove("match_contrast");
            if sample.guidance_interval.is_none() {
                settings.remove("guidance_interval");
            }
        }
        if !shares.is_empty() {
            parts["chosen"] = serde_json::json!({ "shares": shares, "pairs": pairs });
        }
        parts.to_string()
    };
    Ok(Stamp {
        version: program(),
        model_hash: loaded.model_hash.clone(),
        settings_hash: sha256(describe(&deciding).as_bytes()),
        settings: describe(&loaded.config.sample),
        beside: BESIDE,
    })
}
