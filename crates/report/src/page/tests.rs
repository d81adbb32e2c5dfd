use pig_metrics::agreement::{AgreementSettings, Pair, pair_agreement};
use pig_metrics::histogram::Histogram;
use pig_metrics::nearest::Neighbour;

use super::*;
use crate::chart::Series;
use crate::contact_sheet::{PairPicture, Section, SheetStyle, contact_sheet};
use crate::strips::{Strip, StripStep, progress_strips};

const SIDE: usize = 24;

fn images(count: usize, contrast: f32) -> Vec<(Vec<f32>, Vec<bool>)> {
    (0..count)
        .map(|k| {
            let (row, column) = (6 + k * 5 % 12, 6 + k * 7 % 11);
            let mask: Vec<bool> = (0..SIDE * SIDE)
                .map(|i| (i / SIDE).abs_diff(row).pow(2) + (i % SIDE).abs_diff(column).pow(2) < 9)
                .collect();
            let texture = |i: usize| ((i * (k + 3) * 7919) % 101) as f32 / 500.0;
            let image = mask.iter().enumerate().map(|(i, &m)| texture(i) + if m { contrast } else { 0.0 }).collect();
            (image, mask)
        })
        .collect()
}

fn agreement(count: usize, contrast: f32) -> Agreement {
    let made = images(count, contrast);
    let pairs: Vec<Pair> = made
        .iter()
        .map(|(image, mask)| Pair { image, mask, others: None, height: SIDE, width: SIDE, group: None })
        .collect();
    pair_agreement(&pairs, &pairs, &AgreementSettings::default()).unwrap()
}

fn picture(k: usize) -> Picture {
    Picture::from_values(&images(k + 1, 0.5)[k].0, SIDE, SIDE, 1, (-0.2, 1.0)).unwrap()
}

fn page() -> DemoPage {
    let pairs = images(6, 0.5)
        .into_iter()
        .enumerate()
        .map(|(k, (_, mask))| PairPicture {
            image: picture(k),
            mask: mask.iter().map(|&inside| u8::from(inside)).collect(),
            label: String::new(),
        })
        .collect();
    let sheet = contact_sheet(&[Section { title: "generated".into(), pairs }], &SheetStyle::default()).unwrap();
    let steps = [1024, 512, 4].map(|t| StripStep { t, mask: picture(1), image: picture(2) }).to_vec();
    let strips = progress_strips(&[Strip { label: "seed 0".into(), steps }], None).unwrap();
    let neighbours: Vec<Neighbour> =
        (1..=40).map(|i| Neighbour { index: i, distance: i as f64 / 100.0, flipped: false }).collect();
    DemoPage {
        reload_seconds: None,
        title: "pig demo".into(),
        data: "phantom images, not patients".into(),
        summary: vec!["Two networks were trained.".into(), "Then 64 pairs were sampled.".into()],
        agreement: Some(agreement(20, 0.5)),
        contact_sheets: vec![Figure::new(sheet, "Six pairs.", "contact sheet")],
        strips: vec![Figure::new(strips, "One sample.", "progress strip")],
        histograms: vec![HistogramChart {
            title: "Mask area".into(),
            x_label: "mask area (%)".into(),
            sets: vec![("real".into(), Histogram::new([1.0, 2.0], 4, (0.0, 4.0)))],
        }],
        nearest: Some(NearestSection {
            pairs: vec![NearestPair {
                name: "seed 0".into(),
                generated: picture(0),
                training: picture(3),
                distance: 0.105,
                flipped: true,
            }],
            check: CopyCheck::new(&neighbours[..10], &neighbours),
            unit: "mean squared difference".into(),
        }),
        curves: vec![Chart { series: vec![Series::new("a", vec![(0.0, 1.0), (1.0, 0.5)])], ..Chart::default() }],
        settings: "[train]\nsteps = 12\n".into(),
        provenance: vec![("version".into(), "0.1.0".into())],
        limits: vec!["Nothing about patients.".into()],
    }
}

