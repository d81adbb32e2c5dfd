//! Deformations for segmenters: image and mask move together, masks stay masks, draws depend on the key alone.

use pig_data::deform::{DeformConfig, deform};
use proptest::prelude::*;

const SIZE: [usize; 2] = [24, 20];

/// Strong geometric changes and nothing else.
fn geometry() -> DeformConfig {
    DeformConfig {
        horizontal_flip: true,
        vertical_flip: true,
        rotation: 40.0,
        scale: 0.4,
        shift: 0.2,
        elastic: 0.05,
        ..DeformConfig::none()
    }
}

/// An ellipse of +1 on -1, away from the edge.
fn mask() -> Vec<f32> {
    let inside = |y: f32, x: f32| ((y - 9.0) / 6.0).powi(2) + ((x - 11.0) / 4.0).powi(2) <= 1.0;
    let value = |i: usize| if inside((i / SIZE[1]) as f32, (i % SIZE[1]) as f32) { 1.0 } else { -1.0 };
    (0..SIZE[0] * SIZE[1]).map(value).collect()
}

fn deformed(config: &DeformConfig, key: [u64; 3]) -> (Vec<f32>, Vec<f32>) {
    let (mut image, mut lesion) = (mask(), mask());
    deform(&mut image, &mut lesion, SIZE, 1, config, key);
    (image, lesion)
}

proptest! {
    /// The image is a copy of the mask: where interpolation met only one value, the nearest pixel has that value.
    #[test]
    fn image_and_mask_move_together(key in any::<[u64; 3]>()) {
        let (image, lesion) = deformed(&geometry(), key);
        prop_assert!(lesion.iter().all(|value| value.abs() == 1.0));
        for (value, lesion) in image.iter().zip(&lesion) {
            prop_assert!(value.abs() < 1.0 || value == lesion, "{} beside {}", value, lesion);
            prop_assert!((value - lesion).abs() <= 1.5 + 1e-6, "{} beside {}", value, lesion);
        }
    }

    #[test]
    fn nothing_configured_changes_nothing(key in any::<[u64; 3]>()) {
        let value = |i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0;
        let image: Vec<f32> = (0..SIZE[0] * SIZE[1] * 3).map(value).collect();
        let (mut changed, mut lesion) = (image.clone(), mask());
        deform(&mut changed, &mut lesion, SIZE, 3, &DeformConfig::none(), key);
        prop_assert_eq!((changed, lesion), (image, mask()));
    }

    #[test]
    fn flips_alone_lose_nothing(key in any::<[u64; 3]>()) {
        let flips = DeformConfig { horizontal_flip: true, vertical_flip: true, ..DeformConfig::none() };
        let (image, lesion) = deformed(&flips, key);
        prop_assert_eq!(&image, &lesion);
        let area = |values: &[f32]| values.iter().filter(|&&v| v > 0.0).count();
        prop_assert_eq!(area(&lesion), area(&mask()));
    }

    /// Gamma and noise do not change the mask, and keep the image in its range.
    #[test]
    fn intensities_leave_masks_alone(key in any::<[u64; 3]>(), channels in prop_oneof![Just(1usize), Just(3)]) {
        let tone = DeformConfig { contrast: 1.0, brightness: 0.5, colour: 0.5, blur: 3.0, ..DeformConfig::none() };
        let config = DeformConfig { gamma: 1.0, noise: 0.5, ..tone };
        let mut image: Vec<f32> = (0..SIZE[0] * SIZE[1] * channels).map(|i| (i % 19) as f32 / 9.0 - 1.0).collect();
        let mut lesion = mask();
        deform(&mut image, &mut lesion, SIZE, channels, &config, key);
        prop_assert_eq!(lesion, mask());
        prop_assert!(image.iter().all(|value| (-1.0..=1.0).contains(value)));
    }

    #[test]
    fn the_key_decides(key in any::<[u64; 3]>()) {
        let config = DeformConfig::default();
        prop_assert_eq!(deformed(&config, key), deformed(&config, key));
        let other = [key[0], key[1].wrapping_add(1), key[2]];
        prop_assert_ne!(deformed(&config, key).0, deformed(&config, other).0);
    }

    /// Enabling one change does not alter the draws of the others: the shift is the same with and without gamma and noise.
    #[test]
    fn changes_are_drawn_apart(key in any::<[u64; 3]>()) {
        let shifted = DeformConfig { shift: 0.2, ..DeformConfig::none() };
        let and_noisy = DeformConfig { gamma: 0.5, noise: 0.1, ..shifted.clone() };
        prop_assert_eq!(deformed(&shifted, key).1, deformed(&and_noisy, key).1);
    }
}

fn moments(values: &[f32]) -> (f64, [f64; 2], f64) {
    let lesion: Vec<usize> = (0..values.len()).filter(|&i| values[i] > 0.0).collect();
    let count = lesion.len() as f64;
    let mean = |of: &dyn Fn(usize) -> f64| lesion.iter().map(|&i| of(i)).sum::<f64>() / count;
    let (y, x) = (|i: usize| (i / SIZE[1]) as f64, |i: usize| (i % SIZE[1]) as f64);
    let centre = [mean(&y), mean(&x)];
    (count, centre, mean(&|i| (y(i) - centre[0]) * (x(i) - centre[1])))
}

