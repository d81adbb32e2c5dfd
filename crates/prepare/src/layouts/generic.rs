//! Any other folder. If there is a `manifest.csv` with the columns `image` and `mask`, it lists the pairs. Otherwise a mask is
//! searched beside its image as `NAME_mask` (or `_seg`, `_segmentation`, `_label`, followed by a number for further lesions),
//! in `masks/` or `labels/` beside `images/`, and among the DICOM SEG objects that reference the image.
//!
//! A manifest may add details to the pairs that it lists, or, by its column `id` (the image's stem), to the images found:
//! `patient` or `group`, `laterality`, `view`, `class`, and `pixel_height_mm` with `pixel_width_mm`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use pig_data::manifest::{Manifest, Row};
use pig_dicom::{Limits, Object};

use super::case::{Case, ImageSource, MaskSource, Side};
use super::listing::{Listing, note};
use super::walk::{Entry, Kind, Tree, stem};
use crate::error::{PrepareError, Result};
use crate::privacy::Secret;
use crate::settings::PrepareConfig;

/// Endings of the names of masks.
const SUFFIXES: [&str; 4] = ["_mask", "_segmentation", "_seg", "_label"];

/// Names of folders of masks, beside `images`.
const MASK_FOLDERS: [&str; 2] = ["masks", "labels"];

/// Columns that name the patient when the configuration does not, in order of preference.
const PATIENT_COLUMNS: [&str; 2] = ["patient", "group"];

pub(super) fn list(tree: &Tree, config: &PrepareConfig, limits: &Limits) -> Result<Listing> {
    let manifest = Manifest::read(&tree.root.join("manifest.csv"))?;
    let details = manifest.as_ref().map(|manifest| Details::new(manifest, config)).transpose()?;
    if let Some(details) = &details
        && let (Some(image), Some(mask)) = (details.table.column("image"), details.table.column("mask"))
    {
        return by_manifest(tree, details, limits, [image, mask]);
    }
    let mut listing = Listing::default();
    let dicom = Dicom::read(tree, limits, &mut listing);
    let mut masks: BTreeMap<(String, String), Vec<&Entry>> = BTreeMap::new();
    let mut images = Vec::new();
    for entry in &tree.files {
        let picture =
            matches!(entry.kind, Kind::Picture | Kind::Nifti) || dicom.images.contains_key(entry.place.as_str());
        if !picture {
            continue;
        }
        match mask_of(entry) {
            Some(place) => masks.entry(place).or_default().push(entry),
            None => images.push(entry),
        }
    }
    for entry in images {
        let own = (entry.folder().to_owned(), entry.stem().to_owned());
        let header = dicom.images.get(entry.place.as_str());
        let segmentations = header.and_then(|header| dicom.segmentations.get(&header.sop_instance));
        let found = masks.remove(&own).unwrap_or_default();
        let masks = match (found.first(), segmentations) {
            (None, Some(paths)) => MaskSource::Segmentations(paths.clone()),
            (None, None) => MaskSource::Missing(expected(entry, header.is_some())),
            (Some(first), _) => {
                let paths: Vec<PathBuf> =
                    found.iter().filter(|mask| mask.kind == first.kind).map(|mask| mask.path.clone()).collect();
                match first.kind {
                    Kind::Nifti => MaskSource::Nifti(paths),
                    Kind::Dicom => MaskSource::DicomMasks(paths.into_iter().map(|path| vec![path]).collect()),
                    Kind::Picture | Kind::Other => MaskSource::Pictures(paths),
                }
            }
        };
        let Some(image) = ImageSource::of_kind(entry.path.clone(), entry.kind) else { continue };
        let mut case = Case::new(entry.case_name(), image, masks);
        case.patient = header.and_then(|header| header.patient.clone());
        if let Some(details) = &details {
            details.add(&mut case, details.by_id.get(entry.stem()).copied());
        }
        listing.cases.push(case);
    }
    let without_image: usize = masks.values().map(Vec::len).sum();
    note(&mut listing.notes, without_image, "mask(s) have no image.");
    note(&mut listing.notes, dicom.unreferenced, "DICOM SEG object(s) reference no image in the folder.");
    note(&mut listing.notes, dicom.others, "DICOM object(s) hold no pixels (reports, directories).");
    Ok(listing)
}

