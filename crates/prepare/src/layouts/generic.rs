//! Any other folder. If there is a `manifest.csv` with the columns `image` and `mask`, it lists the pairs. Otherwise a mask is
//! searched beside its image as `NAME_mask` (or `_seg`, `_segmentation`, `_label`, followed by a number for further lesions),
//! in a folder `masks` or `labels` with the same folders and name as the image in `images`, and among the DICOM SEG objects
//! that reference the image.
//!
//! A manifest may add details to the pairs that it lists, or, by its column `id` (the image's stem), to the images found:
//! `patient` or `group`, `laterality`, `view`, `class`, and `pixel_height_mm` with `pixel_width_mm`. Other columns are carried over, unless
//! they may identify people. With `prepare.class_column`, a column names the class of each mask.

use std::collections::HashMap;
use std::path::PathBuf;

use pig_data::DataError;
use pig_data::columns::class_column;
use pig_data::content::unread_format_of;
use pig_data::manifest::Manifest;
use pig_data::names::{IMAGE_FOLDERS, MASK_FOLDERS, nfc};
use pig_data::remarks;
use pig_dicom::Limits;

use super::case::{Case, ImageSource, MaskSource};
use super::content::{Kind, stem};
use super::details::Details;
use super::headers::Headers;
use super::listed;
use super::listing::{Listing, note};
use super::pairing::{Paired, Pairing};
use super::walk::{Entry, Tree};
use crate::error::Result;
use crate::settings::{PrepareConfig, SECTION};

/// Endings of the names of masks.
const SUFFIXES: [&str; 4] = ["_mask", "_segmentation", "_seg", "_label"];

pub(super) fn list(tree: &Tree, config: &PrepareConfig, limits: &Limits) -> Result<Listing> {
    let manifest = Manifest::in_folder(&tree.root)?;
    if let (None, Some(name)) = (&manifest, &config.class_column) {
        class_column(&tree.root, None, name, SECTION)?;
    }
    let mut details = manifest.as_ref().map(|manifest| Details::new(manifest, config)).transpose()?;
    if let Some(details) = &details
        && let (Some(image), Some(mask)) = (details.table.column("image"), details.table.column("mask"))
    {
        let mut listing = listed::list(tree, details, limits, [image, mask])?;
        blank_rows(details, &mut listing);
        listing.notes.extend(details.notes.clone());
        return Ok(listing);
    }
    let mut listing = Listing::default();
    let headers = Headers::read(tree, limits, &mut listing);
    let (paired, unread) = (pair(tree, &headers), unread_masks(tree));
    if let Some(details) = &mut details {
        details.note_images(paired.pairs.iter().map(|(entry, _)| *entry));
    }
    let (mut other_kinds, mut other_folders) = (Vec::new(), Vec::new());
    let mut with_both = 0;
    for (entry, found) in &paired.pairs {
        // A file that cannot be read is listed already.
        let Some(image) = ImageSource::of_kind(entry.path.clone(), entry.kind) else { continue };
        if headers.unreadable.contains(entry.place.as_str()) {
            listing.left(found, None);
            continue;
        }
        let (found, others) = of_one_folder(found);
        other_folders.extend(others);
        let (found, others) = of_one_kind(&found);
        other_kinds.extend(others);
        with_both += usize::from(!found.is_empty() && segmentations_of(entry, &headers).is_some());
        let mut case = Case::new(entry.case_name(), image, masks_of(entry, &found, &headers, &unread));
        case.patient = headers.images.get(entry.place.as_str()).and_then(|header| header.patient.clone());
        match details.as_mut().map_or(Ok(()), |details| details.add(entry, &mut case)) {
            Ok(()) => listing.cases.push(case),
            Err(error) => listing.unreadable.push((entry.path.clone(), error)),
        }
    }
    if let Some(details) = &details {
        unused_rows(details, &mut listing)?;
        blank_rows(details, &mut listing);
        listing.notes.extend(details.notes.clone());
    }
    listing.rest(paired);
    listing.left(
        &other_folders,
        Some(
            "mask(s) lie in another folder of masks than the one that is read (masks goes before mask, labels and label) and were left \
             out, such as",
        ),
    );
    listing.left(
        &other_kinds,
        Some("mask(s) are of another kind than the first mask of their image and were left out, such as"),
    );
    note(&mut listing.notes, headers.unreferenced, "DICOM SEG object(s) reference no image in the folder.");
    let lost =
        "frame(s) of DICOM SEG objects name no image and lie where no image of the folder lies: they were left out.";
    note(&mut listing.notes, headers.lost, lost);
    let sets = "RT structure set(s) were left out: their contours are not read. Convert them to DICOM SEG or NIfTI.";
    note(&mut listing.notes, headers.structure_sets, sets);
    note(&mut listing.notes, headers.others, "DICOM object(s) hold no pixels (reports, directories).");
    let twice = "image(s) have a mask by its name, and DICOM SEG objects that belong to them, which were left out.";
    note(&mut listing.notes, with_both, twice);
    Ok(listing)
}

