//! Sets of pixels with a bounding box, and their connected components.

/// Which pixels count as touching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touching {
    /// Those that share an edge.
    Edges,
    /// Those that share an edge or a corner.
    Corners,
}

/// A set of pixels within its bounding box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    /// The first column.
    pub(crate) left: usize,
    /// The first row.
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Row-major within the box.
    inside: Vec<bool>,
}

impl Region {
    /// The region of these pixels (column, row) in the smallest box; `None` if there are no pixels.
    fn around(pixels: &[[usize; 2]]) -> Option<Self> {
        let columns = pixels.iter().map(|pixel| pixel[0]);
        let rows = pixels.iter().map(|pixel| pixel[1]);
        let (left, top) = (columns.clone().min()?, rows.clone().min()?);
        let (width, height) = (columns.max()? - left + 1, rows.max()? - top + 1);
        let mut inside = vec![false; width * height];
        for [column, row] in pixels {
            inside[(row - top) * width + column - left] = true;
        }
        Some(Self { left, top, width, height, inside })
    }

    /// Whether a pixel belongs to the set; coordinates are relative to the box and may be outside it.
    pub(crate) fn holds(&self, column: isize, row: isize) -> bool {
        let within = |value: isize, side: usize| usize::try_from(value).ok().filter(|&value| value < side);
        match (within(column, self.width), within(row, self.height)) {
            (Some(column), Some(row)) => self.inside[row * self.width + column],
            _ => false,
        }
    }

    /// The number of pixels.
    pub(crate) fn area(&self) -> usize {
        self.inside.iter().filter(|&&inside| inside).count()
    }

    /// The parts whose pixels touch each other, in the order of their first pixels, row by row.
    pub(crate) fn parts(&self, touching: Touching) -> Vec<Self> {
        let parts = components_of(&self.inside, self.width, self.height, touching);
        parts.into_iter().map(|part| Self { left: part.left + self.left, top: part.top + self.top, ..part }).collect()
    }

    /// The first row, relative to the box, of the topmost hole: of pixels outside the set that are not connected to the
    /// outside, neither by edges nor by corners.
    pub(crate) fn first_hole_row(&self) -> Option<usize> {
        // A margin of one pixel joins everything outside.
        let [width, height] = [self.width + 2, self.height + 2];
        let pixels = (0..width * height).map(|i| ((i % width) as isize - 1, (i / width) as isize - 1));
        let outside: Vec<bool> = pixels.map(|(column, row)| !self.holds(column, row)).collect();
        let holes = components_of(&outside, width, height, Touching::Corners);
        // The first component contains the margin and everything that is not a hole.
        holes.iter().skip(1).map(|hole| hole.top - 1).min()
    }

    /// The rows before `row` and the remaining rows, each in its smallest box.
    pub(crate) fn cut(&self, row: usize) -> Vec<Self> {
        let pixels = |rows: std::ops::Range<usize>| {
            let all = rows.flat_map(|y| (0..self.width).map(move |x| [x, y]));
            all.filter(|&[x, y]| self.inside[y * self.width + x])
                .map(|[x, y]| [x + self.left, y + self.top])
                .collect::<Vec<_>>()
        };
        [0..row, row..self.height].into_iter().filter_map(|rows| Self::around(&pixels(rows))).collect()
    }
}

/// The components of a row-major mask whose pixels share an edge or a corner.
pub(crate) fn components(mask: &[u8], width: usize, height: usize) -> Vec<Region> {
    let inside: Vec<bool> = mask.iter().map(|&value| value != 0).collect();
    components_of(&inside, width, height, Touching::Corners)
}

fn components_of(inside: &[bool], width: usize, height: usize, touching: Touching) -> Vec<Region> {
    let mut seen = vec![false; inside.len()];
    let mut regions = Vec::new();
    for first in 0..inside.len() {
        if !inside[first] || seen[first] {
            continue;
        }
        seen[first] = true;
        let mut pixels = vec![[first % width, first / width]];
        let mut next = 0;
        while let Some(&[column, row]) = pixels.get(next) {
            next += 1;
            for y in row.saturating_sub(1)..(row + 2).min(height) {
                for x in column.saturating_sub(1)..(column + 2).min(width) {
                    let index = y * width + x;
                    let reached = touching == Touching::Corners || x == column || y == row;
                    if reached && inside[index] && !seen[index] {
                        seen[index] = true;
                        pixels.push([x, y]);
                    }
                }
            }
        }
        regions.extend(Region::around(&pixels));
    }
    regions
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A mask drawn with `#`.
    pub(crate) fn drawn(rows: &[&str]) -> (Vec<u8>, usize, usize) {
        let mask = rows.iter().flat_map(|row| row.bytes().map(|b| u8::from(b == b'#'))).collect();
        (mask, rows[0].len(), rows.len())
    }

    #[test]
    fn corners_join_components_and_edges_part_them() {
        let (mask, width, height) = drawn(&["##...#", "..#...", ".....#", "#....#"]);
        let found = components(&mask, width, height);
        let boxes: Vec<_> = found.iter().map(|r| [r.left, r.top, r.width, r.height, r.area()]).collect();
        assert_eq!(boxes, [[0, 0, 3, 2, 3], [5, 0, 1, 1, 1], [5, 2, 1, 2, 2], [0, 3, 1, 1, 1]]);
        assert_eq!(found[0].parts(Touching::Edges).len(), 2);
        assert_eq!(found[0].parts(Touching::Edges)[1].left, 2);
    }

    #[test]
    fn holes_are_found_and_cut_open() {
        let (mask, width, height) = drawn(&["#####", "#...#", "#####"]);
        let ring = &components(&mask, width, height)[0];
        assert_eq!(ring.first_hole_row(), Some(1));
        let cut = ring.cut(1);
        assert_eq!(cut.iter().map(Region::area).sum::<usize>(), ring.area());
        assert!(cut.iter().flat_map(|part| part.parts(Touching::Edges)).all(|part| part.first_hole_row().is_none()));
        let (mask, width, height) = drawn(&["####", "####", "#..#", "####"]);
        let closed = &components(&mask, width, height)[0];
        assert_eq!(closed.first_hole_row(), Some(2));
        let (mask, width, height) = drawn(&["###", "#.#", "##."]);
        let open_at_a_corner = &components(&mask, width, height)[0];
        assert_eq!(open_at_a_corner.first_hole_row(), None);
    }
}
