//! Masks that are DICOM images, with as many frames as their image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use pig_dicom::{Image, Object};

use super::grid::{check_size, mismatch};
use super::labels::LabelRule;
use crate::error::{PrepareError, Result};
use crate::sources::{Cost, Volume};

/// How many different labels a mask may have: more are grays, as resampling leaves them.
const MOST_LABELS: usize = 16;

/// An open mask.
#[derive(Debug)]
pub(super) struct DicomMask {
    path: PathBuf,
    image: Image,
    labels: LabelRule,
    /// As in [`super::Seen`].
    seen: AtomicU64,
}

impl DicomMask {
    /// Opens the mask of a lesion: the one of `candidates` that has the size of the image.
    ///
    /// # Errors
    /// When none has it, or the mask has another number of frames than the image.
    pub(super) fn open(
        image: &Path,
        candidates: &[PathBuf],
        volume: &Volume,
        labels: LabelRule,
        cost: &Cost,
    ) -> Result<Self> {
        let (path, mask) = choose(image, candidates, volume.size(), cost)?;
        let frames = mask.info().frames as usize;
        if frames != volume.slices() {
            return Err(mismatch(image, &path, "slices", frames.to_string(), volume.slices().to_string()));
        }
        Ok(Self { path, image: mask, labels, seen: AtomicU64::new(0) })
    }

    /// The lesion of frame `index`.
    pub(super) fn read(&self, index: usize) -> Result<Vec<u8>> {
        let frame = self.image.frame(index as u32)?;
        let values: Vec<f32> = frame.stored().iter().map(|value| value as f32).collect();
        if self.labels.takes_all() {
            self.check_grays(&values)?;
            self.seen.fetch_or(self.labels.bits(&values), Ordering::Relaxed);
        }
        self.labels.lesion(&self.path, index, &values)
    }

    /// The labels of the frames that were read until now, as bits, if all of them are lesion because nothing says what they mean.
    pub(super) fn labels_seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Refuses grays, which lossy compression or resampling makes of labels: all but the darkest would count as lesion.
    fn check_grays(&self, values: &[f32]) -> Result<()> {
        let most = if self.image.info().lossy { 1 } else { MOST_LABELS };
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for value in values.iter().filter(|value| **value != 0.0) {
            *counts.entry(value.to_bits()).or_default() += 1;
        }
        if counts.len() <= most {
            return Ok(());
        }
        Err(PrepareError::Labels {
            path: self.path.clone(),
            problem: format!("{} different values beside 0, as in grays", counts.len()),
            expected: "labels".to_owned(),
            remedy: "set prepare.mask_threshold to the value from which on a pixel is lesion, or name the lesion's labels in \
                     prepare.mask_values",
        })
    }
}

/// Chooses the mask among the files of a lesion: the one that has the image's size. If none has, the error names the one whose
/// size is nearest to it, since the others are crops.
fn choose(image: &Path, candidates: &[PathBuf], size: [usize; 2], cost: &Cost) -> Result<(PathBuf, Image)> {
    let mut found: Option<(&PathBuf, [usize; 2])> = None;
    let apart = |other: [usize; 2]| {
        [0, 1].map(|axis| (other[axis].max(1) as f64 / size[axis].max(1) as f64).ln().abs()).iter().sum::<f64>()
    };
    for path in candidates {
        let Object::Image(mask) = pig_dicom::open(path, &cost.dicom)? else { continue };
        let mask_size = [mask.info().rows as usize, mask.info().columns as usize];
        if mask_size == size && mask.info().samples_per_pixel == 1 {
            return Ok((path.clone(), mask));
        }
        if found.is_none_or(|(_, nearest)| apart(mask_size) < apart(nearest)) {
            found = Some((path, mask_size));
        }
    }
    let Some((path, mask_size)) = found else {
        let expected = "a DICOM mask with the image's size".to_owned();
        return Err(PrepareError::MissingMask { path: image.to_path_buf(), expected });
    };
    check_size(image, path, mask_size, size)?;
    Err(mismatch(image, path, "kind", "colour".to_owned(), "one value per pixel".to_owned()))
}
