//! The multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) between images of one set. If generated images are more
//! similar to each other than real images are, the generator has lost diversity.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

/// The exponents of the scales, the finest scale first (from Wang, Simoncelli and Bovik).
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// The width of the Gaussian window, and its standard deviation, in pixels.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
/// Constants that keep quotients finite, relative to the range of intensities.
const K: [f64; 2] = [0.01, 0.03];

/// The similarity between the images of a set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Diversity {
    /// The mean similarity over pairs, from 0 to 1; a lower value means more diversity.
    pub mean: f64,
    /// The number of compared pairs.
    pub pairs: usize,
    /// The number of scales.
    pub scales: usize,
}

/// The number of scales for images of this size: at most five, and so many that the window fits into the coarsest scale; 0 if the
/// window does not fit at all. With fewer than five scales, the weights are scaled to sum to 1.
#[must_use]
pub fn scales(height: usize, width: usize) -> usize {
    (1..=WEIGHTS.len()).rev().find(|scale| height.min(width) >> (scale - 1) >= WINDOW).unwrap_or(0)
}

/// The MS-SSIM of two row-major `height x width` images with intensities from 0 to 1, over the first `scales` scales. A negative
/// similarity of structure counts as 0.
///
/// # Panics
///
/// When an image does not have `height * width` values or the window does not fit: mistakes of the calling code.
#[must_use]
pub fn ms_ssim(a: &[f32], b: &[f32], height: usize, width: usize, scales: usize) -> f64 {
    assert!(a.len() == height * width && b.len() == a.len(), "both images must have height * width values");
    assert!((1..=self::scales(height, width)).contains(&scales), "the window must fit into every scale");
    let widen = |image: &[f32]| image.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (mut a, mut b, mut size) = (widen(a), widen(b), [height, width]);
    let total: f64 = WEIGHTS[..scales].iter().sum();
    let mut product = 1.0;
    for (scale, weight) in WEIGHTS[..scales].iter().enumerate() {
        let [similarity, structure] = similarity(&a, &b, size);
        let last = scale + 1 == scales;
        product *= (if last { similarity } else { structure }).max(0.0).powf(weight / total);
        if !last {
            let smaller;
            (a, smaller) = halve(&a, size);
            (b, size) = (halve(&b, size).0, smaller);
        }
    }
    product
}

/// The means over the image of the similarity, and of its factor for contrast and structure.
fn similarity(a: &[f64], b: &[f64], size: [usize; 2]) -> [f64; 2] {
    let [c1, c2] = K.map(|k| k * k);
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).collect::<Vec<_>>();
    let blurred = [
        blur(a, size),
        blur(b, size),
        blur(&product(a, a), size),
        blur(&product(b, b), size),
        blur(&product(a, b), size),
    ];
    let [mean_a, mean_b, aa, bb, ab] = &blurred;
    let count = mean_a.len() as f64;
    let mut sums = [0.0; 2];
    for ((((ma, mb), aa), bb), ab) in mean_a.iter().zip(mean_b).zip(aa).zip(bb).zip(ab) {
        let structure = (2.0 * (ab - ma * mb) + c2) / (aa - ma * ma + bb - mb * mb + c2);
        sums[0] += (2.0 * ma * mb + c1) / (ma * ma + mb * mb + c1) * structure;
        sums[1] += structure;
    }
    sums.map(|sum| sum / count)
}

