//! Polygons along pixel edges.
//!
//! COCO draws the union of an instance's polygons and does not support holes. So a component is divided until no part has a
//! hole: at touching corners, and along the first row of each hole. The polygons of the parts cover the component exactly
//! under any rule that tests whether a pixel's centre is inside, such as that of pycocotools.

use super::region::{Region, Touching};

/// The polygons of a region, each a list x, y, x, y, ... of corners at pixel edges.
pub(crate) fn polygons(region: &Region) -> Vec<Vec<usize>> {
    let mut polygons = Vec::new();
    let mut parts = region.parts(Touching::Edges);
    parts.reverse();
    while let Some(part) = parts.pop() {
        match part.first_hole_row() {
            None => polygons.push(outline(&part)),
            Some(row) => {
                let cut = part.cut(row).into_iter().flat_map(|piece| piece.parts(Touching::Edges));
                parts.extend(cut.collect::<Vec<_>>().into_iter().rev());
            }
        }
    }
    polygons
}

/// The outline of a connected region without holes, clockwise on the screen from the first pixel's upper left corner.
fn outline(region: &Region) -> Vec<usize> {
    // The first row of the box contains at least one pixel.
    let first = (0..region.width as isize).find(|&column| region.holds(column, 0)).unwrap_or_default();
    let start = [first, 0];
    let (mut at, mut direction) = (start, [1, 0]);
    let mut corners = Vec::new();
    loop {
        corners.push(region.left + at[0] as usize);
        corners.push(region.top + at[1] as usize);
        // Go straight on while the region is on the right side only.
        let turn = loop {
            at = [at[0] + direction[0], at[1] + direction[1]];
            let [ahead_left, ahead_right] = pixels_ahead(at, direction).map(|[x, y]| region.holds(x, y));
            // At a corner where pixels touch, turning right follows pixels that share edges.
            match (ahead_left, ahead_right) {
                (_, false) => break [-direction[1], direction[0]],
                (true, true) => break [direction[1], -direction[0]],
                (false, true) => {}
            }
        };
        direction = turn;
        if at == start {
            return corners;
        }
    }
}

/// The pixels to the left and to the right of the edge that goes on from a corner in a direction.
fn pixels_ahead([x, y]: [isize; 2], direction: [isize; 2]) -> [[isize; 2]; 2] {
    match direction {
        [1, 0] => [[x, y - 1], [x, y]],
        [0, 1] => [[x, y], [x - 1, y]],
        [-1, 0] => [[x - 1, y], [x - 1, y - 1]],
        _ => [[x - 1, y - 1], [x, y - 1]],
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::{components, tests::drawn};
    use super::*;
    use proptest::prelude::*;

    /// Draws polygons by the even-odd rule at pixel centres, counting each pixel once for every polygon over it.
    fn rasterise(polygons: &[Vec<usize>], width: usize, height: usize) -> Vec<u8> {
        let mut mask = vec![0; width * height];
        for polygon in polygons {
            let corners: Vec<[f64; 2]> = polygon.chunks(2).map(|c| [c[0] as f64, c[1] as f64]).collect();
            for (index, pixel) in mask.iter_mut().enumerate() {
                let [x, y] = [(index % width) as f64 + 0.5, (index / width) as f64 + 0.5];
                let crossings = (0..corners.len()).filter(|&i| {
                    let ([ax, ay], [bx, by]) = (corners[i], corners[(i + 1) % corners.len()]);
                    (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax
                });
                *pixel += (crossings.count() % 2) as u8;
            }
        }
        mask
    }

    fn polygons_of(mask: &[u8], width: usize, height: usize) -> Vec<Vec<usize>> {
        components(mask, width, height).iter().flat_map(polygons).collect()
    }

    #[test]
    fn corners_of_simple_shapes() {
        let (mask, width, height) = drawn(&["...", ".#.", "..."]);
        assert_eq!(polygons_of(&mask, width, height), [[1, 1, 2, 1, 2, 2, 1, 2]]);
        let (mask, width, height) = drawn(&["##", "#."]);
        assert_eq!(polygons_of(&mask, width, height), [[0, 0, 2, 0, 2, 1, 1, 1, 1, 2, 0, 2]]);
    }

    #[test]
    fn a_ring_becomes_two_polygons() {
        let (mask, width, height) = drawn(&["####", "#..#", "#..#", "####"]);
        let found = polygons_of(&mask, width, height);
        assert_eq!(found.len(), 2);
        assert_eq!(rasterise(&found, width, height), mask);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn polygons_cover_each_pixel_of_the_mask_once(
            width in 1_usize..9, height in 1_usize..9, bits in proptest::collection::vec(0_u8..2, 64)
        ) {
            let mask = &bits[..width * height];
            let found = polygons_of(mask, width, height);
            prop_assert_eq!(rasterise(&found, width, height), mask);
            for polygon in &found {
                prop_assert!(polygon.len() >= 8 && polygon.len() % 2 == 0);
                // Every side is parallel to one axis, and the axes alternate, so that no corner is redundant.
                let corners: Vec<&[usize]> = polygon.chunks(2).collect();
                for i in 0..corners.len() {
                    let (a, b, c) =
                        (corners[i], corners[(i + 1) % corners.len()], corners[(i + 2) % corners.len()]);
                    prop_assert!((a[0] == b[0]) != (a[1] == b[1]));
                    prop_assert!((a[0] == b[0]) != (b[0] == c[0]));
                }
            }
        }
    }
}
