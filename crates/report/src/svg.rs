//! Code that all charts share: style, scales, ticks, frame. Every coordinate that is written is finite, whatever the data are.

use std::fmt::{self, Write as _};

use crate::markup::escape;

/// Width of a chart in a separate file, in SVG units (pixels if it is not scaled).
pub(crate) const FILE_WIDTH: f64 = 760.0;
/// Width of a chart in a page, where two charts fit side by side.
pub(crate) const PAGE_WIDTH: f64 = 530.0;
/// Height of the plotting area.
const PLOT_HEIGHT: f64 = 230.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 48.0;
const TITLE: f64 = 26.0;
const LEGEND_LINE: f64 = 20.0;
/// A generous estimate of the mean width of a character at 12 units, for the layout of the legend.
const CHARACTER: f64 = 7.0;
/// Larger values are not drawn, because their differences could overflow.
const LARGEST: f64 = 1e100;
/// Number of colours; further series start again with the first.
pub(crate) const COLOURS: usize = 6;

/// Plain declarations without variables, so that viewers without support for variables or media queries show the light version.
pub const STYLE: &str = "\
.pig-chart text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:#57606a}\
.pig-chart .title{font-size:14px;font-weight:600;fill:#1f2328}\
.pig-chart .ground{fill:#ffffff}.pig-chart .grid{stroke:#e6e8eb}.pig-chart .axis{stroke:#8c959f}\
.pig-chart .line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}\
.pig-chart .faint{stroke-width:1;opacity:.32}.pig-chart .dot{stroke-width:6}.pig-chart .area{stroke:none;opacity:.22}\
.pig-chart .s0{stroke:#0b62c4}.pig-chart .s1{stroke:#c4500b}.pig-chart .s2{stroke:#0f7b5f}\
.pig-chart .s3{stroke:#8a3ffc}.pig-chart .s4{stroke:#946200}.pig-chart .s5{stroke:#be2470}\
.pig-chart .f0{fill:#0b62c4}.pig-chart .f1{fill:#c4500b}.pig-chart .f2{fill:#0f7b5f}\
.pig-chart .f3{fill:#8a3ffc}.pig-chart .f4{fill:#946200}.pig-chart .f5{fill:#be2470}\
@media (prefers-color-scheme:dark){\
.pig-chart text{fill:#a4adb8}.pig-chart .title{fill:#e6e9ee}\
.pig-chart .ground{fill:#16181c}.pig-chart .grid{stroke:#2b2f36}.pig-chart .axis{stroke:#6b7480}\
.pig-chart .faint{opacity:.42}.pig-chart .area{opacity:.3}\
.pig-chart .s0{stroke:#6cb0ff}.pig-chart .s1{stroke:#ff9a57}.pig-chart .s2{stroke:#4ccfa6}\
.pig-chart .s3{stroke:#bf95ff}.pig-chart .s4{stroke:#e3b341}.pig-chart .s5{stroke:#ff7eb6}\
.pig-chart .f0{fill:#6cb0ff}.pig-chart .f1{fill:#ff9a57}.pig-chart .f2{fill:#4ccfa6}\
.pig-chart .f3{fill:#bf95ff}.pig-chart .f4{fill:#e3b341}.pig-chart .f5{fill:#ff7eb6}}";

/// The scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal differences have equal lengths.
    #[default]
    Linear,
    /// Equal ratios have equal lengths; values at or below zero are not drawn.
    Log,
}