/// Notes how many rows of a manifest are empty.
fn blank_rows(details: &Details<'_>, listing: &mut Listing) {
    note(&mut listing.notes, details.table.blank, "empty row(s) of manifest.csv were left out.");
}

/// Notes how many rows of a manifest name no image; it is an error if none of them does.
fn unused_rows(details: &Details<'_>, listing: &mut Listing) -> Result<()> {
    if details.len() == 0 && !listing.cases.is_empty() {
        return Err(DataError::BadManifest {
            path: details.table.path.clone(),
            line: 1,
            problem: "the table has no row below its first line; expected a row for each image; fill it, or remove it"
                .to_owned(),
        }
        .into());
    }
    let unused = details.left_over();
    if unused == details.len() && unused > 0 && !listing.cases.is_empty() {
        return Err(DataError::BadManifest {
            path: details.table.path.clone(),
            line: 2,
            problem:
                "none of the rows names an image of the folder; expected an image's stem in the column id, or its path \
                      in the column image; correct the table, or remove it"
                    .to_owned(),
        }
        .into());
    }
    note(&mut listing.notes, unused, "row(s) of manifest.csv name no image that was found.");
    Ok(())
}

fn pair<'a>(tree: &'a Tree, headers: &Headers<'_>) -> Paired<'a> {
    let place = |entry: &Entry| {
        headers.images.contains_key(entry.place.as_str()) || headers.unreadable.contains(entry.place.as_str())
    };
    let shown = |entry: &&Entry| matches!(entry.kind, Kind::Picture | Kind::Nifti) || place(entry);
    let mut pairing = Pairing::default();
    let mut masks = Vec::new();
    // Keys of images by their place without any ending; `None` where several images have the same.
    let mut bare: HashMap<String, Option<String>> = HashMap::new();
    for entry in tree.files.iter().filter(shown) {
        let spot = Spot::of(entry);
        if let Some(names) = mask_names(entry, &spot) {
            masks.push((entry, spot, names));
            continue;
        }
        let key = spot.key(entry.stem());
        let other = bare.insert(spot.key(entry.bare_stem()), Some(key.clone()));
        if other.is_some_and(|other| other.as_ref() != Some(&key)) {
            bare.insert(spot.key(entry.bare_stem()), None);
        }
        pairing.image(key, entry);
    }
    for (entry, spot, names) in masks {
        let mut keys: Vec<String> = names.iter().map(|name| spot.key(name)).collect();
        if spot.among == Among::Masks {
            keys.extend(names.iter().map(|name| spot.key_above(name)));
        }
        let unendinged: Vec<String> = keys.iter().filter_map(|key| bare.get(key).cloned().flatten()).collect();
        keys.extend(unendinged);
        pairing.mask(&keys, entry);
    }
    pairing.paired()
}

/// The masks of the folder of masks whose name is the first of those that there can be, and those of the others. Masks beside their image are
/// among the former.
fn of_one_folder<'a>(masks: &[&'a Entry]) -> (Vec<&'a Entry>, Vec<&'a Entry>) {
    let rank = |mask: &Entry| Spot::of(mask).rank;
    let best = masks.iter().filter_map(|mask| rank(mask)).min();
    masks.iter().copied().partition(|mask| rank(mask).is_none_or(|rank| Some(rank) == best))
}

/// The masks of the kind of the first one, and the others.
fn of_one_kind<'a>(masks: &[&'a Entry]) -> (Vec<&'a Entry>, Vec<&'a Entry>) {
    masks.iter().copied().partition(|mask| masks.first().is_some_and(|first| first.kind == mask.kind))
}

/// The DICOM SEG objects that belong to an image.
fn segmentations_of<'a>(entry: &Entry, headers: &'a Headers<'_>) -> Option<&'a Vec<PathBuf>> {
    headers.segmentations.get(&headers.images.get(entry.place.as_str())?.sop_instance)
}

/// A file that is named as a mask but cannot be read: its place, and its format if that is known.
type Unread<'a> = (&'a str, Option<&'static str>);

/// The files that are named as masks but cannot be read, by the keys of the images that they may belong to.
fn unread_masks(tree: &Tree) -> HashMap<String, Unread<'_>> {
    let mut unread = HashMap::new();
    for entry in tree.files.iter().filter(|entry| entry.kind == Kind::Other) {
        let spot = Spot::of(entry);
        let names = mask_names(entry, &spot).unwrap_or_default();
        let format = if names.is_empty() { None } else { unread_format_of(&entry.path) };
        for name in names {
            unread.entry(spot.key(&name)).or_insert((entry.place.as_str(), format));
        }
    }
    unread
}

