//! Line charts as SVG: losses, learning rates and other values over steps.

use std::fmt::Write as _;
use std::path::Path;

use crate::ReportError;
/// The style of charts within a page, for light and dark.
pub use crate::svg::STYLE as CHART_STYLE;
pub use crate::svg::Scale;
use crate::svg::{Axis, COLOURS, Entry, FILE_WIDTH, PAGE_WIDTH, Plot, stack};

/// A series with more points is thinned to the extremes of equal stretches, which looks the same.
const MOST_POINTS: usize = 800;

/// A named line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name in the legend; a line without a name has no entry.
    pub name: String,
    /// (x, y) in the order in which they are joined. A point that cannot be drawn (NaN, infinite, or not above zero on a
    /// logarithmic axis) leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// Whether the line is drawn pale and without an entry in the legend, in the colour of the next series that is not faint. It is
    /// for raw values under their smoothed curve.
    pub faint: bool,
}

impl Series {
    /// A line that is not faint.
    #[must_use]
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, faint: false }
    }

    /// The raw points as a faint line, and their exponential moving average over about `window` points.
    ///
    /// The average is bias-corrected (it starts at the first value, not at zero) and skips values that are not finite.
    #[must_use]
    pub fn raw_and_smoothed(name: impl Into<String>, points: Vec<(f64, f64)>, window: f64) -> [Self; 2] {
        let keep = 1.0 - 1.0 / window.max(1.0);
        let (mut sum, mut weight) = (0.0, 0.0);
        let smooth = |&(x, y): &(f64, f64)| {
            if !y.is_finite() {
                return (x, f64::NAN);
            }
            sum = keep * sum + y;
            weight = keep * weight + 1.0;
            (x, sum / weight)
        };
        let smoothed = points.iter().map(smooth).collect();
        [Self { name: String::new(), points, faint: true }, Self::new(name, smoothed)]
    }
}

/// One chart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chart {
    /// The title above the chart.
    pub title: String,
    /// Name and unit of the x axis, such as "training step".
    pub x_label: String,
    /// Name and unit of the y axis, such as "loss (mean squared error of eps)".
    pub y_label: String,
    /// Scale of the x axis.
    pub x_scale: Scale,
    /// Scale of the y axis.
    pub y_scale: Scale,
    /// Lines, drawn in order.
    pub series: Vec<Series>,
}

impl Chart {
    /// The chart as one SVG element for a page that contains [`CHART_STYLE`].
    #[must_use]
    pub fn inline_svg(&self) -> String {
        stack(&self.title, PAGE_WIDTH, &[self.draw(PAGE_WIDTH)], false)
    }

    fn draw(&self, width: f64) -> (String, f64) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Axis::over(points().map(|p| p.0), self.x_scale, false);
        let y = Axis::over(points().map(|p| p.1), self.y_scale, true);
        let strong = self.series.iter().filter(|series| !series.faint).enumerate();
        let legend: Vec<Entry> = strong
            .map(|(i, series)| Entry { classes: format!("line s{}", i % COLOURS), name: series.name.clone() })
            .collect();
        let mut plot = Plot::new(width, &self.title, (&self.x_label, &self.y_label), (x, y), &legend);
        let mut colour = 0;
        let mut lines = Vec::new();
        for series in &self.series {
            let faint = if series.faint { " faint" } else { "" };
            lines.push((series, format!("line s{}{faint}", colour % COLOURS)));
            colour += usize::from(!series.faint);
        }
        // All raw values are drawn beneath all smoothed curves. The sort is stable.
        lines.sort_by_key(|(series, _)| !series.faint);
        let drawn: usize = lines.iter().map(|(series, classes)| draw_series(&mut plot, &series.points, classes)).sum();
        if drawn == 0 {
            plot.notice("no values yet");
        }
        plot.finish()
    }
}

/// Writes charts, one below the other, as one SVG file that is readable in light and dark mode. The file is written whole or not
/// at all.
pub fn write_curves(path: &Path, charts: &[Chart]) -> Result<(), ReportError> {
    Ok(pig_files::write(path, curves_svg(charts).as_bytes())?)
}

/// Charts, one below the other, as the text of one SVG file.
#[must_use]
pub fn curves_svg(charts: &[Chart]) -> String {
    let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
    let drawn: Vec<(String, f64)> = charts.iter().map(|chart| chart.draw(FILE_WIDTH)).collect();
    stack(&titles.join(", "), FILE_WIDTH, &drawn, true)
}

