//! What the headers of a folder's DICOM files say: which are images, which are segmentations of them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use pig_dicom::{Limits, Object};

use super::content::Kind;
use super::listing::Listing;
use super::walk::{Entry, Tree};
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
    /// Objects without pixels.
    pub(super) others: usize,
}

/// The header of an image.
pub(super) struct Header {
    pub(super) sop_instance: String,
    pub(super) patient: Option<Secret>,
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
                // Images of the series that have no frame are known to be free of the segments.
                let listed = segmentation.info().referenced_instances.iter().cloned();
                let mut instances: Vec<String> =
                    segmentation.sources().into_iter().map(|source| source.sop_instance).chain(listed).collect();
                instances.sort();
                instances.dedup();
                Self::Segmentation(instances)
            }
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
            others: 0,
        };
        let mut segmentations = Vec::new();
        for (entry, seen) in candidates.into_iter().zip(seen) {
            match seen {
                Ok(Seen::Image(header)) => {
                    headers.images.insert(entry.place.as_str(), header);
                }
                Ok(Seen::Segmentation(instances)) => segmentations.push((entry, instances)),
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
        for (entry, instances) in segmentations {
            listing.explained.insert(entry.path.clone());
            if !instances.iter().any(|instance| known.contains(instance.as_str())) {
                headers.unreferenced += 1;
            }
            for instance in instances {
                headers.segmentations.entry(instance).or_default().push(entry.path.clone());
            }
        }
        headers
    }
}
