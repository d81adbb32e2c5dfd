//! Inspects a folder before it is prepared or used for training: its content, and likely problems.

mod groups;
mod look;
mod page;
pub mod phash;
pub mod privacy;
mod remarks;
mod table;
pub mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use pig_data::colour::Colours;

use crate::budget::Budget;
use crate::error::{PrepareError, Result};
use crate::layouts::{Case, Layout};
use crate::pipeline::{Progress, place_below, strip_source};
use crate::row_classes::found;
use crate::settings::PrepareConfig;
use crate::sources::{Cost, Reading};
use groups::Groups;
use look::{CaseLook, look_at};
use phash::Fingerprint;

pub use page::write_page;
pub use table::text as table_text;

/// The greatest number of bits of the perceptual hash in which near-duplicates differ. Among all pairs of 586 ultrasound images of
/// BUSI, 139 are that near; compared with groups marked by others, precision is 0.94 and recall 0.99 (with 6 bits 0.96 and 0.97,
/// with 10 bits 0.90 and 0.99). In other kinds of images, hashes are near because all have one layout, so the small pictures must correlate, too.
pub const NEAR_BITS: u32 = 8;

/// What to inspect.
#[derive(Debug)]
pub struct Inspection {
    /// The folder.
    pub source: PathBuf,
    /// The folder's layout; if it is `None`, the layout is recognised.
    pub layout: Option<Layout>,
    /// The settings. Only those for reading sources matter, such as mask values, slice axis and colour.
    pub config: PrepareConfig,
    /// Bounds on the memory for reading.
    pub cost: Cost,
    /// The greatest number of bits of the perceptual hash in which near-duplicates differ.
    pub near_bits: u32,
}

/// A file with a problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file's path below the source.
    pub file: String,
    /// What the problem is.
    pub reason: String,
}

/// Minimum, quartiles and maximum of a number of values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The number of values.
    pub count: usize,
    /// The minimum.
    pub least: f64,
    /// The lower quartile.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
    /// The maximum.
    pub greatest: f64,
}

impl Spread {
    /// The spread of values; `None` if there are none. Quartiles are computed as by numpy's default.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = share * (values.len() - 1) as f64;
            let (below, above) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
            below + (above - below) * rank.fract()
        };
        Some(Self {
            count: values.len(),
            least: at(0.0),
            lower: at(0.25),
            median: at(0.5),
            upper: at(0.75),
            greatest: at(1.0),
        })
    }
}

/// How much of a class masks hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ClassCount {
    /// Images and slices that have it.
    pub slices: usize,
    /// Its pixels.
    pub pixels: u64,
}

/// The content of a folder. Of the values in headers, it contains only sizes, spacings, sides and views.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How the folder is laid out.
    pub layout: Layout,
    /// Number of images and volumes found.
    pub cases: usize,
    /// How many of these are volumes of several slices.
    pub volumes: usize,
    /// Number of images and slices that could be read.
    pub slices: usize,
    /// Number of patients; `None` if none are known.
    pub patients: Option<usize>,
    /// Images and slices by size, width x height.
    pub sizes: BTreeMap<String, usize>,
    /// Images by side.
    pub sides: BTreeMap<String, usize>,
    /// Images by view.
    pub views: BTreeMap<String, usize>,
    /// Images by the class that the release names.
    pub classes: BTreeMap<String, usize>,
    /// Images by pixel spacing in mm, row x column.
    pub spacings: BTreeMap<String, usize>,
    /// The lowest value of each slice, before any window is applied.
    pub darkest: Option<Spread>,
    /// The highest value of each slice, before any window is applied.
    pub brightest: Option<Spread>,
    /// Number of images in colour.
    pub colour: usize,
    /// What becomes of colour when the folder is prepared with these settings, in words; `None` if no image is in colour.
    pub colour_becomes: Option<String>,
    /// Pixels of all masks by stored value.
    pub mask_values: BTreeMap<String, u64>,
    /// The classes that masks tell apart, if there are several: images and slices with each, and its pixels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mask_classes: BTreeMap<String, ClassCount>,
    /// Images and slices by their number of lesions.
    pub lesions_per_image: BTreeMap<usize, usize>,
    /// Areas of lesions in pixels.
    pub lesion_pixels: Option<Spread>,
    /// Areas of lesions in mm2, in images with a known spacing.
    pub lesion_mm2: Option<Spread>,
    /// Number of masks that are guesses, such as ellipses in boxes.
    pub weak_masks: usize,
    /// Number of images whose headers say that they are synthetic.
    pub synthetic: usize,
    /// Groups of images with the same pixels.
    pub duplicates: Vec<Vec<String>>,
    /// Groups of images that look alike; if patients are known, images of the same patient are not compared.
    pub near_duplicates: Vec<Vec<String>>,
    /// The greatest number of bits, of 64, in which near-duplicates differ.
    pub near_bits: u32,
    /// Images and masks that disagree in size, number of slices or position.
    pub mismatches: Vec<Problem>,
    /// Images without a mask.
    pub missing_masks: Vec<Problem>,
    /// Masks that cannot be used as they are.
    pub unclear_masks: Vec<Problem>,
    /// Images that may have text burnt in.
    pub text_suspects: Vec<Problem>,
    /// Files that cannot be read.
    pub unreadable: Vec<Problem>,
    /// Other notes for the user.
    pub notes: Vec<String>,
}

