//! The one-page summary of a demo: one HTML file that contains its pictures and styles, and neither runs a script nor loads
//! anything.
//!
//! The page is well-formed XML as well as HTML, so that a strict parser can check it, and every text from outside is
//! escaped.

use std::fmt::Write as _;
use std::path::Path;

use pig_metrics::agreement::{Agreement, Verdict};
use pig_metrics::bootstrap::Estimate;
use pig_metrics::nearest::CopyCheck;

use crate::ReportError;
use crate::canvas::{Canvas, SYNTHETIC};
use crate::chart::Chart;
use crate::contact_sheet::comfortable_scale;
use crate::histogram::HistogramChart;
use crate::markup::{base64, escape};
use crate::picture::Picture;
use crate::svg::STYLE as CHART_STYLE;

const PAGE_STYLE: &str = include_str!("page/style.css");

/// A picture in the page.
#[derive(Debug, Clone)]
pub struct Figure {
    canvas: Canvas,
    caption: String,
    alternative: String,
    synthetic: bool,
}

impl Figure {
    /// A picture with its caption and its alternative text.
    #[must_use]
    pub fn new(canvas: Canvas, caption: impl Into<String>, alternative: impl Into<String>) -> Self {
        Self { canvas, caption: caption.into(), alternative: alternative.into(), synthetic: true }
    }

    /// Removes the mark of generated pictures, for a picture that shows no generated images.
    #[must_use]
    pub fn real(self) -> Self {
        Self { synthetic: false, ..self }
    }
}

/// A generated image and its nearest training image.
#[derive(Debug, Clone)]
pub struct NearestPair {
    /// The name of the generated image, such as "seed 17".
    pub name: String,
    /// The generated image.
    pub generated: Picture,
    /// The nearest training image, as it is in the training set.
    pub training: Picture,
    /// The distance between the two, in the section's unit.
    pub distance: f64,
    /// Whether the training image is near when it is mirrored; the page then shows it mirrored and says so.
    pub flipped: bool,
}

/// The part of the page about copies of training images.
#[derive(Debug, Clone)]
pub struct NearestSection {
    /// About a dozen pairs.
    pub pairs: Vec<NearestPair>,
    /// A comparison of the distances of all generated images with those of held-out real images; `None` without held-out images.
    pub check: Option<CopyCheck>,
    /// The unit of distances, such as "mean squared difference of gray values from 0 to 1, at 64 x 64".
    pub unit: String,
}

/// The content of the page. A section whose list is empty or whose value is `None` is left out.
#[derive(Debug, Clone, Default)]
pub struct DemoPage {
    /// Title of the page.
    pub title: String,
    /// After how many seconds a browser loads the page again; `None` for a page that is finished.
    pub reload_seconds: Option<u32>,
    /// What the data are, in a few words: "phantom images, not patients".
    pub data: String,
    /// What was run and on which data, one paragraph each; the first paragraph is emphasised.
    pub summary: Vec<String>,
    /// Pair agreement with its verdict.
    pub agreement: Option<Agreement>,
    /// Contact sheets of real and generated pairs with outlines.
    pub contact_sheets: Vec<Figure>,
    /// Progress strips.
    pub strips: Vec<Figure>,
    /// Mask areas and intensities of real and generated pairs.
    pub histograms: Vec<HistogramChart>,
    /// Nearest training images.
    pub nearest: Option<NearestSection>,
    /// Losses and learning rate.
    pub curves: Vec<Chart>,
    /// The resolved configuration as text (TOML).
    pub settings: String,
    /// Name and value: version, seed, data, hashes, times, machine.
    pub provenance: Vec<(String, String)>,
    /// What the page does not show, one item each.
    pub limits: Vec<String>,
}

impl DemoPage {
    /// The page as text.
    pub fn render(&self) -> Result<String, ReportError> {
        let mut page = Page::begin_reloading(&self.title, self.reload_seconds);
        if !self.data.is_empty() {
            page.add(format_args!("<p class=\"data\">Data: {}</p>\n", escape(&self.data)));
        }
        for (index, paragraph) in self.summary.iter().enumerate() {
            let class = if index == 0 { " class=\"lead\"" } else { "" };
            page.add(format_args!("<p{class}>{}</p>\n", escape(paragraph)));
        }
        if let Some(agreement) = &self.agreement {
            page.agreement(agreement);
        }
        page.figures("Real and generated pairs", &self.contact_sheets)?;
        page.figures("From noise to pair", &self.strips)?;
        page.charts("Mask areas and intensities", self.histograms.iter().map(HistogramChart::inline_svg));
        if let Some(nearest) = &self.nearest {
            page.heading("Nearest training images");
            page.nearest(nearest)?;
        }
        page.charts("Training", self.curves.iter().map(Chart::inline_svg));
        page.limits(&self.limits);
        page.settings(&self.settings, &self.provenance);
        Ok(page.end(
            "Generated images and masks on this page are synthetic. The file is self-contained: it uses no network and no script.",
        ))
    }

