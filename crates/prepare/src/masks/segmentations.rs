//! Opens masks that are DICOM SEG, and finds which of their frames belong to which frame of the image.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use pig_data::config::ClassConfig;
use pig_dicom::{Plane, Segmentation, SegmentationKind, Selection, SourceFrame};

use super::grid::{check_size, mismatch};
use crate::affine::{is_at, place_tolerance};
use crate::error::Result;
use crate::segments::numbers_of;
use crate::settings::{MaskAffine, PrepareConfig};
use crate::sources::{Cost, Volume};

/// An open segmentation of one image.
#[derive(Debug)]
pub(super) struct OpenSegmentation {
    segmentation: Segmentation,
    /// The segments of lesion, or of each class.
    selections: Vec<Selection>,
    /// Its frames on each frame of the image.
    frames: Vec<Vec<u32>>,
    path: PathBuf,
    /// The greatest value of the frames that were read until now.
    greatest: AtomicU16,
}

/// A fractional segmentation and what it holds on an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fraction {
    /// The file.
    pub(crate) path: PathBuf,
    /// The greatest value of the frames that were read.
    pub(crate) greatest: u16,
    /// The value that means a share of 1.
    pub(crate) max: u8,
}

impl OpenSegmentation {
    /// The masks of lesion, or of each class, on frame `index` of the image.
    pub(super) fn masks(&self, index: usize, threshold: f64) -> Result<Vec<Vec<u8>>> {
        let frames = self.frames.get(index).map_or(&[][..], Vec::as_slice);
        let mask = |selection: &Selection| -> Result<Vec<u8>> {
            let mask = self.segmentation.union(frames, selection, Some(threshold))?;
            self.greatest.fetch_max(mask.greatest, Ordering::Relaxed);
            Ok(mask.values)
        };
        self.selections.iter().map(mask).collect()
    }

    /// What the frames that were read until now hold, if the segmentation is fractional.
    pub(super) fn fraction(&self) -> Option<Fraction> {
        let SegmentationKind::Fractional { max } = self.segmentation.info().kind else { return None };
        Some(Fraction { path: self.path.clone(), greatest: self.greatest.load(Ordering::Relaxed), max })
    }
}

/// Opens a segmentation. A frame belongs to the image frame that it names, which must lie where it lies; one that names none belongs to
/// the image frame at its place. Also returns the millimetres by which frames are away from theirs, if the settings ignore that.
pub(super) fn open(
    image: &Path,
    path: &Path,
    volume: &Volume,
    (config, classes): (&PrepareConfig, &[ClassConfig]),
    cost: &Cost,
) -> Result<(OpenSegmentation, Option<f64>)> {
    let Some(dicom) = volume.dicom() else {
        let expected = "a mask that does not reference a DICOM image".to_owned();
        return Err(mismatch(image, path, "kind", "a DICOM SEG object".to_owned(), expected));
    };
    let segmentation = Segmentation::open(path, &cost.dicom)?;
    let info = segmentation.info();
    let size = [info.rows, info.columns];
    check_size(image, path, size.map(|side| side as usize), volume.size())?;
    let planes: Vec<Plane> = (0..dicom.info().frames).map(|index| dicom.plane(index)).collect::<Result<_, _>>()?;
    let instance = &dicom.info().sop_instance;
    let named = |frame: usize| {
        segmentation.frames_of(&SourceFrame { sop_instance: instance.clone(), frame: Some(frame as u32) })
    };
    let mut frames: Vec<Vec<u32>> = (0..planes.len()).map(named).collect();
    let far = farthest(&segmentation, &frames, &planes);
    let ignored = config.mask_affine == Some(MaskAffine::Ignore);
    if let Some((frame, far)) = far.filter(|_| !ignored) {
        let found =
            format!("frame {frame} of it (counted from 0) lies up to {far:.3} mm beside the image that it names");
        let expected = "the same place (or prepare.mask_affine = \"ignore\", which takes the mask pixel by pixel)";
        return Err(mismatch(image, path, "geometry", found, expected.to_owned()));
    }
    let mut nowhere = 0;
    for (index, entry) in segmentation.frames().iter().enumerate().filter(|(_, entry)| entry.sources.is_empty()) {
        let places: Vec<Option<bool>> = planes.iter().map(|plane| is_at(&entry.plane, plane, size)).collect();
        nowhere += usize::from(places.iter().all(Option::is_none));
        let here = frames.iter_mut().zip(places).filter(|(_, place)| *place == Some(true));
        here.for_each(|(frames, _)| frames.push(index as u32));
    }
    if nowhere > 0 {
        let found = format!("{nowhere} frame(s) of it name no image, and the position of mask or image is not known");
        return Err(mismatch(image, path, "reference", found, "a source image for each frame".to_owned()));
    }
    if frames.iter().all(Vec::is_empty) && !info.referenced_instances.contains(instance) {
        let found = "no frame of it names the image or lies where the image lies".to_owned();
        return Err(mismatch(image, path, "reference", found, "a segmentation of this image".to_owned()));
    }
    let selections = if classes.is_empty() {
        vec![config.lesion_labels().map_or(Selection::All, Selection::Numbers)]
    } else {
        classes.iter().map(|class| Selection::Numbers(numbers_of(class, info))).collect()
    };
    let (path, greatest) = (path.to_path_buf(), AtomicU16::new(0));
    Ok((OpenSegmentation { segmentation, selections, frames, path, greatest }, far.map(|(_, far)| far)))
}

/// The frame that lies farthest beside the image frame that it names, with its distance in millimetres within the image's plane; `None` if
/// all lie in their places, as far as is known.
fn farthest(segmentation: &Segmentation, frames: &[Vec<u32>], planes: &[Plane]) -> Option<(u32, f64)> {
    let info = segmentation.info();
    let mut farthest: Option<(u32, f64)> = None;
    for (frames, image) in frames.iter().zip(planes) {
        for &frame in frames {
            let plane = &segmentation.frames()[frame as usize].plane;
            // Along the normal, slices may have been made even, and the file says which one is meant.
            let Some([within, _]) = plane.apart(image, [info.rows, info.columns]) else { continue };
            let is_beside = within > place_tolerance(image.spacing.or(plane.spacing));
            if is_beside && farthest.is_none_or(|(_, far)| within > far) {
                farthest = Some((frame, within));
            }
        }
    }
    farthest
}
