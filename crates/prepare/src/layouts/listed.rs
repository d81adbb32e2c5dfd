//! A generic folder whose manifest lists images and masks. Rows that name one image are one case, with all of their masks, each of its
//! class if a column names classes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pig_data::DataError;
use pig_data::case_mask::rows_words;
use pig_data::manifest::Row;
use pig_dicom::{Limits, Object};

use super::case::{Case, ImageSource, MaskSource};
use super::content::Kind;
use super::details::{Details, Told};
use super::listing::{Listing, note};
use super::walk::{Entry, Tree};
use crate::error::{PrepareError, Result};

/// How many images that a manifest names and that are not there are listed; the others are counted.
const MOST_MISSING: usize = 1000;

/// One image of the manifest.
struct Listed<'a> {
    entry: &'a Entry,
    /// The line that named the image first.
    line: u64,
    told: Told,
    masks: MaskSource,
    error: Option<PrepareError>,
}

pub(super) fn list(tree: &Tree, details: &Details<'_>, limits: &Limits, columns: [usize; 2]) -> Result<Listing> {
    let entries: HashMap<&Path, &Entry> = tree.files.iter().map(|entry| (entry.path.as_path(), entry)).collect();
    let mut listing = Listing::default();
    let mut listed: BTreeMap<&str, Listed<'_>> = BTreeMap::new();
    let mut missing = 0;
    for row in details.table.rows() {
        let path = row.path(columns[0])?;
        let Some(entry) = entries.get(path.as_path()).copied() else {
            missing += 1;
            if missing <= MOST_MISSING {
                let error = PrepareError::io(&path, "read")(std::io::ErrorKind::NotFound.into());
                listing.unreadable.push((path, error));
            }
            continue;
        };
        let read = details.told(row).and_then(|told| {
            let masks = masks_of(row, columns[1], &entries, limits)?;
            Ok((told, details.classed(Some(row), masks)))
        });
        match (read, listed.get_mut(entry.place.as_str())) {
            (Ok((told, masks)), Some(image)) => image.join(details, row, told, masks),
            (Ok((told, masks)), None) => {
                let image = Listed { entry, line: row.line, told, masks, error: None };
                listed.insert(&entry.place, image);
            }
            (Err(error), Some(image)) => image.error = image.error.take().or(Some(error)),
            (Err(error), None) => {
                let (told, masks) = (Told::default(), MaskSource::NoLesion);
                listed.insert(&entry.place, Listed { entry, line: row.line, told, masks, error: Some(error) });
            }
        }
    }
    let further = missing.saturating_sub(MOST_MISSING);
    note(&mut listing.notes, further, "further row(s) of manifest.csv name images that are not in the folder.");
    let rows: Vec<usize> = listed.values().map(Listed::rows).collect();
    if details.names_classes() {
        listing.notes.extend(rows_words(rows).map(|words| words + "."));
    } else {
        let several = rows.into_iter().filter(|&rows| rows > 1).count();
        note(
            &mut listing.notes,
            several,
            "image(s) have several rows in manifest.csv, whose masks are merged into one; prepare.class_column names a column with the \
             class of each.",
        );
    }
    for image in listed.into_values() {
        image.finish(details, &mut listing);
    }
    Ok(listing)
}

