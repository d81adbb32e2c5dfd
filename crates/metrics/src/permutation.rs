//! Permutation tests for a difference of means, and the summary of folds.
//!
//! p-values are two-sided: twice the smaller of two shares, but at most 1. The shares are those of the arrangements whose difference is
//! at least, or at most, as large as the observed difference. If there are few arrangements, all are used; otherwise random ones are
//! drawn, and the observed one is added to them, so p is never 0, but it cannot be smaller than twice one share of them.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::bootstrap::group_ids;
use crate::fixed::p_text;

/// How arrangements are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permutations {
    /// All arrangements are used if there are at most as many as this.
    pub exact_up_to: u64,
    /// The number of random arrangements if there are more.
    pub resamples: u64,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for Permutations {
    fn default() -> Self {
        Self { exact_up_to: 1 << 20, resamples: 9999, seed: 0 }
    }
}

/// The result of a test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PermutationTest {
    /// The difference of the means, first minus second.
    pub difference: f64,
    /// The two-sided p-value.
    pub p_value: f64,
    /// The number of arrangements that were used.
    pub arrangements: u64,
    /// Whether these are all possible arrangements.
    pub exact: bool,
}

impl PermutationTest {
    /// Whether p is the least that the random arrangements can show.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        !self.exact && self.p_value <= 2.0 / (self.arrangements + 1) as f64
    }

    /// p as it is printed.
    #[must_use]
    pub fn p_text(&self) -> String {
        p_text(self.p_value, self.is_bound())
    }
}

/// Tests whether the mean of paired differences is 0, by flipping signs; with groups, all signs of a group are flipped together.
/// `None` without differences.
#[must_use]
pub fn paired_permutation(
    differences: &[f64],
    groups: Option<&[usize]>,
    settings: Permutations,
) -> Option<PermutationTest> {
    if differences.is_empty() {
        return None;
    }
    let ids = groups.map_or_else(|| (0..differences.len()).collect(), group_ids);
    let mut sums = vec![0.0; ids.iter().max().map_or(0, |last| last + 1)];
    for (&id, difference) in ids.iter().zip(differences) {
        sums[id] += difference;
    }
    let count = differences.len() as f64;
    let all = u32::try_from(sums.len())
        .ok()
        .and_then(|units| 1_u64.checked_shl(units))
        .filter(|&a| a <= settings.exact_up_to);
    let mean = |turned: &dyn Fn(usize) -> bool| {
        sums.iter().enumerate().map(|(unit, sum)| if turned(unit) { -sum } else { *sum }).sum::<f64>() / count
    };
    let observed = mean(&|_| false);
    let mut tally = Tally::new(observed);
    if let Some(all) = all {
        (0..all).for_each(|signs| tally.add(mean(&|unit| (signs >> unit) & 1 == 1)));
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        for _ in 0..settings.resamples {
            let turned: Vec<bool> = (0..sums.len()).map(|_| rng.random()).collect();
            tally.add(mean(&|unit| turned[unit]));
        }
    }
    Some(tally.test(all.is_some()))
}

/// Tests whether two independent sets have the same mean, by exchanging members. `None` if either set is empty.
#[must_use]
pub fn independent_permutation(first: &[f64], second: &[f64], settings: Permutations) -> Option<PermutationTest> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let mut values = [first, second].concat();
    let (m, n) = (first.len(), second.len());
    let total: f64 = values.iter().sum();
    let difference = |sum: f64| sum / m as f64 - (total - sum) / n as f64;
    let mut tally = Tally::new(difference(first.iter().sum()));
    let all = combinations(values.len() as u64, m as u64).filter(|&all| all <= settings.exact_up_to);
    if all.is_some() {
        for_each_subset(values.len(), m, &mut |chosen| tally.add(difference(chosen.iter().map(|&i| values[i]).sum())));
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        for _ in 0..settings.resamples {
            let (chosen, _) = values.partial_shuffle(&mut rng, m);
            let sum = chosen.iter().sum();
            tally.add(difference(sum));
        }
    }
    Some(tally.test(all.is_some()))
}

/// Counts the arrangements whose difference is at least, and at most, as large as the observed difference.
struct Tally {
    observed: f64,
    slack: f64,
    count: u64,
    least: u64,
    most: u64,
}

impl Tally {
    fn new(observed: f64) -> Self {
        // The slack allows for rounding, because the same sum in another order can differ slightly.
        Self { observed, slack: 1e-12 * observed.abs().max(f64::MIN_POSITIVE), count: 0, least: 0, most: 0 }
    }

    fn add(&mut self, difference: f64) {
        self.count += 1;
        self.least += u64::from(difference >= self.observed - self.slack);
        self.most += u64::from(difference <= self.observed + self.slack);
    }

