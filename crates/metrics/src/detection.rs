//! Lesion-wise detection: how many lesions were found, and how many were invented in an image.
//!
//! Lesions are connected components. Matching rule: a true lesion is found when one predicted component has an IoU with it of
//! at least [`Matching::min_iou`] (both components taken whole); a predicted component that reaches it with no true lesion is a
//! false positive. A prediction that covers two lesions may find both, and two predictions on one lesion are neither counted twice
//! nor a false positive, as long as each reaches the bound.

use serde::{Deserialize, Serialize};

use crate::components::{Connectivity, components};

/// When a prediction finds a lesion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// Least IoU of a predicted component with a lesion, above 0 to 1.
    pub min_iou: f64,
    /// Which pixels touch.
    pub connectivity: Connectivity,
}

impl Default for Matching {
    fn default() -> Self {
        Self { min_iou: 0.1, connectivity: Connectivity::default() }
    }
}

/// Lesions of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LesionCounts {
    /// Lesions of the truth.
    pub lesions: usize,
    /// Of them, those found.
    pub found: usize,
    /// Components of the prediction.
    pub predicted: usize,
    /// Of them, those that find no lesion.
    pub false_positives: usize,
}

impl std::ops::Add for LesionCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            lesions: self.lesions + other.lesions,
            found: self.found + other.found,
            predicted: self.predicted + other.predicted,
            false_positives: self.false_positives + other.false_positives,
        }
    }
}

/// Matches the components of two row-major `height x width` masks.
///
/// # Panics
///
/// When a mask has not `height * width` pixels, a mistake of the calling code.
#[must_use]
pub fn detect(prediction: &[bool], truth: &[bool], height: usize, width: usize, matching: &Matching) -> LesionCounts {
    let ours = components(prediction, height, width, matching.connectivity);
    let theirs = components(truth, height, width, matching.connectivity);
    let mut shared = std::collections::BTreeMap::<(usize, usize), usize>::new();
    for (&a, &b) in ours.labels.iter().zip(&theirs.labels).filter(|&(&a, &b)| a > 0 && b > 0) {
        *shared.entry((a as usize - 1, b as usize - 1)).or_default() += 1;
    }
    let (mut hits, mut found) = (vec![false; ours.areas.len()], vec![false; theirs.areas.len()]);
    for ((a, b), pixels) in shared {
        let union = ours.areas[a] + theirs.areas[b] - pixels;
        if pixels as f64 >= matching.min_iou * union as f64 {
            (hits[a], found[b]) = (true, true);
        }
    }
    LesionCounts {
        lesions: found.len(),
        found: found.iter().filter(|&&found| found).count(),
        predicted: hits.len(),
        false_positives: hits.iter().filter(|&&hit| !hit).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: [&str; 4]) -> Vec<bool> {
        rows.iter().flat_map(|row| row.bytes().map(|byte| byte == b'#')).collect()
    }

    #[test]
    fn lesions_are_found_missed_and_invented() {
        let truth = mask(["##....#.", "##....#.", "........", "...##..."]);
        let prediction = mask(["##..#...", "#...#...", "........", "....####"]);
        let at = |min_iou| detect(&prediction, &truth, 4, 8, &Matching { min_iou, ..Matching::default() });
        // IoU: 3/4 with the square, 1/5 with the row at the bottom, none with the column at the right.
        assert_eq!(at(0.2), LesionCounts { lesions: 3, found: 2, predicted: 3, false_positives: 1 });
        assert_eq!(at(0.21), LesionCounts { lesions: 3, found: 1, predicted: 3, false_positives: 2 });
        assert_eq!(at(0.76), LesionCounts { lesions: 3, found: 0, predicted: 3, false_positives: 3 });
    }

    #[test]
    fn one_prediction_may_find_two_lesions_and_two_one() {
        let apart = mask(["##.##...", "##.##...", "........", "........"]);
        let joined = mask(["#####...", "#####...", "........", "........"]);
        let matching = Matching::default();
        let found = detect(&joined, &apart, 4, 8, &matching);
        assert_eq!(found, LesionCounts { lesions: 2, found: 2, predicted: 1, false_positives: 0 });
        let found = detect(&apart, &joined, 4, 8, &matching);
        assert_eq!(found, LesionCounts { lesions: 1, found: 1, predicted: 2, false_positives: 0 });
        let nothing = detect(&[false; 32], &apart, 4, 8, &matching);
        assert_eq!(nothing, LesionCounts { lesions: 2, found: 0, predicted: 0, false_positives: 0 });
    }
}
