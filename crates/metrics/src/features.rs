//! Sets of feature vectors, from which Frechet and kernel distances, precision and recall are computed.

use faer::Mat;

/// Feature vectors of one width, one per image.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Vec<f64>,
    width: usize,
}

/// Features that cannot be used or compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FeatureError {
    /// The number of values is not a multiple of the width, or the width is 0.
    #[error(
        "{values} values do not form vectors of width {width}; give the features of all images with the same width"
    )]
    Ragged {
        /// The given number of values.
        values: usize,
        /// The number of values per vector.
        width: usize,
    },
    /// A value that is NaN or infinite.
    #[error("feature {feature} of image {image} is {value}, expected a finite number; check that image")]
    NotFinite {
        /// The position of the vector.
        image: usize,
        /// The position in the vector.
        feature: usize,
        /// The value.
        value: f64,
    },
    /// Fewer vectors than a measure needs.
    #[error("{found} feature vector(s), expected at least {needed}: give more images")]
    TooFew {
        /// The number of given vectors.
        found: usize,
        /// The number of needed vectors.
        needed: usize,
    },
    /// A reference whose images all have the same features.
    #[error(
        "no feature differs among the {images} images of the reference, so none can be scaled by its deviation; expected images that differ: \
         are they copies of one, or all black?"
    )]
    Constant {
        /// The number of images.
        images: usize,
    },
    /// Features of different extractors.
    #[error("features of {a} and of {b} values cannot be compared; extract both with the same network and layer")]
    Widths {
        /// The width of the first set.
        a: usize,
        /// The width of the second set.
        b: usize,
    },
    /// A decomposition that did not converge.
    #[error("the eigenvalues of a covariance did not converge: the statistics contain values that are not finite")]
    NoConvergence,
}

impl Features {
    /// Vectors of `width` values that follow each other.
    pub fn new(values: Vec<f64>, width: usize) -> Result<Self, FeatureError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(FeatureError::Ragged { values: values.len(), width });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(FeatureError::NotFinite { image: at / width, feature: at % width, value: values[at] });
        }
        Ok(Self { values, width })
    }

    /// The number of vectors.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// The number of values per vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vectors in order.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.width)
    }

    /// The vector at position `index`.
    ///
    /// # Panics
    ///
    /// When there is no such vector, a mistake of the calling code.
    #[must_use]
    pub fn vector(&self, index: usize) -> &[f64] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// The vectors at these positions, in this order.
    ///
    /// # Panics
    ///
    /// When a position has no vector, a mistake of the calling code.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        Self { values: positions.iter().flat_map(|&index| self.vector(index)).copied().collect(), width: self.width }
    }

    /// Returns an error if the vectors of the other set have another width, or if either set has fewer than `needed` vectors.
    pub(crate) fn check_with(&self, other: &Self, needed: usize) -> Result<(), FeatureError> {
        if self.width != other.width {
            return Err(FeatureError::Widths { a: self.width, b: other.width });
        }
        let found = self.count().min(other.count());
        if found < needed { Err(FeatureError::TooFew { found, needed }) } else { Ok(()) }
    }

    /// The matrix with one row per vector.
    pub(crate) fn matrix(&self) -> Mat<f64> {
        Mat::from_fn(self.count(), self.width, |row, column| self.values[row * self.width + column])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused() {
        assert_eq!(Features::new(vec![1.0; 5], 2).unwrap_err(), FeatureError::Ragged { values: 5, width: 2 });
        assert_eq!(Features::new(Vec::new(), 0).unwrap_err(), FeatureError::Ragged { values: 0, width: 0 });
        let error = Features::new(vec![0.0, 0.0, f64::INFINITY, 0.0], 2).unwrap_err();
        assert_eq!(error, FeatureError::NotFinite { image: 1, feature: 0, value: f64::INFINITY });
        let of = |width| Features::new(vec![1.0; 12], width).unwrap();
        assert_eq!(of(2).check_with(&of(3), 2), Err(FeatureError::Widths { a: 2, b: 3 }));
        assert_eq!(of(6).check_with(&of(6), 3), Err(FeatureError::TooFew { found: 2, needed: 3 }));
    }

    #[test]
    fn vectors_are_taken_in_the_order_asked() {
        let features = Features::new((0..6).map(f64::from).collect(), 2).unwrap();
        assert_eq!(features.select(&[2, 0]).vectors().flatten().copied().collect::<Vec<_>>(), [4.0, 5.0, 0.0, 1.0]);
    }
}
