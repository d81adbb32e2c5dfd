//! Notes about what was measured on the images of a folder.

use super::look::CaseLook;
use crate::remarks::{USED_BITS, unused_bits};
use crate::sources::StoredRange;
use pig_data::remarks::exchanged;

/// Notes about bits that pictures leave unused, and about masks that may be exchanged with their background.
pub(super) fn remarks(looks: &[Option<CaseLook>]) -> Vec<String> {
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
    bits.into_iter().chain(exchanged(covered, with_lesion, "prepare")).collect()
}
