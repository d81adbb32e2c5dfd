//! Histograms over shared bins, to compare real and generated values.

use serde::{Deserialize, Serialize};

/// Counts over equal bins of `low..=high`; the last bin includes `high`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The lower end of the first bin.
    pub low: f64,
    /// The upper end of the last bin.
    pub high: f64,
    /// The number of values in each bin.
    pub counts: Vec<u64>,
    /// The number of values below `low`.
    pub below: u64,
    /// The number of values above `high`.
    pub above: u64,
    /// The number of values that are NaN; infinities count as below or above.
    pub not_a_number: u64,
}

impl Histogram {
    /// Counts `values` in `bins` equal bins of `low..=high`.
    ///
    /// # Panics
    ///
    /// When `bins` is zero, or `low` and `high` are not finite with `low < high`: mistakes of the calling code.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = f64>, bins: usize, (low, high): (f64, f64)) -> Self {
        assert!(bins > 0, "a histogram needs at least one bin");
        assert!(
            low.is_finite() && high.is_finite() && low < high,
            "a histogram needs finite ends with low < high, found {low} and {high}"
        );
        let mut histogram = Self { low, high, counts: vec![0; bins], below: 0, above: 0, not_a_number: 0 };
        histogram.add(values);
        histogram
    }

    /// Counts further values.
    pub fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        let (low, high, bins) = (self.low, self.high, self.counts.len());
        for value in values {
            if value.is_nan() {
                self.not_a_number += 1;
            } else if value < low {
                self.below += 1;
            } else if value > high {
                self.above += 1;
            } else {
                let bin = ((value - low) / (high - low) * bins as f64) as usize;
                self.counts[bin.min(bins - 1)] += 1;
            }
        }
    }

    /// The number of values that are not NaN, inside or outside the range.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.below + self.above
    }

    /// The share of all values (without NaN) in each bin; all shares are zero without values. Shares of sets of different size can be
    /// compared.
    #[must_use]
    pub fn fractions(&self) -> Vec<f64> {
        let total = self.total().max(1) as f64;
        self.counts.iter().map(|&count| count as f64 / total).collect()
    }

    /// The lower and the upper end of bin `index`.
    #[must_use]
    pub fn bin(&self, index: usize) -> (f64, f64) {
        let edge = |i: usize| self.low + (self.high - self.low) * i as f64 / self.counts.len() as f64;
        (edge(index), edge(index + 1))
    }
}

/// The range of all finite values of several sets, widened if all values are equal; (0, 1) without values.
#[must_use]
pub fn shared_range(sets: &[&[f64]]) -> (f64, f64) {
    let finite = || sets.iter().flat_map(|set| set.iter().copied()).filter(|v| v.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        (0.0, 1.0)
    } else if low < high {
        (low, high)
    } else {
        let half = (low.abs() * 0.01).max(0.5);
        (low - half, high + half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_on_edges_fall_where_they_should() {
        let values = [-0.1, 0.0, 0.25, 0.5, 0.999, 1.0, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let h = Histogram::new(values, 4, (0.0, 1.0));
        assert_eq!(h.counts, vec![1, 1, 1, 2]);
        assert_eq!((h.below, h.above, h.not_a_number, h.total()), (2, 2, 1, 9));
        assert_eq!(h.bin(0), (0.0, 0.25));
        assert_eq!(h.bin(3), (0.75, 1.0));
    }

    #[test]
    fn fractions_sum_to_one_when_all_is_in_range() {
        let h = Histogram::new((0..1000).map(|i| f64::from(i) / 999.0), 7, (0.0, 1.0));
        assert!((h.fractions().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(Histogram::new([], 3, (0.0, 1.0)).fractions().iter().all(|&f| f == 0.0));
    }

    #[test]
    fn shared_range_holds_all_and_never_collapses() {
        assert_eq!(shared_range(&[&[1.0, f64::NAN], &[-2.0, 5.0, f64::INFINITY]]), (-2.0, 5.0));
        assert_eq!(shared_range(&[&[]]), (0.0, 1.0));
        let (low, high) = shared_range(&[&[3.0, 3.0]]);
        assert!(low < 3.0 && high > 3.0);
        let (low, high) = shared_range(&[&[1e17]]);
        assert!(low < high);
    }
}
