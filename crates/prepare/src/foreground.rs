//! Separates tissue from air, labels and wedges: finds the largest bright component of an image.

use pig_data::resample::{fit_within, resize_image};
use pig_metrics::components::{Connectivity, components};

/// The longer side to which images are reduced before components are searched, so that film noise averages out.
const WORKING_SIDE: usize = 512;

/// The percentiles that are taken as air and as the bright end of the range, in per cent.
const AIR_PERCENTILE: f64 = 5.0;
const BRIGHT_PERCENTILE: f64 = 99.0;

/// The brightest pixel of a label or wedge has at least this value, as a share of the range.
const LABEL_SHARE: f32 = 0.5;

/// A rectangle of an image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rectangle {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Rectangle {
    /// All of an image of `size` = (height, width).
    pub fn whole(size: [usize; 2]) -> Self {
        Self { top: 0, left: 0, height: size[0], width: size[1] }
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The values in this rectangle, from an image of shape (height, `width`, `channels`).
    pub fn cut<T: Copy>(&self, values: &[T], width: usize, channels: usize) -> Vec<T> {
        let rows = values.chunks_exact(width * channels).skip(self.top).take(self.height);
        let columns = self.left * channels..(self.left + self.width) * channels;
        rows.flat_map(|row| &row[columns.clone()]).copied().collect()
    }
}

/// The largest component, and the pixels that do not belong to tissue.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreground {
    /// The rectangle around the largest component, its margin and every lesion.
    pub crop: Rectangle,
    /// Pixels of other components that have a bright pixel (labels, wedges) and contain no lesion; empty if there are none.
    pub others: Vec<bool>,
}

/// Finds the largest component of an image of values from 0 (black) to 1.
///
/// The search uses the image reduced to 512 pixels. Air is its 5th percentile, and the range goes from there to its 99th.
/// Tissue is brighter than air by more than `threshold` times the range. Labels and wedges include a margin of one pixel of
/// the reduced image. Components with lesion count as tissue. An image without contrast is kept whole.
///
/// # Panics
/// When `values` and `mask` do not have `size[0] * size[1]` values.
pub fn largest_component(values: &[f32], mask: &[u8], size: [usize; 2], threshold: f64, margin: f64) -> Foreground {
    assert!(values.len() == size[0] * size[1] && mask.len() == values.len(), "image and mask must have the given size");
    let whole = Foreground { crop: Rectangle::whole(size), others: Vec::new() };
    let longer = size[0].max(size[1]);
    let small = if longer > WORKING_SIDE { fit_within(size, [WORKING_SIDE; 2]) } else { size };
    let reduced = resize_image(values, size, small, 1);
    let (air, bright) = (percentile(&reduced, AIR_PERCENTILE), percentile(&reduced, BRIGHT_PERCENTILE));
    let ground = air + threshold as f32 * (bright - air);
    let tissue: Vec<bool> = reduced.iter().map(|&value| value > ground).collect();
    let found = components(&tissue, small[0], small[1], Connectivity::Eight);
    let Some(largest) = (0..found.areas.len()).max_by_key(|&index| (found.areas[index], usize::MAX - index)) else {
        return whole;
    };
    // Whether the component with each label stays; labels count from 1, as in `found.labels`.
    let mut stays = vec![false; found.areas.len() + 1];
    stays[largest + 1] = true;
    let reduced_place = |row: usize, column: usize| (row * small[0] / size[0]) * small[1] + column * small[1] / size[1];
    for (index, _) in mask.iter().enumerate().filter(|(_, value)| **value != 0) {
        stays[found.labels[reduced_place(index / size[1], index % size[1])] as usize] = true;
    }
    let mut brightest = vec![f32::NEG_INFINITY; stays.len()];
    for (&label, &value) in found.labels.iter().zip(&reduced) {
        brightest[label as usize] = brightest[label as usize].max(value);
    }
    // Labels and wedges are bright; dim islands are thin tissue at the rim and are not changed.
    let middle = air + LABEL_SHARE * (bright - air);
    let laid_over = |label: u32| label != 0 && !stays[label as usize] && brightest[label as usize] >= middle;
    let other: Vec<bool> = found.labels.iter().map(|&label| laid_over(label)).collect();
    let other = grown(&other, &found.labels, &stays, small);
    let crop = bounds(&found.labels, largest as u32 + 1, mask, size, small, (margin * longer as f64).ceil() as usize);
    let others = if other.contains(&true) {
        (0..values.len()).map(|index| other[reduced_place(index / size[1], index % size[1])]).collect()
    } else {
        Vec::new()
    };
    Foreground { crop, others }
}

/// The other components and one pixel around them, except pixels of components that stay.
fn grown(other: &[bool], labels: &[u32], stays: &[bool], size: [usize; 2]) -> Vec<bool> {
    let near = |index: usize| {
        let (row, column) = (index / size[1], index % size[1]);
        let rows = row.saturating_sub(1)..(row + 2).min(size[0]);
        rows.flat_map(|r| (column.saturating_sub(1)..(column + 2).min(size[1])).map(move |c| (r, c)))
            .any(|(r, c)| other[r * size[1] + c])
    };
    (0..other.len()).map(|index| near(index) && !stays[labels[index] as usize]).collect()
}

