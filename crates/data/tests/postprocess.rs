//! Turning x_0 into a mask: threshold, 8-connectivity, specks.

use pig_data::clean_mask;
use proptest::prelude::*;

fn picture(rows: &[&str]) -> (Vec<f32>, [usize; 2]) {
    let values = rows.iter().flat_map(|row| row.bytes().map(|byte| if byte == b'#' { 0.9 } else { -0.9 })).collect();
    (values, [rows.len(), rows[0].len()])
}

#[test]
fn corners_connect_and_specks_go() {
    let (x_0, size) = picture(&["#.....#", ".#.....", "..#...#", ".......", "##...##", "##.....", "......."]);
    let clean = clean_mask(&x_0, size, 0.0, 3);
    // The diagonal of three and the square of four stay; at the right, the two single pixels and the pair are removed.
    // Nothing wraps around the edge.
    let (expected, _) = picture(&["#......", ".#.....", "..#....", ".......", "##.....", "##.....", "......."]);
    assert_eq!(clean.mask, expected.iter().map(|&value| u8::from(value > 0.0)).collect::<Vec<_>>());
    assert_eq!((clean.components, clean.lesion_pixels), (2, 7));
    assert_eq!((clean.removed_components, clean.removed_pixels), (3, 4));
}

#[test]
fn the_threshold_is_exclusive_and_in_x_0_units() {
    let x_0 = [-1.0, 0.0, 0.1, 0.5, 1.0, f32::NAN];
    assert_eq!(clean_mask(&x_0, [1, 6], 0.0, 0).mask, [0, 0, 1, 1, 1, 0]);
    assert_eq!(clean_mask(&x_0, [1, 6], 0.5, 0).mask, [0, 0, 0, 0, 1, 0]);
    assert_eq!(clean_mask(&x_0, [6, 1], -1.0, 5).lesion_pixels, 0, "four pixels are fewer than five");
    assert_eq!(clean_mask(&x_0, [6, 1], -1.0, 4).lesion_pixels, 4);
}

proptest! {
    #[test]
    fn every_pixel_is_accounted_for(size in [1usize..24, 1usize..24], seed in any::<u64>(), area in 0usize..30) {
        let count = size[0] * size[1];
        let x_0: Vec<f32> = (0..count as u64)
            .map(|i| if (i.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) < 7 { 1.0 } else { -1.0 })
            .collect();
        let clean = clean_mask(&x_0, size, 0.0, area);
        let lesion = x_0.iter().filter(|&&value| value > 0.0).count();
        prop_assert_eq!(clean.lesion_pixels + clean.removed_pixels, lesion);
        prop_assert_eq!(clean.mask.iter().map(|&value| usize::from(value)).sum::<usize>(), clean.lesion_pixels);
        prop_assert!(clean.lesion_pixels >= clean.components * area);
        prop_assert!(clean.mask.iter().zip(&x_0).all(|(&mask, &value)| mask == 0 || value > 0.0));
        // Cleaning a clean mask changes nothing.
        let unit: Vec<f32> = clean.mask.iter().map(|&value| f32::from(value) * 2.0 - 1.0).collect();
        let again = clean_mask(&unit, size, 0.0, area);
        prop_assert_eq!((again.mask, again.components, again.removed_pixels), (clean.mask, clean.components, 0));
    }
}

/// The last row of a slice is not connected to the first row of the next.
#[test]
fn specks_end_with_their_slice() {
    let (x_0, [rows, columns]) = picture(&["....", "##..", "##..", "...."]);
    assert_eq!(clean_mask(&x_0, [rows, columns], 0.0, 3).lesion_pixels, 4);
    let slices = clean_mask(&x_0, [rows / 2, columns], 0.0, 3);
    assert_eq!((slices.lesion_pixels, slices.removed_components), (0, 2));
}
