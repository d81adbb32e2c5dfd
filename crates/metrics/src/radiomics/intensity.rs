//! IBSI's intensity-based statistics (manual, section 3.3), without the range.

use super::numbers::ratio;
use crate::bootstrap::quantile;

pub(super) const NAMES: [&str; 17] = [
    "mean_intensity",
    "intensity_variance",
    "intensity_skewness",
    "excess_intensity_kurtosis",
    "median_intensity",
    "minimum_intensity",
    "10th_intensity_percentile",
    "90th_intensity_percentile",
    "maximum_intensity",
    "intensity_interquartile_range",
    "mean_absolute_deviation",
    "robust_mean_absolute_deviation",
    "median_absolute_deviation",
    "coefficient_of_variation",
    "quartile_coefficient_of_dispersion",
    "intensity_energy",
    "root_mean_square_intensity",
];

/// The statistics of at least one value; percentiles are linear between order statistics.
pub(super) fn features(values: &[f64]) -> [f64; NAMES.len()] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mean_of = |of: &dyn Fn(f64) -> f64| sorted.iter().map(|&value| of(value)).sum::<f64>() / sorted.len() as f64;
    let mean = mean_of(&|value| value);
    let moment = |power| mean_of(&|value| (value - mean).powi(power));
    let variance = moment(2);
    let [p10, p25, median, p75, p90] = [0.1, 0.25, 0.5, 0.75, 0.9].map(|p| quantile(&sorted, p));
    let within: Vec<f64> = sorted.iter().copied().filter(|value| (p10..=p90).contains(value)).collect();
    let robust_mean = within.iter().sum::<f64>() / within.len() as f64;
    let energy: f64 = sorted.iter().map(|value| value * value).sum();
    [
        mean,
        variance,
        ratio(moment(3), variance.powf(1.5)),
        if variance == 0.0 { 0.0 } else { moment(4) / variance.powi(2) - 3.0 },
        median,
        sorted[0],
        p10,
        p90,
        sorted[sorted.len() - 1],
        p75 - p25,
        mean_of(&|value| (value - mean).abs()),
        within.iter().map(|value| (value - robust_mean).abs()).sum::<f64>() / within.len() as f64,
        mean_of(&|value| (value - median).abs()),
        ratio(variance.sqrt(), mean),
        ratio(p75 - p25, p75 + p25),
        energy,
        (energy / sorted.len() as f64).sqrt(),
    ]
}
