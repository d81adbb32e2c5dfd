//! The gray levels of a region, and the steps from pixel to pixel.

/// The gray levels of a region, from which texture features are computed.
pub(super) struct Levels<'a> {
    /// The level of each pixel, starting with 1; 0 outside the region.
    pub(super) of: &'a [usize],
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) count: usize,
}

/// The steps (rows, columns) to the neighbour in each of the four directions.
pub(super) const DIRECTIONS: [(isize, isize); 4] = [(0, 1), (1, 1), (1, 0), (1, -1)];

impl Levels<'_> {
    /// The pixel after one step, if it lies in the image.
    pub(super) fn step(&self, index: usize, (rows, columns): (isize, isize)) -> Option<usize> {
        let row = (index / self.width).checked_add_signed(rows).filter(|&row| row < self.height)?;
        let column = (index % self.width).checked_add_signed(columns).filter(|&column| column < self.width)?;
        Some(row * self.width + column)
    }
}
