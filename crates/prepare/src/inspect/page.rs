//! The report as one page: numbers, charts, thumbnails with outlined masks, groups of similar images, and problems.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;

use pig_data::classes::{colour, names};
use pig_data::resample::{fit_within, resize_image, resize_labels_area};
use pig_metrics::histogram::Histogram;
use pig_report::page::Figure;
use pig_report::{
    Block, ClassColour, Document, HistogramChart, PairPicture, Picture, Section, SheetStyle, Show, Table, TextSize,
    contact_sheet,
};

use super::look::quick_window;
use super::{Inspected, areas_mm2, areas_pixels, table};
use crate::error::Result;
use crate::layouts::Case;
use crate::masks::Masks;
use crate::settings::{MissingMask, PrepareConfig};
use crate::sources::Volume;

/// The longer side of a thumbnail in pixels.
const THUMBNAIL: usize = 176;

/// How many images the page shows, and how many groups of similar images.
const SHOWN: usize = 36;
const SHOWN_GROUPS: usize = 12;

/// How many bins the charts have.
const BINS: usize = 40;

/// Writes the page of an inspection, whole or not at all.
///
/// # Errors
/// When a picture cannot be drawn or the file cannot be written.
pub fn write_page(inspected: &Inspected, path: &Path) -> Result<()> {
    let report = &inspected.report;
    let lead = format!(
        "{} images with {} slices, layout {}.{}",
        report.cases,
        report.slices,
        report.layout,
        if problems(inspected) == 0 { " No problems prevent preparing them." } else { "" }
    );
    let mut blocks = Vec::new();
    if problems(inspected) > 0 {
        blocks.push(Block::Warning(format!(
            "{} file(s) need attention before preparing; they are listed below.",
            problems(inspected)
        )));
    }
    let facts = table::facts(report).into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    blocks.push(Block::Table(Table { head: Vec::new(), rows: facts }));
    let charts = charts(inspected);
    if !charts.is_empty() {
        blocks.extend([Block::Heading("Lesions".to_owned()), Block::Charts(charts)]);
    }
    if let Some(figure) = samples(inspected)? {
        blocks.extend([Block::Heading("Images with their masks".to_owned()), Block::Figure(figure)]);
    }
    if let Some(figure) = alike(inspected)? {
        blocks.extend([Block::Heading("Similar images".to_owned()), Block::Figure(figure)]);
    }
    for (title, lines) in table::lists(report) {
        blocks.extend([Block::Heading(format!("{title}: {}", lines.len())), Block::List(lines)]);
    }
    if !report.notes.is_empty() {
        blocks.extend([Block::Heading("Notes".to_owned()), Block::List(report.notes.clone())]);
    }
    let footer = "These pictures show the source itself: protect this page as you protect the source. \
                  Burnt-in text and near-duplicates are found by heuristics; a person must decide.";
    let document = Document { title: "Overview of the data".to_owned(), lead, blocks, footer: footer.to_owned() };
    Ok(document.write(path)?)
}

fn problems(inspected: &Inspected) -> usize {
    let report = &inspected.report;
    [&report.mismatches, &report.missing_masks, &report.unclear_masks, &report.unreadable].iter().map(|l| l.len()).sum()
}

fn charts(inspected: &Inspected) -> Vec<HistogramChart> {
    let chart = |title: &str, x_label: &str, values: Vec<f64>| {
        // Areas span several powers of ten.
        let logs: Vec<f64> = values.into_iter().filter(|&value| value > 0.0).map(f64::log10).collect();
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
        (high > low).then(|| HistogramChart {
            title: title.to_owned(),
            x_label: x_label.to_owned(),
            sets: vec![("lesions".to_owned(), Histogram::new(logs, BINS, (low, high)))],
        })
    };
    let pixels = chart("Lesion areas", "log10 of the area in pixels", areas_pixels(&inspected.looks));
    let mm2 = chart("Lesion areas", "log10 of the area in mm2", areas_mm2(&inspected.looks));
    pixels.into_iter().chain(mm2).collect()
}

/// Evenly spaced images; a volume is shown by the slice with the largest lesion area.
fn samples(inspected: &Inspected) -> Result<Option<Figure>> {
    let seen: Vec<usize> = (0..inspected.cases.len()).filter(|&index| inspected.looks[index].is_some()).collect();
    let step = seen.len().div_ceil(SHOWN).max(1);
    let chosen: Vec<usize> = seen.iter().copied().step_by(step).collect();
    let pairs = thumbnails(inspected, &chosen)?;
    let caption = format!(
        "{} of {} images, evenly spaced; the outline runs just outside the mask. Volumes are shown by the slice with the \
         largest lesion area.",
        pairs.len(),
        seen.len()
    );
    figure(inspected, &[Section { title: String::new(), pairs }], &caption, "Images with their masks outlined")
}

