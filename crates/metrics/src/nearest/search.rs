//! Copies of training images looked for in one space, with what a reader needs to judge them.

use serde::Serialize;

use super::{CopyCheck, Neighbour, closest};

/// A generated image that lies near a training image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Closest {
    /// Name of the generated image.
    pub generated: String,
    /// Name of the training image nearest to it.
    pub training: String,
    /// Their distance.
    pub distance: f64,
    /// Whether the training image is near once mirrored.
    pub flipped: bool,
    /// Share of held-out real images that lie nearer to the training set.
    pub rank: f64,
    /// Whether it lies nearer than the threshold of [`CopyCheck`].
    pub flagged: bool,
}

/// What is found in one space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopySearch {
    /// What distances are taken of, such as "pixels".
    pub space: String,
    /// What a distance is.
    pub unit: String,
    /// Distances of generated images beside those of held-out ones.
    pub check: CopyCheck,
    /// Share of generated images nearer than the threshold, where 0.05 is expected.
    pub share_flagged: f64,
    /// Generated images nearer to a training image than every held-out one.
    pub nearer_than_all: usize,
    /// All generated images, the nearest first.
    pub closest: Vec<Closest>,
}

impl CopySearch {
    /// Joins neighbours with names, `generated` and `training` being those of their sets; `None` without generated or held-out images.
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
        assert_eq!(generated.len(), neighbours.len(), "one neighbour a generated image");
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
        let neighbours = [near(0, 9.5), near(1, 0.5), near(0, 2.5), near(1, 50.0)];
        let found = CopySearch::new("pixels", "u".into(), (&generated, &neighbours), &held_out, &training).unwrap();
        let order: Vec<(&str, &str)> =
            found.closest.iter().map(|c| (c.generated.as_str(), c.training.as_str())).collect();
        assert_eq!(order, [("b", "y"), ("c", "x"), ("a", "x"), ("d", "y")]);
        // The threshold is the third of 41 distances: 3.
        let flagged: Vec<bool> = found.closest.iter().map(|c| c.flagged).collect();
        assert_eq!(flagged, [true, true, false, false]);
        assert_eq!((found.share_flagged, found.nearer_than_all), (0.5, 1));
        assert_eq!((found.closest[0].rank, found.closest[1].rank, found.closest[3].rank), (0.0, 2.0 / 41.0, 1.0));
        assert!(found.closest[0].flipped && !found.closest[1].flipped);
        assert_eq!(CopySearch::new("pixels", "u".into(), (&generated, &neighbours), &[], &training), None);
    }
}
