//! The ids of cases, which name their files.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::request::Request;
use crate::layouts::{Case, ImageSource};
use crate::prepared_folder::hash_texts;
use crate::settings::Names;

/// An id for every case, used in file names: a hash of the case's name, or the name in plain characters. No two cases have the same
/// id, nor would they on a file system without upper and lower case.
pub(super) fn case_ids<'a>(cases: &'a [Case], request: &Request) -> HashMap<&'a str, String> {
    let private = cases.iter().any(|case| case.patient.is_some() || !matches!(case.image, ImageSource::Picture(_)));
    let hashed = match request.config.names {
        Names::Auto => private,
        Names::Hash => true,
        Names::Source => false,
    };
    let hash = |name: &str| match &request.key {
        Some(key) => key.hash("case", name),
        None => hash_texts([name])[..16].to_owned(),
    };
    if hashed {
        return cases.iter().map(|case| (case.name.as_str(), hash(&case.name))).collect();
    }
    // Only the stems if they are unique, else the whole path.
    let plain = |name: &str| {
        let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        word.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
    };
    let stem = |name: &str| plain(name.rsplit('/').next().unwrap_or(name));
    let stems: BTreeSet<String> = cases.iter().map(|case| stem(&case.name)).collect();
    let unique = stems.len() == cases.len() && !stems.contains("");
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases {
        *taken.entry(plain(&case.name)).or_default() += 1;
    }
    let id = |name: &str| match plain(name) {
        _ if unique => stem(name),
        word if taken[&word] == 1 && !word.is_empty() => word,
        word => format!("{word}_{}", hash(name)),
    };
    distinct(cases.iter().map(|case| (case, id(&case.name))).collect(), hash)
}

/// Adds a hash to ids that differ from another only in case, or that are those of a slice of another case: `v_0000` beside the
/// volume `v`.
fn distinct(ids: Vec<(&Case, String)>, hash: impl Fn(&str) -> String) -> HashMap<&str, String> {
    let volume = |case: &Case| !matches!(case.image, ImageSource::Picture(_));
    let volumes: HashSet<String> =
        ids.iter().filter(|(case, _)| volume(case)).map(|(_, id)| id.to_lowercase()).collect();
    let slice = |id: &str| {
        let numbered = id.rsplit_once('_').filter(|(_, n)| n.len() >= 4 && n.bytes().all(|b| b.is_ascii_digit()));
        numbered.is_some_and(|(base, _)| volumes.contains(base))
    };
    let mut seen = HashSet::new();
    ids.into_iter()
        .map(|(case, id)| {
            let lower = id.to_lowercase();
            let free = seen.insert(lower.clone()) && !slice(&lower);
            (case.name.as_str(), if free { id } else { format!("{id}_{}", hash(&case.name)) })
        })
        .collect()
}
