//! The Frechet distance between two sets of feature vectors, treated as Gaussians (Heusel et al. 2017, eq. 6), and its
//! extrapolation to infinite sets (Chong and Forsyth 2020).

use faer::{Mat, Side};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::features::{FeatureError, Features};

/// With fewer images than this in either set, the upward bias can be as large as the distance. It is the smallest number that the
/// authors of the measure recommend with their code.
pub const FEW_IMAGES: usize = 10_000;

/// With fewer images than this in either set, the extrapolation's own error is larger than the bias that it removes: two halves of one
/// set of thirty each give -6 to -13 in place of 0.
pub const EXTRAPOLATE_FROM: usize = 1_000;

/// The mean and the covariance of a set of feature vectors.
#[derive(Debug, Clone)]
pub struct FeatureStatistics {
    mean: Vec<f64>,
    spread: Spread,
}

/// A covariance in the form that is cheaper and more accurate.
#[derive(Debug, Clone)]
enum Spread {
    /// A matrix R with the covariance R^T R: its rows are the centred vectors divided by sqrt(n - 1). Used for n up to the width.
    Root(Mat<f64>),
    /// The covariance itself.
    Covariance(Mat<f64>),
}

impl FeatureStatistics {
    /// The statistics of at least two vectors. The covariance divides by n - 1.
    pub fn new(features: &Features) -> Result<Self, FeatureError> {
        let (count, width) = (features.count(), features.width());
        features.check_with(features, 2)?;
        let mut mean = vec![0.0; width];
        for vector in features.vectors() {
            mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        }
        for sum in &mut mean {
            *sum /= count as f64;
        }
        let scale = 1.0 / ((count - 1) as f64).sqrt();
        let root = Mat::from_fn(count, width, |row, column| (features.vector(row)[column] - mean[column]) * scale);
        let spread = if count <= width { Spread::Root(root) } else { Spread::Covariance(root.transpose() * &root) };
        Ok(Self { mean, spread })
    }

    /// Statistics in the form of files: the mean, and the row-major covariance of mean.len() x mean.len() values.
    pub fn from_parts(mean: Vec<f64>, covariance: &[f64]) -> Result<Self, FeatureError> {
        let width = mean.len();
        if width == 0 || covariance.len() != width * width {
            return Err(FeatureError::Ragged { values: covariance.len(), width });
        }
        if mean.iter().chain(covariance).any(|value| !value.is_finite()) {
            return Err(FeatureError::NoConvergence);
        }
        let covariance = Mat::from_fn(width, width, |row, column| covariance[row * width + column]);
        Ok(Self { mean, spread: Spread::Covariance(covariance) })
    }

    /// The mean, one value per feature.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance, row-major, width x width. Cached statistics of other tools contain it together with the mean.
    #[must_use]
    pub fn covariance(&self) -> Vec<f64> {
        let covariance = match &self.spread {
            Spread::Root(root) => &(root.transpose() * root),
            Spread::Covariance(covariance) => covariance,
        };
        let width = self.mean.len();
        (0..width * width).map(|index| covariance[(index / width, index % width)]).collect()
    }

    fn trace(&self) -> f64 {
        match &self.spread {
            Spread::Root(root) => root.squared_norm_l2(),
            Spread::Covariance(covariance) => covariance.diagonal().column_vector().iter().sum(),
        }
    }
}

/// |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in squared units of the features.
///
/// It is also exact for covariances without full rank (fewer vectors than values): the trace of the root is the sum of the singular
/// values of R_a R_b^T, where C = R^T R, so nothing is inverted or regularised. The estimate from few vectors is biased upwards
/// ([`frechet_infinity`]).
pub fn frechet_distance(a: &FeatureStatistics, b: &FeatureStatistics) -> Result<f64, FeatureError> {
    if a.mean.len() != b.mean.len() {
        return Err(FeatureError::Widths { a: a.mean.len(), b: b.mean.len() });
    }
    let shift: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b) * (a - b)).sum();
    Ok(shift + a.trace() + b.trace() - 2.0 * root_trace(&a.spread, &b.spread)?)
}

