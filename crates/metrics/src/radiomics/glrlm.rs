//! Gray level run length features (IBSI manual, section 3.7), with four directions merged.

use super::levels::{DIRECTIONS, Levels};
use super::numbers::entropy;

pub(super) const NAMES: [&str; 16] = [
    "short_runs_emphasis",
    "long_runs_emphasis",
    "low_grey_level_run_emphasis",
    "high_grey_level_run_emphasis",
    "short_run_low_grey_level_emphasis",
    "short_run_high_grey_level_emphasis",
    "long_run_low_grey_level_emphasis",
    "long_run_high_grey_level_emphasis",
    "grey_level_non_uniformity",
    "normalised_grey_level_non_uniformity",
    "run_length_non_uniformity",
    "normalised_run_length_non_uniformity",
    "run_percentage",
    "grey_level_variance",
    "run_length_variance",
    "run_entropy",
];

/// The counts of runs: one row per level, one column per length, starting with length 1.
fn runs(levels: &Levels) -> (Vec<f64>, usize) {
    let longest = levels.height.max(levels.width);
    let mut counts = vec![0.0; levels.count * longest];
    for direction in DIRECTIONS {
        let back = (-direction.0, -direction.1);
        let same = |index: usize, direction, level: usize| {
            levels.step(index, direction).filter(|&next| levels.of[next] == level)
        };
        for (first, &level) in levels.of.iter().enumerate().filter(|(_, level)| **level > 0) {
            if same(first, back, level).is_some() {
                continue;
            }
            let length = std::iter::successors(Some(first), |&index| same(index, direction, level)).count();
            counts[(level - 1) * longest + length - 1] += 1.0;
        }
    }
    (counts, longest)
}

/// The features of a region with at least one pixel.
pub(super) fn features(levels: &Levels) -> [f64; NAMES.len()] {
    let (counts, longest) = runs(levels);
    let total: f64 = counts.iter().sum();
    let over = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        let value = |(at, count): (usize, &f64)| of((at / longest + 1) as f64, (at % longest + 1) as f64) * count;
        counts.iter().enumerate().filter(|(_, count)| **count > 0.0).map(value).sum::<f64>() / total
    };
    let by_level: f64 = counts.chunks_exact(longest).map(|row| row.iter().sum::<f64>().powi(2)).sum();
    let by_length: f64 =
        (0..longest).map(|length| counts.iter().skip(length).step_by(longest).sum::<f64>().powi(2)).sum();
    let (mean_level, mean_length) = (over(&|level, _| level), over(&|_, length| length));
    let pixels = levels.of.iter().filter(|level| **level > 0).count() as f64;
    [
        over(&|_, length| length.powi(-2)),
        over(&|_, length| length.powi(2)),
        over(&|level, _| level.powi(-2)),
        over(&|level, _| level.powi(2)),
        over(&|level, length| (level * length).powi(-2)),
        over(&|level, length| (level / length).powi(2)),
        over(&|level, length| (length / level).powi(2)),
        over(&|level, length| (level * length).powi(2)),
        by_level / total,
        by_level / total.powi(2),
        by_length / total,
        by_length / total.powi(2),
        total / (pixels * DIRECTIONS.len() as f64),
        over(&|level, _| (level - mean_level).powi(2)),
        over(&|_, length| (length - mean_length).powi(2)),
        entropy(counts.iter().map(|count| count / total)),
    ]
}
