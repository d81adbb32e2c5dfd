//! The Frechet distance between two sets of feature vectors, seen as Gaussians (Heusel et al. 2017, eq. 6).

use faer::{Mat, Side};

/// Number, mean and covariance of a set of feature vectors.
#[derive(Debug, Clone)]
pub struct FeatureStatistics {
    count: usize,
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

/// What keeps a distance from being computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrechetError {
    /// A covariance needs two vectors.
    #[error("{found} feature vector(s), expected at least 2: give more images")]
    TooFew {
        /// Vectors given.
        found: usize,
    },
    /// Not a whole number of vectors, or a width of 0.
    #[error("{values} values do not make vectors of {width}")]
    Ragged {
        /// Values given.
        values: usize,
        /// Values of a vector.
        width: usize,
    },
    /// Features of different extractors.
    #[error("features of {a} and of {b} values cannot be compared; extract both with the same network and layer")]
    Widths {
        /// Width of the first set.
        a: usize,
        /// Width of the second set.
        b: usize,
    },
    /// Values that are not numbers.
    #[error("the eigenvalues of a covariance did not converge: the features hold values that are not finite")]
    NotFinite,
}

impl FeatureStatistics {
    /// Statistics of `features`, vectors of `width` values one after another. The covariance divides by n - 1.
    pub fn new(features: &[f64], width: usize) -> Result<Self, FrechetError> {
        if width == 0 || !features.len().is_multiple_of(width) {
            return Err(FrechetError::Ragged { values: features.len(), width });
        }
        let count = features.len() / width;
        if count < 2 {
            return Err(FrechetError::TooFew { found: count });
        }
        let mut mean = vec![0.0; width];
        for vector in features.chunks_exact(width) {
            mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        }
        for sum in &mut mean {
            *sum /= count as f64;
        }
        let centred = Mat::from_fn(count, width, |row, column| features[row * width + column] - mean[column]);
        let covariance = (centred.transpose() * &centred) * faer::Scale(1.0 / (count - 1) as f64);
        Ok(Self { count, mean, covariance })
    }

    /// How many vectors these are the statistics of.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in squared units of the features.
///
/// The trace of the root is the sum of the roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), which is symmetric, so it is
/// exact for covariances without full rank too (fewer vectors than values). The estimate from few vectors is biased upwards.
pub fn frechet_distance(a: &FeatureStatistics, b: &FeatureStatistics) -> Result<f64, FrechetError> {
    let width = a.mean.len();
    if width != b.mean.len() {
        return Err(FrechetError::Widths { a: width, b: b.mean.len() });
    }
    let shift: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b) * (a - b)).sum();
    let trace = |matrix: &Mat<f64>| (0..width).map(|i| matrix[(i, i)]).sum::<f64>();
    let eigen = a.covariance.self_adjoint_eigen(Side::Lower).map_err(|_| FrechetError::NotFinite)?;
    // Rounding leaves eigenvalues of a singular covariance a little below zero.
    let roots: Vec<f64> = eigen.S().column_vector().iter().map(|value| value.max(0.0).sqrt()).collect();
    let u = eigen.U();
    let scaled = Mat::from_fn(width, width, |row, column| u[(row, column)] * roots[column]);
    // In the basis of C_a's eigenvectors the product has the same eigenvalues.
    let product = scaled.transpose() * &b.covariance * &scaled;
    let values = product.self_adjoint_eigenvalues(Side::Lower).map_err(|_| FrechetError::NotFinite)?;
    let root_trace: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
    Ok(shift + trace(&a.covariance) + trace(&b.covariance) - 2.0 * root_trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(mean: &[f64], covariance: Mat<f64>) -> FeatureStatistics {
        FeatureStatistics { count: 10, mean: mean.to_vec(), covariance }
    }

    fn diagonal(values: &[f64]) -> Mat<f64> {
        Mat::from_fn(values.len(), values.len(), |row, column| if row == column { values[row] } else { 0.0 })
    }

    /// Diagonal covariances: sum of (sqrt a - sqrt b)^2 plus the squared shift; a common rotation changes nothing.
    #[test]
    fn diagonal_and_rotated_covariances_have_the_closed_form() {
        let (a, b) = (diagonal(&[4.0, 1.0, 0.0]), diagonal(&[1.0, 9.0, 0.25]));
        let expected = 1.0 + 4.0 + 0.25 + (1.0 + 4.0 + 9.0);
        let (m, n) = ([0.0, 0.0, 0.0], [1.0, -2.0, 3.0]);
        let plain = frechet_distance(&statistics(&m, a.clone()), &statistics(&n, b.clone())).unwrap();
        assert!((plain - expected).abs() < 1e-12, "{plain}");

        let (sin, cos) = 0.7_f64.sin_cos();
        let rotation = faer::mat![[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]];
        let turn = |matrix: Mat<f64>| &rotation * matrix * rotation.transpose();
        let turned_mean: Vec<f64> = (0..3).map(|i| (0..3).map(|j| rotation[(i, j)] * n[j]).sum()).collect();
        let turned = frechet_distance(&statistics(&m, turn(a)), &statistics(&turned_mean, turn(b))).unwrap();
        assert!((turned - expected).abs() < 1e-12, "{turned}");
    }

    #[test]
    fn statistics_are_those_of_the_vectors() {
        let found = FeatureStatistics::new(&[1.0, 2.0, 3.0, 6.0, 5.0, 4.0], 2).unwrap();
        assert_eq!((found.count(), &found.mean[..]), (3, &[3.0, 4.0][..]));
        assert_eq!([found.covariance[(0, 0)], found.covariance[(0, 1)], found.covariance[(1, 1)]], [4.0, 2.0, 4.0]);
        assert!(frechet_distance(&found, &found).unwrap().abs() < 1e-12);
    }

    /// Three vectors of eight values span two dimensions; the distance to a shifted copy is the shift alone.
    #[test]
    fn fewer_vectors_than_values_are_no_obstacle() {
        let features: Vec<f64> = (0..24).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let shifted: Vec<f64> = features.iter().map(|value| value + 0.5).collect();
        let of = |features: &[f64]| FeatureStatistics::new(features, 8).unwrap();
        let distance = frechet_distance(&of(&features), &of(&shifted)).unwrap();
        assert!((distance - 8.0 * 0.25).abs() < 1e-7, "{distance}");
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        assert_eq!(FeatureStatistics::new(&[1.0, 2.0], 2).unwrap_err(), FrechetError::TooFew { found: 1 });
        assert_eq!(FeatureStatistics::new(&[1.0; 5], 2).unwrap_err(), FrechetError::Ragged { values: 5, width: 2 });
        let of = |width| FeatureStatistics::new(&[1.0; 12], width).unwrap();
        assert_eq!(frechet_distance(&of(2), &of(3)).unwrap_err(), FrechetError::Widths { a: 2, b: 3 });
    }
}
