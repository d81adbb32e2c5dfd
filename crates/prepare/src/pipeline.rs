//! Prepares a source folder: cases run in parallel, every finished case is kept, and the result is the same every time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use pig_data::table::{Column, Columns, write_csv};

use crate::budget::Budget;
use crate::error::{PrepareError, Result};
use crate::layouts::{Case, Found, ImageSource, find};
use crate::prepared_folder::{CaseState, Description, Folder, begun, hash_texts};
use crate::privacy::Key;
use crate::record::{Grouping, Record};
use crate::settings::Names;

mod case;
mod work;

use work::Work;

pub use work::{Progress, Request, Silent};

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
}

/// Prepares a folder.
///
/// # Errors
/// When settings, source, output folder or key cannot be used; when a case fails and `strict` is set; when no pair was made.
/// Without `strict`, a case that fails is listed in the summary and in errors.csv, and the other cases are still prepared.
pub fn prepare(request: &Request, progress: &dyn Progress) -> Result<Summary> {
    request.config.check()?;
    let folder_path = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if folder_path(&request.out).starts_with(folder_path(&request.source)) {
        let problem = "the output folder is inside the source folder".to_owned();
        return Err(PrepareError::Foreign { path: request.out.clone(), problem });
    }
    let mut found = find(&request.source, request.layout, &request.config, &request.cost.dicom)?;
    let with_patient = found.cases.iter().filter(|case| case.patient.is_some()).count();
    if with_patient > 0 && request.key.is_none() {
        return Err(PrepareError::NoKey { path: request.source.clone(), cases: with_patient });
    }
    if let Some(links) = &request.links {
        Key::check_outside(links, &request.out)?;
    }
    let key = request.key.as_ref().map(Key::fingerprint).unwrap_or_default();
    let description = begun(found.layout, &request.config, key);
    let folder = Folder::open(&request.out, &description)?;
    let mut outcomes = unreadable(request, &mut found)?;
    let ids = case_ids(&found.cases, request);
    let work =
        Work { request, layout: found.layout, folder: &folder, ids: &ids, progress, budget: Budget::of(&request.cost) };
    outcomes.extend(work.run(&found.cases)?);
    finish(&work, &found, outcomes, description)
}

/// The errors of files that could not be read while the source was searched.
fn unreadable(request: &Request, found: &mut Found) -> Result<Vec<Outcome>> {
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
enum Outcome {
    Done { state: CaseState, kept: bool },
    Failed(String, PrepareError),
    Stopped,
}

impl Work<'_> {
    /// Prepares all cases in parallel; the outcomes are in the order of the cases.
    fn run(&self, cases: &[Case]) -> Result<Vec<Outcome>> {
        self.progress.begin(cases.len());
        let (failed, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let one = |case: &Case| {
            if self.progress.stop_requested() || (self.request.strict && failed.load(Ordering::Relaxed)) {
                return Outcome::Stopped;
            }
            let outcome = match case::prepare_case(self, case) {
                Ok(Some((state, kept))) => Outcome::Done { state, kept },
                Ok(None) => Outcome::Stopped,
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    Outcome::Failed(place_below(&self.request.source, case.image.path()), error)
                }
            };
            self.progress.done(done.fetch_add(1, Ordering::Relaxed) + 1);
            outcome
        };
        let outcomes: Vec<Outcome> = cases.par_iter().map(one).collect();
        if !self.request.strict {
            return Ok(outcomes);
        }
        let fail = |outcome| match outcome {
            Outcome::Failed(_, error) => Err(error),
            other => Ok(other),
        };
        outcomes.into_iter().map(fail).collect()
    }
}

