//! Lesion-wise detection: the number of true lesions that were found, and the number of false lesions, in an image.
//!
//! Lesions are connected components. Components are matched one to one: pairs of a predicted component and a true lesion with an IoU
//! (of the whole components) of at least [`Matching::min_iou`] are matched in descending order of their IoU, each component and each
//! lesion at most once. A matched lesion is found; a predicted component without a match is a false positive. So a prediction that
//! covers two lesions finds one of them, and of two predictions on one lesion one is a false positive.

use serde::{Deserialize, Serialize};

use crate::components::{Connectivity, components};

/// The rule by which a prediction finds a lesion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// The smallest IoU of a predicted component with a lesion, above 0 and at most 1.
    pub min_iou: f64,
    /// Which pixels are neighbours.
    pub connectivity: Connectivity,
}

impl Default for Matching {
    fn default() -> Self {
        Self { min_iou: 0.1, connectivity: Connectivity::default() }
    }
}

/// The counts of lesions of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LesionCounts {
    /// The number of true lesions.
    pub lesions: usize,
    /// The number of true lesions that were found.
    pub found: usize,
    /// The number of predicted components.
    pub predicted: usize,
    /// The number of predicted components that find no lesion.
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
/// When a mask does not have `height * width` pixels, a mistake of the calling code.
#[must_use]
pub fn detect(prediction: &[bool], truth: &[bool], height: usize, width: usize, matching: &Matching) -> LesionCounts {
    let ours = components(prediction, height, width, matching.connectivity);
    let theirs = components(truth, height, width, matching.connectivity);
    let mut shared = std::collections::BTreeMap::<(usize, usize), usize>::new();
    for (&a, &b) in ours.labels.iter().zip(&theirs.labels).filter(|&(&a, &b)| a > 0 && b > 0) {
        *shared.entry((a as usize - 1, b as usize - 1)).or_default() += 1;
    }
    let mut pairs: Vec<Pair> = shared
        .into_iter()
        .map(|((ours_at, theirs_at), shared)| Pair {
            ours: ours_at,
            theirs: theirs_at,
            shared,
            union: ours.areas[ours_at] + theirs.areas[theirs_at] - shared,
        })
        .filter(|pair| pair.shared as f64 >= matching.min_iou * pair.union as f64)
        .collect();
    // Quotients are compared without division; pairs with equal quotients stay in the order of the components.
    pairs.sort_by(|a, b| (b.shared * a.union).cmp(&(a.shared * b.union)));
    let (mut hits, mut found) = (vec![false; ours.areas.len()], vec![false; theirs.areas.len()]);
    for pair in pairs {
        if !hits[pair.ours] && !found[pair.theirs] {
            (hits[pair.ours], found[pair.theirs]) = (true, true);
        }
    }
    LesionCounts {
        lesions: found.len(),
        found: found.iter().filter(|&&found| found).count(),
        predicted: hits.len(),
        false_positives: hits.iter().filter(|&&hit| !hit).count(),
    }
}

/// A predicted component and an overlapping lesion, with the numbers of pixels of their intersection and union.
struct Pair {
    ours: usize,
    theirs: usize,
    shared: usize,
    union: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn mask(rows: [&str; 4]) -> Vec<bool> {
        rows.iter().flat_map(|row| row.bytes().map(|byte| byte == b'#')).collect()
    }

    #[test]
    fn lesions_are_found_missed_and_invented() {
        let truth = mask(["##....#.", "##....#.", "........", "...##..."]);
        let prediction = mask(["##..#...", "#...#...", "........", "....####"]);
        let at = |min_iou| detect(&prediction, &truth, 4, 8, &Matching { min_iou, ..Matching::default() });
        // The IoU is 3/4 with the square, 1/5 with the row at the bottom, and 0 with the column at the right.
        assert_eq!(at(0.2), LesionCounts { lesions: 3, found: 2, predicted: 3, false_positives: 1 });
        assert_eq!(at(0.21), LesionCounts { lesions: 3, found: 1, predicted: 3, false_positives: 2 });
        assert_eq!(at(0.76), LesionCounts { lesions: 3, found: 0, predicted: 3, false_positives: 3 });
    }

    #[test]
    fn each_prediction_and_each_lesion_counts_once() {
        let apart = mask(["##.##...", "##.##...", "........", "........"]);
        let joined = mask(["#####...", "#####...", "........", "........"]);
        let matching = Matching::default();
        let found = detect(&joined, &apart, 4, 8, &matching);
        assert_eq!(found, LesionCounts { lesions: 2, found: 1, predicted: 1, false_positives: 0 });
        let found = detect(&apart, &joined, 4, 8, &matching);
        assert_eq!(found, LesionCounts { lesions: 1, found: 1, predicted: 2, false_positives: 1 });
        let nothing = detect(&[false; 32], &apart, 4, 8, &matching);
        assert_eq!(nothing, LesionCounts { lesions: 2, found: 0, predicted: 0, false_positives: 0 });
    }
    /// If pairs were matched in the order of the components, the first prediction would take the first lesion (IoU 1/14), and the
    /// second lesion would have no match.
    #[test]
    fn the_best_pair_goes_first() {
        let truth = mask(["##.#####", "##......", "##......", "##......"]);
        let prediction = mask([".#######", "........", "##......", "##......"]);
        let at = |min_iou| detect(&prediction, &truth, 4, 8, &Matching { min_iou, ..Matching::default() });
        assert_eq!(at(0.05), LesionCounts { lesions: 2, found: 2, predicted: 2, false_positives: 0 });
        // The other pairs have an IoU of 4/8 and 5/7.
        assert_eq!(at(0.5), LesionCounts { lesions: 2, found: 2, predicted: 2, false_positives: 0 });
        assert_eq!(at(0.6), LesionCounts { lesions: 2, found: 1, predicted: 2, false_positives: 1 });
    }

    #[test]
    fn every_found_lesion_has_its_own_prediction() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for _ in 0..200 {
            let mut draw = || (0..80).map(|_| rng.random_bool(0.35)).collect::<Vec<bool>>();
            let (prediction, truth) = (draw(), draw());
            let matching = Matching { min_iou: 0.02, connectivity: Connectivity::Four };
            let [there, back] =
                [(&prediction, &truth), (&truth, &prediction)].map(|(a, b)| detect(a, b, 8, 10, &matching));
            assert_eq!(there.found, there.predicted - there.false_positives);
            assert!(there.found <= there.lesions && there.found > 0);
            assert_eq!((there.predicted, there.lesions), (back.lesions, back.predicted));
        }
    }
}