/// tr((C_a C_b)^(1/2)).
fn root_trace(a: &Spread, b: &Spread) -> Result<f64, FeatureError> {
    match (a, b) {
        (Spread::Root(a), Spread::Root(b)) => {
            let values = (a * b.transpose()).singular_values().map_err(|_| FeatureError::NoConvergence)?;
            Ok(values.iter().sum())
        }
        (Spread::Root(root), Spread::Covariance(covariance)) | (Spread::Covariance(covariance), Spread::Root(root)) => {
            root_trace_of_product(root, covariance)
        }
        (Spread::Covariance(a), Spread::Covariance(b)) => root_trace_of_product(&root_of(a)?, b),
    }
}

/// A root R of a covariance R^T R, from its eigenvectors.
fn root_of(covariance: &Mat<f64>) -> Result<Mat<f64>, FeatureError> {
    let width = covariance.nrows();
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(|_| FeatureError::NoConvergence)?;
    // Because of rounding, eigenvalues of a singular covariance can be slightly below zero.
    let roots: Vec<f64> = eigen.S().column_vector().iter().map(|value| value.max(0.0).sqrt()).collect();
    let u = eigen.U();
    Ok(Mat::from_fn(width, width, |row, column| roots[row] * u[(column, row)]))
}

/// tr((R^T R C)^(1/2)): the matrix R C R^T has the same non-zero eigenvalues as R^T R C.
fn root_trace_of_product(root: &Mat<f64>, covariance: &Mat<f64>) -> Result<f64, FeatureError> {
    let product = root * covariance * root.transpose();
    let values = product.self_adjoint_eigenvalues(Side::Lower).map_err(|_| FeatureError::NoConvergence)?;
    Ok(values.iter().map(|value| value.max(0.0).sqrt()).sum())
}

/// Settings of [`frechet_infinity`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extrapolation {
    /// The number of subset sizes, evenly spaced in 1 / size from the whole set down to half of it.
    pub sizes: usize,
    /// The number of random subsets of each size; their distances are averaged.
    pub repeats: usize,
    /// The seed of the subsets.
    pub seed: u64,
}

impl Default for Extrapolation {
    fn default() -> Self {
        Self { sizes: 5, repeats: 8, seed: 0 }
    }
}

/// The Frechet distance extrapolated to infinite sets: the intercept of a line through the distances of random subsets over 1 / size.
///
/// For each set the bias is proportional to 1 / n to first order (Chong and Forsyth, CVPR 2020). Both sets are reduced by the same
/// factor here, so that one line removes both biases. The intercept can be slightly below zero for equal distributions. With fewer
/// vectors than features, higher orders matter: the bias becomes smaller, but does not disappear.
///
/// Each set needs at least four vectors.
pub fn frechet_infinity(a: &Features, b: &Features, settings: &Extrapolation) -> Result<f64, FeatureError> {
    a.check_with(b, 4)?;
    let sizes = settings.sizes.max(2);
    let draws: Vec<(f64, u64)> = (0..sizes)
        .flat_map(|step| {
            let inverse = 1.0 + step as f64 / (sizes - 1) as f64;
            // There is only one subset with the size of the whole set.
            let repeats = if step == 0 { 1 } else { settings.repeats.max(1) };
            (0..repeats).map(move |repeat| (inverse, (step * settings.repeats.max(1) + repeat) as u64))
        })
        .collect();
    let distances: Vec<(f64, f64)> = draws
        .par_iter()
        .map(|&(inverse, stream)| {
            let subset = |features: &Features, which: u64| {
                let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
                rng.set_stream(2 * stream + which);
                let mut order: Vec<usize> = (0..features.count()).collect();
                order.shuffle(&mut rng);
                order.truncate(((features.count() as f64 / inverse).round() as usize).max(2));
                FeatureStatistics::new(&features.select(&order))
            };
            Ok((inverse, frechet_distance(&subset(a, 0)?, &subset(b, 1)?)?))
        })
        .collect::<Result<_, FeatureError>>()?;
    Ok(intercept(&mean_by_size(&distances)))
}

/// The mean distance for each size, in the order of `draws`.
fn mean_by_size(draws: &[(f64, f64)]) -> Vec<(f64, f64)> {
    draws
        .chunk_by(|a, b| a.0 == b.0)
        .map(|same| (same[0].0, same.iter().map(|(_, y)| y).sum::<f64>() / same.len() as f64))
        .collect()
}

/// The value at 0 of the least-squares line through the points.
fn intercept(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>()
        / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    y - slope * x
}

#[cfg(test)]
mod tests;