fn alike(inspected: &Inspected) -> Result<Option<Figure>> {
    let groups: Vec<&Vec<usize>> = inspected.groups.iter().take(SHOWN_GROUPS).collect();
    let members: BTreeSet<usize> = groups.iter().flat_map(|group| group.iter().copied().take(6)).collect();
    let members: Vec<usize> = members.into_iter().collect();
    let pictures = thumbnails(inspected, &members)?;
    let by_case: std::collections::HashMap<usize, PairPicture> = members.into_iter().zip(pictures).collect();
    let sections = groups.iter().map(|group| Section {
        title: String::new(),
        pairs: group.iter().filter_map(|case| by_case.get(case).cloned()).collect(),
    });
    let caption = format!(
        "{} of {} groups, one per row. A model trained on one image of a group nearly knows the others: keep every group \
         on one side of a split.",
        groups.len(),
        inspected.groups.len()
    );
    figure(inspected, &sections.collect::<Vec<_>>(), &caption, "Groups of similar images")
}

/// The classes with their colours; none if masks tell no classes apart, or not all the same.
fn class_colours(inspected: &Inspected) -> Vec<ClassColour> {
    let config = &inspected.inspection.config;
    let several = |case: &&Case| config.classes_of(&case.classes).len() > 1;
    let Some(first) = inspected.cases.iter().find(several) else { return Vec::new() };
    let (classes, coding) = (config.classes_of(&first.classes), config.coding_of(&first.classes, first.overlap));
    let known = names(classes);
    if inspected.cases.iter().filter(several).any(|case| names(config.classes_of(&case.classes)) != known) {
        return Vec::new();
    }
    let of = |(index, name): (usize, &&str)| ClassColour {
        name: (*name).to_owned(),
        colour: colour(index),
        labels: coding.labels_of(index),
    };
    known.iter().enumerate().map(of).collect()
}

fn figure(inspected: &Inspected, sections: &[Section], caption: &str, alternative: &str) -> Result<Option<Figure>> {
    if sections.iter().all(|section| section.pairs.is_empty()) {
        return Ok(None);
    }
    let classes = class_colours(inspected);
    let style = SheetStyle { columns: 6, scale: Some(1), show: Show::Outline, classes };
    let canvas = contact_sheet(sections, &style)?;
    Ok(Some(Figure::new(canvas, caption, alternative).real()))
}

/// Pictures of cases; a case that can no longer be read is shown blank.
fn thumbnails(inspected: &Inspected, cases: &[usize]) -> Result<Vec<PairPicture>> {
    cases.par_iter().map(|&case| thumbnail(inspected, case).or_else(|_| blank(inspected, case))).collect()
}

fn thumbnail(inspected: &Inspected, index: usize) -> Result<PairPicture> {
    let (inspection, case) = (&inspected.inspection, &inspected.cases[index]);
    let config = PrepareConfig { missing_mask: MissingMask::Empty, ..inspection.config.clone() };
    let volume = Volume::open(case, inspected.reading, config.slice_axis, &inspection.cost)?;
    let looks = inspected.looks[index].iter().flat_map(|look| &look.looks);
    let lesion = |look: &super::look::Look| look.lesions.as_ref().map_or(0, |areas| areas.iter().sum());
    let largest = looks.max_by_key(|look| (lesion(look), look.slice == volume.slices() / 2));
    let slice = largest.map_or(0, |look| look.slice);
    let shown = quick_window(case, &volume, &config)?.shown(&volume, slice)?;
    let masks = Masks::open(case, &volume, &config, &inspection.cost).ok().flatten();
    let mask = masks.and_then(|masks| masks.read(slice).ok()).unwrap_or_else(|| vec![0; shown.height * shown.width]);
    let size = volume.size();
    let small = fit_within(size, [THUMBNAIL; 2]);
    let values = resize_image(&shown.values, size, small, shown.channels);
    let mask = resize_labels_area(&mask, size, small, config.coding_of(&case.classes, case.overlap));
    let image = Picture::from_values(&values, small[0], small[1], shown.channels, (0.0, 1.0))?;
    Ok(PairPicture { image, mask, label: label(&case.name) })
}

/// The end of a case's name, which distinguishes images, as much of it as fits below a thumbnail.
fn label(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let fits = |&start: &usize| TextSize::Label.width(&name[start..]) <= THUMBNAIL;
    let start = name.char_indices().map(|(start, _)| start).find(fits).unwrap_or(name.len());
    name[start..].to_owned()
}

fn blank(inspected: &Inspected, index: usize) -> Result<PairPicture> {
    let image = Picture::from_bytes(&vec![0; THUMBNAIL * THUMBNAIL], THUMBNAIL, THUMBNAIL, 1)?;
    let label = label(&inspected.cases[index].name);
    Ok(PairPicture { image, mask: vec![0; THUMBNAIL * THUMBNAIL], label })
}
