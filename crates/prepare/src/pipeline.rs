//! Prepares a source folder: cases run in parallel, every finished case is kept, and the result is the same every time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use pig_data::table::{Column, Columns, write_csv};

use crate::budget::Budget;
use crate::error::{PrepareError, Result};
use crate::layouts::{Case, Found, counted};
use crate::prepared_folder::{CaseNote, CaseState, Description, Folder, begun, hash_texts};
use crate::privacy::Key;
use crate::record::{Record, fill_others};
use crate::row_classes::found;

mod case;
mod colours;
mod ids;
mod mask_notes;
mod notes;
mod place;
mod plan;
mod request;
mod sixteen;
mod work;

use ids::case_ids;
use mask_notes::OfMasks;
use notes::{case_notes, colour_warnings, notes, warnings};
use work::Work;

pub(crate) use place::{place_below, strip_source};
pub use plan::{Plan, plan};
pub use request::{Progress, Request, Silent};

/// The result of a preparation.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The description written beside the pairs.
    pub description: Description,
    /// How many cases had been finished earlier and were kept.
    pub kept: usize,
    /// Whether the preparation was stopped before its end.
    pub stopped: bool,
    /// File and reason of every case that could not be prepared, as in errors.csv.
    pub errors: Vec<(String, String)>,
    /// Notes for the user. Of names, they contain only those of files.
    pub notes: Vec<String>,
    /// What the user should look at before the pairs are used.
    pub warnings: Vec<String>,
}

/// Prepares a folder.
///
/// # Errors
/// When the disk is full; when settings, source, output folder or key cannot be used; when a case fails and `strict` is set; when
/// no pair was made.
/// Without `strict`, a case that fails is listed in the summary and in errors.csv, and the other cases are still prepared.
pub fn prepare(request: &Request, progress: &dyn Progress) -> Result<Summary> {
    prepare_all(request, progress).map_err(|error| error.full().unwrap_or(error))
}

fn prepare_all(request: &Request, progress: &dyn Progress) -> Result<Summary> {
    request.config.check()?;
    let folder_path = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if folder_path(&request.out).starts_with(folder_path(&request.source)) {
        let problem = "the output folder is inside the source folder".to_owned();
        return Err(PrepareError::Foreign { path: request.out.clone(), problem });
    }
    let mut found = found(&request.source, request.layout, &request.config, &request.cost)?;
    let with_patient = found.cases.iter().filter(|case| case.patient.is_some()).count();
    if with_patient > 0 && request.key.is_none() {
        return Err(PrepareError::NoKey { path: request.source.clone(), cases: with_patient });
    }
    if let Some(links) = &request.links {
        Key::check_outside(links, &request.out)?;
    }
    let key = request.key.as_ref().map(Key::fingerprint).unwrap_or_default();
    let mut description = begun(found.layout, &request.config, key);
    let folder = Folder::open(&request.out, &description)?;
    let unreadable_files = found.unreadable.len();
    let mut outcomes = unreadable(request, &mut found)?;
    let ids = case_ids(&found.cases, request);
    let budget = Budget::of(&request.cost);
    let (reading, _) = colours::reading(&found.cases, found.layout, request, &budget, progress);
    description.channels = reading.channels();
    let sixteen = sixteen::measure(&found.cases, reading, request, &budget, progress);
    if let Some(sixteen) = &sixteen {
        found.notes.push(sixteen.note());
    }
    let work = Work {
        request,
        layout: found.layout,
        reading,
        folder: &folder,
        ids: &ids,
        progress,
        budget,
        sixteen: sixteen.as_ref(),
        full: AtomicBool::new(false),
    };
    outcomes.extend(work.run(&found.cases)?);
    finish(&work, &found, outcomes, description, unreadable_files)
}

/// The errors of files that could not be read while the source was searched.
fn unreadable(request: &Request, found: &mut Found) -> Result<Vec<Outcome<'static>>> {
    let mut outcomes = Vec::new();
    for (path, error) in std::mem::take(&mut found.unreadable) {
        if request.strict {
            return Err(error);
        }
        outcomes.push(Outcome::Failed(place_below(&request.source, &path), error));
    }
    Ok(outcomes)
}

