//! The bootstrap of a contrast: independent levels, each with its own residuals.

use crate::{
    bootstrap::{Bootstrap, quantile},
    contrast::spread::mean,
    student::{normal_quantile, student_quantile},
};

/// `SplitMix64` (Steele, Lea and Flood 2014). A script in another language repeats it in five lines, and so draws the same units.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `count`.
    fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }
}

/// How often the bracket of p is halved: to 1e-9.
const HALVINGS: usize = 30;

/// A random source: `count` units, whose mean deviates from that of all possible units.
pub(super) struct Level {
    /// Deviations of units, of mean 0, whose mean square is the variance of a unit.
    pub(super) residuals: Vec<f64>,
    /// The number of units.
    pub(super) count: usize,
    /// The weight of their mean in the difference.
    pub(super) factor: f64,
}

impl Level {
    /// The variance that this level gives to the difference.
    fn variance(&self) -> f64 {
        let squares: Vec<f64> = self.residuals.iter().map(|residual| residual * residual).collect();
        self.factor * self.factor * mean(&squares) / self.count as f64
    }
}

/// The distribution of an estimated difference.
pub(super) struct Distribution {
    difference: f64,
    degrees: f64,
    /// Deviations of resampled differences, ascending.
    deviations: Vec<f64>,
}

impl Distribution {
    /// Draws the units of every level with replacement. The deviations are scaled to the variance `variance`, because the levels together
    /// count what varies by unit and patient twice.
    pub(super) fn new(difference: f64, variance: f64, degrees: f64, levels: &[Level], settings: &Bootstrap) -> Self {
        let total: f64 = levels.iter().map(Level::variance).sum();
        let scale = if total > 0.0 { (variance / total).sqrt() } else { 0.0 };
        let mut draws = SplitMix(settings.seed);
        let mut deviation = || {
            let of = |level: &Level| {
                let drawn = (0..level.count).map(|_| level.residuals[draws.below(level.residuals.len())]);
                level.factor * drawn.sum::<f64>() / level.count as f64
            };
            scale * levels.iter().map(of).sum::<f64>()
        };
        let mut deviations: Vec<f64> = (0..settings.resamples.max(2)).map(|_| deviation()).collect();
        deviations.sort_by(f64::total_cmp);
        Self { difference, degrees, deviations }
    }

    /// The interval that misses the difference with the probability `share`: percentiles of the resampled differences, moved outwards by
    /// the ratio of Student's to the normal quantile, as few units vary too little.
    pub(super) fn interval(&self, share: f64) -> [f64; 2] {
        let stretch = student_quantile(share, self.degrees) / normal_quantile(share);
        let at = |share: f64| stretch * quantile(&self.deviations, share);
        [self.difference + at(0.5 * share).min(0.0), self.difference + at(1.0 - 0.5 * share).max(0.0)]
    }

    /// The share at which the interval ends at 0, which is the two-sided p-value; and whether p is smaller than the resamples can show.
    pub(super) fn p_value(&self) -> (f64, bool) {
        let excludes = |share: f64| {
            let [low, high] = self.interval(share);
            low > 0.0 || high < 0.0
        };
        let floor = 2.0 / self.deviations.len() as f64;
        if excludes(floor) {
            return (floor, true);
        }
        let (mut low, mut high) = (floor, 0.999);
        if !excludes(high) {
            return (1.0, false);
        }
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if excludes(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        (0.5 * (low + high), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers of the seed 1234567, as other implementations give them.
        let mut draws = SplitMix(1_234_567);
        let found: Vec<u64> = (0..3).map(|_| draws.next()).collect();
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
