//! LGG segmentation (Buda et al. 2019, from TCIA's TCGA-LGG): `kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif`
//! with `..._1_mask.tif`. The three channels are pre-contrast, FLAIR and post-contrast; the patient is `TCGA_CS_4941`.

use std::collections::HashMap;

use super::case::{Case, ImageSource, MaskSource};
use super::listing::{Listing, note};
use super::walk::{Kind, Tree};
use crate::privacy::Secret;

const MASK: &str = "_mask";

/// Whether there is a mask with a name of this release.
pub(super) fn recognised(tree: &Tree) -> bool {
    let mask = |stem: &str| stem.strip_suffix(MASK).and_then(patient_of).is_some();
    tree.files.iter().any(|entry| entry.kind == Kind::Picture && mask(entry.stem()))
}

pub(super) fn list(tree: &Tree) -> Listing {
    let mut listing = Listing::default();
    let pictures = || tree.files.iter().filter(|entry| entry.kind == Kind::Picture);
    let mut masks: HashMap<String, _> = pictures()
        .filter(|entry| entry.stem().strip_suffix(MASK).and_then(patient_of).is_some())
        .map(|entry| (entry.case_name().trim_end_matches(MASK).to_owned(), entry))
        .collect();
    for entry in pictures() {
        let Some(patient) = patient_of(entry.stem()) else { continue };
        let name = entry.case_name();
        let masks = match masks.remove(&name) {
            Some(mask) => MaskSource::Pictures(vec![mask.path.clone()]),
            None => MaskSource::Missing(format!("{}{MASK}.tif in the same folder", entry.stem())),
        };
        let mut case = Case::new(name, ImageSource::Picture(entry.path.clone()), masks);
        case.patient = Secret::new(patient);
        listing.cases.push(case);
    }
    note(&mut listing.notes, masks.len(), "mask(s) have no image.");
    listing
}

/// The patient in `TCGA_CS_4941_19960909_1`: site and number, without the date of the study and the slice.
fn patient_of(stem: &str) -> Option<&str> {
    let parts: Vec<&str> = stem.split('_').collect();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let [project, site, number, date, slice] = parts[..] else { return None };
    let fits = project == "TCGA" && site.len() == 2 && date.len() == 8 && digits(date) && digits(slice);
    fits.then(|| &stem[..project.len() + site.len() + number.len() + 2])
}
