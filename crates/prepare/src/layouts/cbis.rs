//! CBIS-DDSM (Lee et al. 2017): `{mass,calc}_case_description_{train,test}_set.csv`, one row per lesion, with the paths of the
//! mammogram and of the lesion's ROI mask: `Mass-Training_P_00001_LEFT_CC/STUDY/SERIES/000000.dcm`.
//!
//! TCIA's downloader gives other names to the folders below the first one (`07-20-2016-DDSM-30678/1.000000-full mammogram
//! images-18984/1-1.dcm`). A lesion's crop and mask may be in the same folder, and the two files, or their columns, are
//! sometimes swapped. So a file is searched in its series folder, or else below its first folder, and when it is opened, its
//! size shows whether it is the mask or the crop.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use pig_data::manifest::Manifest;

use super::case::{Case, ImageSource, MaskSource, Side};
use super::listing::{Listing, note};
use super::walk::{Entry, Tree};
use crate::error::Result;
use crate::privacy::Secret;
use crate::settings::PrepareConfig;

/// Whether there is a table of this release.
pub(super) fn recognised(tree: &Tree) -> bool {
    tables(tree).next().is_some()
}

fn tables(tree: &Tree) -> impl Iterator<Item = &Entry> {
    tree.named("", "_set.csv").filter(|entry| entry.name().contains("_case_description_"))
}

pub(super) fn list(tree: &Tree, config: &PrepareConfig) -> Result<Listing> {
    let by_folder = tree.dicom_by_folder();
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    let mut listing = Listing::default();
    let (mut absent, mut other_types) = (0, 0);
    for entry in tables(tree) {
        let Some(table) = Manifest::read(&entry.path)? else { continue };
        let column = |name| table.column(name).ok_or_else(|| table.missing_column(name));
        let (image, mask) = (column("image file path")?, column("ROI mask file path")?);
        let (patient, side, view) = (column("patient_id")?, column("left or right breast")?, column("image view")?);
        let (kind, pathology) = (column("abnormality type")?, table.column("pathology"));
        let crop = table.column("cropped image file path");
        for row in table.rows() {
            if !config.keeps_type(row.get(kind)) {
                other_types += 1;
                continue;
            }
            let Some(image) = files_of(row.get(image), &by_folder).into_iter().next() else {
                absent += 1;
                continue;
            };
            let case = cases.entry(image.case_name()).or_insert_with_key(|name| {
                let source = ImageSource::Dicom(image.path.clone());
                let mut case = Case::new(name.clone(), source, MaskSource::DicomMasks(Vec::new()));
                case.patient = Secret::new(row.get(patient));
                case.side = Side::of_word(row.get(side));
                case.view = Some(row.get(view).to_owned()).filter(|view| !view.is_empty());
                case
            });
            let places = [Some(mask), crop].into_iter().flatten().map(|column| row.get(column));
            let mut found: Vec<PathBuf> = Vec::new();
            for entry in places.flat_map(|place| files_of(place, &by_folder)) {
                if !found.contains(&entry.path) {
                    found.push(entry.path.clone());
                }
            }
            if let MaskSource::DicomMasks(masks) = &mut case.masks {
                masks.push(found);
            }
            let pathology = pathology.map_or("", |column| row.get(column)).to_lowercase();
            // An image with several lesions gets the class of the worst.
            if case.class.as_deref() != Some("malignant") && !pathology.is_empty() {
                case.class = Some(pathology);
            }
        }
    }
    for mut case in cases.into_values() {
        if let MaskSource::DicomMasks(masks) = &case.masks
            && masks.iter().any(Vec::is_empty)
        {
            case.masks = MaskSource::Missing("the ROI mask that the table names".to_owned());
        }
        listing.cases.push(case);
    }
    note(&mut listing.notes, absent, "row(s) of the tables name mammograms that are not in the folder.");
    note(&mut listing.notes, other_types, "row(s) have other lesion types and were skipped (prepare.lesion_types).");
    Ok(listing)
}

/// The files that a path in a table may mean: those in its series folder, else all below its first folder; a file with the
/// same name comes first.
fn files_of<'a>(place: &str, by_folder: &HashMap<&str, Vec<&'a Entry>>) -> Vec<&'a Entry> {
    let parts: Vec<&str> = place.split('/').map(str::trim).collect();
    let (Some(subject), Some(name)) = (parts.first(), parts.last()) else { return Vec::new() };
    let series = parts.len().checked_sub(2).and_then(|index| by_folder.get(parts[index]));
    let mut files = series.or_else(|| by_folder.get(subject)).cloned().unwrap_or_default();
    files.sort_by_key(|entry| (entry.name() != *name, !entry.place.contains("ROI mask"), entry.place.clone()));
    files
}