/// Applies the Gaussian window without padding: each side becomes smaller by the width of the window minus one.
fn blur(image: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let centre = (WINDOW / 2) as f64;
    let weights: Vec<f64> = (0..WINDOW).map(|i| (-(i as f64 - centre).powi(2) / (2.0 * SIGMA * SIGMA)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let (rows, columns) = (height - WINDOW + 1, width - WINDOW + 1);
    let along =
        |value: &dyn Fn(usize) -> f64| weights.iter().enumerate().map(|(i, w)| w * value(i)).sum::<f64>() / total;
    let narrow: Vec<f64> = (0..height * columns)
        .map(|at| (at / columns * width) + at % columns)
        .map(|first| along(&|i| image[first + i]))
        .collect();
    (0..rows * columns).map(|at| along(&|i| narrow[at + i * columns])).collect()
}

/// The means of two by two pixels; an odd side is padded with zeros at its start, as in pytorch-msssim.
fn halve(image: &[f64], [height, width]: [usize; 2]) -> (Vec<f64>, [usize; 2]) {
    let pad = [height % 2, width % 2];
    let size = [height.div_ceil(2), width.div_ceil(2)];
    let value = |row: usize, column: usize| match (row.checked_sub(pad[0]), column.checked_sub(pad[1])) {
        (Some(row), Some(column)) => image[row * width + column],
        _ => 0.0,
    };
    let mean = |at: usize| {
        let (row, column) = (2 * (at / size[1]), 2 * (at % size[1]));
        (value(row, column) + value(row + 1, column) + value(row, column + 1) + value(row + 1, column + 1)) / 4.0
    };
    ((0..size[0] * size[1]).map(mean).collect(), size)
}

/// The mean MS-SSIM over `pairs` random pairs of different images (with repetition). If groups are given, the images of a pair are
/// from different groups, because slices of one patient are similar for another reason. `None` if no such pair exists or the window
/// does not fit.
///
/// # Panics
///
/// When an image does not have `height * width` values, or `groups` has another length than `images`: mistakes of the calling code.
#[must_use]
pub fn diversity(
    images: &[&[f32]],
    groups: Option<&[usize]>,
    height: usize,
    width: usize,
    pairs: usize,
    seed: u64,
) -> Option<Diversity> {
    let scales = scales(height, width);
    let apart = |i: usize, j: usize| i != j && groups.is_none_or(|groups| groups[i] != groups[j]);
    let exists = (1..images.len()).any(|i| apart(0, i)) || (2..images.len()).any(|i| apart(1, i));
    if scales == 0 || pairs == 0 || !exists {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // u32, because draws of a usize depend on its width on the machine.
    let mut draw = || rng.random_range(0..images.len() as u32) as usize;
    let chosen: Vec<(usize, usize)> =
        std::iter::repeat_with(|| (draw(), draw())).filter(|&(i, j)| apart(i, j)).take(pairs).collect();
    let values: Vec<f64> =
        chosen.par_iter().map(|&(i, j)| ms_ssim(images[i], images[j], height, width, scales)).collect();
    Some(Diversity { mean: values.iter().sum::<f64>() / pairs as f64, pairs, scales })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(seed: u32) -> Vec<f32> {
        (0..48 * 50_u32)
            .map(|i| ((i * 37 + seed * 1009) as f32 * 0.013 * (1 + seed) as f32).sin() * 0.5 + 0.5)
            .collect()
    }

    #[test]
    fn scales_fit_the_image() {
        assert_eq!([scales(176, 200), scales(64, 64), scales(11, 30), scales(10, 30)], [5, 3, 1, 0]);
    }

    #[test]
    fn equal_images_are_wholly_alike_and_order_does_not_matter() {
        let (a, b) = (image(1), image(2));
        assert!((ms_ssim(&a, &a, 48, 50, 3) - 1.0).abs() < 1e-12);
        let (ab, ba) = (ms_ssim(&a, &b, 48, 50, 3), ms_ssim(&b, &a, 48, 50, 3));
        assert!((ab - ba).abs() < 1e-12 && ab < 0.9, "{ab}");
    }

    #[test]
    fn copies_are_less_diverse_and_groups_are_not_compared_within() {
        let images: Vec<Vec<f32>> = (0..6).map(image).collect();
        let all: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
        let found = diversity(&all, None, 48, 50, 40, 0).unwrap();
        assert_eq!(found, diversity(&all, None, 48, 50, 40, 0).unwrap());
        let twice: Vec<&[f32]> = vec![&images[0], &images[0], &images[1], &images[1]];
        assert!(diversity(&twice, None, 48, 50, 40, 0).unwrap().mean > found.mean);
        let apart = diversity(&twice, Some(&[0, 0, 1, 1]), 48, 50, 40, 0).unwrap();
        assert!((apart.mean - ms_ssim(&images[0], &images[1], 48, 50, 3)).abs() < 1e-12);
        assert_eq!(diversity(&twice, Some(&[3, 3, 3, 3]), 48, 50, 40, 0), None);
        assert_eq!(diversity(&all[..1], None, 48, 50, 40, 0), None);
    }
}
