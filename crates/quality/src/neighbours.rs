//! The nearest training image of prepared images, at a distance on the one scale of all pictures. Sets are read a few images at a time.

use pig_data::PreparedSet;
use pig_metrics::nearest::{NearestSearch, Neighbour, Shape};
use pig_train::Result;
use rayon::prelude::*;
use std::ops::Range;

/// Queries that are compared with the training images at once, and training images that are read at once.
const QUERIES: usize = 256;
const AT_ONCE: usize = 64;

/// Prepared values reach from -1 to 1; distances are told of values from 0 to 1, whose squared differences are a quarter of those.
const OF_PREPARED: f64 = 0.25;

/// The unit of distances between pictures of this height and width, for messages: wherever pig tells such a distance, it is this one.
pub fn pixel_unit([height, width]: [usize; 2], channels: usize) -> String {
    let kind = if channels == 3 { "red, green and blue" } else { "gray" };
    format!("mean squared difference of {kind} values from 0 to 1, at {height} x {width}")
}

/// The nearest training image of each query, mirrored ones included, with its distance in [`pixel_unit`]. A query has the size and channels of the
/// training images.
pub fn nearest_of(queries: &[&[f32]], training: &PreparedSet) -> Result<Vec<Neighbour>> {
    let ([height, width], channels) = (training.size, training.channels);
    let mut search = NearestSearch::new(queries, Shape { height, width, channels }, true)?;
    for first in (0..training.len()).step_by(AT_ONCE) {
        let images = images(training, first..training.len().min(first + AT_ONCE))?;
        search.add(&images.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    }
    let of = |found: Neighbour| Neighbour { distance: OF_PREPARED * found.distance, ..found };
    Ok(search.found()?.into_iter().map(of).collect())
}

/// The same for each image of a set.
pub fn nearest_of_set(set: &PreparedSet, training: &PreparedSet) -> Result<Vec<Neighbour>> {
    let mut found = Vec::with_capacity(set.len());
    for first in (0..set.len()).step_by(QUERIES) {
        let images = images(set, first..set.len().min(first + QUERIES))?;
        found.extend(nearest_of(&images.iter().map(Vec::as_slice).collect::<Vec<_>>(), training)?);
    }
    Ok(found)
}

/// Some images of a set.
fn images(set: &PreparedSet, indices: Range<usize>) -> Result<Vec<Vec<f32>>> {
    Ok(indices.into_par_iter().map(|index| set.image(index)).collect::<pig_data::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White is at a distance of 1 from black, and mid-gray at a quarter, as in pictures whose values reach from 0 to 1.
    #[test]
    fn distances_are_those_of_values_from_0_to_1() {
        let black = PreparedSet::blank([4, 6], 1, [1, 1], 2);
        let queries = [vec![1.0; 24], vec![0.0; 24], vec![-1.0; 24]];
        let found = nearest_of(&queries.each_ref().map(Vec::as_slice), &black).unwrap();
        let distances: Vec<f64> = found.iter().map(|one| one.distance).collect();
        assert_eq!(distances, [1.0, 0.25, 0.0]);
        assert_eq!(pixel_unit([4, 6], 1), "mean squared difference of gray values from 0 to 1, at 4 x 6");
        assert!(pixel_unit([4, 6], 3).contains("red, green and blue values"));
    }
}
