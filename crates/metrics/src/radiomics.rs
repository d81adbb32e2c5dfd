//! Radiomic features of a region in one slice, after the Image Biomarker Standardisation Initiative (IBSI, Zwanenburg et al.,
//! Radiology 295(2), 2020; reference manual arXiv 1612.07003), under IBSI's names: what a Frechet distance that needs no
//! network is taken over.
//!
//! Texture is two-dimensional with the four directions merged (IBSI's "2D, slice-merged"), at a distance of one pixel.
//! Left out of the vector is what is a linear function of its other features (intensity range, sum average, dissimilarity, cluster
//! tendency): it would count twice. The three ratios of shape are two-dimensional, and a whole image has no shape of interest.

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

/// Gray levels by a fixed bin number over a fixed range, the same for every image of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Discretisation {
    /// Gray levels, at least 2.
    pub levels: usize,
    /// Intensity at which the first level begins; what is below counts as the first.
    pub low: f64,
    /// Intensity at which the last level ends; what is above counts as the last.
    pub high: f64,
}

impl Default for Discretisation {
    fn default() -> Self {
        Self { levels: 32, low: 0.0, high: 1.0 }
    }
}

impl Discretisation {
    /// The level of an intensity, from 1.
    #[must_use]
    pub fn level(&self, intensity: f64) -> usize {
        let bin = ((intensity - self.low) / (self.high - self.low) * self.levels as f64).floor();
        bin.clamp(0.0, self.levels as f64 - 1.0) as usize + 1
    }
}

/// Positions of the features that say more than the picture's size when the region is the whole image: all but shape.
#[must_use]
pub fn without_shape() -> Vec<usize> {
    let names = names();
    (0..names.len()).filter(|&at| !names[at].starts_with("shape:")).collect()
}

/// Names of the features, in the order of [`radiomics`]: the family, a colon, and IBSI's name.
#[must_use]
pub fn names() -> Vec<String> {
    let families: [(&str, &[&str]); 4] =
        [("intensity", &intensity::NAMES), ("glcm", &glcm::NAMES), ("glrlm", &glrlm::NAMES), ("shape", &shape::NAMES)];
    families.iter().flat_map(|(family, names)| names.iter().map(move |name| format!("{family}:{name}"))).collect()
}

/// Features of the region in which `mask` is true, of a row-major `height x width` image; `None` where no two pixels of
/// the region touch, which have no texture.
///
/// Lengths are in pixels and intensities in the image's unit. Where a feature is 0 / 0 it is 0, but correlation is 1 (both as
/// pyradiomics has it): a region of one gray level is perfectly alike.
///
/// # Panics
///
/// When image or mask has not `height * width` values, a mistake of the calling code.
#[must_use]
pub fn radiomics(
    image: &[f32],
    mask: &[bool],
    height: usize,
    width: usize,
    discretisation: &Discretisation,
) -> Option<Vec<f64>> {
    assert_eq!((image.len(), mask.len()), (height * width, height * width), "image and mask of height * width values");
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

/// Standard deviations of the reference beyond which a standardised feature counts no more. Skewness, kurtosis and cluster
/// prominence have tails so long that one odd lesion would otherwise decide the distance.
pub const STANDARDISED_LIMIT: f64 = 5.0;

/// Scales every feature of two sets by mean and standard deviation of the first (the reference), so that features of any unit
/// weigh alike in a distance, and moves what lies beyond [`STANDARDISED_LIMIT`] to it; features that do not vary in the reference are
/// left out. Gives both sets and the positions kept.
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
    // What varies by rounding alone does not vary.
    let kept: Vec<usize> =
        (0..moments.len()).filter(|&at| moments[at].1 > 1e-10 * moments[at].0.abs().max(f64::MIN_POSITIVE)).collect();
    if kept.is_empty() {
        return Err(FeatureError::Ragged { values: 0, width: 0 });
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
