//! Distances between the boundaries of two masks: Hausdorff 95 and surface Dice.
//!
//! A boundary pixel is a mask pixel with at least one of its four neighbours outside the mask; everything beyond the border of the
//! image is outside. Distances are Euclidean, between pixel centres, from every boundary pixel of one mask to the nearest boundary
//! pixel of the other. This is the definition of MONAI and of medpy.

use crate::bootstrap::quantile;

/// The distances from each boundary to the other, in the unit of the spacing.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    /// One distance per boundary pixel of the prediction.
    pub from_prediction: Vec<f64>,
    /// One distance per boundary pixel of the truth.
    pub from_truth: Vec<f64>,
}

/// The counts of boundary pixels of both masks: numerator and denominator of the surface Dice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SurfaceCounts {
    /// The number of boundary pixels whose distance to the other boundary is at most the tolerance.
    pub within: usize,
    /// The number of all boundary pixels.
    pub total: usize,
}

impl SurfaceDistances {
    /// The distances between two row-major `height x width` masks; `spacing` is the distance between rows and between columns
    /// (1 and 1 gives pixels). `None` if either mask is empty.
    ///
    /// # Panics
    ///
    /// When a mask does not have `height * width` pixels, a mistake of the calling code.
    #[must_use]
    pub fn new(prediction: &[bool], truth: &[bool], height: usize, width: usize, spacing: [f64; 2]) -> Option<Self> {
        let (ours, theirs) = (boundary(prediction, height, width), boundary(truth, height, width));
        if ours.is_empty() || theirs.is_empty() {
            return None;
        }
        Some(Self {
            from_prediction: distances(&ours, &theirs, height, width, spacing),
            from_truth: distances(&theirs, &ours, height, width, spacing),
        })
    }

    /// The Hausdorff 95: the larger of the two directed 95 % quantiles (linear between order statistics), as in MONAI.
    #[must_use]
    pub fn hausdorff_95(&self) -> f64 {
        [&self.from_prediction, &self.from_truth]
            .map(|distances| percentile_95(distances.clone()))
            .into_iter()
            .fold(0.0, f64::max)
    }

    /// The 95 % quantile of both directions together, as in medpy; except for interpolation it does not exceed
    /// [`SurfaceDistances::hausdorff_95`].
    #[must_use]
    pub fn hausdorff_95_joint(&self) -> f64 {
        percentile_95([&self.from_prediction[..], &self.from_truth].concat())
    }

    /// Counts the boundary pixels within `tolerance` of the other boundary.
    #[must_use]
    pub fn counts(&self, tolerance: f64) -> SurfaceCounts {
        let all = || self.from_prediction.iter().chain(&self.from_truth);
        SurfaceCounts { within: all().filter(|&&distance| distance <= tolerance).count(), total: all().count() }
    }
}

impl SurfaceCounts {
    /// The counts if the other mask is empty: no boundary pixel of `mask` is near the other boundary. If `mask` is empty, too, both
    /// counts are 0.
    #[must_use]
    pub fn one_sided(mask: &[bool], height: usize, width: usize) -> Self {
        Self { within: 0, total: boundary(mask, height, width).len() }
    }
}

fn percentile_95(mut distances: Vec<f64>) -> f64 {
    distances.sort_by(f64::total_cmp);
    quantile(&distances, 0.95)
}

/// The flat indices of the boundary pixels.
fn boundary(mask: &[bool], height: usize, width: usize) -> Vec<usize> {
    assert_eq!(mask.len(), height * width, "a mask must have height * width pixels");
    let inner = |index: usize| {
        let (row, column) = (index / width, index % width);
        row > 0
            && row + 1 < height
            && column > 0
            && column + 1 < width
            && [index - width, index + width, index - 1, index + 1].iter().all(|&next| mask[next])
    };
    (0..mask.len()).filter(|&index| mask[index] && !inner(index)).collect()
}

/// The distance from each pixel of `from` to the nearest pixel of `to`.
fn distances(from: &[usize], to: &[usize], height: usize, width: usize, spacing: [f64; 2]) -> Vec<f64> {
    let field = squared_distances(to, height, width, spacing);
    from.iter().map(|&index| field[index].sqrt()).collect()
}

