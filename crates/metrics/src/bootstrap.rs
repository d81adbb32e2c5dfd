//! Bootstrap intervals of a mean or of a ratio of sums, over cases or over groups of cases (patients).
//!
//! The interval is Hesterberg's expanded percentile interval (The American Statistician 69(4), 2015, doi
//! 10.1080/00031305.2015.1089789, section 3.3): percentiles of the resampled means, moved slightly outwards so that the interval
//! for the mean of normal values is as wide as Student's interval. With 10 to 30 patients the plain percentile interval is too
//! narrow (it misses the mean in 10 to 6 % of cases instead of 5 %); with hundreds of cases both intervals are the same.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::student::{normal_tails, student_quantile};

/// The settings of the interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The number of resamples.
    pub resamples: usize,
    /// The seed of the ChaCha stream; the same seed gives the same interval to the last bit.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0 }
    }
}

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean over all cases (each case counts once, so a patient with more cases has a larger weight), or the ratio of sums.
    pub mean: f64,
    /// The lower end of the 95 % interval; minus infinity (null in JSON) if there was only one unit to resample.
    pub low: f64,
    /// The upper end of the 95 % interval; plus infinity (null in JSON) if there was only one unit to resample.
    pub high: f64,
    /// The number of cases.
    pub cases: usize,
    /// The number of resampled units: groups if groups were given, otherwise cases.
    pub units: usize,
}

impl Estimate {
    /// True when the interval does not contain zero.
    #[must_use]
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The mean of `values` with its 95 % bootstrap interval; `None` without values.
///
/// With `groups` (one label per value) whole groups are resampled. This is necessary for a correct interval if a patient has several
/// images. The units are ordered by their first value, so renaming labels has no effect.
///
/// # Panics
///
/// When `groups` has another length than `values`, or a value is not finite: both are mistakes of the calling code.
#[must_use]
pub fn bootstrap_mean(values: &[f64], groups: Option<&[usize]>, settings: &Bootstrap) -> Option<Estimate> {
    let fractions: Vec<(f64, f64)> = values.iter().map(|&value| (value, 1.0)).collect();
    bootstrap_ratio(&fractions, groups, settings)
}

/// The sum of the numerators divided by the sum of the denominators, with its 95 % bootstrap interval, for pooled measures and rates.
/// `None` if the denominators sum to 0; resamples with this sum are drawn but not counted.
///
/// Units, groups and panics are those of [`bootstrap_mean`]; denominators must not be negative.
#[must_use]
pub fn bootstrap_ratio(fractions: &[(f64, f64)], groups: Option<&[usize]>, settings: &Bootstrap) -> Option<Estimate> {
    assert!(
        fractions.iter().all(|(part, whole)| part.is_finite() && whole.is_finite()),
        "bootstrap needs finite values"
    );
    let whole: f64 = fractions.iter().map(|(_, whole)| whole).sum();
    if whole <= 0.0 {
        return None;
    }
    let units = units(fractions, groups);
    let mean = fractions.iter().map(|(part, _)| part).sum::<f64>() / whole;
    let estimate = |low, high| Estimate { mean, low, high, cases: fractions.len(), units: units.len() };
    if units.len() < 2 {
        return Some(estimate(f64::NEG_INFINITY, f64::INFINITY));
    }
    let ratios = resampled_ratios(&units, settings);
    if ratios.is_empty() {
        return Some(estimate(f64::NEG_INFINITY, f64::INFINITY));
    }
    let tail = expanded_tail(units.len());
    // Because of rounding, a percentile of equal values can differ from their mean; the interval must contain the mean.
    Some(estimate(quantile(&ratios, tail).min(mean), quantile(&ratios, 1.0 - tail).max(mean)))
}

/// Numbers the labels 0, 1, ... in the order of their first appearance, as group ids for [`bootstrap_mean`].
#[must_use]
pub fn group_ids<T: Ord>(labels: &[T]) -> Vec<usize> {
    let mut seen = BTreeMap::new();
    labels
        .iter()
        .map(|label| {
            let next = seen.len();
            *seen.entry(label).or_insert(next)
        })
        .collect()
}

/// The quantile of ascending values for `p` in [0, 1], linear between order statistics (R's type 7).
///
/// # Panics
///
/// When there are no values.
#[must_use]
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    assert!(!sorted.is_empty(), "a quantile needs values");
    let position = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let part = position - below as f64;
    sorted[below] + part * (sorted[above] - sorted[below])
}

/// The sums of numerators and of denominators of every unit.
fn units(fractions: &[(f64, f64)], groups: Option<&[usize]>) -> Vec<(f64, f64)> {
    let Some(groups) = groups else {
        return fractions.to_vec();
    };
    assert_eq!(groups.len(), fractions.len(), "every value needs one group label");
    let ids = group_ids(groups);
    let mut units = vec![(0.0, 0.0); ids.iter().max().map_or(0, |m| m + 1)];
    for (&id, &(part, whole)) in ids.iter().zip(fractions) {
        units[id].0 += part;
        units[id].1 += whole;
    }
    units
}

