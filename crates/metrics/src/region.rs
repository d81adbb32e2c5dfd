//! The inside of a mask and the ring around it, as runs of flat pixel indices.

use std::ops::Range;

/// Runs of consecutive flat indices (row-major), inside the mask and inside the ring.
#[derive(Debug)]
pub(crate) struct Regions {
    pub(crate) inside: Vec<Range<usize>>,
    pub(crate) ring: Vec<Range<usize>>,
}

/// Splits a mask into its inside and the ring of pixels whose Euclidean distance `d` to the nearest mask pixel
/// satisfies `gap < d <= gap + width`. Of `others`, other lesions, the ring keeps the distance of the gap, too.
pub(crate) fn regions(
    mask: &[bool],
    others: Option<&[bool]>,
    [height, width]: [usize; 2],
    gap: usize,
    ring_width: usize,
) -> Regions {
    let reach = gap + ring_width;
    let inside = runs(mask.len(), |index| mask[index]);
    if inside.is_empty() {
        return Regions { inside, ring: Vec::new() };
    }
    // Lesions are small, so only their surroundings are searched.
    let rows = around(inside.iter().flat_map(|run| [run.start / width, (run.end - 1) / width]), reach);
    let columns = around((0..mask.len()).filter(|&index| mask[index]).map(|index| index % width), reach);
    let vertical = vertical_distance(mask, height, width, reach);
    let to_others = others.map(|others| vertical_distance(others, height, width, gap));
    let in_ring = |index: usize| {
        let (row, column) = (index / width, index % width);
        if !rows.contains(&row) || !columns.contains(&column) {
            return false;
        }
        let line = row * width..(row + 1) * width;
        let found = nearest(&vertical[line.clone()], column, reach);
        let is_far = |others: &Vec<usize>| nearest(&others[line.clone()], column, gap) > gap * gap;
        found > gap * gap && found <= reach * reach && to_others.as_ref().is_none_or(is_far)
    };
    let ring = runs(mask.len(), in_ring);
    Regions { inside, ring }
}

/// The range from the smallest to the largest place, extended by `reach` on both sides.
fn around(places: impl Iterator<Item = usize>, reach: usize) -> Range<usize> {
    let (least, greatest) = places.fold((usize::MAX, 0), |(low, high), place| (low.min(place), high.max(place)));
    least.saturating_sub(reach)..greatest + reach + 1
}

/// The squared distance of a pixel to the nearest mask pixel, from the distances along the columns of its row; exact up to `reach`.
fn nearest(line: &[usize], column: usize, reach: usize) -> usize {
    let from = column.saturating_sub(reach);
    let to = (column + reach + 1).min(line.len());
    (from..to).map(|c| c.abs_diff(column).pow(2) + line[c].pow(2)).min().unwrap_or(usize::MAX)
}

/// The distance of every pixel to the nearest mask pixel in the same column, at most `reach + 1`, because larger distances do not
/// matter.
fn vertical_distance(mask: &[bool], height: usize, width: usize, reach: usize) -> Vec<usize> {
    let far = reach + 1;
    let mut distance = vec![far; mask.len()];
    for row in 0..height {
        for column in 0..width {
            let index = row * width + column;
            let above = if row > 0 { distance[index - width] + 1 } else { far };
            distance[index] = if mask[index] { 0 } else { above.min(far) };
        }
    }
    for row in (0..height.saturating_sub(1)).rev() {
        for column in 0..width {
            let index = row * width + column;
            distance[index] = distance[index].min(distance[index + width] + 1);
        }
    }
    distance
}

fn runs(count: usize, member: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for index in 0..count {
        match (member(index), start) {
            (true, None) => start = Some(index),
            (false, Some(first)) => {
                runs.push(first..index);
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|first| first..count));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_against_brute_force(mask: &[bool], others: Option<&[bool]>, height: usize, width: usize) {
        let far_from_others = |i: usize, gap: usize| {
            (0..mask.len())
                .filter(|&j| others.is_some_and(|others| others[j]))
                .all(|j| (i / width).abs_diff(j / width).pow(2) + (i % width).abs_diff(j % width).pow(2) > gap * gap)
        };
        for (gap, ring_width) in [(0, 1), (1, 2), (2, 4), (1, 30)] {
            let found = regions(mask, others, [height, width], gap, ring_width);
            let listed = |runs: &[Range<usize>]| runs.iter().cloned().flatten().collect::<Vec<_>>();
            let expected: Vec<usize> = (0..mask.len())
                .filter(|&i| {
                    let nearest = (0..mask.len())
                        .filter(|&j| mask[j])
                        .map(|j| (i / width).abs_diff(j / width).pow(2) + (i % width).abs_diff(j % width).pow(2))
                        .min()
                        .unwrap();
                    let d = (nearest as f64).sqrt();
                    d > gap as f64 && d <= (gap + ring_width) as f64 && far_from_others(i, gap)
                })
                .collect();
            assert_eq!(listed(&found.ring), expected, "gap {gap}, width {ring_width}");
            assert_eq!(listed(&found.inside), (0..mask.len()).filter(|&i| mask[i]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn ring_is_what_brute_force_finds() {
        let (height, width) = (23, 17);
        let made = |inside: fn(usize, usize) -> bool| {
            (0..height * width).map(|i| inside(i / width, i % width)).collect::<Vec<bool>>()
        };
        // Two parts, one of them in a corner; a single pixel; full rows, which are one run of indices; the last column.
        let masks = [
            made(|r, c| (r < 3 && c < 2) || (r.abs_diff(8).pow(2) + c.abs_diff(10).pow(2) < 7)),
            made(|r, c| r == 11 && c == 4),
            made(|r, _| (6..9).contains(&r)),
            made(|_, c| c == 16),
        ];
        let others = made(|r, c| (r.abs_diff(9) < 3 && c.abs_diff(13) < 2) || (r == 4 && c < 9));
        for mask in masks {
            check_against_brute_force(&mask, None, height, width);
            // Lesions exclude each other.
            let others: Vec<bool> = others.iter().zip(&mask).map(|(other, inside)| *other && !inside).collect();
            check_against_brute_force(&mask, Some(&others), height, width);
        }
    }

    #[test]
    fn empty_and_full_masks_have_no_ring() {
        let empty = regions(&[false; 30], None, [5, 6], 1, 2);
        assert!(empty.inside.is_empty() && empty.ring.is_empty());
        let full = regions(&[true; 30], None, [5, 6], 1, 2);
        assert_eq!(full.inside, vec![0..30]);
        assert!(full.ring.is_empty());
    }
}
