//! The changes to an image's pixel grid, and their inverse: from prepared pixels to source pixels and millimetres.

use serde::{Deserialize, Serialize};

use pig_data::classes::Coding;
use pig_data::resample::{resize_image, resize_labels_area};

use crate::affine::Affine;
use crate::foreground::Rectangle;

/// The steps from a source image to its prepared form, in this order: rotate by 180 degrees, crop, resize, pad, mirror.
///
/// Coordinates are (row, column) with pixel corners at whole numbers: the centre of the first pixel is (0.5, 0.5).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Height and width of the source image.
    pub source: [usize; 2],
    /// Whether the source was rotated by 180 degrees.
    pub turned: bool,
    /// First row and column of the crop in the source (after the rotation).
    pub crop_start: [usize; 2],
    /// Height and width of the crop.
    pub crop_size: [usize; 2],
    /// Height and width after resizing.
    pub resized: [usize; 2],
    /// Rows added above and columns added to the left.
    pub pad: [usize; 2],
    /// Height and width of the prepared image.
    pub prepared: [usize; 2],
    /// Whether left and right were swapped.
    pub mirrored: bool,
    /// Millimetres between the source's rows and columns.
    pub spacing: Option<[f64; 2]>,
}

impl Transform {
    /// The transform of a crop that is resized to `resized` and centred in `prepared`.
    pub(crate) fn new(
        source: [usize; 2],
        turned: bool,
        crop: &Rectangle,
        resized: [usize; 2],
        prepared: [usize; 2],
    ) -> Self {
        Self {
            source,
            turned,
            crop_start: [crop.top, crop.left],
            crop_size: crop.size(),
            resized,
            pad: [0, 1].map(|axis| (prepared[axis] - resized[axis]) / 2),
            prepared,
            mirrored: false,
            spacing: None,
        }
    }

    /// Whether crop, resizing and padding are consistent, as they are in every transform that this crate makes.
    pub fn is_consistent(&self) -> bool {
        [0, 1].into_iter().all(|axis| {
            let inside = |start: usize, size: usize, whole: usize| {
                size > 0 && start.checked_add(size).is_some_and(|end| end <= whole)
            };
            inside(self.crop_start[axis], self.crop_size[axis], self.source[axis])
                && inside(self.pad[axis], self.resized[axis], self.prepared[axis])
        })
    }

    /// Maps a position in the prepared image to the source. Positions in the padding lie outside the crop.
    pub fn to_source(&self, [row, column]: [f64; 2]) -> [f64; 2] {
        let column = if self.mirrored { self.prepared[1] as f64 - column } else { column };
        let at = [row, column];
        std::array::from_fn(|axis| {
            let scale = self.crop_size[axis] as f64 / self.resized[axis] as f64;
            let place = self.crop_start[axis] as f64 + (at[axis] - self.pad[axis] as f64) * scale;
            if self.turned { self.source[axis] as f64 - place } else { place }
        })
    }

    /// Maps a position in the source to the prepared image: the inverse of [`Transform::to_source`].
    pub fn from_source(&self, source: [f64; 2]) -> [f64; 2] {
        let mut at: [f64; 2] = std::array::from_fn(|axis| {
            let place = if self.turned { self.source[axis] as f64 - source[axis] } else { source[axis] };
            let scale = self.resized[axis] as f64 / self.crop_size[axis] as f64;
            (place - self.crop_start[axis] as f64) * scale + self.pad[axis] as f64
        });
        if self.mirrored {
            at[1] = self.prepared[1] as f64 - at[1];
        }
        at
    }

    /// Maps a position in the prepared image to millimetres from the source's upper left corner, down and to the right;
    /// `None` if the source has no spacing.
    pub fn to_millimetres(&self, prepared: [f64; 2]) -> Option<[f64; 2]> {
        let (source, spacing) = (self.to_source(prepared), self.spacing?);
        Some([source[0] * spacing[0], source[1] * spacing[1]])
    }

    /// Millimetres between rows and between columns of the prepared image; `None` if the source has no spacing.
    pub fn prepared_spacing(&self) -> Option<[f64; 2]> {
        let spacing = self.spacing?;
        Some([0, 1].map(|axis| spacing[axis] * self.crop_size[axis] as f64 / self.resized[axis] as f64))
    }

    /// The affine of the prepared pair, computed from that of the source slice: it maps prepared pixels to the positions in the
    /// world where the source pixels are.
    pub fn prepared_affine(&self, source: &Affine) -> Affine {
        // Maps (column, row) in the prepared picture to the source; whole numbers are pixel centres in both.
        let at = |column: f64, row: f64| {
            let [row, column] = self.to_source([row + 0.5, column + 0.5]);
            [column - 0.5, row - 0.5]
        };
        let origin = at(0.0, 0.0);
        let [across, down] = [at(1.0, 0.0), at(0.0, 1.0)].map(|place| [place[0] - origin[0], place[1] - origin[1]]);
        source.map(|[column, row, slice, world]| {
            let along = |way: [f64; 2]| column.mul_add(way[0], row * way[1]);
            [along(across), along(down), slice, along(origin) + world]
        })
    }

    /// Maps an image of the prepared size, generated or prepared, back to the source's grid; it is 0 outside the crop.
    ///
    /// # Panics
    /// When `image` does not have the prepared size.
    pub fn restore_image(&self, image: &[f32]) -> Vec<f32> {
        let cut = self.cut_prepared(image);
        self.paste(&resize_image(&cut, self.resized, self.crop_size, 1))
    }

