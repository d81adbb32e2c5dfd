//! Contrast, brightness, colour and blur of an image.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::blur::blur;

/// The last word of the key, which keeps these draws apart from those of the other changes (0) and of what networks are told (1).
const PURPOSE: u64 = 2;

/// How strongly the tone is changed; the fields are those of [`DeformConfig`](crate::deform::DeformConfig).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tone {
    pub(crate) contrast: f64,
    pub(crate) brightness: f64,
    pub(crate) colour: f64,
    pub(crate) blur: f64,
}

/// A random factor between 1 / (1 + `most`) and 1 + `most`; its logarithm is uniform.
pub(crate) fn symmetric(rng: &mut ChaCha8Rng, most: f64) -> f64 {
    libm::exp((2.0 * rng.random::<f64>() - 1.0) * libm::log1p(most))
}

/// Changes the intensities of an image of shape (height, width, channels) in [-1, 1]. Where nothing is asked for, no bit changes. All
/// numbers are drawn if one change is asked for, so that each change is the same with and without the others.
pub(crate) fn change(image: &mut [f32], size: [usize; 2], channels: usize, tone: &Tone, key: [u64; 3]) {
    if [tone.contrast, tone.brightness, tone.colour, tone.blur].iter().all(|&most| most == 0.0) {
        return;
    }
    let mut seed = [0u8; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip([key[0], key[1], key[2], PURPOSE]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(seed);
    let factor = symmetric(&mut rng, tone.contrast);
    let mut within = |most: f64| (2.0 * rng.random::<f64>() - 1.0) * most;
    let brightness = within(tone.brightness);
    let mut shifts = [0.0; 3].map(|_: f64| within(tone.colour));
    let (is_blurred, deviation) = (rng.random::<bool>(), rng.random::<f64>() * tone.blur);
    if channels == 1 {
        shifts = [0.0; 3];
    }
    let mean = image.iter().map(|&value| f64::from(value)).sum::<f64>() / image.len().max(1) as f64;
    for pixel in image.chunks_exact_mut(channels) {
        for (value, shift) in pixel.iter_mut().zip(shifts) {
            *value = (mean + factor * (f64::from(*value) - mean) + brightness + shift).clamp(-1.0, 1.0) as f32;
        }
    }
    if is_blurred {
        image.copy_from_slice(&blur(image, size, channels, deviation));
    }
}
