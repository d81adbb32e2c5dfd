//! Remarks about a source that both preparation and inspection make.

use crate::sources::StoredRange;

/// What becomes of 16-bit pictures that leave bits unused.
pub(crate) fn unused_bits(pictures: usize, range: StoredRange) -> String {
    let StoredRange { low, high } = range;
    format!(
        "{pictures} picture(s) have 16 bits, but values from {low} to {high}: pig prepare makes these black and white, and with \
         prepare.window = \"stored\" 0 and 65535."
    )
}
