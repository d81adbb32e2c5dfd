//! Turns a generated x_0 into a mask: applies a threshold and removes specks.

use crate::classes::Coding;

/// A generated mask and what was removed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanMask {
    /// Labels of shape (height, width), as the coding of the classes says.
    pub mask: Vec<u8>,
    /// Lesion pixels that remain; of classes that overlap, each counts its own.
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
    clean_labels(x_0, size, Coding::exclusive(1), &[threshold], min_component_area)
}

/// As [`clean_mask`], for `x_0` of shape (height, width, classes): a pixel is of the class with the greatest value above its threshold,
/// and the pixels of a component are of one class. Where classes may overlap, each is a mask of its own.
///
/// # Panics
/// When the length of `x_0` is not a multiple of `size[0] * size[1]` times the classes, or there is not a threshold for each class.
pub fn clean_labels(
    x_0: &[f32],
    size: [usize; 2],
    coding: Coding,
    thresholds: &[f32],
    min_component_area: usize,
) -> CleanMask {
    assert!(x_0.len().is_multiple_of(size[0] * size[1] * coding.classes), "x_0 is not a whole number of slices");
    assert_eq!(thresholds.len(), coding.classes, "a threshold for each class");
    let mask = coding.labels(x_0, thresholds);
    let mut clean = CleanMask { mask, lesion_pixels: 0, components: 0, removed_components: 0, removed_pixels: 0 };
    if coding.overlap {
        for class in 0..coding.classes {
            remove_specks(&mut clean, size, min_component_area, coding.label(class));
        }
    } else {
        remove_specks(&mut clean, size, min_component_area, u8::MAX);
    }
    clean
}

/// Removes and counts the components of equal labels, of which only the bits `bits` are looked at.
fn remove_specks(clean: &mut CleanMask, size: [usize; 2], min_area: usize, bits: u8) {
    let mut seen = vec![false; clean.mask.len()];
    for start in 0..clean.mask.len() {
        if clean.mask[start] & bits == 0 || seen[start] {
            continue;
        }
        let component = component_at(start, (&clean.mask, bits), &mut seen, size);
        if component.len() < min_area {
            for &index in &component {
                clean.mask[index] &= !bits;
            }
            clean.removed_components += 1;
            clean.removed_pixels += component.len();
        } else {
            clean.components += 1;
            clean.lesion_pixels += component.len();
        }
    }
}

/// The positions of the component that contains `start`, of one label in the bits `bits`, marked in `seen`.
fn component_at(start: usize, (mask, bits): (&[u8], u8), seen: &mut [bool], size: [usize; 2]) -> Vec<usize> {
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
                if mask[neighbour] & bits == mask[start] & bits && !seen[neighbour] {
                    seen[neighbour] = true;
                    component.push(neighbour);
                }
            }
        }
    }
    component
}
