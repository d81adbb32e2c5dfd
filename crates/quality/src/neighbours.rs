//! The nearest training image of prepared images. Sets are read a few images at a time.

use pig_data::PreparedSet;
use pig_metrics::nearest::{NearestSearch, Neighbour, Shape};
use pig_train::Result;
use rayon::prelude::*;
use std::ops::Range;

/// Queries that are compared with the training images at once, and training images that are read at once.
const QUERIES: usize = 256;
const AT_ONCE: usize = 64;

/// The nearest training image of each query, mirrored ones included. A query has the size and channels of the training images.
pub fn nearest_of(queries: &[&[f32]], training: &PreparedSet) -> Result<Vec<Neighbour>> {
    let ([height, width], channels) = (training.size, training.channels);
    let mut search = NearestSearch::new(queries, Shape { height, width, channels }, true)?;
    for first in (0..training.len()).step_by(AT_ONCE) {
        let images = images(training, first..training.len().min(first + AT_ONCE))?;
        search.add(&images.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    }
    Ok(search.found()?)
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
