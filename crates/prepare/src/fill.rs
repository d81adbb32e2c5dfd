//! Filling shapes into masks.

use crate::layouts::LesionBox;
use crate::settings::BoxShape;

/// Fills a box, or the ellipse that touches its sides, into a mask of `size` = (height, width). Parts outside the mask are
/// cut off. A pixel belongs to the ellipse if its centre does.
pub fn fill_box(mask: &mut [u8], size: [usize; 2], lesion: &LesionBox, shape: BoxShape) {
    let (left, top) = (lesion.x as f64, lesion.y as f64);
    let (a, b) = (lesion.width as f64 / 2.0, lesion.height as f64 / 2.0);
    let range = |from: i64, count: i64, limit: usize| {
        let clip = |value: i64| value.clamp(0, limit as i64) as usize;
        clip(from)..clip(from.saturating_add(count.max(0)))
    };
    for row in range(lesion.y, lesion.height, size[0]) {
        for column in range(lesion.x, lesion.width, size[1]) {
            let (x, y) = ((column as f64 + 0.5 - left - a) / a, (row as f64 + 0.5 - top - b) / b);
            if shape == BoxShape::Box || x * x + y * y <= 1.0 {
                mask[row * size[1] + column] = 1;
            }
        }
    }
}

/// An edge of a polygon, with the range of rows that it crosses.
struct Edge {
    first: usize,
    end: usize,
    from: [f64; 2],
    to: [f64; 2],
}

/// The edges of a closed polygon that cross rows of a mask of `height` rows. The ranges of rows are half open, so that a corner
/// between two edges is counted once.
fn edges(points: &[[f64; 2]], height: usize) -> impl Iterator<Item = Edge> {
    let row = move |y: f64| (y.ceil().max(0.0) as usize).min(height);
    points.iter().zip(points.iter().cycle().skip(1)).filter_map(move |(&from, &to)| {
        let (first, end) = (row(from[1].min(to[1])), row(from[1].max(to[1])));
        (first < end).then_some(Edge { first, end, from, to })
    })
}

/// How often the edges of a closed polygon of (x, y) points cross rows of a mask of `height` rows. Filling time grows with this.
pub fn crossings(points: &[[f64; 2]], height: usize) -> u64 {
    edges(points, height).map(|edge| (edge.end - edge.first) as u64).sum()
}

/// Fills a closed polygon of (x, y) points into a mask of `size` = (height, width) by the even-odd rule. Whole coordinates are
/// pixel centres. One or two points only mark the pixels at their integer parts, as readers of INbreast do.
pub fn fill_polygon(mask: &mut [u8], size: [usize; 2], points: &[[f64; 2]]) {
    let [height, width] = size;
    if points.len() < 3 {
        for point in points {
            let [x, y] = point.map(f64::trunc);
            if x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64 {
                mask[y as usize * width + x as usize] = 1;
            }
        }
        return;
    }
    let mut waiting: Vec<Edge> = edges(points, height).collect();
    // Sorted so that the topmost edge is at the end.
    waiting.sort_by_key(|edge| std::cmp::Reverse(edge.first));
    let mut active: Vec<Edge> = Vec::new();
    let mut row = waiting.last().map_or(height, |edge| edge.first);
    while row < height && !(waiting.is_empty() && active.is_empty()) {
        while waiting.last().is_some_and(|edge| edge.first <= row) {
            active.extend(waiting.pop());
        }
        active.retain(|edge| edge.end > row);
        let y = row as f64;
        let crossing = |Edge { from, to, .. }: &Edge| from[0] + (y - from[1]) * (to[0] - from[0]) / (to[1] - from[1]);
        let mut places: Vec<f64> = active.iter().map(crossing).collect();
        places.sort_by(f64::total_cmp);
        for span in places.chunks_exact(2) {
            let first = span[0].ceil().clamp(0.0, width as f64) as usize;
            let end = (span[1].floor() + 1.0).clamp(0.0, width as f64) as usize;
            if first < end {
                mask[row * width + first..row * width + end].fill(1);
            }
        }
        row += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(mask: &[u8]) -> usize {
        mask.iter().filter(|&&value| value != 0).count()
    }

    #[test]
    fn ellipses_have_the_area_of_ellipses_and_boxes_of_boxes() {
        let size = [200, 300];
        for (x, y, width, height) in [(10, 20, 120, 80), (0, 0, 31, 51)] {
            let lesion = LesionBox { slice: 0, x, y, width, height };
            let mut mask = vec![0; 200 * 300];
            fill_box(&mut mask, size, &lesion, BoxShape::Box);
            assert_eq!(area(&mask), (width * height) as usize);
            assert_eq!(mask[y as usize * 300 + x as usize], 1);
            let mut mask = vec![0; 200 * 300];
            fill_box(&mut mask, size, &lesion, BoxShape::Ellipse);
            let expected = std::f64::consts::PI / 4.0 * (width * height) as f64;
            assert!((area(&mask) as f64 / expected - 1.0).abs() < 0.01, "{} {expected}", area(&mask));
            assert_eq!(mask[y as usize * 300 + x as usize], 0, "the corner is outside the ellipse");
        }
    }

    #[test]
    fn boxes_beyond_the_image_are_cut_off() {
        let mut mask = vec![0; 100];
        let lesion = LesionBox { slice: 0, x: -5, y: 7, width: 10, height: 1000 };
        fill_box(&mut mask, [10, 10], &lesion, BoxShape::Box);
        assert_eq!(area(&mask), 15);
        let nothing = LesionBox { slice: 0, x: i64::MAX, y: 0, width: i64::MAX, height: -3 };
        fill_box(&mut mask, [10, 10], &nothing, BoxShape::Ellipse);
        assert_eq!(area(&mask), 15);
    }

    #[test]
    fn crossings_count_what_filling_walks_through() {
        assert_eq!(crossings(&[[0.0, 0.0], [9.0, 0.0], [9.0, 5.0], [0.0, 5.0]], 100), 10);
        assert_eq!(crossings(&[[0.0, -1e300], [9.0, 1e300], [3.0, f64::MAX]], 100), 200);
        // A hundred thousand edges that cross at most one row each are filled quickly.
        let zigzag: Vec<[f64; 2]> = (0..100_000).map(|i| [f64::from(i % 50), f64::from(i / 2 % 4000) + 0.5]).collect();
        let mut mask = vec![0; 4000 * 50];
        fill_polygon(&mut mask, [4000, 50], &zigzag);
        assert!(area(&mask) > 1000);
    }

    #[test]
    fn polygons_hold_the_points_that_a_winding_test_finds() {
        let points = [[2.5, 1.2], [17.3, 3.1], [14.2, 18.9], [9.1, 8.2], [1.3, 15.5]];
        let mut mask = vec![0; 20 * 20];
        fill_polygon(&mut mask, [20, 20], &points);
        // Brute force: the number of edges that a ray to the right crosses.
        for row in 0..20 {
            for column in 0..20 {
                let (x, y) = (f64::from(column), f64::from(row));
                let mut inside = false;
                for index in 0..points.len() {
                    let ([ax, ay], [bx, by]) = (points[index], points[(index + 1) % points.len()]);
                    if (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax {
                        inside = !inside;
                    }
                }
                assert_eq!(mask[(row * 20 + column) as usize] == 1, inside, "{column} {row}");
            }
        }
        let mut mask = vec![0; 100];
        fill_polygon(&mut mask, [10, 10], &[[3.4, 2.6], [20.0, 1.0]]);
        assert_eq!((area(&mask), mask[23]), (1, 1));
    }
}