/// The ratios of resampled units, ascending.
fn resampled_ratios(units: &[(f64, f64)], settings: &Bootstrap) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    // u32, because draws of a usize depend on its width on the machine.
    let count = units.len() as u32;
    let mut ratios: Vec<f64> = (0..settings.resamples.max(1))
        .filter_map(|_| {
            let (mut part, mut whole) = (0.0, 0.0);
            for _ in 0..count {
                let unit = units[rng.random_range(0..count) as usize];
                part += unit.0;
                whole += unit.1;
            }
            (whole > 0.0).then(|| part / whole)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

/// The tail probability at which to read the resampled means of `n` units, so that the interval is as wide as Student's: the
/// standard deviation of resampled means is too small by sqrt((n - 1) / n), and the point of the normal distribution is smaller
/// than that of Student's t.
fn expanded_tail(n: usize) -> f64 {
    let n = n as f64;
    0.5 * normal_tails((n / (n - 1.0)).sqrt() * student_quantile(0.05, n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of twelve uniform numbers: close enough to normal for tests of coverage.
    fn normal(rng: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    fn misses(n: usize, draw: impl Fn(&mut ChaCha8Rng) -> (Vec<f64>, Option<Vec<usize>>)) -> (usize, usize) {
        let trials = 1000;
        let (mut below, mut above) = (0, 0);
        for seed in 0..trials {
            let mut rng = ChaCha8Rng::seed_from_u64(10_000 + seed);
            let (values, groups) = draw(&mut rng);
            let settings = Bootstrap { resamples: 600, seed };
            let e = bootstrap_mean(&values, groups.as_deref(), &settings).unwrap();
            assert_eq!(e.units, n);
            below += usize::from(e.high < 0.0);
            above += usize::from(e.low > 0.0);
        }
        (below, above)
    }

    #[test]
    fn covers_the_mean_of_a_normal_sample_in_95_of_100() {
        for n in [8, 12, 60] {
            let (below, above) = misses(n, |rng| ((0..n).map(|_| normal(rng)).collect(), None));
            // 25 are expected on each side, with a standard deviation of 5.
            assert!((10..=42).contains(&below), "n {n}: {below} misses below");
            assert!((10..=42).contains(&above), "n {n}: {above} misses above");
        }
    }

    #[test]
    fn groups_keep_coverage_where_cases_would_not() {
        // 15 patients with 8 images each; nearly all of the variance is between patients.
        let draw = |rng: &mut ChaCha8Rng| {
            let mut values = Vec::new();
            let mut groups = Vec::new();
            for patient in 0..15 {
                let level = normal(rng);
                for _ in 0..8 {
                    values.push(level + 0.3 * normal(rng));
                    groups.push(patient);
                }
            }
            (values, Some(groups))
        };
        let (below, above) = misses(15, draw);
        assert!((25..=85).contains(&(below + above)), "by group: {below} + {above}");
        let (below, above) = misses(120, |rng| (draw(rng).0, None));
        assert!(below + above > 300, "by case: {below} + {above}, should be far too many");
    }

    #[test]
    fn a_ratio_weighs_by_its_denominators() {
        let settings = Bootstrap::default();
        let found = bootstrap_ratio(&[(1.0, 2.0), (0.0, 0.0), (8.0, 8.0)], None, &settings).unwrap();
        assert_eq!((found.mean, found.cases, found.units), (0.9, 3, 3));
        assert!(found.low >= 0.5 && found.high <= 1.0 && found.low < 0.9);
        assert_eq!(bootstrap_ratio(&[(0.0, 0.0); 4], None, &settings), None);
        let weights = bootstrap_ratio(&[(3.0, 1.0), (5.0, 1.0), (4.0, 1.0)], None, &settings);
        assert_eq!(weights, bootstrap_mean(&[3.0, 5.0, 4.0], None, &settings));
    }

    #[test]
    fn is_deterministic_and_shifts_with_the_values() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
        let settings = Bootstrap::default();
        let a = bootstrap_mean(&values, None, &settings).unwrap();
        assert_eq!(a, bootstrap_mean(&values, None, &settings).unwrap());
        let other = bootstrap_mean(&values, None, &Bootstrap { seed: 1, ..settings.clone() }).unwrap();
        assert_ne!(a, other);
        let moved: Vec<f64> = values.iter().map(|v| v + 5.0).collect();
        let b = bootstrap_mean(&moved, None, &settings).unwrap();
        assert!((b.low - a.low - 5.0).abs() < 1e-12 && (b.high - a.high - 5.0).abs() < 1e-12);
    }

    #[test]
    fn renaming_groups_changes_nothing() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        let settings = Bootstrap::default();
        let a = bootstrap_mean(&values, Some(&[0, 0, 1, 2, 2]), &settings);
        let b = bootstrap_mean(&values, Some(&[9, 9, 3, 5, 5]), &settings);
        assert_eq!(a, b);
        assert_eq!(a.unwrap().units, 3);
    }

    #[test]
    fn edge_cases() {
        let settings = Bootstrap::default();
        assert_eq!(bootstrap_mean(&[], None, &settings), None);
        let one = bootstrap_mean(&[3.0], None, &settings).unwrap();
        assert_eq!((one.mean, one.low, one.high), (3.0, f64::NEG_INFINITY, f64::INFINITY));
        assert!(!one.excludes_zero());
        let constant = bootstrap_mean(&[0.1; 30], None, &settings).unwrap();
        assert!((constant.high - constant.low) < 1e-15 && constant.excludes_zero());
    }

    #[test]
    fn quantiles_are_type_7() {
        let v = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&v, 0.0), 1.0);
        assert_eq!(quantile(&v, 1.0), 4.0);
        assert_eq!(quantile(&v, 0.5), 2.5);
        assert!((quantile(&v, 0.25) - 1.75).abs() < 1e-15);
    }
}
