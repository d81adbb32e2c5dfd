//! INbreast (Moreira et al. 2012): `AllDICOMs/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm` (image number, patient, modality,
//! side, view) and `AllXML/20586908.xml` with OsiriX contours. An image without an XML file has no finding. `INbreast.csv`
//! (fields separated by semicolons) adds the BI-RADS category; its column `File Name` holds the image number.

use std::collections::HashMap;

use pig_data::manifest::Manifest;

use super::case::{Case, ImageSource, MaskSource, Side};
use super::content::Kind;
use super::listing::{Listing, note};
use super::walk::Tree;
use crate::error::Result;
use crate::privacy::Secret;

/// Whether most DICOM files have names of this release.
pub(super) fn recognised(tree: &Tree) -> bool {
    tree.mostly(Kind::Dicom, |entry| Name::parse(entry.stem()).is_some())
}

pub(super) fn list(tree: &Tree) -> Result<Listing> {
    let mut contours: HashMap<&str, _> = tree.named("", ".xml").map(|entry| (entry.stem(), entry)).collect();
    let categories = categories(tree)?;
    let mut listing = Listing::default();
    for entry in tree.files.iter().filter(|entry| entry.kind == Kind::Dicom) {
        let Some(name) = Name::parse(entry.stem()) else { continue };
        let masks =
            contours.remove(name.number).map_or(MaskSource::NoLesion, |xml| MaskSource::Contours(xml.path.clone()));
        let mut case = Case::new(entry.case_name(), ImageSource::Dicom(entry.path.clone()), masks);
        case.patient = Secret::new(name.patient);
        case.side = Side::of_word(name.side);
        // The release calls its mediolateral oblique views ML.
        case.view = Some(if name.view == "ML" { "MLO" } else { name.view }.to_owned());
        case.class = categories.get(name.number).map(|category| format!("birads-{category}"));
        listing.cases.push(case);
    }
    note(&mut listing.notes, contours.len(), "contour file(s) have no image in the folder.");
    Ok(listing)
}

/// BI-RADS categories by image number.
fn categories(tree: &Tree) -> Result<HashMap<String, String>> {
    let mut categories = HashMap::new();
    for entry in tree.named("inbreast", ".csv") {
        let Some(table) = Manifest::read_delimited(&entry.path, b';')? else { continue };
        let (Some(file), Some(category)) = (table.column("File Name"), table.column("Bi-Rads")) else { continue };
        for row in table.rows() {
            categories.insert(row.get(file).to_owned(), row.get(category).to_lowercase());
        }
    }
    Ok(categories)
}

/// The parts of a file's name.
struct Name<'a> {
    number: &'a str,
    patient: &'a str,
    side: &'a str,
    view: &'a str,
}

impl<'a> Name<'a> {
    fn parse(stem: &'a str) -> Option<Self> {
        let parts: Vec<&str> = stem.split('_').collect();
        let [number, patient, "MG", side @ ("L" | "R"), view, ..] = parts[..] else { return None };
        let fits = number.bytes().all(|byte| byte.is_ascii_digit()) && patient.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then_some(Self { number, patient, side, view })
    }
}
