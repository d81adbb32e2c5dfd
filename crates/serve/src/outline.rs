//! A mask as a drawing: its outline along the edges of its pixels, sharp at every size, or its area.

use pig_data::classes::colour;
use std::fmt::Write as _;

/// The colour of lesions that no classes are told of: on gray ground well seen by everybody.
const LESION: [u8; 3] = [255, 199, 44];

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The outline.
    Outline,
    /// The area.
    Area,
}

/// A label map as SVG. If there are several classes, each has its colour.
pub(crate) fn svg(labels: &[u8], [height, width]: [usize; 2], has_classes: bool, part: Part) -> String {
    let mut all: Vec<u8> = labels.iter().copied().filter(|&label| label > 0).collect();
    all.sort_unstable();
    all.dedup();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\">"
    );
    for label in all {
        let [red, green, blue] = if has_classes { colour(usize::from(label) - 1) } else { LESION };
        let inside = |x: usize, y: usize| x < width && y < height && labels[y * width + x] == label;
        let (style, path) = match part {
            Part::Area => (format!("fill=\"#{red:02x}{green:02x}{blue:02x}\""), area(&inside, [height, width])),
            Part::Outline => (
                format!(
                    "fill=\"none\" stroke=\"#{red:02x}{green:02x}{blue:02x}\" stroke-width=\"1.5\" stroke-linecap=\"square\" \
                     vector-effect=\"non-scaling-stroke\""
                ),
                edges(&inside, [height, width]),
            ),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "<path {style} d=\"{path}\"/>");
    }
    text.push_str("</svg>");
    text
}

/// The runs of pixels of each row.
fn area(inside: &dyn Fn(usize, usize) -> bool, [height, width]: [usize; 2]) -> String {
    let mut path = String::new();
    for y in 0..height {
        for (start, end) in runs(width, &|x| inside(x, y)) {
            let _ = write!(path, "M{start} {y}h{0}v1h-{0}z", end - start);
        }
    }
    path
}

/// The lines between pixels inside and outside: first those that lie, then those that stand.
fn edges(inside: &dyn Fn(usize, usize) -> bool, [height, width]: [usize; 2]) -> String {
    let mut path = String::new();
    for y in 0..=height {
        for (start, end) in runs(width, &|x| inside(x, y) != (y > 0 && inside(x, y - 1))) {
            let _ = write!(path, "M{start} {y}h{}", end - start);
        }
    }
    for x in 0..=width {
        for (start, end) in runs(height, &|y| inside(x, y) != (x > 0 && inside(x - 1, y))) {
            let _ = write!(path, "M{x} {start}v{}", end - start);
        }
    }
    path
}

/// The stretches of `0..length` that hold.
fn runs(length: usize, holds: &dyn Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let (mut found, mut start) = (Vec::new(), None);
    for at in 0..=length {
        match (at < length && holds(at), start) {
            (true, None) => start = Some(at),
            (false, Some(first)) => {
                found.push((first, at));
                start = None;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_runs_along_the_edges_of_pixels() {
        // A pixel at the border, and one inside.
        let labels = [1, 0, 0, 0, 0, 0, 0, 2, 0];
        let drawn = svg(&labels, [3, 3], true, Part::Outline);
        assert!(drawn.contains("d=\"M0 0h1M0 1h1M0 0v1M1 0v1\""), "{drawn}");
        assert!(drawn.contains("d=\"M1 2h1M1 3h1M1 2v1M2 2v1\""), "{drawn}");
        assert_eq!(drawn.matches("<path").count(), 2);
        let filled = svg(&labels, [3, 3], false, Part::Area);
        assert!(
            filled.contains("M0 0h1v1h-1z") && filled.contains("M1 2h1v1h-1z") && filled.contains("#ffc72c"),
            "{filled}"
        );
        assert!(!svg(&[0; 9], [3, 3], true, Part::Outline).contains("<path"));
    }
}
