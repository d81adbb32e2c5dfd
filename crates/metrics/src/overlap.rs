//! The overlap of a predicted mask with the true mask, from counts of pixels.
//!
//! TP, FP and FN are the numbers of true positive, false positive and false negative pixels:
//! Dice = 2 TP / (2 TP + FP + FN), IoU = TP / (TP + FP + FN), precision = TP / (TP + FP), recall = TP / (TP + FN).
//!
//! Empty masks. If one of the two masks is empty, all four ratios are 0. This includes the precision of an empty prediction and the
//! recall of an empty truth, which are 0 / 0, because a network must not gain by predicting nothing. If both masks are empty, the
//! prediction is correct, but there is nothing to measure: [`BothEmpty`] defines whether such a case is left out (and counted) or
//! scores 1.

use serde::{Deserialize, Serialize};

/// The score of a case in which both masks are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BothEmpty {
    /// No score: the case is left out of every mean, and counted.
    #[default]
    Skip,
    /// 1 in every measure, and a distance of 0.
    One,
}

/// The counts of pixels of a prediction and the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// The number of pixels in both masks (TP).
    pub true_positive: u64,
    /// The number of pixels only in the prediction (FP).
    pub false_positive: u64,
    /// The number of pixels only in the truth (FN).
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
        assert_eq!(prediction.len(), truth.len(), "both masks must have the same size");
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

    /// The numerator and the denominator of Dice, IoU, precision and recall, in this order, for sums over cases.
    #[must_use]
    pub fn fractions(self) -> [(f64, f64); 4] {
        let [tp, fp, fn_] = [self.true_positive, self.false_positive, self.false_negative].map(|count| count as f64);
        [(2.0 * tp, 2.0 * tp + fp + fn_), (tp, tp + fp + fn_), (tp, tp + fp), (tp, tp + fn_)]
    }

    /// The four ratios; `None` if both masks are empty and such cases are left out.
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
