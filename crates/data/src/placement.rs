//! Maps values of a prepared picture, such as a network's prediction, back to the pixel grid of the file.

use crate::crop::Window;
use crate::resample::resize_image;

/// The position of a prepared picture in the picture of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Height and width of the file's picture.
    pub(crate) source: [usize; 2],
    /// The part of it that the crop kept.
    pub(crate) window: Window,
    /// The size to which this part was resized, before padding.
    pub(crate) fitted: [usize; 2],
    /// Height and width as prepared.
    pub(crate) size: [usize; 2],
}

impl Placement {
    /// Height and width of the file's picture.
    pub fn source_size(&self) -> [usize; 2] {
        self.source
    }

    /// Maps values of the prepared height and width to the file's grid: the padding is cut off, the rest is resized with the filter
    /// for images, and pixels outside the crop are `ground`.
    ///
    /// # Panics
    /// When there are more or fewer values than prepared pixels.
    pub fn restore(&self, values: &[f32], ground: f32) -> Vec<f32> {
        assert_eq!(values.len(), self.size[0] * self.size[1], "expected one value for each prepared pixel");
        let [top, left] = offset(self.fitted, self.size);
        let rows = values.chunks_exact(self.size[1]).skip(top).take(self.fitted[0]);
        let inner: Vec<f32> = rows.flat_map(|row| &row[left..left + self.fitted[1]]).copied().collect();
        let inner = resize_image(&inner, self.fitted, self.window.size(), 1);
        self.window.paste(&inner, self.source, ground)
    }
}

/// Rows of padding above and columns of padding to the left of a picture of size `from` that is centred in one of size `to`.
pub(crate) fn offset(from: [usize; 2], to: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| (to[axis] - from[axis]) / 2)
}

/// Centres values of shape (`from[0]`, `from[1]`, channels) on a background of -1 with the size `to`.
pub(crate) fn pad(values: Vec<f32>, from: [usize; 2], to: [usize; 2], channels: usize) -> Vec<f32> {
    if from == to {
        return values;
    }
    let mut padded = vec![-1.0; to[0] * to[1] * channels];
    let [top, left] = offset(from, to);
    for (row, line) in values.chunks_exact(from[1] * channels).enumerate() {
        let start = ((top + row) * to[1] + left) * channels;
        padded[start..start + line.len()].copy_from_slice(line);
    }
    padded
}