/// The result of a case.
enum Outcome<'a> {
    Done { case: &'a Case, state: CaseState, kept: bool },
    Failed(String, PrepareError),
    Stopped,
}

impl Work<'_> {
    /// Prepares all cases in parallel; the outcomes are in the order of the cases.
    fn run<'a>(&self, cases: &'a [Case]) -> Result<Vec<Outcome<'a>>> {
        self.progress.begin(cases.len());
        let (failed, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let one = |case: &'a Case| {
            let failed_before = self.request.strict && failed.load(Ordering::Relaxed);
            if self.progress.stop_requested() || failed_before || self.full.load(Ordering::Relaxed) {
                return Outcome::Stopped;
            }
            let outcome = match case::prepare_case(self, case) {
                Ok(Some((state, kept))) => Outcome::Done { case, state, kept },
                Ok(None) => Outcome::Stopped,
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    if error.full().is_some() {
                        self.full.store(true, Ordering::Relaxed);
                    }
                    Outcome::Failed(place_below(&self.request.source, case.image.path()), error)
                }
            };
            self.progress.done(done.fetch_add(1, Ordering::Relaxed) + 1);
            outcome
        };
        let outcomes: Vec<Outcome<'a>> = cases.par_iter().map(one).collect();
        // A full disk is no fault of the source: it ends the preparation, and is not listed among the errors of files.
        let fail = |outcome| match outcome {
            Outcome::Failed(_, error) if self.request.strict || error.full().is_some() => Err(error),
            other => Ok(other),
        };
        outcomes.into_iter().map(fail).collect()
    }
}

/// Writes manifests, errors, links and the description, unless the preparation was stopped. `unreadable` files of the source could
/// not be read while it was searched.
fn finish(
    work: &Work<'_>,
    found: &Found,
    outcomes: Vec<Outcome<'_>>,
    mut description: Description,
    unreadable: usize,
) -> Result<Summary> {
    let request = work.request;
    let mut summary = Summary {
        description: description.clone(),
        kept: 0,
        stopped: false,
        errors: Vec::new(),
        notes: found.all_notes(),
        warnings: Vec::new(),
    };
    let (mut records, mut sources): (Vec<Record>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut told, mut of_masks) = (Vec::new(), OfMasks::default());
    let total = outcomes.len();
    for outcome in outcomes {
        match outcome {
            Outcome::Stopped => summary.stopped = true,
            Outcome::Failed(place, error) => {
                let reason = strip_source(&error.to_string(), &request.source);
                summary.errors.push((place, reason));
            }
            Outcome::Done { case, state, kept } => {
                of_masks.add(&state.notes, case, &request.source);
                summary.kept += usize::from(kept);
                description.cases += usize::from(!state.records.is_empty());
                description.left_out_empty += state.left_out_empty;
                description.left_out_without_mask += state.left_out_without_mask;
                sources.push(state.source_sha256);
                told.extend(state.notes);
                records.extend(state.records);
            }
        }
    }
    if summary.stopped {
        return Ok(summary);
    }
    summary.errors.sort();
    records.sort_by(|a, b| a.id.cmp(&b.id));
    fill_others(&mut records);
    work.folder.errors(&summary.errors)?;
    description.errors = summary.errors.len();
    if records.is_empty() {
        return Err(no_pairs(&request.out, &summary, &description, (found, total)));
    }
    let pairs = work.folder.check(&records)?;
    work.folder.manifest(&records)?;
    if let Some(path) = &request.links {
        write_links(path, &records, work, &found.cases)?;
    }
    orphans(work, unreadable, &mut summary)?;
    description.colour_images = told.iter().filter(|note| matches!(note, CaseNote::ColourKept)).count();
    description.complete = true;
    description.pairs = pairs;
    description.empty_masks = records.iter().filter(|record| record.mask_pixels == 0).count();
    let patients: BTreeSet<&str> = records.iter().map(|record| record.patient.as_str()).collect();
    description.patients = patients.iter().filter(|patient| !patient.is_empty()).count();
    description.hashes.sources = hash_texts(sources.iter().map(String::as_str));
    let outputs = records.iter().flat_map(|r| [r.id.as_str(), &r.image_sha256, &r.mask_sha256]);
    description.hashes.outputs = hash_texts(outputs);
    work.folder.describe(&description)?;
    summary.notes.extend(notes(&records, &description));
    let (notes, warned) = case_notes(&told, total);
    summary.warnings.extend(colour_warnings(&told, total, work));
    summary.notes.extend(notes);
    summary.warnings.extend(warned);
    summary.warnings.extend(of_masks.warnings(request.config.seg_threshold, total));
    summary.warnings.extend(warnings(&records));
    summary.description = description;
    Ok(summary)
}

