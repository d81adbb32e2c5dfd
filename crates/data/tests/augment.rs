//! Flips and shifts: image and mask stay together, draws depend on the key alone and are uniform.

use std::collections::BTreeMap;

use pig_data::augment::augment;
use pig_data::{AugmentConfig, ToldConfig};
use proptest::prelude::*;

const ALL: AugmentConfig =
    AugmentConfig { horizontal_flip: true, vertical_flip: true, shift: 0.25, told: ToldConfig::NONE };

/// An image whose pixels all differ, and a mask that is lesion exactly where the image is above zero.
fn pair(size: [usize; 2], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let pixels = size[0] * size[1];
    let value = |index: usize| ((index * 37) % pixels) as f32 / pixels as f32 - 0.5;
    let image = (0..pixels).flat_map(|i| (0..channels).map(move |c| value(i) * (c + 1) as f32)).collect();
    (image, (0..pixels).map(|i| if value(i) > 0.0 { 1.0 } else { -1.0 }).collect())
}

proptest! {
    #[test]
    fn image_and_mask_stay_together(
        size in [2usize..20, 2usize..20], channels in prop_oneof![Just(1), Just(3)], key in any::<[u64; 3]>()
    ) {
        let (mut image, mut mask) = pair(size, channels);
        augment(&mut image, &mut mask, size, channels, &ALL, key);
        for (pixel, &lesion) in image.chunks_exact(channels).zip(&mask) {
            // Uncovered mask pixels are background whatever the repeated edge shows; a lesion pixel always keeps its
            // image pixel.
            prop_assert!(lesion == -1.0 || pixel[0] > 0.0);
            prop_assert!(pixel.iter().enumerate().all(|(c, &value)| value == pixel[0] * (c + 1) as f32));
        }
    }

    #[test]
    fn flips_alone_lose_nothing_and_undo_themselves(size in [1usize..20, 1usize..20], key in any::<[u64; 3]>()) {
        let flips = AugmentConfig { shift: 0.0, ..ALL };
        let (image, mask) = pair(size, 1);
        let (mut changed, mut changed_mask) = (image.clone(), mask.clone());
        augment(&mut changed, &mut changed_mask, size, 1, &flips, key);
        for (value, lesion) in changed.iter().zip(&changed_mask) {
            prop_assert_eq!(*value > 0.0, *lesion > 0.0);
        }
        augment(&mut changed, &mut changed_mask, size, 1, &flips, key);
        prop_assert_eq!((changed, changed_mask), (image, mask));
    }

    #[test]
    fn nothing_configured_changes_nothing(key in any::<[u64; 3]>()) {
        let (image, mask) = pair([9, 7], 3);
        let (mut changed, mut changed_mask) = (image.clone(), mask.clone());
        augment(&mut changed, &mut changed_mask, [9, 7], 3, &AugmentConfig::default(), key);
        prop_assert_eq!((changed, changed_mask), (image, mask));
    }
}

/// How far the content moved, measured with a single bright pixel in the middle, where flips have no effect.
fn shift_of(config: &AugmentConfig, key: [u64; 3]) -> (isize, isize) {
    let mut image = vec![-1.0; 21 * 21];
    let mut mask = image.clone();
    (image[10 * 21 + 10], mask[10 * 21 + 10]) = (1.0, 1.0);
    augment(&mut image, &mut mask, [21, 21], 1, config, key);
    assert_eq!(image, mask);
    let found = image.iter().position(|&value| value == 1.0).unwrap();
    ((found / 21) as isize - 10, (found % 21) as isize - 10)
}

#[test]
fn shifts_are_uniform_and_within_the_fraction() {
    let config = AugmentConfig { shift: 0.1, ..AugmentConfig::default() };
    let mut counts: BTreeMap<(isize, isize), u32> = BTreeMap::new();
    for index in 0..5000 {
        *counts.entry(shift_of(&config, [1, 2, index])).or_default() += 1;
    }
    // A tenth of 21 is 2 pixels: 5 x 5 shifts, each about 200 times with a standard deviation of 14.
    assert_eq!(counts.len(), 25);
    assert!(counts.keys().all(|(y, x)| y.abs() <= 2 && x.abs() <= 2));
    assert!(counts.values().all(|count| count.abs_diff(200) < 80), "{counts:?}");
}

#[test]
fn each_part_of_the_key_matters_and_switches_are_independent() {
    let shifts = AugmentConfig { shift: 0.3, ..AugmentConfig::default() };
    for part in 0..3 {
        let seen: std::collections::BTreeSet<_> = (0..50)
            .map(|value| {
                let mut key = [5, 6, 7];
                key[part] = value;
                shift_of(&shifts, key)
            })
            .collect();
        assert!(seen.len() > 20, "part {part} gives {} shifts", seen.len());
    }
    let both = AugmentConfig { horizontal_flip: true, ..shifts.clone() };
    assert!((0..50).all(|index| shift_of(&shifts, [0, 0, index]) == shift_of(&both, [0, 0, index])));
}

#[test]
fn each_flip_happens_half_the_time() {
    let (mut horizontal, mut vertical) = (0u32, 0u32);
    for index in 0..2000 {
        let (mut image, mut mask) = (vec![1.0, 2.0, 3.0, 4.0], vec![-1.0; 4]);
        augment(&mut image, &mut mask, [2, 2], 1, &AugmentConfig { shift: 0.0, ..ALL }, [9, index, 0]);
        horizontal += u32::from(image[0] == 2.0 || image[0] == 4.0);
        vertical += u32::from(image[0] >= 3.0);
    }
    // Standard deviation 22.
    assert!(horizontal.abs_diff(1000) < 120 && vertical.abs_diff(1000) < 120, "{horizontal} {vertical}");
}

#[test]
fn edges_repeat_in_the_image_and_are_background_in_the_mask() {
    // A row of eight lesion pixels is shifted by up to four: uncovered pixels repeat the end.
    let config = AugmentConfig { shift: 0.5, ..AugmentConfig::default() };
    let mut shifted = 0;
    for index in 0..20 {
        let mut image: Vec<f32> = (0..8).map(|x| x as f32).collect();
        let mut mask = vec![1.0; 8];
        augment(&mut image, &mut mask, [1, 8], 1, &config, [0, index, 3]);
        let uncovered: Vec<usize> = (0..8).filter(|&x| mask[x] < 0.0).collect();
        if mask[0] < 0.0 {
            assert!(uncovered.iter().all(|&x| image[x] == 0.0) && image[uncovered.len()] == 0.0);
        } else if mask[7] < 0.0 {
            assert!(uncovered.iter().all(|&x| image[x] == 7.0));
        }
        shifted += usize::from(!uncovered.is_empty());
    }
    assert!(shifted > 5);
}

/// Stacked slices are flipped and shifted in the same way, each within its own borders.
#[test]
fn slices_change_alike() {
    let size = [5, 7];
    let (image, mask) = pair(size, 3);
    for key in 0..20 {
        let (mut one_image, mut one_mask) = (image.clone(), mask.clone());
        augment(&mut one_image, &mut one_mask, size, 3, &ALL, [key, 0, 0]);
        let (mut images, mut masks) = (image.repeat(2), mask.repeat(2));
        augment(&mut images, &mut masks, size, 3, &ALL, [key, 0, 0]);
        assert_eq!((images, masks), (one_image.repeat(2), one_mask.repeat(2)));
    }
}
