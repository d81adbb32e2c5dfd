//! What the headers of a folder's DICOM files say: which are images, which are segmentations of them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use pig_dicom::{Image, Limits, Object, Plane, Segmentation};

use super::content::Kind;
use super::listing::Listing;
use super::walk::{Entry, Tree};
use crate::affine::is_at;
use crate::privacy::Secret;

/// What was read from the headers of a folder's DICOM files.
pub(super) struct Headers<'a> {
    /// Images by path below the root.
    pub(super) images: HashMap<&'a str, Header>,
    /// Files that could not be read, by path below the root; they are in the listing, too.
    pub(super) unreadable: HashSet<&'a str>,
    /// Files of SEG objects by the SOP instance that they reference.
    pub(super) segmentations: HashMap<String, Vec<PathBuf>>,
    /// SEG objects that reference no image of the folder.
    pub(super) unreferenced: usize,
    /// Frames of SEG objects that name no image, and lie where no image of the folder lies.
    pub(super) lost: usize,
    /// Objects with contours, which nothing here reads.
    pub(super) structure_sets: usize,
    /// Other objects without pixels.
    pub(super) others: usize,
}

/// The header of an image.
pub(super) struct Header {
    pub(super) sop_instance: String,
    frame_of_reference: Option<String>,
    pub(super) patient: Option<Secret>,
}

/// What is kept of a file: thousands of files may be read, and an open one would hold its header and a file handle.
enum Seen {
    Image(Header),
    Segmentation(Drawn),
    StructureSet,
    Other,
}

/// The SOP class of RT Structure Set Storage.
const STRUCTURE_SET: &str = "1.2.840.10008.5.1.4.1.1.481.3";

/// What a segmentation was drawn on.
struct Drawn {
    /// The SOP instances that it references.
    instances: Vec<String>,
    /// Whether a frame of it names an image.
    names_images: bool,
    /// Where those of its frames lie that name no image.
    planes: Vec<Plane>,
    frame_of_reference: Option<String>,
    /// Rows and columns.
    size: [u32; 2],
}

impl Drawn {
    fn of(segmentation: &Segmentation) -> Self {
        let info = segmentation.info();
        let named = segmentation.sources();
        let unnamed = segmentation.frames().iter().filter(|frame| frame.sources.is_empty());
        let planes = unnamed.map(|frame| frame.plane).collect();
        // Images of the series that have no frame are known to be free of the segments.
        let listed = info.referenced_instances.iter().cloned();
        Self {
            names_images: !named.is_empty(),
            instances: named.into_iter().map(|source| source.sop_instance).chain(listed).collect(),
            planes,
            frame_of_reference: info.frame_of_reference.clone(),
            size: [info.rows, info.columns],
        }
    }

    /// Adds the images that lie where frames lie that name none. Returns how many of these frames lie at no image.
    fn place(&mut self, images: &[Placed<'_>]) -> usize {
        let mut is_placed = vec![false; self.planes.len()];
        for image in images {
            if !self.may_be_of(image) {
                continue;
            }
            let is_here = |plane: &Plane| image.planes.iter().any(|place| is_at(plane, place, self.size) == Some(true));
            let frames: Vec<usize> = (0..self.planes.len()).filter(|&frame| is_here(&self.planes[frame])).collect();
            if !frames.is_empty() {
                self.instances.push(image.header.sop_instance.clone());
            }
            for frame in frames {
                is_placed[frame] = true;
            }
        }
        let lost = is_placed.iter().filter(|placed| !**placed).count();
        if lost == self.planes.len() && !self.names_images {
            // Otherwise the images of its series would count as free of lesion.
            self.instances.clear();
        }
        lost
    }

    /// Whether an image has the size of the frames, and, as far as is known, their frame of reference.
    fn may_be_of(&self, image: &Placed<'_>) -> bool {
        let is_elsewhere = match (&self.frame_of_reference, &image.header.frame_of_reference) {
            (Some(own), Some(other)) => own != other,
            _ => false,
        };
        image.size == self.size && !is_elsewhere
    }
}

/// An image, and where its frames lie.
struct Placed<'h> {
    header: &'h Header,
    /// Rows and columns.
    size: [u32; 2],
    planes: Vec<Plane>,
}

