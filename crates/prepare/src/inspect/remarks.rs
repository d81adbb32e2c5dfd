//! Notes about what was measured on the images of a folder.

use super::look::CaseLook;
use crate::masks::is_background;
use crate::remarks::unused_bits;
use crate::settings::{PrepareConfig, SECTION};
use crate::sources::StoredRange;
use pig_data::remarks::{USED_BITS, exchanged, other_values};

/// Notes about bits that pictures leave unused, about masks that may be exchanged with their background, and about those whose values mean
/// nothing.
pub(super) fn remarks(looks: &[Option<CaseLook>], config: &PrepareConfig) -> Vec<String> {
    let wide: Vec<(f64, f64)> = looks
        .iter()
        .flatten()
        .filter(|look| look.sixteen)
        .flat_map(|look| &look.looks)
        .map(|look| look.range)
        .collect();
    let low = wide.iter().map(|range| range.0).fold(f64::INFINITY, f64::min);
    let high = wide.iter().map(|range| range.1).fold(f64::NEG_INFINITY, f64::max);
    let bits = (low < high && high < USED_BITS).then(|| unused_bits(wide.len(), StoredRange { low, high }));
    let (mut covered, mut with_lesion) = (0, 0);
    for case in looks.iter().flatten() {
        for lesions in case.looks.iter().filter_map(|look| look.lesions.as_ref()).filter(|lesions| !lesions.is_empty())
        {
            with_lesion += 1;
            covered += usize::from(2 * lesions.iter().sum::<usize>() > case.size[0] * case.size[1]);
        }
    }
    let others = config.names_values().then(|| without_named_values(looks)).flatten();
    bits.into_iter().chain(exchanged(covered, with_lesion, SECTION)).chain(others).collect()
}

/// A note about masks whose values are none of those that mean lesion. A mask that cannot be read is listed with its error.
fn without_named_values(looks: &[Option<CaseLook>]) -> Option<String> {
    let read = |look: &&CaseLook| look.mask_error.is_none() && !look.mask_values.is_empty();
    let (mut masks, mut without) = (0, 0);
    for case in looks.iter().flatten().filter(read) {
        masks += 1;
        let has_lesion = case.looks.iter().filter_map(|look| look.lesions.as_ref()).any(|lesions| !lesions.is_empty());
        without += usize::from(!has_lesion && !case.mask_values.keys().all(|value| is_background(value)));
    }
    other_values(without, masks, SECTION)
}