/// Writes manifests, errors, links and the description, unless the preparation was stopped.
fn finish(work: &Work<'_>, found: &Found, outcomes: Vec<Outcome>, mut description: Description) -> Result<Summary> {
    let request = work.request;
    let mut summary = Summary {
        description: description.clone(),
        kept: 0,
        stopped: false,
        errors: Vec::new(),
        notes: found.all_notes(),
    };
    let (mut records, mut sources): (Vec<Record>, Vec<String>) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Stopped => summary.stopped = true,
            Outcome::Failed(place, error) => {
                let reason = strip_source(&error.to_string(), &request.source);
                summary.errors.push((place, reason));
            }
            Outcome::Done { state, kept } => {
                summary.kept += usize::from(kept);
                description.cases += usize::from(!state.records.is_empty());
                description.left_out_empty += state.left_out_empty;
                description.left_out_without_mask += state.left_out_without_mask;
                sources.push(state.source_sha256);
                records.extend(state.records);
            }
        }
    }
    if summary.stopped {
        return Ok(summary);
    }
    summary.errors.sort();
    records.sort_by(|a, b| a.id.cmp(&b.id));
    work.folder.errors(&summary.errors)?;
    description.errors = summary.errors.len();
    if records.is_empty() {
        let why = format!(
            "{} of {} image(s) or volume(s) could not be prepared, {} image(s) or slice(s) without lesion and {} without a \
             mask were left out",
            summary.errors.len(),
            found.cases.len(),
            description.left_out_empty,
            description.left_out_without_mask
        );
        return Err(PrepareError::NoPairs { path: request.out.clone(), why });
    }
    work.folder.manifest(&records)?;
    if let Some(path) = &request.links {
        write_links(path, &records, work, &found.cases)?;
    }
    description.complete = true;
    description.pairs = records.len();
    description.empty_masks = records.iter().filter(|record| record.mask_pixels == 0).count();
    let patients: BTreeSet<&str> = records.iter().map(|record| record.patient.as_str()).collect();
    description.patients = patients.iter().filter(|patient| !patient.is_empty()).count();
    description.hashes.sources = hash_texts(sources.iter().map(String::as_str));
    let outputs = records.iter().flat_map(|r| [r.id.as_str(), &r.image_sha256, &r.mask_sha256]);
    description.hashes.outputs = hash_texts(outputs);
    work.folder.describe(&description)?;
    summary.notes.extend(notes(&records, &description));
    summary.description = description;
    Ok(summary)
}

/// Notes for the user about the records.
fn notes(records: &[Record], description: &Description) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |count: usize, text: &str| {
        if count > 0 {
            notes.push(format!("{count} of {} {text}", records.len()));
        }
    };
    note(records.iter().filter(|r| r.weak_label).count(), "masks are weak labels, drawn from boxes.");
    let vanished = records.iter().filter(|r| r.source_mask_pixels > 0 && r.mask_pixels == 0).count();
    note(vanished, "masks have lesion in the source but none at this size; raise prepare.size.");
    let sided = description.prepare.laterality != crate::settings::LateralityRule::Keep;
    let unsided = records.iter().filter(|r| sided && r.laterality.is_empty()).count();
    note(unsided, "images do not name a side and were not mirrored.");
    match Grouping::of(records) {
        Grouping::Patient => {
            let unknown = records.iter().filter(|r| r.patient.is_empty()).count();
            note(unknown, "pairs do not name a patient; each image or volume counts as a patient.");
        }
        Grouping::Case => notes.push("No patients are known: a split can only keep volumes together.".to_owned()),
        Grouping::None => notes.push("No patients are known: a split is by image.".to_owned()),
    }
    notes
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

/// A file's path below the source, with slashes.
pub(crate) fn place_below(source: &Path, path: &Path) -> String {
    path.strip_prefix(source).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// A message without the path of the source folder, so that only the path below it remains.
pub(crate) fn strip_source(message: &str, source: &Path) -> String {
    let prefix = source.to_string_lossy();
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() { message.to_owned() } else { message.replace(&format!("{prefix}/"), "") }
}

/// An id for every case, used in file names: a hash of the case's name, or the name in plain characters.
fn case_ids<'a>(cases: &'a [Case], request: &Request) -> HashMap<&'a str, String> {
    let private = cases.iter().any(|case| case.patient.is_some() || !matches!(case.image, ImageSource::Picture(_)));
    let hashed = match request.config.names {
        Names::Auto => private,
        Names::Hash => true,
        Names::Source => false,
    };
    let hash = |name: &str| match &request.key {
        Some(key) => key.hash("case", name),
        None => hash_texts([name])[..16].to_owned(),
    };
    if hashed {
        return cases.iter().map(|case| (case.name.as_str(), hash(&case.name))).collect();
    }
    // Only the stems if they are unique, else the whole path.
    let plain = |name: &str| {
        let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        word.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
    };
    let stem = |name: &str| plain(name.rsplit('/').next().unwrap_or(name));
    let stems: BTreeSet<String> = cases.iter().map(|case| stem(&case.name)).collect();
    let unique = stems.len() == cases.len() && !stems.contains("");
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases {
        *taken.entry(plain(&case.name)).or_default() += 1;
    }
    let id = |name: &str| match plain(name) {
        _ if unique => stem(name),
        word if taken[&word] == 1 && !word.is_empty() => word,
        word => format!("{word}_{}", hash(name)),
    };
    cases.iter().map(|case| (case.name.as_str(), id(&case.name))).collect()
}
