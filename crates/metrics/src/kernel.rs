//! The kernel distance between two sets of feature vectors (KID, Binkowski et al. 2018): the squared maximum mean discrepancy with the
//! kernel k(x, y) = (x . y / width + 1)^3. The estimate is unbiased: its expectation does not depend on the number of images.
//! Therefore it can be negative.

use faer::Mat;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::features::{FeatureError, Features};

/// The vectors from which the distance is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Subsets {
    /// All vectors of both sets.
    #[default]
    All,
    /// Random subsets of both sets, each drawn without replacement; the result is the mean and the standard deviation over them.
    Random {
        /// The number of subsets.
        count: usize,
        /// The number of vectors of each set in a subset.
        size: usize,
        /// The seed of the draws.
        seed: u64,
    },
}

/// A kernel distance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KernelDistance {
    /// The mean over subsets.
    pub mean: f64,
    /// The standard deviation over subsets (dividing by their number); `None` for one subset. It measures how much the subsets differ,
    /// not how accurate the mean is.
    pub std: Option<f64>,
}

/// The unbiased kernel distance between two sets with at least two vectors each.
pub fn kernel_distance(a: &Features, b: &Features, subsets: Subsets) -> Result<KernelDistance, FeatureError> {
    let needed = match subsets {
        Subsets::All => 2,
        Subsets::Random { size, .. } => size.max(2),
    };
    a.check_with(b, needed)?;
    let Subsets::Random { count, size, seed } = subsets else {
        return Ok(KernelDistance { mean: unbiased_mmd2(a, b), std: None });
    };
    let values: Vec<f64> = (0..count.max(1) as u64)
        .into_par_iter()
        .map(|stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            let mut subset = |features: &Features| {
                let mut order: Vec<usize> = (0..features.count()).collect();
                let (chosen, _) = order.partial_shuffle(&mut rng, size.max(2));
                features.select(chosen)
            };
            let (a, b) = (subset(a), subset(b));
            unbiased_mmd2(&a, &b)
        })
        .collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    Ok(KernelDistance { mean, std: (values.len() > 1).then(|| variance.sqrt()) })
}

fn unbiased_mmd2(a: &Features, b: &Features) -> f64 {
    let (m, n) = (a.count() as f64, b.count() as f64);
    let (a, b) = (a.matrix(), b.matrix());
    let within = |set: &Mat<f64>, count: f64| {
        let kernel = kernel(set, set);
        let diagonal: f64 = kernel.diagonal().column_vector().iter().sum();
        (kernel.sum() - diagonal) / (count * (count - 1.0))
    };
    within(&a, m) + within(&b, n) - 2.0 * kernel(&a, &b).sum() / (m * n)
}

fn kernel(a: &Mat<f64>, b: &Mat<f64>) -> Mat<f64> {
    let scale = 1.0 / a.ncols() as f64;
    let mut products = a * b.transpose();
    for column in products.col_iter_mut() {
        column.iter_mut().for_each(|value| *value = (*value * scale + 1.0).powi(3));
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(seed: f64, count: u32) -> Features {
        Features::new((0..count * 4).map(|i| (f64::from(i) * seed).sin()).collect(), 4).unwrap()
    }

    #[test]
    fn is_the_double_sum_of_the_definition() {
        let (a, b) = (features(0.37, 7), features(1.9, 5));
        let k = |x: &[f64], y: &[f64]| (x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / 4.0 + 1.0).powi(3);
        let sum = |a: &Features, b: &Features, skip: bool| {
            let pairs = (0..a.count()).flat_map(|i| (0..b.count()).map(move |j| (i, j)));
            pairs.filter(|(i, j)| !skip || i != j).map(|(i, j)| k(a.vector(i), b.vector(j))).sum::<f64>()
        };
        let expected = sum(&a, &a, true) / 42.0 + sum(&b, &b, true) / 20.0 - 2.0 * sum(&a, &b, false) / 35.0;
        let found = kernel_distance(&a, &b, Subsets::All).unwrap();
        assert!((found.mean - expected).abs() < 1e-12 && found.std.is_none(), "{found:?}, expected {expected}");
    }

    #[test]
    fn subsets_of_everything_are_everything_and_others_are_seeded() {
        let (a, b) = (features(0.37, 12), features(1.9, 12));
        let random = |count, size, seed| kernel_distance(&a, &b, Subsets::Random { count, size, seed }).unwrap();
        let all = kernel_distance(&a, &b, Subsets::All).unwrap();
        let whole = random(3, 12, 0);
        assert!((whole.mean - all.mean).abs() < 1e-12 && whole.std.unwrap() < 1e-12);
        assert_eq!(random(10, 5, 1), random(10, 5, 1));
        assert_ne!(random(10, 5, 1), random(10, 5, 2));
        // The mean over many subsets is the distance of the whole sets, because the estimate has no bias.
        let many = random(4000, 5, 3);
        let error = many.std.unwrap() / 4000.0_f64.sqrt();
        assert!((many.mean - all.mean).abs() < 4.0 * error, "{many:?}, of all vectors {all:?}");
        let error = kernel_distance(&a, &b, Subsets::Random { count: 1, size: 13, seed: 0 }).unwrap_err();
        assert_eq!(error, FeatureError::TooFew { found: 12, needed: 13 });
    }
}