fn masks_of(
    entry: &Entry,
    found: &[&Entry],
    headers: &Headers<'_>,
    unread: &HashMap<String, Unread<'_>>,
) -> MaskSource {
    match (found.first(), segmentations_of(entry, headers)) {
        (None, Some(paths)) => MaskSource::Segmentations(paths.clone()),
        (None, None) => MaskSource::Missing(expected(entry, headers, unread)),
        (Some(first), _) => {
            let paths: Vec<PathBuf> = found.iter().map(|mask| mask.path.clone()).collect();
            match first.kind {
                Kind::Nifti => MaskSource::Nifti(paths),
                Kind::Dicom => MaskSource::DicomMasks(paths.into_iter().map(|path| vec![path]).collect()),
                Kind::Picture | Kind::Other => MaskSource::Pictures(paths),
            }
        }
    }
}

fn expected(entry: &Entry, headers: &Headers<'_>, unread: &HashMap<String, Unread<'_>>) -> String {
    let is_dicom = headers.images.contains_key(entry.place.as_str());
    let spot = Spot::of(entry);
    let seg = if is_dicom { ", or a DICOM SEG object that references it" } else { "" };
    let hint = match unread.get(&spot.key(entry.stem())) {
        Some((place, Some(format))) => remarks::unread(place, format),
        Some((place, None)) => {
            format!(" ({place} is there, but it is neither a picture nor DICOM or NIfTI: convert it)")
        }
        None if is_dicom && headers.structure_sets > 0 => {
            " (contours of RT structure sets are not read: convert them)".to_owned()
        }
        None => String::new(),
    };
    let stem = entry.stem();
    if spot.among == Among::Images {
        let place = spot.with("masks", stem);
        format!("{place} with any ending in place of images, or {stem}_mask beside the image{seg}{hint}")
    } else {
        format!("{stem}_mask with any ending beside it{seg}{hint}")
    }
}

/// What the folders above a file say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    Images,
    Masks,
    Neither,
}

/// Where a file is, with the folder of images or masks taken out of its path: images and masks that mirror each other have the
/// same parts.
struct Spot<'a> {
    among: Among,
    /// Of a folder of masks, the place of its name among those that there can be.
    rank: Option<usize>,
    above: &'a str,
    below: &'a str,
}

impl<'a> Spot<'a> {
    fn of(entry: &'a Entry) -> Self {
        let folder = entry.folder();
        let mut end = folder.len();
        loop {
            let start = folder[..end].rfind('/').map_or(0, |slash| slash + 1);
            let word = folder[start..end].to_lowercase();
            let rank = MASK_FOLDERS.iter().position(|name| *name == word);
            let among = if IMAGE_FOLDERS.contains(&word.as_str()) {
                Among::Images
            } else if rank.is_some() {
                Among::Masks
            } else {
                Among::Neither
            };
            if among != Among::Neither {
                return Self { among, rank, above: &folder[..start], below: folder[end..].trim_start_matches('/') };
            }
            if start == 0 {
                return Self { among, rank: None, above: folder, below: "" };
            }
            end = start - 1;
        }
    }

    /// The key of a file of this name in the folder of images that this spot is in or mirrors.
    fn key(&self, name: &str) -> String {
        match self.among {
            Among::Neither => nfc(&format!("{}/{name}", self.above)),
            // No name holds this character.
            Among::Images | Among::Masks => nfc(&self.with("\0", name)),
        }
    }

    /// The key of a file of this name in the folder above a folder of masks: `0.png` beside `masks/0.png`.
    fn key_above(&self, name: &str) -> String {
        let folder = [self.above.trim_end_matches('/'), self.below].map(str::to_owned);
        let folder: Vec<String> = folder.into_iter().filter(|part| !part.is_empty()).collect();
        nfc(&format!("{}/{name}", folder.join("/")))
    }

    /// The path of a file of this name, with another folder in place of that of images or masks.
    fn with(&self, folder: &str, name: &str) -> String {
        let below = if self.below.is_empty() { String::new() } else { format!("{}/", self.below) };
        format!("{}{folder}/{below}{name}", self.above)
    }
}

/// The names that the image of a mask may have, the likeliest first; `None` for a file that is not a mask.
fn mask_names(entry: &Entry, spot: &Spot<'_>) -> Option<Vec<String>> {
    let mut names: Vec<&str> = Vec::new();
    if spot.among == Among::Masks {
        names.extend([entry.stem(), entry.name()]);
    }
    names.extend([entry.stem(), entry.bare_stem()].into_iter().filter_map(strip_suffix));
    // `a.dcm_mask.png` belongs to `a.dcm`.
    let stems: Vec<&str> = names.iter().map(|name| stem(name)).collect();
    names.extend(stems);
    if spot.among == Among::Masks {
        names.push(entry.bare_stem());
    }
    (!names.is_empty()).then(|| names.into_iter().map(str::to_owned).collect())
}

/// `NAME` of `NAME_mask` and `NAME_mask_2`.
fn strip_suffix(stem: &str) -> Option<&str> {
    let bare = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < stem.len() { bare.strip_suffix('_').unwrap_or(stem) } else { stem };
    SUFFIXES.iter().find_map(|suffix| bare.strip_suffix(suffix)).filter(|name| !name.is_empty())
}
