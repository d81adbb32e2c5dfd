//! The way back from prepared pixels to the file's: what a network says of a prepared picture, on the grid that the file has.

use crate::crop::Window;
use crate::resample::resize_image;

/// Where a prepared picture lies in the file that it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Height and width of the file's picture.
    pub(crate) source: [usize; 2],
    /// What was left of it by the crop.
    pub(crate) window: Window,
    /// The size that this was given, before it was padded.
    pub(crate) fitted: [usize; 2],
    /// Height and width as prepared.
    pub(crate) size: [usize; 2],
}

impl Placement {
    /// Height and width of the file's picture.
    pub fn source_size(&self) -> [usize; 2] {
        self.source
    }

    /// Values of the prepared height and width on the file's grid: the padding is cut off, the rest is resized with the filter that
    /// images are resized with, and what the crop left out is `ground`.
    ///
    /// # Panics
    /// When there are more or fewer values than prepared pixels.
    pub fn restore(&self, values: &[f32], ground: f32) -> Vec<f32> {
        assert_eq!(values.len(), self.size[0] * self.size[1], "one value a prepared pixel");
        let [top, left] = offset(self.fitted, self.size);
        let rows = values.chunks_exact(self.size[1]).skip(top).take(self.fitted[0]);
        let inner: Vec<f32> = rows.flat_map(|row| &row[left..left + self.fitted[1]]).copied().collect();
        let inner = resize_image(&inner, self.fitted, self.window.size(), 1);
        self.window.paste(&inner, self.source, ground)
    }
}

/// Rows and columns of padding above and to the left, where a picture of the size `from` is centred on one of the size `to`.
pub(crate) fn offset(from: [usize; 2], to: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| (to[axis] - from[axis]) / 2)
}