/// One axis: its scale, and its range in transformed units.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// An axis that covers every drawable value, with a margin above and below if `padded`.
    pub(crate) fn over(values: impl Iterator<Item = f64>, scale: Scale, padded: bool) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|&v| Self::can_hold(scale, v)) {
            let value = transformed(scale, value);
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let air = match (scale, padded, high > low) {
            (_, true, true) => 0.05 * (high - low),
            (_, false, true) => 0.0,
            (Scale::Linear, _, false) => (0.1 * low.abs()).max(1e-6),
            (Scale::Log, _, false) => 0.5,
        };
        // Losses and rates are read relative to zero, so the axis starts there unless the whole curve is far from zero.
        let from_zero = padded && scale == Scale::Linear && low >= 0.0 && low < 0.5 * high;
        Self { scale, low: if from_zero { 0.0 } else { low - air }, high: high + air }
    }

    /// A linear axis from `low` to `high`.
    pub(crate) fn linear(low: f64, high: f64) -> Self {
        Self::over([low, high].into_iter(), Scale::Linear, false)
    }

    pub(crate) fn holds(&self, value: f64) -> bool {
        Self::can_hold(self.scale, value)
    }

    fn can_hold(scale: Scale, value: f64) -> bool {
        value.is_finite() && value.abs() < LARGEST && (scale == Scale::Linear || value > 0.0)
    }

    /// The position of a value that the axis can show: 0 at the low end and 1 at the high end.
    fn place(&self, value: f64) -> f64 {
        ((transformed(self.scale, value) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.scale == Scale::Linear {
            return linear_ticks(self.low, self.high);
        }
        let (first, last) = (self.low.floor() as i32, self.high.floor() as i32);
        let inside = |value: &f64| (self.low..=self.high).contains(&value.log10());
        let decades: Vec<f64> = (first..=last).map(|k| 10_f64.powi(k)).filter(inside).collect();
        if decades.len() > 2 {
            let stride = decades.len().div_ceil(7);
            return decades.into_iter().step_by(stride).collect();
        }
        let fine = (first..=last).flat_map(|k| [1.0, 2.0, 5.0].map(|m| m * 10_f64.powi(k))).filter(inside);
        let fine: Vec<f64> = fine.collect();
        if fine.len() >= 2 { fine } else { linear_ticks(10_f64.powf(self.low), 10_f64.powf(self.high)) }
    }
}

fn transformed(scale: Scale, value: f64) -> f64 {
    if scale == Scale::Log { value.log10() } else { value }
}

/// Multiples of 1, 2 or 5 times a power of ten, about five of them in the range.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|&step| step >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    // Adding a step that is tiny compared with the values changes nothing and never reaches the end, so the count is bounded.
    (0..12).map(|k| (first + f64::from(k)) * step).take_while(|&tick| tick <= high + 1e-9 * step).collect()
}

/// The label of a number beside an axis.
pub(crate) fn tick_label(value: f64) -> String {
    let trim = |text: String| match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    };
    let size = value.abs();
    if size < 1e-12 {
        "0".to_owned()
    } else if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.2e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{exponent}", trim(mantissa.to_owned()))
    } else if size >= 1e4 {
        trim(format!("{:.3}", value / 1e3)) + "k"
    } else {
        trim(format!("{value:.5}"))
    }
}

/// An entry of the legend: classes of its swatch, and its name.
pub(crate) struct Entry {
    pub(crate) classes: String,
    pub(crate) name: String,
}

/// A chart being written: title, legend, axes; the caller adds lines and areas.
pub(crate) struct Plot {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    width: f64,
    top: f64,
    body: String,
}

impl Plot {
    pub(crate) fn new(width: f64, title: &str, labels: (&str, &str), axes: (Axis, Axis), legend: &[Entry]) -> Self {
        let mut plot = Self { x: axes.0, y: axes.1, width, top: TITLE, body: String::new() };
        plot.add(format_args!("<text class=\"title\" x=\"{LEFT}\" y=\"18\">{}</text>", escape(title)));
        plot.legend(legend);
        plot.top += 8.0;
        plot.frame(labels);
        plot
    }

    /// Right end of the plotting area.
    fn right(&self) -> f64 {
        self.width - RIGHT
    }