impl<'h> Placed<'h> {
    /// Reads where an image lies; `None` if it cannot be read, which whoever reads it tells.
    fn read(path: &Path, header: &'h Header, limits: &Limits) -> Option<Self> {
        let image = Image::open(path, limits).ok()?;
        let info = image.info();
        let planes = (0..info.frames).filter_map(|index| image.plane(index).ok()).collect();
        Some(Self { header, size: [info.rows, info.columns], planes })
    }
}

impl Seen {
    fn of(path: &Path, limits: &Limits) -> pig_dicom::Result<Self> {
        Ok(match pig_dicom::open(path, limits)? {
            Object::Image(image) => {
                let info = image.info();
                let patient = info.patient_id.as_ref().and_then(|id| Secret::new(id.reveal()));
                Self::Image(Header {
                    sop_instance: info.sop_instance.clone(),
                    frame_of_reference: info.frame_of_reference.clone(),
                    patient,
                })
            }
            Object::Segmentation(segmentation) => Self::Segmentation(Drawn::of(&segmentation)),
            Object::Other { sop_class: Some(class) } if class == STRUCTURE_SET => Self::StructureSet,
            Object::Other { .. } => Self::Other,
        })
    }
}

impl<'a> Headers<'a> {
    pub(super) fn read(tree: &'a Tree, limits: &Limits, listing: &mut Listing) -> Self {
        let candidates: Vec<&Entry> = tree.files.iter().filter(|entry| entry.kind == Kind::Dicom).collect();
        let seen: Vec<_> = candidates.par_iter().map(|entry| Seen::of(&entry.path, limits)).collect();
        let mut headers = Self {
            images: HashMap::new(),
            unreadable: HashSet::new(),
            segmentations: HashMap::new(),
            unreferenced: 0,
            lost: 0,
            structure_sets: 0,
            others: 0,
        };
        let mut segmentations = Vec::new();
        for (&entry, seen) in candidates.iter().zip(seen) {
            match seen {
                Ok(Seen::Image(header)) => {
                    headers.images.insert(entry.place.as_str(), header);
                }
                Ok(Seen::Segmentation(drawn)) => segmentations.push((entry, drawn)),
                Ok(Seen::StructureSet) => {
                    listing.explained.insert(entry.path.clone());
                    headers.structure_sets += 1;
                }
                Ok(Seen::Other) => {
                    listing.explained.insert(entry.path.clone());
                    headers.others += 1;
                }
                Err(error) => {
                    headers.unreadable.insert(entry.place.as_str());
                    listing.unreadable.push((entry.path.clone(), error.into()));
                }
            }
        }
        let known: HashSet<&str> = headers.images.values().map(|header| header.sop_instance.as_str()).collect();
        // Read only if a segmentation needs them, and then once for all of them.
        let needs_places = segmentations.iter().any(|(_, drawn): &(_, Drawn)| !drawn.planes.is_empty());
        let place = |entry: &&'a Entry| Placed::read(&entry.path, headers.images.get(entry.place.as_str())?, limits);
        let images = if needs_places { candidates.par_iter().filter_map(place).collect() } else { Vec::new() };
        for (entry, mut drawn) in segmentations {
            listing.explained.insert(entry.path.clone());
            if !drawn.planes.is_empty() {
                headers.lost += drawn.place(&images);
            }
            drawn.instances.sort();
            drawn.instances.dedup();
            if !drawn.instances.iter().any(|instance| known.contains(instance.as_str())) {
                headers.unreferenced += 1;
            }
            for instance in drawn.instances {
                headers.segmentations.entry(instance).or_default().push(entry.path.clone());
            }
        }
        headers
    }
}