/// The result of an inspection, with the data for drawing a page.
#[derive(Debug)]
pub struct Inspected {
    /// The report.
    pub report: Report,
    /// How many images were not inspected, because the user asked to stop; the report says nothing of them.
    pub stopped: usize,
    inspection: Inspection,
    /// How the folder is prepared with these settings.
    reading: Reading,
    cases: Vec<Case>,
    looks: Vec<Option<CaseLook>>,
    groups: Vec<Vec<usize>>,
}

/// Inspects every image of a folder. A file that cannot be read is listed, and the others are still inspected. If the user asks
/// to stop, the report covers what was inspected until then, and says nothing of the folder.
///
/// # Errors
/// When the folder cannot be read, a table of its release is damaged, or there are no images.
pub fn inspect(inspection: Inspection, progress: &dyn Progress) -> Result<Inspected> {
    inspection.config.check()?;
    let found = found(&inspection.source, inspection.layout, &inspection.config, &inspection.cost)?;
    progress.begin(found.cases.len());
    let done = AtomicUsize::new(0);
    let budget = Budget::of(&inspection.cost);
    let looks: Vec<Option<Result<CaseLook>>> = found
        .cases
        .par_iter()
        .map(|case| {
            let look = || look_at(case, found.layout, &inspection.config, &inspection.cost, &budget);
            let look = (!progress.stop_requested()).then(look);
            progress.done(done.fetch_add(1, Ordering::Relaxed) + 1);
            look
        })
        .collect();
    let mut gathered = Gathering { source: &inspection.source, report: empty_report(found.layout, &inspection) };
    gathered.report.notes = found.all_notes();
    for (path, error) in &found.unreadable {
        gathered.unreadable(path, error);
    }
    let stopped = looks.iter().filter(|look| look.is_none()).count();
    let looks: Vec<Option<CaseLook>> =
        found.cases.iter().zip(looks).map(|(case, look)| gathered.case(case, look?)).collect();
    gathered.report.notes.extend(remarks::remarks(&looks, &inspection.config));
    gathered.spreads(&looks);
    let groups = gathered.alike(&found.cases, &looks, inspection.near_bits);
    let mut report = gathered.report;
    let colours = Colours { coloured: report.colour, total: found.cases.len() };
    let reading = Reading::of(inspection.config.colour, found.layout, colours);
    report.colour_becomes = (report.colour > 0).then(|| becomes(reading, colours));
    let patients: std::collections::BTreeSet<_> = found.cases.iter().filter_map(|case| case.patient.as_ref()).collect();
    report.patients = (!patients.is_empty()).then_some(patients.len());
    report.cases = found.cases.len();
    for list in [
        &mut report.mismatches,
        &mut report.missing_masks,
        &mut report.unclear_masks,
        &mut report.text_suspects,
        &mut report.unreadable,
    ] {
        list.sort();
    }
    Ok(Inspected { report, stopped, inspection, reading, cases: found.cases, looks, groups })
}

