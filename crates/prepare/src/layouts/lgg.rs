//! LGG segmentation (Buda et al. 2019, from TCIA's TCGA-LGG): `kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif`
//! with `..._1_mask.tif`. The three channels are pre-contrast, FLAIR and post-contrast; the patient is `TCGA_CS_4941`.

use super::case::{Case, ImageSource, MaskSource};
use super::content::Kind;
use super::listing::Listing;
use super::pairing::Pairing;
use super::walk::{Entry, Tree};
use crate::privacy::Secret;

const MASK: &str = "_mask";

/// Whether most pictures have names of this release, and some are masks.
pub(super) fn recognised(tree: &Tree) -> bool {
    let mask = |entry: &Entry| mask_of(entry).and_then(patient_of).is_some();
    tree.mostly(Kind::Picture, |entry| mask(entry) || patient_of(entry.stem()).is_some()) && tree.files.iter().any(mask)
}

fn mask_of(entry: &Entry) -> Option<&str> {
    entry.stem().strip_suffix(MASK)
}

pub(super) fn list(tree: &Tree) -> Listing {
    let mut listing = Listing::default();
    let pictures = || tree.files.iter().filter(|entry| entry.kind == Kind::Picture);
    let key = |entry: &Entry, stem: &str| format!("{}/{stem}", entry.folder());
    let mut pairing = Pairing::default();
    for entry in pictures().filter(|entry| patient_of(entry.stem()).is_some()) {
        pairing.image(key(entry, entry.stem()), entry);
    }
    for (entry, image) in pictures().filter_map(|entry| Some((entry, mask_of(entry)?))) {
        if patient_of(image).is_some() {
            pairing.mask(&[key(entry, image)], entry);
        }
    }
    let paired = pairing.paired();
    for (entry, masks) in &paired.pairs {
        let masks = match masks.len() {
            0 => MaskSource::Missing(format!("{}{MASK}.tif in the same folder", entry.stem())),
            _ => MaskSource::Pictures(masks.iter().map(|mask| mask.path.clone()).collect()),
        };
        let mut case = Case::new(entry.case_name(), ImageSource::Picture(entry.path.clone()), masks);
        case.patient = patient_of(entry.stem()).and_then(Secret::new);
        listing.cases.push(case);
    }
    listing.rest(paired);
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
