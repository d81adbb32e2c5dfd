//! Overlap of a predicted mask with the true one, from counts of pixels.
//!
//! With TP, FP and FN the pixels found, invented and missed:
//! Dice = 2 TP / (2 TP + FP + FN), IoU = TP / (TP + FP + FN), precision = TP / (TP + FP), recall = TP / (TP + FN).
//!
//! Empty masks. Where one of the two masks is empty, all four are 0 (precision of an empty prediction and recall of an
//! empty truth too, though they are 0 / 0: a network must not gain by predicting nothing). Where both are empty, nothing was
//! there and nothing was found: [`BothEmpty`] says whether such a case is left out (and counted) or scores 1.

use serde::{Deserialize, Serialize};

/// What a case scores in which both masks are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BothEmpty {
    /// Nothing: it is left out of every mean, and counted.
    #[default]
    Skip,
    /// 1 in every measure, and a distance of 0.
    One,
}

/// Pixels found, invented and missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// In both masks (TP).
    pub true_positive: u64,
    /// In the prediction alone (FP).
    pub false_positive: u64,
    /// In the truth alone (FN).
    pub false_negative: u64,
}

/// The four ratios, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overlap {
    /// 2 TP / (2 TP + FP + FN), also called F1.
    pub dice: f64,
    /// TP / (TP + FP + FN), also called the Jaccard index.
    pub iou: f64,
    /// TP / (TP + FP).
    pub precision: f64,
    /// TP / (TP + FN), also called sensitivity.
    pub recall: f64,
}

impl Overlap {
    pub(crate) const PERFECT: Self = Self { dice: 1.0, iou: 1.0, precision: 1.0, recall: 1.0 };
}

impl Counts {
    /// Counts the pixels of two masks.
    ///
    /// # Panics
    ///
    /// When the masks differ in length, a mistake of the calling code.
    #[must_use]
    pub fn new(prediction: &[bool], truth: &[bool]) -> Self {
        assert_eq!(prediction.len(), truth.len(), "two masks of one size");
        let mut counts = Self::default();
        for (&predicted, &real) in prediction.iter().zip(truth) {
            counts.true_positive += u64::from(predicted && real);
            counts.false_positive += u64::from(predicted && !real);
            counts.false_negative += u64::from(!predicted && real);
        }
        counts
    }

    /// Whether both masks are empty.
    #[must_use]
    pub fn both_empty(self) -> bool {
        self == Self::default()
    }

    /// Numerator and denominator of Dice, IoU, precision and recall, in this order: what sums over cases are made of.
    #[must_use]
    pub fn fractions(self) -> [(f64, f64); 4] {
        let [tp, fp, fn_] = [self.true_positive, self.false_positive, self.false_negative].map(|count| count as f64);
        [(2.0 * tp, 2.0 * tp + fp + fn_), (tp, tp + fp + fn_), (tp, tp + fp), (tp, tp + fn_)]
    }

    /// The four ratios; `None` where both masks are empty and such cases are left out.
    #[must_use]
    pub fn overlap(self, both_empty: BothEmpty) -> Option<Overlap> {
        if self.both_empty() {
            return (both_empty == BothEmpty::One).then_some(Overlap::PERFECT);
        }
        let [dice, iou, precision, recall] =
            self.fractions().map(|(part, whole)| if whole > 0.0 { part / whole } else { 0.0 });
        Some(Overlap { dice, iou, precision, recall })
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            true_positive: self.true_positive + other.true_positive,
            false_positive: self.false_positive + other.false_positive,
            false_negative: self.false_negative + other.false_negative,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_of_a_case_counted_by_hand() {
        let counts = Counts::new(&[true, true, true, false, false], &[true, true, false, true, false]);
        assert_eq!(counts, Counts { true_positive: 2, false_positive: 1, false_negative: 1 });
        let found = counts.overlap(BothEmpty::Skip).unwrap();
        assert_eq!((found.dice, found.iou, found.precision, found.recall), (4.0 / 6.0, 0.5, 2.0 / 3.0, 2.0 / 3.0));
    }

    #[test]
    fn empty_masks_follow_the_rule() {
        let zero = Overlap { dice: 0.0, iou: 0.0, precision: 0.0, recall: 0.0 };
        for masks in [([false, false], [true, false]), ([true, true], [false, false])] {
            for rule in [BothEmpty::Skip, BothEmpty::One] {
                assert_eq!(Counts::new(&masks.0, &masks.1).overlap(rule), Some(zero));
            }
        }
        let empty = Counts::new(&[false; 4], &[false; 4]);
        assert_eq!(empty.overlap(BothEmpty::Skip), None);
        assert_eq!(empty.overlap(BothEmpty::One), Some(Overlap::PERFECT));
    }
}