/// What becomes of the images in colour and of the gray ones beside them.
fn becomes(reading: Reading, colours: Colours) -> String {
    let gray = colours.total - colours.coloured;
    let others = match reading {
        Reading::Rgb if gray > 0 => format!("; {gray} gray images are copied to three channels"),
        _ => String::new(),
    };
    format!("{}{others}", reading.words())
}

fn empty_report(layout: Layout, inspection: &Inspection) -> Report {
    Report {
        layout,
        cases: 0,
        volumes: 0,
        slices: 0,
        patients: None,
        sizes: BTreeMap::new(),
        sides: BTreeMap::new(),
        views: BTreeMap::new(),
        classes: BTreeMap::new(),
        spacings: BTreeMap::new(),
        darkest: None,
        brightest: None,
        colour: 0,
        colour_becomes: None,
        mask_values: BTreeMap::new(),
        mask_classes: BTreeMap::new(),
        lesions_per_image: BTreeMap::new(),
        lesion_pixels: None,
        lesion_mm2: None,
        weak_masks: 0,
        synthetic: 0,
        duplicates: Vec::new(),
        near_duplicates: Vec::new(),
        near_bits: inspection.near_bits,
        mismatches: Vec::new(),
        missing_masks: Vec::new(),
        unclear_masks: Vec::new(),
        text_suspects: Vec::new(),
        unreadable: Vec::new(),
        notes: Vec::new(),
    }
}

/// A report that is being filled.
struct Gathering<'a> {
    source: &'a Path,
    report: Report,
}