    fn test(&self, exact: bool) -> PermutationTest {
        let found = u64::from(!exact);
        let share = |count: u64| (count + found) as f64 / (self.count + found) as f64;
        let p_value = (2.0 * share(self.least.min(self.most))).min(1.0);
        PermutationTest { difference: self.observed, p_value, arrangements: self.count, exact }
    }
}

/// The binomial coefficient n over k; `None` if it is too large for u64.
fn combinations(n: u64, k: u64) -> Option<u64> {
    (0..k.min(n - k)).try_fold(1_u64, |product, i| Some(product.checked_mul(n - i)? / (i + 1)))
}

/// Calls `visit` with every subset of `0..count` that has `size` members, in ascending order.
fn for_each_subset(count: usize, size: usize, visit: &mut dyn FnMut(&[usize])) {
    let mut chosen: Vec<usize> = (0..size).collect();
    loop {
        visit(&chosen);
        let Some(at) = (0..size).rev().find(|&at| chosen[at] < count - size + at) else { return };
        chosen[at] += 1;
        for next in at + 1..size {
            chosen[next] = chosen[next - 1] + 1;
        }
    }
}

/// The mean and the standard deviation over the folds of a cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FoldSummary {
    /// The mean over folds; each fold counts once.
    pub mean: f64,
    /// The standard deviation over folds, dividing by their number minus one; `None` for one fold.
    pub std: Option<f64>,
    /// The number of folds.
    pub folds: usize,
}

impl FoldSummary {
    /// The summary of one value per fold; `None` without folds.
    #[must_use]
    pub fn new(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self { mean, std: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()), folds: values.len() })
    }

    /// The mean of a share in the format of the paper's Table 2: per cent with two decimals, such as `60.54`.
    #[must_use]
    pub fn percent(&self) -> String {
        format!("{:.2}", 100.0 * self.mean)
    }

    /// [`FoldSummary::percent`] with the standard deviation, which the paper does not give: `60.54 ± 3.21`.
    #[must_use]
    pub fn percent_with_std(&self) -> String {
        self.std.map_or_else(|| self.percent(), |std| format!("{} ± {:.2}", self.percent(), 100.0 * std))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_a_group_turn_together() {
        let settings = Permutations::default();
        // Two groups have four arrangements; the observed one and its mirror image are the extremes.
        let found = paired_permutation(&[1.0, 2.0, 3.0], Some(&[0, 0, 1]), settings).unwrap();
        assert_eq!((found.difference, found.p_value, found.arrangements, found.exact), (2.0, 0.5, 4, true));
        let found = paired_permutation(&[1.0, 2.0, 3.0], None, settings).unwrap();
        assert_eq!((found.p_value, found.arrangements), (0.25, 8));
        assert_eq!(paired_permutation(&[], None, settings), None);
    }

    #[test]
    fn random_arrangements_come_near_all_of_them() {
        let differences: Vec<f64> = (0..12).map(|i| (f64::from(i) * 1.3).sin() + 0.3).collect();
        let all = paired_permutation(&differences, None, Permutations::default()).unwrap();
        let few = |seed| Permutations { exact_up_to: 4095, resamples: 4000, seed };
        let some = |seed| paired_permutation(&differences, None, few(seed)).unwrap();
        assert!(all.exact && !some(0).exact);
        assert_eq!(some(7), some(7));
        assert!((some(1).p_value - all.p_value).abs() < 0.04, "{}, expected {}", some(1).p_value, all.p_value);
        let far = paired_permutation(&[5.0; 40], None, Permutations::default()).unwrap();
        assert_eq!((far.p_value, far.is_bound(), far.p_text().as_str()), (2.0 / 10_000.0, true, "< 0.0002"));
        // Sixteen patients have 65,536 arrangements, which are all used.
        let exact = paired_permutation(&[5.0; 16], None, Permutations::default()).unwrap();
        assert_eq!((exact.p_value, exact.exact, exact.p_text().as_str()), (2.0 / 65_536.0, true, "< 0.0001"));
        let (a, b): (Vec<f64>, Vec<f64>) = ((0..20).map(f64::from).collect(), (30..50).map(f64::from).collect());
        assert_eq!(independent_permutation(&a, &b, Permutations::default()).unwrap().p_value, 2.0 / 10_000.0);
    }

    #[test]
    fn folds_print_as_the_paper_prints() {
        let summary = FoldSummary::new(&[0.6, 0.61, 0.59, 0.6254, 0.602]).unwrap();
        assert_eq!(summary.percent(), "60.55");
        assert_eq!(summary.percent_with_std(), "60.55 ± 1.32");
        assert_eq!(FoldSummary::new(&[0.5]).unwrap().percent_with_std(), "50.00");
        assert_eq!(FoldSummary::new(&[]), None);
    }
}
