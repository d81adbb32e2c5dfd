//! Turns a generated x_0 into a binary mask: applies a threshold and removes specks.

/// A generated mask and what was removed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanMask {
    /// Values of shape (height, width): 0 background, 1 lesion.
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

/// Makes a mask from `x_0` of shape `size` = (height, width) in [-1, 1], or from a stack of several such slices.
///
/// A pixel is lesion if its value is above `threshold`. Pixels of one slice that touch by a side or a corner
/// (8-connectivity) form a component; components of fewer than `min_component_area` pixels become background.
///
/// # Panics
/// When the length of `x_0` is not a multiple of `size[0] * size[1]`.
pub fn clean_mask(x_0: &[f32], size: [usize; 2], threshold: f32, min_component_area: usize) -> CleanMask {
    assert!(x_0.len().is_multiple_of(size[0] * size[1]), "x_0 is not a whole number of slices");
    let mut mask: Vec<u8> = x_0.iter().map(|&value| u8::from(value > threshold)).collect();
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

/// The positions of the component that contains `start`, marked in `seen`.
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
                if mask[neighbour] != 0 && !seen[neighbour] {
                    seen[neighbour] = true;
                    component.push(neighbour);
                }
            }
        }
    }
    component
}
