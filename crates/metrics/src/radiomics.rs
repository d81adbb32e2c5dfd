//! Radiomic features of a region in one slice, defined and named by the Image Biomarker Standardisation Initiative (IBSI, Zwanenburg et
//! al., Radiology 295(2), 2020; reference manual arXiv 1612.07003). They are used for a Frechet distance that needs no network.
//!
//! Texture is two-dimensional with the four directions merged (IBSI's "2D, slice-merged"), at a distance of one pixel. The vector does
//! not contain features that are linear functions of its other features (intensity range, sum average, dissimilarity, cluster
//! tendency), because they would count twice. The three ratios of shape are two-dimensional; the shape of a whole image is of no
//! interest.

mod glcm;
mod glrlm;
mod intensity;
mod levels;
mod numbers;
mod shape;

use serde::{Deserialize, Serialize};

pub(crate) use shape::axes;

use crate::features::{FeatureError, Features};
use levels::Levels;

/// The division of intensities into a fixed number of gray levels over a fixed range, the same for every image of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Discretisation {
    /// The number of gray levels, at least 2.
    pub levels: usize,
    /// The intensity at which the first level begins; lower intensities belong to the first level.
    pub low: f64,
    /// The intensity at which the last level ends; higher intensities belong to the last level.
    pub high: f64,
}

impl Default for Discretisation {
    fn default() -> Self {
        Self { levels: 32, low: 0.0, high: 1.0 }
    }
}

impl Discretisation {
    /// The level of an intensity, starting with 1.
    #[must_use]
    pub fn level(&self, intensity: f64) -> usize {
        let bin = ((intensity - self.low) / (self.high - self.low) * self.levels as f64).floor();
        bin.clamp(0.0, self.levels as f64 - 1.0) as usize + 1
    }
}

/// The positions of all features except shape: if the region is the whole image, shape depends only on the size of the image.
#[must_use]
pub fn without_shape() -> Vec<usize> {
    let names = names();
    (0..names.len()).filter(|&at| !names[at].starts_with("shape:")).collect()
}

/// The names of the features, in the order of [`radiomics`]: the family, a colon, and IBSI's name.
#[must_use]
pub fn names() -> Vec<String> {
    let families: [(&str, &[&str]); 4] =
        [("intensity", &intensity::NAMES), ("glcm", &glcm::NAMES), ("glrlm", &glrlm::NAMES), ("shape", &shape::NAMES)];
    families.iter().flat_map(|(family, names)| names.iter().map(move |name| format!("{family}:{name}"))).collect()
}

/// The features of the region in which `mask` is true, of a row-major `height x width` image; `None` if no two pixels of the region
/// are neighbours, because such a region has no texture.
///
/// Lengths are in pixels and intensities in the unit of the image. A feature that is 0 / 0 is set to 0, but correlation is set to 1
/// (both as in pyradiomics), because a region with one gray level is perfectly uniform.
///
/// # Panics
///
/// When image or mask does not have `height * width` values, a mistake of the calling code.
#[must_use]
pub fn radiomics(
    image: &[f32],
    mask: &[bool],
    height: usize,
    width: usize,
    discretisation: &Discretisation,
) -> Option<Vec<f64>> {
    assert_eq!((image.len(), mask.len()), (height * width, height * width), "values of image and mask");
    let level = |(&value, &inside): (&f32, &bool)| if inside { discretisation.level(f64::from(value)) } else { 0 };
    let of: Vec<usize> = image.iter().zip(mask).map(level).collect();
    let levels = Levels { of: &of, height, width, count: discretisation.levels };
    let texture = glcm::features(&levels)?;
    let values: Vec<f64> =
        image.iter().zip(mask).filter(|(_, inside)| **inside).map(|(&value, _)| f64::from(value)).collect();
    let mut features = Vec::with_capacity(names().len());
    features.extend(intensity::features(&values));
    features.extend(texture);
    features.extend(glrlm::features(&levels));
    features.extend(shape::features(mask, height, width));
    Some(features)
}

/// The limit, in standard deviations of the reference, to which standardised features are clipped. Skewness, kurtosis and cluster
/// prominence have such long tails that otherwise a single unusual lesion would dominate the distance.
pub const STANDARDISED_LIMIT: f64 = 5.0;

/// Scales every feature of two sets by the mean and the standard deviation of the first set (the reference), so that features of all
/// units have the same weight in a distance, and clips the values to +-[`STANDARDISED_LIMIT`]. Features that do not vary in the
/// reference are left out. Returns both sets and the positions of the kept features.
pub fn standardise(reference: &Features, other: &Features) -> Result<(Features, Features, Vec<usize>), FeatureError> {
    reference.check_with(other, 2)?;
    let count = reference.count() as f64;
    let moments: Vec<(f64, f64)> = (0..reference.width())
        .map(|feature| {
            let mean = reference.vectors().map(|vector| vector[feature]).sum::<f64>() / count;
            let variance =
                reference.vectors().map(|vector| (vector[feature] - mean).powi(2)).sum::<f64>() / (count - 1.0);
            (mean, variance.sqrt())
        })
        .collect();
    // A variation that is only due to rounding does not count.
    let kept: Vec<usize> =
        (0..moments.len()).filter(|&at| moments[at].1 > 1e-10 * moments[at].0.abs().max(f64::MIN_POSITIVE)).collect();
    if kept.is_empty() {
        return Err(FeatureError::Constant { images: reference.count() });
    }
    let scaled = |set: &Features| {
        let value = |vector: &[f64], at: usize| (vector[at] - moments[at].0) / moments[at].1;
        let limited = |value: f64| value.clamp(-STANDARDISED_LIMIT, STANDARDISED_LIMIT);
        let values =
            set.vectors().flat_map(|vector| kept.iter().map(|&at| limited(value(vector, at))).collect::<Vec<_>>());
        Features::new(values.collect(), kept.len())
    };
    Ok((scaled(reference)?, scaled(other)?, kept.clone()))
}

#[cfg(test)]
mod tests;
