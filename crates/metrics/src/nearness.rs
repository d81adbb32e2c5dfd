//! Whether generated images are as near to real images as real images are to each other.
//!
//! The real images are split at random into two halves without a common patient (or without a common image, if patients are not
//! known), several times. The kernel distances between the halves show how far apart sets of real images lie. Each time, the generated
//! images are compared with one of the halves. The kernel distance has no bias by the number of images, so a few of them are enough;
//! that generated images are found farther although they are not is about as rare as one split being the greatest of all.

use std::fmt;

use serde::Serialize;

use crate::agreement::MIN_UNITS;
use crate::bootstrap::group_ids;
use crate::comparison::halves;
use crate::features::{FeatureError, Features};
use crate::fixed::fixed;
use crate::kernel::{Subsets, kernel_distance};

/// How often the real images are split.
pub const SPLITS: u64 = 20;

/// How near generated images are to real ones; the command line prints its `Display`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Nearness {
    /// The number of generated images.
    pub generated: usize,
    /// The number of real images.
    pub real: usize,
    /// Whether halves of the real images have no common patient; otherwise they have no common image.
    pub by_patient: bool,
    /// The kernel distance of the generated images from a half of the real ones, averaged over the splits.
    pub distance: f64,
    /// The kernel distance between the halves, averaged over the splits.
    pub floor: f64,
    /// The greatest kernel distance between the halves of a split.
    pub highest: f64,
}

impl Nearness {
    /// Whether the generated images are farther from real ones than real images are from each other in any split.
    #[must_use]
    pub fn is_farther(&self) -> bool {
        self.distance > self.highest
    }
}

/// Compares generated images with real ones, by features that are scaled alike (see [`crate::radiomics::standardise`]). `groups` are the
/// patients of the real images, one per image. `None` with fewer than [`MIN_UNITS`] generated images, or patients (or images) of the
/// real ones.
///
/// # Panics
///
/// When `groups` has another length than the real images, a mistake of the calling code.
pub fn nearness(
    real: &Features,
    generated: &Features,
    groups: Option<&[String]>,
    seed: u64,
) -> Result<Option<Nearness>, FeatureError> {
    let ids = groups.map_or_else(|| (0..real.count()).collect(), group_ids);
    assert_eq!(ids.len(), real.count(), "every image needs one group");
    let units = ids.iter().max().map_or(0, |last| last + 1);
    if units.min(generated.count()) < MIN_UNITS {
        return Ok(None);
    }
    let (mut distances, mut floors) = (Vec::new(), Vec::new());
    for split in 0..SPLITS {
        let [first, second] = halves(&ids, units, seed, split).map(|half| real.select(&half));
        distances.push(kernel_distance(generated, &second, Subsets::All)?.mean);
        floors.push(kernel_distance(&first, &second, Subsets::All)?.mean);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Ok(Some(Nearness {
        generated: generated.count(),
        real: real.count(),
        by_patient: groups.is_some(),
        distance: mean(&distances),
        floor: mean(&floors),
        highest: floors.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }))
}

impl fmt::Display for Nearness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.by_patient { "patients or groups" } else { "images" };
        writeln!(
            f,
            "Picture quality: kernel distance from real pictures, {} generated and {} real ones; real from real: halves with other {by}.",
            self.generated, self.real
        )?;
        writeln!(
            f,
            "  generated {}, real from real {} (greatest of {SPLITS} splits {})",
            fixed(self.distance, 4),
            fixed(self.floor, 4),
            fixed(self.highest, 4)
        )?;
        if self.is_farther() {
            write!(
                f,
                "  FARTHER: the generated pictures are farther from real pictures than real pictures are from each other."
            )
        } else {
            write!(
                f,
                "  NEAR: the generated pictures are not farther from real pictures than real pictures are from each other."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// `patients` times two vectors of four values; most of the variance is between patients.
    fn set(seed: u64, patients: usize, shift: f64) -> (Features, Vec<String>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::new();
        for _ in 0..patients {
            let level: [f64; 4] = std::array::from_fn(|_| 2.0 * rng.random::<f64>() - 1.0 + shift);
            for _ in 0..2 {
                values.extend(level.map(|level| level + 0.4 * rng.random::<f64>()));
            }
        }
        (Features::new(values, 4).unwrap(), (0..2 * patients).map(|i| format!("p{}", i / 2)).collect())
    }

    #[test]
    fn other_real_patients_are_seldom_farther_and_shifted_images_always() {
        let trials = 60_u64;
        let mut farther = 0;
        for seed in 0..trials {
            let (real, groups) = set(seed, 30, 0.0);
            let found = nearness(&real, &set(1_000 + seed, 20, 0.0).0, Some(&groups), 0).unwrap().unwrap();
            farther += usize::from(found.is_farther());
            let far = nearness(&real, &set(2_000 + seed, 20, 1.0).0, Some(&groups), 0).unwrap().unwrap();
            assert!(far.is_farther() && far.distance > 10.0 * far.floor.abs(), "{far:?}");
        }
        assert!(farther <= 9, "{farther} of {trials} sets of real images were found farther");
    }

    #[test]
    fn too_few_images_or_patients_give_no_answer() {
        let (real, groups) = set(1, 12, 0.0);
        let other = |patients| set(2, patients, 0.0).0;
        assert!(nearness(&real, &other(6), Some(&groups), 0).unwrap().is_some());
        assert!(nearness(&real, &other(5), Some(&groups), 0).unwrap().is_none());
        let (few, groups) = set(1, 11, 0.0);
        assert!(nearness(&few, &other(6), Some(&groups), 0).unwrap().is_none());
        assert!(nearness(&few, &other(6), None, 0).unwrap().is_some());
    }

    #[test]
    fn the_text_says_which_is_farther() {
        let near = Nearness { generated: 64, real: 128, by_patient: true, distance: 0.01, floor: 0.002, highest: 0.02 };
        let text = near.to_string();
        assert!(text.contains("NEAR: ") && text.contains("greatest of 20 splits 0.0200"), "{text}");
        let text = Nearness { distance: 0.5, ..near }.to_string();
        assert!(text.contains("FARTHER: the generated pictures are farther from real pictures than real"), "{text}");
    }
}
