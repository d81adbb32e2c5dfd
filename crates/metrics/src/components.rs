//! Connected components of a mask.

use serde::{Deserialize, Serialize};

/// Which pixels are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Connectivity {
    /// Pixels that share an edge.
    #[serde(rename = "4")]
    Four,
    /// Pixels that share an edge or a corner, so that thin diagonal spicules stay a part of their lesion.
    #[default]
    #[serde(rename = "8")]
    Eight,
}

/// The components of a mask, numbered in the order of a row-by-row scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// One label per pixel, row-major: 0 outside the mask, otherwise the number of the component, starting with 1.
    pub labels: Vec<u32>,
    /// The areas in pixels of components 1, 2, ...
    pub areas: Vec<usize>,
}

/// Labels the components of a row-major `height x width` mask.
///
/// # Panics
///
/// When `mask.len() != height * width`, a mistake of the calling code.
#[must_use]
pub fn components(mask: &[bool], height: usize, width: usize, connectivity: Connectivity) -> Components {
    assert_eq!(mask.len(), height * width, "a mask must have height * width pixels");
    let mut labels = vec![0_u32; mask.len()];
    let mut areas = Vec::new();
    let mut stack = Vec::new();
    for seed in 0..mask.len() {
        if !mask[seed] || labels[seed] != 0 {
            continue;
        }
        let label = areas.len() as u32 + 1;
        let mut area = 0;
        labels[seed] = label;
        stack.push(seed);
        while let Some(index) = stack.pop() {
            area += 1;
            for_each_neighbour(index, height, width, connectivity, |next| {
                if mask[next] && labels[next] == 0 {
                    labels[next] = label;
                    stack.push(next);
                }
            });
        }
        areas.push(area);
    }
    Components { labels, areas }
}

/// Removes components smaller than `min_area` pixels and returns how many were removed. `min_area` of 0 or 1 removes none.
///
/// # Panics
///
/// When `mask.len() != height * width`, a mistake of the calling code.
pub fn remove_small_components(
    mask: &mut [bool],
    height: usize,
    width: usize,
    min_area: usize,
    connectivity: Connectivity,
) -> usize {
    let found = components(mask, height, width, connectivity);
    for (pixel, &label) in mask.iter_mut().zip(&found.labels) {
        *pixel = label != 0 && found.areas[label as usize - 1] >= min_area;
    }
    found.areas.iter().filter(|&&area| area < min_area).count()
}

fn for_each_neighbour(
    index: usize,
    height: usize,
    width: usize,
    connectivity: Connectivity,
    mut visit: impl FnMut(usize),
) {
    let (row, column) = (index / width, index % width);
    for r in row.saturating_sub(1)..(row + 2).min(height) {
        for c in column.saturating_sub(1)..(column + 2).min(width) {
            let edge = (r == row) != (c == column);
            if edge || (connectivity == Connectivity::Eight && r != row && c != column) {
                visit(r * width + c);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> (Vec<bool>, usize, usize) {
        (rows.iter().flat_map(|r| r.bytes().map(|b| b == b'#')).collect(), rows.len(), rows[0].len())
    }

    #[test]
    fn diagonals_join_only_with_eight() {
        let (m, h, w) = mask(&["##..#", "..#..", "#...#", "#...#"]);
        assert_eq!(components(&m, h, w, Connectivity::Eight).areas, vec![3, 1, 2, 2]);
        assert_eq!(components(&m, h, w, Connectivity::Four).areas, vec![2, 1, 1, 2, 2]);
    }

    #[test]
    fn rows_do_not_wrap_around() {
        let (m, h, w) = mask(&["..#", "#..", "..#"]);
        assert_eq!(components(&m, h, w, Connectivity::Eight).areas, vec![1, 1, 1]);
    }

    #[test]
    fn a_spiral_is_one_component() {
        let (m, h, w) = mask(&["#####", "....#", "###.#", "#...#", "#####"]);
        let found = components(&m, h, w, Connectivity::Four);
        assert_eq!(found.areas, vec![17]);
        assert!(found.labels.iter().zip(&m).all(|(&l, &inside)| (l == 1) == inside));
    }

    #[test]
    fn specks_go_and_lesions_stay() {
        let (mut m, h, w) = mask(&["#....", "..##.", "..##.", "....."]);
        assert_eq!(remove_small_components(&mut m, h, w, 1, Connectivity::Eight), 0);
        assert_eq!(m.iter().filter(|&&p| p).count(), 5);
        assert_eq!(remove_small_components(&mut m, h, w, 4, Connectivity::Eight), 1);
        assert!(!m[0]);
        assert_eq!(m.iter().filter(|&&p| p).count(), 4);
    }

    #[test]
    fn nothing_in_an_empty_mask() {
        assert!(components(&[], 0, 0, Connectivity::Eight).areas.is_empty());
        assert!(components(&[false; 6], 2, 3, Connectivity::Eight).areas.is_empty());
    }
}
