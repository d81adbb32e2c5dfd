//! The nearest training image of every query image, to find copies of training images.
//!
//! The distance is the mean squared difference over all values, of pixels ([`nearest`]) or of features ([`nearest_features`], which are
//! sensitive to the content). For masks it is 1 - Dice ([`nearest_masks`]). If a generator copies, its images are nearer to the training
//! set than new real images are, so distances of generated images are compared with those of held-out real images ([`CopyCheck`]). The
//! measure finds nearly identical copies (also mirrored ones, if requested). It does not find a copied lesion in another breast, and
//! it favours smooth images, which are nearer to all images.

use rayon::prelude::*;
use serde::Serialize;

use crate::bootstrap::quantile;

mod search;
mod spaces;

pub use search::{Closest, CopySearch};
pub use spaces::{closest, nearest_features, nearest_masks};

/// The layout of the images: row-major, channels last (`height * width * channels` values).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
    /// The number of channels, 1 for gray.
    pub channels: usize,
}

impl Shape {
    /// The number of values of one image.
    #[must_use]
    pub fn values(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// The training image that is nearest to one query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Neighbour {
    /// The position in the training set; the first of several at the same distance.
    pub index: usize,
    /// The mean squared difference over all values, in their squared units; for masks 1 - Dice.
    pub distance: f64,
    /// Whether the nearest image is the mirrored training image.
    pub flipped: bool,
}

/// Images that cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NearestError {
    /// There are no training images.
    #[error("there are no training images to compare with; give the images on which the model was trained")]
    NoTraining,
    /// An image with another size.
    #[error(
        "{set} image {index} has {found} values, expected {height} x {width} x {channels} = {expected}; resize it first"
    )]
    Size {
        /// "query" or "training".
        set: &'static str,
        /// The position of the image in its set.
        index: usize,
        /// The number of values of the image.
        found: usize,
        /// The expected number of values.
        expected: usize,
        /// The expected number of rows.
        height: usize,
        /// The expected number of columns.
        width: usize,
        /// The expected number of channels.
        channels: usize,
    },
    /// Features of another extractor, or of another number of images.
    #[error(
        "{count} vectors of {found} values, expected {expected_count} vectors of {expected} values; extract all with the same network and layer"
    )]
    Features {
        /// The number of vectors.
        count: usize,
        /// The width of the vectors.
        found: usize,
        /// The expected number of vectors.
        expected_count: usize,
        /// The expected width.
        expected: usize,
    },
    /// A training or query image with a value that is NaN or infinite, whose distance has no meaning.
    #[error(
        "{set} image {index} contains a value that is not finite; a generator that produces such values has diverged"
    )]
    NotFinite {
        /// "query" or "training".
        set: &'static str,
        /// The position of the image in its set.
        index: usize,
    },
}

/// Finds the nearest training image of every query, in the order of the queries. With `flips`, training images mirrored left to right
/// are included; use it if the training mirrored its images. The search is exact and uses all cores.
pub fn nearest(
    queries: &[&[f32]],
    training: &[&[f32]],
    shape: Shape,
    flips: bool,
) -> Result<Vec<Neighbour>, NearestError> {
    let mut search = NearestSearch::new(queries, shape, flips)?;
    search.add(training)?;
    search.found()
}

/// A search through training images that need not be in memory together.
#[derive(Debug, Clone)]
pub struct NearestSearch<'a> {
    queries: Vec<Query<'a>>,
    shape: Shape,
    seen: usize,
}

/// A query, and the nearest image so far.
#[derive(Debug, Clone)]
struct Query<'a> {
    image: &'a [f32],
    /// Empty if mirrored images do not count.
    mirrored: Vec<f32>,
    sum: f64,
    index: usize,
    flipped: bool,
}

impl<'a> NearestSearch<'a> {
    /// A search for the nearest training image of each query; see [`nearest`].
    pub fn new(queries: &[&'a [f32]], shape: Shape, flips: bool) -> Result<Self, NearestError> {
        check("query", 0, queries, shape)?;
        let query = |&image: &&'a [f32]| {
            let mirrored = if flips { mirror(image, shape) } else { Vec::new() };
            Query { image, mirrored, sum: f64::INFINITY, index: 0, flipped: false }
        };
        Ok(Self { queries: queries.iter().map(query).collect(), shape, seen: 0 })
    }

    /// Compares all queries with further training images.
    pub fn add(&mut self, training: &[&[f32]]) -> Result<(), NearestError> {
        check("training", self.seen, training, self.shape)?;
        let first = self.seen;
        self.queries.par_iter_mut().for_each(|query| query.compare(first, training));
        self.seen += training.len();
        Ok(())
    }

    /// The nearest training images, in the order of the queries.
    pub fn found(self) -> Result<Vec<Neighbour>, NearestError> {
        if self.seen == 0 {
            return Err(NearestError::NoTraining);
        }
        let values = self.shape.values().max(1) as f64;
        let neighbour =
            |query: Query<'_>| Neighbour { index: query.index, distance: query.sum / values, flipped: query.flipped };
        Ok(self.queries.into_iter().map(neighbour).collect())
    }
}

