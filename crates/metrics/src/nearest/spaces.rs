//! The nearest neighbours of features and of masks, and the closest of them.

use rayon::prelude::*;

use super::{NearestError, Neighbour, Shape, mirror, squared_distance};
use crate::features::Features;
use crate::overlap::{BothEmpty, Counts};

/// Finds the nearest training vector of every query in a space of features, such as those of a network. `mirrored` are the features of
/// the mirrored query images, if mirrored copies should be found, too.
///
/// # Errors
///
/// When there are no training vectors, when a set has vectors of another width, or when `mirrored` has another number of vectors.
pub fn nearest_features(
    queries: &Features,
    mirrored: Option<&Features>,
    training: &Features,
) -> Result<Vec<Neighbour>, NearestError> {
    if training.count() == 0 {
        return Err(NearestError::NoTraining);
    }
    let width = training.width();
    for set in [Some(queries), mirrored].into_iter().flatten() {
        if set.width() != width || set.count() != queries.count() {
            let (count, found) = (set.count(), set.width());
            return Err(NearestError::Features { count, found, expected_count: queries.count(), expected: width });
        }
    }
    // Converted to f32 once, because distances are computed in f32 blocks, which are summed in f64.
    let narrow = |set: &Features| -> Vec<Vec<f32>> {
        set.vectors().map(|vector| vector.iter().map(|&value| value as f32).collect()).collect()
    };
    let (queries, mirrored, training) = (narrow(queries), mirrored.map(narrow), narrow(training));
    let found = (0..queries.len()).into_par_iter().map(|index| {
        let mut best = (f64::INFINITY, 0, false);
        for (at, vector) in training.iter().enumerate() {
            let both = [Some(&queries[index]), mirrored.as_ref().map(|mirrored| &mirrored[index])];
            for (query, flipped) in both.into_iter().zip([false, true]).filter_map(|(q, f)| Some((q?, f))) {
                let distance = squared_distance(query, vector, best.0);
                if distance < best.0 {
                    best = (distance, at, flipped);
                }
            }
        }
        Neighbour { index: best.1, distance: best.0 / width as f64, flipped: best.2 }
    });
    Ok(found.collect())
}

/// Finds the training mask that is nearest to every query mask. The distance is 1 - Dice: 0 is the same mask, 1 is a mask without a
/// common pixel. With `flips`, training masks mirrored left to right are included. Give only masks with lesions: an empty mask is not a
/// copy of any mask, and its distance to all masks is 1.
///
/// # Errors
///
/// When there are no training masks, or when a mask has another size.
pub fn nearest_masks(
    queries: &[&[bool]],
    training: &[&[bool]],
    height: usize,
    width: usize,
    flips: bool,
) -> Result<Vec<Neighbour>, NearestError> {
    if training.is_empty() {
        return Err(NearestError::NoTraining);
    }
    let expected = height * width;
    for (set, masks) in [("training", training), ("query", queries)] {
        if let Some(index) = masks.iter().position(|mask| mask.len() != expected) {
            let found = masks[index].len();
            return Err(NearestError::Size { set, index, found, expected, height, width, channels: 1 });
        }
    }
    let shape = Shape { height, width, channels: 1 };
    let distance = |a: &[bool], b: &[bool]| Counts::new(a, b).overlap(BothEmpty::Skip).map_or(1.0, |o| 1.0 - o.dice);
    let found = queries.par_iter().map(|query| {
        let mirrored = flips.then(|| mirror(query, shape));
        let mut best = Neighbour { index: 0, distance: f64::INFINITY, flipped: false };
        for (index, mask) in training.iter().enumerate() {
            let straight = Neighbour { index, distance: distance(query, mask), flipped: false };
            let turned =
                mirrored.as_ref().map(|query| Neighbour { index, distance: distance(query, mask), flipped: true });
            for neighbour in [Some(straight), turned].into_iter().flatten() {
                if neighbour.distance < best.distance {
                    best = neighbour;
                }
            }
        }
        best
    });
    Ok(found.collect())
}

/// The `count` queries that are nearest to the training set, nearest first: the position of the query, and its neighbour.
#[must_use]
pub fn closest(neighbours: &[Neighbour], count: usize) -> Vec<(usize, Neighbour)> {
    let mut all: Vec<(usize, Neighbour)> = neighbours.iter().copied().enumerate().collect();
    all.sort_by(|a, b| a.1.distance.total_cmp(&b.1.distance));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(values: &[f64]) -> Features {
        Features::new(values.to_vec(), 2).unwrap()
    }

    #[test]
    fn features_are_found_with_and_without_their_mirror_image() {
        let training = features(&[0.0, 0.0, 4.0, 0.0, 0.0, 6.0]);
        let (queries, mirrored) = (features(&[4.0, 2.0, 0.0, 1.0]), features(&[0.0, 6.0, 9.0, 9.0]));
        let found = nearest_features(&queries, None, &training).unwrap();
        assert_eq!(found[0], Neighbour { index: 1, distance: 2.0, flipped: false });
        assert_eq!(found[1], Neighbour { index: 0, distance: 0.5, flipped: false });
        let found = nearest_features(&queries, Some(&mirrored), &training).unwrap();
        assert_eq!(found[0], Neighbour { index: 2, distance: 0.0, flipped: true });
        assert_eq!(found[1], Neighbour { index: 0, distance: 0.5, flipped: false });
        assert_eq!(closest(&found, 1), vec![(0, found[0])]);
        let error = nearest_features(&queries, Some(&training), &training).unwrap_err();
        assert!(error.to_string().contains("3 vectors of 2"), "{error}");
        let none = Features::new(Vec::new(), 2).unwrap();
        assert_eq!(nearest_features(&queries, None, &none), Err(NearestError::NoTraining));
    }

    #[test]
    fn mirrored_masks_are_found_and_empty_ones_are_far() {
        let mask = |text: &str| text.bytes().map(|byte| byte == b'#').collect::<Vec<bool>>();
        let (a, b) = (mask("##..##.."), mask("...#...."));
        let training: Vec<&[bool]> = vec![&a, &b];
        let turned = mask("..##..##");
        let (part, empty) = (mask("##......"), mask("........"));
        let queries: Vec<&[bool]> = vec![&turned, &part, &empty];
        let found = nearest_masks(&queries, &training, 2, 4, true).unwrap();
        assert_eq!(found[0], Neighbour { index: 0, distance: 0.0, flipped: true });
        assert_eq!((found[1].index, found[2].distance), (0, 1.0));
        assert!((found[1].distance - 1.0 / 3.0).abs() < 1e-12);
        let straight = nearest_masks(&queries, &training, 2, 4, false).unwrap();
        assert_eq!(straight[0], Neighbour { index: 1, distance: 1.0 - 2.0 / 5.0, flipped: false });
        assert!(matches!(nearest_masks(&queries, &[&a[..7]], 2, 4, true), Err(NearestError::Size { found: 7, .. })));
    }
}