fn expected(entry: &Entry, dicom: bool) -> String {
    let seg = if dicom { ", or a DICOM SEG object that references it" } else { "" };
    if entry.folder().rsplit('/').next() == Some("images") {
        format!("a file with the same stem in masks/ beside images/{seg}")
    } else {
        format!("a file NAME_mask beside it{seg}")
    }
}

/// Folder and stem of the image that a mask belongs to; `None` for a file that is not a mask.
fn mask_of(entry: &Entry) -> Option<(String, String)> {
    let (above, folder) = entry.folder().rsplit_once('/').unwrap_or(("", entry.folder()));
    let suffixed = strip_suffix(entry.stem());
    if MASK_FOLDERS.contains(&folder.to_lowercase().as_str()) {
        let images = if above.is_empty() { "images".to_owned() } else { format!("{above}/images") };
        return Some((images, suffixed.unwrap_or(entry.stem()).to_owned()));
    }
    Some((entry.folder().to_owned(), suffixed?.to_owned()))
}

/// `NAME` of `NAME_mask` and `NAME_mask_2`.
fn strip_suffix(stem: &str) -> Option<&str> {
    let bare = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < stem.len() { bare.strip_suffix('_').unwrap_or(stem) } else { stem };
    SUFFIXES.iter().find_map(|suffix| bare.strip_suffix(suffix)).filter(|name| !name.is_empty())
}

fn by_manifest(tree: &Tree, details: &Details<'_>, limits: &Limits, [image, mask]: [usize; 2]) -> Result<Listing> {
    let kinds: HashMap<&Path, &Entry> = tree.files.iter().map(|entry| (entry.path.as_path(), entry)).collect();
    let missing = |path: &Path| PrepareError::io(path, "read")(std::io::ErrorKind::NotFound.into());
    let mut listing = Listing::default();
    for row in details.table.rows() {
        let path = row.path(image)?;
        let Some(entry) = kinds.get(path.as_path()) else {
            let error = missing(&path);
            listing.unreadable.push((path, error));
            continue;
        };
        let masks = if row.get(mask).is_empty() {
            MaskSource::Missing("a file in the column mask of manifest.csv".to_owned())
        } else {
            let path = row.path(mask)?;
            match kinds.get(path.as_path()).map(|entry| entry.kind) {
                None => MaskSource::Missing("the file that the column mask of manifest.csv names".to_owned()),
                Some(Kind::Nifti) => MaskSource::Nifti(vec![path]),
                Some(Kind::Dicom) if is_segmentation(&path, limits) => MaskSource::Segmentations(vec![path]),
                Some(Kind::Dicom) => MaskSource::DicomMasks(vec![vec![path]]),
                Some(Kind::Picture | Kind::Other) => MaskSource::Pictures(vec![path]),
            }
        };
        let Some(image) = ImageSource::of_kind(path, entry.kind) else { continue };
        let mut case = Case::new(entry.case_name(), image, masks);
        details.add(&mut case, Some(row));
        listing.cases.push(case);
    }
    Ok(listing)
}

fn is_segmentation(path: &Path, limits: &Limits) -> bool {
    matches!(pig_dicom::open(path, limits), Ok(Object::Segmentation(_)))
}

/// The details that a manifest adds to the cases.
struct Details<'a> {
    table: &'a Manifest,
    patient: Option<usize>,
    by_id: HashMap<String, Row<'a>>,
}

impl<'a> Details<'a> {
    fn new(table: &'a Manifest, config: &PrepareConfig) -> Result<Self> {
        let patient = match &config.group_column {
            Some(name) => Some(table.column(name).ok_or_else(|| table.missing_column(name))?),
            None => PATIENT_COLUMNS.iter().find_map(|name| table.column(name)),
        };
        let id = table.column("id");
        let by_id = id.map_or_else(HashMap::new, |id| table.rows().map(|row| (row.get(id).to_owned(), row)).collect());
        Ok(Self { table, patient, by_id })
    }

