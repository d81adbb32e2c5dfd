//! Any other folder. If there is a `manifest.csv` with the columns `image` and `mask`, it lists the pairs. Otherwise a mask is
//! searched beside its image as `NAME_mask` (or another of the endings in [`super::words`], followed by a number for further lesions),
//! in a folder `masks` or `labels` with the same folders and name as the image in `images`, and among the DICOM SEG objects
//! that reference the image. Masks of such names in a folder that is named as one of masks belong to the only image of their name.
//!
//! A manifest may add details to the pairs that it lists, or, by its column `id` (the image's stem), to the images found:
//! `patient` or `group`, `laterality`, `view`, `class`, and `pixel_height_mm` with `pixel_width_mm`. Other columns are carried over, unless
//! they may identify people. With `prepare.class_column`, a column names the class of each mask.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use pig_data::DataError;
use pig_data::columns::class_column;
use pig_data::content::unread_format_of;
use pig_data::manifest::Manifest;
use pig_data::names::{DRIVE_WORDS, IMAGE_FOLDERS, MASK_FOLDERS, OF_DRIVE, nfc};
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
use super::words::{mask_words, strip_suffix};
use crate::error::{PrepareError, Result};
use crate::settings::{MissingMask, PrepareConfig, SECTION};

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
    refuse_drive(tree)?;
    let mut listing = Listing::default();
    let headers = Headers::read(tree, limits, &mut listing);
    let (paired, unread) = (pair(tree, &headers), unread_masks(tree));
    let lookalikes = Lookalikes::of(&paired);
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
        let masks = masks_of(entry, &found, &headers, (&unread, &lookalikes));
        // What is skipped is no image either.
        let may_be_read = config.missing_mask != MissingMask::Skip;
        if let (MaskSource::Missing(_), true, Some(hint)) = (&masks, may_be_read, lookalikes.named_as_mask(entry)) {
            listing.unreadable.push((entry.path.clone(), PrepareError::NamedAsMask { path: entry.path.clone(), hint }));
            continue;
        }
        let mut case = Case::new(entry.case_name(), image, masks);
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
    // Keys of images by their stems; `None` where several images have the same.
    let mut stems: HashMap<String, Option<(String, &Entry)>> = HashMap::new();
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
        let stem = stems.entry(nfc(entry.stem())).or_insert_with(|| Some((key.clone(), entry)));
        if stem.as_ref().is_some_and(|(other, _)| *other != key) {
            *stem = None;
        }
        pairing.image(key, entry);
    }
    let mut far = Vec::new();
    for (entry, spot, names) in masks {
        let mut keys: Vec<String> = names.iter().map(|name| spot.key(name)).collect();
        if spot.among == Among::Masks {
            keys.extend(names.iter().map(|name| spot.key_above(name)));
        }
        let unendinged: Vec<String> = keys.iter().filter_map(|key| bare.get(key).cloned().flatten()).collect();
        keys.extend(unendinged);
        if pairing.knows(&keys) { pairing.mask(&keys, entry) } else { far.push((entry, keys)) }
    }
    far_masks(&mut pairing, far, &stems);
    pairing.paired()
}

