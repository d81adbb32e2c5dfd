//! The shape of a region in the plane: IBSI's morphology (manual, section 3.1) with areas instead of volumes and a perimeter instead
//! of the surface. The outline runs through the midpoints between pixels of the region and pixels outside (marching squares).

use super::numbers::ratio;

pub(super) const NAMES: [&str; 8] = [
    "mesh_area",
    "perimeter",
    "perimeter_to_area_ratio",
    "circularity",
    "maximum_diameter",
    "major_axis_length",
    "minor_axis_length",
    "elongation",
];

/// The features of a region with at least one pixel; lengths are in pixels.
pub(super) fn features(mask: &[bool], height: usize, width: usize) -> [f64; NAMES.len()] {
    let (area, perimeter) = outline(mask, height, width);
    let places: Vec<(f64, f64)> =
        (0..mask.len()).filter(|&i| mask[i]).map(|i| ((i / width) as f64, (i % width) as f64)).collect();
    let [major, minor] = axes(&places);
    let circularity = ratio(2.0 * (std::f64::consts::PI * area).sqrt(), perimeter);
    [
        area,
        perimeter,
        ratio(perimeter, area),
        circularity,
        diameter(mask, height, width),
        major,
        minor,
        ratio(minor, major),
    ]
}

/// The area inside the outline, and the length of the outline: sums over all squares between four pixel centres.
fn outline(mask: &[bool], height: usize, width: usize) -> (f64, f64) {
    let inside = |row: usize, column: usize| {
        // Rows and columns count from 1, so that 0 is outside the image.
        (1..=height).contains(&row) && (1..=width).contains(&column) && mask[(row - 1) * width + column - 1]
    };
    let half_diagonal = 0.5_f64.sqrt();
    let (mut area, mut perimeter) = (0.0, 0.0);
    for row in 0..=height {
        for column in 0..=width {
            let corners = [(0, 0), (0, 1), (1, 1), (1, 0)].map(|(r, c)| inside(row + r, column + c));
            let (part, length) = match corners.iter().filter(|&&inside| inside).count() {
                0 => (0.0, 0.0),
                1 => (0.125, half_diagonal),
                // Two corners on a diagonal are treated as separate corners.
                2 if corners[0] == corners[2] => (0.25, 2.0 * half_diagonal),
                2 => (0.5, 1.0),
                3 => (0.875, half_diagonal),
                _ => (1.0, 0.0),
            };
            area += part;
            perimeter += length;
        }
    }
    (area, perimeter)
}

/// Four times the roots of the eigenvalues of the covariance of the pixel positions (dividing by their number), the larger one first.
pub(crate) fn axes(places: &[(f64, f64)]) -> [f64; 2] {
    let count = places.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| places.iter().map(of).sum::<f64>() / count;
    let (row, column) = (mean(|p| p.0), mean(|p| p.1));
    let second = |of: &dyn Fn(f64, f64) -> f64| places.iter().map(|p| of(p.0 - row, p.1 - column)).sum::<f64>() / count;
    let (rr, cc, rc) = (second(&|r, _| r * r), second(&|_, c| c * c), second(&|r, c| r * c));
    let (middle, spread) = (f64::midpoint(rr, cc), (((rr - cc) / 2.0).powi(2) + rc * rc).sqrt());
    [middle + spread, (middle - spread).max(0.0)].map(|eigenvalue| 4.0 * eigenvalue.sqrt())
}

/// The largest distance between two points of the outline.
fn diameter(mask: &[bool], height: usize, width: usize) -> f64 {
    let points = hull_candidates(mask, height, width);
    let squared = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).powi(2) + (a.1 - b.1).powi(2);
    let farthest = points.iter().enumerate().flat_map(|(at, a)| points[at + 1..].iter().map(move |b| squared(a, b)));
    farthest.fold(0.0, f64::max).sqrt()
}

/// Points of the outline that include the pair with the largest distance: in each row the leftmost and rightmost midpoints, in each
/// column the uppermost and lowermost midpoints.
fn hull_candidates(mask: &[bool], height: usize, width: usize) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for row in 0..height {
        let line = &mask[row * width..(row + 1) * width];
        if let (Some(first), Some(last)) = (line.iter().position(|&m| m), line.iter().rposition(|&m| m)) {
            points.extend([(row as f64, first as f64 - 0.5), (row as f64, last as f64 + 0.5)]);
        }
    }
    for column in 0..width {
        let inside = |&row: &usize| mask[row * width + column];
        if let (Some(first), Some(last)) = ((0..height).find(inside), (0..height).rev().find(inside)) {
            points.extend([(first as f64 - 0.5, column as f64), (last as f64 + 0.5, column as f64)]);
        }
    }
    points
}