    /// Appends markup.
    pub(crate) fn add(&mut self, markup: fmt::Arguments) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(markup);
    }

    /// Coordinates of a point that the axes can show.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = LEFT + self.x.place(x) * (self.right() - LEFT);
        (across, self.top + (1.0 - self.y.place(y)) * PLOT_HEIGHT)
    }

    /// A notice in the middle of the plot.
    pub(crate) fn notice(&mut self, text: &str) {
        let (x, y) = (f64::midpoint(LEFT, self.right()), self.top + PLOT_HEIGHT / 2.0);
        self.add(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>", escape(text)));
    }

    /// Body and height of the finished chart.
    pub(crate) fn finish(self) -> (String, f64) {
        let height = self.top + PLOT_HEIGHT + BOTTOM;
        (self.body, height)
    }

    /// Draws swatches and names; entries without a name are left out.
    fn legend(&mut self, entries: &[Entry]) {
        let mut x = LEFT;
        let mut y = self.top + 10.0;
        for entry in entries.iter().filter(|entry| !entry.name.is_empty()) {
            let needed = 30.0 + entry.name.chars().count() as f64 * CHARACTER + 16.0;
            if x > LEFT && x + needed > self.right() {
                x = LEFT;
                y += LEGEND_LINE;
            }
            let classes = &entry.classes;
            let (end, text, base) = (x + 22.0, x + 29.0, y + 4.0);
            if classes.contains("area") {
                let top = y - 5.0;
                self.add(format_args!(
                    "<rect class=\"{classes}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"22\" height=\"10\"/>"
                ));
            } else {
                self.add(format_args!("<path class=\"{classes}\" d=\"M{x:.1} {y:.1}H{end:.1}\"/>"));
            }
            self.add(format_args!("<text x=\"{text:.1}\" y=\"{base:.1}\">{}</text>", escape(&entry.name)));
            x += needed;
        }
        if entries.iter().any(|entry| !entry.name.is_empty()) {
            self.top = y + 8.0;
        }
    }

    fn frame(&mut self, (x_label, y_label): (&str, &str)) {
        let (right, bottom) = (self.right(), self.top + PLOT_HEIGHT);
        for tick in self.y.ticks() {
            let y = self.top + (1.0 - self.y.place(tick)) * PLOT_HEIGHT;
            let (label_x, label_y) = (LEFT - 8.0, y + 4.0);
            self.add(format_args!(
                "<path class=\"grid\" d=\"M{LEFT:.1} {y:.1}H{right:.1}\"/>\
                 <text x=\"{label_x:.1}\" y=\"{label_y:.1}\" text-anchor=\"end\">{}</text>",
                tick_label(tick)
            ));
        }
        for tick in self.x.ticks() {
            let x = LEFT + self.x.place(tick) * (right - LEFT);
            let (mark, label_y) = (bottom + 4.0, bottom + 18.0);
            self.add(format_args!(
                "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}V{mark:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{label_y:.1}\" text-anchor=\"middle\">{}</text>",
                tick_label(tick)
            ));
        }
        let (middle_x, middle_y) = (f64::midpoint(LEFT, right), self.top + PLOT_HEIGHT / 2.0);
        let below = bottom + 38.0;
        self.add(format_args!(
            "<path class=\"axis\" d=\"M{LEFT:.1} {bottom:.1}H{right:.1}\"/>\
             <text x=\"{middle_x:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(14 {middle_y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(x_label),
            escape(y_label)
        ));
    }
}

/// Stacks finished charts of the same width into one SVG element. `standalone` adds style and background, for a separate file.
pub(crate) fn stack(title: &str, width: f64, charts: &[(String, f64)], standalone: bool) -> String {
    let height: f64 = charts.iter().map(|(_, height)| height).sum::<f64>().max(1.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"pig-chart\" viewBox=\"0 0 {width} {height:.1}\" \
         width=\"{width}\" height=\"{height:.1}\" role=\"img\"><title>{}</title>",
        escape(title)
    );
    if standalone {
        out += &["<style>", STYLE, "</style><rect class=\"ground\" width=\"100%\" height=\"100%\"/>"].concat();
    }
    let mut y = 0.0;
    for (body, chart_height) in charts {
        // Writing to a String cannot fail.
        let _ = write!(out, "<g transform=\"translate(0 {y:.1})\">{body}</g>");
        y += chart_height;
    }
    out + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_right() {
        let cases = [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (0.1 + 0.2, "0.3"),
            (2e-4, "2e-4"),
            (1000.0, "1000"),
            (12_500.0, "12.5k"),
            (200_000.0, "200k"),
            (3e6, "3e6"),
            (100.0, "100"),
        ];
        for (value, label) in cases {
            assert_eq!(tick_label(value), label);
        }
    }

    #[test]
    fn ticks_lie_in_their_range_and_are_few() {
        for (low, high) in [(0.0, 1.0), (-3.0, 7.5), (0.0, 20_000.0), (1e-9, 3e-9), (1e16, 1e16 + 8.0), (-1e99, 1e99)] {
            let ticks = linear_ticks(low, high);
            assert!((2..=12).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
            assert!(ticks.iter().all(|t| *t >= low - (high - low) * 1e-6 && *t <= high + (high - low) * 1e-6));
        }
        for values in [[1e-4, 1.0], [0.02, 0.9], [0.51, 0.53], [1e-90, 1e90]] {
            let axis = Axis::over(values.into_iter(), Scale::Log, true);
            let ticks = axis.ticks();
            assert!((2..=12).contains(&ticks.len()), "{values:?}: {ticks:?}");
            assert!(ticks.iter().all(|&t| (0.0..=1.0).contains(&axis.place(t))));
        }
    }

    #[test]
    fn places_are_exact_on_both_scales() {
        let log = Axis::over([1.0, 100.0].into_iter(), Scale::Log, false);
        assert!((log.place(10.0) - 0.5).abs() < 1e-12);
        assert!(!log.holds(0.0) && !log.holds(-1.0) && !log.holds(f64::NAN));
        let linear = Axis::linear(2.0, 4.0);
        assert_eq!((linear.place(2.0), linear.place(3.0), linear.place(4.0)), (0.0, 0.5, 1.0));
    }
}