impl Query<'_> {
    /// Takes one of these training images if it is nearer; `first` is the position of the first of them.
    fn compare(&mut self, first: usize, training: &[&[f32]]) {
        for (index, image) in (first..).zip(training) {
            for (query, flipped) in [(self.image, false), (&self.mirrored[..], true)] {
                if flipped && query.is_empty() {
                    continue;
                }
                let sum = squared_distance(query, image, self.sum);
                if sum < self.sum {
                    (self.sum, self.index, self.flipped) = (sum, index, flipped);
                }
            }
        }
    }
}

/// Checks images of a set, of which the first has the position `first`.
fn check(set: &'static str, first: usize, images: &[&[f32]], shape: Shape) -> Result<(), NearestError> {
    let Shape { height, width, channels } = shape;
    for (index, image) in (first..).zip(images) {
        if image.len() != shape.values() {
            let (found, expected) = (image.len(), shape.values());
            return Err(NearestError::Size { set, index, found, expected, height, width, channels });
        }
        if image.iter().any(|v| !v.is_finite()) {
            return Err(NearestError::NotFinite { set, index });
        }
    }
    Ok(())
}

/// Mirrors an image. The query is mirrored instead of every training image, because this gives the same distances.
fn mirror<T: Copy>(image: &[T], shape: Shape) -> Vec<T> {
    let Shape { width, channels, .. } = shape;
    let mut mirrored = Vec::with_capacity(image.len());
    for row in image.chunks_exact((width * channels).max(1)) {
        for pixel in row.chunks_exact(channels).rev() {
            mirrored.extend_from_slice(pixel);
        }
    }
    mirrored
}

/// The sum of squared differences. It stops early and returns infinity as soon as the sum reaches `limit`.
fn squared_distance(a: &[f32], b: &[f32], limit: f64) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.chunks(1024).zip(b.chunks(1024)) {
        let part: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
        sum += f64::from(part);
        if sum >= limit {
            return f64::INFINITY;
        }
    }
    sum
}

/// The share of new images that may be flagged by chance.
const FLAGGED: f64 = 0.05;

/// The distances to the training set of generated images, compared with those of held-out real images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyCheck {
    /// The number of generated images.
    pub generated: usize,
    /// The number of held-out real images.
    pub held_out: usize,
    /// The median distance of generated images.
    pub generated_median: f64,
    /// The median distance of held-out real images.
    pub held_out_median: f64,
    /// The 5 % quantile of the held-out distances. An image below this threshold is nearer than real images usually are.
    pub threshold: f64,
    /// The share of images as new as the held-out ones that lies below `threshold` by chance: 5 %; with fewer than 19 held-out images, whose
    /// nearest is the threshold, one in their number and one.
    pub expected: f64,
    /// The number of generated images nearer than `threshold`.
    pub nearer: usize,
    /// The held-out distances, ascending, for [`CopyCheck::rank`].
    pub held_out_distances: Vec<f64>,
}

impl CopyCheck {
    /// Compares distances; `None` if either set is empty.
    #[must_use]
    pub fn new(generated: &[Neighbour], held_out: &[Neighbour]) -> Option<Self> {
        if generated.is_empty() || held_out.is_empty() {
            return None;
        }
        let ascending = |set: &[Neighbour]| {
            let mut distances: Vec<f64> = set.iter().map(|n| n.distance).collect();
            distances.sort_by(f64::total_cmp);
            distances
        };
        let (ours, theirs) = (ascending(generated), ascending(held_out));
        // A new image falls into each of the n + 1 gaps between n held-out distances with the same probability. So the value at the place
        // 0.05 (n + 1), counted from 1, is exceeded by 95 % of new images; R's type 7 would flag 10 % of them with 16 held-out images.
        let gaps = theirs.len() as f64 + 1.0;
        let place = (FLAGGED * gaps - 1.0).max(0.0);
        let threshold = quantile(&theirs, place / (gaps - 2.0).max(1.0));
        Some(Self {
            generated: ours.len(),
            held_out: theirs.len(),
            generated_median: quantile(&ours, 0.5),
            held_out_median: quantile(&theirs, 0.5),
            threshold,
            expected: FLAGGED.max(1.0 / gaps),
            nearer: ours.iter().filter(|&&d| d < threshold).count(),
            held_out_distances: theirs,
        })
    }

    /// The share of generated images nearer than the threshold; [`CopyCheck::expected`] for images that are as far away as real ones.
    #[must_use]
    pub fn share_nearer(&self) -> f64 {
        self.nearer as f64 / self.generated as f64
    }

