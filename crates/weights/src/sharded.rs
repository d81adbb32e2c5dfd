//! The index of weights in several files, as Hugging Face's libraries write large models (`NAME.safetensors.index.json`): it names the
//! file of each array.

use crate::array::StateDict;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path},
};

/// Largest index in bytes; one of a hundred thousand arrays is smaller.
pub(crate) const MOST_INDEX: u64 = 64 << 20;
/// What to do about an index that does not fit its files.
pub(crate) const ADVICE: &str = "fetch the index and all of its files again, into one folder";

/// The file of each array, by the array's name.
#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Whether a file begins like an index: a JSON object, where a safetensors file has the length of its header.
pub(crate) fn is_index(start: &[u8]) -> bool {
    start.first() == Some(&b'{') && start.get(8) != Some(&b'{')
}

impl Index {
    /// Reads an index. Files elsewhere than beside the index are refused.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(text)
            .map_err(|error| format!("no index of weights in several files, which has a weight_map: {error}"))?;
        let is_name =
            |name: &&String| matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        if let Some(name) = index.weight_map.values().find(|name| !is_name(name)) {
            return Err(format!("its file {name:?} is not the name of a file beside it"));
        }
        Ok(index)
    }

    /// The names of the files, each once.
    pub(crate) fn files(&self) -> BTreeSet<&String> {
        self.weight_map.values().collect()
    }

    /// Checks that the file `name` holds the arrays that the index puts there, and no other.
    pub(crate) fn check(&self, name: &str, arrays: &StateDict) -> Result<(), String> {
        for array in arrays.keys() {
            match self.weight_map.get(array) {
                Some(told) if told == name => {}
                Some(told) => return Err(format!("{array} is in {name}, but the index says {told}")),
                None => return Err(format!("{name} holds {array}, which the index does not name")),
            }
        }
        let told = |(array, told): &(&String, &String)| *told == name && !arrays.contains_key(*array);
        match self.weight_map.iter().find(told) {
            Some((array, _)) => Err(format!("{array} is not in {name}, where the index says that it is")),
            None => Ok(()),
        }
    }
}