/// The squared distance of every pixel to the nearest of `sites` (not empty). It is exact, and computed with lower envelopes of
/// parabolas along columns and then along rows (Felzenszwalb and Huttenlocher, Theory of Computing 8, 2012).
fn squared_distances(sites: &[usize], height: usize, width: usize, [row_step, column_step]: [f64; 2]) -> Vec<f64> {
    let mut field = vec![f64::INFINITY; height * width];
    for &site in sites {
        field[site] = 0.0;
    }
    let mut column = vec![0.0; height];
    for c in 0..width {
        for (r, value) in column.iter_mut().enumerate() {
            *value = field[r * width + c];
        }
        for (r, value) in lower_envelope(&column, row_step).into_iter().enumerate() {
            field[r * width + c] = value;
        }
    }
    for row in field.chunks_exact_mut(width) {
        let lowest = lower_envelope(row, column_step);
        row.copy_from_slice(&lowest);
    }
    field
}

/// For every place p the minimum over q of values[q] + (step (p - q))^2.
fn lower_envelope(values: &[f64], step: f64) -> Vec<f64> {
    // The parabolas of the envelope: the place of each vertex, and the position from which the parabola is the lowest.
    let mut parabolas: Vec<(usize, f64)> = Vec::with_capacity(values.len());
    let place = |q: usize| q as f64 * step;
    for (q, &value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let mut begin = f64::NEG_INFINITY;
        while let Some(&(last, last_begin)) = parabolas.last() {
            let lift = (value + place(q).powi(2)) - (values[last] + place(last).powi(2));
            begin = lift / (2.0 * (place(q) - place(last)));
            if begin > last_begin {
                break;
            }
            parabolas.pop();
            begin = f64::NEG_INFINITY;
        }
        parabolas.push((q, begin));
    }
    if parabolas.is_empty() {
        return values.to_vec();
    }
    let mut at = 0;
    (0..values.len())
        .map(|p| {
            while parabolas.get(at + 1).is_some_and(|&(_, begin)| begin < place(p)) {
                at += 1;
            }
            let vertex = parabolas[at].0;
            values[vertex] + (place(p) - place(vertex)).powi(2)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_what_brute_force_finds() {
        let (height, width, spacing) = (13, 17, [0.7, 1.3]);
        for sites in [vec![0], vec![5, 100, 101, 220], (0..13).map(|r| r * 17 + (r * 5) % 17).collect::<Vec<_>>()] {
            let field = squared_distances(&sites, height, width, spacing);
            for (index, &found) in field.iter().enumerate() {
                let to = |site: &usize| {
                    let rows = (index / width).abs_diff(site / width) as f64 * spacing[0];
                    let columns = (index % width).abs_diff(site % width) as f64 * spacing[1];
                    rows * rows + columns * columns
                };
                let expected = sites.iter().map(to).fold(f64::INFINITY, f64::min);
                assert!((found - expected).abs() < 1e-9, "{index}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn shifted_squares_have_known_distances() {
        let square = |left: usize| {
            (0..400).map(|i| (5..12).contains(&(i / 20)) && (left..left + 7).contains(&(i % 20))).collect::<Vec<bool>>()
        };
        let found = SurfaceDistances::new(&square(4), &square(7), 20, 20, [1.0, 1.0]).unwrap();
        assert_eq!(found.from_prediction.len(), 24);
        assert_eq!((found.hausdorff_95(), found.counts(3.0)), (3.0, SurfaceCounts { within: 48, total: 48 }));
        assert!(found.counts(2.0).within < 48);
        let same = SurfaceDistances::new(&square(4), &square(4), 20, 20, [2.0, 1.0]).unwrap();
        assert_eq!((same.hausdorff_95(), same.hausdorff_95_joint(), same.counts(0.0).within), (0.0, 0.0, 48));
        assert_eq!(SurfaceDistances::new(&square(4), &[false; 400], 20, 20, [1.0, 1.0]), None);
        assert_eq!(SurfaceCounts::one_sided(&square(4), 20, 20), SurfaceCounts { within: 0, total: 24 });
    }
}