    /// Renders the page and writes it, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        Ok(pig_files::write(path, self.render()?.as_bytes())?)
    }
}

/// The page being written.
pub(crate) struct Page(String);

impl Page {
    /// Begins a page with its styles and title; the content follows.
    pub(crate) fn begin(title: &str) -> Self {
        Self::begin_reloading(title, None)
    }

    /// As [`begin`](Self::begin), for a page that a browser loads again after some seconds.
    fn begin_reloading(title: &str, seconds: Option<u32>) -> Self {
        let title = escape(title);
        let reload =
            seconds.map_or(String::new(), |seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\"/>"));
        Self(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
             <meta name=\"color-scheme\" content=\"light dark\"/>{reload}<title>{title}</title>\
             <style>{PAGE_STYLE}{CHART_STYLE}</style></head>\n<body><main>\n<h1>{title}</h1>\n"
        ))
    }

    /// Ends the page with its last line and returns all of it.
    pub(crate) fn end(mut self, footer: &str) -> String {
        self.add(format_args!("<footer>{}</footer>\n</main></body></html>\n", escape(footer)));
        self.0
    }

    pub(crate) fn add(&mut self, markup: std::fmt::Arguments) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(markup);
    }

    pub(crate) fn heading(&mut self, heading: &str) {
        self.add(format_args!("<h2>{heading}</h2>\n"));
    }

    fn agreement(&mut self, agreement: &Agreement) {
        self.heading("Do image and mask belong together?");
        let class = match agreement.verdict {
            Verdict::Agrees => "verdict good",
            Verdict::NotAboveShuffled => "verdict bad",
            Verdict::TooFew => "verdict",
        };
        let sentence = minus(&agreement.verdict_sentence());
        let (word, rest) = sentence.split_once(':').unwrap_or(("", &sentence));
        self.add(format_args!("<p class=\"{class}\"><strong>{word}:</strong>{rest}</p>\n"));
        self.add(format_args!(
            "<div class=\"scroll\"><table><thead><tr><th>lesion contrast</th><th>mean</th><th>95 % interval</th><th></th><th></th></tr></thead><tbody>\n"
        ));
        let rows = agreement.rows();
        let span = interval_range(rows.iter().filter_map(|row| row.1));
        for (name, estimate, note) in &rows {
            let (mean, interval, drawing) = match estimate {
                Some(e) => {
                    (signed(e.mean), format!("{} to {}", signed(e.low), signed(e.high)), drawn_interval(e, span))
                }
                None => ("none".to_owned(), String::new(), String::new()),
            };
            self.add(format_args!(
                "<tr><th>{}</th><td class=\"number\">{mean}</td><td class=\"number\">{interval}</td>\
                 <td>{drawing}</td><td class=\"note\">{}</td></tr>\n",
                minus(name),
                escape(note)
            ));
        }
        self.add(format_args!(
            "</tbody></table></div>\n<p class=\"small\">Lesion contrast: {}. Shuffled: generated images with the masks of other \
             generated images, paired by image and by mask.</p>\n",
            escape(&agreement.definition())
        ));
    }

    fn figures(&mut self, heading: &str, figures: &[Figure]) -> Result<(), ReportError> {
        if figures.is_empty() {
            return Ok(());
        }
        self.heading(heading);
        figures.iter().try_for_each(|figure| self.figure(figure))
    }

    pub(crate) fn figure(&mut self, figure: &Figure) -> Result<(), ReportError> {
        let (width, height) = (figure.canvas.width(), figure.canvas.height());
        self.add(format_args!(
            "<figure><img src=\"{}\" width=\"{width}\" height=\"{height}\" alt=\"{}\"/><figcaption>{}</figcaption></figure>\n",
            data_uri(&figure.canvas, figure.synthetic)?,
            escape(&figure.alternative),
            escape(&figure.caption)
        ));
        Ok(())
    }

    fn charts(&mut self, heading: &str, charts: impl Iterator<Item = String>) {
        let charts: String = charts.collect();
        if !charts.is_empty() {
            self.heading(heading);
            self.add(format_args!("<div class=\"charts\">{charts}</div>\n"));
        }
    }

    /// Pairs of generated and training images, and how their distances compare with those of held-out images.
    pub(crate) fn nearest(&mut self, section: &NearestSection) -> Result<(), ReportError> {
        if let Some(check) = &section.check {
            let expected = check.expected * check.generated as f64;
            self.add(format_args!(
                "<p>Generated images that are nearer to a training image than 95 % of the {} held-out real images are: \
                 <strong>{} of {}</strong>; {expected:.1} would be expected of images that are as new as real ones. The median \
                 distance is {:.5} for generated and {:.5} for held-out images.</p>\n",
                check.held_out, check.nearer, check.generated, check.generated_median, check.held_out_median
            ));
        }
        self.add(format_args!(
            "<p class=\"small\">Left: generated. Right: the nearest training image. Distance: {}. Smooth images are nearer to \
             all others, so a small distance alone does not show a copy: compare the two images.</p>\n<ul class=\"nearest\">\n",
            escape(&section.unit)
        ));
        for pair in &section.pairs {
            let shown = if pair.flipped { pair.training.mirrored() } else { pair.training.clone() };
            let rank = section.check.as_ref().map_or(String::new(), |check| {
                format!(", nearer than {:.0} % of held-out real images", 100.0 * (1.0 - check.rank(pair.distance)))
            });
            let mirrored = if pair.flipped { "; training image mirrored" } else { "" };
            self.add(format_args!(
                "<li><div class=\"two\">{}{}</div><p>{}: distance {:.5}{rank}{mirrored}</p></li>\n",
                image(&pair.generated, "generated image")?,
                image(&shown, "nearest training image")?,
                escape(&pair.name),
                pair.distance
            ));
        }
        self.add(format_args!("</ul>\n"));
        Ok(())
    }

    fn limits(&mut self, limits: &[String]) {
        if limits.is_empty() {
            return;
        }
        self.heading("What this does not show");
        self.add(format_args!("<ul>\n"));
        for limit in limits {
            self.add(format_args!("<li>{}</li>\n", escape(limit)));
        }
        self.add(format_args!("</ul>\n"));
    }

    fn settings(&mut self, settings: &str, provenance: &[(String, String)]) {
        if settings.is_empty() && provenance.is_empty() {
            return;
        }
        self.heading("Settings and provenance");
        if !provenance.is_empty() {
            self.add(format_args!("<div class=\"scroll\"><table><tbody>\n"));
            for (name, value) in provenance {
                self.add(format_args!("<tr><th>{}</th><td>{}</td></tr>\n", escape(name), escape(value)));
            }
            self.add(format_args!("</tbody></table></div>\n"));
        }
        if !settings.is_empty() {
            self.add(format_args!(
                "<p></p><details><summary>All settings</summary><pre>{}</pre></details>\n",
                escape(settings)
            ));
        }
    }
}