    fn add(&self, case: &mut Case, row: Option<Row<'_>>) {
        let Some(row) = row else { return };
        let text = |name| self.table.column(name).map(|column| row.get(column).to_owned()).filter(|t| !t.is_empty());
        let number = |name| text(name).and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite() && *n > 0.0);
        if let Some(patient) = self.patient {
            case.patient = Secret::new(row.get(patient)).or(case.patient.take());
        }
        case.side = text("laterality").and_then(|word| Side::of_word(&word));
        case.view = text("view");
        case.class = text("class");
        case.spacing = number("pixel_height_mm").zip(number("pixel_width_mm")).map(|(row, column)| [row, column]);
    }
}

/// What was read from the headers of a folder's DICOM files.
struct Dicom<'a> {
    /// Images by path below the root.
    images: HashMap<&'a str, Header>,
    /// Files of SEG objects by the SOP instance that they reference.
    segmentations: HashMap<String, Vec<PathBuf>>,
    unreferenced: usize,
    others: usize,
}

struct Header {
    sop_instance: String,
    patient: Option<Secret>,
}

/// What is kept of a file: thousands of files may be read, and an open one would hold its header and a file handle.
enum Seen {
    Image(Header),
    /// The SOP instances that a segmentation references.
    Segmentation(Vec<String>),
    Other,
}

impl Seen {
    fn of(path: &Path, limits: &Limits) -> pig_dicom::Result<Self> {
        Ok(match pig_dicom::open(path, limits)? {
            Object::Image(image) => {
                let info = image.info();
                let patient = info.patient_id.as_ref().and_then(|id| Secret::new(id.reveal()));
                Self::Image(Header { sop_instance: info.sop_instance.clone(), patient })
            }
            Object::Segmentation(segmentation) => {
                let mut instances: Vec<String> =
                    segmentation.sources().into_iter().map(|source| source.sop_instance).collect();
                instances.sort();
                instances.dedup();
                Self::Segmentation(instances)
            }
            Object::Other { .. } => Self::Other,
        })
    }
}

impl<'a> Dicom<'a> {
    fn read(tree: &'a Tree, limits: &Limits, listing: &mut Listing) -> Self {
        let candidates: Vec<&Entry> = tree.files.iter().filter(|entry| entry.kind == Kind::Dicom).collect();
        let seen: Vec<_> = candidates
            .par_iter()
            .map(|entry| {
                // A file without an ending may be anything, but one that is named .dcm and is not DICOM is reported.
                let named = stem(entry.name()) != entry.name();
                (named || pig_dicom::is_dicom(&entry.path)).then(|| Seen::of(&entry.path, limits))
            })
            .collect();
        let mut dicom = Self { images: HashMap::new(), segmentations: HashMap::new(), unreferenced: 0, others: 0 };
        let mut segmentations = Vec::new();
        for (entry, seen) in candidates.into_iter().zip(seen) {
            match seen {
                None => {}
                Some(Ok(Seen::Image(header))) => {
                    dicom.images.insert(entry.place.as_str(), header);
                }
                Some(Ok(Seen::Segmentation(instances))) => segmentations.push((entry.path.clone(), instances)),
                Some(Ok(Seen::Other)) => dicom.others += 1,
                Some(Err(error)) => listing.unreadable.push((entry.path.clone(), error.into())),
            }
        }
        let known: std::collections::HashSet<&str> =
            dicom.images.values().map(|header| header.sop_instance.as_str()).collect();
        for (path, instances) in segmentations {
            if !instances.iter().any(|instance| known.contains(instance.as_str())) {
                dicom.unreferenced += 1;
            }
            for instance in instances {
                dicom.segmentations.entry(instance).or_default().push(path.clone());
            }
        }
        dicom
    }
}
