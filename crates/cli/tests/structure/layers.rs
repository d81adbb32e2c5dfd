//! The order of the crates, checked against their manifests.

use std::collections::{BTreeMap, BTreeSet};

/// The names, without `pig-`, of this project's crates among the dependencies of a manifest. Dependencies of tests are left out.
pub(crate) fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') {
            is_inside = line.contains("dependencies") && !line.contains("dev-dependencies");
        }
        if is_inside {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
            found.extend(words.filter_map(|word| word.strip_prefix("pig-")).map(str::to_owned));
        }
    }
    found
}

/// Crates without a layer, and dependencies that do not lead to a lower one.
pub(crate) fn problems(manifests: &BTreeMap<String, String>, layers: &[&[&str]]) -> Vec<String> {
    let layer = |name: &str| layers.iter().position(|layer| layer.contains(&name));
    let mut problems = Vec::new();
    for (name, manifest) in manifests {
        let Some(own) = layer(name) else {
            problems.push(format!(
                "crates/{name} has no layer: add \"{name}\" to LAYERS, above the crates that it depends on and below those that depend on it"
            ));
            continue;
        };
        for other in dependencies(manifest) {
            // A crate without a layer has its own problem above, if it exists.
            match layer(&other) {
                Some(lower) if lower >= own => problems.push(format!(
                    "crates/{name}/Cargo.toml: {name} (layer {own}) depends on {other} (layer {lower}); expected a layer below {own}: \
                     move what {name} needs to a lower crate, or correct LAYERS"
                )),
                None if !manifests.contains_key(&other) => {
                    problems.push(format!("crates/{name}/Cargo.toml: {name} depends on {other}, which is not in crates/"));
                }
                _ => {}
            }
        }
    }
    problems
}
