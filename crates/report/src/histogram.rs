//! Histograms of several sets over the same bins, as SVG.

use std::fmt::Write as _;

use pig_metrics::histogram::Histogram;

use crate::svg::{Axis, COLOURS, Entry, PAGE_WIDTH, Plot, stack};

/// Histograms drawn over each other as shares of their sets; the first is filled, the others are lines.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramChart {
    /// The title above the chart.
    pub title: String,
    /// Name and unit of the values, such as "mask area (% of the image)".
    pub x_label: String,
    /// Name and counts of each set, real first. All should share their range and number of bins.
    pub sets: Vec<(String, Histogram)>,
}

impl HistogramChart {
    /// The chart as one SVG element for a page that contains the style.
    pub(crate) fn inline_svg(&self) -> String {
        stack(&self.title, PAGE_WIDTH, &[self.draw()], false)
    }

    fn draw(&self) -> (String, f64) {
        let low = self.sets.iter().map(|(_, h)| h.low).fold(f64::INFINITY, f64::min);
        let high = self.sets.iter().map(|(_, h)| h.high).fold(f64::NEG_INFINITY, f64::max);
        let highest = self.sets.iter().flat_map(|(_, h)| h.fractions()).fold(0.0, f64::max) * 100.0;
        let axes = (Axis::linear(low, high), Axis::linear(0.0, if highest > 0.0 { highest * 1.05 } else { 1.0 }));
        let entry = |(index, (name, h)): (usize, &(String, Histogram))| Entry {
            classes: if index == 0 { "area f0".to_owned() } else { format!("line s{}", index % COLOURS) },
            name: format!("{name} (n = {}{})", grouped(h.total()), outside(h)),
        };
        let legend: Vec<Entry> = self.sets.iter().enumerate().map(entry).collect();
        let mut plot = Plot::new(PAGE_WIDTH, &self.title, (&self.x_label, "share (%)"), axes, &legend);
        for (index, (_, histogram)) in self.sets.iter().enumerate() {
            let path = steps(&plot, histogram);
            if index == 0 {
                plot.add(format_args!("<path class=\"area f0\" d=\"{path}Z\"/>"));
            }
            plot.add(format_args!("<path class=\"line s{}\" d=\"{path}\"/>", index % COLOURS));
        }
        if self.sets.iter().all(|(_, h)| h.total() == 0) {
            plot.notice("no values");
        }
        plot.finish()
    }
}

fn outside(histogram: &Histogram) -> String {
    match histogram.below + histogram.above {
        0 => String::new(),
        count => format!(", {} outside the range", grouped(count)),
    }
}

/// A count with commas between groups of three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let commas = |(index, digit): (usize, char)| {
        let comma = (index > 0 && (digits.len() - index).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(commas).collect()
}

/// The outline of the bars, which starts and ends at the base line.
fn steps(plot: &Plot, histogram: &Histogram) -> String {
    let (x, y) = plot.at(histogram.low, 0.0);
    let mut path = format!("M{x:.1} {y:.1}");
    for (index, share) in histogram.fractions().into_iter().enumerate() {
        let (_, height) = plot.at(histogram.low, share * 100.0);
        let (right, _) = plot.at(histogram.bin(index).1, 0.0);
        // Writing to a String cannot fail.
        let _ = write!(path, "V{height:.1}H{right:.1}");
    }
    let (_, base) = plot.at(histogram.low, 0.0);
    path + &format!("V{base:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(sets: Vec<(&str, Histogram)>) -> HistogramChart {
        let sets = sets.into_iter().map(|(name, h)| (name.to_owned(), h)).collect();
        HistogramChart { title: "Mask area".into(), x_label: "mask area (%)".into(), sets }
    }

    fn areas(svg: &str, class: &str) -> Vec<(f64, f64)> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let path = document.descendants().find(|n| n.attribute("class") == Some(class)).unwrap();
        let text = path.attribute("d").unwrap().trim_end_matches('Z').trim_start_matches('M').replace(['V', 'H'], " ");
        let numbers: Vec<f64> = text.split(' ').map(|w| w.parse().unwrap()).collect();
        // After the starting point: pairs of height and right edge, then the base line.
        numbers[2..numbers.len() - 1].chunks(2).map(|pair| (pair[0], pair[1])).collect()
    }

    #[test]
    fn bars_are_as_high_as_their_shares() {
        let h = Histogram::new([0.5, 0.5, 0.5, 1.5], 4, (0.0, 4.0));
        let svg = chart(vec![("real", h)]).inline_svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let area = document.descendants().filter(|n| n.attribute("class") == Some("area f0"));
        assert_eq!(area.count(), 2, "the legend's swatch and the bars");
        let bars = areas(&svg.replacen("area f0", "swatch", 1), "area f0");
        assert_eq!(bars.len(), 4);
        let base = bars[2].0;
        assert!(((base - bars[0].0) / (base - bars[1].0) - 3.0).abs() < 0.02, "{bars:?}");
        assert_eq!(bars[3].0, base);
        assert!((bars[3].1 - 512.0).abs() < 0.11);
    }

    #[test]
    fn empty_sets_give_a_chart_that_says_so() {
        let empty = Histogram::new([], 3, (0.0, 1.0));
        let svg = chart(vec![("real", empty.clone()), ("generated", empty)]).inline_svg();
        assert!(svg.contains("no values") && !svg.contains("NaN") && !svg.contains("inf"));
        let none = chart(vec![]).inline_svg();
        assert!(roxmltree::Document::parse(&none).is_ok() && !none.contains("NaN") && !none.contains("inf"));
    }

    #[test]
    fn thousands_are_set_apart() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (459_227, "459,227"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
    }

    #[test]
    fn values_outside_are_told() {
        let h = Histogram::new([0.5, 7.0, -3.0], 2, (0.0, 1.0));
        assert!(chart(vec![("real", h)]).inline_svg().contains("real (n = 3, 2 outside the range)"));
    }
}
