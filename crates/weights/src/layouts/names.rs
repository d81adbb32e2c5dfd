//! Functions for the names and shapes of arrays that the layouts share.

use crate::array::{Array, StateDict};

/// Applies `rename` to every name.
pub(super) fn renamed(arrays: StateDict, rename: impl Fn(&str) -> String) -> StateDict {
    arrays.into_iter().map(|(name, array)| (rename(&name), array)).collect()
}

/// Applies the replacements in order: every occurrence of the first part becomes the second part.
pub(super) fn replaced(name: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Makes the projections of attention linear layers: some networks store them as convolutions of one pixel.
pub(super) fn flatten_attention(arrays: &mut StateDict) {
    for (name, array) in arrays.iter_mut() {
        let is_projection =
            [".to_q.weight", ".to_k.weight", ".to_v.weight", ".to_out.0.weight"].iter().any(|end| name.ends_with(end));
        if is_projection && array.shape.len() > 2 && array.shape[2..].iter().all(|&size| size == 1) {
            array.shape.truncate(2);
        }
    }
}

/// Reads `prefix` followed by a number and a dot; returns the number and the rest.
pub(super) fn numbered<'a>(name: &'a str, prefix: &str) -> Option<(usize, &'a str)> {
    let (number, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// Largest number after `prefix`, plus one. Numbers for which this is more than the number of arrays are ignored: with them, a
/// crafted file could request memory that it cannot fill.
pub(super) fn count(arrays: &StateDict, prefix: &str) -> usize {
    let counts = arrays.keys().filter_map(|name| numbered(name, prefix)?.0.checked_add(1));
    counts.filter(|&count| count <= arrays.len()).max().unwrap_or(0)
}

/// An array's size along an axis, or an error that names it.
pub(super) fn size_of(arrays: &StateDict, name: &str, axis: usize) -> Result<usize, String> {
    let array: &Array = arrays.get(name).ok_or_else(|| format!("{name} is missing"))?;
    refuse_empty(name, array)?;
    array.shape.get(axis).copied().ok_or_else(|| format!("{name} has shape {:?}, expected more axes", array.shape))
}

/// Refuses an array without values: a layer of no channels computes nothing.
pub(super) fn refuse_empty(name: &str, array: &Array) -> Result<(), String> {
    if array.shape.contains(&0) {
        let shape = &array.shape;
        return Err(format!(
            "{name} has shape {shape:?}, expected sizes above 0; save the trained network again with all of its weights"
        ));
    }
    Ok(())
}