    /// Maps a mask of the prepared size, of 0 and 1 or of the labels of classes, back to the source's grid; it is 0 outside the crop. A
    /// source pixel is lesion if lesion covers at least half of it, and of the class that covers most of it; where classes may overlap, of
    /// each that covers at least half of it.
    ///
    /// # Panics
    /// When `mask` does not have the prepared size.
    pub fn restore_mask(&self, mask: &[u8], coding: Coding) -> Vec<u8> {
        let cut = self.cut_prepared(mask);
        self.paste(&resize_labels_area(&cut, self.resized, self.crop_size, coding))
    }

    /// The resized picture without mirroring and padding.
    fn cut_prepared<T: Copy>(&self, values: &[T]) -> Vec<T> {
        let [height, width] = self.prepared;
        assert_eq!(values.len(), height * width, "the picture must have the prepared size");
        let unmirrored = if self.mirrored { mirrored(values, width, 1) } else { values.to_vec() };
        let inner = Rectangle { top: self.pad[0], left: self.pad[1], height: self.resized[0], width: self.resized[1] };
        inner.cut(&unmirrored, width, 1)
    }

    /// The crop in a picture of zeros with the source's size.
    fn paste<T: Copy + Default>(&self, crop: &[T]) -> Vec<T> {
        let width = self.source[1];
        let mut values = vec![T::default(); self.source[0] * width];
        for (index, row) in crop.chunks_exact(self.crop_size[1]).enumerate() {
            let start = (self.crop_start[0] + index) * width + self.crop_start[1];
            values[start..start + row.len()].copy_from_slice(row);
        }
        if self.turned {
            values.reverse();
        }
        values
    }
}

/// Values of shape (height, `width`, `channels`) with left and right swapped.
pub(crate) fn mirrored<T: Copy>(values: &[T], width: usize, channels: usize) -> Vec<T> {
    let rows = values.chunks_exact(width * channels);
    rows.flat_map(|row| row.chunks_exact(channels).rev().flatten().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn transforms() -> impl Strategy<Value = Transform> {
        let sides = (20_usize..200, 20_usize..200, 0_usize..10, 0_usize..10, 1_usize..10, 1_usize..10);
        (sides, 16_usize..300, 16_usize..300, any::<bool>(), any::<bool>()).prop_map(
            |((height, width, top, left, down, right), h, w, turned, flip)| {
                let crop = Rectangle { top, left, height: height - top - down, width: width - left - right };
                let resized = pig_data::resample::fit_within(crop.size(), [h, w]);
                let spacing = Some([0.085, 0.1]);
                Transform { mirrored: flip, spacing, ..Transform::new([height, width], turned, &crop, resized, [h, w]) }
            },
        )
    }

    proptest! {
        #[test]
        fn there_and_back(transform in transforms(), row in -10.0..400.0, column in -10.0..400.0) {
            let back = transform.from_source(transform.to_source([row, column]));
            prop_assert!((back[0] - row).abs() < 1e-9 && (back[1] - column).abs() < 1e-9);
            // Distances in millimetres follow the prepared spacing.
            let (a, b) = (transform.to_millimetres([row, column]).unwrap(), transform.to_millimetres([row + 1.0, column + 1.0]).unwrap());
            let spacing = transform.prepared_spacing().unwrap();
            prop_assert!(((a[0] - b[0]).abs() - spacing[0]).abs() < 1e-9);
            prop_assert!(((a[1] - b[1]).abs() - spacing[1]).abs() < 1e-9);
        }
    }

    proptest! {
        #[test]
        fn prepared_places_lie_where_their_source_does(transform in transforms(), column in 0..300_u32, row in 0..300_u32) {
            let source = [[0.3, -0.1, 0.7, 12.0], [0.05, 0.4, -0.2, -31.0], [-0.1, 0.2, 2.5, 4.0]];
            let world = |affine: &Affine, column: f64, row: f64, slice: f64| {
                affine.map(|line| line[0] * column + line[1] * row + line[2] * slice + line[3])
            };
            let [y, x] = transform.to_source([f64::from(row) + 0.5, f64::from(column) + 0.5]);
            let expected = world(&source, x - 0.5, y - 0.5, 2.0);
            let found = world(&transform.prepared_affine(&source), f64::from(column), f64::from(row), 2.0);
            for axis in 0..3 {
                prop_assert!((found[axis] - expected[axis]).abs() < 1e-9, "{found:?} {expected:?}");
            }
        }
    }

    #[test]
    fn a_mark_returns_to_its_source_pixel() {
        let crop = Rectangle { top: 10, left: 20, height: 40, width: 60 };
        let mut transform = Transform::new([100, 120], true, &crop, [80, 120], [128, 128]);
        transform.mirrored = true;
        // A pixel of the rotated source becomes 2 x 2 prepared pixels.
        let (row, column) = (63, 57);
        let at = transform.from_source([row as f64 + 0.5, column as f64 + 0.5]).map(|place| place as usize);
        let mut mask = vec![0_u8; 128 * 128];
        for (r, c) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            mask[(at[0] - 1 + r) * 128 + at[1] - 1 + c] = 1;
        }
        let restored = transform.restore_mask(&mask, Coding::exclusive(1));
        let marked: Vec<usize> = (0..restored.len()).filter(|&index| restored[index] == 1).collect();
        assert_eq!(marked, [row * 120 + column]);
    }
}
