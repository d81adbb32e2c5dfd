//! Gray level co-occurrence features (IBSI manual, section 3.6), symmetric, with four directions merged, without features that are
//! linear functions of others.

use super::levels::{DIRECTIONS, Levels};
use super::numbers::{entropy, ratio};

pub(super) const NAMES: [&str; 22] = [
    "joint_maximum",
    "joint_average",
    "joint_variance",
    "joint_entropy",
    "difference_average",
    "difference_variance",
    "difference_entropy",
    "sum_variance",
    "sum_entropy",
    "angular_second_moment",
    "contrast",
    "inverse_difference",
    "normalised_inverse_difference",
    "inverse_difference_moment",
    "normalised_inverse_difference_moment",
    "inverse_variance",
    "correlation",
    "autocorrelation",
    "cluster_shade",
    "cluster_prominence",
    "information_correlation_1",
    "information_correlation_2",
];

/// The shares of pairs of levels, row-major `count x count`; `None` without pairs.
fn shares(levels: &Levels) -> Option<Vec<f64>> {
    let mut counts = vec![0.0; levels.count * levels.count];
    for (index, &level) in levels.of.iter().enumerate().filter(|(_, level)| **level > 0) {
        let neighbours = DIRECTIONS.iter().filter_map(|&direction| levels.step(index, direction));
        for other in neighbours.map(|next| levels.of[next]).filter(|&other| other > 0) {
            counts[(level - 1) * levels.count + other - 1] += 1.0;
            counts[(other - 1) * levels.count + level - 1] += 1.0;
        }
    }
    let total: f64 = counts.iter().sum();
    (total > 0.0).then(|| counts.iter().map(|count| count / total).collect())
}

/// The features of a region; `None` if no two of its pixels are neighbours.
pub(super) fn features(levels: &Levels) -> Option<[f64; NAMES.len()]> {
    let (n, p) = (levels.count, shares(levels)?);
    let level = |index: usize| (index + 1) as f64;
    // The sum over all pairs of levels of a function times the share of the pair.
    let over = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        p.iter()
            .enumerate()
            .filter(|(_, share)| **share > 0.0)
            .map(|(at, share)| of(level(at / n), level(at % n)) * share)
            .sum()
    };
    let (mut difference, mut sum) = (vec![0.0; n], vec![0.0; 2 * n - 1]);
    for (at, share) in p.iter().enumerate() {
        difference[(at / n).abs_diff(at % n)] += share;
        sum[at / n + at % n] += share;
    }
    let marginal: Vec<f64> = p.chunks_exact(n).map(|row| row.iter().sum()).collect();
    let mean = over(&|i, _| i);
    let variance = over(&|i, _| (i - mean).powi(2));
    let mean_difference = over(&|i, j| (i - j).abs());
    let levels = n as f64;
    let [information_1, information_2] = information(&p, &marginal);
    Some([
        p.iter().copied().fold(0.0, f64::max),
        mean,
        variance,
        entropy(p.iter().copied()),
        mean_difference,
        over(&|i, j| ((i - j).abs() - mean_difference).powi(2)),
        entropy(difference.into_iter()),
        over(&|i, j| (i + j - 2.0 * mean).powi(2)),
        entropy(sum.into_iter()),
        p.iter().map(|share| share * share).sum(),
        over(&|i, j| (i - j).powi(2)),
        over(&|i, j| 1.0 / (1.0 + (i - j).abs())),
        over(&|i, j| 1.0 / (1.0 + (i - j).abs() / levels)),
        over(&|i, j| 1.0 / (1.0 + (i - j).powi(2))),
        over(&|i, j| 1.0 / (1.0 + ((i - j) / levels).powi(2))),
        over(&|i, j| if i == j { 0.0 } else { 1.0 / (i - j).powi(2) }),
        if variance == 0.0 { 1.0 } else { over(&|i, j| (i - mean) * (j - mean)) / variance },
        over(&|i, j| i * j),
        over(&|i, j| (i + j - 2.0 * mean).powi(3)),
        over(&|i, j| (i + j - 2.0 * mean).powi(4)),
        information_1,
        information_2,
    ])
}

/// Both information correlations, from the joint entropy and those of independent levels.
fn information(p: &[f64], marginal: &[f64]) -> [f64; 2] {
    let n = marginal.len();
    let joint = entropy(p.iter().copied());
    let (mut cross, mut independent) = (0.0, 0.0);
    for (at, share) in p.iter().enumerate() {
        let product = marginal[at / n] * marginal[at % n];
        if product > 0.0 {
            cross -= share * product.log2();
            independent -= product * product.log2();
        }
    }
    // Because of rounding, the difference can be slightly below zero.
    let gain = (independent - joint).max(0.0);
    [ratio(joint - cross, entropy(marginal.iter().copied())), (1.0 - (-2.0 * gain).exp()).sqrt()]
}
