//! Random changes of a pair of which the networks are told, so that they do not leak into what is generated.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::classes::mask_channels;
use crate::config::ToldConfig;
use crate::deform::{DeformConfig, deform};

/// How many numbers tell a network what was changed: sine and cosine (less 1) of the rotation, logarithm of the enlargement, shift down and
/// right as fractions of the side, logarithm of the power of the intensities. All are 0 if nothing was changed.
pub const TOLD: usize = 6;

/// Changes `image` of shape (height, width, channels), in [-1, 1], and `mask` of shape (height, width, classes) in place and in the same way, and
/// tells what was changed. If they hold several stacked slices of `size`, every slice is changed in the same way. Each change happens with
/// the probability of `config`, whatever the others do.
///
/// The draw depends on `key` alone.
///
/// # Panics
/// When the lengths of image and mask are not the same whole number of slices of `size` with `channels`.
pub fn augment_told(
    image: &mut [f32],
    mask: &mut [f32],
    size: [usize; 2],
    channels: usize,
    config: &ToldConfig,
    key: [u64; 3],
) -> [f32; TOLD] {
    let pixels = size[0] * size[1];
    let classes = mask_channels(image.len(), mask.len(), pixels, channels);
    let mut seed = [0u8; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip([key[0], key[1], key[2], 1]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(seed);
    let mut chosen = |strength: f64| if rng.random::<f64>() < config.probability { strength } else { 0.0 };
    let changes = DeformConfig {
        rotation: chosen(config.rotation),
        scale: chosen(config.scale),
        shift: chosen(config.shift),
        gamma: chosen(config.gamma),
        ..DeformConfig::none()
    };
    let mut told = [0.0; TOLD];
    for (image, mask) in image.chunks_exact_mut(pixels * channels).zip(mask.chunks_exact_mut(pixels * classes)) {
        let done = deform(image, mask, size, channels, &changes, key);
        let [down, right] = [0, 1].map(|axis| done.shift[axis] / size[axis] as f64);
        told = [
            libm::sin(done.angle),
            libm::cos(done.angle) - 1.0,
            libm::log(done.factor),
            down,
            right,
            libm::log(done.exponent),
        ]
        .map(|value| value as f32);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [16, 16];
    const ALL: ToldConfig = ToldConfig { rotation: 30.0, scale: 0.3, shift: 0.2, gamma: 0.5, probability: 0.5 };

    fn pair() -> (Vec<f32>, Vec<f32>) {
        let image = (0..256).map(|i| (i % 16) as f32 / 8.0 - 1.0).collect();
        let mask =
            (0..256).map(|i| if (4..12).contains(&(i % 16)) && (4..12).contains(&(i / 16)) { 1.0 } else { -1.0 });
        (image, mask.collect())
    }

    /// A vector of zeros goes with an unchanged pair and nothing else; each change happens in half of the samples.
    #[test]
    fn what_is_told_was_done() {
        let mut counts = [0; TOLD];
        for sample in 0..400 {
            let (mut image, mut mask) = pair();
            let told = augment_told(&mut image, &mut mask, SIZE, 1, &ALL, [1, sample, 0]);
            assert_eq!(told == [0.0; TOLD], (image, mask) == pair(), "{told:?}");
            assert!(told[0].abs() <= 0.5 + 1e-6 && told[2].abs() <= 1.3_f32.ln() + 1e-6 && told[3].abs() <= 0.2 + 1e-6);
            counts.iter_mut().zip(told).for_each(|(count, told)| *count += usize::from(told != 0.0));
        }
        // Standard error: sqrt(400 / 4) = 10.
        assert!(counts.iter().all(|count| (150..=250).contains(count)), "{counts:?}");
        // The two parts of a rotation, and of a shift, come together.
        assert_eq!((counts[0], counts[3]), (counts[1], counts[4]));
    }

    #[test]
    fn slices_are_changed_alike_and_nothing_is_changed_without_strengths() {
        let (image, mask) = pair();
        let (mut images, mut masks) = ([&image[..], &image].concat(), [&mask[..], &mask].concat());
        let sample = (0..100).find(|&sample| {
            let (mut image, mut mask) = pair();
            augment_told(&mut image, &mut mask, SIZE, 1, &ALL, [1, sample, 0])[0] != 0.0
        });
        augment_told(&mut images, &mut masks, SIZE, 1, &ALL, [1, sample.unwrap(), 0]);
        assert!(images[..256] == images[256..] && masks[..256] == masks[256..] && images[..256] != image[..]);
        let (mut same, mut still) = pair();
        assert_eq!(augment_told(&mut same, &mut still, SIZE, 1, &ToldConfig::NONE, [1, 2, 3]), [0.0; TOLD]);
        assert_eq!((same, still), pair());
        assert!(!ToldConfig::NONE.is_on() && ALL.is_on());
    }
}