/// Parses the page as strict XML, without its HTML doctype.
fn parsed(html: &str) -> roxmltree::Document<'_> {
    let (doctype, rest) = html.split_once('\n').unwrap();
    assert_eq!(doctype, "<!doctype html>");
    roxmltree::Document::parse(rest).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_page_is_well_formed_and_whole() {
    let html = page().render().unwrap();
    let document = parsed(&html);
    let headings: Vec<&str> =
        document.descendants().filter(|n| n.has_tag_name("h2")).filter_map(|n| n.text()).collect();
    assert_eq!(
        headings,
        [
            "Do image and mask belong together?",
            "Real and generated pairs",
            "From noise to pair",
            "Mask areas and intensities",
            "Nearest training images",
            "Training",
            "What this does not show",
            "Settings and provenance"
        ]
    );
    assert!(html.contains("<strong>AGREES:</strong> images") && html.contains("verdict good"));
    // The generated images have the ten smallest of the 40 distances; two are below the 5 % quantile of 0.0205.
    assert!(html.contains("the 40 held-out real images are: <strong>2 of 10</strong>; 0.5 would"), "copy check");
    assert!(html.contains("distance 0.10500, nearer than 75 % of held-out real images; training image mirrored"));
    assert!(!html.contains("NaN") && !html.contains("inf\""));
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let html = page().render().unwrap();
    let document = parsed(&html);
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(!matches!(node.tag_name().name(), "script" | "link" | "iframe" | "object" | "embed"));
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on"));
            if matches!(attribute.name(), "src" | "href") {
                assert!(attribute.value().starts_with("data:image/png;base64,iVBOR"), "{}", attribute.value());
            }
        }
    }
    assert!(!html.contains("url(") && !html.contains("@import"));
}

#[test]
fn hostile_text_stays_text() {
    let hostile = || "</pre></title></style><script>alert('x')</script><img src=x onerror=\"y\">&\u{0}".to_owned();
    let mut page = page();
    page.title = hostile();
    page.data = hostile();
    page.summary = vec![hostile(), hostile()];
    page.settings = hostile();
    page.provenance = vec![(hostile(), hostile())];
    page.limits = vec![hostile()];
    page.histograms[0].sets[0].0 = hostile();
    page.histograms[0].x_label = hostile();
    page.curves[0].title = hostile();
    page.curves[0].series[0].name = hostile();
    page.contact_sheets[0].caption = hostile();
    page.contact_sheets[0].alternative = hostile();
    let nearest = page.nearest.as_mut().unwrap();
    nearest.unit = hostile();
    nearest.pairs[0].name = hostile();
    let html = page.render().unwrap();
    let document = parsed(&html);
    assert!(document.descendants().all(|n| !n.has_tag_name("script") && n.attribute("onerror").is_none()));
    let images = document.descendants().filter(|n| n.has_tag_name("img")).count();
    assert_eq!(images, 4, "two figures and one pair of nearest images");
    let title = document.descendants().find(|n| n.has_tag_name("title")).unwrap().text().unwrap();
    assert!(title.starts_with("</pre></title></style><script>alert('x')"));
}

#[test]
fn a_failed_run_is_shown_as_one() {
    let made = images(20, 0.5);
    let flat: Vec<Vec<f32>> =
        (0..20).map(|k| (0..SIDE * SIDE).map(|i| ((i * (k + 3)) % 13) as f32).collect()).collect();
    let pair = |image, mask| Pair { image, mask, others: None, height: SIDE, width: SIDE, group: None };
    let real: Vec<Pair> = made.iter().map(|(image, mask)| pair(image, mask)).collect();
    let generated: Vec<Pair> = flat.iter().zip(&made).map(|(image, (_, mask))| pair(image, mask)).collect();
    let failed = pair_agreement(&generated, &real, &AgreementSettings::default()).unwrap();
    let html = DemoPage { agreement: Some(failed), ..page() }.render().unwrap();
    assert!(html.contains("class=\"verdict bad\"><strong>FAILED:"));
    let html = DemoPage { agreement: Some(agreement(3, 0.5)), ..page() }.render().unwrap();
    assert!(html.contains("class=\"verdict\"><strong>NO VERDICT:"));
    parsed(&html);
}

#[test]
fn one_pair_has_an_endless_interval_and_a_finite_drawing() {
    let html = DemoPage { agreement: Some(agreement(1, 0.5)), ..page() }.render().unwrap();
    assert!(html.contains("\u{2212}\u{221e} to \u{221e}") && html.contains("<td class=\"number\">none</td>"));
    assert!(!html.contains("inf") && !html.contains("NaN"));
}

#[test]
fn empty_sections_are_left_out() {
    let html = DemoPage {
        agreement: None,
        contact_sheets: vec![],
        strips: vec![],
        histograms: vec![],
        nearest: None,
        curves: vec![],
        settings: String::new(),
        provenance: vec![],
        limits: vec![],
        ..page()
    }
    .render()
    .unwrap();
    assert!(parsed(&html).descendants().all(|n| !n.has_tag_name("h2")));
}

#[test]
fn the_file_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.html");
    page().write(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page().render().unwrap());
}