/// Escaped text in which a hyphen between spaces becomes a minus sign.
fn minus(text: &str) -> String {
    escape(text).replace(" - ", " \u{2212} ")
}

fn data_uri(canvas: &Canvas, synthetic: bool) -> Result<String, ReportError> {
    let text: &[(&str, &str)] = if synthetic { &[SYNTHETIC] } else { &[] };
    Ok(format!("data:image/png;base64,{}", base64(&canvas.encode_png(text)?)))
}

fn image(picture: &Picture, alternative: &str) -> Result<String, ReportError> {
    let (width, height) = (picture.width(), picture.height());
    let mut canvas = Canvas::new(width, height, [0; 3]);
    canvas.picture((0, 0), picture, 1);
    // The browser enlarges the picture without smoothing; the size given here reserves its space while the page loads.
    let scale = comfortable_scale(width, height);
    let (shown_width, shown_height) = (width * scale, height * scale);
    let uri = data_uri(&canvas, true)?;
    Ok(format!("<img src=\"{uri}\" width=\"{shown_width}\" height=\"{shown_height}\" alt=\"{alternative}\"/>"))
}

fn signed(value: f64) -> String {
    match value {
        v if v.is_finite() => format!("{v:+.3}").replace('-', "\u{2212}"),
        v if v > 0.0 => "\u{221e}".to_owned(),
        _ => "\u{2212}\u{221e}".to_owned(),
    }
}

/// The range of all finite means and interval ends, including zero.
fn interval_range(estimates: impl Iterator<Item = Estimate>) -> (f64, f64) {
    let ends = estimates.flat_map(|e| [e.mean, e.low, e.high]).filter(|v| v.is_finite());
    ends.fold((0.0, 0.0), |(low, high), v| (v.min(low), v.max(high)))
}

/// The interval as a line with a dot at the mean and a dotted line at zero; all rows share one scale.
fn drawn_interval(estimate: &Estimate, (low, high): (f64, f64)) -> String {
    let place = |value: f64| {
        let part = if high > low { (value - low) / (high - low) } else { 0.5 };
        8.0 + 204.0 * part.clamp(0.0, 1.0)
    };
    format!(
        "<svg class=\"interval\" width=\"220\" height=\"22\" viewBox=\"0 0 220 22\" aria-hidden=\"true\">\
         <path class=\"zero\" d=\"M{0:.1} 0V22\"/><path class=\"span\" d=\"M{1:.1} 11H{2:.1}\"/>\
         <circle class=\"mean\" cx=\"{3:.1}\" cy=\"11\" r=\"4\"/></svg>",
        place(0.0),
        place(estimate.low),
        place(estimate.high),
        place(estimate.mean)
    )
}

#[cfg(test)]
mod tests;
