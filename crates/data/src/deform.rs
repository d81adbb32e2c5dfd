//! Random changes for training a segmenter: flips, rotation, scale, shift, elastic deformation, gamma, noise, contrast, brightness, colour,
//! blur.
//!
//! The same map moves image and mask. The image is interpolated linearly and repeats its edge outside; the mask takes the nearest
//! pixel and is background outside. What changes intensities changes only the image.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::classes::mask_channels;
use crate::error::{DataError, Result};
use crate::tone::{Tone, change, symmetric};

/// Control points of the elastic deformation on each axis, as in Ronneberger et al. (2015).
const GRID: usize = 3;

/// The `[segment.augment]` section: random changes in the training of a segmenter, the same for real and generated pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeformConfig {
    /// Mirrors left and right with probability one half.
    pub horizontal_flip: bool,
    /// Mirrors top and bottom with probability one half.
    pub vertical_flip: bool,
    /// The greatest rotation to either side, in degrees.
    pub rotation: f64,
    /// The greatest enlargement or reduction: the factor lies between 1 / (1 + scale) and 1 + scale; its logarithm is uniform.
    pub scale: f64,
    /// The greatest shift in each direction as a fraction of the side.
    pub shift: f64,
    /// Standard deviation of the displacements on a grid of 3 x 3 as a fraction of the side; cubic B-splines smooth them in between.
    /// Ronneberger et al. (2015) use 10 pixels at 512.
    pub elastic: f64,
    /// Intensities, scaled to 0 to 1, are raised to a power between 1 / (1 + gamma) and 1 + gamma; its logarithm is uniform.
    pub gamma: f64,
    /// The greatest standard deviation of the noise on each pixel, for intensities from -1 to 1; it is drawn uniformly from 0 to this.
    pub noise: f64,
    /// Differences from the image's mean are multiplied by a factor between 1 / (1 + contrast) and 1 + contrast; its logarithm is uniform.
    pub contrast: f64,
    /// The greatest value that is added to all intensities, from -1 to 1.
    pub brightness: f64,
    /// The greatest value that is added to each channel of an image in colour, drawn for each channel.
    pub colour: f64,
    /// The greatest standard deviation of a Gaussian blur in pixels; every second image is blurred.
    pub blur: f64,
}

impl Default for DeformConfig {
    fn default() -> Self {
        Self {
            horizontal_flip: true,
            vertical_flip: false,
            rotation: 15.0,
            scale: 0.15,
            shift: 0.05,
            elastic: 0.02,
            gamma: 0.3,
            noise: 0.05,
            contrast: 0.0,
            brightness: 0.0,
            colour: 0.0,
            blur: 0.0,
        }
    }
}

impl DeformConfig {
    /// No changes.
    #[must_use]
    pub fn none() -> Self {
        Self {
            horizontal_flip: false,
            vertical_flip: false,
            rotation: 0.0,
            scale: 0.0,
            shift: 0.0,
            elastic: 0.0,
            gamma: 0.0,
            noise: 0.0,
            contrast: 0.0,
            brightness: 0.0,
            colour: 0.0,
            blur: 0.0,
        }
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// When a strength is negative, not finite or above its maximum.
    pub fn check(&self) -> Result<()> {
        let bounds = [
            ("rotation", self.rotation, 180.0, "degrees from 0 to 180"),
            ("scale", self.scale, 4.0, "0 to 4"),
            ("shift", self.shift, 0.5, "a fraction from 0 to 0.5"),
            ("elastic", self.elastic, 0.5, "a fraction from 0 to 0.5"),
            ("gamma", self.gamma, 4.0, "0 to 4"),
            ("noise", self.noise, 2.0, "0 to 2"),
            ("contrast", self.contrast, 4.0, "0 to 4"),
            ("brightness", self.brightness, 2.0, "0 to 2"),
            ("colour", self.colour, 2.0, "0 to 2"),
            ("blur", self.blur, 16.0, "pixels from 0 to 16"),
        ];
        for (name, value, most, expected) in bounds {
            if !(0.0..=most).contains(&value) {
                return Err(DataError::InvalidStrength { key: name, found: value, expected });
            }
        }
        Ok(())
    }
}

/// What [`deform`] did, but for mirroring, elastic deformation, noise, and what changes the tone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deformed {
    /// The rotation in radians.
    pub angle: f64,
    /// The enlargement.
    pub factor: f64,
    /// Pixels by which the content moved down and right.
    pub shift: [f64; 2],
    /// The power to which intensities were raised.
    pub exponent: f64,
}

