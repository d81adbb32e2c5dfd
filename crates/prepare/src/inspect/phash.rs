//! A perceptual hash: 64 bits of which few change when a picture is scaled, brightened or compressed again.

use std::f64::consts::PI;
use std::sync::LazyLock;

use pig_data::resample::resize_image;

/// Pictures are reduced to this side first.
const SIDE: usize = 32;

/// How many of the lowest frequencies in each direction form the hash.
const FREQUENCIES: usize = 8;

/// cos(pi (2 x + 1) u / 64) by u and x: the rows of the DCT-II.
static COSINES: LazyLock<[[f64; SIDE]; FREQUENCIES]> = LazyLock::new(|| {
    std::array::from_fn(|u| std::array::from_fn(|x| (PI * (2 * x + 1) as f64 * u as f64 / (2 * SIDE) as f64).cos()))
});

/// The hash of a picture of `size` = (height, width): each of its lowest 8 x 8 DCT coefficients at 32 x 32 pixels is compared
/// with the median of these coefficients without the first (the mean). The fewer bits differ, the more alike two pictures are.
pub fn perceptual_hash(values: &[f32], size: [usize; 2]) -> u64 {
    hash_of(&resize_image(values, size, [SIDE, SIDE], 1))
}

/// A picture in few bytes, by which near-duplicates are found: the hash finds candidates, and the small picture tells them from pictures
/// that merely have the same layout, as all pictures of an endoscope do.
#[derive(Debug, Clone)]
pub struct Fingerprint {
    /// The perceptual hash.
    pub hash: u64,
    /// The picture at 32 x 32, in 8 bits.
    small: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint of a picture of `size` = (height, width) with values from 0 to 1.
    pub fn of(values: &[f32], size: [usize; 2]) -> Self {
        let small = resize_image(values, size, [SIDE, SIDE], 1);
        let byte = |value: &f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        Self { hash: hash_of(&small), small: small.iter().map(byte).collect() }
    }

    /// Pearson's correlation of the two small pictures. Two flat pictures correlate fully, and a flat one not at all with any other.
    pub fn correlation(&self, other: &Self) -> f64 {
        let count = self.small.len() as f64;
        let mean = |values: &[u8]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let (mine, theirs) = (mean(&self.small), mean(&other.small));
        let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
        for (&a, &b) in self.small.iter().zip(&other.small) {
            let (a, b) = (f64::from(a) - mine, f64::from(b) - theirs);
            (both, first, second) = (both + a * b, first + a * a, second + b * b);
        }
        match (first > 0.0, second > 0.0) {
            (true, true) => both / (first * second).sqrt(),
            (false, false) => 1.0,
            _ => 0.0,
        }
    }
}

fn hash_of(small: &[f32]) -> u64 {
    let cosines = &*COSINES;
    // Rows first, then columns.
    let rows: Vec<[f64; FREQUENCIES]> = small
        .chunks_exact(SIDE)
        .map(|row| {
            std::array::from_fn(|u| row.iter().zip(&cosines[u]).map(|(&value, cosine)| f64::from(value) * cosine).sum())
        })
        .collect();
    let coefficients: Vec<f64> = (0..FREQUENCIES * FREQUENCIES)
        .map(|index| {
            let (v, u) = (index / FREQUENCIES, index % FREQUENCIES);
            rows.iter().zip(&cosines[v]).map(|(row, cosine)| row[u] * cosine).sum()
        })
        .collect();
    let mut sorted = coefficients[1..].to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    coefficients.iter().fold(0, |hash, &coefficient| hash << 1 | u64::from(coefficient > median))
}

/// How many bits of two hashes differ.
pub fn distance(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(size: [usize; 2], phase: f32) -> Vec<f32> {
        (0..size[0] * size[1])
            .map(|index| {
                let (y, x) = ((index / size[1]) as f32 / size[0] as f32, (index % size[1]) as f32 / size[1] as f32);
                0.5 + 0.2 * (7.0 * x + phase).sin() + 0.2 * (5.0 * y * x - 2.0 * phase).cos() + 0.1 * (11.0 * y).sin()
            })
            .collect()
    }

    #[test]
    fn scaling_and_brightness_change_little_and_another_picture_much() {
        let hash = perceptual_hash(&picture([300, 400], 0.3), [300, 400]);
        let scaled = perceptual_hash(&picture([140, 220], 0.3), [140, 220]);
        assert!(distance(hash, scaled) <= 2, "{}", distance(hash, scaled));
        let brighter: Vec<f32> = picture([300, 400], 0.3).iter().map(|value| 0.6 * value + 0.3).collect();
        assert!(distance(hash, perceptual_hash(&brighter, [300, 400])) <= 2);
        let other = perceptual_hash(&picture([300, 400], 2.9), [300, 400]);
        assert!(distance(hash, other) >= 16, "{}", distance(hash, other));
    }

    #[test]
    fn correlation_is_that_of_pearson() {
        let size = [32, 32];
        let of = |value: &dyn Fn(usize) -> f32| Fingerprint::of(&(0..1024).map(value).collect::<Vec<_>>(), size);
        // The picture has its own size, so nothing is resized: black and white halves, and quarters of them.
        let halves = of(&|index| if index % 32 < 16 { 1.0 } else { 0.0 });
        let dimmed = of(&|index| if index % 32 < 16 { 0.6 } else { 0.2 });
        let inverse = of(&|index| if index % 32 < 16 { 0.0 } else { 1.0 });
        let across = of(&|index| if index < 512 { 1.0 } else { 0.0 });
        let flat = of(&|_| 0.5);
        for (other, expected) in [(&halves, 1.0), (&dimmed, 1.0), (&inverse, -1.0), (&across, 0.0), (&flat, 0.0)] {
            assert!((halves.correlation(other) - expected).abs() < 1e-12);
        }
        assert_eq!(flat.correlation(&flat), 1.0);
    }
}
