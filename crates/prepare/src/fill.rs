//! Filling shapes into masks.

use crate::layouts::LesionBox;
use crate::settings::BoxShape;

/// Fills a box, or the ellipse that touches its sides, into a mask of `size` = (height, width). What lies beyond the mask is
/// cut off. A pixel belongs to the ellipse when its centre does.
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

/// Fills a closed polygon of (x, y) points into a mask of `size` = (height, width). Whole coordinates are the centres of
/// pixels; a pixel is inside by the even-odd rule. One or two points mark their pixels alone.
pub fn fill_polygon(mask: &mut [u8], size: [usize; 2], points: &[[f64; 2]]) {
    let [height, width] = size;
    if points.len() < 3 {
        for point in points {
            let [x, y] = point.map(f64::round);
            if x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64 {
                mask[y as usize * width + x as usize] = 1;
            }
        }
        return;
    }
    let low = points.iter().map(|point| point[1]).fold(f64::INFINITY, f64::min).ceil().max(0.0);
    let high = points.iter().map(|point| point[1]).fold(f64::NEG_INFINITY, f64::max).floor();
    let edges = || points.iter().zip(points.iter().cycle().skip(1));
    for row in low as usize..height {
        let y = row as f64;
        if y > high {
            break;
        }
        let mut crossings: Vec<f64> = edges()
            // Half open, so that a corner between two edges is crossed once.
            .filter(|(from, to)| (from[1] <= y) != (to[1] <= y))
            .map(|(from, to)| from[0] + (y - from[1]) * (to[0] - from[0]) / (to[1] - from[1]))
            .collect();
        crossings.sort_by(f64::total_cmp);
        for span in crossings.chunks_exact(2) {
            let first = span[0].ceil().clamp(0.0, width as f64) as usize;
            let end = (span[1].floor() + 1.0).clamp(0.0, width as f64) as usize;
            if first < end {
                mask[row * width + first..row * width + end].fill(1);
            }
        }
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
            assert_eq!(mask[y as usize * 300 + x as usize], 0, "the corner lies outside the ellipse");
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
        assert_eq!((area(&mask), mask[33]), (1, 1));
    }
}
