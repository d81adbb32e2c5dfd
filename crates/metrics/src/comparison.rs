//! Compares two sets of features with all distances, and gives the information that is needed to judge the numbers: the number of
//! images, the extractor of the features, and the distance between real images and other real images.
//!
//! The floor. The reference is split at random into two halves without a common patient (or without a common image, if patients are
//! not known), and the halves are compared with each other. A generator cannot be expected to come closer. The halves are smaller than
//! the sets, which biases the Frechet distance upwards; the extrapolated distance and the kernel distance do not have this bias.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::bootstrap::group_ids;
use crate::features::{FeatureError, Features};
use crate::frechet::{Extrapolation, FEW_IMAGES, FeatureStatistics, frechet_distance, frechet_infinity};
use crate::frechet_interval::{FrechetInterval, frechet_interval};
use crate::kernel::{KernelDistance, Subsets, kernel_distance};
use crate::manifold::{Manifold, NEAREST_K, manifold};

mod text;

/// The extractor of the features; it is printed with every number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extractor {
    /// The name, with the layer if there are several.
    pub name: String,
    /// The SHA-256 of its weights, or of its definition if it has no weights.
    pub hash: String,
    /// How images are resized and scaled for its input.
    pub preprocessing: String,
}

/// The prefix of the names of the FID's own features.
const INCEPTION: &str = "FID Inception-v3 (2015-12-05)";

impl Extractor {
    /// The Inception network of the FID, with feature vectors of `width` values.
    pub fn inception(width: usize, hash: String, preprocessing: String) -> Self {
        Self { name: format!("{INCEPTION}, {width} features"), hash, preprocessing }
    }

    /// Whether the features are those of the FID.
    pub fn is_inception(&self) -> bool {
        self.name.starts_with(INCEPTION)
    }
}

/// Settings of [`compare`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparisonSettings {
    /// The vectors from which the kernel distance is computed.
    pub kernel: Subsets,
    /// How the Frechet distance is extrapolated.
    pub extrapolation: Extrapolation,
    /// The number of splits of the reference over which the floor is averaged.
    pub floor_splits: usize,
}

impl Default for ComparisonSettings {
    fn default() -> Self {
        Self { kernel: Subsets::default(), extrapolation: Extrapolation::default(), floor_splits: 5 }
    }
}

/// The distances between two sets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distances {
    /// The Frechet distance, which is biased upwards for few images.
    pub frechet: f64,
    /// The Frechet distance extrapolated to infinite sets; `None` with fewer than four images in a set, or without the vectors of a set.
    pub frechet_infinity: Option<f64>,
    /// The unbiased kernel distance with the cubic polynomial kernel; `None` if only the mean and the covariance of a set are known.
    pub kernel: Option<KernelDistance>,
}

/// The distances of real images to other real images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Floor {
    /// The means over the splits.
    pub distances: Distances,
    /// The number of splits.
    pub splits: usize,
    /// The number of images in the smaller half, averaged over the splits.
    pub images: f64,
    /// Whether the halves have no common patient; otherwise they are split by image, and the floor can be too low.
    pub by_patient: bool,
}

/// The Frechet distance between as many real images as were compared with the reference and the other real images. The floor of halves
/// is lower, since their N is larger.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FloorOfSize {
    /// The mean over the splits.
    pub frechet: f64,
    /// The standard deviation over the splits, which share images.
    pub std: f64,
    /// The number of splits.
    pub splits: usize,
    /// The numbers of images in the small and in the large part; that of the large part is the mean over the splits.
    pub images: [f64; 2],
    /// Whether the parts have no common patient.
    pub by_patient: bool,
}

