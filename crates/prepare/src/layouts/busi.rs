//! BUSI (Al-Dhabyani et al. 2020): `Dataset_BUSI_with_GT/{benign,malignant,normal}/benign (1).png` with
//! `benign (1)_mask.png`, and `benign (1)_mask_1.png` for further lesions of the same image. Patients are not named.

use std::collections::BTreeMap;

use super::case::{Case, ImageSource, MaskSource};
use super::listing::{Listing, note};
use super::walk::{Entry, Kind, Tree};

const CLASSES: [&str; 3] = ["benign", "malignant", "normal"];

/// Whether there is a picture with a name of this release.
pub(super) fn recognised(tree: &Tree) -> bool {
    tree.files.iter().any(|entry| entry.kind == Kind::Picture && image_of(entry.stem()).is_some())
}

pub(super) fn list(tree: &Tree) -> Listing {
    let mut listing = Listing::default();
    let mut masks: BTreeMap<(String, String), Vec<&Entry>> = BTreeMap::new();
    let mut images = Vec::new();
    for entry in tree.files.iter().filter(|entry| entry.kind == Kind::Picture) {
        match image_of(entry.stem()) {
            Some((image, class, false)) => images.push((entry, image, class)),
            Some((image, _, true)) => {
                masks.entry((entry.folder().to_owned(), image.to_owned())).or_default().push(entry);
            }
            None => {}
        }
    }
    for (entry, image, class) in images {
        let found = masks.remove(&(entry.folder().to_owned(), image.to_owned()));
        let masks = match found {
            Some(masks) => MaskSource::Pictures(masks.into_iter().map(|mask| mask.path.clone()).collect()),
            None => MaskSource::Missing(format!("{image}_mask.png in the same folder")),
        };
        let mut case = Case::new(entry.case_name(), ImageSource::Picture(entry.path.clone()), masks);
        case.class = Some(class.to_owned());
        listing.cases.push(case);
    }
    note(&mut listing.notes, masks.len(), "mask(s) have no image.");
    listing
}

/// The image's stem and class, and whether the name is that of a mask: `benign (1)`, `benign (1)_mask`, `benign (1)_mask_1`.
fn image_of(stem: &str) -> Option<(&str, &'static str, bool)> {
    let (image, rest) = stem.split_at(stem.find(')')? + 1);
    let (class, number) = image.strip_suffix(')')?.split_once(" (")?;
    let class = CLASSES.into_iter().find(|known| *known == class)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match rest.strip_prefix("_mask") {
        None if rest.is_empty() => Some((image, class, false)),
        Some(further) if further.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit()) => {
            Some((image, class, true))
        }
        _ => None,
    }
}