    /// The share of held-out real images that are nearer to the training set than `distance`: 0 means nearer than all of them.
    #[must_use]
    pub fn rank(&self, distance: f64) -> f64 {
        self.held_out_distances.partition_point(|&d| d < distance) as f64 / self.held_out as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { height: 5, width: 7, channels: 3 };

    fn image(seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        (0..SHAPE.values())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32
            })
            .collect()
    }

    fn slices(images: &[Vec<f32>]) -> Vec<&[f32]> {
        images.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn finds_what_brute_force_finds() {
        let training: Vec<_> = (0..40).map(image).collect();
        let queries: Vec<_> = (100..120).map(image).collect();
        let found = nearest(&slices(&queries), &slices(&training), SHAPE, false).unwrap();
        for (query, found) in queries.iter().zip(found) {
            let distance = |t: &Vec<f32>| {
                let sum: f64 = query.iter().zip(t).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                sum / SHAPE.values() as f64
            };
            let best = (0..40).min_by(|&a, &b| distance(&training[a]).total_cmp(&distance(&training[b]))).unwrap();
            assert_eq!(found.index, best);
            assert!((found.distance - distance(&training[best])).abs() < 1e-6);
            assert!(!found.flipped);
        }
    }

    #[test]
    fn a_mirrored_copy_is_found_only_with_flips() {
        let training: Vec<_> = (0..10).map(image).collect();
        // Pixel (r, c) of the mirrored copy is pixel (r, width - 1 - c) of training image 6.
        let mut copy = vec![0.0; SHAPE.values()];
        for r in 0..5 {
            for c in 0..7 {
                for k in 0..3 {
                    copy[(r * 7 + c) * 3 + k] = training[6][(r * 7 + 6 - c) * 3 + k];
                }
            }
        }
        let with = nearest(&[&copy], &slices(&training), SHAPE, true).unwrap();
        assert_eq!(with, vec![Neighbour { index: 6, distance: 0.0, flipped: true }]);
        assert!(nearest(&[&copy], &slices(&training), SHAPE, false).unwrap()[0].distance > 0.01);
    }

    #[test]
    fn distance_is_a_mean_of_squares() {
        let training = vec![vec![0.25; SHAPE.values()]];
        let found = nearest(&[&vec![0.75; SHAPE.values()]], &slices(&training), SHAPE, true).unwrap();
        assert_eq!(found, vec![Neighbour { index: 0, distance: 0.25, flipped: false }]);
    }

    #[test]
    fn copies_stand_out_and_fresh_images_do_not() {
        let training: Vec<_> = (0..60).map(image).collect();
        let held_out: Vec<_> = (100..200).map(image).collect();
        let fresh: Vec<_> = (300..400).map(image).collect();
        let copied: Vec<_> = (0..50).map(|i| image(i).iter().map(|v| v + 0.01).collect()).collect();
        let distances = |set: &[Vec<f32>]| nearest(&slices(set), &slices(&training), SHAPE, false).unwrap();
        let real = distances(&held_out);
        let check = CopyCheck::new(&distances(&fresh), &real).unwrap();
        assert!(check.nearer <= 15, "{} of 100 new images are nearer than the threshold", check.nearer);
        let check = CopyCheck::new(&distances(&copied), &real).unwrap();
        assert_eq!((check.nearer, check.generated, check.held_out), (50, 50, 100));
        assert_eq!(check.rank(check.generated_median), 0.0);
        assert_eq!(check.rank(f64::INFINITY), 1.0);
        assert!((check.rank(check.held_out_median) - 0.5).abs() < 0.02);
        assert_eq!(CopyCheck::new(&[], &real), None);
    }

    #[test]
    fn as_many_new_images_are_flagged_as_is_said() {
        // Distances whose logarithms are evenly spread: which they are does not matter, only their order does.
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Neighbour { index: 0, distance: ((state >> 40) as f64 / f64::from(1 << 24)).exp(), flipped: false }
        };
        for (held_out, expected) in [(1, 0.5), (2, 1.0 / 3.0), (16, 1.0 / 17.0), (19, 0.05), (30, 0.05), (78, 0.05)] {
            let trials = 4000;
            let mut flagged = 0;
            for _ in 0..trials {
                let held_out: Vec<Neighbour> = (0..held_out).map(|_| draw()).collect();
                let check = CopyCheck::new(&[draw()], &held_out).unwrap();
                assert!((check.expected - expected).abs() < 1e-12, "{check:?}");
                flagged += check.nearer;
            }
            let share = flagged as f64 / f64::from(trials);
            // Four standard errors.
            let slack = 4.0 * (expected * (1.0 - expected) / f64::from(trials)).sqrt();
            assert!((share - expected).abs() < slack, "{held_out} held out: {share}, expected {expected}");
        }
    }

    #[test]
    fn bad_input_is_named() {
        let good = image(1);
        let short = vec![0.0; 4];
        assert_eq!(nearest(&[&good], &[], SHAPE, true), Err(NearestError::NoTraining));
        let error = nearest(&[&good, &short], &[&good], SHAPE, true).unwrap_err();
        assert_eq!(error.to_string(), "query image 1 has 4 values, expected 5 x 7 x 3 = 105; resize it first");
        let mut broken = image(2);
        broken[9] = f32::NAN;
        let error = nearest(&[&good], &[&good, &broken], SHAPE, true).unwrap_err();
        assert_eq!(error, NearestError::NotFinite { set: "training", index: 1 });
    }
}