/// Draws the stretches between gaps and returns the number of points drawn.
fn draw_series(plot: &mut Plot, points: &[(f64, f64)], classes: &str) -> usize {
    let drawable: Vec<Option<(f64, f64)>> =
        points.iter().map(|&(x, y)| (plot.x.holds(x) && plot.y.holds(y)).then_some((x, y))).collect();
    let mut drawn = 0;
    for stretch in drawable.split(Option::is_none) {
        let stretch: Vec<(f64, f64)> = thinned(&stretch.iter().copied().flatten().collect::<Vec<_>>());
        drawn += stretch.len();
        let Some((&first, rest)) = stretch.split_first() else { continue };
        let (x, y) = plot.at(first.0, first.1);
        // A single point, such as the only validation of a short training, is drawn as a line of length zero. Its round cap makes a dot of it, and
        // the class makes the dot wide enough to be seen.
        let is_single = rest.is_empty();
        let mut path = if is_single { format!("M{x:.1} {y:.1}h0") } else { format!("M{x:.1} {y:.1}L") };
        let dot = if is_single { " dot" } else { "" };
        for &(x, y) in rest {
            let (x, y) = plot.at(x, y);
            // Writing to a String cannot fail.
            let _ = write!(path, "{x:.1} {y:.1} ");
        }
        plot.add(format_args!("<path class=\"{classes}{dot}\" d=\"{}\"/>", path.trim_end()));
    }
    drawn
}