/// The error of a preparation without a single pair, with advice that fits the cause.
fn no_pairs(out: &Path, summary: &Summary, description: &Description, (found, total): (&Found, usize)) -> PrepareError {
    let (empty, without) = (description.left_out_empty, description.left_out_without_mask);
    let first = summary.errors.first().map_or_else(String::new, |(_, reason)| format!("; the first: {reason}"));
    let others =
        if found.left_out.is_empty() { String::new() } else { format!("; not read: {}", counted(&found.left_out)) };
    let why = format!(
        "{} of {total} image(s) or volume(s) could not be prepared, {empty} image(s) or slice(s) without lesion and {without} \
         without a mask were left out{first}{others}",
        summary.errors.len(),
    );
    let remedy = match (summary.errors.is_empty(), empty > 0, without > 0) {
        (false, ..) => "errors.csv lists all of them",
        (true, true, _) => {
            "set prepare.empty_share above 0 to keep images without lesion, or prepare.mask_values to the values that mean lesion, \
             or lower prepare.seg_threshold for fractional DICOM SEG"
        }
        (true, false, true) => "add the masks, or set prepare.missing_mask to \"empty\" if the images have no lesion",
        (true, false, false) => "check the source",
    };
    PrepareError::NoPairs { path: out.to_path_buf(), why, remedy }
}

/// Tells of cases of earlier preparations that are no longer in the source, and removes them if that was asked for.
fn orphans(work: &Work<'_>, unreadable: usize, summary: &mut Summary) -> Result<()> {
    let current: HashSet<&str> = work.ids.values().map(String::as_str).collect();
    let orphans = work.folder.orphans(&current)?;
    if orphans.is_empty() {
        return Ok(());
    }
    let (count, pairs) = (orphans.len(), orphans.iter().map(|(_, pairs)| pairs).sum::<usize>());
    let gone = format!("{count} image(s) or volume(s) of an earlier preparation are no longer in the source");
    if !work.request.prune {
        summary.warnings.push(format!(
            "{gone}; their {pairs} pair(s) are still in images/ and masks/, but not in the manifest; --prune removes them."
        ));
    } else if unreadable > 0 {
        // Files that could not be read may be among them.
        summary.warnings.push(format!(
            "{gone}, but {unreadable} file(s) of the source could not be read; nothing was removed, because they may be the same."
        ));
    } else {
        for (case, _) in &orphans {
            work.folder.forget(case);
        }
        summary.notes.push(format!("{gone}; their {pairs} pair(s) were removed."));
    }
    Ok(())
}

/// Writes the table that maps prepared ids to source files. It contains file names, so it is not part of the prepared folder.
fn write_links(path: &Path, records: &[Record], work: &Work<'_>, cases: &[Case]) -> Result<()> {
    let source = &work.request.source;
    let places: HashMap<&str, String> = cases
        .iter()
        .map(|case| (work.ids[case.name.as_str()].as_str(), place_below(source, case.image.path())))
        .collect();
    let rows: Vec<(String, String, usize)> = records
        .iter()
        .map(|record| (record.id.clone(), places.get(record.case.as_str()).cloned().unwrap_or_default(), record.slice))
        .collect();
    let columns: &Columns<(String, String, usize)> = &[
        ("id", Column::Text(|row| &row.0)),
        ("file", Column::Text(|row| &row.1)),
        ("slice", Column::Count(|row| row.2 as u64)),
    ];
    Ok(write_csv(path, columns, &rows)?)
}