/// The result of [`compare`]; the command line prints its `Display`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The extractor of the features.
    pub extractor: Extractor,
    /// The settings of the computation.
    pub settings: ComparisonSettings,
    /// The number of images of the reference; `None` if only statistics without this number are known.
    pub reference: Option<usize>,
    /// The number of images that are compared with the reference.
    pub other: usize,
    /// The number of values of a feature vector.
    pub width: usize,
    /// The distances between the sets.
    pub distances: Distances,
    /// The interval of the Frechet distance; `None` with too few images, or without the vectors of the reference.
    pub frechet_interval: Option<FrechetInterval>,
    /// Precision, recall, density and coverage; `None` with too few images, or without the vectors of the reference.
    pub manifold: Option<Manifold>,
    /// The distances within the reference; `None` if it cannot be split into halves, or without its vectors.
    pub floor: Option<Floor>,
    /// The floor at the number of images that are compared with the reference; `None` if half of the reference has no more images, or
    /// without its vectors.
    pub floor_of_size: Option<FloorOfSize>,
    /// Whether the Frechet distance alone is not reliable, because a set has fewer than [`FEW_IMAGES`] images.
    pub few_images: bool,
    /// Whether only the mean and the covariance of the reference are known, so that only the Frechet distance can be computed.
    pub statistics_alone: bool,
}

/// Compares `other` (generated images) with `reference` (real images); each needs at least two images. `groups` are the patients of
/// the reference, one per image.
///
/// # Panics
///
/// When `groups` has another length than the reference, a mistake of the calling code.
pub fn compare(
    reference: &Features,
    other: &Features,
    groups: Option<&[String]>,
    extractor: Extractor,
    settings: &ComparisonSettings,
) -> Result<Comparison, FeatureError> {
    compare_above(floor(reference, groups, settings)?, reference, other, groups, extractor, settings)
}

/// As [`compare`], with a known [`floor`] of the reference: the floor is the same for every set that is compared with the reference.
///
/// # Panics
///
/// As [`compare`].
pub fn compare_above(
    floor: Option<Floor>,
    reference: &Features,
    other: &Features,
    groups: Option<&[String]>,
    extractor: Extractor,
    settings: &ComparisonSettings,
) -> Result<Comparison, FeatureError> {
    let distances = distances(reference, other, settings)?;
    let enough = reference.count().min(other.count()) > NEAREST_K;
    Ok(Comparison {
        extractor,
        settings: settings.clone(),
        reference: Some(reference.count()),
        other: other.count(),
        width: reference.width(),
        distances,
        frechet_interval: frechet_interval(distances.frechet, reference, other, groups)?,
        manifold: enough.then(|| manifold(reference, other, NEAREST_K)).transpose()?,
        floor,
        floor_of_size: floor_of_size(reference, groups, other.count(), settings)?,
        few_images: reference.count().min(other.count()) < FEW_IMAGES,
        statistics_alone: false,
    })
}

/// Compares `other`, at least two images, with a reference of which only the mean and the covariance are known, and possibly the
/// number of its images.
pub fn compare_with_statistics(
    reference: &FeatureStatistics,
    images: Option<usize>,
    other: &Features,
    extractor: Extractor,
    settings: &ComparisonSettings,
) -> Result<Comparison, FeatureError> {
    let frechet = frechet_distance(reference, &FeatureStatistics::new(other)?)?;
    Ok(Comparison {
        extractor,
        settings: settings.clone(),
        reference: images,
        other: other.count(),
        width: other.width(),
        distances: Distances { frechet, frechet_infinity: None, kernel: None },
        frechet_interval: None,
        manifold: None,
        floor: None,
        floor_of_size: None,
        few_images: images.unwrap_or(usize::MAX).min(other.count()) < FEW_IMAGES,
        statistics_alone: true,
    })
}

fn distances(a: &Features, b: &Features, settings: &ComparisonSettings) -> Result<Distances, FeatureError> {
    let extrapolated = match frechet_infinity(a, b, &settings.extrapolation) {
        Err(FeatureError::TooFew { .. }) => None,
        other => Some(other?),
    };
    Ok(Distances {
        frechet: frechet_distance(&FeatureStatistics::new(a)?, &FeatureStatistics::new(b)?)?,
        frechet_infinity: extrapolated,
        kernel: Some(kernel_distance(a, b, settings.kernel)?),
    })
}

