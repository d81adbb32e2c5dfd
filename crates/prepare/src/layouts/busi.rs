//! BUSI (Al-Dhabyani et al. 2020): `Dataset_BUSI_with_GT/{benign,malignant,normal}/benign (1).png` with
//! `benign (1)_mask.png`, and `benign (1)_mask_1.png` for further lesions of the same image. Patients are not named.

use super::case::{Case, ImageSource, MaskSource};
use super::content::Kind;
use super::listing::Listing;
use super::pairing::Pairing;
use super::walk::{Entry, Tree};

const CLASSES: [&str; 3] = ["benign", "malignant", "normal"];

/// Whether most pictures have names of this release.
pub(super) fn recognised(tree: &Tree) -> bool {
    tree.mostly(Kind::Picture, |entry| image_of(entry.stem()).is_some())
}

pub(super) fn list(tree: &Tree) -> Listing {
    let mut listing = Listing::default();
    let mut pairing = Pairing::default();
    let named: Vec<_> = tree
        .files
        .iter()
        .filter(|entry| entry.kind == Kind::Picture)
        .filter_map(|entry| Some((entry, image_of(entry.stem())?)))
        .collect();
    let key = |entry: &Entry, image: &str| format!("{}/{image}", entry.folder());
    for &(entry, (image, _, _)) in named.iter().filter(|(_, (_, _, mask))| !mask) {
        pairing.image(key(entry, image), entry);
    }
    for &(entry, (image, _, _)) in named.iter().filter(|(_, (_, _, mask))| *mask) {
        pairing.mask(&[key(entry, image)], entry);
    }
    let paired = pairing.paired();
    for (entry, masks) in &paired.pairs {
        let masks = match masks.len() {
            0 => MaskSource::Missing(format!("{}_mask.png in the same folder", entry.stem())),
            _ => MaskSource::Pictures(masks.iter().map(|mask| mask.path.clone()).collect()),
        };
        let mut case = Case::new(entry.case_name(), ImageSource::Picture(entry.path.clone()), masks);
        case.class = image_of(entry.stem()).map(|(_, class, _)| class.to_owned());
        listing.cases.push(case);
    }
    listing.rest(paired);
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
