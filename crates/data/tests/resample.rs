//! Resizing, compared with Pillow and with closed forms, and its invariants.

use pig_data::resample::{resize_image, resize_mask_area, resize_mask_nearest};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    from: [usize; 2],
    to: [usize; 2],
    bilinear: Vec<f32>,
}

/// The input that the script of the golden file uses.
fn value(row: usize, column: usize) -> f32 {
    ((row * row * 31 + column * column * 17 + row * column * 7 + 11 * column) % 251) as f32
}

fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[test]
fn images_agree_with_pillow() {
    let golden: Golden = serde_json::from_str(include_str!("../../../tests/peers/resize/resize.json")).unwrap();
    assert_eq!(golden.cases.len(), 6);
    for Case { from, to, bilinear } in golden.cases {
        let input: Vec<f32> = (0..from[0] * from[1]).map(|i| value(i / from[1], i % from[1])).collect();
        let difference = greatest_difference(&resize_image(&input, from, to, 1), &bilinear);
        assert!(difference < 1e-4, "{from:?} to {to:?}: {difference} of 250");
    }
}

#[test]
fn a_ramp_stays_a_ramp_inside_the_picture() {
    // Exact for reductions by a whole factor, where the sampled triangle is symmetric, and for every enlargement.
    for (length, target) in [(60, 20), (60, 12), (64, 32), (20, 60), (20, 33)] {
        let scale = length as f32 / target as f32;
        let ramp: Vec<f32> = (0..length).map(|x| x as f32 + 0.5).collect();
        let resized = resize_image(&ramp, [1, length], [1, target], 1);
        // The filter reaches one source pixel or one target pixel beyond the centre, whichever is wider.
        let margin = (scale.max(1.0) / scale).ceil() as usize;
        for (x, &found) in resized.iter().enumerate().take(target - margin).skip(margin) {
            assert!((found - (x as f32 + 0.5) * scale).abs() < 1e-4, "{length} to {target} at {x}: {found}");
        }
    }
}

#[test]
fn area_keeps_what_covers_half_and_drops_less() {
    // Reduced by 2, every output pixel covers four source pixels. Two of four make it lesion, one of four does not.
    let mask = [1, 1, 1, 0, 0, 0, 0, 0];
    assert_eq!(resize_mask_area(&mask, [2, 4], [1, 2]), [1, 0]);
    // Reduced from 3 to 2, an output pixel is 1.5 source pixels wide: an outer source pixel covers 1 of it, the middle one 0.5.
    assert_eq!(resize_mask_area(&[1, 0, 0], [1, 3], [1, 2]), [1, 0]);
    assert_eq!(resize_mask_area(&[0, 1, 0], [1, 3], [1, 2]), [0, 0]);
    assert_eq!(resize_mask_area(&[0, 1, 1], [1, 3], [1, 2]), [0, 1]);
    // Enlarged by 2 every pixel becomes four.
    assert_eq!(resize_mask_area(&[1, 0], [1, 2], [2, 4]), [1, 1, 0, 0, 1, 1, 0, 0]);
}

#[test]
fn nearest_takes_the_pixel_below_the_centre() {
    assert_eq!(resize_mask_nearest(&[0, 1, 2, 3, 4, 5], [1, 6], [1, 3]), [1, 3, 5]);
    assert_eq!(resize_mask_nearest(&[0, 1, 2], [1, 3], [1, 6]), [0, 0, 1, 1, 2, 2]);
    assert_eq!(resize_mask_nearest(&[7, 8, 9], [3, 1], [1, 1]), [8]);
}

proptest! {
    #[test]
    fn a_constant_stays_exact(
        from in [1usize..90, 1usize..90], to in [1usize..70, 1usize..70], value in 0u16..,
        channels in prop_oneof![Just(1), Just(3)]
    ) {
        let value = f32::from(value);
        let resized = resize_image(&vec![value; from[0] * from[1] * channels], from, to, channels);
        prop_assert_eq!(resized, vec![value; to[0] * to[1] * channels]);
    }

    #[test]
    fn values_stay_within_the_range_and_channels_apart(
        from in [1usize..20, 1usize..20], to in [1usize..20, 1usize..20], seed in 0usize..1000
    ) {
        let planes: Vec<Vec<f32>> =
            (0..3).map(|c| (0..from[0] * from[1]).map(|i| value(i + seed, c)).collect()).collect();
        let joined: Vec<f32> =
            (0..from[0] * from[1]).flat_map(|i| [planes[0][i], planes[1][i], planes[2][i]]).collect();
        let resized = resize_image(&joined, from, to, 3);
        for (channel, plane) in planes.iter().enumerate() {
            let alone = resize_image(plane, from, to, 1);
            let (low, high) = plane.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            prop_assert!(alone.iter().all(|&v| (low - 1e-3..=high + 1e-3).contains(&v)));
            let part: Vec<f32> = resized.iter().skip(channel).step_by(3).copied().collect();
            prop_assert_eq!(part, alone);
        }
    }

    #[test]
    fn masks_of_one_value_keep_it_and_area_is_the_complement_of_the_rest(
        from in [1usize..40, 1usize..40], to in [1usize..40, 1usize..40], seed in 0usize..1000
    ) {
        for value in [0u8, 1] {
            let constant = vec![value; from[0] * from[1]];
            prop_assert_eq!(resize_mask_area(&constant, from, to), vec![value; to[0] * to[1]]);
            prop_assert_eq!(resize_mask_nearest(&constant, from, to), vec![value; to[0] * to[1]]);
        }
        let mask: Vec<u8> = (0..from[0] * from[1]).map(|i| u8::from(value(i + seed, 3) < 125.0)).collect();
        let rest: Vec<u8> = mask.iter().map(|v| 1 - v).collect();
        let (lesion, ground) = (resize_mask_area(&mask, from, to), resize_mask_area(&rest, from, to));
        // Every output pixel is at least half lesion or at least half background; both only if they share it equally.
        prop_assert!(lesion.iter().zip(&ground).all(|(a, b)| a + b >= 1));
    }

    #[test]
    fn whole_reductions_keep_the_mean_of_a_picture_with_flat_borders(
        factor in 1usize..6, blocks in 4usize..9, seed in 0usize..1000
    ) {
        // The outermost two blocks of the picture are flat, so that cutting the filter at the edge changes nothing.
        let side = factor * blocks;
        let inside = |i: usize| (2 * factor..side.saturating_sub(2 * factor)).contains(&i);
        let picture: Vec<f32> = (0..side * side)
            .map(|i| if inside(i / side) && inside(i % side) { value(i + seed, 1) } else { 100.0 })
            .collect();
        let resized = resize_image(&picture, [side, side], [blocks, blocks], 1);
        let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        prop_assert!((mean(&picture) - mean(&resized)).abs() < 1e-3);
    }
}