/// The distances between halves of the reference, averaged over splits; `groups` are the patients, one per image. `None` if the
/// reference cannot be split into halves.
///
/// # Panics
///
/// When `groups` has another length than the reference, a mistake of the calling code.
pub fn floor(
    reference: &Features,
    groups: Option<&[String]>,
    settings: &ComparisonSettings,
) -> Result<Option<Floor>, FeatureError> {
    let ids = groups.map_or_else(|| (0..reference.count()).collect(), group_ids);
    assert_eq!(ids.len(), reference.count(), "every image needs one group");
    let units = ids.iter().max().map_or(0, |last| last + 1);
    // All images of the halves are compared, because the configured size of random subsets can be too large for a half.
    let settings = ComparisonSettings { kernel: Subsets::All, ..settings.clone() };
    let mut found = Vec::new();
    let mut images = 0.0;
    for split in 0..settings.floor_splits as u64 {
        let [a, b] = halves(&ids, units, settings.extrapolation.seed, split);
        if a.len().min(b.len()) < 2 {
            continue;
        }
        images += a.len().min(b.len()) as f64;
        found.push(distances(&reference.select(&a), &reference.select(&b), &settings)?);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let count = found.len() as f64;
    let mean = |of: &dyn Fn(&Distances) -> f64| found.iter().map(of).sum::<f64>() / count;
    let extrapolated: Option<Vec<f64>> = found.iter().map(|d| d.frechet_infinity).collect();
    let kernel = found.iter().filter_map(|d| d.kernel).map(|kernel| kernel.mean).sum::<f64>() / count;
    Ok(Some(Floor {
        distances: Distances {
            frechet: mean(&|d| d.frechet),
            frechet_infinity: extrapolated.map(|values| values.iter().sum::<f64>() / count),
            kernel: Some(KernelDistance { mean: kernel, std: None }),
        },
        splits: found.len(),
        images: images / count,
        by_patient: groups.is_some(),
    }))
}

/// The Frechet distance between `count` images of the reference and its other images, averaged over splits. `None` if there are fewer than
/// `count` others.
fn floor_of_size(
    reference: &Features,
    groups: Option<&[String]>,
    count: usize,
    settings: &ComparisonSettings,
) -> Result<Option<FloorOfSize>, FeatureError> {
    let ids = groups.map_or_else(|| (0..reference.count()).collect(), group_ids);
    let units = ids.iter().max().map_or(0, |last| last + 1);
    let (mut found, mut others) = (Vec::new(), 0.0);
    for split in 0..settings.floor_splits as u64 {
        let [few, rest] = apart(&ids, units, count, settings.extrapolation.seed, split);
        if few.len() < count.max(2) || rest.len() < count {
            continue;
        }
        others += rest.len() as f64;
        let [few, rest] = [few, rest].map(|part| FeatureStatistics::new(&reference.select(&part)));
        found.push(frechet_distance(&few?, &rest?)?);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let splits = found.len() as f64;
    let mean = found.iter().sum::<f64>() / splits;
    let squares: f64 = found.iter().map(|distance| (distance - mean).powi(2)).sum();
    Ok(Some(FloorOfSize {
        frechet: mean,
        std: (squares / (splits - 1.0).max(1.0)).sqrt(),
        splits: found.len(),
        images: [count as f64, others / splits],
        by_patient: groups.is_some(),
    }))
}

/// Random units until they have `count` images, of which `count` are kept, and all other units.
fn apart(ids: &[usize], units: usize, count: usize, seed: u64, split: u64) -> [Vec<usize>; 2] {
    let mut few = Vec::new();
    let mut rest = Vec::new();
    for mut unit in shuffled_units(ids, units, seed, split) {
        if few.len() < count { few.append(&mut unit) } else { rest.append(&mut unit) }
    }
    few.truncate(count);
    [few, rest]
}

/// The positions in the two halves: units are taken in random order, and each goes to the half that has fewer images.
pub(crate) fn halves(ids: &[usize], units: usize, seed: u64, split: u64) -> [Vec<usize>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    for mut unit in shuffled_units(ids, units, seed, split) {
        let smaller = usize::from(halves[1].len() < halves[0].len());
        halves[smaller].append(&mut unit);
    }
    halves
}

/// The positions of each unit, units in random order.
fn shuffled_units(ids: &[usize], units: usize, seed: u64, split: u64) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Different from the streams of the extrapolation, which count from 0.
    rng.set_stream(u64::MAX - split);
    let mut order: Vec<usize> = (0..units).collect();
    order.shuffle(&mut rng);
    let mut members = vec![Vec::new(); units];
    for (position, &id) in ids.iter().enumerate() {
        members[id].push(position);
    }
    order.into_iter().map(|unit| std::mem::take(&mut members[unit])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn extractor() -> Extractor {
        Extractor { name: "test".into(), hash: "abc".into(), preprocessing: "none".into() }
    }

    /// Sixty vectors of fifteen patients; most of the variance is between patients.
    fn set(seed: u64, shift: f64) -> (Features, Vec<String>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::new();
        for _ in 0..15 {
            let level: [f64; 3] = std::array::from_fn(|_| rng.random::<f64>() * 4.0 + shift);
            for _ in 0..4 {
                values.extend(level.map(|level| level + rng.random::<f64>()));
            }
        }
        (Features::new(values, 3).unwrap(), (0..60).map(|i| format!("p{}", i / 4)).collect())
    }

    #[test]
    fn halves_share_no_patient_and_lose_no_image() {
        let [few, rest] = apart(&(0..60).map(|i| i / 4).collect::<Vec<_>>(), 15, 10, 0, 0);
        assert_eq!((few.len(), rest.len()), (10, 48));
        assert!(few.iter().all(|&i| rest.iter().all(|&j| i / 4 != j / 4)));
        let ids: Vec<usize> = (0..60).map(|i| i / 4).collect();
        for split in 0..5 {
            let [a, b] = halves(&ids, 15, 0, split);
            assert!(a.iter().all(|&i| b.iter().all(|&j| ids[i] != ids[j])));
            assert_eq!(a.len() + b.len(), 60);
            assert!(a.len().abs_diff(b.len()) <= 4);
        }
        assert_ne!(halves(&ids, 15, 0, 0), halves(&ids, 15, 0, 1));
    }

    #[test]
    fn the_floor_lies_below_what_is_far_and_is_higher_by_patient() {
        let ((real, groups), (far, _)) = (set(1, 0.0), set(2, 3.0));
        let settings = ComparisonSettings::default();
        let found = compare(&real, &far, Some(&groups), extractor(), &settings).unwrap();
        let floor = found.floor.unwrap();
        assert!(floor.by_patient && floor.splits == 5 && floor.images >= 28.0);
        assert!(floor.distances.frechet < 0.3 * found.distances.frechet, "{found:?}");
        assert!(floor.distances.kernel.unwrap().mean < 0.3 * found.distances.kernel.unwrap().mean);
        let interval = found.frechet_interval.unwrap();
        assert!(interval.low < found.distances.frechet && found.distances.frechet < interval.high);
        // Sixty images have no sixty others; twenty have.
        assert_eq!(found.floor_of_size, None);
        let few =
            compare(&real, &far.select(&(0..20).collect::<Vec<_>>()), Some(&groups), extractor(), &settings).unwrap();
        let same = few.floor_of_size.unwrap();
        assert_eq!((same.splits, same.images, same.by_patient), (5, [20.0, 40.0], true));
        assert!(same.frechet > floor.distances.frechet && same.frechet < 0.5 * few.distances.frechet, "{same:?}");
        assert!(few.to_string().contains("at this N: 20 real images against 40 others"), "{few}");
        let by_image = compare(&real, &far, None, extractor(), &settings).unwrap().floor.unwrap();
        assert!(!by_image.by_patient && by_image.distances.frechet < floor.distances.frechet);
        assert!(found.few_images && found.manifold.unwrap().recall < 0.5);
    }

    #[test]
    fn the_text_leads_with_what_is_unbiased_and_known_well_enough() {
        let (real, groups) = set(1, 0.0);
        let other = set(3, 0.0).0;
        let mut found = compare(&real, &other, Some(&groups), extractor(), &ComparisonSettings::default()).unwrap();
        let places = |found: &Comparison, parts: &[&str]| -> Vec<usize> {
            let text = found.to_string();
            parts.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in\n{text}"))).collect()
        };
        // Sixty images are too few for an extrapolation.
        assert!(places(&found, &["KID", "FID, biased", "FID, extrapolated, small N"]).is_sorted());
        places(&found, &["60 reference", "abc", "disjoint patients", "images: none"]);
        assert!(matches!(&found.warnings()[..], [few] if few.contains("60 and 60, below 10000")
            && few.contains("use KID first; the extrapolated FID needs at least 1000 images")));
        (found.reference, found.other) = (Some(5000), 999);
        assert!(places(&found, &["KID", "FID, biased", "FID, extrapolated, small N"]).is_sorted());
        found.other = 1000;
        assert!(places(&found, &["KID", "FID, extrapolated  ", "FID, biased"]).is_sorted());
        assert!(found.warnings()[0].contains("use KID and the extrapolated FID first"));
        // Rounding errors around 0 have no sign.
        found.distances.frechet = -1e-9;
        found.distances.kernel = Some(KernelDistance { mean: -1e-9, std: None });
        let text = found.to_string();
        for (name, expected) in [("FID, biased by small N", "0.0000"), ("KID", "0.00000")] {
            let row = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert_eq!(row.split_whitespace().next(), Some(expected), "{text}");
        }
    }

    #[test]
    fn statistics_give_the_same_distance_and_nothing_else() {
        let ((real, _), (other, _)) = (set(1, 0.0), set(3, 0.5));
        let settings = ComparisonSettings::default();
        let whole = compare(&real, &other, None, extractor(), &settings).unwrap();
        let statistics = FeatureStatistics::new(&real).unwrap();
        let read = FeatureStatistics::from_parts(statistics.mean().to_vec(), &statistics.covariance()).unwrap();
        let found = compare_with_statistics(&read, None, &other, extractor(), &settings).unwrap();
        assert!((found.distances.frechet - whole.distances.frechet).abs() < 1e-9);
        assert_eq!((found.reference, found.floor, found.manifold, found.distances.kernel), (None, None, None, None));
        assert!(found.to_string().contains("unknown number of reference"));
        assert!(
            matches!(&found.warnings()[..], [few, alone] if few.contains("unknown and 60") && alone.contains("no KID"))
        );
        let many = compare_with_statistics(&read, Some(50_000), &other, extractor(), &settings).unwrap();
        assert!(many.few_images && many.warnings()[0].contains("50000 and 60"));
        let narrow = Features::new(vec![0.0; 8], 2).unwrap();
        let error = compare_with_statistics(&read, None, &narrow, extractor(), &settings).unwrap_err();
        assert_eq!(error, FeatureError::Widths { a: 3, b: 2 });
    }

    #[test]
    fn two_images_are_enough_for_distances_alone() {
        let two = |shift: f64| Features::new(vec![shift, 0.0, shift + 1.0, 2.0], 2).unwrap();
        let found = compare(&two(0.0), &two(1.0), None, extractor(), &ComparisonSettings::default()).unwrap();
        assert_eq!((found.manifold, found.floor, found.distances.frechet_infinity), (None, None, None));
        assert!((found.distances.frechet - 1.0).abs() < 1e-12);
        let error = compare(&two(0.0), &two(1.0).select(&[0]), None, extractor(), &ComparisonSettings::default());
        assert_eq!(error.unwrap_err(), FeatureError::TooFew { found: 1, needed: 2 });
    }
}
