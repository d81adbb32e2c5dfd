//! How exactly a Frechet distance is known: an interval from the delete-a-block jackknife.
//!
//! Each set is divided into blocks of whole patients (or of images, if patients are not known), and the distance is computed without each
//! block in turn. Blocks differ in size, so the variance is that of Busing, Meijer and van der Leeden (Statistics and Computing 9, 1999,
//! doi 10.1023/A:1008800423698). A bootstrap would not do: repeated images make a set look smaller, so resampled distances are
//! biased upwards. The interval is about the distance of sets of this size; it does not contain the bias of few images.

use rayon::prelude::*;
use serde::Serialize;

use crate::bootstrap::group_ids;
use crate::features::{FeatureError, Features};
use crate::frechet::{FeatureStatistics, frechet_distance};
use crate::student::student_quantile;

/// The largest number of blocks of a set.
const BLOCKS: usize = 20;

/// With fewer blocks of a set than this, there is no interval.
const LEAST_BLOCKS: usize = 5;

/// The 95 % interval of a Frechet distance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FrechetInterval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The standard error.
    pub standard_error: f64,
    /// The degrees of freedom, by Satterthwaite's approximation.
    pub degrees_of_freedom: f64,
    /// The numbers of blocks of the reference and of the other set.
    pub blocks: [usize; 2],
}

/// The interval of `distance`, the Frechet distance of the two sets. `groups` are the patients of the reference, one per image. `None` if a
/// set is too small for `LEAST_BLOCKS` blocks of which the others hold two images.
///
/// # Panics
///
/// When `groups` has another length than the reference, a mistake of the calling code.
pub fn frechet_interval(
    distance: f64,
    reference: &Features,
    other: &Features,
    groups: Option<&[String]>,
) -> Result<Option<FrechetInterval>, FeatureError> {
    let ids = groups.map_or_else(|| (0..reference.count()).collect(), group_ids);
    assert_eq!(ids.len(), reference.count(), "every image needs one group");
    let of_reference = blocks(&ids);
    let of_other = blocks(&(0..other.count()).collect::<Vec<_>>());
    if of_reference.len().min(of_other.len()) < LEAST_BLOCKS || reference.count().min(other.count()) < 4 {
        return Ok(None);
    }
    let statistics = [FeatureStatistics::new(reference)?, FeatureStatistics::new(other)?];
    let variances = [
        jackknife(distance, reference, &of_reference, &statistics[1])?,
        jackknife(distance, other, &of_other, &statistics[0])?,
    ];
    let total: f64 = variances.iter().sum();
    let counts = [of_reference.len(), of_other.len()];
    let squares: f64 = variances.iter().zip(counts).map(|(part, count)| part * part / (count - 1) as f64).sum();
    let degrees = if squares > 0.0 { total * total / squares } else { (counts[0].min(counts[1]) - 1) as f64 };
    let error = total.sqrt();
    let half = student_quantile(0.05, degrees) * error;
    Ok(Some(FrechetInterval {
        low: (distance - half).max(0.0),
        high: distance + half,
        standard_error: error,
        degrees_of_freedom: degrees,
        blocks: counts,
    }))
}

/// The positions of each block, ascending: the largest units first, each into the block that has the fewest images.
fn blocks(ids: &[usize]) -> Vec<Vec<usize>> {
    let mut units = vec![Vec::new(); ids.iter().max().map_or(0, |last| last + 1)];
    for (position, &id) in ids.iter().enumerate() {
        units[id].push(position);
    }
    units.sort_by_key(|unit| std::cmp::Reverse(unit.len()));
    let mut blocks: Vec<Vec<usize>> = vec![Vec::new(); units.len().min(BLOCKS)];
    for mut unit in units {
        if let Some(smallest) = blocks.iter_mut().min_by_key(|block| block.len()) {
            smallest.append(&mut unit);
        }
    }
    for block in &mut blocks {
        block.sort_unstable();
    }
    blocks
}