/// Changes `image` of shape (height, width, channels), in [-1, 1], and `mask` of shape (height, width, classes), -1 or +1, in place. Returns
/// what was changed.
///
/// The draw depends on `key` alone, for example (seed, position in the training, purpose). All numbers of the map are drawn whatever
/// the configuration says, so enabling one change does not alter the others.
///
/// # Panics
/// When the lengths of `image` and `mask` do not fit `size` and `channels`.
pub fn deform(
    image: &mut [f32],
    mask: &mut [f32],
    size: [usize; 2],
    channels: usize,
    config: &DeformConfig,
    key: [u64; 3],
) -> Deformed {
    assert_eq!(image.len(), size[0] * size[1] * channels, "the image does not fit size and channels");
    let classes = mask_channels(image.len(), mask.len(), size[0] * size[1], channels);
    let mut seed = [0u8; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(key) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(seed);
    let map = Map::draw(size, config, &mut rng);
    if !map.is_identity() {
        let (old_image, old_mask) = (image.to_vec(), mask.to_vec());
        let pixels = image.chunks_exact_mut(channels).zip(mask.chunks_exact_mut(classes));
        for (index, (pixel, lesion)) in pixels.enumerate() {
            let at = map.source([index / size[1], index % size[1]]);
            interpolate(&old_image, size, at, pixel);
            match nearest(size, at) {
                Some(from) => lesion.copy_from_slice(&old_mask[from * classes..(from + 1) * classes]),
                None => lesion.fill(-1.0),
            }
        }
    }
    let exponent = symmetric(&mut rng, config.gamma);
    let deviation = rng.random::<f64>() * config.noise;
    if exponent != 1.0 {
        for value in image.iter_mut() {
            let unit = f64::from(value.clamp(-1.0, 1.0) + 1.0) / 2.0;
            *value = (2.0 * libm::pow(unit, exponent) - 1.0) as f32;
        }
    }
    if deviation > 0.0 {
        for value in image.iter_mut() {
            *value = (f64::from(*value) + deviation * normal(&mut rng)).clamp(-1.0, 1.0) as f32;
        }
    }
    let DeformConfig { contrast, brightness, colour, blur, .. } = *config;
    change(image, size, channels, &Tone { contrast, brightness, colour, blur }, key);
    Deformed { angle: libm::atan2(map.rotation.0, map.rotation.1), factor: map.factor, shift: map.shift, exponent }
}

/// Where an output pixel comes from.
struct Map {
    size: [usize; 2],
    /// -1 for a mirrored axis, else 1.
    signs: [f64; 2],
    /// Sine and cosine of the rotation.
    rotation: (f64, f64),
    /// The enlargement.
    factor: f64,
    /// Pixels by which the content moves.
    shift: [f64; 2],
    /// Displacements in pixels at the control points, row by row.
    grid: [[f64; 2]; GRID * GRID],
}

impl Map {
    fn draw(size: [usize; 2], config: &DeformConfig, rng: &mut ChaCha8Rng) -> Self {
        let [horizontal, vertical]: [bool; 2] = [rng.random(), rng.random()];
        let sign = |flipped| if flipped { -1.0 } else { 1.0 };
        let angle = (2.0 * rng.random::<f64>() - 1.0) * config.rotation.to_radians();
        let factor = symmetric(rng, config.scale);
        let shift = size.map(|side| (2.0 * rng.random::<f64>() - 1.0) * config.shift * side as f64);
        let grid = std::array::from_fn(|_| size.map(|side| normal(rng) * config.elastic * side as f64));
        Self {
            size,
            signs: [sign(vertical && config.vertical_flip), sign(horizontal && config.horizontal_flip)],
            rotation: (libm::sin(angle), libm::cos(angle)),
            factor,
            shift,
            grid,
        }
    }

    fn is_identity(&self) -> bool {
        self.signs == [1.0; 2]
            && self.rotation == (0.0, 1.0)
            && self.factor == 1.0
            && self.shift.iter().chain(self.grid.iter().flatten()).all(|&pixels| pixels == 0.0)
    }

    /// The source of a pixel: row and column in the old picture, where pixel centres are whole numbers.
    fn source(&self, [row, column]: [usize; 2]) -> [f64; 2] {
        let centre = self.size.map(|side| (side as f64 - 1.0) / 2.0);
        let displacement = self.displacement([row, column]);
        let (y, x) = (row as f64 - centre[0] - self.shift[0], column as f64 - centre[1] - self.shift[1]);
        let (sine, cosine) = self.rotation;
        let turned = [cosine * y - sine * x, sine * y + cosine * x];
        [0, 1].map(|axis| centre[axis] + self.signs[axis] * turned[axis] / self.factor + displacement[axis])
    }

    /// The cubic B-spline of the grid. The grid's corners lie on the picture's corners, and its border is repeated outside.
    fn displacement(&self, position: [usize; 2]) -> [f64; 2] {
        let weights = [0, 1].map(|axis| {
            let span = (self.size[axis].max(2) - 1) as f64;
            spline_weights(position[axis] as f64 / span * (GRID - 1) as f64)
        });
        let mut sum = [0.0; 2];
        for (row, &vertical) in weights[0].iter().enumerate() {
            for (column, &horizontal) in weights[1].iter().enumerate() {
                let point = self.grid[row * GRID + column];
                sum = [sum[0] + vertical * horizontal * point[0], sum[1] + vertical * horizontal * point[1]];
            }
        }
        sum
    }
}

/// Weights of the control points for a position from 0 to `GRID - 1`; they sum to 1.
fn spline_weights(place: f64) -> [f64; GRID] {
    let mut weights = [0.0; GRID];
    let first = place.floor() as isize - 1;
    for offset in 0..4 {
        let distance = (place - (first + offset) as f64).abs();
        let weight = if distance < 1.0 {
            2.0 / 3.0 - distance * distance + distance.powi(3) / 2.0
        } else {
            (2.0 - distance).max(0.0).powi(3) / 6.0
        };
        weights[(first + offset).clamp(0, GRID as isize - 1) as usize] += weight;
    }
    weights
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    libm::sqrt(-2.0 * libm::log(1.0 - radius)) * libm::cos(std::f64::consts::TAU * angle)
}

/// Linear interpolation at a position; outside the picture, the edge is repeated.
fn interpolate(values: &[f32], size: [usize; 2], at: [f64; 2], pixel: &mut [f32]) {
    let channels = pixel.len();
    let [(top, bottom, down), (left, right, along)] = [0, 1].map(|axis| {
        let place = at[axis].clamp(0.0, (size[axis] - 1) as f64);
        let below = place.floor() as usize;
        (below, (below + 1).min(size[axis] - 1), place - below as f64)
    });
    for (channel, value) in pixel.iter_mut().enumerate() {
        let read = |row: usize, column: usize| f64::from(values[(row * size[1] + column) * channels + channel]);
        let upper = read(top, left) + along * (read(top, right) - read(top, left));
        let lower = read(bottom, left) + along * (read(bottom, right) - read(bottom, left));
        *value = (upper + down * (lower - upper)) as f32;
    }
}

/// The position of the nearest pixel of a picture; none outside of it.
fn nearest(size: [usize; 2], at: [f64; 2]) -> Option<usize> {
    let [row, column] = at.map(f64::round);
    let inside = |place: f64, side: usize| place >= 0.0 && place < side as f64;
    (inside(row, size[0]) && inside(column, size[1])).then(|| row as usize * size[1] + column as usize)
}