/// Thins a series to about [`MOST_POINTS`] points: the lowest and the highest of equal stretches, in their order.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let size = points.len().div_ceil(MOST_POINTS / 2);
    let mut kept = Vec::with_capacity(MOST_POINTS);
    for stretch in points.chunks(size) {
        let by_height = |a: &usize, b: &usize| stretch[*a].1.total_cmp(&stretch[*b].1);
        let lowest = (0..stretch.len()).min_by(by_height).unwrap_or(0);
        let highest = (0..stretch.len()).max_by(by_height).unwrap_or(0);
        kept.push(stretch[lowest.min(highest)]);
        if lowest != highest {
            kept.push(stretch[lowest.max(highest)]);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number in coordinates. Panics unless the XML is well-formed.
    pub(crate) fn coordinates(svg: &str) -> Vec<f64> {
        let document = roxmltree::Document::parse(svg).expect("well-formed XML");
        let mut numbers = Vec::new();
        for node in document.descendants() {
            for attribute in node.attributes() {
                if !matches!(attribute.name(), "d" | "x" | "y" | "width" | "height" | "viewBox" | "transform") {
                    continue;
                }
                let text = attribute.value().replace("100%", "100");
                for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))) {
                    let word = word.trim_matches(|c: char| matches!(c, 'M' | 'L' | 'H' | 'V' | 'h' | 'Z'));
                    for part in word.split(['M', 'L', 'H', 'V', 'h', 'Z']).filter(|p| !p.is_empty()) {
                        if !matches!(part, "translate" | "rotate") {
                            numbers.push(part.parse::<f64>().unwrap_or_else(|_| panic!("`{part}` in {text}")));
                        }
                    }
                }
            }
        }
        numbers
    }

    fn chart(y_scale: Scale, series: Vec<Series>) -> Chart {
        let (x_label, y_label) = ("training step".into(), "loss".into());
        Chart { title: "Loss".into(), x_label, y_label, y_scale, series, ..Chart::default() }
    }

    #[test]
    fn coordinates_are_finite_whatever_the_data() {
        let nan = f64::NAN;
        let cases: Vec<Vec<(f64, f64)>> = vec![
            vec![],
            vec![(1.0, 2.0)],
            vec![(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)],
            vec![(0.0, 0.0), (1.0, 0.0)],
            vec![(0.0, nan), (1.0, nan)],
            vec![(0.0, 1.0), (1.0, nan), (2.0, 3.0), (nan, 4.0), (4.0, f64::INFINITY), (5.0, -1.0)],
            vec![(0.0, 1e300), (1.0, -1e300), (2.0, 5.0)],
            vec![(0.0, 1e-320), (1.0, 1e99), (2.0, 1e-99)],
            vec![(5.0, -2.0), (5.0, -2.0)],
            vec![(1e15, 1.0), (1e15 + 1.0, 1.0 + 1e-15)],
        ];
        for points in cases {
            for scale in [Scale::Linear, Scale::Log] {
                let svg = curves_svg(&[chart(scale, vec![Series::new("a", points.clone())])]);
                let numbers = coordinates(&svg);
                assert!(numbers.len() > 10, "{points:?}");
                assert!(numbers.iter().all(|n| n.is_finite() && n.abs() < 1e4), "{scale:?} {points:?}: {svg}");
            }
        }
        assert!(curves_svg(&[chart(Scale::Log, vec![])]).contains("no values yet"));
        coordinates(&curves_svg(&[]));
    }

    #[test]
    fn points_land_where_the_axes_say() {
        let svg =
            curves_svg(&[chart(Scale::Linear, vec![Series::new("", vec![(0.0, 0.0), (50.0, 1.0), (100.0, 2.0)])])]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let line = document.descendants().rfind(|n| n.attribute("class") == Some("line s0")).unwrap();
        let numbers: Vec<f64> = line
            .attribute("d")
            .unwrap()
            .split(['M', 'L', ' '])
            .filter(|w| !w.is_empty())
            .map(|w| w.parse().unwrap())
            .collect();
        let [x0, y0, x1, y1, x2, y2] = numbers[..] else { panic!("{numbers:?}") };
        assert!((x1 - f64::midpoint(x0, x2)).abs() < 0.11 && (y1 - f64::midpoint(y0, y2)).abs() < 0.11);
        assert_eq!((x0, x2), (66.0, 742.0));
        assert!(y2 < y1 && y1 < y0, "larger values are higher up");
    }

    #[test]
    fn a_gap_splits_the_line() {
        let points = vec![(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 2.0), (4.0, 1.0)];
        let svg = curves_svg(&[chart(Scale::Linear, vec![Series::new("a", points)])]);
        // One swatch in the legend and two stretches.
        assert_eq!(svg.matches("class=\"line s0\"").count(), 3);
    }

    #[test]
    fn a_single_point_is_a_wide_dot() {
        let svg = |points| curves_svg(&[chart(Scale::Linear, vec![Series::new("a", points)])]);
        assert_eq!(svg(vec![(1.0, 2.0)]).matches("class=\"line s0 dot\"").count(), 1);
        assert!(!svg(vec![(1.0, 2.0), (2.0, 3.0)]).contains("s0 dot"));
    }

    #[test]
    fn long_series_are_thinned_but_keep_their_extremes() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), (f64::from(i) * 0.01).sin())).collect();
        points[54_321].1 = 40.0;
        points[12_345].1 = -9.0;
        let kept = thinned(&points);
        assert!(kept.len() <= MOST_POINTS + 2);
        assert!(kept.contains(&(54_321.0, 40.0)) && kept.contains(&(12_345.0, -9.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let svg = curves_svg(&[chart(Scale::Linear, vec![Series::new("a", points)])]);
        assert!(svg.len() < 40_000, "{}", svg.len());
    }

    #[test]
    fn smoothing_keeps_constants_and_starts_without_bias() {
        let [raw, smooth] = Series::raw_and_smoothed("a", (0..50).map(|i| (f64::from(i), 7.0)).collect(), 20.0);
        assert!(raw.faint && !smooth.faint && raw.points.len() == 50);
        assert!(smooth.points.iter().all(|p| (p.1 - 7.0).abs() < 1e-12));
        let [_, smooth] = Series::raw_and_smoothed("a", vec![(0.0, 2.0), (1.0, f64::NAN), (2.0, 4.0)], 2.0);
        assert_eq!(smooth.points[0].1, 2.0);
        assert!(smooth.points[1].1.is_nan());
        // Weights 1/2 and 1: (2 / 2 + 4) / 1.5.
        assert!((smooth.points[2].1 - 10.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn raw_values_lie_beneath_every_curve_in_the_colour_of_their_own() {
        let points = || vec![(0.0, 1.0), (1.0, 2.0)];
        let series = ["a", "b"].into_iter().flat_map(|name| Series::raw_and_smoothed(name, points(), 2.0)).collect();
        let svg = curves_svg(&[chart(Scale::Linear, series)]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let classes: Vec<&str> = document.descendants().filter_map(|n| n.attribute("class")).collect();
        let drawn: Vec<&str> = classes.into_iter().filter(|c| c.starts_with("line")).skip(2).collect();
        assert_eq!(drawn, ["line s0 faint", "line s1 faint", "line s0", "line s1"]);
    }

    #[test]
    fn hostile_names_stay_text() {
        let hostile = "</text><script>alert(1)</script>&\"'\u{0}";
        let mut chart = chart(Scale::Linear, vec![Series::new(hostile, vec![(0.0, 1.0), (1.0, 2.0)])]);
        (chart.title, chart.x_label, chart.y_label) = (hostile.into(), hostile.into(), hostile.into());
        let svg = curves_svg(&[chart]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        assert!(document.descendants().all(|node| !node.has_tag_name("script")));
    }

    #[test]
    fn the_file_holds_what_was_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curves.svg");
        let charts = vec![chart(Scale::Log, vec![Series::new("a", vec![(0.0, 1.0), (1.0, 2.0)])]); 2];
        write_curves(&path, &charts).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), curves_svg(&charts));
    }
}