/// The rectangle in the full image around a component of the reduced image, with its margin, and around the lesions.
fn bounds(labels: &[u32], label: u32, mask: &[u8], size: [usize; 2], small: [usize; 2], margin: usize) -> Rectangle {
    let (mut low, mut high) = (size, [0, 0]);
    let mut include = |at: [usize; 2], end: [usize; 2]| {
        for axis in 0..2 {
            low[axis] = low[axis].min(at[axis]);
            high[axis] = high[axis].max(end[axis].min(size[axis]));
        }
    };
    for index in (0..labels.len()).filter(|&index| labels[index] == label) {
        let place = [index / small[1], index % small[1]];
        let start = [0, 1].map(|axis| (place[axis] * size[axis] / small[axis]).saturating_sub(margin));
        include(start, [0, 1].map(|axis| ((place[axis] + 1) * size[axis]).div_ceil(small[axis]) + margin));
    }
    for index in (0..mask.len()).filter(|&index| mask[index] != 0) {
        let place = [index / size[1], index % size[1]];
        include(place, place.map(|position| position + 1));
    }
    Rectangle { top: low[0], left: low[1], height: high[0] - low[0], width: high[1] - low[1] }
}

/// The value below which `per_cent` of the values lie (nearest rank).
fn percentile(values: &[f32], per_cent: f64) -> f32 {
    let mut sorted = values.to_vec();
    let rank = ((values.len() - 1) as f64 * per_cent / 100.0).round() as usize;
    *sorted.select_nth_unstable_by(rank, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright half disc at the left edge, a label at the upper right, a wedge at the lower right.
    fn breast(size: [usize; 2]) -> (Vec<f32>, impl Fn(usize, usize) -> bool) {
        let [height, width] = size;
        let radius = 0.35 * height as f64;
        let inside = move |row: usize, column: usize| {
            (row as f64 - height as f64 / 2.0).hypot(column as f64) < radius && column < width / 2
        };
        let values = (0..height * width).map(|index| {
            let (row, column) = (index / width, index % width);
            let label = (height / 20..height / 12).contains(&row) && column > width * 8 / 10 && column % 7 < 5;
            let wedge = row > height * 9 / 10 && column > width * 7 / 10;
            if inside(row, column) {
                0.5
            } else if label || wedge {
                1.0
            } else {
                0.02 * ((index * 7919 % 97) as f32 / 97.0)
            }
        });
        (values.collect(), inside)
    }

    #[test]
    fn air_label_and_wedge_go_and_the_breast_stays() {
        for size in [[300, 240], [1400, 1100]] {
            let (values, inside) = breast(size);
            let found = largest_component(&values, &vec![0; values.len()], size, 0.1, 0.0);
            let slack = size[0] / 100;
            let expected = (0.7 * size[0] as f64) as usize;
            assert!(found.crop.height.abs_diff(expected) <= 2 * slack, "{:?}", found.crop);
            assert_eq!(found.crop.left, 0);
            assert!(found.crop.width.abs_diff(expected / 2) <= 2 * slack, "{:?}", found.crop);
            for (index, &other) in found.others.iter().enumerate() {
                let (row, column) = (index / size[1], index % size[1]);
                assert!(!(other && inside(row, column)), "the breast is not a label");
                assert!(other || values[index] < 1.0, "a label remains at {row}, {column}");
            }
        }
    }

    #[test]
    fn dim_islands_of_tissue_are_not_blanked() {
        let size = [300, 240];
        let (mut values, _) = breast(size);
        for row in 20..26 {
            values[row * 240 + 100..row * 240 + 106].fill(0.15);
        }
        let found = largest_component(&values, &vec![0; values.len()], size, 0.1, 0.0);
        assert!(!found.others[22 * 240 + 102], "thin tissue stays");
        assert!(found.others.iter().any(|&other| other), "the label is still removed");
    }

    #[test]
    fn lesions_are_never_cut_off_or_blanked() {
        let size = [300, 240];
        let (values, _) = breast(size);
        let mut mask = vec![0; values.len()];
        // On the wedge, away from the breast.
        mask[290 * 240 + 200] = 1;
        let found = largest_component(&values, &mask, size, 0.1, 0.0);
        assert!(found.crop.top + found.crop.height > 290 && found.crop.left + found.crop.width > 200);
        assert!(!found.others[290 * 240 + 200]);
        assert!(found.others.iter().any(|&other| other), "the label is still removed");
    }

    #[test]
    fn images_without_contrast_stay_whole() {
        let found = largest_component(&[0.3; 600], &[0; 600], [20, 30], 0.05, 0.0);
        assert_eq!(found, Foreground { crop: Rectangle::whole([20, 30]), others: Vec::new() });
    }
}
