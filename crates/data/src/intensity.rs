//! The map between raw pixel values and [-1, 1], measured on the training patients and kept for the inverse.

use serde::{Deserialize, Serialize};

/// The percentiles that map to -1 and +1, in per cent.
pub const PERCENTILES: [f64; 2] = [0.1, 99.9];

/// How raw values map to [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum IntensityMap {
    /// From 0 to the greatest value of the pixel type.
    Dtype {
        /// 255 or 65535. Images of the other depth are rescaled to it.
        maximum: u16,
    },
    /// Between two percentiles of all training pixels.
    DatasetPercentile {
        /// The raw value at -1.
        low: f64,
        /// The raw value at +1.
        high: f64,
    },
    /// A fixed window.
    Window {
        /// The raw value at -1.
        low: f64,
        /// The raw value at +1.
        high: f64,
    },
    /// Between two percentiles of each image: has no inverse.
    PerImage,
}

impl IntensityMap {
    /// The raw values at -1 and +1 of an image whose own range is `own`. A map by data type ends at the maximum of the image's own bit depth.
    pub(crate) fn range_of(self, own: (f64, f64)) -> (f64, f64) {
        match self {
            Self::Dtype { .. } | Self::PerImage => own,
            Self::DatasetPercentile { low, high } | Self::Window { low, high } => (low, high),
        }
    }

    /// The raw values at -1 and +1; `None` if every image has its own range.
    pub fn range(&self) -> Option<(f64, f64)> {
        match *self {
            Self::Dtype { maximum } => Some((0.0, f64::from(maximum))),
            Self::DatasetPercentile { low, high } | Self::Window { low, high } => Some((low, high)),
            Self::PerImage => None,
        }
    }
}

/// Maps a raw value to [-1, 1], clipped to the range. An empty range gives -1.
pub(crate) fn to_unit(raw: f32, (low, high): (f64, f64)) -> f32 {
    if high <= low {
        return -1.0;
    }
    (2.0 * (f64::from(raw) - low) / (high - low) - 1.0).clamp(-1.0, 1.0) as f32
}

/// Counts of whole raw values from 0 to 65535, from which percentiles are exact.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; 1 << 16] }
    }

    /// Counts values, each rounded to a whole number (only luma yields fractions).
    pub(crate) fn add(&mut self, values: &[f32]) {
        for &value in values {
            self.counts[value.round().clamp(0.0, 65535.0) as usize] += 1;
        }
    }

    pub(crate) fn merge(mut self, other: &Self) -> Self {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The value below which `per_cent` of the values lie, interpolated linearly between neighbours in rank (numpy's
    /// default). An empty histogram gives 0.
    pub(crate) fn percentile(&self, per_cent: f64) -> f64 {
        let total = self.total();
        if total == 0 {
            return 0.0;
        }
        let rank = per_cent / 100.0 * (total - 1) as f64;
        let (below, above) = (self.at_rank(rank.floor() as u64), self.at_rank(rank.ceil() as u64));
        below + (above - below) * rank.fract()
    }

    /// The value of the given rank, counted from 0.
    fn at_rank(&self, rank: u64) -> f64 {
        let mut seen = 0;
        for (value, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > rank {
                return value as f64;
            }
        }
        (self.counts.len() - 1) as f64
    }

    pub(crate) fn percentile_range(&self) -> (f64, f64) {
        (self.percentile(PERCENTILES[0]), self.percentile(PERCENTILES[1]))
    }
}
