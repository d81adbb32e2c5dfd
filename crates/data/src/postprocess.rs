//! Turns a generated x_0 into a mask: applies a threshold and removes specks.

use crate::classes::labels;

/// A generated mask and what was removed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanMask {
    /// Labels of shape (height, width): 0 background, k the class k, counted from 1.
    pub mask: Vec<u8>,
    /// Lesion pixels that remain.
    pub lesion_pixels: usize,
    /// Connected components that remain.
    pub components: usize,
    /// Components removed as specks.
    pub removed_components: usize,
    /// Pixels of the removed components.
    pub removed_pixels: usize,
}

/// Makes a mask from `x_0` of shape `size` = (height, width) with one class, in [-1, 1], or from a stack of several such slices.
///
/// A pixel is lesion if its value is above `threshold`. Pixels of one slice that touch by a side or a corner
/// (8-connectivity) form a component; components of fewer than `min_component_area` pixels become background.
///
/// # Panics
/// When the length of `x_0` is not a multiple of `size[0] * size[1]`.
pub fn clean_mask(x_0: &[f32], size: [usize; 2], threshold: f32, min_component_area: usize) -> CleanMask {
    clean_labels(x_0, size, 1, threshold, min_component_area)
}

/// As [`clean_mask`], for `x_0` of shape (height, width, `classes`): a pixel is of the class with the greatest value above the threshold,
/// and the pixels of a component are of one class.
///
/// # Panics
/// When the length of `x_0` is not a multiple of `size[0] * size[1] * classes`.
pub fn clean_labels(
    x_0: &[f32],
    size: [usize; 2],
    classes: usize,
    threshold: f32,
    min_component_area: usize,
) -> CleanMask {
    assert!(x_0.len().is_multiple_of(size[0] * size[1] * classes), "x_0 is not a whole number of slices");
    let mut mask = labels(x_0, classes, threshold);
    let mut clean =
        CleanMask { lesion_pixels: 0, components: 0, removed_components: 0, removed_pixels: 0, mask: Vec::new() };
    let mut seen = vec![false; mask.len()];
    for start in 0..mask.len() {
        if mask[start] == 0 || seen[start] {
            continue;
        }
        let component = component_at(start, &mask, &mut seen, size);
        if component.len() < min_component_area {
            for &index in &component {
                mask[index] = 0;
            }
            clean.removed_components += 1;
            clean.removed_pixels += component.len();
        } else {
            clean.components += 1;
            clean.lesion_pixels += component.len();
        }
    }
    clean.mask = mask;
    clean
}

/// The positions of the component that contains `start`, of one label, marked in `seen`.
fn component_at(start: usize, mask: &[u8], seen: &mut [bool], size: [usize; 2]) -> Vec<usize> {
    let pixels = size[0] * size[1];
    let mut component = vec![start];
    seen[start] = true;
    let mut next = 0;
    while let Some(&index) = component.get(next) {
        next += 1;
        let (place, slice) = (index % pixels, index - index % pixels);
        let (row, column) = (place / size[1], place % size[1]);
        for y in row.saturating_sub(1)..(row + 2).min(size[0]) {
            for x in column.saturating_sub(1)..(column + 2).min(size[1]) {
                let neighbour = slice + y * size[1] + x;
                if mask[neighbour] == mask[start] && !seen[neighbour] {
                    seen[neighbour] = true;
                    component.push(neighbour);
                }
            }
        }
    }
    component
}