impl Gathering<'_> {
    fn problem(&self, path: &Path, reason: &str) -> Problem {
        Problem { file: place_below(self.source, path), reason: strip_source(reason, self.source) }
    }

    fn unreadable(&mut self, path: &Path, error: &PrepareError) {
        let problem = self.problem(path, &error.to_string());
        self.report.unreadable.push(problem);
    }

    /// Adds a case to the report; returns `None` if it could not be read.
    fn case(&mut self, case: &Case, look: Result<CaseLook>) -> Option<CaseLook> {
        let look = match look {
            Ok(look) => look,
            Err(error) => {
                self.unreadable(case.image.path(), &error);
                return None;
            }
        };
        if let Some(error) = &look.mask_error {
            self.mask_error(case, error);
        }
        if look.says.burned_in {
            let problem = self.problem(case.image.path(), "Burned In Annotation (0028,0301) is YES");
            self.report.text_suspects.push(problem);
        }
        if let Some(letters) = look.looks.iter().map(|look| look.letters).max().filter(|&letters| letters > 0) {
            let problem = self.problem(case.image.path(), &format!("{letters} bright marks in a row, like letters"));
            self.report.text_suspects.push(problem);
        }
        let report = &mut self.report;
        let slices = look.looks.len();
        report.slices += slices;
        report.volumes += usize::from(slices > 1);
        report.colour += usize::from(look.coloured);
        report.synthetic += usize::from(look.says.synthetic);
        report.weak_masks += if look.weak { slices } else { 0 };
        let mut add = |counts: fn(&mut Report) -> &mut BTreeMap<String, usize>, word: Option<String>, by: usize| {
            if let Some(word) = word {
                *counts(report).entry(word).or_default() += by;
            }
        };
        add(|r| &mut r.sizes, Some(format!("{} x {}", look.size[1], look.size[0])), slices);
        add(|r| &mut r.sides, look.side.map(|side| side.word().to_owned()), 1);
        add(|r| &mut r.views, look.view.clone(), 1);
        add(|r| &mut r.classes, case.class.clone(), 1);
        let spacing = look.looks.first().and_then(|look| look.spacing);
        add(|r| &mut r.spacings, spacing.map(|[row, column]| format!("{row:.4} x {column:.4}")), 1);
        for (value, count) in &look.mask_values {
            *report.mask_values.entry(value.clone()).or_default() += count;
        }
        for (name, slices, pixels) in &look.classes {
            let count = report.mask_classes.entry(name.clone()).or_default();
            count.slices += slices;
            count.pixels += pixels;
        }
        for lesions in look.looks.iter().filter_map(|look| look.lesions.as_ref()) {
            *report.lesions_per_image.entry(lesions.len()).or_default() += 1;
        }
        Some(look)
    }

    fn mask_error(&mut self, case: &Case, error: &PrepareError) {
        let problem = self.problem(case.image.path(), &error.to_string());
        match error {
            PrepareError::Mismatch { .. } => self.report.mismatches.push(problem),
            PrepareError::MissingMask { .. } => self.report.missing_masks.push(problem),
            _ => self.report.unclear_masks.push(problem),
        }
    }

    fn spreads(&mut self, looks: &[Option<CaseLook>]) {
        let slices = || looks.iter().flatten().flat_map(|case| &case.looks);
        self.report.darkest = Spread::of(slices().map(|look| look.range.0).collect());
        self.report.brightest = Spread::of(slices().map(|look| look.range.1).collect());
        self.report.lesion_pixels = Spread::of(areas_pixels(looks));
        self.report.lesion_mm2 = Spread::of(areas_mm2(looks));
    }

    /// Finds groups of equal and of similar images; returns all groups as indices of cases.
    fn alike(&mut self, cases: &[Case], looks: &[Option<CaseLook>], near_bits: u32) -> Vec<Vec<usize>> {
        let hashes: Vec<(usize, [u8; 32], &Fingerprint)> = looks
            .iter()
            .enumerate()
            .filter_map(|(index, look)| {
                let (exact, near) = look.as_ref()?.looks.iter().find_map(|look| look.hashes.as_ref())?;
                Some((index, *exact, near))
            })
            .collect();
        let mut first: BTreeMap<[u8; 32], usize> = BTreeMap::new();
        let mut same = Groups::new(hashes.len());
        for (place, (_, exact, _)) in hashes.iter().enumerate() {
            match first.get(exact) {
                Some(&earlier) => same.join(earlier, place),
                None => {
                    first.insert(*exact, place);
                }
            }
        }
        let near: Vec<&Fingerprint> = hashes.iter().map(|(_, _, near)| *near).collect();
        let patients: Vec<_> = hashes.iter().map(|(case, ..)| cases[*case].patient.as_ref()).collect();
        let to_cases = |group: Vec<usize>| group.into_iter().map(|place| hashes[place].0).collect::<Vec<_>>();
        let equal: Vec<Vec<usize>> = same.groups().into_iter().map(to_cases).collect();
        let mut near: Vec<Vec<usize>> = groups::near(&near, near_bits, &patients).into_iter().map(to_cases).collect();
        // A group that consists only of equal images is already listed.
        near.retain(|group| !equal.contains(group));
        let names = |groups: &[Vec<usize>]| {
            let place = |&case: &usize| place_below(self.source, cases[case].image.path());
            groups.iter().map(|group| group.iter().map(place).collect()).collect()
        };
        (self.report.duplicates, self.report.near_duplicates) = (names(&equal), names(&near));
        equal.into_iter().chain(near).collect()
    }
}

/// Areas of all lesions in pixels.
fn areas_pixels(looks: &[Option<CaseLook>]) -> Vec<f64> {
    let slices = looks.iter().flatten().flat_map(|case| &case.looks);
    slices.flat_map(|look| look.lesions.iter().flatten()).map(|&area| area as f64).collect()
}

/// Areas of all lesions in mm2, in slices with a known spacing.
fn areas_mm2(looks: &[Option<CaseLook>]) -> Vec<f64> {
    let slices = looks.iter().flatten().flat_map(|case| &case.looks);
    let known = slices.filter_map(|look| Some((look.lesions.as_ref()?, look.spacing?)));
    known.flat_map(|(areas, spacing)| areas.iter().map(move |&area| area as f64 * spacing[0] * spacing[1])).collect()
}
