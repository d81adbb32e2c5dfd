//! The search for copies of training images in one space, with the information that is needed to judge the results.

use serde::Serialize;

use super::{CopyCheck, Neighbour, closest};

/// A generated image and its nearest training image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Closest {
    /// The name of the generated image.
    pub generated: String,
    /// The name of the nearest training image.
    pub training: String,
    /// The distance between the two images.
    pub distance: f64,
    /// Whether the mirrored training image is the nearest.
    pub flipped: bool,
    /// The share of held-out real images that are nearer to the training set.
    pub rank: f64,
    /// Whether the distance is below the threshold of [`CopyCheck`].
    pub flagged: bool,
}

/// The result of the search in one space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopySearch {
    /// The values from which distances are computed, such as "pixels".
    pub space: String,
    /// The definition of a distance.
    pub unit: String,
    /// The distances of generated images, compared with those of held-out images.
    pub check: CopyCheck,
    /// The share of generated images nearer than the threshold; [`CopyCheck::expected`] is what chance gives.
    pub share_flagged: f64,
    /// The number of generated images that are nearer to a training image than all held-out images.
    pub nearer_than_all: usize,
    /// All generated images, the nearest first.
    pub closest: Vec<Closest>,
}

impl CopySearch {
    /// Combines neighbours with names; `generated` and `training` are the names of the images of these sets. `None` without generated or
    /// held-out images.
    ///
    /// # Panics
    ///
    /// When a set has another number of names, a mistake of the calling code.
    #[must_use]
    pub fn new(
        space: &str,
        unit: String,
        (generated, neighbours): (&[String], &[Neighbour]),
        held_out: &[Neighbour],
        training: &[String],
    ) -> Option<Self> {
        assert_eq!(generated.len(), neighbours.len(), "every generated image needs one neighbour");
        let check = CopyCheck::new(neighbours, held_out)?;
        let found: Vec<Closest> = closest(neighbours, neighbours.len())
            .into_iter()
            .map(|(query, Neighbour { index, distance, flipped })| Closest {
                generated: generated[query].clone(),
                training: training[index].clone(),
                distance,
                flipped,
                rank: check.rank(distance),
                flagged: distance < check.threshold,
            })
            .collect();
        let first = check.held_out_distances[0];
        Some(Self {
            space: space.to_owned(),
            unit,
            share_flagged: check.share_nearer(),
            nearer_than_all: found.iter().filter(|one| one.distance < first).count(),
            check,
            closest: found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_with_their_neighbours_nearest_first() {
        let near = |index, distance| Neighbour { index, distance, flipped: index == 1 };
        let names = |letters: &str| letters.chars().map(String::from).collect::<Vec<_>>();
        let held_out: Vec<Neighbour> = (0..41).map(|i| near(0, 1.0 + f64::from(i))).collect();
        let (generated, training) = (names("abcd"), names("xy"));
        let neighbours = [near(0, 9.5), near(1, 0.5), near(0, 2.05), near(1, 50.0)];
        let found = CopySearch::new("pixels", "u".into(), (&generated, &neighbours), &held_out, &training).unwrap();
        let order: Vec<(&str, &str)> =
            found.closest.iter().map(|c| (c.generated.as_str(), c.training.as_str())).collect();
        assert_eq!(order, [("b", "y"), ("c", "x"), ("a", "x"), ("d", "y")]);
        // The threshold is at the place 0.05 * 42 = 2.1 of 41 distances: 2.1.
        let flagged: Vec<bool> = found.closest.iter().map(|c| c.flagged).collect();
        assert_eq!(flagged, [true, true, false, false]);
        assert_eq!((found.share_flagged, found.nearer_than_all), (0.5, 1));
        assert_eq!((found.closest[0].rank, found.closest[1].rank, found.closest[3].rank), (0.0, 2.0 / 41.0, 1.0));
        assert!(found.closest[0].flipped && !found.closest[1].flipped);
        assert_eq!(CopySearch::new("pixels", "u".into(), (&generated, &neighbours), &[], &training), None);
    }
}
