//! Gray levels of a region, and the way from pixel to pixel.

/// A region's gray levels: what texture is counted on.
pub(super) struct Levels<'a> {
    /// Level of each pixel from 1; 0 outside the region.
    pub(super) of: &'a [usize],
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) count: usize,
}

/// Steps (rows, columns) to the neighbour in each of the four directions.
pub(super) const DIRECTIONS: [(isize, isize); 4] = [(0, 1), (1, 1), (1, 0), (1, -1)];

impl Levels<'_> {
    /// The pixel one step on, if it lies in the image.
    pub(super) fn step(&self, index: usize, (rows, columns): (isize, isize)) -> Option<usize> {
        let row = (index / self.width).checked_add_signed(rows).filter(|&row| row < self.height)?;
        let column = (index % self.width).checked_add_signed(columns).filter(|&column| column < self.width)?;
        Some(row * self.width + column)
    }
}
