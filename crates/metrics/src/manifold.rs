//! Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020) of generated feature vectors.
//!
//! The manifold of a set is the union of balls around its vectors. The radius of a ball is the distance to the k-th nearest other vector
//! of the set. A vector on the surface of a ball is outside.

use faer::Mat;
use rayon::prelude::*;
use serde::Serialize;

use crate::features::{FeatureError, Features};

/// The four measures, which are shares from 0 to 1; density can exceed 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Manifold {
    /// The share of generated vectors inside the real manifold: a measure of fidelity.
    pub precision: f64,
    /// The share of real vectors inside the generated manifold: a measure of diversity.
    pub recall: f64,
    /// The mean number of real balls that contain a generated vector, divided by k: a measure of fidelity that is less sensitive to
    /// outliers in the real set.
    pub density: f64,
    /// The share of real balls that contain a generated vector: a measure of diversity that is less sensitive to outliers in the
    /// generated set.
    pub coverage: f64,
    /// k in the definition of the balls.
    pub nearest_k: usize,
}

/// The usual k for density and coverage.
pub const NEAREST_K: usize = 5;

/// Compares generated vectors with real ones; each set needs more than `nearest_k` vectors, and `nearest_k` is at least 1.
pub fn manifold(real: &Features, generated: &Features, nearest_k: usize) -> Result<Manifold, FeatureError> {
    let nearest_k = nearest_k.max(1);
    real.check_with(generated, nearest_k + 1)?;
    let (real_radii, generated_radii) = (radii(real, nearest_k), radii(generated, nearest_k));
    let between = squared_distances(real, generated);
    let (reals, count) = (real.count(), generated.count());
    let balls = |column: usize| (0..reals).filter(|&row| between[(row, column)] < real_radii[row]).count();
    let balls: Vec<usize> = (0..count).map(balls).collect();
    let recalled = (0..reals).filter(|&row| (0..count).any(|column| between[(row, column)] < generated_radii[column]));
    let covered = (0..reals).filter(|&row| (0..count).any(|column| between[(row, column)] < real_radii[row]));
    Ok(Manifold {
        precision: balls.iter().filter(|&&balls| balls > 0).count() as f64 / count as f64,
        recall: recalled.count() as f64 / reals as f64,
        density: balls.iter().sum::<usize>() as f64 / (nearest_k * count) as f64,
        coverage: covered.count() as f64 / reals as f64,
        nearest_k,
    })
}

/// The squared distance of every vector to its k-th nearest other vector.
fn radii(features: &Features, nearest_k: usize) -> Vec<f64> {
    let distances = squared_distances(features, features);
    (0..features.count())
        .into_par_iter()
        .map(|row| {
            let mut others: Vec<f64> =
                (0..features.count()).filter(|&other| other != row).map(|other| distances[(row, other)]).collect();
            *others.select_nth_unstable_by(nearest_k - 1, f64::total_cmp).1
        })
        .collect()
}

/// The squared Euclidean distances, summed term by term, because products would cancel if vectors are close to each other.
fn squared_distances(a: &Features, b: &Features) -> Mat<f64> {
    let columns: Vec<Vec<f64>> = (0..b.count())
        .into_par_iter()
        .map(|column| {
            let to = b.vector(column);
            a.vectors().map(|from| from.iter().zip(to).map(|(x, y)| (x - y) * (x - y)).sum()).collect()
        })
        .collect();
    Mat::from_fn(a.count(), b.count(), |row, column| columns[column][row])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Features {
        Features::new(values.to_vec(), 1).unwrap()
    }

    /// On a line with k = 1: the real vectors 0, 1, 2, 10 have radii 1, 1, 1, 8; the generated vectors 0.5, 0.6, 20 have radii 0.1,
    /// 0.1, 19.4.
    #[test]
    fn counted_by_hand_on_a_line() {
        let found = manifold(&line(&[0.0, 1.0, 2.0, 10.0]), &line(&[0.5, 0.6, 20.0]), 1).unwrap();
        assert_eq!(found.precision, 2.0 / 3.0);
        // 10, 1 and 2 lie within 19.4 of 20 (at 10, 19 and 18); 0 does not.
        assert_eq!(found.recall, 3.0 / 4.0);
        // 0.5 and 0.6 lie in the balls of 0 and 1, but not in those of 2 and 10, which begin at 1 and at 2.
        assert_eq!(found.density, 4.0 / 3.0);
        assert_eq!(found.coverage, 2.0 / 4.0);
    }

    #[test]
    fn too_few_vectors_are_refused() {
        let error = manifold(&line(&[0.0, 1.0, 2.0]), &line(&[0.0, 1.0, 2.0]), 3).unwrap_err();
        assert_eq!(error, FeatureError::TooFew { found: 3, needed: 4 });
    }
}
