//! Run lengths as COCO counts them: column by column from the first, beginning with a run outside the mask.

use super::region::Region;

/// The run lengths of a region in an image of `width` x `height`. They sum to `width * height`; the first may be 0.
pub(crate) fn counts(region: &Region, width: usize, height: usize) -> Vec<u64> {
    let mut counts = Vec::new();
    // Start of the current run.
    let mut begin = 0;
    for column in 0..region.width {
        let base = (region.left + column) * height + region.top;
        for row in 0..region.height {
            let inside = region.holds(column as isize, row as isize);
            // An even number of finished runs means that the current run is outside the region.
            if inside != (counts.len() % 2 == 1) {
                counts.push((base + row - begin) as u64);
                begin = base + row;
            }
        }
        let below = base + region.height;
        // The next column begins outside the box's rows, unless the box has the full height of the image.
        if counts.len() % 2 == 1 && (region.height < height || column + 1 == region.width) {
            counts.push((below - begin) as u64);
            begin = below;
        }
    }
    let rest = width * height - begin;
    if rest > 0 {
        counts.push(rest as u64);
    }
    counts
}

/// Run lengths as text, as `rleToString` of the COCO API writes them. From the fourth on, the difference to the length two
/// places before is written. Each number becomes groups of five bits, the lowest group first; a sixth bit says that another
/// group follows, and 48 is added to each group.
pub(crate) fn compress(counts: &[u64]) -> String {
    let mut text = String::new();
    for (index, &count) in counts.iter().enumerate() {
        let mut value = count as i64;
        if index > 2 {
            value -= counts[index - 2] as i64;
        }
        loop {
            let bits = (value & 0x1f) as u8;
            value >>= 5;
            // The fifth bit is the sign of the remaining value.
            let more = if bits & 0x10 != 0 { value != -1 } else { value != 0 };
            text.push(char::from(48 + bits + if more { 0x20 } else { 0 }));
            if !more {
                break;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::region::{components, tests::drawn};
    use super::*;
    use proptest::prelude::*;

    /// The mask read column by column, run by run.
    fn naive_counts(mask: &[u8], width: usize, height: usize) -> Vec<u64> {
        let mut counts = vec![0];
        let mut current = 0;
        for column in 0..width {
            for row in 0..height {
                let value = mask[row * width + column];
                if value != current {
                    current = value;
                    counts.push(0);
                }
                *counts.last_mut().unwrap() += 1;
            }
        }
        counts
    }

    /// The reverse, as `rleFrString` of the COCO API does it.
    fn naive_decompress(text: &str) -> Vec<u64> {
        let bytes: Vec<i64> = text.bytes().map(|byte| i64::from(byte) - 48).collect();
        let mut counts: Vec<i64> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let (mut value, mut shift) = (0, 0);
            loop {
                let group = bytes[at];
                value |= (group & 0x1f) << shift;
                at += 1;
                shift += 5;
                if group & 0x20 == 0 {
                    if group & 0x10 != 0 {
                        value |= -1 << shift;
                    }
                    break;
                }
            }
            if counts.len() > 2 {
                value += counts[counts.len() - 2];
            }
            counts.push(value);
        }
        counts.into_iter().map(|count| u64::try_from(count).unwrap()).collect()
    }

    #[test]
    fn known_texts() {
        // Made with pycocotools 2.0.11: mask.encode of these masks as Fortran arrays.
        let (mask, width, height) = drawn(&["....", ".##.", ".##.", "...."]);
        let region = &components(&mask, width, height)[0];
        assert_eq!(counts(region, width, height), [5, 2, 2, 2, 5]);
        assert_eq!(compress(&counts(region, width, height)), "52203");
        let (mask, width, height) = drawn(&["##", "##"]);
        let region = &components(&mask, width, height)[0];
        assert_eq!(counts(region, width, height), [0, 4]);
        assert_eq!(compress(&counts(region, width, height)), "04");
    }

    proptest! {
        #[test]
        fn the_runs_are_those_of_a_naive_encoder(
            width in 1_usize..9, height in 1_usize..9, bits in proptest::collection::vec(0_u8..2, 64)
        ) {
            let mask = &bits[..width * height];
            let mut joined = vec![0_u8; mask.len()];
            for region in components(mask, width, height) {
                let mut alone = vec![0_u8; mask.len()];
                for row in 0..region.height {
                    for column in 0..region.width {
                        if region.holds(column as isize, row as isize) {
                            alone[(region.top + row) * width + region.left + column] = 1;
                        }
                    }
                }
                let found = counts(&region, width, height);
                prop_assert_eq!(&found, &naive_counts(&alone, width, height));
                prop_assert_eq!(naive_decompress(&compress(&found)), found);
                joined.iter_mut().zip(&alone).for_each(|(all, one)| *all += one);
            }
            prop_assert_eq!(&joined[..], mask);
        }

        #[test]
        fn any_runs_come_back_from_their_text(counts in proptest::collection::vec(0_u64..1 << 40, 0..20)) {
            prop_assert_eq!(naive_decompress(&compress(&counts)), counts);
        }
    }
}
