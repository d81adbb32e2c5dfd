//! Lists the tags of a folder's DICOM files that identify people: names of tags and counts, never values.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use pig_dicom::Reason;

use crate::error::Result;
use crate::inspect::Problem;
use crate::layouts::{DicomFiles, counted, dicom_files};
use crate::pipeline::{Progress, place_below, strip_source};
use crate::sources::Cost;

/// One tag in all files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagCount {
    /// Group and element: `(0010,0010)`.
    pub tag: String,
    /// The standard's keyword; empty for private and unknown tags.
    pub keyword: String,
    /// Value representation.
    pub vr: String,
    /// Why it is listed.
    pub reason: Reason,
    /// Number of files that contain the tag.
    pub files: usize,
    /// Number of files in which the tag has a value.
    pub filled: usize,
}

/// Tags of a folder's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrivacyReport {
    /// Number of DICOM files read.
    pub files: usize,
    /// Tags that identify or may identify people, sorted by tag.
    pub tags: Vec<TagCount>,
    /// Files that could not be read.
    pub unreadable: Vec<Problem>,
    /// How many files and folders were not read, by the reason in words.
    pub left_out: BTreeMap<&'static str, usize>,
    /// How many DICOM files were not read, because the user asked to stop; the report says nothing of them.
    #[serde(skip)]
    pub stopped: usize,
}

/// Lists the tags that identify or may identify people in all DICOM files below `source`.
///
/// # Errors
/// When the folder cannot be read.
pub fn privacy(source: &Path, cost: &Cost, progress: &dyn Progress) -> Result<PrivacyReport> {
    let DicomFiles { files, left_out, unreadable } = dicom_files(source)?;
    progress.begin(files.len());
    let done = std::sync::atomic::AtomicUsize::new(0);
    let read: Vec<_> = files
        .par_iter()
        .map(|path| {
            let tags = (!progress.stop_requested()).then(|| pig_dicom::privacy(path, &cost.dicom));
            progress.done(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
            tags
        })
        .collect();
    let problem = |path: &Path, reason: String| Problem {
        file: place_below(source, path),
        reason: strip_source(&reason, source),
    };
    let unreadable = unreadable.iter().map(|(path, error)| problem(path, error.to_string())).collect();
    let mut report = PrivacyReport { files: 0, tags: Vec::new(), unreadable, left_out, stopped: 0 };
    let mut tags: BTreeMap<String, TagCount> = BTreeMap::new();
    for (path, found) in files.iter().zip(read) {
        match found {
            None => report.stopped += 1,
            Some(Err(error)) => report.unreadable.push(problem(path, error.to_string())),
            Some(Ok(found)) => {
                report.files += 1;
                for tag in found {
                    let count = tags.entry(tag.tag.clone()).or_insert_with(|| TagCount {
                        tag: tag.tag,
                        keyword: tag.keyword.to_owned(),
                        vr: tag.vr,
                        reason: tag.reason,
                        files: 0,
                        filled: 0,
                    });
                    count.files += 1;
                    count.filled += usize::from(tag.filled > 0);
                }
            }
        }
    }
    report.tags = tags.into_values().collect();
    Ok(report)
}

impl PrivacyReport {
    /// The report as a table for a terminal.
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text =
            format!("{} DICOM file(s) read; {} tag(s) identify or may identify people\n", self.files, self.tags.len());
        if !self.left_out.is_empty() {
            let _ = writeln!(text, "not read: {}", counted(&self.left_out));
        }
        if !self.tags.is_empty() {
            let _ = writeln!(text, "\n{:<12} {:<42} {:<3} {:>7} {:>7}  why", "tag", "keyword", "VR", "files", "filled");
        }
        for tag in &self.tags {
            let why = match tag.reason {
                Reason::BasicProfile => "basic profile",
                Reason::Private => "private",
                Reason::PersonName => "person's name",
                Reason::Unknown => "unknown tag",
            };
            let keyword = if tag.keyword.is_empty() { "-" } else { &tag.keyword };
            let _ =
                writeln!(text, "{:<12} {keyword:<42} {:<3} {:>7} {:>7}  {why}", tag.tag, tag.vr, tag.files, tag.filled);
        }
        for problem in &self.unreadable {
            let _ = writeln!(text, "\nunreadable: {}", problem.reason);
        }
        text
    }
}