/// The variance of the distance that the choice of `features` gives it; `fixed` is the set that stays.
fn jackknife(
    distance: f64,
    features: &Features,
    blocks: &[Vec<usize>],
    fixed: &FeatureStatistics,
) -> Result<f64, FeatureError> {
    let without = |block: &Vec<usize>| {
        let kept: Vec<usize> = (0..features.count()).filter(|image| block.binary_search(image).is_err()).collect();
        frechet_distance(&FeatureStatistics::new(&features.select(&kept))?, fixed)
    };
    let distances = blocks.par_iter().map(without).collect::<Result<Vec<f64>, FeatureError>>()?;
    let (count, images) = (blocks.len() as f64, features.count() as f64);
    let weights: Vec<f64> = blocks.iter().map(|block| images / block.len() as f64).collect();
    let rest: f64 = distances.iter().zip(&weights).map(|(without, weight)| (1.0 - 1.0 / weight) * without).sum();
    let estimate = count * distance - rest;
    let squares = distances.iter().zip(&weights).map(|(without, weight)| {
        let pseudo = weight * distance - (weight - 1.0) * without;
        (pseudo - estimate).powi(2) / (weight - 1.0)
    });
    Ok(squares.sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Vectors of `patients` patients of four images each, whose values are sums of uniform numbers.
    fn set(rng: &mut ChaCha8Rng, patients: usize, shift: f64, between: f64) -> (Features, Vec<String>) {
        let (mut values, mut groups) = (Vec::new(), Vec::new());
        let mut number = || (0..6).map(|_| rng.random::<f64>()).sum::<f64>() - 3.0;
        for patient in 0..patients {
            let level = [0; 3].map(|_| between * number());
            for _ in 0..4 {
                values.extend(level.map(|level| level + number() + shift));
                groups.push(format!("p{patient}"));
            }
        }
        (Features::new(values, 3).unwrap(), groups)
    }

    fn distance(a: &Features, b: &Features) -> f64 {
        frechet_distance(&FeatureStatistics::new(a).unwrap(), &FeatureStatistics::new(b).unwrap()).unwrap()
    }

    #[test]
    fn intervals_cover_the_mean_distance_of_such_sets() {
        for (between, shift) in [(0.0, 1.0), (1.0, 1.5)] {
            let draw = |seed: u64| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let (reference, groups) = set(&mut rng, 40, 0.0, between);
                let (other, _) = set(&mut rng, 25, shift, 0.0);
                (distance(&reference, &other), reference, other, groups)
            };
            let trials = 600;
            let expected = (0..trials).map(|seed| draw(1_000 + seed).0).sum::<f64>() / trials as f64;
            let covered = (0..trials).filter(|&seed| {
                let (found, reference, other, groups) = draw(seed);
                let interval = frechet_interval(found, &reference, &other, Some(&groups)).unwrap().unwrap();
                assert_eq!(interval.blocks, [20, 20]);
                interval.low <= expected && expected <= interval.high
            });
            let share = 100.0 * covered.count() as f64 / trials as f64;
            assert!((92.0..=98.0).contains(&share), "between {between}: {share} %");
        }
    }

    #[test]
    fn blocks_keep_patients_together_and_lose_no_image() {
        let ids: Vec<usize> = (0..100).map(|image| image / 3).collect();
        let found = blocks(&ids);
        assert_eq!((found.len(), found.iter().map(Vec::len).sum::<usize>()), (20, 100));
        for id in 0..34 {
            let holding = found.iter().filter(|block| block.iter().any(|&image| ids[image] == id));
            assert_eq!(holding.count(), 1);
        }
        assert_eq!(blocks(&[0, 0, 1]), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn small_sets_have_no_interval() {
        let (few, groups) = set(&mut ChaCha8Rng::seed_from_u64(0), 4, 0.0, 1.0);
        let (other, _) = set(&mut ChaCha8Rng::seed_from_u64(1), 4, 0.0, 1.0);
        let found = distance(&few, &other);
        assert_eq!(frechet_interval(found, &few, &other, Some(&groups)).unwrap(), None);
        assert!(frechet_interval(found, &few, &other, None).unwrap().is_some());
    }
}