/// What each change does to area, centre and orientation, over many draws.
#[test]
fn every_change_does_what_its_name_says() {
    let (area, centre, slant) = moments(&mask());
    assert_eq!((centre, slant.abs() < 1e-9), ([9.0, 11.0], true));
    let over = |config: &DeformConfig| (0..200).map(|i| moments(&deformed(config, [7, i, 0]).1)).collect::<Vec<_>>();
    let scaled = over(&DeformConfig { scale: 0.3, ..DeformConfig::none() });
    let shares: Vec<f64> = scaled.iter().map(|m| m.0 / area).collect();
    // Areas grow with the square of the factor, 1 / 1.69 to 1.69; on the pixel grid, discs of this size deviate by a tenth.
    assert!(shares.iter().all(|share| (0.5..1.85).contains(share)));
    assert!(shares.iter().any(|share| *share < 0.7) && shares.iter().any(|share| *share > 1.4));
    let turned = over(&DeformConfig { rotation: 30.0, ..DeformConfig::none() });
    assert!(turned.iter().all(|m| (m.0 / area - 1.0).abs() < 0.12));
    assert!(turned.iter().any(|m| m.2 > 2.0) && turned.iter().any(|m| m.2 < -2.0));
    let shifted = over(&DeformConfig { shift: 0.1, ..DeformConfig::none() });
    assert!(shifted.iter().all(|m| (m.1[0] - 9.0).abs() <= 3.0 && (m.1[1] - 11.0).abs() <= 3.0 && m.0 == area));
    assert!(shifted.iter().any(|m| m.1[0] > 10.0) && shifted.iter().any(|m| m.1[0] < 8.0));
    let bent = over(&DeformConfig { elastic: 0.05, ..DeformConfig::none() });
    assert!(bent.iter().any(|m| (m.0 / area - 1.0).abs() > 0.05 || m.2.abs() > 0.5));
}

/// Contrast keeps the mean and multiplies the deviations from it; brightness moves the mean alone; colour moves channels apart; blur
/// lowers the deviations.
#[test]
fn tones_do_what_their_names_say() {
    let image: Vec<f32> = (0..SIZE[0] * SIZE[1] * 3).map(|i| (i / 3 % 19) as f32 / 30.0 - 0.3).collect();
    let statistics = |values: &[f32], channel: usize| {
        let own: Vec<f64> = values.iter().skip(channel).step_by(3).map(|&value| f64::from(value)).collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        (mean, (own.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / own.len() as f64).sqrt())
    };
    let over = |config: DeformConfig| -> Vec<[(f64, f64); 3]> {
        let one = |position: u64| {
            let (mut image, mut lesion) = (image.clone(), mask());
            deform(&mut image, &mut lesion, SIZE, 3, &config, [7, position, 0]);
            [0, 1, 2].map(|channel| statistics(&image, channel))
        };
        (0..60).map(one).collect()
    };
    let (mean, deviation) = statistics(&image, 0);
    for [first, second, _] in over(DeformConfig { contrast: 1.0, ..DeformConfig::none() }) {
        let factor = first.1 / deviation;
        assert!((first.0 - mean).abs() < 1e-3 && (0.499..2.001).contains(&factor) && first == second, "{first:?}");
    }
    let brighter = over(DeformConfig { brightness: 0.2, ..DeformConfig::none() });
    assert!(brighter.iter().all(|[first, second, _]| (first.1 - deviation).abs() < 1e-4 && first == second));
    assert!(brighter.iter().all(|[first, ..]| (first.0 - mean).abs() <= 0.2 + 1e-4));
    assert!(brighter.iter().any(|[first, ..]| first.0 > mean + 0.1) && brighter.iter().any(|[f, ..]| f.0 < mean - 0.1));
    let tinted = over(DeformConfig { colour: 0.2, ..DeformConfig::none() });
    assert!(tinted.iter().any(|[first, second, _]| (first.0 - second.0).abs() > 0.1));
    let blurred = over(DeformConfig { blur: 4.0, ..DeformConfig::none() });
    let lower = blurred.iter().filter(|[first, ..]| first.1 < 0.9 * deviation).count();
    assert!((10..50).contains(&lower), "about half of the images are blurred: {lower}");
    assert!(blurred.iter().all(|[first, ..]| first.1 <= deviation + 1e-6));
}

#[test]
fn strengths_out_of_range_are_refused() {
    assert!(DeformConfig::default().check().is_ok());
    for wrong in [f64::NAN, -0.1, f64::INFINITY] {
        let message = DeformConfig { noise: wrong, ..DeformConfig::none() }.check().unwrap_err().to_string();
        assert!(message.contains("noise") && message.contains("0 to 2"), "{message}");
    }
}
