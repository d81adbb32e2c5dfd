//! Cuts the same blank borders off an image and its mask.

use crate::config::Crop;
use crate::read::{RawImage, RawMask};

/// A border is blank if its values exceed the image's darkest value by at most this share of the image's range.
const BLANK_SHARE: f32 = 0.01;

/// A rectangle of an image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Window {
    /// All of a picture.
    pub(crate) fn whole(height: usize, width: usize) -> Self {
        Self { top: 0, left: 0, height, width }
    }

    /// The part of a pair to keep: all of it, or the smallest rectangle that contains all pixels that are not blank and all
    /// lesion pixels.
    pub(crate) fn of(image: &RawImage, mask: &RawMask, crop: Crop) -> Self {
        let whole = Self::whole(image.height, image.width);
        if crop == Crop::None {
            return whole;
        }
        let (low, high) =
            image.data.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
        let ground = low + BLANK_SHARE * (high - low);
        let mut rows = vec![false; image.height];
        let mut columns = vec![false; image.width];
        for (index, (pixel, &lesion)) in image.data.chunks_exact(image.channels).zip(&mask.data).enumerate() {
            if lesion != 0 || pixel.iter().any(|&value| value > ground) {
                rows[index / image.width] = true;
                columns[index % image.width] = true;
            }
        }
        let span = |used: &[bool]| {
            let first = used.iter().position(|&u| u)?;
            Some((first, used.iter().rposition(|&u| u)? - first + 1))
        };
        match (span(&rows), span(&columns)) {
            (Some((top, height)), Some((left, width))) => Self { top, left, height, width },
            // A constant image without lesion is blank everywhere; it is kept whole.
            _ => whole,
        }
    }

    /// Divides this into `count` parts of equal height, from the top; rows that are left over are dropped.
    pub(crate) fn slices(self, count: usize) -> impl Iterator<Item = Self> {
        let height = self.height / count;
        (0..count).map(move |slice| Self { top: self.top + slice * height, height, ..self })
    }

    /// Height and width.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Puts values of this rectangle back into a picture of size `whole` = (height, width), with `ground` around them.
    pub(crate) fn paste(&self, values: &[f32], whole: [usize; 2], ground: f32) -> Vec<f32> {
        let mut pasted = vec![ground; whole[0] * whole[1]];
        for (row, line) in values.chunks_exact(self.width).enumerate() {
            let start = (self.top + row) * whole[1] + self.left;
            pasted[start..start + self.width].copy_from_slice(line);
        }
        pasted
    }

    /// Cuts this rectangle out of values of shape (height, `width`, channels).
    pub(crate) fn cut<T: Copy>(&self, values: &[T], width: usize, channels: usize) -> Vec<T> {
        let rows = values.chunks_exact(width * channels).skip(self.top).take(self.height);
        rows.flat_map(|row| &row[self.left * channels..(self.left + self.width) * channels]).copied().collect()
    }
}