/// Adds the masks that have no image in their own folder: those in a folder that is named as one of masks, such as `GroundTruth`, belong to
/// the only image of their name, if that lies in a folder beside theirs. Folders of patients thus never lend each other masks. Where masks
/// of several folders would belong to one image, none does.
fn far_masks<'a>(
    pairing: &mut Pairing<'a>,
    masks: Vec<(&'a Entry, Vec<String>)>,
    stems: &HashMap<String, Option<(String, &Entry)>>,
) {
    let image_of = |mask: &Entry| {
        let name = [mask.stem(), mask.bare_stem()].into_iter().find_map(strip_suffix)?;
        let (key, image) = stems.get(&nfc(name))?.as_ref()?;
        let (above, own) = mask.folder().rsplit_once('/').unwrap_or(("", mask.folder()));
        let is_beside = above.is_empty() || format!("{}/", image.folder()).starts_with(&format!("{above}/"));
        let is_of_masks = mask_words(own) > 0 && mask_words(mask.folder()) > mask_words(image.folder());
        (is_beside && is_of_masks).then(|| key.clone())
    };
    let mut by_image: BTreeMap<String, Vec<(&'a Entry, Vec<String>)>> = BTreeMap::new();
    for (mask, keys) in masks {
        match image_of(mask).filter(|image| !pairing.has_mask(image)) {
            Some(image) => by_image.entry(image).or_default().push((mask, keys)),
            None => pairing.mask(&keys, mask),
        }
    }
    for (image, masks) in by_image {
        let is_one = masks.windows(2).all(|two| two[0].0.folder() == two[1].0.folder());
        for (mask, keys) in masks {
            pairing.mask(if is_one { std::slice::from_ref(&image) } else { &keys }, mask);
        }
    }
}

/// Files whose names or folders say that they are masks, and masks that belong to no image.
struct Lookalikes<'a> {
    /// Of each stem, the image whose folder has the fewest words of masks, with their number.
    plainest: HashMap<&'a str, (usize, &'a str)>,
    /// Masks without an image, by their folders.
    alone: HashMap<&'a str, &'a str>,
}

impl<'a> Lookalikes<'a> {
    fn of(paired: &Paired<'a>) -> Self {
        let mut plainest: HashMap<&str, (usize, &str)> = HashMap::new();
        for (entry, _) in &paired.pairs {
            let own = (mask_words(entry.folder()), entry.place.as_str());
            let found = plainest.entry(entry.stem()).or_insert(own);
            *found = own.min(*found);
        }
        let alone = paired.alone.iter().map(|entry| (entry.folder(), entry.name())).collect();
        Self { plainest, alone }
    }

    /// Whether an image without a mask is named as one; with a hint at the image that it may belong to, which may be empty.
    fn named_as_mask(&self, entry: &Entry) -> Option<String> {
        if entry.kind == Kind::Dicom {
            return None;
        }
        let twin = self.plainest.get(entry.stem()).filter(|(words, _)| *words < mask_words(entry.folder()));
        match twin {
            Some((_, twin)) => Some(format!(" ({twin} has the same one in another folder)")),
            None => (mask_words(entry.stem()) > 0).then(String::new),
        }
    }

    /// A mask without an image in the folder of an image without a mask, in words with a space before them.
    fn alone_beside(&self, entry: &Entry) -> Option<String> {
        let mask = self.alone.get(entry.folder())?;
        Some(format!(" ({mask} lies there, but no image has its name)"))
    }
}

/// Refuses DRIVE, whose folder `mask` would be read as that of masks.
///
/// # Errors
/// When a folder is named as that of DRIVE's masks.
fn refuse_drive(tree: &Tree) -> Result<()> {
    let of_drive =
        |entry: &&Entry| entry.folder().rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case(OF_DRIVE));
    let Some(entry) = tree.files.iter().find(of_drive) else { return Ok(()) };
    Err(PrepareError::Release {
        path: tree.root.join(entry.folder()),
        problem: DRIVE_WORDS,
        remedy: "convert the masks of 1st_manual to PNG if they are GIF, and list images and masks in a manifest.csv with the columns image \
                 and mask",
    })
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

/// What may be said beside an image without a mask.
type Hints<'a> = (&'a HashMap<String, Unread<'a>>, &'a Lookalikes<'a>);

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

fn masks_of(entry: &Entry, found: &[&Entry], headers: &Headers<'_>, hints: Hints<'_>) -> MaskSource {
    match (found.first(), segmentations_of(entry, headers)) {
        (None, Some(paths)) => MaskSource::Segmentations(paths.clone()),
        (None, None) => MaskSource::Missing(expected(entry, headers, hints)),
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

fn expected(entry: &Entry, headers: &Headers<'_>, (unread, lookalikes): Hints<'_>) -> String {
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
        None => lookalikes.alone_beside(entry).unwrap_or_default(),
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