impl Listed<'_> {
    /// How many rows have a mask of their own.
    fn rows(&self) -> usize {
        match &self.masks {
            MaskSource::Layers(layers) => layers.len(),
            masks => masks.paths().len(),
        }
    }

    /// Adds what another row says of the image.
    fn join(&mut self, details: &Details<'_>, row: Row<'_>, told: Told, masks: MaskSource) {
        let same = "the same in both";
        let (problem, expected) = match (self.told.agree(told), self.merge(masks)) {
            (Some("class"), _) if !details.names_classes() => (
                "another class".to_owned(),
                "the same in both, since lesions are one; prepare.class_column = \"class\" gives the mask of each row its class",
            ),
            (Some(detail), _) => (format!("another {detail}"), same),
            (None, false) => ("a mask of another kind (picture, NIfTI, DICOM image or DICOM SEG)".to_owned(), same),
            (None, true) => return,
        };
        let error = DataError::BadManifest {
            path: details.table.path.clone(),
            line: row.line,
            problem: format!(
                "the image {} is in line {}, too, with {problem}; expected {expected}",
                self.entry.place, self.line
            ),
        };
        self.error = self.error.take().or(Some(error.into()));
    }

    /// Adds masks; `false` if they are of another kind. A file that is missing stays missing, since its lesion would be lost, but
    /// a row without a mask says nothing where another row has one.
    fn merge(&mut self, masks: MaskSource) -> bool {
        use MaskSource::{DicomMasks, Layers, Missing, Nifti, NoLesion, Pictures, Segmentations};
        fn add<T: PartialEq>(mine: &mut Vec<T>, more: Vec<T>) -> bool {
            for one in more {
                if !mine.contains(&one) {
                    mine.push(one);
                }
            }
            true
        }
        match (&mut self.masks, masks) {
            (_, NoLesion) | (Missing(_), Missing(_)) => true,
            (mine @ NoLesion, other) | (mine, other @ Missing(_)) => {
                *mine = other;
                true
            }
            (Missing(_), _) => true,
            (Pictures(mine), Pictures(more))
            | (Nifti(mine), Nifti(more))
            | (Segmentations(mine), Segmentations(more)) => add(mine, more),
            (DicomMasks(mine), DicomMasks(more)) => add(mine, more),
            (Layers(mine), Layers(more)) => add(mine, more),
            _ => false,
        }
    }

    fn finish(self, details: &Details<'_>, listing: &mut Listing) {
        let path = self.entry.path.clone();
        let image = ImageSource::of_kind(path.clone(), self.entry.kind).ok_or_else(|| {
            PrepareError::from(DataError::BadManifest {
                path: details.table.path.clone(),
                line: self.line,
                problem: format!(
                    "{} is neither a picture nor a DICOM or NIfTI file by its content; expected an image",
                    self.entry.place
                ),
            })
        });
        match (self.error, image) {
            (Some(error), _) | (None, Err(error)) => listing.unreadable.push((path, error)),
            (None, Ok(image)) => {
                let masks = match self.masks {
                    MaskSource::NoLesion => MaskSource::Missing("a file in the column mask of manifest.csv".to_owned()),
                    masks => masks,
                };
                let mut case = Case::new(self.entry.case_name(), image, masks);
                self.told.add_to(&mut case);
                listing.cases.push(case);
            }
        }
    }
}

/// The mask of a row; `NoLesion` stands for an empty cell until all rows of the image are known.
fn masks_of(row: Row<'_>, column: usize, entries: &HashMap<&Path, &Entry>, limits: &Limits) -> Result<MaskSource> {
    if row.get(column).is_empty() {
        return Ok(MaskSource::NoLesion);
    }
    let path = row.path(column)?;
    Ok(match entries.get(path.as_path()).map(|entry| entry.kind) {
        None => MaskSource::Missing(format!(
            "the file {:?}, which line {} of manifest.csv names",
            row.get(column),
            row.line
        )),
        Some(Kind::Nifti) => MaskSource::Nifti(vec![path]),
        Some(Kind::Dicom) if is_segmentation(&path, limits) => MaskSource::Segmentations(vec![path]),
        Some(Kind::Dicom) => MaskSource::DicomMasks(vec![vec![path]]),
        Some(Kind::Picture | Kind::Other) => MaskSource::Pictures(vec![path]),
    })
}

fn is_segmentation(path: &Path, limits: &Limits) -> bool {
    matches!(pig_dicom::open(path, limits), Ok(Object::Segmentation(_)))
}
